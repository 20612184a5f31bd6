"""Regions of one slide found by several workers: strips of measured cells are kept in files and taken up in order.

What follows the finding of cells (classes, calls, counts) looks at neighbours and runs over the whole slide once; it is
a small part of the work. Strips are the same wherever they were found, so a slide in regions gives the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from biomarkers.core.files import atomic_path
from biomarkers.core.memory import keep_freed_memory
from biomarkers.core.threads import ThreadPool
from biomarkers.score.whole import slide as whole
from biomarkers.score.whole.decide import look_at
from biomarkers.score.whole.stream import TileRow, stream_strips
from biomarkers.seg.table import Rows

_STAINED = "stained/"


@dataclass(frozen=True)
class KeptStrips:
    """A folder of strips, by the side of their tiles and the row of pixels they end at."""

    folder: Path

    def has(self, end: int, *, tile_px: int) -> bool:
        """Whether a strip was kept."""
        return self._path(end, tile_px).is_file()

    def load(self, end: int, *, tile_px: int) -> TileRow:
        """Return a strip that was kept."""
        with np.load(self._path(end, tile_px), allow_pickle=False) as held:
            return _strip(dict(held))

    def save(self, strip: TileRow, *, tile_px: int) -> None:
        """Keep a strip, complete or not at all."""
        arrays: dict[str, Any] = {
            "rows": strip.rows.numbers,
            "end": np.int64(strip.end),
            **{_STAINED + name: np.int64(count) for name, count in strip.stained_px.items()},
        }
        with atomic_path(self._path(strip.end, tile_px)) as path, path.open("wb") as stream:
            np.savez(stream, **arrays)

    def _path(self, end: int, tile_px: int) -> Path:
        return self.folder / f"rows{tile_px}-to{end}.npz"


def keep_region(
    path: str | os.PathLike[str], *, region: tuple[int, int], kept: KeptStrips, threads: int = 1, **settings: Any
) -> int:
    """Find the cells of one region of a slide and keep them.

    Parameters
    ----------
    path
        The slide.
    region
        ``(k, n)``: the k-th of n bands, from 0.
    kept
        Where to.
    threads
        As for :func:`biomarkers.score.whole.score_whole_slide`.
    **settings
        The settings of :func:`biomarkers.score.whole.score_whole_slide` that decide numbers.

    Returns
    -------
    The number of strips that were kept.
    """
    keep_freed_memory()
    count = 0
    with whole.prepared(path, **settings) as (slide, task, setup), ThreadPool(threads) as pool:
        light = look_at(slide, white=setup.white, vectors=setup.vectors, pool=pool)
        if not light.tissue.any or light.refusal:
            return 0
        _, found = stream_strips(slide, task, light, tile_px=whole.TILE_PX, pool=pool, region=region)
        for strip in found:
            kept.save(strip, tile_px=whole.TILE_PX)
            count += 1
    return count


def _strip(held: dict[str, np.ndarray]) -> TileRow:
    stained = {name.removeprefix(_STAINED): int(held[name]) for name in held if name.startswith(_STAINED)}
    return TileRow(Rows(held["rows"]), stained, int(held["end"]))
