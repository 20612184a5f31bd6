"""Connected pieces by runs: the stretches of equal values in each row, joined to those they touch in the row above."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import FEW, Labels
from biomarkers.seg.pieces import Limits

_STROKE = 24  # pixels painted at once
_FEW_RUNS = 4  # pixels a run, at least, in tissue; noise may have shorter ones


def outlines(
    reach: Labels, soft: NDArray[np.int16], cuts: NDArray[np.int16], *, factor: int, limits: Limits
) -> tuple[Labels, NDArray[np.int32]]:
    """Cut each label out at its own level; see :func:`biomarkers.seg.outline.outlines`."""
    rows, columns = soft.shape
    first, wide = np.empty(rows + 1, np.int32), columns + factor  # the last square may reach further than the image
    lines, levels = np.empty((2, wide), np.int32), np.empty(wide, np.int16)
    for room in (soft.size // _FEW_RUNS + 2 * columns, soft.size + columns):
        start, value = _room(room), _room(room)
        count = _scan_above(reach, soft, cuts, factor, lines, levels, start, first, value)
        if count >= 0:
            break
    start, value, root, size, begun = start[: count + 1], value[:count], *(_room(count) for _ in range(3))
    gaps, heads = np.empty((count + 1, 2), np.int32), np.full((2, cuts.size, 2), -1, np.int32)
    pieces, holes = _join(columns, start, first, value, heads, root, size, begun, gaps)
    # the first run of the piece that a run is painted as, plus one; 0 nothing
    owner, number = np.zeros(count, np.int32), np.zeros(cuts.size, np.int32)
    kept = _keep_largest(begun[:pieces], value, root, size, number, owner, *limits)
    _find_enclosed(columns, gaps[:holes], start, first, value, root, owner)
    out: NDArray[Any] = np.empty(soft.size + _STROKE, np.int16 if kept.size <= FEW else np.int32)
    _paint_owned(columns, start, first, value, root, number, owner, out)
    return out[: soft.size].reshape(soft.shape), kept


def _room(size: int) -> NDArray[np.int32]:
    return np.empty(size + 1, np.int32)


@numba.njit(cache=True, nogil=True)
def _scan_line(line, columns, start, value, count):  # type: ignore[no-untyped-def]
    """Add the runs of a row without asking: what is written stays where the value changes."""
    start[count] = 0
    at, last = np.uint64(count + 1), line[0]
    for column in range(1, columns):
        here = line[column]
        start[at] = column
        at += np.uint64(here != last)
        last = here
    for run in range(count, np.int64(at)):
        value[run] = line[start[run]]
    return np.int64(at)


@numba.njit(cache=True, nogil=True)
def _scan_above(reach, soft, cuts, factor, lines, levels, start, first, value):  # type: ignore[no-untyped-def]
    """Find the runs of what is at or above the cut of the label of its square; count them, or -1 without room."""
    count = 0
    rows, columns = soft.shape
    labels, found = lines[0], lines[1]
    for row in range(rows):
        if row % factor == 0:
            _spread(reach[row // factor], cuts, factor, labels, levels)
        here = soft[row]
        for column in range(columns):
            found[column] = labels[column] if here[column] >= levels[column] else np.int32(0)
        first[row] = count
        if count + columns >= start.size:
            return -1
        count = _scan_line(found, columns, start, value, count)
    first[rows] = count
    start[count] = 0
    return count


@numba.njit(cache=True, nogil=True)
def _spread(reach, cuts, factor, labels, levels):  # type: ignore[no-untyped-def]
    """Label and level of each pixel of a row of squares; two pixels a square are the usual case."""
    for square in range(reach.size):
        label = reach[square]
        level = cuts[label]
        if factor == 2:
            labels[2 * square], levels[2 * square] = label, level
            labels[2 * square + 1], levels[2 * square + 1] = label, level
            continue
        for column in range(square * factor, square * factor + factor):
            labels[column], levels[column] = label, level


@numba.njit(cache=True, nogil=True)
def _stop(start, run, columns):  # type: ignore[no-untyped-def]
    """Column after a run: the next one begins there, or a row ends."""
    after = start[run + 1]
    return after if after > 0 else columns


@numba.njit(cache=True, nogil=True)
def _root(root, run):  # type: ignore[no-untyped-def]
    while root[run] != run:
        root[run] = root[root[run]]
        run = root[run]
    return run


@numba.njit(cache=True, nogil=True)
def _join(columns, start, first, value, heads, root, size, begun, gaps):  # type: ignore[no-untyped-def]
    """Join runs of one label that touch: each looks for those of its own label in the row above.

    ``heads`` holds the row in which a label was met last and a run of it there, for even and for odd rows. Background
    with the same label on both sides may be a hole and keeps 0, what is open becomes -1. Return how many runs were put
    down in ``begun``, the first runs of pieces among them, and in ``gaps``, what may be holes and their rows.
    """
    after = np.empty(value.size, np.int32)  # the next run of the same label and row
    rows, pieces, holes = first.size - 1, 0, 0
    for row in range(rows):
        here, above = heads[row % 2], heads[1 - row % 2]
        for run in range(first[row], first[row + 1]):
            root[run], size[run] = run, 0
            label = value[run]
            if label == 0:
                inside = row > 0 and row < rows - 1 and run > first[row] and run < first[row + 1] - 1
                closed = inside and value[run - 1] == value[run + 1]
                value[run] = 0 if closed else -1
                gaps[holes, 0], gaps[holes, 1] = run, row
                holes += closed
                continue
            after[run] = here[label, 1] if here[label, 0] == row else -1
            here[label, 0], here[label, 1] = row, run
            if above[label, 0] == row - 1:
                _join_above(columns, start, run, above[label, 1], after, root)
            begun[pieces] = run
            pieces += root[run] == run
    for run in range(value.size):
        root[run] = root[root[run]]  # roots come before what hangs on them
        size[root[run]] += _stop(start, run, columns) - start[run]
    return pieces, holes


@numba.njit(cache=True, nogil=True)
def _join_above(columns, start, run, other, after, root):  # type: ignore[no-untyped-def]
    """Join a run to those of a chain that it touches."""
    left, right = start[run], _stop(start, run, columns)
    while other >= 0:
        if start[other] < right and _stop(start, other, columns) > left:
            _unite(root, run, other)
        other = after[other]


@numba.njit(cache=True, nogil=True)
def _unite(root, one, other):  # type: ignore[no-untyped-def]
    one, other = _root(root, one), _root(root, other)
    root[max(one, other)] = min(one, other)


@numba.njit(cache=True, nogil=True)
def _keep_largest(begun, value, root, size, largest, owner, pixel_um2, least_um2, most_um2):  # type: ignore[no-untyped-def]
    """Owner of a piece: its first run, plus one, where the piece is the largest of its label and of a fit size.

    ``largest`` becomes the new number of each label that has a piece left, 0 of the others; return these labels.
    """
    for run in begun:
        if root[run] == run:
            largest[value[run]] = max(largest[value[run]], size[run])
    there = np.zeros(largest.size, np.bool_)
    for run in begun:
        area = size[run] * pixel_um2
        if root[run] == run and size[run] == largest[value[run]] and area >= least_um2 and area <= most_um2:
            owner[run] = run + 1
            there[value[run]] = True
    kept, count = np.zeros(largest.size, np.int32), 1
    for label in range(largest.size):
        largest[label] = count if there[label] else 0
        if there[label]:
            kept[count] = label
            count += 1
    return kept[:count]


@numba.njit(cache=True, nogil=True)
def _find_enclosed(columns, gaps, start, first, value, root, owner):  # type: ignore[no-untyped-def]
    """Owner of what may be a hole: the only piece around it, plus one; -1 where it touches two, or what is open."""
    for run, row in gaps:
        _join_gap(columns, start, value, run, first[row - 1], root)
    for run, row in gaps:
        left, right = start[run], _stop(start, run, columns)
        piece = _root(root, run)
        known = _same(_same(owner[piece], root[run - 1] + 1), root[run + 1] + 1)
        for near in (first[row - 1], first[row + 1]):
            known = _same_along(known, start, value, root, near, left, right, columns)
        owner[piece] = known
    for run, _ in gaps:
        root[run] = _root(root, run)


@numba.njit(cache=True, nogil=True)
def _join_gap(columns, start, value, run, other, root):  # type: ignore[no-untyped-def]
    """Join what may be a hole to what may be one in the row above."""
    left, right = start[run], _stop(start, run, columns)
    while _stop(start, other, columns) <= left:
        other += 1
    while True:
        if value[other] == 0:
            _unite(root, run, other)
        if _stop(start, other, columns) >= right:
            return
        other += 1


@numba.njit(cache=True, nogil=True)
def _same_along(known, start, value, root, run, left, right, columns):  # type: ignore[no-untyped-def]
    """Ask all runs of another row that touch columns left..right-1."""
    while _stop(start, run, columns) <= left:
        run += 1
    while True:
        if value[run] > 0:
            known = _same(known, root[run] + 1)
        elif value[run] < 0:
            known = np.int32(-1)
        if _stop(start, run, columns) >= right:
            return known
        run += 1


@numba.njit(cache=True, nogil=True)
def _same(owner, piece):  # type: ignore[no-untyped-def]
    if owner < 0 or owner == piece:
        return owner
    return piece if owner == 0 else np.int32(-1)


@numba.njit(cache=True, nogil=True)
def _paint_owned(columns, start, first, value, root, number, owner, out):  # type: ignore[no-untyped-def]
    """Paint kept pieces, and holes whose only neighbour is a kept piece, with new numbers.

    ``out`` is flat: a run is painted in strokes of one width, and the next run paints over what is too much.
    """
    for row in range(first.size - 1):
        for run in range(first[row], first[row + 1]):
            piece = owner[root[run]] - 1
            label = np.int32(0)
            if piece >= 0 and owner[piece] == piece + 1:
                label = number[value[piece]]
            at = np.uint64(row * columns + start[run])
            stop = np.uint64(row * columns + _stop(start, run, columns))
            while at < stop:
                for place in range(_STROKE):
                    out[at + np.uint64(place)] = label
                at += np.uint64(_STROKE)
