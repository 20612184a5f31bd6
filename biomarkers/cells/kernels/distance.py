"""Exact Euclidean distance to the nearest background, as whole sixteenths of a pixel."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.pieces import sixteenths as plain

_FAR = 1 << 14  # above any side of an image that is looked at in one piece
_SHORT = 96  # pixels; in longer runs the search along the row would no longer be short


def sixteenths(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Distance of each pixel of a mask to what is not; see :func:`biomarkers.cells.pieces.sixteenths`."""
    if mask.all():  # no background at all: the plain version's answer has no meaning but is kept
        return plain(mask)
    return _distance(np.ascontiguousarray(mask))


@numba.njit(cache=True, nogil=True)
def _distance(mask):  # type: ignore[no-untyped-def]
    rows, columns = mask.shape
    gap = _column_gaps(mask)
    out = np.zeros((rows, columns), np.int32)
    table = _roots(4096)
    hulls = np.empty((2, columns + 2), np.int64)
    for row in range(rows):
        line, target = gap[row], out[row]
        column = 0
        while column < columns:
            if line[column] == 0:
                column += 1
                continue
            start = column
            while column < columns and line[column] != 0:
                column += 1
            if column - start <= _SHORT:
                _search(line, target, start, column, table)
            else:
                _envelope(line, target, start, column, hulls)
    return out


@numba.njit(cache=True, nogil=True)
def _column_gaps(mask):  # type: ignore[no-untyped-def]
    """Distance to the nearest background in the same column."""
    rows, columns = mask.shape
    gap = np.empty((rows, columns), np.int32)
    for column in range(columns):
        gap[0, column] = _FAR if mask[0, column] else 0
    for row in range(1, rows):
        before, here, inside = gap[row - 1], gap[row], mask[row]
        for column in range(columns):
            here[column] = min(before[column] + 1, _FAR) if inside[column] else 0
    for row in range(rows - 2, -1, -1):
        below, here = gap[row + 1], gap[row]
        for column in range(columns):
            here[column] = min(here[column], below[column] + 1)
    return gap


@numba.njit(cache=True, nogil=True)
def _roots(count):  # type: ignore[no-untyped-def]
    out = np.empty(count, np.int32)
    for square in range(count):
        out[square] = np.int32(np.floor(np.sqrt(np.float64(square)) * 16))
    return out


@numba.njit(cache=True, nogil=True)
def _search(line, target, start, stop, table):  # type: ignore[no-untyped-def]
    """Look left and right of each pixel as far as something nearer may be. Ends of the run are background or border."""
    columns = line.size
    for column in range(start, stop):
        height = np.int64(line[column])
        best = height * height
        step = 1
        while step * step < best and step < columns:
            left, right = column - step, column + step
            if left >= 0:
                near = step * step + np.int64(line[left]) * line[left]
                best = min(best, near)
            if right < columns:
                near = step * step + np.int64(line[right]) * line[right]
                best = min(best, near)
            step += 1
        if best < table.size:
            target[column] = table[best]
        else:
            target[column] = np.int32(np.floor(np.sqrt(np.float64(best)) * 16))


@numba.njit(cache=True, nogil=True)
def _envelope(line, target, start, stop, hulls):  # type: ignore[no-untyped-def]
    """Lower envelope of the parabolas of a run and its two ends (Felzenszwalb and Huttenlocher 2012), in integers."""
    first, last = max(start - 1, 0), min(stop, line.size - 1)
    place, begin = hulls[0], hulls[1]
    top = 0
    place[0], begin[0] = first, first
    for column in range(first + 1, last + 1):
        while top >= 0:
            other = place[top]
            high, low = np.int64(line[column]), np.int64(line[other])
            # from here on the parabola at column is the lower one
            numerator = high * high + column * column - low * low - other * other
            cross = numerator // (2 * (column - other)) + 1
            if cross > begin[top]:
                break
            top -= 1
        if top < 0:
            top, cross = 0, first
            place[0], begin[0] = column, first
        elif cross <= last:
            top += 1
            place[top], begin[top] = column, cross
    column = stop - 1
    while column >= start:
        while begin[top] > column:
            top -= 1
        other = place[top]
        best = (column - other) * (column - other) + np.int64(line[other]) * line[other]
        target[column] = np.int32(np.floor(np.sqrt(np.float64(best)) * 16))
        column -= 1
