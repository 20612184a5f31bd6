"""A slide: opened lazily, read by region, with its pixel size and where that came from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from biomarkers.core.errors import SlideError, UsageError
from biomarkers.core.sources import is_url, name_of, open_object
from biomarkers.io.formats import TIFF_STARTS, format_of, read_head
from biomarkers.io.level_check import doubt_about_levels
from biomarkers.io.padding import BLOCK_PX, Padding, find_padding
from biomarkers.io.pixel_size import PixelSize, choose_mpp
from biomarkers.io.reader import GLASS, RGB, Level, Reader, Scene, check_is_image, check_sizes
from biomarkers.io.zarr_header import is_zarr

_TEXT_INDEX = ("Hamamatsu VMS", "Hamamatsu VMU")
REGION_LIMIT_PIXELS = 200_000_000
_NONE = Padding((), 0.0)


@dataclass(frozen=True)
class Slide:
    """One image of a file, not yet read.

    Attributes
    ----------
    path
        The file.
    scene
        Which of the file's images this is; its name is ``scene_name``.
    pixel_size
        What the file says, or None; see ``mpp`` for what is used.
    padding
        What is read as glass; nothing, unless :meth:`without_padding` made this slide.
    doubts
        What was found to be wrong by looking at pixels (:meth:`with_checked_levels`).
    """

    path: Path
    scene: int
    scenes: tuple[Scene, ...]
    stated_mpp: float | None
    _reader: Reader
    padding: Padding = _NONE
    doubts: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height at level 0, px."""
        return self.levels[0].width, self.levels[0].height

    @property
    def levels(self) -> tuple[Level, ...]:
        """The pyramid, largest first."""
        return self.scenes[self.scene].levels

    @property
    def channels(self) -> tuple[str, ...]:
        """``("R", "G", "B")`` or ``("grey",)``."""
        return self.scenes[self.scene].channels

    @property
    def problems(self) -> tuple[str, ...]:
        """What is odd about the file but does not stop it from being read, contradictions of its pixel size among it.

        The latter are no matter where the user states the size.
        """
        scene = self.scenes[self.scene]
        size = scene.pixel_size
        return (
            *scene.problems,
            *self.doubts,
            *(size.conflicts if size is not None and self.stated_mpp is None else ()),
        )

    @property
    def refused(self) -> str | None:
        """Why its pixels cannot be scored, or None."""
        return self.scenes[self.scene].refused

    @property
    def pixel_size(self) -> PixelSize | None:
        """What the file itself says of its pixel size, believable or not."""
        return self.scenes[self.scene].pixel_size

    @property
    def reader(self) -> str:
        """The library that reads it."""
        return self._reader.name

    @property
    def mpp(self) -> float:
        """Micrometres per pixel at level 0 (raises when it is unknown or cannot be true)."""
        return choose_mpp(self.stated_mpp, self.pixel_size, where=self.path)[0]

    @property
    def mpp_source(self) -> str:
        """``stated``, or the metadata field that gave ``mpp``."""
        return choose_mpp(self.stated_mpp, self.pixel_size, where=self.path)[1]

    def read_region(
        self, x: int, y: int, width: int, height: int, *, level: int = 0, reuse_from_row: int | None = None
    ) -> RGB:
        """Read a region as interleaved RGB.

        Parameters
        ----------
        x, y, width, height
            The region in pixels of ``level``; it must lie inside the image.
        level
            Number of the pyramid level.
        again_from
            A later region, of the next row of regions, will ask for the rows of ``level`` from this one on again: what
            was decoded for them is held until then, as far as memory set aside for it allows.

        Returns
        -------
        uint8 (height, width, 3); missing and transparent pixels are 255.

        Raises
        ------
        UsageError
            The region lies outside, or there is no such level.
        SlideError
            The pixels cannot be decoded, or are of a kind that cannot be scored.
        """
        self.check_usable()
        if not 0 <= level < len(self.levels):
            raise UsageError("there is no such level", where=self.path, seen=level, allowed=range(len(self.levels)))
        wide, tall = self.levels[level].width, self.levels[level].height
        if not (min(x, y) >= 0 and width > 0 and height > 0 and x + width <= wide and y + height <= tall):
            region = f"x={x} y={y} width={width} height={height}"
            allowed = f"inside {wide} x {tall}"
            raise UsageError("the region lies outside the image", where=self.path, seen=region, allowed=allowed)
        check_sizes(width, height, limit_pixels=REGION_LIMIT_PIXELS, where=self.path)
        if not self.padding.colours:
            return self._reader.read(self.scene, level, x, y, width, height, reuse_from_row=reuse_from_row)
        left, top = (max(0, at // BLOCK_PX - 1) * BLOCK_PX for at in (x, y))  # what lies beside tells padding
        right, bottom = min(wide, x + width + 2 * BLOCK_PX), min(tall, y + height + 2 * BLOCK_PX)
        right, bottom = (
            right - right % BLOCK_PX if right < wide else wide,
            bottom - bottom % BLOCK_PX if bottom < tall else tall,
        )
        read = self._reader.read(
            self.scene, level, left, top, right - left, bottom - top, reuse_from_row=reuse_from_row
        )
        found = self.padding.mask(read)
        rows, columns = slice(y - top, y - top + height), slice(x - left, x - left + width)
        part = np.array(read[rows, columns])
        part[found[rows, columns]] = GLASS
        return part

    def without_padding(self) -> Self:
        """Return the same slide with areas of exact black or grey, from stitching or rotation, read as glass.

        Raises
        ------
        SlideError
            The pixels that tell padding cannot be decoded, or are of a kind that cannot be scored.
        """
        self.check_usable()
        return replace(self, padding=find_padding(self))

    def with_checked_levels(self) -> Self:
        """Return the same slide, with a doubt where its smallest level does not show what its largest one shows.

        Raises
        ------
        SlideError
            It shows another picture, or pixels cannot be decoded.
        """
        doubt = doubt_about_levels(self, where=self.path)
        return self if doubt is None else replace(self, doubts=(*self.doubts, doubt))

    def check_usable(self) -> None:
        """Raise a SlideError when its pixels are of a kind that cannot be scored without guessing."""
        if self.refused is not None:
            raise SlideError(f"the image cannot be used: {self.refused}", where=self.path)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_slide(path: str | os.PathLike[str], *, mpp: float | None = None, scene: int | None = None) -> Slide:
    """Open an image file lazily.

    Parameters
    ----------
    path
        SVS, NDPI, SCN, BIF, QPTIFF, OME-TIFF, TIFF, OME-Zarr, MRXS, DICOM, PNG, JPEG, ...; a file of the TIFF family
        may lie in an object store (``s3://bucket/a.svs``), of which only what is asked for is read.
    mpp
        Pixel size in um/px; wins over what the file says.
    scene
        Which image of a file with several (from 0). A file with several refuses to guess.

    Raises
    ------
    SlideError
        The file is absent, empty, no image, damaged, or of a format that cannot be read.
    UsageError
        There are several images and ``scene`` was not given, or there is no such scene.

    Examples
    --------
    >>> import biomarkers as bm
    >>> path = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> with bm.open_slide(path) as slide:
    ...     slide.size, slide.mpp
    ((512, 512), 0.5)
    """
    if is_url(path):
        reader, path = _open_remote(str(path)), Path(name_of(str(path)))
    else:
        path = Path(path)
        reader = _open_local(path)
    count = len(reader.scenes)
    if scene is None and count > 1:  # their names are free text, which may name a patient
        reader.close()
        raise UsageError(f"the file holds {count} images", where=path, hint=f"Say which with scene=0 to {count - 1}.")
    if not 0 <= (scene or 0) < count:
        reader.close()
        raise UsageError("there is no such scene", where=path, seen=scene, allowed=f"0 to {count - 1}")
    return Slide(path=path, scene=scene or 0, scenes=reader.scenes, stated_mpp=mpp, _reader=reader)


def _open_remote(location: str) -> Reader:
    from biomarkers.io.tiff import TiffReader

    stream = open_object(location)
    if not stream.read(4).startswith(TIFF_STARTS):
        stream.close()
        hint = "Copy it here, or let 'biomarkers score' do so."
        raise SlideError("only the TIFF family is read from an object store", where=location, hint=hint)
    stream.seek(0)
    reader = TiffReader(Path(name_of(location)), stream=stream)
    if reader.needs_openslide:
        reader.close()
        raise SlideError("only OpenSlide converts its colours, from a local file", where=location)
    return reader


def _open_local(path: Path) -> Reader:
    """Pick the reader that the registry of formats names."""
    if is_zarr(path):
        from biomarkers.io.zarr_files import ZarrReader

        return ZarrReader(path)
    known = format_of(path) if path.is_file() else None
    indexed = known is not None and known.name in _TEXT_INDEX  # a text file that names the files of its pixels
    if not indexed or known is None or not known.begins(read_head(path)):
        check_is_image(path)
    if known is not None and not known.reader:
        raise SlideError(f"{known.name} is not read", where=path, hint=known.hint)
    if known is not None and TIFF_STARTS in known.starts.values():
        if not read_head(path).startswith(TIFF_STARTS):
            raise SlideError(f"not a {known.name}: the file does not begin as a TIFF does", where=path)
        return _open_tiff(path)
    if known is not None and known.reader == "openslide":
        from biomarkers.io.dicom import role_of
        from biomarkers.io.openslide_files import OpenSlideReader

        if known.name == "DICOM" and (shown := role_of(path)):
            raise SlideError(f"this DICOM file is the {shown} image of a slide, which is never read", where=path)
        return OpenSlideReader(path)
    from biomarkers.io.pillow_files import PlainReader

    return PlainReader(path)


def _open_tiff(path: Path) -> Reader:
    """Open with tifffile what it reads rightly, and with OpenSlide what that one stitches or converts."""
    from biomarkers.io.tiff import TiffReader

    reader = TiffReader(path)
    if not reader.needs_openslide and not reader.vendor:
        return reader
    from biomarkers.io.openslide_files import OpenSlideReader

    try:
        stitched = OpenSlideReader(path)
    except SlideError as error:
        if reader.needs_openslide or reader.tiles_overlap:
            reader.close()
            raise
        reader.add_problem(f"OpenSlide cannot stitch this {reader.vendor} slide ({error.what}): read as a plain TIFF")
        return reader
    reader.close()
    return stitched
