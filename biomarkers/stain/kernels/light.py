"""From light to amounts of stain by tables, and averages of light; see :mod:`biomarkers.cells.contrast`."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

_HALVES = 32  # bits of each of the two sums that one number holds


def block_sums(rgb: NDArray[np.uint8], *, factor: int) -> NDArray[np.int32]:
    """Sum light over squares of pixels; see :func:`biomarkers.cells.contrast.block_sums`."""
    rows, columns = (-(-side // factor) for side in rgb.shape[:2])
    out = np.zeros((rows, columns, 3), np.int32)
    _add(rgb, factor, out)
    return out


def separated(
    light: NDArray[np.uint8] | NDArray[np.int32], tables: NDArray[np.int32]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Amounts of both stains by table; see :func:`biomarkers.cells.contrast.separated`."""
    one, other = (np.empty(light.shape[:2], np.int16) for _ in range(2))
    _look_up(np.ascontiguousarray(light), _packed(tables.tobytes(), tables.shape[2]), one, other)
    return one, other


@lru_cache(maxsize=16)
def _packed(tables: bytes, size: int) -> NDArray[np.int64]:
    """Both stains' tables in one: the first in the upper half of each number, the second in the lower."""
    first, second = np.frombuffer(tables, np.int32).reshape(2, 3, size).astype(np.int64)
    return np.ascontiguousarray((first << _HALVES) + second)


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
def _look_up(light, packed, one, other):  # type: ignore[no-untyped-def]
    reds, greens, blues = packed[0], packed[1], packed[2]
    for row in range(light.shape[0]):
        line, first, second = light[row], one[row], other[row]
        for x in range(first.size):
            both = reds[np.uint32(line[x, 0])] + greens[np.uint32(line[x, 1])] + blues[np.uint32(line[x, 2])]
            low = np.int32(both)
            high = np.int32((both - low) >> 32)
            first[x] = (high + 128) >> 8
            second[x] = (low + 128) >> 8
