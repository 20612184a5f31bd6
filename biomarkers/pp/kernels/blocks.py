"""Sums of light over squares of pixels; see :mod:`biomarkers.pp.tissue`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def square_sums(rgb: NDArray[np.uint8], step: int) -> NDArray[np.int32]:
    """Sum light over squares; see :func:`biomarkers.pp.tissue.square_sums`."""
    height, width = rgb.shape[:2]
    rows, columns = -(-height // step), -(-width // step)
    out = np.empty((rows, columns * 3), np.int32)
    lines = np.ascontiguousarray(rgb).reshape(height, width * 3)
    room = np.zeros((2, columns * step * 3), np.int32)
    _add(lines, step, room[0], room[1], out)
    return out.reshape(rows, columns, 3)


@numba.njit(cache=True, nogil=True)
def _add(pixels, step, line, other, out):  # type: ignore[no-untyped-def]
    """Add up rows, which runs through memory as it lies, then what stands side by side; beyond the border is 0."""
    height, wide = pixels.shape
    for row in range(out.shape[0]):
        for x in range(wide, line.size):
            line[x] = 0
        _begin(pixels[row * step], line)
        for y in range(row * step + 1, min(row * step + step, height)):
            _add_row(pixels[y], line)
        left, sums, free = step, line, other
        while left % 2 == 0 and left > 2:  # pairs of pairs: all of a row in vectors
            left //= 2
            _add_pairs(sums, free[: out.shape[1] * left])
            sums, free = free, sums
        if left == 2:
            _add_pairs(sums, out[row])
        else:
            _add_beside(sums, left, out[row])


@numba.njit(cache=True, nogil=True)
def _begin(source, line):  # type: ignore[no-untyped-def]
    for x in range(source.size):
        line[x] = np.int32(source[x])


@numba.njit(cache=True, nogil=True)
def _add_row(source, line):  # type: ignore[no-untyped-def]
    for x in range(source.size):
        line[x] += np.int32(source[x])


@numba.njit(cache=True, nogil=True)
def _add_pairs(line, out):  # type: ignore[no-untyped-def]
    for column in range(out.size // 3):
        to, at = 3 * column, 6 * column
        out[to] = line[at] + line[at + 3]
        out[to + 1] = line[at + 1] + line[at + 4]
        out[to + 2] = line[at + 2] + line[at + 5]


@numba.njit(cache=True, nogil=True)
def _add_beside(line, step, out):  # type: ignore[no-untyped-def]
    for column in range(out.size // 3):
        red, green, blue = np.int32(0), np.int32(0), np.int32(0)
        start = column * step * 3
        for x in range(start, start + step * 3, 3):
            red += line[x]
            green += line[x + 1]
            blue += line[x + 2]
        out[3 * column], out[3 * column + 1], out[3 * column + 2] = red, green, blue
