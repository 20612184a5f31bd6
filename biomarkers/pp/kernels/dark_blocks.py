"""Which squares of a slide are dark; see :mod:`biomarkers.pp.tissue`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.fixed_point import FIXED_POINT_SCALE


def darker(means: NDArray[np.float64], densities: NDArray[np.int32], *, least: int) -> NDArray[np.bool_]:
    """Compare densities of mean colours; see :func:`biomarkers.pp.tissue.darker`."""
    out = np.empty(means.shape[:2], np.bool_)
    _compare(np.ascontiguousarray(means), densities, np.int32(least), out)
    return out


@numba.njit(cache=True, nogil=True)
def _compare(means, densities, least, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            total = np.int32(0)
            for channel in range(3):
                total += densities[channel, np.int32(means[y, x, channel] * FIXED_POINT_SCALE + 0.5)]
            out[y, x] = total > least
