"""Sums of light over squares of pixels; see :mod:`biomarkers.slide.tissue`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def square_sums(rgb: NDArray[np.uint8], step: int) -> NDArray[np.int32]:
    """Sum light over squares; see :func:`biomarkers.slide.tissue.square_sums`."""
    height, width = rgb.shape[:2]
    rows, columns = -(-height // step), -(-width // step)
    out = np.empty((rows, columns * 3), np.int32)
    lines = np.ascontiguousarray(rgb).reshape(height, width * 3)
    _add(lines, step, np.zeros(columns * step * 3, np.int32), out)
    return out.reshape(rows, columns, 3)


@numba.njit(cache=True, nogil=True)
def _add(pixels, step, line, out):  # type: ignore[no-untyped-def]
    """Add up rows, which runs through memory as it lies, then what stands side by side; beyond the border is 0."""
    height, wide = pixels.shape
    for row in range(out.shape[0]):
        part, first = line[:wide], pixels[row * step]
        for x in range(wide):
            part[x] = np.int32(first[x])
        for y in range(row * step + 1, min(row * step + step, height)):
            source = pixels[y]
            for x in range(wide):
                part[x] += np.int32(source[x])
        target = out[row]
        for column in range(target.size // 3):
            red, green, blue = np.int32(0), np.int32(0), np.int32(0)
            start = column * step * 3
            for x in range(start, start + step * 3, 3):
                red += line[x]
                green += line[x + 1]
                blue += line[x + 2]
            target[3 * column], target[3 * column + 1], target[3 * column + 2] = red, green, blue
