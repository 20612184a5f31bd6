"""The TIFF family (SVS, NDPI, SCN, BIF, QPTIFF, OME-TIFF, BigTIFF, generic) read tile by tile with tifffile."""

from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from biomarkers.errors import SlideError
from biomarkers.slide.reader import GLASS, RGB, Scene, on_glass
from biomarkers.slide.tiff_scene import describe, needs_openslide

_MAX_SEGMENT_PIXELS = 1 << 28  # one strip or tile larger than this is refused before it is decoded
_MINISWHITE, _PALETTE = 0, 3
_DECODE_ERRORS = (
    ValueError, RuntimeError, TypeError, KeyError, IndexError, NotImplementedError, OSError, MemoryError, struct.error,
)  # fmt: skip


class TiffReader:
    """An open TIFF file; only the tiles that a region touches are read and decoded."""

    def __init__(self, path: Path) -> None:
        self.name = "tifffile"
        self._path = path
        self._lock = threading.Lock()
        try:
            self._file = tifffile.TiffFile(path)
        except (tifffile.TiffFileError, *_DECODE_ERRORS) as error:
            raise SlideError(f"the TIFF cannot be opened: {error}", where=path) from error
        try:
            self._series, stray = _image_series(self._file)
            self.scenes: tuple[Scene, ...] = tuple(describe(self._file, one, stray=stray) for one in self._series)
            self.needs_openslide = any(needs_openslide(one) for one in self._series)
        except (tifffile.TiffFileError, *_DECODE_ERRORS) as error:
            self._file.close()
            raise SlideError(f"the TIFF's directory is damaged: {error}", where=path) from error
        if not self.scenes:
            self._file.close()
            raise SlideError("the TIFF holds no image", where=path)

    def read(self, scene: int, level: int, x: int, y: int, width: int, height: int) -> RGB:
        """Return a region as uint8 (height, width, 3); see :class:`biomarkers.slide.reader.Reader`."""
        page = _page(self._series[scene].levels[level])
        samples = page.samplesperpixel
        out = np.empty((height, width, samples), np.uint8)  # the segments cover it, absent ones too
        missing: list[tuple[slice, slice]] = []
        for index in _touched(page, x, y, width, height):
            data, (sample, _, top, left, _), shape = self._segment(page, index)
            _paste(out, missing, data, top - y, left - x, sample if page.planarconfig == 2 else None, shape)
        return _to_rgb(out, missing, page)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _segment(self, page: Any, index: int) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
        """Read and decode one strip or tile; an absent one comes back as None."""
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if _is_jpeg(page) else {}
        try:
            raw = self._bytes(offset, count) if count else None
            return page.decode(raw, index, **tables)
        except SlideError:
            raise
        except (tifffile.TiffFileError, *_DECODE_ERRORS) as error:
            raise SlideError(f"tile {index} cannot be decoded: {error}", where=self._path) from error

    def _bytes(self, offset: int, count: int) -> bytes:
        handle = self._file.filehandle
        with self._lock:
            handle.seek(offset)
            raw: bytes = handle.read(count)
        if len(raw) < count:
            hint = "Copy or download it again."
            raise SlideError("the file is cut short: pixels are missing at its end", where=self._path, hint=hint)
        return raw


def _image_series(file: Any) -> tuple[list[Any], list[Any]]:
    """Series that are images of tissue, and reduced images that belong to no pyramid.

    No label, macro or thumbnail is ever read. A reduced image (bit 0 of NewSubfileType) is by the TIFF standard a
    smaller version of another one: as a series of its own it is a level whose shape does not fit, not a second scene.
    """
    left_out = {"label", "macro", "thumbnail", "map", "overview", "barcode", "probability"}
    images = [one for one in file.series if one.name.strip().lower() not in left_out and one.ndim >= 2]
    stray = [one for one in images[1:] if int(one.keyframe.subfiletype) & 1]
    return [one for one in images if one not in stray], stray


def _page(level: Any) -> Any:
    return level.keyframe if level.keyframe is not None else level.pages[0]


def _is_jpeg(page: Any) -> bool:
    return int(page.compression) in {6, 7, 34892, 33007}


def _touched(page: Any, x: int, y: int, width: int, height: int) -> list[int]:
    """List the strips or tiles that overlap a region, all samples of a planar image included."""
    if page.is_tiled:
        tall, wide = page.tilelength, page.tilewidth
    else:
        tall, wide = min(page.rowsperstrip, page.imagelength), page.imagewidth
    if tall * wide > _MAX_SEGMENT_PIXELS:
        seen = f"{wide} x {tall}"
        raise SlideError("one tile or strip is too large to decode", seen=seen, hint="Convert it to a tiled TIFF.")
    rows, columns = -(-page.imagelength // tall), -(-page.imagewidth // wide)
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    if len(page.dataoffsets) < rows * columns * planes or len(page.databytecounts) < rows * columns * planes:
        raise SlideError("the TIFF's directory is damaged: it lists fewer tiles than its size needs")
    return [
        (plane * rows + row) * columns + column
        for plane in range(planes)
        for row in range(y // tall, -(-(y + height) // tall))
        for column in range(x // wide, -(-(x + width) // wide))
    ]


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
