"""Cells -> TPS, CPS, IC, H-score, densities: a registry of scores with their metadata.

Names are imported when first used: the table of scores needs no pixel code.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "SCORES": "registry",
    "Anchor": "anchor",
    "Score": "registry",
    "SlideScore": "slide_score",
    "anchor_thresholds": "anchor",
    "assay_table": "assays",
    "call_positivity": "positivity",
    "category": "compute",
    "cells_geojson": "outputs",
    "cells_table": "outputs",
    "compute_scores": "compute",
    "overlay_image": "overlay",
    "own_cuts": "own_cut",
    "pool_scores": "pool",
    "read_thresholds": "anchor",
    "score_slide": "pipeline",
    "score_table": "registry",
    "score_tile": "pipeline",
    "sensitivity_curve": "sensitivity",
    "write_anchor": "anchor",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        msg = f"module 'biomarkers.score' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"biomarkers.score.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value
