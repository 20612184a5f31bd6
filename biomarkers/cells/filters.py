"""Filters on integers: sums are exact, so results do not depend on position, rotation or block size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNITY = 4096
_TRUNCATE = 3.0


def smooth(image: NDArray[np.int32], *, sigma_px: float) -> NDArray[np.int32]:
    """Gaussian smoothing of integers, rounded half up.

    Parameters
    ----------
    image
        int32 (height, width), values within +-100,000.
    sigma_px
        Standard deviation, pixels.

    Returns
    -------
    int32 (height, width). Weights are whole numbers that sum to 4096 on each axis, so no rounding happens before the
    last step; borders repeat the nearest pixel.
    """
    weights = gaussian_weights(sigma_px)
    total = _along(_along(image.astype(np.float64), weights, 0), weights, 1)
    return np.floor(total / UNITY**2 + 0.5).astype(np.int32)


def blobness(image: NDArray[np.int32], *, sigma_px: float) -> NDArray[np.int32]:
    """Scale-normalised negative Laplacian of Gaussian: positive inside what is higher than its surroundings.

    Parameters
    ----------
    image
        int32 (height, width).
    sigma_px
        Standard deviation of the Gaussian, pixels. A disc of radius r answers most at sigma = r / sqrt(2).

    Returns
    -------
    int32 (height, width), in the unit of the image.
    """
    gauss, bend = gaussian_weights(sigma_px), second_derivative_weights(sigma_px)
    values = image.astype(np.float64)
    total = _along(_along(values, gauss, 0), bend, 1) + _along(_along(values, bend, 0), gauss, 1)
    return np.floor(-total / UNITY**2 + 0.5).astype(np.int32)


def reach_px(sigma_px: float) -> int:
    """How many pixels away a filter of this width still looks."""
    return int(np.ceil(_TRUNCATE * sigma_px))


def _along(values: NDArray[np.float64], weights: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    from scipy import ndimage

    out: NDArray[np.float64] = ndimage.correlate1d(values, weights, axis=axis, mode="nearest")
    return out


def gaussian_weights(sigma: float) -> NDArray[np.float64]:
    """Whole weights of a Gaussian; they sum to 4096."""
    offsets = np.arange(-reach_px(sigma), reach_px(sigma) + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    whole = np.rint(weights / weights.sum() * UNITY)
    whole[reach_px(sigma)] += UNITY - whole.sum()
    return whole


def second_derivative_weights(sigma: float) -> NDArray[np.float64]:
    """Whole weights of sigma^2 times the second derivative; they sum to 0, so flat areas answer 0."""
    offsets = np.arange(-reach_px(sigma), reach_px(sigma) + 1)
    scaled = offsets / sigma
    gauss = np.exp(-0.5 * scaled**2)
    whole = np.rint((scaled**2 - 1) * gauss / gauss.sum() * UNITY)
    whole[reach_px(sigma)] -= whole.sum()
    return whole
