"""Labels that grow: flooding and expansion by queues of the pixels that may be reached next.

Images stand in a frame one pixel wide, so that no neighbour of a pixel lies outside; places are flat.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.kernels.pieces import fill_single_areas


def flood(seeds: Labels, *, height: NDArray[np.int32], mask: NDArray[np.bool_]) -> Labels:
    """Watershed inside a mask; see :func:`biomarkers.cells.grow.flood`. Heights are 0 or more.

    Areas with one seed need no flooding. Each other one is flooded by itself, which keeps the pixels that are worked on
    close together.
    """
    framed = np.pad(seeds, 1)  # a label, 0 = taken or outside, below 0: free, -1 - height
    free = mask & (seeds == 0)
    np.copyto(framed[1:-1, 1:-1], -1 - height, where=free)
    flat, around = framed.ravel(), _around(framed)
    places = fill_single_areas(seeds, framed)
    heads = np.full(int(height.max(initial=0)) + 1, -1, np.int32)
    after, ring, given = (np.empty(flat.size, np.int32) for _ in range(3))
    _flood(flat, around, *places, framed.shape[1], heads, after, ring, given)
    return np.maximum(framed[1:-1, 1:-1], 0)


def expand(labels: Labels, *, steps: int) -> Labels:
    """Grow labels by rings; see :func:`biomarkers.cells.grow.expand`."""
    return _grown(labels, steps)[1:-1, 1:-1].copy()


def close_labels(labels: Labels, *, steps: int) -> Labels:
    """Close bites of each label; see :func:`biomarkers.cells.grow.close_labels`."""
    if steps < 1 or not labels.any():
        return labels
    grown = _grown(labels, steps)
    # the frame repeats the border: it is nobody's edge
    grown[0], grown[-1], grown[:, 0], grown[:, -1] = grown[1], grown[-2], grown[:, 1], grown[:, -2]
    edge = np.zeros((labels.shape[0] + 2 * steps, labels.shape[1] + 2 * steps), np.uint8)
    down, right = np.mgrid[1 - steps : steps, 1 - steps : steps]
    moves = np.argwhere(down * down + right * right < steps * steps) + 1
    out = np.empty_like(labels)
    _shrink(np.ascontiguousarray(labels), grown, edge, moves, steps, np.empty(labels.shape[1], np.uint8), out)
    return out


def _grown(labels: Labels, steps: int) -> Labels:
    """Grow labels and leave them in their frame."""
    now = np.pad(labels, 1)
    then = np.zeros_like(now)
    for step in range(steps):
        (_ring_of_eight if step % 2 == 1 else _ring_of_four)(now, then)
        now, then = then, now
    return np.maximum(now, 0, out=now)


def _around(framed: Labels) -> NDArray[np.int64]:
    """Return the moves to the eight neighbours, the four nearest ones first."""
    wide = framed.shape[1]
    return np.array([-wide, -1, 1, wide, -wide - 1, -wide + 1, wide - 1, wide + 1])


@numba.njit(cache=True, nogil=True)
def _flood(flat, around, places, ends, wide, heads, after, ring, given):  # type: ignore[no-untyped-def]
    """Keep one linked list a level of the pixels beside a label, area by area."""
    begin = 0
    for area in range(ends.size):
        most = -1
        for k in range(begin, ends[area]):
            most = max(most, _ask(flat, around, places[k], heads, after, heads.size - 1))
        begin = ends[area]
        now = most
        while now >= 0:
            count = 0
            place = heads[now]
            while place >= 0:  # all pixels of a ring look before any of them changes
                ring[count], given[count] = place, _label_beside(flat, around, place)
                count += 1
                place = after[place]
            heads[now] = -1
            for k in range(count):
                flat[ring[k]] = given[k]
            for k in range(count):
                if given[k] > 0:
                    _ask(flat, around, ring[k], heads, after, now)
            while now >= 0 and heads[now] < 0:
                now -= 1


@numba.njit(cache=True, nogil=True)
def _ask(flat, around, place, heads, after, now):  # type: ignore[no-untyped-def]
    """Put the free neighbours of a labelled pixel into the list of their level, or of the present one."""
    highest = -1
    for k in range(8):
        near = place + around[k]
        if flat[near] < 0:
            at = min(-1 - flat[near], now)
            after[near] = heads[at]
            heads[at] = near
            flat[near] = 0
            highest = max(highest, at)
    return highest


@numba.njit(cache=True, nogil=True)
def _label_beside(flat, around, place):  # type: ignore[no-untyped-def]
    """Return the label among the neighbours of a pixel, 0 where there are two or none.

    Without branches: as unsigned numbers, what is no label is larger than any label less one.
    """
    highest, lowest = np.int32(0), np.uint32(0xFFFFFFFF)
    for k in range(8):
        label = flat[place + around[k]]
        highest, lowest = max(highest, label), min(lowest, np.uint32(label - 1))
    return highest if lowest + 1 == highest else np.int32(0)


@numba.njit(cache=True, nogil=True)
def _ring_of_four(now, then):  # type: ignore[no-untyped-def]
    """One step in four directions: 0 is free, above 0 a label, -1 a line between labels."""
    for row in range(1, now.shape[0] - 1):
        here, target = now[row], then[row][1:-1]
        one, two, three, four, middle = now[row - 1][1:-1], here[:-2], here[2:], now[row + 1][1:-1], here[1:-1]
        for x in range(target.size):
            high = max(max(one[x], two[x]), max(three[x], four[x]))
            low = min(
                min(np.uint32(one[x] - 1), np.uint32(two[x] - 1)), min(np.uint32(three[x] - 1), np.uint32(four[x] - 1))
            )
            only = high if low == np.uint32(high - 1) else np.int32(-1)
            reached = only if high > 0 else np.int32(0)
            target[x] = middle[x] if middle[x] != 0 else reached


@numba.njit(cache=True, nogil=True)
def _ring_of_eight(now, then):  # type: ignore[no-untyped-def]
    """One step in eight directions."""
    for row in range(1, now.shape[0] - 1):
        above, here, below, target = now[row - 1], now[row], now[row + 1], then[row][1:-1]
        one, two, three = above[:-2], above[1:-1], above[2:]
        four, middle, five = here[:-2], here[1:-1], here[2:]
        six, seven, eight = below[:-2], below[1:-1], below[2:]
        for x in range(target.size):
            high = max(
                max(max(one[x], two[x]), max(three[x], four[x])), max(max(five[x], six[x]), max(seven[x], eight[x]))
            )
            low = min(
                min(np.uint32(one[x] - 1), np.uint32(two[x] - 1)), min(np.uint32(three[x] - 1), np.uint32(four[x] - 1))
            )
            low = min(
                min(low, min(np.uint32(five[x] - 1), np.uint32(six[x] - 1))),
                min(np.uint32(seven[x] - 1), np.uint32(eight[x] - 1)),
            )
            only = high if low == np.uint32(high - 1) else np.int32(-1)
            reached = only if high > 0 else np.int32(0)
            target[x] = middle[x] if middle[x] != 0 else reached


@numba.njit(cache=True, nogil=True)
def _shrink(labels, grown, edge, moves, steps, near, out):  # type: ignore[no-untyped-def]
    """Keep what was gained where no outermost pixel of the grown labels lies nearer than ``steps``."""
    rows, columns = labels.shape
    for row in range(rows):
        above, here, below, target = grown[row], grown[row + 1], grown[row + 2], edge[row + steps]
        for x in range(columns):
            label = here[x + 1]
            other = (here[x] != label) | (here[x + 2] != label) | (above[x + 1] != label) | (below[x + 1] != label)
            target[x + steps] = other & (label != 0)
    for row in range(rows):
        for x in range(columns):
            near[x] = 0
        for k in range(moves.shape[0]):
            begin = moves[k, 1]
            line = edge[row + moves[k, 0]][begin : begin + columns]
            for x in range(columns):
                near[x] |= line[x]
        have, gained, target = labels[row], grown[row + 1][1:-1], out[row]
        for x in range(columns):
            target[x] = have[x] if have[x] != 0 or near[x] != 0 else gained[x]
