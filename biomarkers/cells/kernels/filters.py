"""Filters on integers, one axis after the other, row by row; see :mod:`biomarkers.cells.filters`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.filters import UNITY, gaussian_weights, second_derivative_weights

_SHIFT = 2 * (UNITY.bit_length() - 1)


def smooth(image: NDArray[np.int32], *, sigma_px: float) -> NDArray[np.int32]:
    """Gaussian smoothing; see :func:`biomarkers.cells.filters.smooth`."""
    weights, total = gaussian_weights(sigma_px), np.zeros(image.shape)
    _add(total, image, weights, weights)
    return _scaled(total)


def blobness(image: NDArray[np.int32], *, sigma_px: float) -> NDArray[np.int32]:
    """Negative Laplacian of Gaussian; see :func:`biomarkers.cells.filters.blobness`."""
    gauss, bend, total = gaussian_weights(sigma_px), -second_derivative_weights(sigma_px), np.zeros(image.shape)
    _add(total, image, gauss, bend)
    _add(total, image, bend, gauss)
    return _scaled(total)


def _add(
    total: NDArray[np.float64], image: NDArray[np.int32], down: NDArray[np.float64], across: NDArray[np.float64]
) -> None:
    line = np.empty(image.shape[1] + across.size - 1)
    _both_ways(total, np.ascontiguousarray(image), down, across, line)


def _scaled(total: NDArray[np.float64]) -> NDArray[np.int32]:
    out = np.empty(total.shape, np.int32)
    _rounded(total.ravel(), out.ravel(), _SHIFT)
    return out


@numba.njit(cache=True, nogil=True)
def _both_ways(total, image, down, across, line):  # type: ignore[no-untyped-def]
    """Correlate columns with ``down``, rows with ``across`` and add; symmetric odd weights, the border repeats."""
    rows, columns = image.shape
    reach, wide = down.size // 2, across.size // 2
    middle = line[wide : wide + columns]
    for row in range(rows):
        for x in range(columns):
            middle[x] = image[row, x] * down[reach]
        for step in range(1, reach + 1):
            above, below = image[max(row - step, 0)], image[min(row + step, rows - 1)]
            weight = down[reach + step]
            for x in range(columns):
                middle[x] += (above[x] + below[x]) * weight
        for x in range(wide):
            line[x], line[wide + columns + x] = middle[0], middle[columns - 1]
        _along(total[row], line, across, wide)


@numba.njit(cache=True, nogil=True)
def _along(target, line, across, wide):  # type: ignore[no-untyped-def]
    """Add one row; two pairs of weights at a time, since most of the work is loading and storing."""
    size = target.size
    middle, heart = line[wide : wide + size], across[wide]
    for x in range(size):
        target[x] += middle[x] * heart
    for step in range(1, wide, 2):
        one, other = across[wide + step], across[wide + step + 1]
        left, right = line[wide - step : wide - step + size], line[wide + step : wide + step + size]
        left2, right2 = line[wide - step - 1 : wide - step - 1 + size], line[wide + step + 1 : wide + step + 1 + size]
        for x in range(size):
            target[x] += (left[x] + right[x]) * one + (left2[x] + right2[x]) * other
    if wide % 2 == 1:
        left, right, weight = line[:size], line[2 * wide : 2 * wide + size], across[2 * wide]
        for x in range(size):
            target[x] += (left[x] + right[x]) * weight


@numba.njit(cache=True, nogil=True)
def _rounded(total, out, shift):  # type: ignore[no-untyped-def]
    half = np.int64(1) << (shift - 1)
    for k in range(total.size):
        out[k] = (np.int64(total[k]) + half) >> shift
