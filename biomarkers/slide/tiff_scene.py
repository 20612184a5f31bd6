"""What a TIFF series says of itself: size, levels, pixel size, and why it may not be scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from biomarkers.slide.pixelsize import PixelSize, from_aperio, from_imagej, from_ome, from_resolution
from biomarkers.slide.reader import Level, Scene

IMAGE_AXES = {"YX", "YXS", "SYX"}
_RGB, _PALETTE, _CMYK, _YCBCR = 2, 3, 5, 6
_GREYS = {0, 1}
_JPEG = {6, 7, 34892, 33007}
_J2K_YCBCR = 33003
_ASPECT_TOLERANCE = 0.02


def describe(file: Any, series: Any, *, stray: Sequence[Any] = ()) -> Scene:
    """Return the :class:`Scene` of one series without reading a pixel; ``stray`` are levels that fit no pyramid."""
    page = series.keyframe
    levels, problems = _levels(series)
    problems += [_misfit(one.keyframe) for one in stray]
    orientation = int(page.tags.valueof(274, 1))
    if orientation not in (0, 1):
        problems.append(f"orientation tag {orientation} is not applied: pixels are taken as they are stored")
    grey = int(page.photometric) in _GREYS and page.samplesperpixel == 1
    return Scene(
        name=series.name,
        levels=levels,
        pixel_size=_pixel_size(file, page),
        channels=("grey",) if grey else ("R", "G", "B"),
        problems=tuple(problems),
        refused=_refusal(series, page),
    )


def needs_openslide(file_series: Any) -> bool:
    """Tell whether the colours are stored in a way that OpenSlide converts and tifffile does not."""
    page = file_series.keyframe
    compression = int(page.compression)
    return compression == _J2K_YCBCR or (int(page.photometric) == _YCBCR and compression not in _JPEG)


def _levels(series: Any) -> tuple[tuple[Level, ...], list[str]]:
    """Pyramid levels, largest first; one whose shape does not fit level 0 is left out and named."""
    kept: list[Level] = []
    problems: list[str] = []
    first = series.levels[0].keyframe
    for level in series.levels:
        width, height = level.keyframe.imagewidth, level.keyframe.imagelength
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
    if needs_openslide(series):
        return "its colours are YCbCr in a compression that is read by OpenSlide only"
    photometric, samples = int(page.photometric), page.samplesperpixel
    if photometric == _CMYK:
        return "its colours are CMYK: convert it to RGB with its own colour profile"
    if photometric in {_RGB, _YCBCR} and samples in (3, 4):
        return None
    if samples == 1 and photometric in {_PALETTE, *_GREYS}:
        return None
    return f"its colours are not RGB ({page.photometric.name}, {samples} samples a pixel)"


def _pixel_size(file: Any, page: Any) -> PixelSize | None:
    if page.is_svs or file.is_svs:
        return from_aperio(page.description)
    if file.is_ome and (size := from_ome(file.ome_metadata or "")) is not None:
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
