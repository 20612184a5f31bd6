"""Deep zoom over any slide that can be scored: JPEG tiles of 256 px, made when they are asked for, and held."""

from __future__ import annotations

import io
import math
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import UsageError
from biomarkers.io.slide import open_slide

TILE: Final = 256
_HELD_BYTES: Final = 64_000_000
_OVERVIEW_PX: Final = 2048
_QUALITY: Final = 85


class TilePyramid:
    """Tiles of one slide by zoom, column and row; zoom ``max_zoom`` is the full resolution, each below it half.

    Only the image itself is read: labels and macro pictures, which may show a name, are no part of it. Many threads may
    ask.
    """

    def __init__(self, path: Path, *, mpp: float | None = None, scene: int | None = None) -> None:
        self._slide = open_slide(path, mpp=mpp, scene=scene)
        self._slide.check_usable()
        self.width, self.height = self._slide.size
        self.max_zoom = max(0, math.ceil(math.log2(max(self.width, self.height) / TILE)))
        self._held: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock, self._overview_lock = threading.Lock(), threading.Lock()
        self._overview: tuple[NDArray[np.uint8], int] | None = None

    def close(self) -> None:
        """Let go of the file."""
        self._slide.close()

    def tile(self, zoom: int, column: int, row: int) -> bytes:
        """Return one tile as JPEG; those at the right and lower border are white beyond the image.

        Raises
        ------
        UsageError
            There is no such tile.
        """
        key = (zoom, column, row)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = self._encoded(*key)
        with self._lock:
            if key not in self._held:
                self._held[key] = made
                self._bytes += len(made)
            while self._bytes > _HELD_BYTES:
                self._bytes -= len(self._held.popitem(last=False)[1])
        return made

    def _encoded(self, zoom: int, column: int, row: int) -> bytes:
        from PIL import Image

        scale = 2 ** (self.max_zoom - zoom) if 0 <= zoom <= self.max_zoom else 0
        side = scale * TILE
        if not scale or min(column, row) < 0 or column * side >= self.width or row * side >= self.height:
            raise UsageError(
                "there is no such tile", seen=f"{zoom}/{column}/{row}", allowed=f"zoom 0 to {self.max_zoom}"
            )
        pixels = self._pixels(column * side, row * side, side, scale)
        wide, tall = self._inside(column * side, row * side, side)
        wanted = -(-wide // scale), -(-tall // scale)
        picture = Image.fromarray(pixels)
        if picture.size != wanted:
            picture = picture.resize(wanted, Image.Resampling.BOX)
        if picture.size != (TILE, TILE):
            whole = Image.new("RGB", (TILE, TILE), (255, 255, 255))
            whole.paste(picture)
            picture = whole
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue()

    def _inside(self, x: int, y: int, side: int) -> tuple[int, int]:
        return min(side, self.width - x), min(side, self.height - y)

    def _pixels(self, x: int, y: int, side: int, scale: int) -> NDArray[np.uint8]:
        """Read the pixels below a tile from the level that fits, or from a small picture of the whole slide."""
        width, height = self._inside(x, y, side)
        levels = self._slide.levels
        fitting = max(
            (n for n, one in enumerate(levels) if one.downsample <= scale * 1.01), key=lambda n: levels[n].downsample
        )
        down = levels[fitting].downsample
        if side / down > _OVERVIEW_PX:
            return self._of_overview(x, y, width, height)
        left, top = (
            min(round(at / down), most - 1) for at, most in ((x, levels[fitting].width), (y, levels[fitting].height))
        )
        wide = max(1, min(round(width / down), levels[fitting].width - left))
        tall = max(1, min(round(height / down), levels[fitting].height - top))
        return self._slide.read_region(left, top, wide, tall, level=fitting)

    def _of_overview(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        with self._overview_lock:
            if self._overview is None:
                from biomarkers.pp.coarse_tissue import thumbnail

                self._overview = thumbnail(self._slide, longest=_OVERVIEW_PX)
        picture, step = self._overview
        part = picture[y // step : -(-(y + height) // step), x // step : -(-(x + width) // step)]
        return np.ascontiguousarray(part)
