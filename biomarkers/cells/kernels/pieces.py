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


def solid(mask: NDArray[np.bool_], *, hole_px: float) -> NDArray[np.bool_]:
    """Fill small holes, take off threads; see :func:`biomarkers.cells.pieces.solid`."""
    filled = mask.astype(np.int32)
    runs = _runs_of(filled)
    _fill_small(filled, *runs, hole_px)
    framed = np.zeros((mask.shape[0] + 4, mask.shape[1] + 4), np.uint8)
    framed[2:-2, 2:-2] = filled
    return _by_cross(_by_cross(framed, np.bitwise_and), np.bitwise_or)[2:-2, 2:-2].view(np.bool_)


def largest_pieces(labels: Labels, *, pixel_um2: float, least_um2: float, most_um2: float) -> Labels:
    """Keep the largest piece of each label; see :func:`biomarkers.cells.pieces.largest_pieces`."""
    runs = _runs_of(labels)
    largest = np.zeros(int(labels.max()) + 1, np.int32)
    out = np.zeros(labels.shape, np.int32)
    number = np.zeros_like(runs.root)
    _keep_largest(np.ascontiguousarray(labels), *runs, largest, number, out, pixel_um2, least_um2, most_um2)
    return out


def fill_holes(labels: Labels) -> Labels:
    """Give enclosed holes to their label; see :func:`biomarkers.cells.pieces.fill_holes`."""
    runs = _runs_of(labels)
    out = labels.copy()
    _fill_enclosed(np.ascontiguousarray(labels), *runs, np.zeros_like(runs.root), out)
    return out


def fill_single_areas(seeds: Labels, framed: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fill each connected area (of eight neighbours) that holds one seed only; sort the other seeds by their area.

    Parameters
    ----------
    seeds
        int32 (rows, columns), 0 = none.
    framed
        The same in a frame one pixel wide, free pixels below 0; changed in place.

    Returns
    -------
    Flat places in ``framed`` of the pixels of seeds that share their area with others, and where each area's end.
    """
    image = (framed[1:-1, 1:-1] != 0).astype(np.int32)
    start, first, root = _scanned(image)
    _join_diagonally(image, start, first, root)
    rows, columns = np.nonzero(seeds)
    area, label = np.empty(rows.size, np.int32), seeds[rows, columns]
    lowest, highest = np.full(root.size, np.iinfo(np.int32).max, np.int32), np.zeros(root.size, np.int32)
    _area_of(rows, columns, start, first, root, label, area, lowest, highest)
    _fill_areas(framed, start, first, root, lowest, highest)
    rest = np.flatnonzero(lowest[area] != highest[area])
    rest = rest[np.argsort(area[rest], kind="stable")]
    ends = np.flatnonzero(np.diff(area[rest], append=-1)) + 1
    return ((rows + 1) * framed.shape[1] + columns + 1)[rest], ends


def _by_cross(framed: NDArray[np.uint8], both: np.ufunc) -> NDArray[np.uint8]:
    """Join each pixel with its four neighbours; the frame stays."""
    out = framed.copy()
    inside = out[1:-1, 1:-1]
    for near in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        both(inside, near, out=inside)
    return out


def _runs_of(image: Labels) -> _Runs:
    image = np.ascontiguousarray(image)
    start, first, root = _scanned(image)
    size = np.zeros_like(root)
    _join(image, start, first, root, size)
    return _Runs(start, first, root, size)


def _scanned(image: Labels) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Find the runs; each is its own root."""
    start, first = np.empty(image.size + 1, np.int32), np.empty(image.shape[0] + 1, np.int32)
    count = _scan(image, start, first)
    return start[: count + 1], first, np.arange(count, dtype=np.int32)


@numba.njit(cache=True, nogil=True)
def _scan(image, start, first):  # type: ignore[no-untyped-def]
    count = 0
    for row in range(image.shape[0]):
        line = image[row]
        first[row] = count
        start[count] = 0
        count += 1
        for column in range(1, line.size):
            if line[column] != line[column - 1]:
                start[count] = column
                count += 1
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
def _join_diagonally(mask, start, first, root):  # type: ignore[no-untyped-def]
    """Join the runs of a mask that touch at a side or a corner."""
    rows, columns = mask.shape
    for row in range(1, rows):
        above = first[row - 1]
        for here in range(first[row], first[row + 1]):
            if mask[row, start[here]] == 0:
                continue
            stop = _stop(start, here, columns)
            while above < first[row] and _stop(start, above, columns) < start[here]:
                above += 1
            other = above
            while other < first[row] and start[other] <= stop:
                if mask[row - 1, start[other]] != 0:
                    one, two = _root(root, here), _root(root, other)
                    root[max(one, two)] = min(one, two)
                other += 1
    for run in range(root.size):
        root[run] = root[root[run]]


@numba.njit(cache=True, nogil=True)
def _area_of(rows, columns, start, first, root, label, out, lowest, highest):  # type: ignore[no-untyped-def]
    """Find the root of the run that each pixel lies in, and its lowest and highest label; pixels in reading order."""
    run = 0
    for k in range(rows.size):
        run = max(run, first[rows[k]])
        while run + 1 < first[rows[k] + 1] and start[run + 1] <= columns[k]:
            run += 1
        at = root[run]
        out[k], lowest[at], highest[at] = at, min(lowest[at], label[k]), max(highest[at], label[k])


@numba.njit(cache=True, nogil=True)
def _fill_areas(framed, start, first, root, lowest, highest):  # type: ignore[no-untyped-def]
    """Paint the runs of areas whose lowest label is their highest; areas without a label have neither."""
    for row in range(first.size - 1):
        line = framed[row + 1][1:-1]
        for run in range(first[row], first[row + 1]):
            at = root[run]
            if lowest[at] == highest[at]:
                _paint(line, start, run, highest[at])


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
def _keep_largest(labels, start, first, root, size, largest, number, out, pixel_um2, least_um2, most_um2):  # type: ignore[no-untyped-def]
    for row in range(labels.shape[0]):
        for run in range(first[row], first[row + 1]):
            label = labels[row, start[run]]
            largest[label] = max(largest[label], size[run])
    found = 0
    for row in range(labels.shape[0]):
        for run in range(first[row], first[row + 1]):
            label = labels[row, start[run]]
            if label == 0:
                continue
            if root[run] == run and size[run] == largest[label]:
                area = size[run] * pixel_um2
                if area >= least_um2 and area <= most_um2:
                    found += 1
                    number[run] = found
            if number[root[run]] > 0:
                _paint(out[row], start, run, number[root[run]])


@numba.njit(cache=True, nogil=True)
def _fill_enclosed(labels, start, first, root, size, owner, out):  # type: ignore[no-untyped-def]
    """Owner of a piece of background: 0 nobody yet, -1 several or the outside, else the only label around it."""
    rows, columns = labels.shape
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            left, right = start[run], _stop(start, run, columns)
            if labels[row, left] != 0:
                continue
            known = owner[root[run]]
            if row == 0 or row == rows - 1 or left == 0 or right == columns:
                known = -1
            if known >= 0:
                known = _same(_same(known, labels[row, left - 1]), labels[row, right])
                for column in range(left, right):
                    known = _same(_same(known, labels[row - 1, column]), labels[row + 1, column])
                    if known < 0:
                        break
            owner[root[run]] = known
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            if owner[root[run]] > 0 and labels[row, start[run]] == 0:
                _paint(out[row], start, run, owner[root[run]])


@numba.njit(cache=True, nogil=True)
def _same(owner, label):  # type: ignore[no-untyped-def]
    if label == 0 or owner < 0 or owner == label:
        return owner
    return label if owner == 0 else -1
