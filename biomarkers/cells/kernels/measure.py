"""Sums over nuclei and cells in one pass, run by run; see :func:`biomarkers.cells.measure.sums`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.measure import LOWEST, Sums


def sums(amounts: tuple[NDArray[np.int16], NDArray[np.int16]], *, nuclei: Labels, cells: Labels, count: int) -> Sums:
    """Sum over nuclei and cells 1..count; see :func:`biomarkers.cells.measure.sums`."""
    hematoxylin, dab = amounts
    table = np.zeros((count + 1, 15), np.int64)
    table[:, 13:] = LOWEST
    _sum(hematoxylin, dab, np.ascontiguousarray(nuclei), np.ascontiguousarray(cells), table)
    columns = np.ascontiguousarray(table[1:].T)
    return Sums(columns[:6], *columns[6:])


@numba.njit(cache=True, nogil=True)
def _sum(hematoxylin, dab, nuclei, cells, table):  # type: ignore[no-untyped-def]
    """Add up runs of one cell and one nucleus; columns are those of ``Sums``."""
    rows, columns = cells.shape
    for y in range(rows):
        line, inner, blues, browns = cells[y], nuclei[y], hematoxylin[y], dab[y]
        above, below = nuclei[max(y - 1, 0)], nuclei[min(y + 1, rows - 1)]
        cell, nucleus, start = line[0], inner[0], 0
        blue, brown, squares = np.int64(0), np.int64(0), np.int64(0)
        most_blue, most_brown = np.int16(LOWEST), np.int16(LOWEST)
        for x in range(columns):
            if line[x] != cell or inner[x] != nucleus:
                _add_cell(table, cell, x - start, brown, blue, most_brown, most_blue)
                if nucleus != 0:
                    _add_nucleus(table[nucleus], start, x, y, brown, blue, squares)
                    table[nucleus, 9] += _edges(inner, above, below, nucleus, start, x)
                cell, nucleus, start = line[x], inner[x], x
                blue, brown, squares = np.int64(0), np.int64(0), np.int64(0)
                most_blue, most_brown = np.int16(LOWEST), np.int16(LOWEST)
            one, other = blues[x], browns[x]
            blue += one
            brown += other
            squares += np.int32(one) * np.int32(one)
            most_blue, most_brown = max(most_blue, one), max(most_brown, other)
        _add_cell(table, cell, columns - start, brown, blue, most_brown, most_blue)
        if nucleus != 0:
            _add_nucleus(table[nucleus], start, columns, y, brown, blue, squares)
            table[nucleus, 9] += _edges(inner, above, below, nucleus, start, columns)


@numba.njit(cache=True, nogil=True)
def _add_cell(table, cell, size, brown, blue, most_brown, most_blue):  # type: ignore[no-untyped-def]
    own = table[cell]  # row 0 takes what lies outside cells and is left behind
    own[10] += size
    own[11] += brown
    own[12] += blue
    own[13], own[14] = max(own[13], np.int64(most_brown)), max(own[14], np.int64(most_blue))


@numba.njit(cache=True, nogil=True)
def _add_nucleus(own, start, stop, y, brown, blue, squares_of_blue):  # type: ignore[no-untyped-def]
    """Add pixels start..stop-1 of row y: their number, x, y, x^2, y^2, x*y, stains."""
    size, last = stop - start, stop - 1
    across = (start + last) * size // 2
    squares = (last * (last + 1) * (2 * last + 1) - (start - 1) * start * (2 * start - 1)) // 6
    own[0] += size
    own[1] += across
    own[2] += size * y
    own[3] += squares
    own[4] += size * y * y
    own[5] += across * y
    own[6] += brown
    own[7] += blue
    own[8] += squares_of_blue


@numba.njit(cache=True, nogil=True)
def _edges(line, above, below, label, start, stop):  # type: ignore[no-untyped-def]
    """Count the pixels of a run that have something else among their four neighbours; the border is no edge."""
    count = np.int64(0)
    for x in range(start, stop):
        count += (above[x] != label) | (below[x] != label)
    if start > 0 and above[start] == label and below[start] == label and line[start - 1] != label:
        count += 1
    last = stop - 1
    if stop < line.size and line[stop] != label and above[last] == label and below[last] == label:
        alone = start > 0 and line[start - 1] != label and last == start  # counted already
        count += 0 if alone else 1
    return count
