"""Which cells lie near enough to tumour to belong to it: the reach of CPS and immune-cell scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST_SQUARES = 20_000_000


def within_reach_of(xy: NDArray[np.float64], tumor: NDArray[np.bool_], *, reach_um: float) -> NDArray[np.bool_]:
    """Say which cells lie within a distance of a tumour cell.

    Parameters
    ----------
    xy
        (n, 2) places, um.
    tumor
        (n,) which of them are tumour cells; these are near themselves.
    reach_um
        The distance, um; inf takes all cells as soon as there is a tumour cell.

    Examples
    --------
    >>> place = np.array([[0.0, 0.0], [500.0, 0.0], [600.0, 0.0]])
    >>> within_reach_of(place, np.array([True, False, False]), reach_um=550).tolist()
    [True, True, False]
    """
    near = tumor.copy()
    if not tumor.any() or tumor.all():
        return near
    if not np.isfinite(reach_um):
        return np.ones(len(tumor), dtype=bool)
    near |= _surely_near(xy, tumor, reach_um)
    if not near.all():
        from scipy.spatial import KDTree

        distance, _ = KDTree(xy[tumor]).query(xy[~near], distance_upper_bound=reach_um)
        near[~near] = np.isfinite(distance)
    return near


def _surely_near(xy: NDArray[np.float64], tumor: NDArray[np.bool_], reach_um: float) -> NDArray[np.bool_]:
    """Cells with a tumour cell in their own square or one that touches it: no two points of those lie farther apart."""
    side = 0.999 * reach_um / np.sqrt(8)
    square = np.floor((xy - xy.min(axis=0)) / side).astype(np.int64) + 1
    columns, rows = square.max(axis=0) + 2
    if columns * rows > _MOST_SQUARES:
        return np.zeros(len(tumor), dtype=bool)
    held = np.zeros((columns, rows), dtype=bool)
    held[square[tumor, 0], square[tumor, 1]] = True
    beside = held.copy()
    for axis in (0, 1):
        beside |= np.roll(beside, 1, axis) | np.roll(beside, -1, axis)  # a frame of empty squares stops what rolls over
    return np.asarray(beside[square[:, 0], square[:, 1]])
