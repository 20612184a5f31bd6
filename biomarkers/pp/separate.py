"""From colours to amounts of hematoxylin and DAB."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.io.tile import tile_rgb
from biomarkers.pp.density import White, check_white, optical_density
from biomarkers.pp.fixed_point import WEIGHT, parts, stain_weights, whole_densities
from biomarkers.pp.vectors import StainVectors

if TYPE_CHECKING:
    import xarray as xr


def separate_stains(tile: xr.DataArray, *, white: White, vectors: StainVectors | None = None) -> xr.DataArray:
    """Separate a tile into amounts of stain.

    Parameters
    ----------
    tile
        RGB tile (c, y, x).
    white
        Level of empty glass (R, G, B).
    vectors
        Stain vectors; those of Ruifrok and Johnston (2001) when absent.

    Returns
    -------
    float32 DataArray (c, y, x), ``c`` = hematoxylin, dab, residual, in optical density (log10) along each unit
    vector; attrs as the tile's, with ``white`` and ``vectors``. Values may be slightly negative: noise is not cut
    off, so that means stay unbiased.

    Notes
    -----
    ``density = hematoxylin * h + dab * d + residual * r`` with unit vectors h, d and r = h x d, solved exactly per
    pixel (Ruifrok AC, Johnston DA. Anal Quant Cytol Histol 2001;23:291-299).

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.read_tile(bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif")
    >>> white = bm.estimate_white(tile)
    >>> bm.separate_stains(tile, white=white).coords["c"].values.tolist()
    ['hematoxylin', 'dab', 'residual']
    """
    import xarray as xr

    vectors = vectors or StainVectors()
    density = optical_density(tile_rgb(tile), white=white)
    amounts = density @ vectors.unmixing().astype(np.float32)
    attrs = {**tile.attrs, "white": tuple(white), "vectors": vectors}
    names = [keys.HEMATOXYLIN, keys.DAB, keys.RESIDUAL]
    return xr.DataArray(np.moveaxis(amounts, 2, 0), dims=keys.TILE_DIMS, coords={"c": names}, attrs=attrs)


def dab_at_least(
    rgb: NDArray[np.uint8], cut: float, *, white: White, vectors: StainVectors | None = None
) -> NDArray[np.bool_]:
    """Tell which pixels hold at least so much DAB.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3).
    cut
        Optical density.
    white, vectors
        As for :func:`separate_stains`.

    Returns
    -------
    bool (height, width), by densities in whole units of 1 / 4000.
    """
    from biomarkers.pp.kernels.field import at_least

    weights = stain_weights(vectors or StainVectors())[1]
    return at_least(rgb, whole_densities(check_white(white)), weights, least=parts(cut) * WEIGHT)


def dab_at_least_in(
    rgb: NDArray[np.uint8],
    dab: NDArray[np.int16],
    part: tuple[slice, slice],
    cut: float,
    *,
    white: White,
    vectors: StainVectors | None = None,
) -> NDArray[np.bool_]:
    """Tell what :func:`dab_at_least` tells of a part of an image whose DAB is known to a thousandth.

    That settles most pixels, in half the time; where it lies near the cut, light is asked.

    Parameters
    ----------
    rgb, dab
        uint8 (height, width, 3); optical density in thousandths, rounded, int16 (height, width).
    part
        Rows and columns.
    """
    from biomarkers.pp.kernels.field import at_least_in

    weights = stain_weights(vectors or StainVectors())[1]
    # in thousandths: half a unit of 1/4000 a channel and of the cut, weights to half of 1/4096 of up to 2.4 OD each,
    # and the rounding of what is given
    doubt = math.ceil(0.125 * float(np.abs(weights).sum()) / WEIGHT + 0.125 + 3 * 2400 * 0.5 / WEIGHT + 0.6)
    least, near = parts(cut) * WEIGHT, round(1000 * cut)
    return at_least_in(
        rgb, dab, part, whole_densities(check_white(white)), weights, least=least, near=(near - doubt, near + doubt)
    )
