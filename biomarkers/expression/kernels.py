"""One stretch of a sparse matrix: what its values and indices span, row totals, and the wanted genes.

Held to numpy and scipy by tests. Loops are plain so that the compiler makes them wide; nothing is looked up by an index
before the span of the indices is known.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def spans(data: np.ndarray, bits: np.ndarray, indices: np.ndarray, sign: int) -> tuple:  # pragma: no cover  (compiled)
    """Return what a stretch spans.

    Parameters
    ----------
    data
        (k,) float values, at least one.
    bits
        The same memory as signed integers of the same width: not below 0, floats are ordered as these are, and a value
        that is not finite is larger than every finite one.
    indices
        (k,) integers.
    sign
        All bits but the sign, in the width of ``bits``.

    Returns
    -------
    Smallest bits, largest bits without the sign, smallest and largest index, and whether all values that fit into an
    integer of that width are whole.
    """
    low, high = bits[0], bits[0] & sign
    first, last = indices[0], indices[0]
    for k in range(len(bits)):
        low = min(low, bits[k])
        high = max(high, bits[k] & sign)
    for k in range(len(indices)):
        first = min(first, indices[k])
        last = max(last, indices[k])
    broken = 0
    for k in range(len(data)):
        broken += data[k] != data.dtype.type(bits.dtype.type(data[k]))
    return low, high, first, last, broken == 0


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def row_totals(data: np.ndarray, starts: np.ndarray, totals: np.ndarray) -> None:  # pragma: no cover  (compiled)
    """Fill the sums of rows that begin at ``starts`` (r + 1,), in any order of addition: sums of counts are exact."""
    for row in range(len(totals)):
        total = 0.0
        for number in data[starts[row] : starts[row + 1]]:
            total += np.float64(number)
        totals[row] = total


@numba.njit(cache=True, nogil=True)
def pick(
    data: np.ndarray,
    indices: np.ndarray,
    starts: np.ndarray,
    slot: np.ndarray,
    special: np.ndarray,
    totals: np.ndarray,
    values: np.ndarray,
) -> None:  # pragma: no cover  (compiled)
    """Add the wanted genes of each row to ``values``, and take what is no gene out of ``totals``.

    Parameters
    ----------
    data, indices
        (k,) stored values and their columns, all in range.
    starts
        (r + 1,) where each row begins.
    slot
        (n_columns,) position among the wanted genes, -1 for others, -2 for columns that are no genes.
    special
        The columns where ``slot`` is not -1, rising. Few against the length of a row, they are searched in it where its
        columns rise.
    totals
        (r,), changed.
    values
        (r, wanted), added to.
    """
    for row in range(len(totals)):
        numbers, columns = data[starts[row] : starts[row + 1]], indices[starts[row] : starts[row + 1]]
        n = len(numbers)
        falls = 0
        for k in range(1, n):
            falls += columns[k] <= columns[k - 1]
        if falls == 0 and len(special) * 16 < n:
            at = 0
            for wanted in special:
                at += np.searchsorted(columns[at:], wanted)
                if at < n and columns[at] == wanted:
                    _add(slot[wanted], np.float64(numbers[at]), row, totals, values)
        else:
            for k in range(n):
                where = slot[np.uint64(columns[k])]
                if where != -1:
                    _add(where, np.float64(numbers[k]), row, totals, values)


@numba.njit(cache=True, nogil=True, inline="always")
def _add(where: int, value: float, row: int, totals: np.ndarray, values: np.ndarray) -> None:  # pragma: no cover
    if where >= 0:
        values[row, where] += value
    else:
        totals[row] -= value
