"""Filters on whole numbers, row by row; see :mod:`biomarkers.seg.filters`."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.filters import UNITY, gaussian_weights, second_derivative_weights

_STRIP = 128  # columns worked on at once
_SHIFT = 2 * (UNITY.bit_length() - 1)
_HALF = 1 << (_SHIFT - 1)


def smooth(image: NDArray[np.int16], *, sigma_px: float) -> NDArray[np.int16]:
    """Gaussian smoothing; see :func:`biomarkers.seg.filters.smooth`."""
    weights, _ = _half_weights(sigma_px)
    out = np.empty(image.shape, np.int16)
    _smooth(np.ascontiguousarray(image), weights, np.empty(image.shape[1] + 2 * weights.size - 2, np.int32), out)
    return out


def negative_log(image: NDArray[np.int16], *, sigma_px: float) -> NDArray[np.int16]:
    """Negative Laplacian of Gaussian; see :func:`biomarkers.seg.filters.negative_log`."""
    gauss, bend = _half_weights(sigma_px)
    lines = np.empty((2, image.shape[1] + 2 * gauss.size - 2), np.int32)
    out = np.empty(image.shape, np.int16)
    _blobness(np.ascontiguousarray(image), gauss, bend, lines, np.empty(image.shape[1], np.int32), out)
    return out


def grey_opening(image: NDArray[np.int16], *, half: int) -> NDArray[np.int16]:
    """Lowest, then highest values over squares; see :func:`biomarkers.seg.filters.grey_opening`."""
    rows, columns = image.shape
    lines, strips = np.empty((2, columns + 2 * half), np.int16), np.empty((2, (rows + 2 * half) * _STRIP), np.int16)
    out = np.empty(image.shape, np.int16)
    _lowest_along(image, half, np.int16(0), lines, out)
    _lowest_down(out, half, np.int16(0), strips)
    _lowest_along(out, half, np.int16(-1), lines, out)
    _lowest_down(out, half, np.int16(-1), strips)
    return out


@lru_cache(maxsize=16)
def _half_weights(sigma_px: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return a Gaussian and its bend from the middle outwards (both are symmetric), not to be written to."""
    gauss, bend = gaussian_weights(sigma_px), -second_derivative_weights(sigma_px)
    return gauss[gauss.size // 2 :].astype(np.int32), bend[bend.size // 2 :].astype(np.int32)


@numba.njit(cache=True, nogil=True)
def _down(image, row, weights, middle):  # type: ignore[no-untyped-def]
    """Correlate the columns at one row; the border repeats."""
    last = image.shape[0] - 1
    here, heart = image[row], weights[0]
    for x in range(middle.size):
        middle[x] = np.int32(here[x]) * heart
    for step in range(1, weights.size):
        above, below, weight = image[max(row - step, 0)], image[min(row + step, last)], weights[step]
        for x in range(middle.size):
            middle[x] += (np.int32(above[x]) + np.int32(below[x])) * weight


@numba.njit(cache=True, nogil=True)
def _down_twice(image, row, gauss, bend, middle, other):  # type: ignore[no-untyped-def]
    """Correlate the columns at one row with two sets of weights."""
    last = image.shape[0] - 1
    here, heart, core = image[row], gauss[0], bend[0]
    for x in range(middle.size):
        middle[x], other[x] = np.int32(here[x]) * heart, np.int32(here[x]) * core
    for step in range(1, gauss.size):
        above, below, one, two = image[max(row - step, 0)], image[min(row + step, last)], gauss[step], bend[step]
        for x in range(middle.size):
            pair = np.int32(above[x]) + np.int32(below[x])
            middle[x] += pair * one
            other[x] += pair * two


@numba.njit(cache=True, nogil=True)
def _repeat_ends(line, wide):  # type: ignore[no-untyped-def]
    size = line.size - 2 * wide
    for x in range(wide):
        line[x], line[wide + size + x] = line[wide], line[wide + size - 1]


@numba.njit(cache=True, nogil=True)
def _along(total, line, weights):  # type: ignore[no-untyped-def]
    """Add a row's correlation; two pairs of weights at a time, since most of the work is loading and storing."""
    size, wide = total.size, weights.size - 1
    middle, heart = line[wide : wide + size], weights[0]
    for x in range(size):
        total[x] += middle[x] * heart
    for step in range(1, wide, 2):
        one, other = weights[step], weights[step + 1]
        left, right = line[wide - step : wide - step + size], line[wide + step : wide + step + size]
        left2, right2 = line[wide - step - 1 : wide - step - 1 + size], line[wide + step + 1 : wide + step + 1 + size]
        for x in range(size):
            total[x] += (left[x] + right[x]) * one + (left2[x] + right2[x]) * other
    if wide % 2 == 1:
        left, right, weight = line[:size], line[2 * wide : 2 * wide + size], weights[wide]
        for x in range(size):
            total[x] += (left[x] + right[x]) * weight


@numba.njit(cache=True, nogil=True)
def _smooth(image, weights, line, out):  # type: ignore[no-untyped-def]
    wide, size = weights.size - 1, image.shape[1]
    total = np.empty(size, np.int32)
    for row in range(image.shape[0]):
        _down(image, row, weights, line[wide : wide + size])
        _repeat_ends(line, wide)
        for x in range(size):
            total[x] = _HALF
        _along(total, line, weights)
        target = out[row]
        for x in range(size):
            target[x] = total[x] >> _SHIFT


@numba.njit(cache=True, nogil=True)
def _blobness(image, gauss, bend, lines, total, out):  # type: ignore[no-untyped-def]
    wide, size = gauss.size - 1, image.shape[1]
    first, second = lines[0], lines[1]
    for row in range(image.shape[0]):
        _down_twice(image, row, gauss, bend, first[wide : wide + size], second[wide : wide + size])
        _repeat_ends(first, wide)
        _repeat_ends(second, wide)
        for x in range(size):
            total[x] = _HALF
        _along(total, first, bend)
        _along(total, second, gauss)
        target = out[row]
        for x in range(size):
            target[x] = total[x] >> _SHIFT


@numba.njit(cache=True, nogil=True)
def _lowest_along(image, half, flip, lines, out):  # type: ignore[no-untyped-def]
    """Lowest value of each row within ``half`` to both sides; ``flip`` of -1 turns the order of values round."""
    columns = image.shape[1]
    for y in range(image.shape[0]):
        source, line, target = image[y], lines[0], out[y]
        middle = line[half : half + columns]
        for x in range(columns):
            middle[x] = source[x] ^ flip
        for x in range(half):
            line[x], line[half + columns + x] = middle[0], middle[columns - 1]
        found = _lowest(lines, 2 * half + 1, 1)
        for x in range(columns):
            target[x] = found[x] ^ flip


@numba.njit(cache=True, nogil=True)
def _lowest_down(image, half, flip, strips):  # type: ignore[no-untyped-def]
    """Lowest value of each column within ``half`` up and down, in place, strip by strip so that caches hold it."""
    rows, columns = image.shape
    for left in range(0, columns, _STRIP):
        part = image[:, left : min(left + _STRIP, columns)]
        strip = strips[0].reshape(rows + 2 * half, _STRIP)
        for y in range(rows + 2 * half):
            row = min(max(y - half, 0), rows - 1)
            for x in range(part.shape[1]):
                strip[y, x] = part[row, x] ^ flip
        found = _lowest(strips, 2 * half + 1, _STRIP).reshape(rows + 2 * half, _STRIP)
        for y in range(rows):
            for x in range(part.shape[1]):
                part[y, x] = found[y, x] ^ flip


@numba.njit(cache=True, nogil=True)
def _lowest(buffers, size, stride):  # type: ignore[no-untyped-def]
    """Lowest of ``size`` values from each place on: three windows of the last step make one of the next."""
    now, then, wide = buffers[0], buffers[1], 1
    while wide < size:
        step = min(wide, (size - wide) // 2)
        room, near, far = now.size - 2 * step * stride, step * stride, 2 * step * stride
        _lowest_of_three(now[:room], now[near : near + room], now[far : far + room], then[:room])
        now, then = then, now
        wide += 2 * step
    return now


@numba.njit(cache=True, nogil=True)
def _lowest_of_three(one, two, three, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] = min(min(one[x], three[x]), two[x])
