"""The level of empty glass, per channel, from the slide itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.io.tile import PlainTile, tile_rgb
from biomarkers.pp.density import White
from biomarkers.pp.fixed_point import parts, whole_densities

if TYPE_CHECKING:
    import xarray as xr

QUANTILE = 0.99
_LEAST_CREDIBLE = 120.0
_PADDED = 4 * 255  # of a sum of four pixels
# glass, or nearly clear tissue, is a plateau of colours: an estimate that few pixels come near is the tail of a stain
_NEAR_OD, _LEAST_NEAR = 0.06, 0.025


def estimate_white(tile: xr.DataArray | PlainTile) -> White:
    """Estimate the level of empty glass.

    Parameters
    ----------
    tile
        RGB tile (c, y, x).

    Returns
    -------
    The 99th percentile of each channel after averaging 2 x 2 pixels (which halves the camera's noise). Where a field
    holds no glass at all this is the palest tissue: amounts are then relative to that, and :func:`check_background`
    says whether it can be glass. Pure 255 in all channels is what files are padded with; it counts only where
    nothing else is bright.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.read_tile(bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif")
    >>> white = bm.estimate_white(tile)
    >>> [round(level) > 200 for level in white]
    [True, True, True]
    """
    return white_of_samples(block_pairs(tile_rgb(tile)))


def white_of_samples(samples: NDArray[np.uint8] | NDArray[np.uint16]) -> White:
    """Estimate glass from colours; see :func:`estimate_white`.

    Parameters
    ----------
    samples
        (n, 3) integers, the sums of four 8-bit pixels (0-1020).
    """
    from biomarkers.pp.kernels.colours import histograms

    counts = histograms(samples, levels=_PADDED + 1)
    padding = _padding(samples, counts)
    counts[:, _PADDED] -= padding
    real = samples.shape[0] - padding
    if real == 0:
        return (255.0, 255.0, 255.0)
    white = np.array([_quantile(one, real) for one in counts]) / 4.0
    if padding and white.min() < _LEAST_CREDIBLE:
        return (255.0, 255.0, 255.0)  # what is left is dense stain: then the padding is the glass
    red, green, blue = (float(max(one, 1.0)) for one in white)
    return red, green, blue


def _padding(samples: NDArray[np.integer], counts: NDArray[np.int64]) -> int:
    """Count the colours that are pure 255 in all channels."""
    if not counts[:, _PADDED].all():
        return 0
    red, green, blue = (samples[:, channel] == _PADDED for channel in range(3))
    return int(np.count_nonzero(red & green & blue))


def _quantile(counts: NDArray[np.int64], total: int) -> int:
    """Return the 99th percentile of a histogram: the level of the first pixel that 99% lie at or below."""
    rank = math.ceil(total * QUANTILE - 1)
    return int(np.searchsorted(np.cumsum(counts), rank, side="right"))


def check_background(white: White) -> str | None:
    """Say why a level can hardly be that of glass lit for a photograph, or None."""
    if min(white) >= _LEAST_CREDIBLE:
        return None
    return (
        f"no empty glass was found: the palest level is {_shown(white)}. Amounts of stain are relative to that; give "
        "the white level of another field of the slide"
    )


def doubt_about_glass(samples: NDArray[np.uint8] | NDArray[np.uint16], white: White) -> str | None:
    """Say so when hardly any pixel comes near a level that was estimated from them, or None.

    ``samples`` are as for :func:`white_of_samples`. A level that :func:`check_background` doubts is left to it.
    """
    from biomarkers.pp.kernels.colours import count_near, histograms

    real = samples.shape[0] - _padding(samples, histograms(samples, levels=_PADDED + 1))
    if real == 0 or min(white) < _LEAST_CREDIBLE:
        return None
    densities = np.maximum(whole_densities(white, per_grey=4), 0)
    near = count_near(samples, densities, least=parts(_NEAR_OD), leave_out=_PADDED) / real
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
    from biomarkers.pp.kernels.colours import pair_sums

    return pair_sums(rgb)
