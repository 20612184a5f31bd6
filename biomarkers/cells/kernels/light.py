"""From light to amounts of stain by tables, and averages of light; see :mod:`biomarkers.cells.contrast`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def block_sums(rgb: NDArray[np.uint8], *, factor: int) -> NDArray[np.int32]:
    """Sum light over squares of pixels; see :func:`biomarkers.cells.contrast.block_sums`."""
    rows, columns = (-(-side // factor) for side in rgb.shape[:2])
    out = np.zeros((rows, columns, 3), np.int32)
    _add(rgb, factor, out)
    return out


def separated(
    light: NDArray[np.uint8] | NDArray[np.int32], tables: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Amounts of both stains by table; see :func:`biomarkers.cells.contrast.separated`."""
    one, other = (np.empty(light.shape[:2], np.int32) for _ in range(2))
    _look_up(light, tables, one, other)
    return one, other


@numba.njit(cache=True, nogil=True)
def _add(rgb, factor, out):  # type: ignore[no-untyped-def]
    height, width = rgb.shape[:2]
    for row in range(out.shape[0] * factor):
        line, target = rgb[min(row, height - 1)], out[row // factor]
        x = 0
        for column in range(out.shape[1]):
            for _ in range(factor):
                for channel in range(3):
                    target[column, channel] += line[x, channel]
                x = min(x + 1, width - 1)


@numba.njit(cache=True, nogil=True)
def _look_up(light, tables, one, other):  # type: ignore[no-untyped-def]
    for row in range(light.shape[0]):
        line, first, second = light[row], one[row], other[row]
        for x in range(first.size):
            red, green, blue = line[x, 0], line[x, 1], line[x, 2]
            first[x] = np.rint((tables[0, 0, red] + tables[0, 1, green] + tables[0, 2, blue]) * 1000.0)
            second[x] = np.rint((tables[1, 0, red] + tables[1, 1, green] + tables[1, 2, blue]) * 1000.0)
