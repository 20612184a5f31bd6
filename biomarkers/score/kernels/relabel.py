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
def _move(labels, place, k, state):  # type: ignore[no-untyped-def]
    """Give ``k`` random cells the label 1 and the others 0; ``place`` holds their numbers in any order."""
    most = 1.0 if 2 * k > labels.size else 0.0
    labels[:] = most
    for i in range(min(k, labels.size - k)):
        step, state = below(state, labels.size - i)
        drawn = place[i + step]
        place[i + step] = place[i]
        place[i] = drawn
        labels[drawn] = 1.0 - most
    return state


@numba.njit(cache=True, nogil=True, fastmath=True)
def _take_off(labels, terms, low, inverse, sums):  # type: ignore[no-untyped-def]
    """Leave of a stratum's labels, which begin at ``low``, what the terms (terms, cells) do not explain."""
    high = low + labels.size
    for c in range(sums.size):
        term, one = terms[c, low:high], 0.0
        for i in range(labels.size):
            one += term[i] * labels[i]
        sums[c] = one
    for c in range(sums.size):
        coefficient = 0.0
        for d in range(sums.size):
            coefficient += inverse[c, d] * sums[d]
        term = terms[c, low:high]
        for i in range(labels.size):
            labels[i] -= term[i] * coefficient


@numba.njit(cache=True, nogil=True)
def shuffled_pairs(label, start, k, terms, inverse, first, other, seed):  # type: ignore[no-untyped-def]
    """Sum products over neighbours of labels moved within strata, less what ``terms`` explain of them.

    ``k[m, s]`` labels of stratum s are moved the m-th time; ``terms`` are (terms, cells), none where labels are taken
    as they are; ``other[first[i]:first[i + 1]]`` are the neighbours of i.
    The first of the sums is that of the labels as they are. Eight moves are looked at side by side.
    """
    state = np.uint64(seed)
    n, width = len(k), len(terms)
    found = np.zeros(n + 1)
    held, sums = np.zeros((label.size, 8)), np.empty(width)
    most = np.diff(start).max()
    room, place = np.empty(most), np.empty(most, np.int32)
    for begin in range(0, n + 1, 8):
        many = min(8, n + 1 - begin)
        for s in range(start.size - 1):
            low, high = start[s], start[s + 1]
            labels, order = room[: high - low], place[: high - low]
            for i in range(high - low):
                order[i] = i
            for lane in range(many):
                if begin + lane == 0:
                    labels[:] = label[low:high]
                else:
                    state = _move(labels, order, k[begin + lane - 1, s], state)
                if width:
                    _take_off(labels, terms, low, inverse[s], sums)
                for i in range(high - low):
                    held[low + i, lane] = labels[i]
        a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = 0.0
        for i in range(label.size):
            b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = 0.0
            for j in range(first[i], first[i + 1]):
                to = other[j]
                b0 += held[to, 0]
                b1 += held[to, 1]
                b2 += held[to, 2]
                b3 += held[to, 3]
                b4 += held[to, 4]
                b5 += held[to, 5]
                b6 += held[to, 6]
                b7 += held[to, 7]
            a0 += b0 * held[i, 0]
            a1 += b1 * held[i, 1]
            a2 += b2 * held[i, 2]
            a3 += b3 * held[i, 3]
            a4 += b4 * held[i, 4]
            a5 += b5 * held[i, 5]
            a6 += b6 * held[i, 6]
            a7 += b7 * held[i, 7]
        found[begin : begin + many] = np.array((a0, a1, a2, a3, a4, a5, a6, a7))[:many]
    return found
