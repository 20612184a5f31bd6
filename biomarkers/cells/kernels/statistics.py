"""Counts, sums, squares and maxima over labels in one pass; see :func:`biomarkers.cells.measure.totals`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.measure import LOWEST, Totals


def totals(values: NDArray[np.int32], labels: Labels, count: int) -> Totals:
    """Sum values over each label; see :func:`biomarkers.cells.measure.totals`."""
    table = np.zeros((count + 1, 4), np.int64)
    table[:, 3] = LOWEST
    _sum(np.ascontiguousarray(values).ravel(), np.ascontiguousarray(labels).ravel(), table)
    size, total, squares, highest = np.ascontiguousarray(table[1:].T)
    return Totals(size, total, squares, highest)


def edge_pixels(labels: Labels, count: int) -> NDArray[np.int64]:
    """Count the outermost pixels of each label; see :func:`biomarkers.cells.measure.edge_pixels`."""
    out = np.zeros(count + 1, np.int64)
    _count_edges(np.pad(labels, 1, mode="edge"), out)
    return out[1:]


@numba.njit(cache=True, nogil=True)
def _sum(values, labels, table):  # type: ignore[no-untyped-def]
    for k in range(labels.size):
        if labels[k] != 0:
            own, value = table[labels[k]], np.int64(values[k])
            own[0] += 1
            own[1] += value
            own[2] += value * value
            own[3] = max(own[3], value)


@numba.njit(cache=True, nogil=True)
def _count_edges(framed, out):  # type: ignore[no-untyped-def]
    for row in range(1, framed.shape[0] - 1):
        above, here, below = framed[row - 1], framed[row], framed[row + 1]
        for x in range(1, here.size - 1):
            label = here[x]
            if label != 0:
                out[label] += (
                    (here[x - 1] != label) | (here[x + 1] != label) | (above[x] != label) | (below[x] != label)
                )
