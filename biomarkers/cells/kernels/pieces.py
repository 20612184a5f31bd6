"""Connected pieces by runs: the stretches of equal values in each row, joined to those they touch in the row above."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels


class _Runs(NamedTuple):
    """Runs of an image: where they begin, the first one of each row, and the first run of the piece of each."""

    start: NDArray[np.int32]  # column, (runs + 1,)
    first: NDArray[np.int32]  # (rows + 1,)
    root: NDArray[np.int32]  # (runs,)
    size: NDArray[np.int32]  # pixels of the piece, at its first run (runs,)


def without_holes(mask: NDArray[np.bool_], *, hole_px: float) -> NDArray[np.bool_]:
    """Fill small holes; see :func:`biomarkers.cells.pieces.without_holes`."""
    filled = mask.astype(np.uint8)
    runs = _runs_of(filled)
    _fill_small(filled, *runs, hole_px)
    return filled.view(np.bool_)


def without_threads(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take off threads one pixel wide; see :func:`biomarkers.cells.pieces.without_threads`."""
    rows, columns = mask.shape
    framed, thin = (np.zeros((rows + 4, columns + 4), np.uint8) for _ in range(2))
    framed[2:-2, 2:-2] = mask
    _cross_all(framed, thin)
    out = np.empty(mask.shape, np.uint8)
    _cross_any(thin, out)
    return out.view(np.bool_)


def largest_pieces(labels: Labels, *, pixel_um2: float, least_um2: float, most_um2: float) -> Labels:
    """Keep the largest piece of each label, its holes filled; see :func:`biomarkers.cells.pieces.largest_pieces`."""
    labels = np.ascontiguousarray(labels)
    runs = _runs_of(labels)
    largest = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    out = np.zeros(labels.shape, np.int32)
    owner = np.zeros_like(runs.root)
    _keep_largest(labels, *runs, largest, owner, pixel_um2, least_um2, most_um2)
    _find_enclosed(labels, *runs, owner)
    _paint_owned(runs.start, runs.first, runs.root, labels, owner, out)
    return out


def _runs_of(image: NDArray) -> _Runs:
    """Find the runs and the pieces that they make."""
    start, first = np.empty(image.size + 1, np.int32), np.empty(image.shape[0] + 1, np.int32)
    count = _scan(image, start, first)
    root, size = np.arange(count, dtype=np.int32), np.zeros(count, np.int32)
    _join(image, start[: count + 1], first, root, size)
    return _Runs(start[: count + 1], first, root, size)


@numba.njit(cache=True, nogil=True)
def _cross_all(framed, out):  # type: ignore[no-untyped-def]
    for y in range(1, framed.shape[0] - 1):
        for x in range(1, framed.shape[1] - 1):
            across = framed[y, x - 1] & framed[y, x] & framed[y, x + 1]
            out[y, x] = across & framed[y - 1, x] & framed[y + 1, x]


@numba.njit(cache=True, nogil=True)
def _cross_any(framed, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            across = framed[y + 2, x + 1] | framed[y + 2, x + 2] | framed[y + 2, x + 3]
            out[y, x] = across | framed[y + 1, x + 2] | framed[y + 3, x + 2]


@numba.njit(cache=True, nogil=True)
def _scan(image, start, first):  # type: ignore[no-untyped-def]
    count = 0
    for row in range(image.shape[0]):
        line = image[row]
        first[row] = count
        start[count] = 0
        count += 1
        for column in range(1, line.size):
            start[count] = column  # stays where the value changes here
            count += line[column] != line[column - 1]
    first[image.shape[0]] = count
    start[count] = 0
    return count


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
def _join(image, start, first, root, size):  # type: ignore[no-untyped-def]
    rows, columns = image.shape
    for row in range(1, rows):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            column = max(start[above], start[here])
            if image[row - 1, column] == image[row, column]:
                one, other = _root(root, above), _root(root, here)
                root[max(one, other)] = min(one, other)
            upper, lower = _stop(start, above, columns), _stop(start, here, columns)
            above += upper <= lower
            here += lower <= upper
    for run in range(root.size):
        root[run] = root[root[run]]  # roots come before what hangs on them
        size[root[run]] += _stop(start, run, columns) - start[run]


@numba.njit(cache=True, nogil=True)
def _paint(line, start, run, value):  # type: ignore[no-untyped-def]
    for column in range(start[run], _stop(start, run, line.size)):
        line[column] = value


@numba.njit(cache=True, nogil=True)
def _fill_small(mask, start, first, root, size, most):  # type: ignore[no-untyped-def]
    for row in range(mask.shape[0]):
        for run in range(first[row], first[row + 1]):
            if size[root[run]] <= most and mask[row, start[run]] == 0:
                _paint(mask[row], start, run, 1)


@numba.njit(cache=True, nogil=True)
def _keep_largest(labels, start, first, root, size, largest, owner, pixel_um2, least_um2, most_um2):  # type: ignore[no-untyped-def]
    """Owner of a piece: its first run, plus one, where the piece is the largest of its label and of a fit size."""
    for row in range(labels.shape[0]):
        for run in range(first[row], first[row + 1]):
            if root[run] == run:
                label = labels[row, start[run]]
                largest[label] = max(largest[label], size[run])
    for row in range(labels.shape[0]):
        for run in range(first[row], first[row + 1]):
            if root[run] != run:
                continue
            label = labels[row, start[run]]
            area = size[run] * pixel_um2
            if label != 0 and size[run] == largest[label] and area >= least_um2 and area <= most_um2:
                owner[run] = run + 1


@numba.njit(cache=True, nogil=True)
def _find_enclosed(labels, start, first, root, size, owner):  # type: ignore[no-untyped-def]
    """Owner of a piece of background: -1 several pieces or the outside, else the only piece around it."""
    rows, columns = labels.shape
    for row in range(rows):
        above = first[row - 1] if row else 0
        below = first[row + 1]
        for run in range(first[row], first[row + 1]):
            left, right = start[run], _stop(start, run, columns)
            if labels[row, left] != 0:
                continue
            known = owner[root[run]]
            if row == 0 or row == rows - 1 or left == 0 or right == columns:
                known = -1
            if known >= 0:
                known = _same(_same(known, root[run - 1] + 1), root[run + 1] + 1)
            if known >= 0:
                known, above = _same_along(known, labels[row - 1], start, root, above, left, right)
            if known >= 0:
                known, below = _same_along(known, labels[row + 1], start, root, below, left, right)
            owner[root[run]] = known


@numba.njit(cache=True, nogil=True)
def _same_along(known, line, start, root, run, left, right):  # type: ignore[no-untyped-def]
    """Ask all runs of another row that touch columns left..right-1; return also the run to go on with."""
    while _stop(start, run, line.size) <= left:
        run += 1
    at = run
    while True:
        if line[start[at]] != 0:
            known = _same(known, root[at] + 1)
        if _stop(start, at, line.size) >= right:
            return known, run
        at += 1


@numba.njit(cache=True, nogil=True)
def _same(owner, piece):  # type: ignore[no-untyped-def]
    if owner < 0 or owner == piece:
        return owner
    return piece if owner == 0 else np.int32(-1)


@numba.njit(cache=True, nogil=True)
def _paint_owned(start, first, root, labels, owner, out):  # type: ignore[no-untyped-def]
    """Paint kept pieces, and holes whose only neighbour is a kept piece."""
    row_of = np.empty(root.size, np.int32)
    for row in range(labels.shape[0]):
        for run in range(first[row], first[row + 1]):
            row_of[run] = row
            piece = owner[root[run]] - 1
            if piece >= 0 and owner[piece] == piece + 1:
                _paint(out[row], start, run, labels[row_of[piece], start[piece]])
