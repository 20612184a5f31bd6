"""``read_channels``: a multiplex image as a tile, its channels found by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.panel import Panel, check_channel_names
from biomarkers.io.channel_files import ChannelFile, open_channels
from biomarkers.io.pixel_size import choose_mpp
from biomarkers.io.reader import check_sizes

if TYPE_CHECKING:
    import xarray as xr

EXPOSURE_MS = "exposure_ms"  # attrs: marker -> milliseconds, where known
SATURATION = "saturation"  # attrs: the highest level that the stored type can hold, or None for floats
CHANNEL_NAMES = "channel_names"  # attrs: marker -> the file's own name of it
LIMIT_PIXELS = 1_500_000_000  # of all channels together


def read_channels(
    path: str | os.PathLike[str],
    *,
    panel: Panel | None = None,
    mpp: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    names: Sequence[str] | None = None,
) -> xr.DataArray:
    """Read a multiplex image.

    Parameters
    ----------
    path
        OME-TIFF, QPTIFF or component TIFF, ImageJ TIFF, OME-Zarr, or a folder with one TIFF a channel.
    panel
        Which channels are wanted, and which markers they show; matched by name or alias, never by position. All
        channels under their own names when absent.
    mpp
        Pixel size in um/px; wins over what the file says.
    region
        ``(x, y, width, height)`` in pixels; the whole image when absent.
    names
        Names of the channels in the file's order, for files that hold none (or wrong ones).

    Returns
    -------
    DataArray (c, y, x) in the file's own type and scale; ``c`` = markers; attrs ``mpp``, ``mpp_source``, ``origin``,
    ``slide``, ``exposure_ms``, ``channel_names``, ``saturation``.

    Raises
    ------
    SlideError
        The file cannot be read or is no multichannel image.
    DataError
        Channels have no names or one twice, the panel names one that is absent, or pixels are NaN or infinite.
    UsageError
        No pixel size, or the region lies outside.

    Examples
    --------
    >>> import numpy as np
    >>> import tifffile
    >>> import biomarkers as bm
    >>> names = {"axes": "CYX", "Channel": {"Name": ["DAPI", "CD8"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    >>> tifffile.imwrite("biopsy.ome.tif", np.zeros((2, 64, 64), np.uint16), metadata=names)
    >>> roles = {"DAPI": {"marker": "DAPI", "role": "nuclei"}, "CD8": {"marker": "CD8", "compartment": "cell"}}
    >>> tile = bm.read_channels("biopsy.ome.tif", panel=bm.Panel(name="p", channels=roles))
    >>> tile.coords["c"].values.tolist()
    ['DAPI', 'CD8']
    """
    import xarray as xr

    where = Path(path)
    file = open_channels(where)
    chosen = _chosen(file, panel=panel, names=names, where=where)
    um, source = choose_mpp(mpp, file.pixel_size, where=where)
    box, origin = _box(file, region, where)
    height, width = (side.stop - side.start for side in box)
    check_sizes(width * max(1, len(chosen)), height, limit_pixels=LIMIT_PIXELS, where=where)
    pixels = np.stack([_finite(file.planes[number](box), marker, where) for marker, (number, _) in chosen.items()])
    exposure = _exposures(file, panel, chosen)
    attrs: dict[str, Any] = {
        keys.MPP: um,
        keys.MPP_SOURCE: source,
        keys.ORIGIN: origin,
        "slide": where.name,
        EXPOSURE_MS: exposure,
        CHANNEL_NAMES: {marker: name for marker, (_, name) in chosen.items()},
        SATURATION: float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "ui" else None,
    }
    return xr.DataArray(pixels, dims=keys.TILE_DIMS, coords={"c": list(chosen)}, attrs=attrs)


def channel_shape(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return (height, width) of a multiplex image without reading its pixels."""
    return open_channels(Path(path)).shape


def make_channels(
    pixels: np.ndarray, *, names: Sequence[str], mpp: float, slide: str = "", saturation: float | None = None
) -> xr.DataArray:
    """Wrap pixels (c, y, x) that were read elsewhere as :func:`read_channels` would.

    Raises
    ------
    DataError
        Channels have no names or one twice, or pixels are NaN or infinite.
    UsageError
        The array has another shape than (c, y, x), or the pixel size is out of range.
    """
    import xarray as xr

    if pixels.ndim != 3 or len(names) != pixels.shape[0]:
        raise UsageError("not one plane a channel", seen=pixels.shape, allowed=f"({len(names)}, y, x)")
    check_channel_names([str(name) for name in names], where=slide or "tile")
    for plane, name in zip(pixels, names, strict=True):
        _finite(plane, str(name), slide or "tile")
    um, source = choose_mpp(mpp, None, where=slide or "tile")
    full = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "ui" else None
    attrs: dict[str, Any] = {
        keys.MPP: um, keys.MPP_SOURCE: source, keys.ORIGIN: (0, 0), "slide": slide, EXPOSURE_MS: {},
        CHANNEL_NAMES: {str(name): str(name) for name in names},
        SATURATION: full if saturation is None else saturation,
    }  # fmt: skip
    return xr.DataArray(pixels, dims=keys.TILE_DIMS, coords={"c": [str(name) for name in names]}, attrs=attrs)


def _chosen(
    file: ChannelFile, *, panel: Panel | None, names: Sequence[str] | None, where: Path
) -> dict[str, tuple[int, str]]:
    """Marker -> (number of its plane, name of its channel)."""
    there = list(file.names) if names is None else [str(name) for name in names]
    if len(there) != len(file.planes):
        seen = f"{len(there)} names, {len(file.planes)} channels"
        raise DataError("names and channels differ in number", where=where, seen=seen)
    if panel is not None:
        found = panel.matched(there, where=where)
        wanted = {panel.channels[key].marker: name for name, key in found.items()}
        ordered = [one.marker for one in panel.channels.values() if one.role != "ignore"]
        return {marker: (there.index(wanted[marker]), wanted[marker]) for marker in ordered}
    check_channel_names(there, where=where)
    return {name: (number, name) for number, name in enumerate(there)}


def _box(
    file: ChannelFile, region: tuple[int, int, int, int] | None, where: Path
) -> tuple[tuple[slice, slice], tuple[int, int]]:
    height, width = file.shape
    if region is None:
        return (slice(0, height), slice(0, width)), (0, 0)
    x, y, wide, tall = region
    if not (min(x, y) >= 0 and wide > 0 and tall > 0 and x + wide <= width and y + tall <= height):
        raise UsageError(
            "the region lies outside the image", where=where, seen=region, allowed=f"inside {width} x {height}"
        )
    return (slice(y, y + tall), slice(x, x + wide)), (x, y)


def _finite(plane: np.ndarray, marker: str, where: object) -> np.ndarray:
    """Return the plane when all its pixels are numbers."""
    if plane.dtype.kind == "f":
        wrong = ~np.isfinite(plane)
        if wrong.any():
            row, column = (int(one[0]) for one in np.nonzero(wrong))
            raise DataError(
                "pixels are NaN or infinite",
                where=f"{where}, channel {marker!r}",
                seen=f"{int(wrong.sum())} of them, the first at x={column}, y={row}",
                hint="Export the image again, or fill them with a stated value.",
            )
    elif plane.dtype.kind not in "ui":
        raise DataError("pixels are no numbers", where=f"{where}, channel {marker!r}", seen=str(plane.dtype))
    return plane


def _exposures(file: ChannelFile, panel: Panel | None, chosen: dict[str, tuple[int, str]]) -> dict[str, float]:
    """Exposure of each marker: the file's own, or else the panel's."""
    found = {marker: file.exposure_ms[name] for marker, (_, name) in chosen.items() if name in file.exposure_ms}
    stated = {} if panel is None else {one.marker: one.exposure_ms for one in panel.channels.values()}
    for marker in chosen:
        value = stated.get(marker)
        if marker not in found and value is not None:
            found[marker] = value
    return found
