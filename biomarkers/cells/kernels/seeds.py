"""Seeds: the tops of the distance that stand out by a depth, found from the highest down without reconstruction."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def dome_seeds(distance: NDArray[np.int32], *, depth: int) -> NDArray[np.int32]:
    """Label the tops that stand out by more than ``depth``; see :func:`biomarkers.cells.pieces.dome_seeds`.

    Notes
    -----
    A top of height p stands out when nothing higher is reached from it through pixels of at least p - depth; these
    pixels are its dome, which is what the regional maxima of the h-maxima transform are. Tops are tried from the
    highest down, and a walk ends at the first pixel that is higher or was walked before, so each pixel is walked once.
    """
    high = np.pad(distance, 1)
    places = np.empty(high.size, np.int32)
    tops = places[: _tops(high, depth, places)]
    flat = high.ravel()
    order = tops[np.argsort(-flat[tops], kind="stable")]
    walked = np.zeros(high.shape, np.int32)  # 0 not yet, below 0 by a walk in vain, above 0 the seed
    wide = high.shape[1]
    around = np.array([-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1])
    _walk_all(flat, walked.ravel(), around, np.empty_like(places), order, depth)
    return np.maximum(walked[1:-1, 1:-1], 0)


@numba.njit(cache=True, nogil=True)
def _tops(high, depth, out):  # type: ignore[no-untyped-def]
    """Flat places of pixels above ``depth`` that none of the eight neighbours exceeds; returns their number."""
    rows, wide = high.shape
    count = 0
    for row in range(1, rows - 1):
        above, here, below = high[row - 1], high[row], high[row + 1]
        for column in range(1, wide - 1):
            value = here[column]
            if value <= depth or here[column - 1] > value or here[column + 1] > value:
                continue
            if above[column] > value or below[column] > value:
                continue
            upper, lower = max(above[column - 1], above[column + 1]), max(below[column - 1], below[column + 1])
            if max(upper, lower) <= value:
                out[count] = row * wide + column
                count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _walk_all(flat, walked, around, path, order, depth):  # type: ignore[no-untyped-def]
    found = 0
    for k in range(order.size):
        if walked[order[k]] == 0:
            length = _walk(flat, walked, around, path, order[k], depth, -k - 1)
            if length > 0:
                found += 1
            for at in range(length):
                walked[path[at]] = found


@numba.njit(cache=True, nogil=True)
def _walk(flat, walked, around, path, top, depth, mark):  # type: ignore[no-untyped-def]
    """Walk the dome below a top; return its length, 0 when something higher or walked before was met."""
    peak = flat[top]
    path[0] = top
    walked[top] = mark
    length, at = 1, 0
    while at < length:
        here = path[at]
        at += 1
        for k in range(8):
            near = here + around[k]
            if flat[near] < peak - depth or walked[near] == mark:
                continue
            if flat[near] > peak or walked[near] != 0:
                return 0
            walked[near] = mark
            path[length] = near
            length += 1
    return length
