"""Is a pixel size believable? At a wrong one the detail of a picture has a size that no tissue has."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.density import White
from biomarkers.pp.squares import RGB

# detail lies at 1.9-6.8 um in 39 real H-DAB fields of six sources and in simulated ones, at 1.9-9.7 in copies of them
# (blurred by 1.5 px, JPEG 30, contrast x 0.7, 0.25-1.0 um/px), at 0.2-0.67 said to be ten times finer than they are,
# at 19.6 and more said to be ten times coarser
EXPECTED_UM, DOUBTED_UM, REFUSED_UM = (2.0, 7.0), (1.2, 11.0), (0.7, 16.0)
_CAP_OD = 0.6  # strong nuclei weigh no more than usual ones
_LEAST_VARIANCE = 4e-4  # OD squared: an empty field has no detail
_LEAST_PX = 16


def detail_um(stack: RGB, *, white: White, mpp: float) -> float:
    """Return the size at which a picture's detail lies, in um; NaN where there is hardly any.

    Parameters
    ----------
    stack
        uint8 (n, side, side, 3), patches of 64 px.
    white
        Level of empty glass (R, G, B).
    mpp
        Micrometres per pixel that the picture is said to have.

    Notes
    -----
    The variance of red density within patches is split by octaves: what is lost from squares of 2^k px to squares of
    2^(k + 1) px. The mean octave, weighted by that variance, is the size. Red is what nuclei absorb more than DAB does.
    """
    red = np.minimum(np.log10(white[0] / np.maximum(stack[..., 0].astype(np.float32), 1.0)), np.float32(_CAP_OD))
    variances = []
    while min(red.shape[1:]) >= 2:
        variances.append(float(red.var(axis=(1, 2), dtype=np.float64).mean()))
        red = _halved(red)
    lost = -np.diff(variances)
    if stack.shape[1] < _LEAST_PX or lost.sum() < _LEAST_VARIANCE:
        return math.nan
    return float(2.0 ** (1 + (lost @ np.arange(lost.size)) / lost.sum()) * mpp)


def doubt_about_scale(found_um: float, *, mpp: float) -> tuple[str, str]:
    """Say why a pixel size cannot be right, or may not be; either is empty where nothing speaks against it.

    Examples
    --------
    >>> doubt_about_scale(4.0, mpp=0.5)
    ('', '')
    >>> doubt_about_scale(0.4, mpp=0.05)[0]
    'the pixel size of 0.05 um/px cannot be right: detail lies at 0.4 um, 2 to 7 um is usual for tissue'
    """
    if math.isnan(found_um):
        return "", ""
    usual = f"detail lies at {found_um:.2g} um, {EXPECTED_UM[0]:g} to {EXPECTED_UM[1]:g} um is usual for tissue"
    if not REFUSED_UM[0] <= found_um <= REFUSED_UM[1]:
        return f"the pixel size of {mpp:.4g} um/px cannot be right: {usual}", ""
    if not DOUBTED_UM[0] <= found_um <= DOUBTED_UM[1]:
        return "", f"is the pixel size of {mpp:.4g} um/px right? {usual}"
    return "", ""


def _halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = (length // 2 * 2 for length in image.shape[1:])
    squares = image[:, :height, :width].reshape(len(image), height // 2, 2, width // 2, 2)
    means: NDArray[np.float32] = squares.mean(axis=(2, 4))
    return means
