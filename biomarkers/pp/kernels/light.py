"""From light to amounts of stain by tables, and averages of light; see :mod:`biomarkers.seg.contrast`."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

# some steps stand in biomarkers/pp/kernels/blocks.py too: numba's cache does not see when a kernel in another file
# has changed, so each file of kernels calls none but its own
_HALVES = 32  # bits of each of the two sums that one number holds


def block_sums(rgb: NDArray[np.uint8], *, factor: int) -> NDArray[np.int32]:
    """Sum light over squares of pixels; see :func:`biomarkers.seg.contrast.block_sums`."""
    height, width = rgb.shape[:2]
    rows, columns = -(-height // factor), -(-width // factor)
    out = np.empty((rows, columns * 3), np.int32)
    _add(np.ascontiguousarray(rgb).reshape(height, width * 3), factor, np.empty(columns * factor * 3, np.uint16), out)
    return out.reshape(rows, columns, 3)


def separated(
    light: NDArray[np.uint8] | NDArray[np.int32], tables: NDArray[np.int32]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Amounts of both stains by table; see :func:`biomarkers.seg.contrast.separated`."""
    one, other = (np.empty(light.shape[:2], np.int16) for _ in range(2))
    both = np.empty(light.shape[1], np.int64)
    _look_up(np.ascontiguousarray(light), _packed(tables.tobytes(), tables.shape[2]), both, one, other)
    return one, other


@lru_cache(maxsize=16)
def _packed(tables: bytes, size: int) -> NDArray[np.int64]:
    """Both stains' tables in one: the first in the upper half of each number, the second in the lower."""
    first, second = np.frombuffer(tables, np.int32).reshape(2, 3, size).astype(np.int64)
    return np.ascontiguousarray((first << _HALVES) + second)


@numba.njit(cache=True, nogil=True)
def _add(pixels, factor, line, out):  # type: ignore[no-untyped-def]
    """Add up rows, which runs through memory as it lies, then what stands side by side; the border repeats."""
    height, wide = pixels.shape
    for row in range(out.shape[0]):
        _begin(pixels[row * factor], line)
        for y in range(row * factor + 1, row * factor + factor):
            _add_row(pixels[min(y, height - 1)], line)
        for x in range(wide, line.size):
            line[x] = line[x - 3]
        if factor == 2:
            _add_pairs(line, out[row])
        else:
            _add_beside(line, factor, out[row])


@numba.njit(cache=True, nogil=True)
def _begin(source, line):  # type: ignore[no-untyped-def]
    for x in range(source.size):
        line[x] = np.uint16(source[x])


@numba.njit(cache=True, nogil=True)
def _add_row(source, line):  # type: ignore[no-untyped-def]
    for x in range(source.size):
        line[x] += np.uint16(source[x])


@numba.njit(cache=True, nogil=True)
def _add_pairs(line, out):  # type: ignore[no-untyped-def]
    for column in range(out.size // 3):
        to, at = 3 * column, 6 * column
        out[to] = np.int32(line[at]) + np.int32(line[at + 3])
        out[to + 1] = np.int32(line[at + 1]) + np.int32(line[at + 4])
        out[to + 2] = np.int32(line[at + 2]) + np.int32(line[at + 5])


@numba.njit(cache=True, nogil=True)
def _add_beside(line, factor, out):  # type: ignore[no-untyped-def]
    for column in range(out.size // 3):
        red, green, blue = np.int32(0), np.int32(0), np.int32(0)
        start = column * factor * 3
        for x in range(start, start + factor * 3, 3):
            red += np.int32(line[x])
            green += np.int32(line[x + 1])
            blue += np.int32(line[x + 2])
        out[3 * column], out[3 * column + 1], out[3 * column + 2] = red, green, blue


@numba.njit(cache=True, nogil=True)
def _look_up(light, packed, both, one, other):  # type: ignore[no-untyped-def]
    reds, greens, blues = packed[0], packed[1], packed[2]
    for row in range(light.shape[0]):
        _gather(light[row], reds, greens, blues, both)
        _unpack(both, one[row], other[row])


@numba.njit(cache=True, nogil=True)
def _gather(line, reds, greens, blues, both):  # type: ignore[no-untyped-def]
    for x in range(both.size):
        both[x] = reds[np.uint32(line[x, 0])] + greens[np.uint32(line[x, 1])] + blues[np.uint32(line[x, 2])]


@numba.njit(cache=True, nogil=True)
def _unpack(both, first, second):  # type: ignore[no-untyped-def]
    half, shift = np.int32(128), np.int32(8)
    for x in range(both.size):
        low = np.int32(both[x])
        high = np.int32((both[x] - low) >> _HALVES)
        first[x] = (high + half) >> shift
        second[x] = (low + half) >> shift
