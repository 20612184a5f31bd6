"""What a TIFF series says of itself: size, levels, pixel size, and why it may not be scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import tifffile

from biomarkers.core.errors import SlideError
from biomarkers.io.reader import Level, Scene
from biomarkers.io.tiff_images import TiffImage, aspect_slack, misfit
from biomarkers.io.tiff_pixel_size import pixel_size_of

_RGB, _PALETTE, _CMYK, _YCBCR = 2, 3, 5, 6
_GREYS = {0, 1}
_JPEG = {6, 7, 34892, 33007}
_J2K_YCBCR = 33003
_PLAIN_NAMES = {"Baseline"}  # other names come from free text, which may name a patient
_MOST_MISSING = 0.05  # of the stored tiles; a TPS moves by no more than its own interval where 5% of cells are missing
_MAX_SEGMENT_PIXELS = 1 << 28  # one strip or tile larger than this is refused before it is decoded


def describe(file: Any, image: TiffImage, *, where: object = None) -> Scene:
    """Return the :class:`Scene` of one image without reading a pixel."""
    page = image.page
    levels, problems = _levels(image, where=where)
    problems += image.notes
    orientation = int(page.tags.valueof(274, 1))
    if orientation not in (0, 1):
        problems.append(f"orientation tag {orientation} is not applied: pixels are taken as they are stored")
    if page.samplesperpixel == 4 and int(page.photometric) == _RGB and not has_alpha(page):
        problems.append("a fourth sample of unspecified meaning is ignored")
    holes = missing_share(page)
    if holes:
        problems.append(f"{holes:.2%} of the tiles amid stored ones are missing: they are read as glass")
    grey = int(page.photometric) in _GREYS and page.samplesperpixel == 1 and not image.others
    return Scene(
        name=image.name if image.name in _PLAIN_NAMES else "",
        levels=levels,
        pixel_size=pixel_size_of(file, page, ome=image.ome),
        channels=("grey",) if grey else ("R", "G", "B"),
        problems=tuple(problems),
        refused=_refusal(image, page) or _too_many_missing(holes),
        left_out=image.left_out,
    )


def missing_share(page: Any) -> float:
    """Share of a page's stored tiles that are missing amid others: three of the four beside them are stored.

    Scanners leave out tiles of empty glass; those lie together, at the borders.
    """
    counts = np.asarray(page.databytecounts)
    if not page.is_tiled or page.planarconfig == 2 or counts.size == 0 or counts.min() > 0:
        return 0.0
    tall, wide = segment_size(page)
    rows, columns = -(-page.imagelength // tall), -(-page.imagewidth // wide)
    if counts.size < rows * columns:
        return 0.0
    stored = np.zeros((rows + 2, columns + 2), np.int64)
    stored[1:-1, 1:-1] = counts[: rows * columns].reshape(rows, columns) > 0
    beside = stored[:-2, 1:-1] + stored[2:, 1:-1] + stored[1:-1, :-2] + stored[1:-1, 2:]
    return int(((beside >= 3) & (stored[1:-1, 1:-1] == 0)).sum()) / max(int(stored.sum()), 1)


def _too_many_missing(share: float) -> str | None:
    if share <= _MOST_MISSING:
        return None
    return f"{share:.1%} of its tiles are missing amid stored ones (at most {_MOST_MISSING:.0%} are read as glass)"


def has_alpha(page: Any) -> bool:
    """Whether the fourth sample of a pixel is its opacity; one of unspecified meaning is not."""
    extra = tuple(int(one) for one in page.extrasamples)
    return bool(extra) and extra[0] in (1, 2)


def needs_openslide(page: Any, *, aperio: bool) -> bool:
    """Tell whether the colours are stored in a way that OpenSlide converts and tifffile does not.

    Compression 33003 is Aperio's for JPEG 2000 in YCbCr; in other files with RGB as their colours it holds RGB.
    """
    compression, ycbcr = int(page.compression), int(page.photometric) == _YCBCR
    return (compression == _J2K_YCBCR and (aperio or ycbcr)) or (ycbcr and compression not in _JPEG)


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


def _levels(image: TiffImage, *, where: object) -> tuple[tuple[Level, ...], list[str]]:
    """Pyramid levels, largest first; one whose shape does not fit level 0 is left out and named."""
    kept: list[Level] = []
    problems: list[str] = []
    first = image.page
    for page in image.levels:
        width, height = page.imagewidth, page.imagelength
        try:
            check_layout(page, where=where)
        except SlideError as error:
            if not kept:
                raise
            problems.append(f"a level of {width} x {height} px is left out: {error.what}")
            break
        across, down = first.imagewidth / max(width, 1), first.imagelength / max(height, 1)
        if abs(across - down) > aspect_slack(across, down, min(width, height)):
            problems.append(misfit(page))
            break  # levels are addressed by number, so those after it go too
        kept.append(Level(width, height, (across + down) / 2))
    return tuple(kept), problems


def _refusal(image: TiffImage, page: Any) -> str | None:
    if image.n_pages > 1 or not _is_one_picture(image):
        shape = " x ".join(f"{axis}={size}" for axis, size in zip(image.axes, image.shape, strict=True))
        return f"it is a stack of {image.n_pages} images ({shape}), not one RGB image"
    if page.dtype != "uint8":
        return f"it holds {page.dtype} values, not 8 bits: convert it to 8-bit RGB with a stated scaling"
    if int(page.compression) not in tifffile.TIFF.DECOMPRESSORS:
        return f"its compression (TIFF code {int(page.compression)}) cannot be decoded"
    photometric, samples = int(page.photometric), page.samplesperpixel
    if photometric == _CMYK:
        return "its colours are CMYK: convert it to RGB with its own colour profile"
    if photometric in {_RGB, _YCBCR} and samples in (3, 4):
        return None
    if samples == 1 and photometric in {_PALETTE, *_GREYS}:
        return None
    name = getattr(page.photometric, "name", f"photometric {photometric}")
    return f"its colours are not RGB ({name}, {samples} samples a pixel)"


def _is_one_picture(image: TiffImage) -> bool:
    """Whether only height, width and samples are longer than one; axes of one before them say nothing."""
    return all(size == 1 for axis, size in zip(image.axes, image.shape, strict=True) if axis not in "YXS")
