"""Moments, tops and borders of basins in one pass, and their merging; see :mod:`biomarkers.seg.regions`."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.basins import ROOM_BITS
from biomarkers.seg.grow import Labels
from biomarkers.seg.regions import LEVELS, BasinRegions, Borders, MergeRule

_SPREAD = np.int64(-7046029254386353131)  # scatters keys over the table


def describe(
    labels: Labels, height: NDArray[np.int32], core: NDArray[np.bool_], *, tops: NDArray[np.int32]
) -> BasinRegions:
    """Moments and borders of basins; see :func:`biomarkers.seg.regions.describe`."""
    columns = core.shape[1]
    moments, start = np.zeros((tops.size, 2, 6), np.int64), np.empty(columns + 1, np.int64)
    _sum_runs(labels, np.ascontiguousarray(core).view(np.uint8), _powers(columns), start, moments)
    room = 1 << max(6, int(4 * tops.size).bit_length())
    while True:
        names, passes = np.zeros(room, np.int64), np.zeros(room, np.int32)
        count = _find_borders(labels, height, np.zeros(columns + 2, np.uint8), names, passes)
        if count >= 0:
            break
        room *= 4
    known, at = np.empty(count, np.int64), np.empty(count, np.int64)
    _list_known(names, known, at)
    borders = Borders(np.empty((count, 2), np.int32), np.empty(count, np.int32))
    _lay_out(np.argsort(known), known, at, passes, *borders)
    whole, strict = (np.empty((tops.size, 6), np.int64) for _ in range(2))
    highest = np.empty(tops.size, np.int32)
    _tell(moments, height.reshape(-1), tops, whole, strict, highest)
    return BasinRegions(whole, strict, highest, borders)


@lru_cache(maxsize=64)
def _powers(columns: int) -> NDArray[np.int64]:
    """Return sums of x and of x^2 over the columns before each, (2, columns + 1); not to be written to."""
    x = np.arange(columns + 1, dtype=np.int64)
    return np.stack([x * (x - 1) // 2, (x - 1) * x * (2 * x - 1) // 6])


def merge(regions: BasinRegions, *, rule: MergeRule) -> NDArray[np.int32]:
    """Which object each basin belongs to; see :func:`biomarkers.seg.regions.merge`."""
    into = np.empty(regions.tops.size, np.int32)
    numbers = np.array(rule.numbers(), np.float64)
    _merge(regions.whole.copy(), regions.core.copy(), regions.tops, *regions.borders, numbers, into)
    return into


@numba.njit(cache=True, nogil=True)
def _sum_runs(labels, core, powers, start, moments):  # type: ignore[no-untyped-def]
    """Add runs of one label, outside and inside the strict mask: pixels, x, y, x^2, y^2, x*y.

    Beginnings are written without asking: what is written stays where label or mask change. ``powers``: sums of x
    and of x^2 over the columns before.
    """
    rows, columns = core.shape
    for y in range(rows):
        here, strict = labels[y + 1], core[y]
        start[0], runs, last = 0, np.uint64(1), np.int32(2) * here[1] + np.int32(strict[0])
        for x in range(1, columns):
            what = np.int32(2) * here[x + 1] + np.int32(strict[x])
            start[runs] = x
            runs += np.uint64(what != last)
            last = what
        start[runs] = columns
        for run in range(np.int64(runs)):
            first, stop = start[run], start[run + 1]
            size, across = stop - first, powers[0, stop] - powers[0, first]
            sums = moments[here[first + 1], strict[first]]
            sums[0] += size
            sums[1] += across
            sums[2] += size * y
            sums[3] += powers[1, stop] - powers[1, first]
            sums[4] += size * y * y
            sums[5] += across * y


@numba.njit(cache=True, nogil=True)
def _find_borders(labels, height, differs, names, passes):  # type: ignore[no-untyped-def]
    """Mark where another basin lies to the right or below, then ask there; count pairs, or return -1 without room."""
    held = 0
    for y in range(1, labels.shape[0] - 1):
        here, below, level, under = labels[y], labels[y + 1], height[y], height[y + 1]
        for x in range(1, here.size - 1):
            one, down, right = here[x], below[x], here[x + 1]
            near = ((one != down) & (down != 0)) | ((one != right) & (right != 0))
            differs[x] = near & (one != 0)
        for x in range(1, here.size - 1):
            if differs[x] == 0:
                continue
            one, down, right = here[x], below[x], here[x + 1]
            if down != one and down != 0:
                held += _border(one, down, min(level[x], under[x]) >> ROOM_BITS, names, passes)
            if right != one and right != 0:
                held += _border(one, right, min(level[x], level[x + 1]) >> ROOM_BITS, names, passes)
        if 2 * held > names.size:
            return -1
    return held


@numba.njit(cache=True, nogil=True)
def _list_known(names, known, at):  # type: ignore[no-untyped-def]
    """List the pairs that are known and where they stand."""
    n = 0
    for place in range(names.size):
        if names[place] != 0:
            known[n], at[n] = names[place], place
            n += 1


@numba.njit(cache=True, nogil=True)
def _lay_out(order, known, at, passes, pairs, highest):  # type: ignore[no-untyped-def]
    """Write pairs and their passes in order."""
    for k in range(order.size):
        name = known[order[k]]
        pairs[k, 0], pairs[k, 1], highest[k] = name >> 32, name & 0xFFFFFFFF, passes[at[order[k]]]


@numba.njit(cache=True, nogil=True)
def _tell(moments, height, tops, whole, strict, highest):  # type: ignore[no-untyped-def]
    """Write sums over whole basins (none for 0) and over their strict parts, and the heights of their tops."""
    for k in range(tops.size):
        for field in range(6):
            inside = moments[k, 1, field] if k > 0 else 0
            strict[k, field] = inside
            whole[k, field] = moments[k, 0, field] + inside if k > 0 else 0
        highest[k] = height[tops[k]] >> ROOM_BITS


@numba.njit(cache=True, nogil=True)
def _border(one, other, level, names, passes):  # type: ignore[no-untyped-def]
    """Keep the highest pass between two basins; return 1 where they were not known as neighbours."""
    name = (np.int64(min(one, other)) << 32) + np.int64(max(one, other))
    room = np.int64(names.size - 1)
    at = ((name * _SPREAD) >> 20) & room
    while names[at] != 0 and names[at] != name:
        at = (at + 1) & room
    passes[at] = max(passes[at], level)
    if names[at] == name:
        return 0
    names[at] = name
    return 1


@numba.njit(cache=True, nogil=True)
def _fit(sums):  # type: ignore[no-untyped-def]
    """Area over that of the ellipse of the same second moments."""
    size = sums[0]
    if size == 0:
        return 0.0
    xx = np.float64(size * sums[3] - sums[1] * sums[1])
    yy = np.float64(size * sums[4] - sums[2] * sums[2])
    xy = np.float64(size * sums[5] - sums[1] * sums[2])
    square = np.float64(size) * np.float64(size)
    var_x, var_y, cov = xx / square + 1 / 12, yy / square + 1 / 12, xy / square
    return np.float64(size) / (4 * np.pi * np.sqrt(max(var_x * var_y - cov * cov, 1e-9)))


@numba.njit(cache=True, nogil=True)
def _fit_of_both(one, other, sums):  # type: ignore[no-untyped-def]
    for k in range(6):
        sums[k] = one[k] + other[k]
    return _fit(sums)


@numba.njit(cache=True, nogil=True)
def _score(a, b, gap, whole, core, tops, fits, rule, sums):  # type: ignore[no-untyped-def]
    """How much is gained by merging two objects; see :func:`biomarkers.seg.regions.gain`."""
    size_a, size_b = core[a, 0], core[b, 0]
    if size_a == 0 or size_b == 0 or size_a + size_b > rule[0]:
        return -1.0
    both = max(_fit_of_both(whole[a], whole[b], sums), _fit_of_both(core[a], core[b], sums))
    apart = (fits[a] * size_a + fits[b] * size_b) / (size_a + size_b)
    low = min(tops[a], tops[b])
    gained = rule[1] * (both - apart) + rule[2] * (gap / max(low, 1e-6) - rule[3])
    if low - gap < rule[4]:
        gained += rule[5]
    if min(size_a, size_b) < rule[6]:
        gained += rule[7]
    return gained


@numba.njit(cache=True, nogil=True)
def _push(heap, links, size, score, a, b, ages):  # type: ignore[no-untyped-def]
    at = size
    heap[at] = score
    links[at, 0], links[at, 1], links[at, 2], links[at, 3] = a, b, ages[a], ages[b]
    while at > 0:
        above = (at - 1) // 2
        if not _before(heap, links, at, above):
            break
        _swap(heap, links, at, above)
        at = above
    return size + 1


@numba.njit(cache=True, nogil=True)
def _pop(heap, links, size):  # type: ignore[no-untyped-def]
    """Take the best off; it stands at ``size - 1`` afterwards."""
    last = size - 1
    _swap(heap, links, 0, last)
    at = 0
    while True:
        best, left = at, 2 * at + 1
        if left < last and _before(heap, links, left, best):
            best = left
        if left + 1 < last and _before(heap, links, left + 1, best):
            best = left + 1
        if best == at:
            return last
        _swap(heap, links, at, best)
        at = best


@numba.njit(cache=True, nogil=True)
def _before(heap, links, one, other):  # type: ignore[no-untyped-def]
    """Tell which pair comes first; of equal gains the lower numbers, whose order does not depend on the window."""
    if heap[one] != heap[other]:
        return heap[one] > heap[other]
    if links[one, 0] != links[other, 0]:
        return links[one, 0] < links[other, 0]
    return links[one, 1] < links[other, 1]


@numba.njit(cache=True, nogil=True)
def _swap(heap, links, one, other):  # type: ignore[no-untyped-def]
    heap[one], heap[other] = heap[other], heap[one]
    for k in range(4):
        links[one, k], links[other, k] = links[other, k], links[one, k]


@numba.njit(cache=True, nogil=True)
def _find(first, after, to, a, b):  # type: ignore[no-untyped-def]
    """Return the border of a that leads to b, -1 without one."""
    at = first[a]
    while at >= 0 and to[at] != b:
        at = after[at]
    return at


@numba.njit(cache=True, nogil=True)
def _merge(whole, core, heights, pairs, pass_heights, rule, into):  # type: ignore[no-untyped-def]
    """Merge the best pair again and again. Borders are kept as two linked half-borders, 2 k and 2 k + 1."""
    count, borders = into.size, pairs.shape[0]
    tops, passes = np.empty(count, np.float64), np.empty(borders, np.float64)
    _take_roots(heights, tops)
    _take_roots(pass_heights, passes)
    for a in range(count):
        into[a] = a
    first, after = np.full(count, -1, np.int32), np.empty(2 * borders, np.int32)
    to, gaps = np.empty(2 * borders, np.int32), np.empty(2 * borders, np.float64)
    fits, ages, sums = np.empty(count, np.float64), np.zeros(count, np.int32), np.empty(6, np.int64)
    for a in range(count):
        fits[a] = max(_fit(whole[a]), _fit(core[a])) if core[a, 0] > 0 else 0.0
    for k in range(borders):
        for side in range(2):
            at, a = 2 * k + side, pairs[k, side]
            to[at], gaps[at], after[at], first[a] = pairs[k, 1 - side], passes[k], first[a], at
    room = 4 * borders + 16
    heap, links, size = np.empty(room, np.float64), np.empty((room, 4), np.int32), 0
    for k in range(borders):
        score = _score(pairs[k, 0], pairs[k, 1], passes[k], whole, core, tops, fits, rule, sums)
        if score > 0:
            size = _push(heap, links, size, score, pairs[k, 0], pairs[k, 1], ages)
    while size > 0:
        size = _pop(heap, links, size)
        a, b = links[size, 0], links[size, 1]
        if ages[a] != links[size, 2] or ages[b] != links[size, 3]:
            continue
        into[b] = a
        ages[a] += 1
        ages[b] = -1
        for k in range(6):
            whole[a, k] += whole[b, k]
            core[a, k] += core[b, k]
        tops[a] = max(tops[a], tops[b])
        fits[a] = max(_fit(whole[a]), _fit(core[a]))
        _hand_over(a, b, first, after, to, gaps)
        at = first[a]
        while at >= 0:
            other = to[at]
            if other >= 0:
                low, high = min(a, other), max(a, other)
                score = _score(low, high, gaps[at], whole, core, tops, fits, rule, sums)
                if score > 0:
                    if size == heap.size:
                        heap, links = _wider(heap, links)
                    size = _push(heap, links, size, score, low, high, ages)
            at = after[at]
    for a in range(count):  # an object goes by its lowest number
        at = a
        while into[at] != at:
            at = into[at]
        into[a] = at


@numba.njit(cache=True, nogil=True)
def _take_roots(heights, out):  # type: ignore[no-untyped-def]
    """Distances, px, of heights, which are squares."""
    for k in range(out.size):
        out[k] = np.sqrt(np.float64(heights[k]) / LEVELS)


@numba.njit(cache=True, nogil=True)
def _hand_over(a, b, first, after, to, gaps):  # type: ignore[no-untyped-def]
    """Give the borders of b to a."""
    at = first[b]
    while at >= 0:
        following, other = after[at], to[at]
        if other == a:
            to[at ^ 1] = -1
        elif other >= 0:
            same = _find(first, after, to, a, other)
            if same >= 0:
                gaps[same] = max(gaps[same], gaps[at])
                gaps[same ^ 1] = gaps[same]
                to[at ^ 1] = -1
            else:
                to[at ^ 1] = a
                after[at], first[a] = first[a], at
        at = following
    first[b] = -1


@numba.njit(cache=True, nogil=True)
def _wider(heap, links):  # type: ignore[no-untyped-def]
    more, wide = np.empty(2 * heap.size, np.float64), np.empty((2 * heap.size, 4), np.int32)
    more[: heap.size], wide[: heap.size] = heap, links
    return more, wide
