"""Lowest and highest values within an octagon, ring by ring; see :func:`biomarkers.cells.grow.erode`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def erode(image: NDArray[np.int32], *, steps: int) -> NDArray[np.int32]:
    """Lowest value within an octagon; see :func:`biomarkers.cells.grow.erode`."""
    return image if steps < 1 else _lowest(np.ascontiguousarray(image), steps)


def dilate(image: NDArray[np.int32], *, steps: int) -> NDArray[np.int32]:
    """Highest value within an octagon; see :func:`biomarkers.cells.grow.dilate`."""
    return -erode(-image, steps=steps)


@numba.njit(cache=True, nogil=True)
def _lowest(image, steps):  # type: ignore[no-untyped-def]
    rows, columns = image.shape
    now, then = image.copy(), np.empty_like(image)
    # three rows of minima along the row: above, here, below
    flat = np.empty((3, columns), image.dtype)
    for step in range(steps):
        square = step % 2 == 1
        _along(now[0], flat[0])
        for row in range(rows):
            here, below = row % 3, min(row + 1, rows - 1)
            if row + 1 < rows:
                _along(now[row + 1], flat[(row + 1) % 3])
            above = max(row - 1, 0)
            if square:
                _least(flat[above % 3], flat[here], flat[below % 3], then[row])
            else:
                _least(now[above], flat[here], now[below], then[row])
        now, then = then, now
    return now


@numba.njit(cache=True, nogil=True)
def _along(line, out):  # type: ignore[no-untyped-def]
    last = line.size - 1
    out[0] = min(line[0], line[min(1, last)])
    out[last] = min(line[last], line[max(last - 1, 0)])
    if last > 1:
        left, middle, right, target = line[:-2], line[1:-1], line[2:], out[1:-1]
        for x in range(target.size):
            target[x] = min(min(left[x], right[x]), middle[x])


@numba.njit(cache=True, nogil=True)
def _least(one, two, three, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] = min(min(one[x], three[x]), two[x])
