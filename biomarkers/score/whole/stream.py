"""Tiles of a slide -> measured cells, in reading order, one row of tiles at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.threads import SERIAL, ThreadPool
from biomarkers.io.reader import RGB
from biomarkers.io.slide import Slide
from biomarkers.pp.separate import dab_at_least_in
from biomarkers.score.classes import analysed_at
from biomarkers.score.whole.decide import (
    Sample,
    ScoringTask,
    SlideCalibration,
    SlideParameters,
    analyse_pilot_fields,
    decide,
)
from biomarkers.score.whole.windows import Core, around, cut_strip, inside, read_window
from biomarkers.seg.blocks import Block
from biomarkers.seg.pipeline import StainChannels, grain_px, halo_px, unmix, window_rows
from biomarkers.seg.table import Rows, in_reading_order, join_rows

_Part = tuple[Rows, dict[str, int]]  # of one tile: cells, and stained pixels by region


@dataclass(frozen=True)
class TileRow:
    """One row of tiles: its cells in reading order, stained pixels by region, and the row of pixels it ends at."""

    rows: Rows
    stained_px: Mapping[str, int]
    end: int


class StripCache(Protocol):
    """Strips that were found elsewhere; see :mod:`biomarkers.score.whole.regions`."""

    def has(self, end: int, *, tile_px: int) -> bool:
        """Whether the strip that ends at a row of pixels was kept."""

    def load(self, end: int, *, tile_px: int) -> TileRow:
        """Return a strip that was kept."""


def stream_strips(
    slide: Slide,
    task: ScoringTask,
    light: SlideCalibration,
    *,
    tile_px: int,
    pool: ThreadPool = SERIAL,
    region: tuple[int, int] = (0, 1),
    kept: StripCache | None = None,
) -> tuple[SlideParameters, Iterator[TileRow]]:
    """Find the cells of a slide; with a pool, tiles are begun while it is still being decided on the sample.

    Parameters
    ----------
    slide
        An open slide; all threads of the pool read it.
    task, light
        What it is scored by.
    tile_px
        Side of a tile, level-0 px. Cells do not depend on it: a tile owns the cells whose centroid's pixel it holds,
        and looks 50 um beyond itself.
    pool
        Who works on tiles.
    region
        ``(k, n)``: only the k-th of n bands of whole strips, from 0.
    kept
        Strips found earlier, which are taken as they are.

    Returns
    -------
    What was decided, and strips from top to bottom, those without tissue too.
    """
    sample = analyse_pilot_fields(slide, task, light, pool=pool)
    decision: Future[SlideParameters] = Future()
    try:
        strips = _strips(slide, sample, decision, tile_px=tile_px, pool=pool, region=region, kept=kept)
        decision.set_result(decide(sample))
    except BaseException as error:  # tiles that are at work wait for it
        decision.set_exception(error)
        raise
    return decision.result(), strips


def _strips(
    slide: Slide,
    sample: Sample,
    decision: Future[SlideParameters],
    *,
    tile_px: int,
    pool: ThreadPool,
    region: tuple[int, int],
    kept: StripCache | None,
) -> Iterator[TileRow]:
    """Begin tiles: cells are found by the sample's plan, and only counts of stained pixels wait for the decision."""
    height, plan = slide.size[1], sample.plan
    step = grain_px(plan)
    side, halo = max(step, tile_px // step * step), halo_px(plan)
    strips = [slice(top, min(top + side, height)) for top in range(0, height, side)[_share(-(-height // side), region)]]

    def is_kept(rows: slice) -> bool:
        return kept is not None and kept.has(rows.stop, tile_px=tile_px)

    def cores() -> Iterator[tuple[slice, Core | None]]:
        for rows in strips:
            if not is_kept(rows):
                found = cut_strip(sample.light.tissue, rows, side=side, gap=2 * halo)
                yield from ((rows, core) for core in found)
            yield rows, None

    def work(of: tuple[slice, Core | None]) -> tuple[slice, _Part | None]:
        rows, core = of
        return rows, None if core is None else _one_tile(slide, sample, decision, core, reuse_from_row=rows.stop - halo)

    def put_together(found: Iterable[tuple[slice, _Part | None]]) -> Iterator[TileRow]:
        parts: list[_Part] = []
        for rows, part in found:
            if part is not None:
                parts.append(part)
                continue
            if kept is not None and is_kept(rows):
                yield kept.load(rows.stop, tile_px=tile_px)
            else:
                yield _strip(parts, decision.result(), end=rows.stop)
            parts = []

    return put_together(pool.imap(work, cores()))


def _strip(parts: Sequence[_Part], decided: SlideParameters, *, end: int) -> TileRow:
    """Put the tiles of a strip together."""
    rows = join_rows([part for part, _ in parts])
    rows, _ = in_reading_order(rows, keep=rows.contrast_od >= decided.least_contrast)
    names = sorted({name for _, stained in parts for name in stained})
    return TileRow(rows, {name: sum(part.get(name, 0) for _, part in parts) for name in names}, end)


def _share(count: int, region: tuple[int, int]) -> slice:
    part, parts = region
    return slice(part * count // parts, (part + 1) * count // parts)


def _one_tile(
    slide: Slide, sample: Sample, decision: Future[SlideParameters], core: Core, *, reuse_from_row: int
) -> _Part:
    plan = sample.plan
    block = around(core, slide.size, halo=halo_px(plan), step=grain_px(plan))
    light = read_window(slide, block.window, reuse_from_row=reuse_from_row)
    tissue = sample.light.tissue.window(*block.window)
    seen = unmix(light, plan=plan)
    if not decision.done():
        rows = window_rows(seen, tissue, block=block, plan=plan)
        return rows, _stained_px(light, seen, tissue, block, decision.result())
    counted = _stained_px(light, seen, tissue, block, decision.result())
    del light  # before cells are sought, which takes most memory
    return window_rows(seen, tissue, block=block, plan=plan), counted


def _stained_px(
    light: RGB, seen: StainChannels, tissue: NDArray[np.bool_], block: Block, decided: SlideParameters
) -> dict[str, int]:
    """Count the stained pixels of a window's core, by region."""
    task, plan, own = decided.task, decided.plan, inside(block)
    cut, dab = decided.light.area_cut_od, seen.amounts[1]
    stained = dab_at_least_in(light, dab, own, cut, white=plan.white, vectors=plan.vectors)
    origin = (float(block.core[1].start), float(block.core[0].start))
    masks = analysed_at(tissue[own], classes=task.classes, origin=origin, downsample=1.0)
    return {name: int(np.count_nonzero(stained & mask)) for name, mask in masks.items()}
