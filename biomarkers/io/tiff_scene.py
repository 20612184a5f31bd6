"""What a TIFF series says of itself: size, levels, pixel size, and why it may not be scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tifffile

from biomarkers.core.errors import SlideError
from biomarkers.io.pixel_size import PixelSize, from_aperio, from_imagej, from_ome, from_resolution
from biomarkers.io.reader import Level, Scene

IMAGE_AXES = {"YX", "YXS", "SYX"}
_RGB, _PALETTE, _CMYK, _YCBCR = 2, 3, 5, 6
_GREYS = {0, 1}
_JPEG = {6, 7, 34892, 33007}
_J2K_YCBCR = 33003
_PLAIN_NAMES = {"Baseline"}  # other names come from free text, which may name a patient
_ASPECT_TOLERANCE = 0.02
_MAX_SEGMENT_PIXELS = 1 << 28  # one strip or tile larger than this is refused before it is decoded


def describe(file: Any, series: Any, *, stray: Sequence[Any] = (), where: object = None) -> Scene:
    """Return the :class:`Scene` of one series without reading a pixel; ``stray`` are levels that fit no pyramid."""
    page = series.keyframe
    levels, problems = _levels(series, where=where)
    problems += [_misfit(one.keyframe) for one in stray]
    orientation = int(page.tags.valueof(274, 1))
    if orientation not in (0, 1):
        problems.append(f"orientation tag {orientation} is not applied: pixels are taken as they are stored")
    grey = int(page.photometric) in _GREYS and page.samplesperpixel == 1
    return Scene(
        name=series.name if series.name in _PLAIN_NAMES else "",
        levels=levels,
        pixel_size=_pixel_size(file, page, number=_number(file, series)),
        channels=("grey",) if grey else ("R", "G", "B"),
        problems=tuple(problems),
        refused=_refusal(series, page),
    )


def needs_openslide(file_series: Any) -> bool:
    """Tell whether the colours are stored in a way that OpenSlide converts and tifffile does not."""
    page = file_series.keyframe
    compression = int(page.compression)
    return compression == _J2K_YCBCR or (int(page.photometric) == _YCBCR and compression not in _JPEG)


def segment_size(page: Any) -> tuple[int, int]:
    """Return rows and columns of one tile or strip."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return min(int(page.rowsperstrip), int(page.imagelength)), int(page.imagewidth)


def check_layout(page: Any, *, where: object) -> None:
    """Refuse a page whose size and list of tiles cannot both be true, before anything is allocated for it.

    Raises
    ------
    SlideError
        It has no pixels, lists more or fewer tiles than its size needs, or one of them is too large to decode.
    """
    tall, wide = segment_size(page)
    if min(tall, wide, page.imagelength, page.imagewidth) < 1:
        seen = f"{page.imagewidth} x {page.imagelength} px in tiles of {wide} x {tall}"
        raise SlideError("the TIFF's directory is damaged: it has no pixels", where=where, seen=seen)
    if tall * wide > _MAX_SEGMENT_PIXELS:
        hint = "Convert it to a tiled TIFF."
        raise SlideError("one tile or strip is too large to decode", where=where, seen=f"{wide} x {tall}", hint=hint)
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    needed = -(-page.imagelength // tall) * -(-page.imagewidth // wide) * planes
    listed = min(len(page.dataoffsets), len(page.databytecounts))
    if listed < needed or (page.is_tiled and listed > needed):
        what = "the TIFF's directory is damaged: its size does not fit its tiles"
        raise SlideError(what, where=where, seen=f"{listed} tiles", allowed=f"{needed} for its size")


def _levels(series: Any, *, where: object) -> tuple[tuple[Level, ...], list[str]]:
    """Pyramid levels, largest first; one whose shape does not fit level 0 is left out and named."""
    kept: list[Level] = []
    problems: list[str] = []
    first = series.levels[0].keyframe
    for level in series.levels:
        width, height = level.keyframe.imagewidth, level.keyframe.imagelength
        try:
            check_layout(level.keyframe, where=where)
        except SlideError as error:
            if not kept:
                raise
            problems.append(f"a level of {width} x {height} px is left out: {error.what}")
            break
        across, down = first.imagewidth / max(width, 1), first.imagelength / max(height, 1)
        if abs(across - down) > _ASPECT_TOLERANCE * max(across, down) + max(across, down) / min(width, height):
            problems.append(_misfit(level.keyframe))
            break  # levels are addressed by number, so those after it go too
        kept.append(Level(width, height, (across + down) / 2))
    return tuple(kept), problems


def _misfit(page: Any) -> str:
    return f"a level of {page.imagewidth} x {page.imagelength} px does not match level 0 and is left out"


def _refusal(series: Any, page: Any) -> str | None:
    if series.axes not in IMAGE_AXES or len(series.pages) > 1:
        shape = " x ".join(f"{axis}={size}" for axis, size in zip(series.axes, series.shape, strict=True))
        return f"it is a stack of {len(series.pages)} images ({shape}), not one RGB image"
    if page.dtype != "uint8":
        return f"it holds {page.dtype} values, not 8 bits: convert it to 8-bit RGB with a stated scaling"
    if int(page.compression) not in tifffile.TIFF.DECOMPRESSORS:
        return f"its compression (TIFF code {int(page.compression)}) cannot be decoded"
    if needs_openslide(series):
        return "its colours are YCbCr in a compression that is read by OpenSlide only"
    photometric, samples = int(page.photometric), page.samplesperpixel
    if photometric == _CMYK:
        return "its colours are CMYK: convert it to RGB with its own colour profile"
    if photometric in {_RGB, _YCBCR} and samples in (3, 4):
        return None
    if samples == 1 and photometric in {_PALETTE, *_GREYS}:
        return None
    name = getattr(page.photometric, "name", f"photometric {photometric}")
    return f"its colours are not RGB ({name}, {samples} samples a pixel)"


def _number(file: Any, series: Any) -> int:
    return next((number for number, one in enumerate(file.series) if one is series), 0)


def _pixel_size(file: Any, page: Any, *, number: int) -> PixelSize | None:
    if page.is_svs or file.is_svs:
        return from_aperio(page.description)
    if file.is_ome and (size := from_ome(file.ome_metadata or "", image=number)) is not None:
        return size
    x, y = _rational(page.tags.valueof(282)), _rational(page.tags.valueof(283))
    if file.is_imagej and file.imagej_metadata and (size := from_imagej(file.imagej_metadata, x, y)) is not None:
        return size
    return from_resolution(x, y, int(page.tags.valueof(296, 2) or 0), source="TIFF resolution")


def _rational(value: Any) -> float:
    """Return a TIFF rational as a float; what is absent or senseless is 0."""
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return 0.0
    number = value[0] / value[1]
    return number if math.isfinite(number) else 0.0
