"""Who is beside whom, found in rows as tall as neighbours reach; see :mod:`biomarkers.score.neighbours`."""

from __future__ import annotations

import math

import numba
import numpy as np


def level_around(
    xy: np.ndarray, radius: np.ndarray, stained: np.ndarray, *, share: float, reach: float, gap: float
) -> np.ndarray:
    """Level that a share of the neighbours reaches; see :func:`biomarkers.score.neighbours.level_around`."""
    row = np.floor(xy[:, 1] / reach)
    order = np.lexsort((xy[:, 0], row))
    rows, starts = np.unique(row[order], return_index=True)
    level = np.zeros(len(xy))
    x, y = (np.ascontiguousarray(xy[order, axis]) for axis in (0, 1))
    _levels(x, y, radius[order], stained[order], rows, np.append(starts, len(xy)), reach, gap, share, order, level)
    return level


@numba.njit(cache=True, nogil=True)
def _levels(x, y, radius, stained, rows, starts, reach, gap, share, order, level):  # type: ignore[no-untyped-def]
    """Look at the row above, the same and the row below; in each, cells lie from left to right."""
    near = np.empty(x.size, np.float64)
    first = np.empty(3, np.int64)
    for k in range(rows.size):
        for d in range(3):
            first[d] = starts[min(max(k + d - 1, 0), rows.size - 1)]
        for i in range(starts[k], starts[k + 1]):
            count = 0
            for d in range(3):
                other = k + d - 1
                if other < 0 or other >= rows.size or abs(rows[other] - rows[k]) > 1:
                    continue
                end = starts[other + 1]
                while first[d] < end and x[first[d]] < x[i] - reach:
                    first[d] += 1
                j = first[d]
                while j < end and x[j] <= x[i] + reach:
                    dx, dy, discs = x[j] - x[i], y[j] - y[i], radius[i] + radius[j] + gap
                    away = dx * dx + dy * dy
                    if j != i and away <= reach * reach and away < discs * discs:
                        place = count
                        while place > 0 and near[place - 1] < stained[j]:
                            near[place] = near[place - 1]
                            place -= 1
                        near[place] = stained[j]
                        count += 1
                    j += 1
            if count > 0:
                level[order[i]] = near[math.ceil(share * count - 1e-9) - 1]
