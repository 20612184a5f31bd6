"""Labels that grow ring by ring; see :func:`biomarkers.cells.grow.expand`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels

_FEW = 2**15 - 1
_BAND = 128  # rows worked on at once


def expand(labels: Labels, *, steps: int) -> Labels:
    """Grow labels by rings; see :func:`biomarkers.cells.grow.expand`."""
    # half as many bytes are twice as fast
    few = int(labels.max(initial=0)) < _FEW
    rows, columns = min(labels.shape[0], _BAND + 2 * steps) + 2, labels.shape[1] + 2
    now, then = (np.zeros((rows, columns), np.int16 if few else np.int32) for _ in range(2))
    out = np.empty(labels.shape, np.int32)
    (_grow_few if few else _grow_many)(np.ascontiguousarray(labels), steps, now, then, out)
    return out


def renumbered(labels: Labels, number: NDArray[np.int32]) -> Labels:
    """Give each label its new number; see :func:`biomarkers.cells.grow.renumbered`."""
    out = np.empty(labels.shape, np.int32)
    _renumber(labels, number, out)
    return out


@numba.njit(cache=True, nogil=True)
def _renumber(labels, number, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = number[labels[y, x]]


@numba.njit(cache=True, nogil=True)
def paint(target, labels, number):  # type: ignore[no-untyped-def]
    """Write new numbers; see :func:`biomarkers.cells.grow.paint`."""
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            new = number[labels[y, x]]
            if new > 0:
                target[y, x] = new


@numba.njit(cache=True, nogil=True)
def _grow_few(labels, steps, now, then, out):  # type: ignore[no-untyped-def]
    """Grow in bands that stay in the cache, in a frame: 0 is free, above 0 a label, -1 a line between labels."""
    rows, columns = labels.shape
    for top in range(0, rows, _BAND):
        first, last, stop = max(top - steps, 0), min(top + _BAND + steps, rows), min(top + _BAND, rows)
        size = last - first
        for y in range(size):
            for x in range(columns):
                now[y + 1, x + 1] = labels[first + y, x]
        for x in range(columns + 2):
            now[size + 1, x], then[size + 1, x] = 0, 0
        one, other = now, then
        for step in range(steps):
            if step % 2 == 0:
                _four_few(one, size, columns, other)
            else:
                _eight_few(one, size, columns, other)
            one, other = other, one
        for y in range(top, stop):
            for x in range(columns):
                out[y, x] = max(np.int32(one[y - first + 1, x + 1]), np.int32(0))


@numba.njit(cache=True, nogil=True)
def _four_few(a, rows, columns, out):  # type: ignore[no-untyped-def]
    """One step in four directions. As unsigned numbers, what is no label is larger than any label less one."""
    one = np.int16(1)
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            up, left, right, down = a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            high = max(max(up, left), max(right, down))
            low = min(
                min(np.uint16(up - one), np.uint16(left - one)), min(np.uint16(right - one), np.uint16(down - one))
            )
            only = high if low == np.uint16(high - one) else np.int16(-1)
            reached = only if high > 0 else np.int16(0)
            out[y, x] = a[y, x] if a[y, x] != 0 else reached


@numba.njit(cache=True, nogil=True)
def _eight_few(a, rows, columns, out):  # type: ignore[no-untyped-def]
    """One step in eight directions."""
    one = np.int16(1)
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            up, left, right, down = a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            p, q, r, s = a[y - 1, x - 1], a[y - 1, x + 1], a[y + 1, x - 1], a[y + 1, x + 1]
            high = max(max(max(up, left), max(right, down)), max(max(p, q), max(r, s)))
            low = min(
                min(
                    min(np.uint16(up - one), np.uint16(left - one)), min(np.uint16(right - one), np.uint16(down - one))
                ),
                min(min(np.uint16(p - one), np.uint16(q - one)), min(np.uint16(r - one), np.uint16(s - one))),
            )
            only = high if low == np.uint16(high - one) else np.int16(-1)
            reached = only if high > 0 else np.int16(0)
            out[y, x] = a[y, x] if a[y, x] != 0 else reached


@numba.njit(cache=True, nogil=True)
def _grow_many(labels, steps, now, then, out):  # type: ignore[no-untyped-def]
    """Grow in bands that stay in the cache, in a frame: 0 is free, above 0 a label, -1 a line between labels."""
    rows, columns = labels.shape
    for top in range(0, rows, _BAND):
        first, last, stop = max(top - steps, 0), min(top + _BAND + steps, rows), min(top + _BAND, rows)
        size = last - first
        for y in range(size):
            for x in range(columns):
                now[y + 1, x + 1] = labels[first + y, x]
        for x in range(columns + 2):
            now[size + 1, x], then[size + 1, x] = 0, 0
        one, other = now, then
        for step in range(steps):
            if step % 2 == 0:
                _four_many(one, size, columns, other)
            else:
                _eight_many(one, size, columns, other)
            one, other = other, one
        for y in range(top, stop):
            for x in range(columns):
                out[y, x] = max(np.int32(one[y - first + 1, x + 1]), np.int32(0))


@numba.njit(cache=True, nogil=True)
def _four_many(a, rows, columns, out):  # type: ignore[no-untyped-def]
    """One step in four directions. As unsigned numbers, what is no label is larger than any label less one."""
    one = np.int32(1)
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            up, left, right, down = a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            high = max(max(up, left), max(right, down))
            low = min(
                min(np.uint32(up - one), np.uint32(left - one)), min(np.uint32(right - one), np.uint32(down - one))
            )
            only = high if low == np.uint32(high - one) else np.int32(-1)
            reached = only if high > 0 else np.int32(0)
            out[y, x] = a[y, x] if a[y, x] != 0 else reached


@numba.njit(cache=True, nogil=True)
def _eight_many(a, rows, columns, out):  # type: ignore[no-untyped-def]
    """One step in eight directions."""
    one = np.int32(1)
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            up, left, right, down = a[y - 1, x], a[y, x - 1], a[y, x + 1], a[y + 1, x]
            p, q, r, s = a[y - 1, x - 1], a[y - 1, x + 1], a[y + 1, x - 1], a[y + 1, x + 1]
            high = max(max(max(up, left), max(right, down)), max(max(p, q), max(r, s)))
            low = min(
                min(
                    min(np.uint32(up - one), np.uint32(left - one)), min(np.uint32(right - one), np.uint32(down - one))
                ),
                min(min(np.uint32(p - one), np.uint32(q - one)), min(np.uint32(r - one), np.uint32(s - one))),
            )
            only = high if low == np.uint32(high - one) else np.int32(-1)
            reached = only if high > 0 else np.int32(0)
            out[y, x] = a[y, x] if a[y, x] != 0 else reached
