"""Filters on integers, one axis after the other, row by row; see :mod:`biomarkers.cells.filters`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.filters import UNITY, gaussian_weights, second_derivative_weights

_SHIFT = 2 * (UNITY.bit_length() - 1)


def smooth(image: NDArray[np.int32], *, sigma_px: float) -> NDArray[np.int32]:
    """Gaussian smoothing; see :func:`biomarkers.cells.filters.smooth`."""
    weights = gaussian_weights(sigma_px)
    return _scaled(_both_ways(np.ascontiguousarray(image), weights, weights), 1)


def blobness(image: NDArray[np.int32], *, sigma_px: float) -> NDArray[np.int32]:
    """Negative Laplacian of Gaussian; see :func:`biomarkers.cells.filters.blobness`."""
    image = np.ascontiguousarray(image)
    gauss, bend = gaussian_weights(sigma_px), second_derivative_weights(sigma_px)
    total = _both_ways(image, gauss, bend)
    total += _both_ways(image, bend, gauss)
    return _scaled(total, -1)


@numba.njit(cache=True, nogil=True)
def _both_ways(image, down, across):  # type: ignore[no-untyped-def]
    """Correlate columns with ``down``, then rows with ``across``; symmetric odd weights, the border repeats."""
    rows, columns = image.shape
    reach, wide = down.size // 2, across.size // 2
    out = np.empty((rows, columns), np.float64)
    line = np.empty(columns + 2 * wide, np.float64)
    for row in range(rows):
        middle = line[wide : wide + columns]
        _set(middle, image[row], down[reach])
        for step in range(1, reach + 1):
            above, below = max(row - step, 0), min(row + step, rows - 1)
            _add_pair(middle, image[above], image[below], down[reach + step])
        line[:wide] = line[wide]
        line[wide + columns :] = line[wide + columns - 1]
        target = out[row]
        _set(target, middle, across[wide])
        for step in range(1, wide + 1):
            left, right = line[wide - step : wide - step + columns], line[wide + step : wide + step + columns]
            _add_pair(target, left, right, across[wide + step])
    return out


@numba.njit(cache=True, nogil=True)
def _set(target, values, weight):  # type: ignore[no-untyped-def]
    for x in range(target.size):
        target[x] = values[x] * weight


@numba.njit(cache=True, nogil=True)
def _add_pair(target, one, other, weight):  # type: ignore[no-untyped-def]
    for x in range(target.size):
        target[x] += (one[x] + other[x]) * weight


@numba.njit(cache=True, nogil=True)
def _scaled(total, sign):  # type: ignore[no-untyped-def]
    out = np.empty(total.shape, np.int32)
    for row in range(total.shape[0]):
        for column in range(total.shape[1]):
            out[row, column] = ((sign * np.int64(total[row, column])) + (1 << (_SHIFT - 1))) >> _SHIFT
    return out
