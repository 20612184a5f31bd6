"""What is told by the cells alone, whatever the cut, is worked out once where cells are called at many cuts."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np


def memoise(cells: Any, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return what plain cells keep under a key (made the first time), or make it for cells that keep nothing.

    One value a cell, not to be written to.
    """
    held: dict[Hashable, np.ndarray] | None = getattr(cells, "once", None)
    if held is None:
        return make()
    if key not in held:
        held[key] = make()
    return held[key]
