"""Tiles of a slide -> measured cells, in reading order, one row of tiles at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from biomarkers.cells.pipeline import grain_px, halo_px, window_rows
from biomarkers.cells.table import Rows, in_reading_order, join_rows
from biomarkers.score.classes import analysed_at
from biomarkers.score.whole.decide import Decided, Task
from biomarkers.score.whole.windows import Core, around, cut_strip, inside, read_window
from biomarkers.slide.slide import Slide
from biomarkers.slide.threads import in_order
from biomarkers.stain.separate import dab_at_least

_Part = tuple[Rows, dict[str, int]]  # of one tile: cells, and stained pixels by region


@dataclass(frozen=True)
class Strip:
    """One row of tiles: its cells in reading order, stained pixels by region, and the row of pixels it ends at."""

    rows: Rows
    stained_px: Mapping[str, int]
    end: int


class Kept(Protocol):
    """Strips that were found elsewhere; see :mod:`biomarkers.score.whole.regions`."""

    def has(self, end: int, *, tile_px: int) -> bool:
        """Whether the strip that ends at a row of pixels was kept."""

    def load(self, end: int, *, tile_px: int) -> Strip:
        """Return a strip that was kept."""


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
    height = slide.size[1]
    step = grain_px(decided.plan)
    side, halo = max(step, tile_px // step * step), halo_px(decided.plan)
    strips = [slice(top, min(top + side, height)) for top in range(0, height, side)[_share(-(-height // side), region)]]

    def is_kept(rows: slice) -> bool:
        return kept is not None and kept.has(rows.stop, tile_px=tile_px)

    def cores() -> Iterator[tuple[slice, Core | None]]:
        for rows in strips:
            if not is_kept(rows):
                found = cut_strip(decided.light.tissue, rows, side=side, gap=2 * halo)
                yield from ((rows, core) for core in found)
            yield rows, None

    def work(of: tuple[slice, Core | None]) -> tuple[slice, _Part | None]:
        rows, core = of
        return rows, None if core is None else _one_tile(slide, task, decided, core, again_from=rows.stop - halo)

    parts: list[_Part] = []
    for rows, part in in_order(work, cores(), threads=threads):
        if part is not None:
            parts.append(part)
            continue
        if kept is not None and is_kept(rows):
            yield kept.load(rows.stop, tile_px=tile_px)
        else:
            yield _strip(parts, decided, end=rows.stop)
        parts = []


def _strip(parts: Sequence[_Part], decided: Decided, *, end: int) -> Strip:
    """Put the tiles of a strip together."""
    rows = join_rows([part for part, _ in parts])
    rows, _ = in_reading_order(rows, keep=rows.shape["nucleus_contrast_od"] >= decided.least_contrast)
    names = sorted({name for _, stained in parts for name in stained})
    return Strip(rows, {name: sum(part.get(name, 0) for _, part in parts) for name in names}, end)


def _share(count: int, region: tuple[int, int]) -> slice:
    part, parts = region
    return slice(part * count // parts, (part + 1) * count // parts)


def _one_tile(slide: Slide, task: Task, decided: Decided, core: Core, *, again_from: int) -> _Part:
    plan = decided.plan
    block = around(core, slide.size, halo=halo_px(plan), step=grain_px(plan))
    rgb = read_window(slide, block.window, again_from=again_from)
    tissue = decided.light.tissue.window(*block.window)
    rows = window_rows(rgb, tissue, block=block, plan=plan)
    own = inside(block)
    stained = dab_at_least(rgb[own], task.thresholds.dab_od[0], white=plan.white, vectors=plan.vectors)
    origin = (float(core[1].start), float(core[0].start))
    masks = analysed_at(tissue[own], classes=task.classes, origin=origin, downsample=1.0)
    return rows, {name: int(np.count_nonzero(stained & mask)) for name, mask in masks.items()}
