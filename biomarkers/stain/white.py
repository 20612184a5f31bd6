"""The level of empty glass, per channel, from the slide itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.slide.tile import tile_rgb
from biomarkers.stain.density import White

if TYPE_CHECKING:
    import xarray as xr

QUANTILE = 0.99
_LEAST_CREDIBLE = 120.0
_PADDING = 255
# glass, or nearly clear tissue, is a plateau of colours: an estimate that few pixels come near is the tail of a stain
_NEAR_OD, _LEAST_NEAR, _MOST_SAMPLES = 0.06, 0.025, 200_000


def estimate_white(tile: xr.DataArray) -> White:
    """Estimate the level of empty glass.

    Parameters
    ----------
    tile
        RGB tile (c, y, x).

    Returns
    -------
    The 99th percentile of each channel after averaging 2 x 2 pixels (which halves the camera's noise). Where a field
    holds no glass at all this is the palest tissue: amounts are then relative to that, and :func:`doubt_about_white`
    says whether it can be glass. Pure 255 in all channels is what files are padded with; it counts only where
    nothing else is bright.
    """
    return white_of_samples(block_pairs(tile_rgb(tile)))


def white_of_samples(samples: NDArray[np.uint8] | NDArray[np.uint16]) -> White:
    """Estimate glass from colours; see :func:`estimate_white`.

    Parameters
    ----------
    samples
        (n, 3) integers, the sums of four 8-bit pixels (0-1020).
    """
    if samples.shape[0] == 0:
        return (255.0, 255.0, 255.0)
    padding = (samples == 4 * _PADDING).all(axis=1)
    real = samples[~padding]
    if real.shape[0] == 0:
        return (255.0, 255.0, 255.0)
    white = np.quantile(real, QUANTILE, axis=0, method="inverted_cdf") / 4.0
    if padding.any() and white.min() < _LEAST_CREDIBLE:
        return (255.0, 255.0, 255.0)  # what is left is dense stain: then the padding is the glass
    red, green, blue = (float(max(one, 1.0)) for one in white)
    return red, green, blue


def doubt_about_white(white: White) -> str | None:
    """Say why a level can hardly be that of glass lit for a photograph, or None."""
    if min(white) >= _LEAST_CREDIBLE:
        return None
    return (
        f"no empty glass was found: the palest level is {_shown(white)}. Amounts of stain are relative to that; give "
        "the white level of another field of the slide"
    )


def doubt_about_glass(samples: NDArray[np.uint8] | NDArray[np.uint16], white: White) -> str | None:
    """Say so when hardly any pixel comes near a level that was estimated from them, or None.

    ``samples`` are as for :func:`white_of_samples`. A level that :func:`doubt_about_white` doubts is left to it.
    """
    real = samples[:: max(1, samples.shape[0] // _MOST_SAMPLES)]
    real = real[~(real == 4 * _PADDING).all(axis=1)]
    if real.shape[0] == 0 or min(white) < _LEAST_CREDIBLE:
        return None
    density = np.log10(np.asarray(white) / np.maximum(real / 4.0, 1.0))
    near = float((np.maximum(density, 0.0).sum(axis=1) < _NEAR_OD).mean())
    if near >= _LEAST_NEAR:
        return None
    return (
        f"no empty glass was found: only {near:.1%} of the field come near its palest level {_shown(white)}. Amounts "
        "of stain may be too low; give the white level of another field of the slide"
    )


def _shown(white: White) -> str:
    return f"({', '.join(f'{one:.0f}' for one in white)})"


def block_pairs(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Sum 2 x 2 pixels; returns (n, 3). A last odd row or column is left out, a single one is doubled."""
    if min(rgb.shape[:2]) < 2:
        return 4 * rgb.reshape(-1, 3).astype(np.uint16)
    height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
    even = rgb[:height, :width].astype(np.uint16)
    sums = even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]
    return sums.reshape(-1, 3)
