"""What of a cell is stained, by name."""

from __future__ import annotations

NONE, MEMBRANE, CYTOPLASM, NUCLEUS, GRANULES = "none", "membrane", "cytoplasm", "nucleus", "granules"
STAININGS = (NONE, MEMBRANE, CYTOPLASM, NUCLEUS, GRANULES)
