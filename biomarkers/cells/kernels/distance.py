"""Exact Euclidean distance to the nearest background, as whole sixteenths of a pixel."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.pieces import SIXTEENTH
from biomarkers.cells.pieces import sixteenths as plain

FAR = 1 << 14  # above any side of an image that is looked at in one piece
_SHORT = 96  # pixels; in longer runs the search along the row would no longer be short
# distances of the first squares; floats beyond
ROOTS = np.floor(np.sqrt(np.arange(4096)) * SIXTEENTH).astype(np.int32)


def sixteenths(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Distance of each pixel of a mask to what is not; see :func:`biomarkers.cells.pieces.sixteenths`."""
    if mask.all():  # no background at all: the plain version's answer has no meaning but is kept
        return plain(mask)
    return exact(mask)


def exact(mask: NDArray[np.bool_], *, short: int = _SHORT) -> NDArray[np.int32]:
    """Return the distances; runs of more than ``short`` pixels are solved by their envelope."""
    gap = np.where(mask, np.int32(FAR), np.int32(0))
    column_gaps(gap)
    out = np.zeros(gap.shape, np.int32)
    place, begin = (np.empty(mask.shape[1] + 2, np.int64) for _ in range(2))
    _along_rows(gap, out, ROOTS, place, begin, short)
    return out


@numba.njit(cache=True, nogil=True)
def column_gaps(gap):  # type: ignore[no-untyped-def]
    """Distance to the nearest background in the same column, in place."""
    rows, columns = gap.shape
    for row in range(1, rows):
        before, here = gap[row - 1], gap[row]
        for column in range(columns):
            here[column] = min(here[column], before[column] + 1)
    for row in range(rows - 2, -1, -1):
        below, here = gap[row + 1], gap[row]
        for column in range(columns):
            here[column] = min(here[column], below[column] + 1)


@numba.njit(cache=True, nogil=True)
def _along_rows(gap, out, table, place, begin, short):  # type: ignore[no-untyped-def]
    rows, columns = gap.shape
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
            if column - start <= short:
                for x in range(start, column):
                    square = _nearest(line, x)
                    target[x] = table[square] if square < table.size else _sixteenths(square)
            else:
                _envelope(line, target, start, column, place, begin)


@numba.njit(cache=True, nogil=True)
def _sixteenths(square):  # type: ignore[no-untyped-def]
    return np.int32(np.floor(np.sqrt(np.float64(square)) * 16.0))


@numba.njit(cache=True, nogil=True)
def _nearest(line, x):  # type: ignore[no-untyped-def]
    """Look left and right of a pixel as far as something nearer may be; returns the squared distance."""
    best = np.int64(line[x]) * line[x]
    step, square = 1, 1
    while square < best and step < line.size:
        if x >= step:
            near = np.int64(line[x - step])
            best = min(best, square + near * near)
        if x + step < line.size:
            near = np.int64(line[x + step])
            best = min(best, square + near * near)
        step += 1
        square = step * step
    return best


@numba.njit(cache=True, nogil=True)
def _envelope(line, target, start, stop, place, begin):  # type: ignore[no-untyped-def]
    """Lower envelope of the parabolas of a run and its two ends (Felzenszwalb and Huttenlocher 2012), in integers."""
    first, last = max(start - 1, 0), min(stop, line.size - 1)
    top = 0
    place[0], begin[0] = first, first
    for column in range(first + 1, last + 1):
        cross = first
        while top >= 0:
            other = place[top]
            high, low = np.int64(line[column]), np.int64(line[other])
            # from here on the parabola at column is the lower one
            cross = (high * high + column * column - low * low - other * other) // (2 * (column - other)) + 1
            if cross > begin[top]:
                break
            top -= 1
        if top < 0:
            top, cross = -1, first
        if cross <= last:
            top += 1
            place[top], begin[top] = column, cross
    for column in range(stop - 1, start - 1, -1):
        while begin[top] > column:
            top -= 1
        other = place[top]
        near = np.int64(line[other])
        target[column] = _sixteenths((column - other) * (column - other) + near * near)
