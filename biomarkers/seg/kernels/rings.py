"""Labels that grow ring by ring, and their new numbers; see :mod:`biomarkers.seg.grow`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import CYTOPLASM, FEW, NUCLEUS, CellLabels, Labels

_BAND = 128  # rows worked on at once


def expand(labels: Labels, *, steps: int) -> Labels:
    """Grow labels by rings; see :func:`biomarkers.seg.grow.expand`."""
    out = np.empty(labels.shape, np.int32)
    _in_bands(labels, steps, _least_type(labels), out, np.empty((0, 0), np.uint8))
    return out


def bodies(labels: Labels, *, steps: int) -> CellLabels:
    """Grow labels by rings and tell the parts; see :func:`biomarkers.seg.grow.bodies`."""
    types = _least_type(labels)
    out, parts = np.empty(labels.shape, types[0]), np.empty(labels.shape, np.uint8)
    _in_bands(labels, steps, types, out, parts)
    return CellLabels(out, parts)


def told_parts(nuclei: Labels, cells: Labels) -> CellLabels:
    """Tell nuclei from what grew around them; see :func:`biomarkers.seg.grow.told_parts`."""
    parts = np.empty(cells.shape, np.uint8)
    _tell(nuclei, cells, parts)
    return CellLabels(cells, parts)


def renumbered(labels: Labels, number: NDArray[np.int32]) -> Labels:
    """Give each label its new number; see :func:`biomarkers.seg.grow.renumbered`."""
    out = np.empty(labels.shape, np.int32)
    _renumber(labels, number, out)
    return out


def relabel(bodies: CellLabels, number: NDArray[np.int32]) -> tuple[Labels, Labels]:
    """Make maps with new numbers; see :func:`biomarkers.seg.grow.relabel`."""
    nuclei, cells = (np.empty(bodies.cells.shape, np.int32) for _ in range(2))
    _paint(*bodies, number, nuclei, cells)
    return nuclei, cells


def _least_type(labels: Labels) -> tuple[Any, Any]:
    """Type of labels while they grow, and the same without a sign."""
    few = labels.dtype == np.int16 or int(labels.max(initial=0)) < FEW
    return (np.int16, np.uint16) if few else (np.int32, np.uint32)


def _in_bands(labels: Labels, steps: int, types: tuple[Any, Any], out: NDArray[Any], parts: NDArray[np.uint8]) -> None:
    kind, plain = types
    rows, columns = min(labels.shape[0], _BAND + 2 * steps) + 2, labels.shape[1] + 2
    now, then = (np.empty((rows, columns), kind) for _ in range(2))
    _grow(np.ascontiguousarray(labels), steps, now, then, np.empty(0, plain), out, parts)


@numba.njit(cache=True, nogil=True)
def _renumber(labels, number, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        _look_up(labels[y], number, out[y])


@numba.njit(cache=True, nogil=True)
def _look_up(labels, number, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] = number[np.uint32(labels[x])]


@numba.njit(cache=True, nogil=True)
def _paint(cells, parts, number, nuclei, whole):  # type: ignore[no-untyped-def]
    for y in range(cells.shape[0]):
        _look_up(cells[y], number, whole[y])
        _keep_nuclei(whole[y], parts[y], number[0], nuclei[y])


@numba.njit(cache=True, nogil=True)
def _keep_nuclei(cells, parts, nothing, out):  # type: ignore[no-untyped-def]
    nucleus = np.uint8(NUCLEUS)
    for x in range(out.size):
        out[x] = cells[x] if parts[x] == nucleus else nothing


@numba.njit(cache=True, nogil=True)
def _tell(labels, cells, parts):  # type: ignore[no-untyped-def]
    nothing, nucleus, around = np.uint8(0), np.uint8(NUCLEUS), np.uint8(CYTOPLASM)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            part = nucleus if labels[y, x] > 0 else around
            parts[y, x] = part if cells[y, x] > 0 else nothing


@numba.njit(cache=True, nogil=True)
def _grow(labels, steps, now, then, plain, out, parts):  # type: ignore[no-untyped-def]
    """Grow in bands that stay in the cache, in a frame: -1 is free, 0 and above a label less one, -2 a line between.

    Without a sign, what is no label is larger than any label. ``plain`` is empty and only tells the type for that.
    ``parts`` are told band by band, unless that is empty.
    """
    rows, columns = labels.shape
    kind, free = now.dtype.type, now.dtype.type(-1)
    for one in (now, then):
        one[0], one[:, 0], one[:, columns + 1] = free, free, free
    for top in range(0, rows, _BAND):
        first, last, stop = max(top - steps, 0), min(top + _BAND + steps, rows), min(top + _BAND, rows)
        size = last - first
        for y in range(size):
            for x in range(columns):
                now[y + 1, x + 1] = kind(labels[first + y, x] - 1)
        for x in range(columns + 2):
            now[size + 1, x], then[size + 1, x] = free, free
        one, other = now, then
        for step in range(steps):
            if step % 2 == 0:
                _four(one, size, columns, plain, other)
            else:
                _eight(one, size, columns, plain, other)
            one, other = other, one
        for y in range(top, stop):
            for x in range(columns):
                out[y, x] = max(one[y - first + 1, x + 1], free) + kind(1)
        if parts.size > 0:
            _tell(labels[top:stop], out[top:stop], parts[top:stop])


@numba.njit(cache=True, nogil=True)
def _four(a, rows, columns, plain, out):  # type: ignore[no-untyped-def]
    """One step in four directions."""
    free, line, unsigned = a.dtype.type(-1), a.dtype.type(-2), plain.dtype.type
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            here, up, left, right, down = a[y, x], a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            high = max(max(up, left), max(right, down))
            low = min(min(unsigned(up), unsigned(left)), min(unsigned(right), unsigned(down)))
            only = high if low == unsigned(high) else line
            reached = only if high > free else free
            out[y, x] = reached if here == free else here


@numba.njit(cache=True, nogil=True)
def _eight(a, rows, columns, plain, out):  # type: ignore[no-untyped-def]
    """One step in eight directions."""
    free, line, unsigned = a.dtype.type(-1), a.dtype.type(-2), plain.dtype.type
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            here, up, left, right, down = a[y, x], a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            p, q, r, s = a[y - 1, x - 1], a[y - 1, x + 1], a[y + 1, x - 1], a[y + 1, x + 1]
            high = max(max(max(up, left), max(right, down)), max(max(p, q), max(r, s)))
            low = min(
                min(min(unsigned(up), unsigned(left)), min(unsigned(right), unsigned(down))),
                min(min(unsigned(p), unsigned(q)), min(unsigned(r), unsigned(s))),
            )
            only = high if low == unsigned(high) else line
            reached = only if high > free else free
            out[y, x] = reached if here == free else here
