"""Tiles: RGB pixels as ``xarray.DataArray`` (c, y, x) with pixel size, its source and their place on the slide."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import SlideError, UsageError
from biomarkers.io.reader import RGB
from biomarkers.io.slide import open_slide

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class PlainTile:
    """What a tile holds, without xarray, which loads dask and takes a third of a second and more.

    Attributes
    ----------
    rgb
        uint8 (height, width, 3).
    attrs
        As those of :func:`read_tile`.
    """

    rgb: RGB
    attrs: Mapping[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """Pixels along ``c``, ``y`` and ``x``."""
        height, width, channels = self.rgb.shape
        return dict(zip(keys.TILE_DIMS, (channels, height, width), strict=True))

    def as_array(self) -> xr.DataArray:
        """Return the same tile as everybody knows it; the pixels are not copied."""
        import xarray as xr

        pixels = np.moveaxis(self.rgb, 2, 0)
        return xr.DataArray(pixels, dims=keys.TILE_DIMS, coords={"c": list(keys.RGB_CHANNELS)}, attrs=self.attrs)


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
        PNG, JPEG, TIFF, OME-TIFF, SVS, NDPI, ... (see :func:`biomarkers.io.slide.open_slide`).
    mpp
        Pixel size in um/px; wins over what the file says.
    region
        ``(x, y, width, height)`` in level-0 pixels; the whole image when absent.
    scene
        Which image of a file with several.

    Returns
    -------
    uint8 DataArray with dims ``(c, y, x)``, ``c`` = R, G, B; attrs ``mpp``, ``mpp_source``, ``origin`` (x, y of the
    first pixel, level-0 px), ``slide`` (the file's name), ``slide_size`` (width, height of the whole image, px),
    ``problems`` (what is odd about the file, in words) and ``padding_share`` (0-1, of the whole image; padding is read
    as glass, 255).

    Raises
    ------
    SlideError
        The file cannot be read, is grey, or is of a kind that cannot be scored without guessing.
    UsageError
        The pixel size is unknown, or the region lies outside the image.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.read_tile(bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif")
    >>> tile.sizes["c"], tile.attrs["mpp"]
    (3, 0.5)
    """
    return read_pixels(path, mpp=mpp, region=region, scene=scene).as_array()


def read_pixels(
    path: str | os.PathLike[str],
    *,
    mpp: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    scene: int | None = None,
) -> PlainTile:
    """Read what :func:`read_tile` reads, as a plain tile."""
    with open_slide(path, mpp=mpp, scene=scene) as slide:
        slide.check_usable()
        if slide.channels == ("grey",):
            message = "the image is grey: stains cannot be told apart without colour"
            raise SlideError(message, where=slide.path)
        um, source = slide.mpp, slide.mpp_source
        x, y, width, height = region if region is not None else (0, 0, *slide.size)
        slide = slide.without_padding()
        rgb = slide.read_region(x, y, width, height)
        attrs = _attrs(mpp=um, mpp_source=source, origin=(x, y), slide=slide.path.name)
        return PlainTile(
            rgb,
            {**attrs, "slide_size": slide.size, keys.PROBLEMS: slide.problems, keys.PADDING_SHARE: slide.padding.share},
        )


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
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        seen = f"{rgb.dtype} {rgb.shape}"
        raise UsageError("not an RGB image", seen=seen, allowed="uint8 (height, width, 3)")
    return PlainTile(rgb, _attrs(mpp=mpp, mpp_source=mpp_source, origin=origin, slide=slide)).as_array()


def _attrs(*, mpp: float, mpp_source: str, origin: tuple[int, int], slide: str) -> dict[str, Any]:
    return {
        keys.MPP: float(mpp),
        keys.MPP_SOURCE: mpp_source,
        keys.ORIGIN: (int(origin[0]), int(origin[1])),
        "slide": slide,
    }


def tile_rgb(tile: xr.DataArray | PlainTile) -> RGB:
    """Return a tile's pixels as interleaved uint8 (height, width, 3), in the order red, green, blue.

    Channels that are named R, G, B are taken by name, whatever their order.

    Raises
    ------
    UsageError
        The tile is not an 8-bit RGB tile with dims (c, y, x).
    """
    if isinstance(tile, PlainTile):
        return tile.rgb
    if tuple(tile.dims) != keys.TILE_DIMS or tile.dtype != np.uint8 or tile.sizes["c"] != 3:
        seen = f"{tile.dtype}, {dict(tile.sizes)}"
        raise UsageError("not an RGB tile", seen=seen, allowed="uint8, dims (c, y, x), c = R, G, B")
    names = [str(name) for name in tile.coords["c"].values] if "c" in tile.coords else []
    if names != list(keys.RGB_CHANNELS) and sorted(names) == sorted(keys.RGB_CHANNELS):
        tile = tile.sel(c=list(keys.RGB_CHANNELS))
    return np.moveaxis(tile.values, 0, 2)
