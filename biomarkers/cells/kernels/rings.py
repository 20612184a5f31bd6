"""Labels that grow: flooding and expansion by queues of the pixels that may be reached next.

Images stand in a frame one pixel wide, so that no neighbour of a pixel lies outside; places are flat.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.kernels.pieces import areas_of_seeds


def flood(seeds: Labels, *, height: NDArray[np.int32], mask: NDArray[np.bool_]) -> Labels:
    """Watershed inside a mask; see :func:`biomarkers.cells.grow.flood`. Heights are 0 or more.

    Each connected area is flooded by itself, which keeps the pixels that are worked on close together.
    """
    framed = np.pad(seeds, 1)  # a label, 0 = taken or outside, below 0: free, -1 - height
    free = mask & (seeds == 0)
    np.copyto(framed[1:-1, 1:-1], -1 - height, where=free)
    flat, around = framed.ravel(), _around(framed)
    places = areas_of_seeds(seeds, free | (seeds != 0))
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
    near = down * down + right * right
    order = np.argsort(near, axis=None, kind="stable")
    order = order[near.ravel()[order] < steps * steps]
    moves = (down * edge.shape[1] + right).ravel()[order]
    out = labels.copy()
    _shrink(out, grown, edge, edge.ravel(), moves, steps)
    return out


def _grown(labels: Labels, steps: int) -> Labels:
    grown = np.pad(labels, 1)
    state = np.ones(grown.shape, np.uint8)  # 0 free, 1 taken or outside, 2 waiting
    np.not_equal(labels, 0, out=state[1:-1, 1:-1], casting="unsafe")
    waiting, fresh, given = (np.empty(labels.size, np.int32) for _ in range(3))
    beside = np.zeros(grown.shape[1], np.uint8)
    count = _first_ring(state, beside, waiting)
    around = _around(grown)
    _expand(grown.ravel(), state.ravel(), around, steps, waiting, fresh, given, count)
    return grown


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
                ring[count], given[count] = place, max(_label_beside(flat, around, 8, place), 0)
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
def _label_beside(flat, around, count, place):  # type: ignore[no-untyped-def]
    """Return the label among the first neighbours of a pixel, 0 where there are two, -1 where there is none."""
    found = -1
    for k in range(count):
        label = flat[place + around[k]]
        if label > 0 and label != found:
            if found > 0:
                return 0
            found = label
    return found


@numba.njit(cache=True, nogil=True)
def _first_ring(state, beside, waiting):  # type: ignore[no-untyped-def]
    """Find the free pixels with a label among their eight neighbours. The frame counts as taken, not as labelled."""
    rows, columns = state.shape
    count = 0
    for row in range(1, rows - 1):
        above, here, below = state[row - 1], state[row], state[row + 1]
        for x in range(1, columns - 1):
            beside[x] = here[x]
        if row > 1:
            for x in range(1, columns - 1):
                beside[x] |= above[x] & 1
        if row < rows - 2:
            for x in range(1, columns - 1):
                beside[x] |= below[x]
        for x in range(1, columns - 1):
            if here[x] == 0 and (beside[x - 1] | beside[x] | beside[x + 1]) != 0:
                here[x] = 2
                waiting[count] = row * columns + x
                count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _expand(flat, state, around, steps, waiting, fresh, given, count):  # type: ignore[no-untyped-def]
    for step in range(steps):
        kept, reached = 0, 0
        near = 8 if step % 2 == 1 else 4
        for k in range(count):
            place = waiting[k]
            label = _label_beside(flat, around, near, place)
            if label < 0:  # not reached yet
                waiting[kept] = place
                kept += 1
            else:
                fresh[reached], given[reached] = place, label
                reached += 1
        count = kept
        for k in range(reached):
            flat[fresh[k]] = given[k]
            state[fresh[k]] = 1
        if step == steps - 1:
            return
        for k in range(reached):
            if given[k] > 0:
                for move in range(8):
                    place = fresh[k] + around[move]
                    if state[place] == 0:
                        state[place] = 2
                        waiting[count] = place
                        count += 1


@numba.njit(cache=True, nogil=True)
def _shrink(out, grown, edge, flat_edge, moves, steps):  # type: ignore[no-untyped-def]
    """Keep what was gained where no outermost pixel of the grown labels lies nearer than ``steps``."""
    rows, columns = out.shape
    for row in range(rows):
        above, here, below, target = grown[row], grown[row + 1], grown[row + 2], edge[row + steps]
        for x in range(columns):
            label = here[x + 1]
            other = (here[x] != label) | (here[x + 2] != label) | (above[x + 1] != label) | (below[x + 1] != label)
            target[x + steps] = other & (label != 0)
    for row in range(rows):
        for x in range(columns):
            if out[row, x] == 0 and grown[row + 1, x + 1] != 0:
                place = (row + steps) * edge.shape[1] + x + steps
                for k in range(moves.size):
                    if flat_edge[place + moves[k]] != 0:
                        break
                else:
                    out[row, x] = grown[row + 1, x + 1]
