"""Connected pieces by runs: the stretches of equal values in each row, joined to those they touch in the row above."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.pieces import Limits

_STROKE = 24  # pixels painted at once


class _Runs(NamedTuple):
    """Runs of an image: where they begin, the first one of each row, their value, and the first run of their piece."""

    start: NDArray[np.int32]  # column, (runs + 1,)
    first: NDArray[np.int32]  # (rows + 1,)
    value: NDArray[np.int32]  # (runs,)
    root: NDArray[np.int32]  # (runs,)
    size: NDArray[np.int32]  # pixels of the piece, at its first run (runs,)


def outlines(
    reach: Labels, soft: NDArray[np.int16], cuts: NDArray[np.int16], *, factor: int, limits: Limits
) -> tuple[Labels, NDArray[np.int32]]:
    """Cut each label out at its own level; see :func:`biomarkers.cells.outline.outlines`."""
    rows, columns = soft.shape
    start, value, first = _room(soft.size), _room(soft.size), np.empty(rows + 1, np.int32)
    wide = columns + factor  # the last square may reach further than the image
    count = _scan_above(
        reach, soft, cuts, factor, np.empty((2, wide), np.int32), np.empty(wide, np.int16), start, first, value
    )
    runs = _joined(columns, start[: count + 1], first, value[:count])
    owner, largest = np.zeros_like(runs.root), np.zeros(cuts.size, np.int32)
    kept = _keep_largest(*runs, largest, owner, *limits)
    _find_enclosed(columns, *runs, owner)
    out = np.empty(soft.size + _STROKE, np.int32)
    _paint_owned(columns, *runs, largest, owner, out)
    return out[: soft.size].reshape(soft.shape), kept


def _room(size: int) -> NDArray[np.int32]:
    return np.empty(size + 1, np.int32)


def _joined(columns: int, start: NDArray[np.int32], first: NDArray[np.int32], value: NDArray[np.int32]) -> _Runs:
    root, size = np.empty(value.size, np.int32), np.empty(value.size, np.int32)
    _join(columns, start, first, value, root, size)
    return _Runs(start, first, value, root, size)


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
    """Find the runs of what is at or above the cut of the label of its square."""
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
def _join(columns, start, first, value, root, size):  # type: ignore[no-untyped-def]
    for run in range(root.size):
        root[run], size[run] = run, 0
    for row in range(1, first.size - 1):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            if value[above] == value[here]:
                one, other = _root(root, above), _root(root, here)
                root[max(one, other)] = min(one, other)
            upper, lower = _stop(start, above, columns), _stop(start, here, columns)
            above += upper <= lower
            here += lower <= upper
    for run in range(root.size):
        root[run] = root[root[run]]  # roots come before what hangs on them
        size[root[run]] += _stop(start, run, columns) - start[run]


@numba.njit(cache=True, nogil=True)
def _keep_largest(start, first, value, root, size, largest, owner, pixel_um2, least_um2, most_um2):  # type: ignore[no-untyped-def]
    """Owner of a piece: its first run, plus one, where the piece is the largest of its label and of a fit size.

    ``largest`` becomes the new number of each label that has a piece left, 0 of the others; return these labels.
    """
    for run in range(root.size):
        if root[run] == run:
            largest[value[run]] = max(largest[value[run]], size[run])
    there = np.zeros(largest.size, np.bool_)
    for run in range(root.size):
        if root[run] != run:
            continue
        label, area = value[run], size[run] * pixel_um2
        if label != 0 and size[run] == largest[label] and area >= least_um2 and area <= most_um2:
            owner[run] = run + 1
            there[label] = True
    kept, count = np.zeros(largest.size, np.int32), 1
    for label in range(largest.size):
        largest[label] = count if there[label] else 0
        if there[label]:
            kept[count] = label
            count += 1
    return kept[:count]


@numba.njit(cache=True, nogil=True)
def _find_enclosed(columns, start, first, value, root, size, owner):  # type: ignore[no-untyped-def]
    """Owner of a piece of background: -1 several pieces or the outside, else the only piece around it."""
    rows = first.size - 1
    for row in range(rows):
        above = first[row - 1] if row else 0
        below = first[row + 1]
        for run in range(first[row], first[row + 1]):
            known = owner[root[run]]
            if value[run] != 0 or known < 0:
                continue
            left, right = start[run], _stop(start, run, columns)
            if row == 0 or row == rows - 1 or left == 0 or right == columns:
                known = -1
            if known >= 0:
                known = _same(_same(known, root[run - 1] + 1), root[run + 1] + 1)
            if known >= 0:
                known, above = _same_along(known, start, value, root, above, left, right, columns)
            if known >= 0:
                known, below = _same_along(known, start, value, root, below, left, right, columns)
            owner[root[run]] = known


@numba.njit(cache=True, nogil=True)
def _same_along(known, start, value, root, run, left, right, columns):  # type: ignore[no-untyped-def]
    """Ask all runs of another row that touch columns left..right-1; return also the run to go on with."""
    while _stop(start, run, columns) <= left:
        run += 1
    at = run
    while True:
        if value[at] != 0:
            known = _same(known, root[at] + 1)
        if _stop(start, at, columns) >= right:
            return known, run
        at += 1


@numba.njit(cache=True, nogil=True)
def _same(owner, piece):  # type: ignore[no-untyped-def]
    if owner < 0 or owner == piece:
        return owner
    return piece if owner == 0 else np.int32(-1)


@numba.njit(cache=True, nogil=True)
def _paint_owned(columns, start, first, value, root, size, number, owner, out):  # type: ignore[no-untyped-def]
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
