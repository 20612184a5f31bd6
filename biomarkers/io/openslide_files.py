"""Formats that only OpenSlide knows (MRXS, DICOM, ...), behind the same small protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide

from biomarkers.core.errors import SlideError
from biomarkers.io.pixel_size import PixelSize
from biomarkers.io.reader import RGB, Level, Scene, composite_on_white


class OpenSlideReader:
    """A slide opened by OpenSlide; pixels that the scanner never took are glass."""

    def __init__(self, path: Path) -> None:
        self.name = "openslide"
        self._path = path
        try:
            self._slide = openslide.OpenSlide(path)
        except openslide.OpenSlideUnsupportedFormatError as error:
            raise SlideError("not an image format that can be read", where=path) from error
        except openslide.OpenSlideError as error:
            said = str(error).replace(f"Reading {path}: ", "")  # the place of a file is no part of the reason
            raise SlideError(f"the slide cannot be opened: {said}", where=path) from error
        levels = tuple(
            Level(width, height, float(down))
            for (width, height), down in zip(self._slide.level_dimensions, self._slide.level_downsamples, strict=True)
        )
        size = self._pixel_size()
        left_out = tuple(sorted(self._slide.associated_images))
        self.scenes: tuple[Scene, ...] = (Scene(name="", levels=levels, pixel_size=size, left_out=left_out),)

    def read(
        self, scene: int, level: int, x: int, y: int, width: int, height: int, *, reuse_from_row: int | None = None
    ) -> RGB:
        """Return a region as uint8 (height, width, 3); see :class:`biomarkers.io.reader.Reader`."""
        down = self.scenes[scene].levels[level].downsample
        try:
            region = self._slide.read_region((round(x * down), round(y * down)), level, (width, height))
        except openslide.OpenSlideError as error:
            raise SlideError(f"its pixels cannot be decoded: {error}", where=self._path) from error
        return composite_on_white(np.asarray(region))

    def close(self) -> None:
        """Let go of the file."""
        self._slide.close()

    def _pixel_size(self) -> PixelSize | None:
        said = self._slide.properties
        x, y = said.get("openslide.mpp-x"), said.get("openslide.mpp-y")
        try:
            wide, tall = float(x or 0), float(y or 0)
        except ValueError:
            return None
        if not (wide > 0 and tall > 0):  # NaN too
            return None
        return PixelSize(wide, tall, f"openslide.mpp-x ({said.get('openslide.vendor', 'unknown')})")
