"""Which cells lie near enough to tumour to belong to it: the reach of CPS and immune-cell scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
    if tumor.any() and not tumor.all():
        from scipy.spatial import KDTree

        distance, _ = KDTree(xy[tumor]).query(xy[~tumor], distance_upper_bound=reach_um)
        near[~tumor] = np.isfinite(distance)
    return near
