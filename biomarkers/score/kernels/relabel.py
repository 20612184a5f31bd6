"""Labels shuffled within strata, many times; see :mod:`biomarkers.score.relabel`."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def shuffled_sums(value, start, k, n, seed):  # type: ignore[no-untyped-def]
    """Sum ``value`` over ``k`` random members of each stratum, ``n`` times; values of a stratum must sum to 0."""
    np.random.seed(seed)  # noqa: NPY002 (numba)
    found = np.zeros(n)
    held = value.copy()
    for one in range(n):
        total = 0.0
        for s in range(k.size):
            size = start[s + 1] - start[s]
            few = min(k[s], size - k[s])  # the others sum to minus as much
            sign = 1.0 if few == k[s] else -1.0
            for i in range(few):
                at, other = start[s] + i, start[s] + i + np.random.randint(size - i)  # noqa: NPY002 (numba)
                held[at], held[other] = held[other], held[at]
                total += sign * held[at]
        found[one] = total
    return found


@numba.njit(cache=True, nogil=True)
def shuffled_pairs(label, start, terms, inverse, first, other, n, seed):  # type: ignore[no-untyped-def]
    """Shuffle labels within strata, take off what ``terms`` explain, and sum products over neighbours, ``n`` + 1 times.

    The first of the sums is that of the labels as they are. ``other[first[i]:first[i + 1]]`` are the neighbours of i.
    """
    np.random.seed(seed)  # noqa: NPY002 (numba)
    found = np.zeros(n + 1)
    held, left = label.copy(), np.empty(label.size)
    width = terms.shape[1]
    sums, coefficient = np.empty(width), np.empty(width)
    for one in range(n + 1):
        for s in range(start.size - 1):
            low, high = start[s], start[s + 1]
            if one > 0:
                for i in range(high - low - 1):
                    at, to = low + i, low + i + np.random.randint(high - low - i)  # noqa: NPY002 (numba)
                    held[at], held[to] = held[to], held[at]
            sums[:] = 0.0
            for i in range(low, high):
                for c in range(width):
                    sums[c] += terms[i, c] * held[i]
            for c in range(width):
                coefficient[c] = 0.0
                for d in range(width):
                    coefficient[c] += inverse[s, c, d] * sums[d]
            for i in range(low, high):
                fitted = 0.0
                for c in range(width):
                    fitted += terms[i, c] * coefficient[c]
                left[i] = held[i] - fitted
        total = 0.0
        for i in range(label.size):
            for j in range(first[i], first[i + 1]):
                total += left[i] * left[other[j]]
        found[one] = total
    return found
