"""Labels that grow: flooding and expansion by queues of the pixels that may be reached next."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels

_FREE, _WAITING, _DONE = 0, 1, 2


def flood(seeds: Labels, *, height: NDArray[np.int32], mask: NDArray[np.bool_]) -> Labels:
    """Watershed inside a mask; see :func:`biomarkers.cells.grow.flood`."""
    return _flood(np.ascontiguousarray(seeds), np.ascontiguousarray(height), np.ascontiguousarray(mask))


def expand(labels: Labels, *, steps: int, mask: NDArray[np.bool_] | None = None) -> Labels:
    """Grow labels by rings; see :func:`biomarkers.cells.grow.expand`."""
    if mask is not None:
        return _expand(np.ascontiguousarray(labels), steps, np.ascontiguousarray(mask), True)  # noqa: FBT003
    return _expand(np.ascontiguousarray(labels), steps, np.zeros((0, 0), np.bool_), False)  # noqa: FBT003


def close_labels(labels: Labels, *, steps: int) -> Labels:
    """Close bites of each label; see :func:`biomarkers.cells.grow.close_labels`."""
    if steps < 1 or not labels.any():
        return labels
    return _closed(np.ascontiguousarray(labels), expand(labels, steps=steps), steps)


@numba.njit(cache=True, nogil=True)
def _padded(values):  # type: ignore[no-untyped-def]
    out = np.zeros((values.shape[0] + 2, values.shape[1] + 2), np.int32)
    out[1:-1, 1:-1] = values
    return out


@numba.njit(cache=True, nogil=True)
def _flood(seeds, height, mask):  # type: ignore[no-untyped-def]
    rows, columns = seeds.shape
    wide = columns + 2
    labels = _padded(seeds)
    flat = labels.ravel()
    level = np.full(flat.size, -1, np.int32)  # below 0: no place to grow to, or taken
    most = 0
    for row in range(rows):
        for column in range(columns):
            if mask[row, column] and seeds[row, column] == 0:
                level[(row + 1) * wide + column + 1] = height[row, column]
                most = max(most, height[row, column])
    around = np.array([-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1])
    heads = np.full(most + 1, -1, np.int32)  # pixels beside a label, one linked list a level
    after = np.empty(flat.size, np.int32)
    for row in range(rows):
        for column in range(columns):
            if seeds[row, column] != 0:
                _ask(flat, level, around, (row + 1) * wide + column + 1, heads, after, most)
    ring, given = np.empty(flat.size, np.int32), np.empty(flat.size, np.int32)
    for now in range(most, -1, -1):
        while heads[now] >= 0:
            count = 0
            place = heads[now]
            while place >= 0:  # all pixels of a ring look before any of them changes
                ring[count], given[count] = place, _only_label(flat, around, place)
                count += 1
                place = after[place]
            heads[now] = -1
            for k in range(count):
                flat[ring[k]] = given[k]
            for k in range(count):
                if given[k] > 0:
                    _ask(flat, level, around, ring[k], heads, after, now)
    return labels[1:-1, 1:-1].copy()


@numba.njit(cache=True, nogil=True)
def _ask(flat, level, around, place, heads, after, now):  # type: ignore[no-untyped-def]
    """Put the free neighbours of a labelled pixel into the list of their level, or of the present one."""
    for move in around:
        near = place + move
        if level[near] >= 0:
            at = min(level[near], now)
            after[near] = heads[at]
            heads[at] = near
            level[near] = -1


@numba.njit(cache=True, nogil=True)
def _only_label(flat, around, place):  # type: ignore[no-untyped-def]
    """Return the label around a pixel, 0 where there are two."""
    found = 0
    for move in around:
        label = flat[place + move]
        if label != 0 and label != found:
            if found != 0:
                return 0
            found = label
    return found


@numba.njit(cache=True, nogil=True)
def _expand(labels, steps, mask, masked):  # type: ignore[no-untyped-def]
    rows, columns = labels.shape
    wide = columns + 2
    flat = _padded(labels).ravel()
    state = np.full(flat.size, _DONE, np.uint8)
    for row in range(rows):
        for column in range(columns):
            if labels[row, column] == 0 and (not masked or mask[row, column]):
                state[(row + 1) * wide + column + 1] = _FREE
    around = np.array([-wide, wide, -1, 1, -wide - 1, -wide + 1, wide - 1, wide + 1])
    cross, waiting, given = around[:4], np.empty(flat.size, np.int32), np.empty(flat.size, np.int32)
    count = 0
    for place in range(wide, flat.size - wide):
        if flat[place] != 0:
            count = _wake(state, around, place, waiting, count)
    for step in range(steps):
        kept = count
        count = 0
        fresh = np.empty(kept, np.int32)
        reached = 0
        near = around if step % 2 == 1 else cross
        for k in range(kept):
            place = waiting[k]
            label = _label_or_tie(flat, near, place)
            if label < 0:  # not reached yet
                waiting[count] = place
                count += 1
            else:
                fresh[reached], given[reached] = place, label
                reached += 1
        for k in range(reached):
            flat[fresh[k]] = given[k]
            state[fresh[k]] = _DONE
        for k in range(reached):
            if given[k] > 0:
                count = _wake(state, around, fresh[k], waiting, count)
    return flat.reshape((rows + 2, wide))[1:-1, 1:-1].copy()


@numba.njit(cache=True, nogil=True)
def _wake(state, around, place, waiting, count):  # type: ignore[no-untyped-def]
    for move in around:
        near = place + move
        if state[near] == _FREE:
            state[near] = _WAITING
            waiting[count] = near
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _label_or_tie(flat, around, place):  # type: ignore[no-untyped-def]
    """Return the label around a pixel, 0 where there are two, -1 where there is none."""
    found = -1
    for move in around:
        label = flat[place + move]
        if label != 0 and label != found:
            if found > 0:
                return 0
            found = label
    return found


@numba.njit(cache=True, nogil=True)
def _closed(labels, grown, steps):  # type: ignore[no-untyped-def]
    """Keep what was gained where no outermost pixel of the grown labels lies nearer than ``steps``."""
    out = labels.copy()
    rows, columns = labels.shape
    for row in range(rows):
        for column in range(columns):
            if labels[row, column] == 0 and grown[row, column] != 0 and not _near_edge(grown, row, column, steps):
                out[row, column] = grown[row, column]
    return out


@numba.njit(cache=True, nogil=True)
def _near_edge(grown, row, column, steps):  # type: ignore[no-untyped-def]
    rows, columns = grown.shape
    for down in range(-steps + 1, steps):
        for right in range(-steps + 1, steps):
            y, x = row + down, column + right
            if down * down + right * right >= steps * steps or y < 0 or x < 0 or y >= rows or x >= columns:
                continue
            if _is_outermost(grown, y, x):
                return True
    return False


@numba.njit(cache=True, nogil=True)
def _is_outermost(labels, row, column):  # type: ignore[no-untyped-def]
    """Tell whether a pixel of a label has something else among its four neighbours inside the image."""
    label = labels[row, column]
    if label == 0:
        return False
    if row > 0 and labels[row - 1, column] != label:
        return True
    if row + 1 < labels.shape[0] and labels[row + 1, column] != label:
        return True
    if column > 0 and labels[row, column - 1] != label:
        return True
    return column + 1 < labels.shape[1] and labels[row, column + 1] != label
