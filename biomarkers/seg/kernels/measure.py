"""Sums over nuclei in one pass, run by run; see :func:`biomarkers.seg.measure.sums`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import NUCLEUS, CellLabels
from biomarkers.seg.measure import LOWEST, Sums


def sums(amounts: tuple[NDArray[np.int16], NDArray[np.int16]], *, bodies: CellLabels, count: int) -> Sums:
    """Sum over nuclei 1..count; see :func:`biomarkers.seg.measure.sums`."""
    table = np.zeros((count + 1, 12), np.int64)
    table[:, 10:] = LOWEST
    columns = bodies.cells.shape[1]
    lines = np.empty((3, columns + 2), bodies.cells.dtype)
    _sum(*amounts, *bodies, lines, np.empty(columns, np.uint8), np.empty(columns + 2, np.int32), table)
    each = np.ascontiguousarray(table[1:].T)
    return Sums(each[:6], each[6], each[7], each[8], each[9], table[1:, 10:])


@numba.njit(cache=True, nogil=True)
def _sum(hematoxylin, dab, cells, parts, lines, edge, starts, table):  # type: ignore[no-untyped-def]
    """Add up runs of one nucleus, row by row; ``lines`` hold the nuclei of three rows in a frame."""
    rows, columns = cells.shape
    _keep_nuclei(cells[0], parts[0], lines[0])
    for y in range(rows):
        above, here, below = lines[max(y - 1, 0) % 3], lines[y % 3], lines[min(y + 1, rows - 1) % 3]
        if y + 1 < rows:
            _keep_nuclei(cells[y + 1], parts[y + 1], below)
        for x in range(columns):
            edge[x] = (
                np.uint8(above[x + 1] != here[x + 1])
                | np.uint8(below[x + 1] != here[x + 1])
                | np.uint8(here[x] != here[x + 1])
                | np.uint8(here[x + 2] != here[x + 1])
            )
        n = 0
        for x in range(columns):  # where a run begins, without a branch that none could guess
            starts[n] = x
            n += here[x + 1] != here[x]
        starts[n] = columns
        start, blues, browns = np.int64(0), hematoxylin[y], dab[y]
        for k in range(n + 1):
            stop = np.int64(starts[k])
            label = here[start + 1]
            if label > 0 and stop > start:
                _add(table, label, blues, browns, edge, start, stop, y)
            start = stop


@numba.njit(cache=True, nogil=True)
def _keep_nuclei(cells, parts, out):  # type: ignore[no-untyped-def]
    """Write a row of nuclei in a frame that repeats its ends: the border of the image is no edge."""
    for x in range(parts.size):
        out[x + 1] = cells[x] if parts[x] == NUCLEUS else cells.dtype.type(0)
    out[0], out[parts.size + 1] = out[1], out[parts.size]


@numba.njit(cache=True, nogil=True)
def _add(table, label, blues, browns, edge, start, stop, y):  # type: ignore[no-untyped-def]
    """Add pixels start..stop-1 of row y; columns are those of ``Sums``."""
    brown, blue, squares, edges = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    most_brown, most_blue = np.int16(LOWEST), np.int16(LOWEST)
    for x in range(np.uint64(start), np.uint64(stop)):  # unsigned: no place counts from the end
        one, other = blues[x], browns[x]
        blue += one
        brown += other
        squares += np.int32(one) * np.int32(one)
        edges += edge[x]
        most_blue, most_brown = max(most_blue, one), max(most_brown, other)
    size, last = stop - start, stop - 1
    across = (start + last) * size // 2
    table[label, 0] += size
    table[label, 1] += across
    table[label, 2] += size * y
    table[label, 3] += (last * (last + 1) * (2 * last + 1) - (start - 1) * start * (2 * start - 1)) // 6
    table[label, 4] += size * y * y
    table[label, 5] += across * y
    table[label, 6] += brown
    table[label, 7] += blue
    table[label, 8] += squares
    table[label, 9] += edges
    table[label, 10], table[label, 11] = (
        max(table[label, 10], np.int64(most_brown)),
        max(table[label, 11], np.int64(most_blue)),
    )
