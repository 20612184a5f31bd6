"""Connected pieces by runs: the stretches of equal values in each row, joined to those they touch in the row above."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels


def solid(mask: NDArray[np.bool_], *, hole_px: float) -> NDArray[np.bool_]:
    """Fill small holes, take off threads; see :func:`biomarkers.cells.pieces.solid`."""
    filled = _without_holes(np.ascontiguousarray(mask).view(np.uint8), math.floor(hole_px))
    opened: NDArray[np.uint8] = _opened(filled)
    return opened.view(np.bool_)


def largest_pieces(labels: Labels, *, pixel_um2: float, least_um2: float, most_um2: float) -> Labels:
    """Keep the largest piece of each label; see :func:`biomarkers.cells.pieces.largest_pieces`."""
    return _largest(np.ascontiguousarray(labels), pixel_um2, least_um2, most_um2)


def fill_holes(labels: Labels) -> Labels:
    """Give enclosed holes to their label; see :func:`biomarkers.cells.pieces.fill_holes`."""
    return _filled(np.ascontiguousarray(labels))


@numba.njit(cache=True, nogil=True)
def _runs(image):  # type: ignore[no-untyped-def]
    """First run of each row (rows + 1), first column of each run, and the run that each piece begins with."""
    rows, columns = image.shape
    first = np.empty(rows + 1, np.int32)
    count = 0
    for row in range(rows):
        first[row] = count
        count += 1 + _changes(image[row, 1:], image[row, :-1])
    first[rows] = count
    start = np.empty(count + 1, np.int32)
    at = 0
    for row in range(rows):
        line = image[row]
        start[at] = 0
        at += 1
        for column in range(1, columns):
            if line[column] != line[column - 1]:
                start[at] = column
                at += 1
    root = np.arange(count).astype(np.int32)
    for row in range(1, rows):
        _join(image, first, start, root, row)
    for run in range(count):
        root[run] = root[root[run]]  # roots come before what hangs on them
    return first, start, root


@numba.njit(cache=True, nogil=True)
def _changes(one, other):  # type: ignore[no-untyped-def]
    count = 0
    for k in range(one.size):
        count += one[k] != other[k]
    return count


@numba.njit(cache=True, nogil=True)
def _stop(first, start, row, run, columns):  # type: ignore[no-untyped-def]
    return start[run + 1] if run + 1 < first[row + 1] else columns


@numba.njit(cache=True, nogil=True)
def _join(image, first, start, root, row):  # type: ignore[no-untyped-def]
    columns = image.shape[1]
    above, here = first[row - 1], first[row]
    while above < first[row] and here < first[row + 1]:
        column = max(start[above], start[here])
        if image[row - 1, column] == image[row, column]:
            one, other = _find(root, above), _find(root, here)
            if one < other:
                root[other] = one
            elif other < one:
                root[one] = other
        upper = _stop(first, start, row - 1, above, columns)
        lower = _stop(first, start, row, here, columns)
        if upper <= lower:
            above += 1
        if lower <= upper:
            here += 1


@numba.njit(cache=True, nogil=True)
def _find(root, run):  # type: ignore[no-untyped-def]
    while root[run] != run:
        root[run] = root[root[run]]
        run = root[run]
    return run


@numba.njit(cache=True, nogil=True)
def _sizes(first, start, root, columns):  # type: ignore[no-untyped-def]
    size = np.zeros(root.size, np.int64)
    for row in range(first.size - 1):
        for run in range(first[row], first[row + 1]):
            size[root[run]] += _stop(first, start, row, run, columns) - start[run]
    return size


@numba.njit(cache=True, nogil=True)
def _without_holes(mask, most):  # type: ignore[no-untyped-def]
    out = mask.copy()
    rows, columns = mask.shape
    first, start, root = _runs(mask)
    size = _sizes(first, start, root, columns)
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            if mask[row, start[run]] == 0 and size[root[run]] <= most:
                out[row, start[run] : _stop(first, start, row, run, columns)] = 1
    return out


@numba.njit(cache=True, nogil=True)
def _opened(mask):  # type: ignore[no-untyped-def]
    """Open by a cross; beyond the border there is nothing."""
    rows, columns = mask.shape
    core = np.zeros((rows + 2, columns + 2), np.uint8)
    for row in range(1, rows - 1):
        _all_of(mask[row - 1], mask[row], mask[row + 1], core[row + 1])
    out = np.empty((rows, columns), np.uint8)
    for row in range(rows):
        _any_of(core[row], core[row + 1], core[row + 2], out[row])
    return out


@numba.njit(cache=True, nogil=True)
def _all_of(above, here, below, out):  # type: ignore[no-untyped-def]
    if here.size < 3:
        return
    up, left, middle, right, down, target = above[1:-1], here[:-2], here[1:-1], here[2:], below[1:-1], out[2:-2]
    for x in range(target.size):
        target[x] = up[x] & left[x] & middle[x] & right[x] & down[x]


@numba.njit(cache=True, nogil=True)
def _any_of(above, here, below, out):  # type: ignore[no-untyped-def]
    up, left, middle, right, down = above[1:-1], here[:-2], here[1:-1], here[2:], below[1:-1]
    for x in range(out.size):
        out[x] = up[x] | left[x] | middle[x] | right[x] | down[x]


@numba.njit(cache=True, nogil=True)
def _largest(labels, pixel_um2, least_um2, most_um2):  # type: ignore[no-untyped-def]
    rows, columns = labels.shape
    first, start, root = _runs(labels)
    size = _sizes(first, start, root, columns)
    largest = np.zeros(labels.max() + 1, np.int64)
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            label = labels[row, start[run]]
            largest[label] = max(largest[label], size[run])  # only a piece's first run holds its size
    number = np.zeros(root.size, np.int32)
    out = np.zeros((rows, columns), np.int32)
    found = 0
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            label = labels[row, start[run]]
            if label == 0:
                continue
            if root[run] == run and size[run] == largest[label]:
                area = size[run] * pixel_um2
                if area >= least_um2 and area <= most_um2:
                    found += 1
                    number[run] = found
            out[row, start[run] : _stop(first, start, row, run, columns)] = number[root[run]]
    return out


@numba.njit(cache=True, nogil=True)
def _filled(labels):  # type: ignore[no-untyped-def]
    rows, columns = labels.shape
    first, start, root = _runs(labels)
    owner = np.zeros(root.size, np.int32)  # 0 nobody yet, -1 several or the outside
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            if labels[row, start[run]] == 0:
                stop = _stop(first, start, row, run, columns)
                owner[root[run]] = _around(labels, row, start[run], stop, owner[root[run]])
    out = labels.copy()
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            if labels[row, start[run]] == 0 and owner[root[run]] > 0:
                out[row, start[run] : _stop(first, start, row, run, columns)] = owner[root[run]]
    return out


@numba.njit(cache=True, nogil=True)
def _around(labels, row, start, stop, owner):  # type: ignore[no-untyped-def]
    """Return the only label that touches a run of background and what was known before, -1 when there are several."""
    rows, columns = labels.shape
    if owner < 0 or row == 0 or row == rows - 1 or start == 0 or stop == columns:
        return -1
    owner = _same(owner, labels[row, start - 1])
    owner = _same(owner, labels[row, stop])
    for column in range(start, stop):
        if owner < 0:
            return -1
        owner = _same(owner, labels[row - 1, column])
        owner = _same(owner, labels[row + 1, column])
    return owner


@numba.njit(cache=True, nogil=True)
def _same(owner, label):  # type: ignore[no-untyped-def]
    if label == 0 or owner < 0:
        return owner
    if owner == 0 or owner == label:
        return label
    return -1
