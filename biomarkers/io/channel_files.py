"""What multichannel files hold: channel names, exposures, pixel size, and planes that are read when asked for."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import SlideError
from biomarkers.io.ome_header import OmeImage, parse_xml, tag_of
from biomarkers.io.pixel_size import PixelSize
from biomarkers.io.reader import DECODE_ERRORS, check_is_image
from biomarkers.io.zarr_header import is_zarr, zarr_attributes, zarr_axes, zarr_levels, zarr_pixel_size

Box = tuple[slice, slice]
# reads rows and columns of one channel
Plane = Callable[[Box], NDArray[Any]]
_MS_IN = {"s": 1e3, "ms": 1.0, "µs": 1e-3, "us": 1e-3}
_LEVEL = 0.6  # of an image's side: what is smaller is a level of its pyramid, a label or a thumbnail
_MOST_CHANNELS = 4096  # of a file that says more, the header lies
_COLOURS = {"", "r", "g", "b", "red", "green", "blue"}
_BRIGHT, _PROBE_PX = 120, 1024  # grey level: the median of each plane of a brightfield picture lies above it


@dataclass(frozen=True)
class ChannelFile:
    """An image with one plane a channel, not yet read.

    ``names`` are the file's own, empty where it has none; ``exposure_ms`` holds those that are known.
    """

    names: tuple[str, ...]
    shape: tuple[int, int]
    planes: tuple[Plane, ...]
    pixel_size: PixelSize | None
    exposure_ms: Mapping[str, float] = field(default_factory=dict)


def open_channels(path: Path) -> ChannelFile:
    """Look into an OME-TIFF, QPTIFF or TIFF, an OME-Zarr, or a folder with one TIFF a channel.

    Raises
    ------
    SlideError
        There is no such file, it is no multichannel image but a colour picture, or planes differ in size.
    """
    if path.is_dir():
        file = _zarr(path) if is_zarr(path) else _folder(path)
    else:
        check_is_image(path)
        file = _tiff(path)
    _refuse_brightfield(path, file)
    return file


def _refuse_brightfield(path: Path, file: ChannelFile) -> None:
    """Refuse a colour picture whose red, green and blue are stored as channels: all are bright where there is glass."""
    if len(file.planes) != 3 or any(name.strip().casefold() not in _COLOURS for name in file.names):
        return
    rows, columns = (
        slice((side - min(side, _PROBE_PX)) // 2, (side + min(side, _PROBE_PX)) // 2) for side in file.shape
    )
    try:
        planes = [plane((rows, columns)) for plane in file.planes]
    except SlideError:
        return  # told where the channel is read
    if all(plane.dtype == np.uint8 and float(np.median(plane)) >= _BRIGHT for plane in planes):
        message = "this is a colour (RGB) picture, its red, green and blue stored as three grey planes"
        raise SlideError(message, where=path, hint="Score it with --assay, without a panel.")


def is_channel_folder(path: Path) -> bool:
    """Tell whether a folder is one multiplex image: an OME-Zarr, or two and more TIFFs of one grey plane each."""
    if is_zarr(path):
        return True
    if not path.is_dir():
        return False
    files = _tiffs_in(path)
    return len(files) > 1 and all(_is_one_plane(file) for file in files)


def _tiffs_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.name.casefold().endswith((".tif", ".tiff", ".qptiff")) and not file.name.startswith(".")
    )


def _is_one_plane(path: Path) -> bool:
    try:
        return len(_tiff(path).planes) == 1
    except SlideError:
        return False


# -- TIFF ---


def _tiff(path: Path) -> ChannelFile:
    import tifffile

    from biomarkers.io.tiff_open import open_tiff
    from biomarkers.io.tiff_pixel_size import ome_of, pixel_size_of

    try:
        with open_tiff(path) as file:
            series = file.series[0]
            axes, shape = series.axes, series.shape
            shapes = [one.shape for one in file.series]
            _refuse_cut(path, file, series)
            ome = ome_of(file)
            own = None if ome is None else ome.image_at(_first_directory(series), file=path.name)
            if own is None and ome is not None and len(ome.images) == 1:
                own = ome.images[0]
            size = pixel_size_of(file, series.keyframe, ome=own)
            names, exposure = _tiff_names(file, series, own)
    except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
        raise SlideError(f"the TIFF cannot be opened: {error}", where=path) from error
    height, width = shape[axes.index("Y")], shape[axes.index("X")]
    count = int(np.prod([n for axis, n in zip(axes, shape, strict=True) if axis not in "YX"], dtype=int))
    _check_count(path, count)
    if axes.endswith("S"):
        message = "this is a colour (RGB) image, not one plane a channel"
        raise SlideError(message, where=path, seen=f"axes {axes}", hint="Score it with --assay, without a panel.")
    if (
        not axes.endswith("YX")
        or max(sum(axis not in "YX" and n > 1 for axis, n in zip(axes, shape, strict=True)), 0) > 1
    ):
        raise SlideError("not an image with one plane a channel", where=path, seen=f"axes {axes}, shape {shape}")
    if names and len(names) != count:
        message = "the file's header and its planes do not agree: it may be cut short"
        raise SlideError(message, where=path, seen=f"{len(names)} channels named, {count} planes")
    _refuse_several(path, shapes, axes)
    planes = tuple(_tiff_plane(path, number) for number in range(count))
    names = names or ("",) * count
    return ChannelFile(names, (height, width), planes, size, exposure)


def _refuse_cut(path: Path, file: Any, series: Any) -> None:
    """Refuse a file that ends before the pixels of its first page, or before the next page that it points to."""
    page = series.levels[0].pages[0]
    ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    file.filehandle.seek(file.pages.next_page_offset)
    following = file.filehandle.read(file.tiff.offsetsize)
    if len(following) == file.tiff.offsetsize:
        ends.append(struct.unpack(file.tiff.offsetformat, following)[0])
    size = path.stat().st_size
    if ends and max(ends) > size:
        message = "the file is cut short: it ends before its pixels do"
        raise SlideError(message, where=path, seen=f"{size} bytes", allowed=f"at least {max(ends)}")


def _refuse_several(path: Path, shapes: list[tuple[int, ...]], axes: str) -> None:
    """Refuse a file with several images of one kind; smaller ones are thumbnails, labels or levels of a pyramid."""
    first = shapes[0]
    at = axes.index("Y")
    alike = [
        shape
        for shape in shapes
        if len(shape) == len(first) and shape[:at] == first[:at] and min(shape[at:]) > _LEVEL * min(first[at:])
    ]
    if len(alike) > 1:
        message = "the file holds several multiplex images: which one is meant?"
        hint = "Write each to a file of its own (tifffile, Bio-Formats, QuPath)."
        raise SlideError(message, where=path, seen=f"{len(alike)} images", hint=hint)


def _tiff_plane(path: Path, number: int) -> Plane:
    def read(box: Box) -> NDArray[Any]:
        import tifffile
        import zarr

        from biomarkers.io.tiff_open import open_tiff

        try:
            with open_tiff(path) as file:
                series = file.series[0]
                page = series.levels[0].pages[number]
                rows, columns = box
                size = page.keyframe.imagelength, page.keyframe.imagewidth
                if (rows.stop - rows.start, columns.stop - columns.start) == size:
                    return np.asarray(page.asarray())
                store: Any = page.aszarr()
                return np.asarray(zarr.open_array(store, mode="r")[rows, columns])
        except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
            raise SlideError(f"channel {number + 1} cannot be decoded: {error}", where=path) from error

    return read


def _first_directory(series: Any) -> int:
    page = next(page for page in series.pages if page is not None)
    return int(page.index[0] if isinstance(page.index, tuple) else page.index)


def _tiff_names(file: Any, series: Any, own: OmeImage | None) -> tuple[tuple[str, ...], dict[str, float]]:
    if own is not None:
        return _ome_names(own)
    if file.is_ome:
        return (), {}
    pages = [page for page in series.levels[0].pages if page is not None]
    if file.is_qpi or all("PerkinElmer-QPI" in (_description(page) or "") for page in pages):
        return _qpi_names([_description(page) for page in pages])
    labels = (file.imagej_metadata or {}).get("Labels")
    if labels:
        return tuple(str(label) for label in labels), {}
    named = [_page_name(page) for page in pages]
    return (tuple(named) if all(named) else (), {})


def _description(page: Any) -> str:
    tags = getattr(page, "tags", None)
    return "" if tags is None else str(tags.valueof(270, "") or "")


def _page_name(page: Any) -> str:
    tags = getattr(page, "tags", None)
    return "" if tags is None else str(tags.valueof(285, "") or "")


def _ome_names(image: OmeImage) -> tuple[tuple[str, ...], dict[str, float]]:
    names = tuple(element.get("Name", "").strip() for element in image.pixels if tag_of(element) == "Channel")
    exposure = {}
    for element in image.pixels:
        number = int(element.get("TheC", -1)) if tag_of(element) == "Plane" else -1
        if 0 <= number < len(names) and element.get("ExposureTime"):
            unit = element.get("ExposureTimeUnit", "s")
            exposure[names[number]] = float(element.get("ExposureTime", "0")) * _MS_IN.get(unit, np.nan)
    return names, {name: value for name, value in exposure.items() if value > 0}


def _qpi_names(descriptions: list[str]) -> tuple[tuple[str, ...], dict[str, float]]:
    """Name channels of an Akoya / PerkinElmer file by biomarker where it says one, by fluorophore otherwise."""
    names, exposure = [], {}
    for text in descriptions:
        root = parse_xml(text)
        if root is None:
            return (), {}
        found = {tag_of(element): (element.text or "").strip() for element in root}
        name = found.get("Biomarker") or found.get("Name") or ""
        names.append(name)
        if found.get("IsUnmixedComponent", "").casefold() == "true":
            continue  # unmixed components are in counts per exposure already
        if re.fullmatch(r"[0-9.]+", found.get("ExposureTime", "")) and float(found["ExposureTime"]) > 0:
            exposure[name] = float(found["ExposureTime"]) / 1000  # microseconds
    return tuple(names), exposure


# -- a folder with one TIFF a channel ---


def _folder(path: Path) -> ChannelFile:
    files = _tiffs_in(path)
    if not files:
        raise SlideError("the folder holds no TIFF and is no OME-Zarr", where=path)
    opened = [_tiff(file) for file in files]
    for file, one in zip(files, opened, strict=True):
        if len(one.planes) != 1:
            message = "a folder of channels must hold one plane a file"
            raise SlideError(message, where=file, seen=f"{len(one.planes)} planes")
        if one.shape != opened[0].shape:
            message = "this channel's size differs from the others'"
            raise SlideError(message, where=file, seen=one.shape, allowed=opened[0].shape)
    stems = [re.sub(r"\.ome$", "", file.name[: file.name.rindex(".")]) for file in files]
    names = _without_common_ends(stems)
    sizes = [one.pixel_size for one in opened if one.pixel_size]
    if any(not math.isclose(size.mpp, sizes[0].mpp, rel_tol=0.01) for size in sizes):
        seen = sorted({f"{size.mpp:.4g} um/px" for size in sizes})
        raise SlideError("the channels' files say different pixel sizes", where=path, seen=seen)
    exposure = {name: ms for name, one in zip(names, opened, strict=True) for ms in one.exposure_ms.values()}
    return ChannelFile(
        names=tuple(names),
        shape=opened[0].shape,
        planes=tuple(one.planes[0] for one in opened),
        pixel_size=sizes[0] if sizes else None,
        exposure_ms=exposure,
    )


def _without_common_ends(stems: list[str]) -> list[str]:
    """Take off what all file names begin and end with, up to a separator: ``b1_DAPI_x, b1_CD8_x`` are DAPI and CD8."""
    shorter = _without_common_start(stems, marks="_- .")
    turned = [text[::-1] for text in shorter]
    return [text[::-1] for text in _without_common_start(turned, marks="_ .")]  # PD-1 ends in no separator


def _without_common_start(stems: list[str], *, marks: str) -> list[str]:
    first, last = min(stems), max(stems)  # what these two share at their start, all share
    same = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    cut = max(first[:same].rfind(mark) for mark in marks) + 1
    return [stem[cut:] for stem in stems]


# -- OME-Zarr ---


def _zarr(path: Path) -> ChannelFile:
    try:
        return _zarr_channels(_only_image(path))
    except DECODE_ERRORS as error:
        raise SlideError(f"not an OME-Zarr image: {type(error).__name__}: {error}", where=path) from error


def _zarr_channels(path: Path) -> ChannelFile:
    import zarr

    about = zarr_attributes(path)
    scales = about["multiscales"][0]
    axes = zarr_axes(scales)
    array: Any = zarr.open_array(str(zarr_levels(path, scales, store=path)[0]), mode="r")
    sizes = dict(zip(axes, array.shape, strict=True))
    wide = [axis for axis in axes if axis not in "cyx" and sizes[axis] > 1]
    if wide or axes[-2:] != ["y", "x"]:
        raise SlideError("not an image with one plane a channel", where=path, seen=sizes)
    named = about.get("omero", {}).get("channels", [])
    names = tuple(str(one.get("label", "")).strip() for one in named)
    count = sizes.get("c", 1)
    _check_count(path, count)
    return ChannelFile(
        names=names if len(names) == count else ("",) * count,
        shape=(sizes["y"], sizes["x"]),
        planes=tuple(_zarr_plane(path, array, axes, number) for number in range(count)),
        pixel_size=zarr_pixel_size(scales),
    )


def _check_count(path: Path, count: int) -> None:
    if count > _MOST_CHANNELS:
        raise SlideError("more channels than any image has", where=path, seen=count, allowed=f"up to {_MOST_CHANNELS}")


def _only_image(path: Path) -> Path:
    """Step into the one image of a folder as bioformats2raw writes it; other folders are images themselves."""
    if "bioformats2raw.layout" not in zarr_attributes(path):
        return path
    images = sorted(one for one in path.iterdir() if one.name.isdigit() and is_zarr(one))
    if len(images) != 1:
        message = "the OME-Zarr does not hold one image"
        hint = "Name one of them." if images else None
        raise SlideError(message, where=path, seen=[one.name for one in images], hint=hint)
    return images[0]


def _zarr_plane(path: Path, array: Any, axes: list[str], number: int) -> Plane:
    def read(box: Box) -> NDArray[Any]:
        where = {"c": number, "y": box[0], "x": box[1]}
        try:
            return np.asarray(array[tuple(where.get(axis, 0) for axis in axes)])
        except DECODE_ERRORS as error:
            raise SlideError(f"channel {number + 1} cannot be decoded: {error}", where=path) from error

    return read
