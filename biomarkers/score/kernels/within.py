"""Who lies within a radius of whom, found in rows as tall as the radius; within a row cells lie from left to right."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

_ROOM = 1.0001  # rows are this much taller than the radius, so that rounding parts no two cells at exactly the radius


def counts_within(xy: NDArray[np.float64], counted: NDArray[np.bool_], radius: float) -> NDArray[np.int64]:
    """Count for each cell the counted others within the radius (at exactly the radius as well), (n,)."""
    found = np.zeros(len(xy), dtype=np.int64)
    if len(xy):
        x, y, order, rows, starts = _in_rows(xy, radius)
        _count(x, y, counted[order], rows, starts, radius, _ROOM * radius, order, found)
    return found


def lists_within(
    xy: NDArray[np.float64], counted: NDArray[np.bool_], radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """List for each cell the counted others within the radius: ``other[first[i]:first[i + 1]]``."""
    first = np.zeros(len(xy) + 1, dtype=np.int64)
    if not len(xy):
        return first, np.empty(0, dtype=np.int32)
    x, y, order, rows, starts = _in_rows(xy, radius)
    many = np.zeros(len(xy), dtype=np.int64)
    _count(x, y, counted[order], rows, starts, radius, _ROOM * radius, order, many)
    np.cumsum(many, out=first[1:])
    other = np.empty(first[-1], dtype=np.int32)
    _list(x, y, counted[order], rows, starts, radius, _ROOM * radius, order, first, other)
    return first, other


def _in_rows(
    xy: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return x, y and numbers of the cells by rows and from left to right, the rows, and where each begins."""
    row = np.floor((xy[:, 1] - xy[:, 1].min()) / (_ROOM * radius))
    order = np.lexsort((xy[:, 0], row))
    rows, starts = np.unique(row[order], return_index=True)
    x, y = (np.ascontiguousarray(xy[order, axis]) for axis in (0, 1))
    return x, y, order, rows, np.append(starts, len(xy))


@numba.njit(cache=True, nogil=True)
def _count(x, y, counted, rows, starts, radius, reach, order, found):  # type: ignore[no-untyped-def]
    for k in range(rows.size):
        for other in range(max(k - 1, 0), min(k + 2, rows.size)):
            if abs(rows[other] - rows[k]) > 1:
                continue
            low, end = starts[other], starts[other + 1]
            for i in range(starts[k], starts[k + 1]):
                while low < end and x[low] < x[i] - reach:
                    low += 1
                many, j = 0, low
                while j < end and x[j] <= x[i] + reach:
                    dx, dy = x[j] - x[i], y[j] - y[i]
                    many += (dx * dx + dy * dy <= radius * radius) & (j != i) & counted[j]
                    j += 1
                found[order[i]] += many


@numba.njit(cache=True, nogil=True)
def _list(x, y, counted, rows, starts, radius, reach, order, first, lists):  # type: ignore[no-untyped-def]
    filled = first[:-1].copy()
    for k in range(rows.size):
        for other in range(max(k - 1, 0), min(k + 2, rows.size)):
            if abs(rows[other] - rows[k]) > 1:
                continue
            low, end = starts[other], starts[other + 1]
            for i in range(starts[k], starts[k + 1]):
                while low < end and x[low] < x[i] - reach:
                    low += 1
                j = low
                while j < end and x[j] <= x[i] + reach:
                    dx, dy = x[j] - x[i], y[j] - y[i]
                    if dx * dx + dy * dy <= radius * radius and j != i and counted[j]:
                        lists[filled[order[i]]] = order[j]
                        filled[order[i]] += 1
                    j += 1
