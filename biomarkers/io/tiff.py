"""The TIFF family (SVS, NDPI, SCN, BIF, QPTIFF, OME-TIFF, BigTIFF, generic) read tile by tile with tifffile."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from biomarkers.core.errors import SlideError
from biomarkers.io.reader import DECODE_ERRORS, GLASS, RGB, Scene, on_glass
from biomarkers.io.tiff_layout import Layout
from biomarkers.io.tiff_open import open_tiff
from biomarkers.io.tiff_scene import describe, needs_openslide
from biomarkers.io.tile_cache import Held

_Segment = tuple[Any, tuple[int, ...], tuple[int, ...]]  # pixels, place and shape, as tifffile gives them
_MINISWHITE, _PALETTE = 0, 3
_CUT_SHORT, _COPY_AGAIN = "the file is cut short: pixels are missing at its end", "Copy or download it again."
_MOST_PAGES = 64  # a file of more equal pages is a stack, not so many scenes


class TiffReader:
    """An open TIFF file; only the tiles that a region touches are read and decoded."""

    def __init__(self, path: Path, *, stream: Any = None) -> None:
        self.name = "tifffile"
        self._path, self._stream = path, stream
        self._lock = threading.Lock()
        self._held = Held()
        self._layouts: dict[tuple[int, int], Layout] = {}
        self._descriptor: int | None = None
        try:
            self._file = open_tiff(path if stream is None else stream, name=path.name)
        except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
            raise SlideError(f"the TIFF cannot be opened: {_said(error)}", where=path) from error
        if stream is None and hasattr(os, "pread"):
            self._descriptor = self._file.filehandle.fileno()
        try:
            self._series, stray = _image_series(self._file)
            self.scenes: tuple[Scene, ...] = tuple(
                describe(self._file, one, stray=stray, where=path) for one in self._series
            )
            for one in self._series:
                self._check_length(_page(one.levels[0]))
            self.needs_openslide = any(needs_openslide(one) for one in self._series)
        except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
            self._file.close()
            raise SlideError(f"the TIFF's directory is damaged: {_said(error)}", where=path) from error
        except SlideError:
            self._file.close()
            raise
        if not self.scenes:
            self._file.close()
            raise SlideError("the TIFF holds no image", where=path)

    def read(
        self, scene: int, level: int, x: int, y: int, width: int, height: int, *, again_from: int | None = None
    ) -> RGB:
        """Return a region as uint8 (height, width, 3); see :class:`biomarkers.io.reader.Reader`."""
        layout = self._layout(scene, level)
        page, samples = layout.page, layout.page.samplesperpixel
        out = np.empty((height, width, samples), np.uint8)  # the segments cover it, absent ones too
        missing: list[tuple[slice, slice]] = []
        for index in layout.touched(x, y, width, height):
            data, (sample, _, top, left, _), shape = self._segment(layout, index, again_from)
            _paste(out, missing, data, top - y, left - x, sample if layout.planes > 1 else None, shape)
        return _to_rgb(out, missing, page)

    def close(self) -> None:
        """Let go of the file."""
        self._held.clear()
        self._file.close()
        if self._stream is not None:
            self._stream.close()

    def _check_length(self, page: Any) -> None:
        """Refuse a file that ends before its pixels do, whatever of its header is left."""
        ends = (offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > self._file.filehandle.size:
            raise SlideError(_CUT_SHORT, where=self._path, hint=_COPY_AGAIN)

    def _layout(self, scene: int, level: int) -> Layout:
        if (scene, level) not in self._layouts:
            self._layouts[scene, level] = Layout.of(_page(self._series[scene].levels[level]))
        return self._layouts[scene, level]

    def _segment(self, layout: Layout, index: int, again_from: int | None) -> _Segment:
        """Read and decode one strip or tile; an absent one comes back as None. Some are held."""

        def make() -> tuple[Any, int]:
            made = self._decoded(layout, index)
            return made, 0 if made[0] is None else made[0].nbytes

        promised = again_from if again_from is not None and layout.bottom(index) > again_from else None
        found: _Segment = self._held.get((layout.page.offset, index), make, promised=promised)
        return found

    def _decoded(self, layout: Layout, index: int) -> _Segment:
        page = layout.page
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        try:
            raw = self._bytes(offset, count) if count and offset else None
            if raw is not None and (fault := layout.fault(index, raw)):
                raise SlideError(f"tile {index} cannot be decoded: {fault}", where=self._path)
            data, place, shape = page.decode(raw, index, **layout.tables)
        except SlideError:
            raise
        except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
            raise SlideError(f"tile {index} cannot be decoded: {_said(error)}", where=self._path) from error
        return data, place, shape

    def _bytes(self, offset: int, count: int) -> bytes:
        handle = self._file.filehandle
        if offset + count > handle.size:  # asked before a count that lies is allocated
            raise SlideError(_CUT_SHORT, where=self._path, hint=_COPY_AGAIN)
        if self._descriptor is not None:  # no place to seek, which threads would have to wait for
            raw = os.pread(self._descriptor, count, offset)
        else:
            with self._lock:
                handle.seek(offset)
                raw = handle.read(count)
        if len(raw) < count:
            raise SlideError(_CUT_SHORT, where=self._path, hint=_COPY_AGAIN)
        return raw


@dataclass(frozen=True)
class _Page:
    """One page of a file of equal pages, with what is asked of a series."""

    keyframe: Any
    name: str = ""
    axes: str = "YXS"

    @property
    def pages(self) -> list[Any]:
        return [self.keyframe]

    @property
    def levels(self) -> list[Any]:
        return [self]

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.keyframe.shape
        return shape


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _image_series(file: Any) -> tuple[list[Any], list[Any]]:
    """Series that are images of tissue, and reduced images that belong to no pyramid.

    No label, macro or thumbnail is ever read. A reduced image (bit 0 of NewSubfileType) is by the TIFF standard a
    smaller version of another one: as a series of its own it is a level whose shape does not fit, not a second scene.
    """
    left_out = {"label", "macro", "thumbnail", "map", "overview", "barcode", "probability"}
    images = [one for one in file.series if one.name.strip().lower() not in left_out and one.ndim >= 2]
    stray = [one for one in images[1:] if int(one.keyframe.subfiletype) & 1]
    return [scene for one in images if one not in stray for scene in _scenes_of(one)], stray


def _scenes_of(series: Any) -> list[Any]:
    """Equal colour pages that nothing calls a stack are so many scenes."""
    if series.axes == "IYXS" and len(series.levels) == 1 and len(series.pages) <= _MOST_PAGES:
        return [_Page(page.aspage()) for page in series.pages if page is not None]
    return [series]


def _page(level: Any) -> Any:
    return level.keyframe if level.keyframe is not None else level.pages[0]


def _paste(out: Any, missing: Any, data: Any, top: int, left: int, sample: int | None, shape: tuple[int, ...]) -> None:
    """Copy the overlap of one decoded segment, whose corner lies at (top, left) of the region."""
    tall, wide = shape[1], shape[2]
    rows = slice(max(top, 0), min(top + tall, out.shape[0]))
    columns = slice(max(left, 0), min(left + wide, out.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    if data is None:
        out[rows, columns] = 0
        missing.append((rows, columns))
        return
    block = data[0][rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    if sample is None:
        out[rows, columns] = block
    else:
        out[rows, columns, sample] = block[..., 0]


def _to_rgb(out: Any, missing: Any, page: Any) -> RGB:
    """Bring stored samples to interleaved RGB on glass."""
    photometric = int(page.photometric)
    if photometric == _PALETTE:
        colours = (np.asarray(page.colormap) >> 8).astype(np.uint8)  # (3, 256), 16 bit by definition
        rgb = np.moveaxis(colours[:, out[..., 0]], 0, -1)
    elif out.shape[-1] == 1:
        grey = 255 - out if photometric == _MINISWHITE else out
        rgb = np.repeat(grey, 3, axis=-1)
    elif out.shape[-1] == 4:
        rgb = on_glass(out)
    else:
        rgb = out[..., :3]
    for part in missing:
        rgb[part] = GLASS
    return np.ascontiguousarray(rgb)
