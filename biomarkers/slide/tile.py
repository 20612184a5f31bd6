"""Tiles: RGB pixels as ``xarray.DataArray`` (c, y, x) with pixel size, its source and their place on the slide."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers import keys
from biomarkers.errors import SlideError, UsageError
from biomarkers.slide.reader import RGB
from biomarkers.slide.slide import open_slide

if TYPE_CHECKING:
    import xarray as xr


def read_tile(
    path: str | os.PathLike[str],
    *,
    mpp: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    scene: int | None = None,
) -> xr.DataArray:
    """Read an image, or a region of one, as a tile.

    Parameters
    ----------
    path
        PNG, JPEG, TIFF, OME-TIFF, SVS, NDPI, ... (see :func:`biomarkers.slide.slide.open_slide`).
    mpp
        Pixel size in um/px; wins over what the file says.
    region
        ``(x, y, width, height)`` in level-0 pixels; the whole image when absent.
    scene
        Which image of a file with several.

    Returns
    -------
    uint8 DataArray with dims ``(c, y, x)``, ``c`` = R, G, B; attrs ``mpp``, ``mpp_source``, ``origin`` (x, y of the
    first pixel, level-0 px), ``slide`` (the file's name) and ``slide_size`` (width, height of the whole image, px).

    Raises
    ------
    SlideError
        The file cannot be read, is grey, or is of a kind that cannot be scored without guessing.
    UsageError
        The pixel size is unknown, or the region lies outside the image.

    Examples
    --------
    >>> tile = read_tile("field.png", mpp=0.25)  # doctest: +SKIP
    """
    with open_slide(path, mpp=mpp, scene=scene) as slide:
        slide.check_usable()
        if slide.channels == ("grey",):
            message = "the image is grey: stains cannot be told apart without colour"
            raise SlideError(message, where=slide.path)
        um, source = slide.mpp, slide.mpp_source
        x, y, width, height = region if region is not None else (0, 0, *slide.size)
        rgb = slide.read_region(x, y, width, height)
        tile = make_tile(rgb, mpp=um, mpp_source=source, origin=(x, y), slide=slide.path.name)
        return tile.assign_attrs(slide_size=slide.size)


def make_tile(
    rgb: RGB, *, mpp: float, mpp_source: str = "stated", origin: tuple[int, int] = (0, 0), slide: str = ""
) -> xr.DataArray:
    """Wrap interleaved RGB as a tile; the pixels are not copied.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3).
    mpp
        Micrometres per pixel.
    mpp_source
        Where the pixel size came from.
    origin
        (x, y) of the first pixel, level-0 px.
    slide
        Name of the slide.

    Raises
    ------
    UsageError
        The array is not uint8 with three channels last.
    """
    import xarray as xr

    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        seen = f"{rgb.dtype} {rgb.shape}"
        raise UsageError("not an RGB image", seen=seen, allowed="uint8 (height, width, 3)")
    attrs: dict[str, Any] = {
        keys.MPP: float(mpp),
        keys.MPP_SOURCE: mpp_source,
        keys.ORIGIN: (int(origin[0]), int(origin[1])),
        "slide": slide,
    }
    return xr.DataArray(np.moveaxis(rgb, 2, 0), dims=keys.TILE_DIMS, coords={"c": list(keys.RGB_CHANNELS)}, attrs=attrs)


def tile_rgb(tile: xr.DataArray) -> RGB:
    """Return a tile's pixels as interleaved uint8 (height, width, 3), in the order red, green, blue.

    Channels that are named R, G, B are taken by name, whatever their order.

    Raises
    ------
    UsageError
        The tile is not an 8-bit RGB tile with dims (c, y, x).
    """
    if tuple(tile.dims) != keys.TILE_DIMS or tile.dtype != np.uint8 or tile.sizes["c"] != 3:
        seen = f"{tile.dtype}, {dict(tile.sizes)}"
        raise UsageError("not an RGB tile", seen=seen, allowed="uint8, dims (c, y, x), c = R, G, B")
    names = [str(name) for name in tile.coords["c"].values] if "c" in tile.coords else []
    if names != list(keys.RGB_CHANNELS) and sorted(names) == sorted(keys.RGB_CHANNELS):
        tile = tile.sel(c=list(keys.RGB_CHANNELS))
    return np.moveaxis(tile.values, 0, 2)
