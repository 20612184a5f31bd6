"""Row totals and wanted genes of a stretch of a sparse matrix, in one pass."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def scan_rows(
    data: np.ndarray,
    indices: np.ndarray,
    starts: np.ndarray,
    slot: np.ndarray,
    special: np.ndarray,
    totals: np.ndarray,
    values: np.ndarray,
) -> None:  # pragma: no cover  (compiled; held to scipy by tests)
    """Fill totals and wanted values of the rows of one stretch. Every index must have been checked before.

    Parameters
    ----------
    data, indices
        (k,) stored values and their columns, all in range.
    starts
        (r + 1,) where each row begins in this stretch.
    slot
        (n_columns,) position among the wanted genes, -1 for others, -2 for columns that are no genes and not summed.
    special
        (n_columns,) uint8: 0 where ``slot`` is -1. Small enough to stay in the nearest cache.
    totals
        (r,) float64, filled. Four running sums, so that one addition need not wait for the last.
    values
        (r, wanted) float64, added to.
    """
    for row in range(len(starts) - 1):
        numbers, columns = data[starts[row] : starts[row + 1]], indices[starts[row] : starts[row + 1]]
        n = len(numbers)
        one, two, three, four = 0.0, 0.0, 0.0, 0.0
        for k in range(n // 4):
            one += np.float64(numbers[4 * k])
            two += np.float64(numbers[4 * k + 1])
            three += np.float64(numbers[4 * k + 2])
            four += np.float64(numbers[4 * k + 3])
        for k in range(n - n % 4, n):
            one += np.float64(numbers[k])
        total = (one + two) + (three + four)
        for k in range(n):
            column = np.uint64(columns[k])
            if special[column]:
                where = slot[column]
                if where >= 0:
                    values[row, where] += np.float64(numbers[k])
                else:
                    total -= np.float64(numbers[k])
        totals[row] = total
