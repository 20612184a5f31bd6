"""A slide: opened lazily, read by region, with its pixel size and where that came from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from biomarkers.core.errors import SlideError, UsageError
from biomarkers.core.sources import is_url, name_of, open_object
from biomarkers.io.pixel_size import PixelSize, choose_mpp
from biomarkers.io.reader import RGB, Level, Reader, Scene, check_is_image, check_sizes
from biomarkers.io.zarr_header import is_zarr

# formats that only OpenSlide reads, by suffix; DICOM is also told by its header
_OPENSLIDE_SUFFIXES = {".mrxs", ".dcm", ".vms", ".vmu", ".svslide", ".czi"}
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
REGION_LIMIT_PIXELS = 200_000_000


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
    """

    path: Path
    scene: int
    scenes: tuple[Scene, ...]
    stated_mpp: float | None
    _reader: Reader

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
        """What is odd about the file but does not stop it from being read."""
        return self.scenes[self.scene].problems

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
        self, x: int, y: int, width: int, height: int, *, level: int = 0, again_from: int | None = None
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
        return self._reader.read(self.scene, level, x, y, width, height, again_from=again_from)

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
    if not stream.read(4).startswith(_TIFF_STARTS):
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
    """Pick the reader by what the file is: its first bytes first, its suffix where they do not tell."""
    if is_zarr(path):
        from biomarkers.io.zarr_files import ZarrReader

        return ZarrReader(path)
    check_is_image(path)
    with path.open("rb") as stream:
        start = stream.read(132)
    if start.startswith(_TIFF_STARTS):
        return _open_tiff(path)
    if path.suffix.lower() in _OPENSLIDE_SUFFIXES or start[128:132] == b"DICM":
        from biomarkers.io.openslide_files import OpenSlideReader

        return OpenSlideReader(path)
    from biomarkers.io.pillow_files import PlainReader

    return PlainReader(path)


def _open_tiff(path: Path) -> Reader:
    from biomarkers.io.tiff import TiffReader

    reader = TiffReader(path)
    if not reader.needs_openslide:
        return reader
    reader.close()
    from biomarkers.io.openslide_files import OpenSlideReader

    return OpenSlideReader(path)
