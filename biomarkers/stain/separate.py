"""From colours to amounts of hematoxylin and DAB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers import keys
from biomarkers.slide.tile import tile_rgb
from biomarkers.stain.density import White, optical_density
from biomarkers.stain.vectors import StainVectors

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
    """
    import xarray as xr

    vectors = vectors or StainVectors()
    density = optical_density(tile_rgb(tile), white=white)
    amounts = density @ vectors.unmixing().astype(np.float32)
    attrs = {**tile.attrs, "white": tuple(white), "vectors": vectors}
    names = [keys.HEMATOXYLIN, keys.DAB, keys.RESIDUAL]
    return xr.DataArray(np.moveaxis(amounts, 2, 0), dims=keys.TILE_DIMS, coords={"c": names}, attrs=attrs)
