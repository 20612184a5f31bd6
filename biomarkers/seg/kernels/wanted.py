"""Where in a window the cells lie whose outlines are read: those that its block owns."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import CYTOPLASM, CellLabels


def bounds_of(bodies: CellLabels, wanted: NDArray[np.bool_]) -> tuple[int, int, int, int, int]:
    """Bound the cells that are wanted.

    Parameters
    ----------
    bodies
        Grown cells: labels (height, width), and what is nucleus and what lies around one.
    wanted
        Whether each label is wanted, label 0 (none) first.

    Returns
    -------
    First row, the row after the last, first column, the column after the last, and the pixels around nuclei in there,
    those of other cells too. Rows and columns are empty where no cell is wanted.
    """
    labels = np.flatnonzero(wanted)
    lowest, highest = (int(labels[0]), int(labels[-1])) if labels.size else (1, 0)
    bounds: tuple[int, int, int, int, int] = _find_bounds(*bodies, wanted, lowest, highest)
    return bounds


@numba.njit(cache=True, nogil=True)
def _find_bounds(cells, parts, wanted, lowest, highest):  # type: ignore[no-untyped-def]
    """First row and column of the wanted cells, those after the last, and how many pixels grew between."""
    rows, columns = cells.shape
    top, bottom, left, right = 0, rows, columns, 0
    while top < rows and not _any_wanted(cells[top], wanted, lowest, highest):
        top += 1
    while bottom > top and not _any_wanted(cells[bottom - 1], wanted, lowest, highest):
        bottom -= 1
    for y in range(top, bottom):
        line = cells[y]
        for x in range(left):
            if wanted[np.uint32(line[x])]:
                left = x
                break
        for x in range(columns - 1, right - 1, -1):
            if wanted[np.uint32(line[x])]:
                right = x + 1
                break
    size = np.int64(0)
    for y in range(top, bottom):
        size += np.int64(_count_around(parts[y, left:right]))
    return top, bottom, left, max(left, right), size


@numba.njit(cache=True, nogil=True)
def _any_wanted(line, wanted, lowest, highest):  # type: ignore[no-untyped-def]
    """Tell whether a row holds a wanted label; most that do not hold none between the lowest and the highest either."""
    there = False
    for x in range(line.size):
        there |= (line[x] >= lowest) & (line[x] <= highest)
    if not there:
        return False
    there = False
    for x in range(line.size):
        there |= wanted[np.uint32(line[x])]
    return there


@numba.njit(cache=True, nogil=True)
def _count_around(parts):  # type: ignore[no-untyped-def]
    count = np.int32(0)
    for x in range(parts.size):
        count += np.int32(parts[x] == CYTOPLASM)
    return count
