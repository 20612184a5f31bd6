"""The TIFF family (SVS, NDPI, SCN, BIF, QPTIFF, OME-TIFF, BigTIFF, generic) read tile by tile with tifffile."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from biomarkers.core.errors import SlideError
from biomarkers.io.reader import DECODE_ERRORS, GLASS, RGB, Scene, composite_on_white
from biomarkers.io.tiff_images import images_of
from biomarkers.io.tiff_layout import Layout
from biomarkers.io.tiff_open import open_tiff
from biomarkers.io.tiff_pixel_size import vendor_of, ventana_overlaps
from biomarkers.io.tiff_scene import check_layout, describe, has_alpha, needs_openslide
from biomarkers.io.tile_cache import TileCache

_Segment = tuple[Any, tuple[int, ...], tuple[int, ...]]  # pixels, place and shape, as tifffile gives them
_MINISWHITE, _PALETTE = 0, 3
_CUT_SHORT, _COPY_AGAIN = "the file is cut short: pixels are missing at its end", "Copy or download it again."
_ASSOCIATED = 1
_LOOKED_AT_PIXELS = 4_000_000  # a larger page is not read to see whether it is a label


class TiffReader:
    """An open TIFF file; only the tiles that a region touches are read and decoded."""

    def __init__(self, path: Path, *, stream: Any = None) -> None:
        self.name = "tifffile"
        self._path, self._stream = path, stream
        self._lock = threading.Lock()
        self._held = TileCache()
        self._layouts: dict[int, Layout] = {}
        self._descriptor: int | None = None
        try:
            self._file = open_tiff(path if stream is None else stream, name=path.name)
        except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
            raise SlideError(f"the TIFF cannot be opened: {_said(error)}", where=path) from error
        if stream is None and hasattr(os, "pread"):
            self._descriptor = self._file.filehandle.fileno()
        try:
            self._images = images_of(self._file, look=self._look)
            self.scenes: tuple[Scene, ...] = tuple(describe(self._file, one, where=path) for one in self._images)
            for one in self._images:
                self._check_length(one.page)
            aperio = bool(self._file.is_svs)
            self.vendor = vendor_of(self._file)
            self.needs_openslide = any(needs_openslide(one.page, aperio=aperio) for one in self._images)
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
        self, scene: int, level: int, x: int, y: int, width: int, height: int, *, reuse_from_row: int | None = None
    ) -> RGB:
        """Return a region as uint8 (height, width, 3); see :class:`biomarkers.io.reader.Reader`."""
        image = self._images[scene]
        box = x, y, width, height
        first = self._read_page(image.levels[level], *box, reuse_from_row=reuse_from_row)
        if not image.others:
            return first
        more = [self._read_page(page, *box, reuse_from_row=reuse_from_row) for page in image.others[level]]
        return np.ascontiguousarray(np.stack([plane[..., 0] for plane in (first, *more)], axis=-1))

    def _read_page(self, page: Any, x: int, y: int, width: int, height: int, *, reuse_from_row: int | None) -> RGB:
        layout = self._layout(page)
        samples = layout.page.samplesperpixel
        out = np.empty((height, width, samples), np.uint8)  # the segments cover it, absent ones too
        missing: list[tuple[slice, slice]] = []
        for index in layout.touched(x, y, width, height):
            data, (sample, _, top, left, _), shape = self._segment(layout, index, reuse_from_row)
            _paste(out, missing, data, top - y, left - x, sample if layout.planes > 1 else None, shape)
        return _to_rgb(out, missing, layout.page)

    def _look(self, page: Any) -> RGB | None:
        """Read a small page whole, to see what it shows; None where it is large, damaged or no picture of 8 bits."""
        try:
            check_layout(page, where=self._path)
            if page.dtype != np.uint8 or page.imagewidth * page.imagelength > _LOOKED_AT_PIXELS:
                return None
            return self._read_page(page, 0, 0, page.imagewidth, page.imagelength, reuse_from_row=None)
        except (SlideError, tifffile.TiffFileError, *DECODE_ERRORS):
            return None
        finally:
            self._held.clear()

    @property
    def tiles_overlap(self) -> bool:
        """Whether the tiles of a Ventana slide overlap, so that they must be stitched."""
        return self.vendor == "ventana" and ventana_overlaps(self._file)

    def add_problem(self, problem: str) -> None:
        """Say something more of every image of the file."""
        self.scenes = tuple(replace(scene, problems=(*scene.problems, problem)) for scene in self.scenes)

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

    def _layout(self, page: Any) -> Layout:
        if page.offset not in self._layouts:
            self._layouts[page.offset] = Layout.of(page)
        return self._layouts[page.offset]

    def _segment(self, layout: Layout, index: int, reuse_from_row: int | None) -> _Segment:
        """Read and decode one strip or tile; an absent one comes back as None. Some are held."""

        def make() -> tuple[Any, int]:
            made = self._decoded(layout, index)
            return made, 0 if made[0] is None else made[0].nbytes

        pinned = reuse_from_row if reuse_from_row is not None and layout.bottom(index) > reuse_from_row else None
        found: _Segment = self._held.get((layout.page.offset, index), make, pinned=pinned)
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


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


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
        colours = np.asarray(page.colormap)  # (3, 256), 16 bit by definition; some programs write 8
        colours = (colours >> 8 if colours.max(initial=0) > GLASS else colours).astype(np.uint8)
        rgb = np.moveaxis(colours[:, out[..., 0]], 0, -1)
    elif out.shape[-1] == 1:
        grey = 255 - out if photometric == _MINISWHITE else out
        rgb = np.repeat(grey, 3, axis=-1)
    elif out.shape[-1] == 4 and has_alpha(page):
        rgb = composite_on_white(out, multiplied=int(page.extrasamples[0]) == _ASSOCIATED)
    else:
        rgb = out[..., :3]
    for part in missing:
        rgb[part] = GLASS
    return np.ascontiguousarray(rgb)
