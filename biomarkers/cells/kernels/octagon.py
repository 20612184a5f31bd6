"""Lowest and highest values within an octagon, ring by ring; see :func:`biomarkers.cells.grow.erode`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def erode(image: NDArray[np.int32], *, steps: int) -> NDArray[np.int32]:
    """Lowest value within an octagon; see :func:`biomarkers.cells.grow.erode`."""
    now, then = np.ascontiguousarray(image), np.empty(image.shape, np.int32)
    flat = np.empty((3, image.shape[1]), np.int32)
    for step in range(steps):
        _ring(now, then, flat, step % 2 == 1)
        now, then = then, (np.empty_like(then) if now is image else now)
    return now


def dilate(image: NDArray[np.int32], *, steps: int) -> NDArray[np.int32]:
    """Highest value within an octagon; see :func:`biomarkers.cells.grow.dilate`."""
    return -erode(-image, steps=steps)


@numba.njit(cache=True, nogil=True)
def _ring(image, out, flat, square):  # type: ignore[no-untyped-def]
    """Lowest of the four neighbours and the pixel, or of all eight; ``flat`` holds three rows of minima along a row."""
    rows = image.shape[0]
    _along(image[0], flat[0])
    for row in range(rows):
        above, here, below = max(row - 1, 0), row, min(row + 1, rows - 1)
        if below > row:
            _along(image[below], flat[below % 3])
        if square:
            _least(flat[above % 3], flat[here % 3], flat[below % 3], out[row])
        else:
            _least(image[above], flat[here % 3], image[below], out[row])


@numba.njit(cache=True, nogil=True)
def _along(line, out):  # type: ignore[no-untyped-def]
    last = line.size - 1
    if last == 0:
        out[0] = line[0]
        return
    out[0], out[last] = min(line[0], line[1]), min(line[last], line[last - 1])
    left, middle, right, target = line[:-2], line[1:-1], line[2:], out[1:-1]
    for x in range(target.size):
        target[x] = min(min(left[x], right[x]), middle[x])


@numba.njit(cache=True, nogil=True)
def _least(one, two, three, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] = min(min(one[x], three[x]), two[x])
