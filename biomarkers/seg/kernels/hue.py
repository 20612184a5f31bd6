"""Hue of nuclei and cells that grow to their membranes; see :mod:`biomarkers.seg.hue`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import FEW, Labels
from biomarkers.seg.hue import (
    DAB_SHARE,
    FULL_LINE,
    HEMATOXYLIN_SHARE,
    HIGHEST,
    LEAST_LINE,
    LEAST_RIM,
    LEAST_STAIN,
    LEVEL,
    STAIN_STEP,
    TIE_BITS,
    TIE_MASK,
)

_SHIFT = 10  # of the shares: they are 1024ths
_BAND = 128  # rows worked on at once
# (x * _RECIPROCAL) >> _RECIPROCAL_SHIFT is x // FULL_LINE for x up to 255 * FULL_LINE, and fits 32 bits
_RECIPROCAL_SHIFT = 24
_RECIPROCAL = (1 << _RECIPROCAL_SHIFT) // FULL_LINE + 1


def signal(hematoxylin: NDArray[np.int16], dab: NDArray[np.int16], *, finer: int) -> NDArray[np.int16]:
    """Hue of each pixel; see :func:`biomarkers.seg.hue.signal`."""
    out = np.empty(dab.shape, np.int16)
    _signal(hematoxylin, dab, np.int32(finer), out)
    return out


def heights(near: NDArray[np.int16], wide: NDArray[np.int16], stain: NDArray[np.int16]) -> NDArray[np.int32]:
    """Surface of middles of nuclei; see :func:`biomarkers.seg.hue.heights`."""
    out = np.zeros((near.shape[0] + 2, near.shape[1] + 2), np.int32)
    _heights(near, wide, stain, out)
    return out


def grow_to_membranes(labels: Labels, wait: NDArray[np.uint8], *, steps: int, last: int) -> Labels:
    """Grow labels that wait at membranes; see :func:`biomarkers.seg.hue.grow_to_membranes`."""
    few = labels.dtype == np.int16 or int(labels.max(initial=0)) < FEW
    kind: Any = np.int16 if few else np.int32
    rows, columns = min(labels.shape[0], _BAND + 2 * steps) + 2, labels.shape[1] + 2
    now, then, left = (np.empty((rows, columns), kind) for _ in range(3))
    out = np.empty(labels.shape, kind)
    _grow(
        np.ascontiguousarray(labels),
        wait,
        (steps, last),
        now,
        then,
        left,
        np.empty(0, np.uint16 if few else np.uint32),
        out,
    )
    return out


def waits(line: NDArray[np.int16], *, most: int) -> NDArray[np.uint8]:
    """Tell how many steps growing cells wait; see :func:`biomarkers.seg.hue.waits`."""
    out = np.empty(line.shape, np.uint8)
    _waits(line, np.uint32(most), out)
    return out


@numba.njit(cache=True, nogil=True)
def _signal(hematoxylin, dab, finer, out):  # type: ignore[no-untyped-def]
    blue, brown = finer * np.int32(HEMATOXYLIN_SHARE), finer * np.int32(DAB_SHARE)
    zero, level, most = np.int32(0), finer * np.int32(LEVEL), finer * np.int32(HIGHEST)
    for y in range(out.shape[0]):
        first, second, target = hematoxylin[y], dab[y], out[y]
        for x in range(target.size):
            both = (blue * np.int32(first[x]) - brown * np.int32(second[x])) >> _SHIFT
            target[x] = min(max(both + level, zero), most)


@numba.njit(cache=True, nogil=True)
def _heights(near, wide, stain, out):  # type: ignore[no-untyped-def]
    for y in range(near.shape[0]):
        for x in range(near.shape[1]):
            over = np.int32(near[y, x]) - np.int32(wide[y, x])
            if over >= LEAST_RIM and stain[y, x] >= LEAST_STAIN:
                told_apart = (np.int32(near[y, x]) + STAIN_STEP * np.int32(stain[y, x])) & np.int32(TIE_MASK)
                out[y + 1, x + 1] = (over << TIE_BITS) + told_apart


@numba.njit(cache=True, nogil=True)
def _waits(line, most, out):  # type: ignore[no-untyped-def]
    """Multiply by the reciprocal: whole division is no instruction of many numbers at once."""
    least, zero, full = np.int16(LEAST_LINE), np.int16(0), np.int16(FULL_LINE)
    by, shift = np.uint32(_RECIPROCAL), np.uint32(_RECIPROCAL_SHIFT)
    for y in range(out.shape[0]):
        source, target = line[y], out[y]
        for x in range(target.size):
            here = max(min(source[x], full), zero)
            steps = np.uint8((np.uint32(here) * most * by) >> shift)
            target[x] = steps if here >= least else np.uint8(0)


@numba.njit(cache=True, nogil=True)
def _grow(labels, wait, counts, now, then, left, plain, out):  # type: ignore[no-untyped-def]
    """Grow in bands that stay in the cache, in a frame: -1 is free, 0 and above a label less one, -2 a line between.

    ``plain`` is empty and only tells the type in which what is no label is larger than any label.
    """
    rows, columns = labels.shape
    steps, last_steps = counts
    kind, free = now.dtype.type, now.dtype.type(-1)
    for one in (now, then):
        one[0], one[:, 0], one[:, columns + 1] = free, free, free
    for top in range(0, rows, _BAND):
        first, last, stop = max(top - steps, 0), min(top + _BAND + steps, rows), min(top + _BAND, rows)
        size = last - first
        for y in range(size):
            for x in range(columns):
                now[y + 1, x + 1] = kind(labels[first + y, x] - 1)
                left[y + 1, x + 1] = kind(wait[first + y, x])
        for x in range(columns + 2):
            now[size + 1, x], then[size + 1, x] = free, free
        one, other = now, then
        for step in range(steps):
            if step == steps - last_steps:
                left[:] = 0
            beyond = steps - 1 - step  # rows beside the band from which a later step still reaches it
            begin, end = max(top - beyond, first) - first + 1, min(stop + beyond, last) - first + 1
            if step % 2 == 0:
                _four(one, left, begin, end, columns, plain, other)
            else:
                _eight(one, left, begin, end, columns, plain, other)
            one, other = other, one
        for y in range(top, stop):
            for x in range(columns):
                out[y, x] = max(one[y - first + 1, x + 1], free) + kind(1)


@numba.njit(cache=True, nogil=True)
def _four(a, left, begin, end, columns, plain, out):  # type: ignore[no-untyped-def]
    """One step in four directions."""
    free, line, unsigned, none = a.dtype.type(-1), a.dtype.type(-2), plain.dtype.type, a.dtype.type(0)
    for y in range(begin, end):
        for x in range(1, columns + 1):
            here, up, beside, right, down = a[y, x], a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            high = max(max(up, beside), max(right, down))
            low = min(min(unsigned(up), unsigned(beside)), min(unsigned(right), unsigned(down)))
            only = high if low == unsigned(high) else line
            waits = left[y, x]
            reached = (high > free) & (here == free)
            left[y, x] = waits - (reached & (waits > none))
            out[y, x] = only if reached & (waits == none) else here


@numba.njit(cache=True, nogil=True)
def _eight(a, left, begin, end, columns, plain, out):  # type: ignore[no-untyped-def]
    """One step in eight directions."""
    free, line, unsigned, none = a.dtype.type(-1), a.dtype.type(-2), plain.dtype.type, a.dtype.type(0)
    for y in range(begin, end):
        for x in range(1, columns + 1):
            here, up, beside, right, down = a[y, x], a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            p, q, r, s = a[y - 1, x - 1], a[y - 1, x + 1], a[y + 1, x - 1], a[y + 1, x + 1]
            high = max(max(max(up, beside), max(right, down)), max(max(p, q), max(r, s)))
            low = min(
                min(min(unsigned(up), unsigned(beside)), min(unsigned(right), unsigned(down))),
                min(min(unsigned(p), unsigned(q)), min(unsigned(r), unsigned(s))),
            )
            only = high if low == unsigned(high) else line
            waits = left[y, x]
            reached = (high > free) & (here == free)
            left[y, x] = waits - (reached & (waits > none))
            out[y, x] = only if reached & (waits == none) else here
