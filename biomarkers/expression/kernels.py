"""One pass over a stretch of a sparse matrix: row totals, wanted genes, extremes, and a check of every index."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def scan_rows(
    data: np.ndarray,
    indices: np.ndarray,
    starts: np.ndarray,
    slot: np.ndarray,
    totals: np.ndarray,
    values: np.ndarray,
    seen: np.ndarray,
) -> int:  # pragma: no cover  (compiled; held to scipy by tests)
    """Fill totals and wanted values of the rows of one stretch.

    Parameters
    ----------
    data, indices
        (k,) stored values and their columns.
    starts
        (r + 1,) where each row begins in this stretch.
    slot
        (n_columns,) position among the wanted genes, -1 for others, -2 for columns that are no genes and not summed.
    totals
        (r,) float64, filled.
    values
        (r, wanted) float64, added to.
    seen
        (3,) float64: smallest, largest, and 0 once a value is not whole; updated.

    Returns
    -------
    -1 when all is well; otherwise the position of the first index out of range or value not finite.
    """
    n_columns = len(slot)
    low, high, whole = seen[0], seen[1], seen[2]
    for row in range(len(starts) - 1):
        total = 0.0
        for k in range(starts[row], starts[row + 1]):
            column = indices[k]
            if column < 0 or column >= n_columns:
                return k
            value = np.float64(data[k])
            if not np.isfinite(value):
                return k
            where = slot[column]
            if where == -2:
                continue
            total += value
            low = min(low, value)
            high = max(high, value)
            if value != np.floor(value):
                whole = 0.0
            if where >= 0:
                values[row, where] += value
        totals[row] = total
    seen[0], seen[1], seen[2] = low, high, whole
    return -1
