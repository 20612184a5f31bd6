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
    return _seeds(np.ascontiguousarray(distance), depth)


@numba.njit(cache=True, nogil=True)
def _seeds(distance, depth):  # type: ignore[no-untyped-def]
    rows, columns = distance.shape
    wide = columns + 2
    high = np.zeros((rows + 2, wide), np.int32)
    high[1:-1, 1:-1] = distance
    flat = high.ravel()
    tops = _tops(high, depth)
    order = _from_the_highest(flat, tops)
    walked = np.zeros(flat.size, np.int32)  # 0 not yet, below 0 by a walk in vain, above 0 the seed
    around = np.array([-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1])
    path = np.empty(flat.size, np.int32)
    found = 0
    for k in range(order.size):
        if walked[order[k]] == 0:
            length = _walk(flat, walked, around, path, order[k], depth, -k - 1)
            if length > 0:
                found += 1
            for at in range(length):
                walked[path[at]] = found
    out = np.empty((rows, columns), np.int32)
    for row in range(rows):
        for column in range(columns):
            out[row, column] = max(walked[(row + 1) * wide + column + 1], 0)
    return out


@numba.njit(cache=True, nogil=True)
def _tops(high, depth):  # type: ignore[no-untyped-def]
    """Flat places of pixels above ``depth`` that none of the eight neighbours exceeds."""
    rows, wide = high.shape
    out = np.empty(rows * wide, np.int32)
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
    return out[:count].copy()


@numba.njit(cache=True, nogil=True)
def _from_the_highest(flat, places):  # type: ignore[no-untyped-def]
    """Sort by counting, stable, highest first."""
    most = 0
    for place in places:
        most = max(most, flat[place])
    starts = np.zeros(most + 2, np.int64)
    for place in places:
        starts[most - flat[place] + 1] += 1
    for k in range(1, starts.size):
        starts[k] += starts[k - 1]
    out = np.empty(places.size, np.int32)
    for place in places:
        key = most - flat[place]
        out[starts[key]] = place
        starts[key] += 1
    return out


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
        for move in around:
            near = here + move
            if flat[near] < peak - depth or walked[near] == mark:
                continue
            if flat[near] > peak or walked[near] != 0:
                return 0
            walked[near] = mark
            path[length] = near
            length += 1
    return length
