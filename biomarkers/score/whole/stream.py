"""Tiles of a slide -> measured cells, in reading order, one row of tiles at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.contrast import working_factor
from biomarkers.cells.pipeline import halo_px, window_rows
from biomarkers.cells.table import Rows, in_reading_order, join_rows
from biomarkers.score.classes import analysed_at
from biomarkers.score.whole.decide import Decided, Task, around, read_window
from biomarkers.slide.slide import Slide
from biomarkers.stain.separate import dab_at_least

_In = TypeVar("_In")
_Out = TypeVar("_Out")
Core = tuple[slice, slice]


@dataclass(frozen=True)
class Strip:
    """One row of tiles: its cells in reading order, stained pixels by region, and the row of pixels it ends at."""

    rows: Rows
    stained_px: Mapping[str, int]
    end: int


class Kept(Protocol):
    """Strips that were found elsewhere; see :mod:`biomarkers.score.whole.regions`."""

    def load(self, end: int, *, tile_px: int) -> Strip | None:
        """Return the strip that ends at a row of pixels, or None where it was not kept."""


def stream_strips(
    slide: Slide,
    task: Task,
    decided: Decided,
    *,
    tile_px: int,
    threads: int,
    region: tuple[int, int] = (0, 1),
    kept: Kept | None = None,
) -> Iterator[Strip]:
    """Find the cells of a slide.

    Parameters
    ----------
    slide
        An open slide; it is read by ``threads`` threads at a time.
    task, decided
        What it is scored by.
    tile_px
        Side of a tile, level-0 px. Cells do not depend on it: a tile owns the cells whose centroid's pixel it holds,
        and looks 50 um beyond itself.
    threads
        Tiles that are worked on at one time.
    region
        ``(k, n)``: only the k-th of n bands of whole strips, from 0.
    kept
        Strips found earlier, which are taken as they are.

    Yields
    ------
    Strips from top to bottom, those without tissue too.
    """
    width, height = slide.size
    step = working_factor(decided.plan.mpp, decided.plan.settings)
    side = max(step, tile_px // step * step)

    def work(core: Core) -> tuple[Rows, dict[str, int]]:
        return _one_tile(slide, task, decided, core)

    with _mapper(threads) as run:
        for top in range(0, height, side)[_share(-(-height // side), region)]:
            if kept is not None and (held := kept.load(min(top + side, height), tile_px=tile_px)) is not None:
                yield held
                continue
            tiles = [
                (slice(top, min(top + side, height)), slice(left, min(left + side, width)))
                for left in range(0, width, side)
            ]
            cores = [core for tile in tiles if (core := _shrunk(tile, decided, step)) is not None]
            parts = list(run(work, cores))
            rows = join_rows([part for part, _ in parts])
            rows, _ = in_reading_order(rows, keep=rows.shape["nucleus_contrast_od"] >= decided.least_contrast)
            names = sorted({name for _, stained in parts for name in stained})
            stained = {name: sum(part.get(name, 0) for _, part in parts) for name in names}
            yield Strip(rows, stained, min(top + side, height))


def _share(count: int, region: tuple[int, int]) -> slice:
    part, parts = region
    return slice(part * count // parts, (part + 1) * count // parts)


def _one_tile(slide: Slide, task: Task, decided: Decided, core: Core) -> tuple[Rows, dict[str, int]]:
    plan = decided.plan
    block = around(core, slide.size, halo=halo_px(plan), step=working_factor(plan.mpp, plan.settings))
    rgb = read_window(slide, block.window)
    tissue = decided.light.tissue.window(*block.window)
    rows = window_rows(rgb, tissue, block=block, plan=plan)
    top, left = (core[axis].start - block.window[axis].start for axis in (0, 1))
    tall, wide = (core[axis].stop - core[axis].start for axis in (0, 1))
    inside = slice(top, top + tall), slice(left, left + wide)
    stained = dab_at_least(rgb[inside], task.thresholds.dab_od[0], white=plan.white, vectors=plan.vectors)
    origin = (float(core[1].start), float(core[0].start))
    masks = analysed_at(tissue[inside], classes=task.classes, origin=origin, downsample=1.0)
    return rows, {name: int(np.count_nonzero(stained & mask)) for name, mask in masks.items()}


def _shrunk(tile: Core, decided: Decided, step: int) -> Core | None:
    """Cut a tile down to the tissue it holds, at the grain of the tissue map; None where it holds none.

    No cell is lost: a cell counts where its centroid lies in tissue.
    """
    tissue = decided.light.tissue
    high, wide = (slice(part.start // tissue.step, -(-part.stop // tissue.step)) for part in tile)
    grains = tissue.grains(high, wide)
    parts = []
    for axis, part, first in ((0, tile[0], high.start), (1, tile[1], wide.start)):
        there: NDArray[np.intp] = np.flatnonzero(grains.any(axis=1 - axis))
        if there.size == 0:
            return None
        start = max(part.start, (first + int(there[0])) * tissue.step // step * step)
        stop = min(part.stop, (first + int(there[-1]) + 1) * tissue.step)
        parts.append(slice(start, stop))
    return parts[0], parts[1]


class _mapper:  # noqa: N801  (used as a function)
    """``map``, or that of a pool of threads; results come in the order of the arguments either way."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Callable[[Callable[[_In], _Out], Iterable[_In]], Iterable[_Out]]:
        return map if self._pool is None else self._pool.map

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
