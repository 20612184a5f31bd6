"""Labels moved within strata, many times; see :mod:`biomarkers.score.relabel`.

Random numbers are those of splitmix64 (Steele, Lea and Flood 2014, OOPSLA), brought below a bound without bias (Lemire
2019, ACM Trans Model Comput Simul 29:3).
"""

from __future__ import annotations

import numba
import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX, _MIX_AGAIN = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@numba.njit(cache=True, nogil=True, inline="always")
def _mixed(state):  # type: ignore[no-untyped-def]
    z = (state ^ (state >> _30)) * _MIX
    z = (z ^ (z >> _27)) * _MIX_AGAIN
    return z ^ (z >> _31)


@numba.njit(cache=True, nogil=True)
def below(state, size):  # type: ignore[no-untyped-def]
    """Draw a whole number from 0 to size - 1 (below 2^32), and the state after it."""
    many = np.uint64(size)
    state += _STEP
    product = (_mixed(state) >> _32) * many
    if product & _LOW < many:
        least = (_LOW - many + np.uint64(1)) % many
        while product & _LOW < least:
            state += _STEP
            product = (_mixed(state) >> _32) * many
    return np.int64(product >> _32), state


@numba.njit(cache=True, nogil=True)
def shuffled_sums(value, start, k, n, seed):  # type: ignore[no-untyped-def]
    """Sum ``value`` over ``k`` random members of each stratum, ``n`` times; values of a stratum must sum to 0."""
    state = np.uint64(seed)
    found = np.zeros(n)
    held = value.copy()
    for s in range(k.size):
        size = start[s + 1] - start[s]
        few = min(k[s], size - k[s])  # the others sum to minus as much
        sign = 1.0 if few == k[s] else -1.0
        for one in range(n):
            total = 0.0
            for i in range(few):
                step, state = below(state, size - i)
                at, to = start[s] + i, start[s] + i + step
                drawn = held[to]
                held[to] = held[at]
                held[at] = drawn
                total += drawn
            found[one] += sign * total
    return found


@numba.njit(cache=True, nogil=True)
def _move(label, place, low, high, few, one, state):  # type: ignore[no-untyped-def]
    """Move the ``few`` labels of a stratum, held by the cells that ``place`` names first; ``one`` is the label."""
    for i in range(few):
        label[place[low + i]] = 1 - one
    for i in range(few):
        step, state = below(state, high - low - i)
        at, to = low + i, low + i + step
        drawn = place[to]
        place[to] = place[at]
        place[at] = drawn
        label[drawn] = one
    return state


@numba.njit(cache=True, nogil=True)
def shuffled_joins(label, place, start, few, rarer, first, other, n, seed):  # type: ignore[no-untyped-def]
    """Move labels within strata and count neighbours that both bear one, ``n`` + 1 times, first as they are.

    ``other[first[i]:first[i + 1]]`` are the neighbours of i; ``rarer`` is the rarer label (0 or 1) of each stratum,
    borne by ``few`` cells, which ``place`` names first.
    """
    state = np.uint64(seed)
    found = np.zeros(n + 1)
    for one in range(n + 1):
        if one > 0:
            for s in range(few.size):
                state = _move(label, place, start[s], start[s + 1], few[s], rarer[s], state)
        total = 0
        for i in range(label.size):
            if label[i]:
                for j in range(first[i], first[i + 1]):
                    total += label[other[j]]
        found[one] = total
    return found


@numba.njit(cache=True, nogil=True)
def shuffled_pairs(label, place, start, few, rarer, terms, inverse, first, other, n, seed):  # type: ignore[no-untyped-def]
    """As :func:`shuffled_joins`, of what ``terms`` leave of the labels; sums of products over neighbours."""
    state = np.uint64(seed)
    found = np.zeros(n + 1)
    left = np.empty(label.size)
    width = terms.shape[1]
    sums, coefficient = np.empty(width), np.empty(width)
    for one in range(n + 1):
        for s in range(few.size):
            low, high = start[s], start[s + 1]
            if one > 0:
                state = _move(label, place, low, high, few[s], rarer[s], state)
            sums[:] = 0.0  # of the rarer label: what is left of the other is minus what is left of it
            for i in range(low, low + few[s]):
                for c in range(width):
                    sums[c] += terms[place[i], c]
            for c in range(width):
                coefficient[c] = 0.0
                for d in range(width):
                    coefficient[c] += inverse[s, c, d] * sums[d]
            sign = 1.0 if rarer[s] == 1 else -1.0
            for i in range(low, high):
                fitted = 0.0
                for c in range(width):
                    fitted += terms[i, c] * coefficient[c]
                left[i] = sign * ((label[i] == rarer[s]) - fitted)
        total = 0.0
        for i in range(label.size):
            near = 0.0
            for j in range(first[i], first[i + 1]):
                near += left[other[j]]
            total += left[i] * near
        found[one] = total
    return found
