"""Highest and lowest values within octagons, in bands that stay in the cache; see :mod:`biomarkers.seg.grow`."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

_BAND = 96  # rows worked on at once


def erode(image: NDArray, *, steps: int) -> NDArray:
    """Lowest value within an octagon; see :func:`biomarkers.seg.grow.erode`."""
    return _banded(image, steps, _lowest, 1 if image.dtype == bool else np.iinfo(image.dtype).max)


def dilate(image: NDArray, *, steps: int) -> NDArray:
    """Highest value within an octagon; see :func:`biomarkers.seg.grow.dilate`."""
    return _banded(image, steps, _highest, 0 if image.dtype == bool else np.iinfo(image.dtype).min)


def _banded(image: NDArray, steps: int, kernel: Callable[..., None], outside: int) -> NDArray:
    if steps < 1:
        return image.copy()
    kind = np.dtype(np.uint8) if image.dtype == bool else image.dtype
    source = np.ascontiguousarray(image).view(kind)
    out = np.empty(image.shape, kind)
    room = min(image.shape[0], _BAND + 2 * steps) + 2, image.shape[1] + 2
    now, then = np.full(room, outside, kind), np.full(room, outside, kind)
    kernel(source, steps, _BAND, kind.type(outside), now, then, out)
    return out.view(image.dtype)


@numba.njit(cache=True, nogil=True)
def _take(image, first, last, outside, now, then):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        for x in range(image.shape[1]):
            now[row - first + 1, x + 1] = image[row, x]
    for x in range(now.shape[1]):
        now[last - first + 1, x], then[last - first + 1, x] = outside, outside


@numba.njit(cache=True, nogil=True)
def _give(one, begin, out, top, stop):  # type: ignore[no-untyped-def]
    for row in range(top, stop):
        for x in range(out.shape[1]):
            out[row, x] = one[begin + row - top, x + 1]


@numba.njit(cache=True, nogil=True)
def _lowest(image, steps, band, outside, now, then, out):  # type: ignore[no-untyped-def]
    """Frames of one pixel that nothing is higher than stand around each band."""
    rows, columns = image.shape
    for top in range(0, rows, band):
        first, last, stop = max(top - steps, 0), min(top + band + steps, rows), min(top + band, rows)
        size = last - first
        _take(image, first, last, outside, now, then)
        one, other = now, then
        for step in range(steps):
            if step % 2 == 0:
                _low_cross(one, size, columns, other)
            else:
                _low_square(one, size, columns, other)
            one, other = other, one
        _give(one, top - first + 1, out, top, stop)


@numba.njit(cache=True, nogil=True)
def _low_cross(a, rows, columns, out):  # type: ignore[no-untyped-def]
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            out[y, x] = min(min(a[y, x - 1], a[y, x + 1]), min(min(a[y - 1, x], a[y + 1, x]), a[y, x]))


@numba.njit(cache=True, nogil=True)
def _low_square(a, rows, columns, out):  # type: ignore[no-untyped-def]
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            above = min(min(a[y - 1, x - 1], a[y - 1, x]), a[y - 1, x + 1])
            below = min(min(a[y + 1, x - 1], a[y + 1, x]), a[y + 1, x + 1])
            out[y, x] = min(min(above, below), min(min(a[y, x - 1], a[y, x]), a[y, x + 1]))


@numba.njit(cache=True, nogil=True)
def _highest(image, steps, band, outside, now, then, out):  # type: ignore[no-untyped-def]
    """Frames of one pixel that nothing is lower than stand around each band."""
    rows, columns = image.shape
    for top in range(0, rows, band):
        first, last, stop = max(top - steps, 0), min(top + band + steps, rows), min(top + band, rows)
        size = last - first
        _take(image, first, last, outside, now, then)
        one, other = now, then
        for step in range(steps):
            if step % 2 == 0:
                _high_cross(one, size, columns, other)
            else:
                _high_square(one, size, columns, other)
            one, other = other, one
        _give(one, top - first + 1, out, top, stop)


@numba.njit(cache=True, nogil=True)
def _high_cross(a, rows, columns, out):  # type: ignore[no-untyped-def]
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            out[y, x] = max(max(a[y, x - 1], a[y, x + 1]), max(max(a[y - 1, x], a[y + 1, x]), a[y, x]))


@numba.njit(cache=True, nogil=True)
def _high_square(a, rows, columns, out):  # type: ignore[no-untyped-def]
    for y in range(1, rows + 1):
        for x in range(1, columns + 1):
            above = max(max(a[y - 1, x - 1], a[y - 1, x]), a[y - 1, x + 1])
            below = max(max(a[y + 1, x - 1], a[y + 1, x]), a[y + 1, x + 1])
            out[y, x] = max(max(above, below), max(max(a[y, x - 1], a[y, x]), a[y, x + 1]))
