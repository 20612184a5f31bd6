"""Filters on whole numbers: sums are exact, so results do not depend on position, rotation or block size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNITY = 256
_TRUNCATE = 3.0


def smooth(image: NDArray[np.int16], *, sigma_px: float) -> NDArray[np.int16]:
    """Gaussian smoothing of whole numbers, rounded half up.

    Parameters
    ----------
    image
        int16 (height, width).
    sigma_px
        Standard deviation, pixels.

    Returns
    -------
    int16 (height, width). Weights are whole numbers that sum to 256 on each axis, so no rounding happens before the
    last step; borders repeat the nearest pixel.
    """
    weights = gaussian_weights(sigma_px)
    return _rounded(_along(_along(image.astype(np.int64), weights, 0), weights, 1))


def negative_log(image: NDArray[np.int16], *, sigma_px: float) -> NDArray[np.int16]:
    """Scale-normalised negative Laplacian of Gaussian: positive inside what is higher than its surroundings.

    Parameters
    ----------
    image
        int16 (height, width), values within +-8,000.
    sigma_px
        Standard deviation of the Gaussian, pixels. A disc of radius r answers most at sigma = r / sqrt(2).

    Returns
    -------
    int16 (height, width), in the unit of the image.
    """
    gauss, bend = gaussian_weights(sigma_px), second_derivative_weights(sigma_px)
    values = image.astype(np.int64)
    return _rounded(-_along(_along(values, gauss, 0), bend, 1) - _along(_along(values, bend, 0), gauss, 1))


def grey_opening(image: NDArray[np.int16], *, half: int) -> NDArray[np.int16]:
    """Level that is kept over a whole square of side ``2 half + 1``; beyond the border nothing counts."""
    from scipy import ndimage

    low = ndimage.minimum_filter(image, 2 * half + 1, mode="nearest")
    out: NDArray[np.int16] = ndimage.maximum_filter(low, 2 * half + 1, mode="nearest")
    return out


def reach_px(sigma_px: float) -> int:
    """How many pixels away a filter of this width still looks."""
    return int(np.ceil(_TRUNCATE * sigma_px))


def gaussian_weights(sigma: float) -> NDArray[np.int64]:
    """Whole weights of a Gaussian; they sum to 256."""
    offsets = np.arange(-reach_px(sigma), reach_px(sigma) + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    whole = np.rint(weights / weights.sum() * UNITY).astype(np.int64)
    whole[reach_px(sigma)] += UNITY - whole.sum()
    return whole


def second_derivative_weights(sigma: float) -> NDArray[np.int64]:
    """Whole weights of sigma^2 times the second derivative; they sum to 0, so flat areas answer 0."""
    offsets = np.arange(-reach_px(sigma), reach_px(sigma) + 1)
    scaled = offsets / sigma
    gauss = np.exp(-0.5 * scaled**2)
    whole = np.rint((scaled**2 - 1) * gauss / gauss.sum() * UNITY).astype(np.int64)
    whole[reach_px(sigma)] -= whole.sum()
    return whole


def _along(values: NDArray[np.int64], weights: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    from scipy import ndimage

    out: NDArray[np.int64] = ndimage.correlate1d(values, weights, axis=axis, mode="nearest")
    return out


def _rounded(total: NDArray[np.int64]) -> NDArray[np.int16]:
    return ((total + UNITY**2 // 2) // UNITY**2).astype(np.int16)
