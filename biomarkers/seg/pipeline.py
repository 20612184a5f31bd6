"""From pixels to measured rows, block by block, with results that do not depend on the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.pp.density import White
from biomarkers.pp.vectors import StainVectors
from biomarkers.seg.blocks import HALO_UM, Block, make_blocks
from biomarkers.seg.contrast import (
    WorkingImage,
    amounts,
    nuclear_contrast,
    seeking_factor,
    working_factor,
    working_image,
)
from biomarkers.seg.grow import CellLabels, Labels
from biomarkers.seg.hue import (
    LEAST_NUCLEUS_OD,
    LINE_UM,
    REACH_UM,
    TAKE_IN_UM,
    WAIT_UM,
    find_nuclei_by_hue,
    hue_contrast,
    thin_lines,
)
from biomarkers.seg.measure import measure_cells, smooth_dab
from biomarkers.seg.nuclei import find_nuclei
from biomarkers.seg.outline import contrast_of
from biomarkers.seg.plugin import SegmenterPlugin, segment_with
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.table import Rows, in_reading_order, join_rows
from biomarkers.seg.tools import Amounts, Levels, Tools, fast

_SHOW_PROGRESS_FROM = 4  # blocks


@dataclass(frozen=True)
class SegmentationConfig:
    """What was decided once for the whole slide; ``tools`` are the steps that nuclei are found with."""

    mpp: float
    white: White
    vectors: StainVectors
    settings: CellSettings
    plugin: SegmenterPlugin | None = None
    tools: Callable[[], Tools] = fast

    @property
    def effective_settings(self) -> CellSettings:
        """The settings; a plug-in's nuclei are taken as they are, so that its pixels are the window's own."""
        return self.settings if self.plugin is None else self.settings.model_copy(update={"working_mpp": self.mpp})


@dataclass(frozen=True)
class StainChannels:
    """What a window's cells are sought in and measured by; its light is not needed any more.

    ``work`` is the working image, ``amounts`` both stains in the window's own pixels, ``nuclei`` the labels that a
    plug-in found, or None.
    """

    work: WorkingImage
    amounts: Amounts
    nuclei: Labels | None


@dataclass(frozen=True)
class _Found:
    """Cells of one window and how far they grew, and their contrast (thousandths, 0..n)."""

    bodies: CellLabels
    grown_px: int
    contrast: NDArray[np.int64]
    lines: tuple[Levels, Levels] | None = None  # DAB smoothed, and its thin lines: for membranes alone


def find_rows(
    rgb: NDArray[np.uint8], tissue: NDArray[np.bool_], *, plan: SegmentationConfig, progress: bool
) -> tuple[Rows, Labels, Labels]:
    """Find and measure the cells of an image, numbered in reading order of their nuclei.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3).
    tissue
        bool (height, width); a cell counts when its nucleus's centroid lies in tissue.
    plan
        Pixel size, white, vectors and settings.
    progress
        Show a progress bar when there are several blocks.

    Returns
    -------
    The rows, and the label images of nuclei and cells (row number + 1).
    """
    height, width = rgb.shape[:2]
    parts: list[_Part] = []
    blocks = _blocks(height, width, plan)
    for block in _shown(blocks, progress=progress):
        if tissue[block.core].any():
            rows, found, labels = _one_block(unmix(rgb[block.window], plan=plan), tissue[block.window], block, plan)
            parts.append(_Part(rows, block.window, found.bodies, found.contrast.size, labels))
    rows = join_rows([part.rows for part in parts])
    rows, order = in_reading_order(rows, keep=_stands_out(rows.contrast_od, plan))
    return rows, *_painted(parts, order, (height, width), plan.tools())


def _shown(blocks: Sequence[Block], *, progress: bool) -> Iterable[Block]:
    """Show how far it is, where there is something to wait for."""
    if not progress or len(blocks) < _SHOW_PROGRESS_FROM:
        return blocks
    from tqdm import tqdm

    return tqdm(blocks, desc="cells", unit="block")


@dataclass(frozen=True)
class _Part:
    """Cells of one window: the rows that its block owns, and which of the labels 0..``size`` - 1 they have."""

    rows: Rows
    window: tuple[slice, slice]
    bodies: CellLabels
    size: int
    labels: NDArray[np.intp]

    def number(self, order: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give each label the number of its row, of which ``order`` begins with those; 0 to what is not owned."""
        out = np.zeros(self.size, np.int32)
        out[self.labels] = order[: self.rows.count]
        return out


def _painted(
    parts: Sequence[_Part], order: NDArray[np.int32], shape: tuple[int, int], tools: Tools
) -> tuple[Labels, Labels]:
    """Bring all windows into maps of nuclei and cells; ``order`` tells the number of each row, from 1 on, or 0."""
    if len(parts) == 1 and parts[0].bodies.cells.shape == shape:
        return tools.relabel(parts[0].bodies, parts[0].number(order[1:]))
    maps = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    first = 1
    for part in parts:
        for whole, own in zip(maps, tools.relabel(part.bodies, part.number(order[first:])), strict=True):
            # no two windows give a pixel to two cells
            np.maximum(whole[part.window], own, out=whole[part.window])
        first += part.rows.count
    return maps


def unmix(rgb: NDArray[np.uint8], *, plan: SegmentationConfig) -> StainChannels:
    """Separate the stains of a window.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3). The window begins at a multiple of ``grain_px``.
    plan
        What was decided for the slide.
    """
    tools, settings = plan.tools(), plan.effective_settings
    nuclei = None if plan.plugin is None else segment_with(plan.plugin, rgb, mpp=plan.mpp)
    work = working_image(rgb, white=plan.white, vectors=plan.vectors, mpp=plan.mpp, settings=settings, tools=tools)
    if work.factor == 1 and work.dab is not None:
        return StainChannels(work, (work.hematoxylin, work.dab), nuclei)
    return StainChannels(work, amounts(rgb, white=plan.white, vectors=plan.vectors, tools=tools), nuclei)


def window_rows(seen: StainChannels, tissue: NDArray[np.bool_], *, block: Block, plan: SegmentationConfig) -> Rows:
    """Measure the cells that a block of a slide owns, in slide pixels and in no particular order.

    Parameters
    ----------
    seen
        The stains of the block's window; see :func:`unmix`.
    tissue
        Where the window is tissue, bool (height, width).
    block
        Core and window in slide pixels.
    plan
        What was decided for the slide. No cell is dropped for its contrast here.
    """
    return _one_block(seen, tissue, block, plan)[0]


def halo_px(plan: SegmentationConfig) -> int:
    """How far a window must reach beyond its core, px."""
    return round(HALO_UM / plan.mpp)


def grain_px(plan: SegmentationConfig) -> int:
    """Side of the squares that light and contrast are averaged over, px: windows begin at multiples of it."""
    factor = working_factor(plan.mpp, plan.effective_settings)
    return factor * seeking_factor(plan.mpp * factor, plan.settings)


def _blocks(height: int, width: int, plan: SegmentationConfig) -> list[Block]:
    side, halo = plan.settings.block_px, halo_px(plan)
    return list(make_blocks(height, width, side=side, halo=halo, step=grain_px(plan)))


def _one_block(
    seen: StainChannels, tissue: NDArray[np.bool_], block: Block, plan: SegmentationConfig
) -> tuple[Rows, _Found, NDArray[np.intp]]:
    """Find and measure what is in a window; return the rows that the block owns, all cells, and the rows' labels."""
    tools = plan.tools()
    found = _by_recipe(seen, plan) if seen.nuclei is None else _by_plugin(seen.work, seen.nuclei, seen, plan)
    rows, labels = measure_cells(
        seen.amounts,
        bodies=found.bodies,
        contrast=found.contrast,
        tissue=tissue,
        block=block,
        mpp=plan.mpp,
        grown_px=found.grown_px,
        settings=plan.settings,
        tools=tools,
        lines=found.lines,
    )
    if plan.settings.nuclei_by == "hue" and seen.nuclei is None:
        stained = np.flatnonzero(rows.layers[keys.NUCLEUS_MEAN].sum(axis=1) >= LEAST_NUCLEUS_OD)
        rows, labels = rows.subset(stained), labels[stained]
    return rows.shifted(x=block.window[1].start, y=block.window[0].start), found, labels


def _by_recipe(seen: StainChannels, plan: SegmentationConfig) -> _Found:
    """Find nuclei at the working size and bring them to the window's."""
    tools, work = plan.tools(), seen.work
    if plan.settings.nuclei_by == "hue":
        return _grown_to_membranes(*find_nuclei_by_hue(work, settings=plan.settings, tools=tools), seen, plan)
    coarse, contrast = find_nuclei(work, settings=plan.settings, tools=tools)
    steps = _steps(plan, work.mpp)
    bodies = _at_full_size(tools.bodies(coarse, steps=steps), work.factor, seen.amounts[0].shape)
    return _Found(bodies, steps * work.factor, contrast)


def _by_plugin(work: WorkingImage, nuclei: Labels, seen: StainChannels, plan: SegmentationConfig) -> _Found:
    """Take another's nuclei as they are, at the window's own size."""
    tools = plan.tools()
    if plan.settings.nuclei_by == "hue":
        soft = hue_contrast(work, settings=plan.effective_settings, tools=tools).soft
        return _grown_to_membranes(nuclei, contrast_of(nuclei, soft, mpp=plan.mpp, tools=tools), seen, plan)
    soft = nuclear_contrast(work, settings=plan.effective_settings, tools=tools).soft
    steps = _steps(plan, plan.mpp)
    return _Found(tools.bodies(nuclei, steps=steps), steps, contrast_of(nuclei, soft, mpp=plan.mpp, tools=tools))


def _grown_to_membranes(
    nuclei: Labels, contrast: NDArray[np.int64], seen: StainChannels, plan: SegmentationConfig
) -> _Found:
    """Let cells grow until they meet, and wait at stained membranes; keep what membranes are measured by."""
    tools, work = plan.tools(), seen.work
    dab = np.zeros_like(work.hematoxylin) if work.dab is None else work.dab
    soft = smooth_dab(dab, mpp=work.mpp, tools=tools)
    line = thin_lines(soft, steps=max(1, round(LINE_UM / work.mpp)), tools=tools)
    wait = tools.waits(line, most=max(1, round(WAIT_UM / work.mpp)))
    steps = max(1, round((plan.settings.expansion_um + REACH_UM) / work.mpp))
    cells = tools.grow_to_membranes(nuclei, wait, steps=steps, last=max(1, round(TAKE_IN_UM / work.mpp)))
    bodies = _at_full_size(tools.told_parts(nuclei, cells), work.factor, seen.amounts[0].shape)
    shape = seen.amounts[0].shape
    lines = (soft, line) if work.factor == 1 else tuple(_repeated(one, work.factor, shape) for one in (soft, line))
    return _Found(bodies, steps * work.factor, contrast, (lines[0], lines[1]))


def _steps(plan: SegmentationConfig, mpp: float) -> int:
    """How many pixels of this size cells grow by."""
    return max(1, round(plan.settings.expansion_um / mpp))


def least_contrast(contrast: NDArray[np.float64], plan: SegmentationConfig) -> float:
    """Return the contrast that tells nuclei from haze: it follows the slide's own, so pale stains are not lost."""
    least = plan.settings.min_contrast
    # by hue, a nucleus's middle was asked to stand out before it was outlined
    if plan.plugin is not None or plan.settings.nuclei_by == "hue":
        return -np.inf
    clear = contrast[contrast >= least]
    return max(least, plan.settings.least_of_median * float(np.median(clear))) if clear.size else np.inf


def _stands_out(contrast: NDArray[np.float64], plan: SegmentationConfig) -> NDArray[np.bool_]:
    return contrast >= least_contrast(contrast, plan)


def _at_full_size(bodies: CellLabels, factor: int, shape: tuple[int, ...]) -> CellLabels:
    if factor == 1:
        return bodies
    return CellLabels(_repeated(bodies.cells, factor, shape), _repeated(bodies.parts, factor, shape))


def _repeated(labels: NDArray[Any], factor: int, shape: tuple[int, ...]) -> NDArray[Any]:
    # along rows first: whole rows are then copied as they are
    along = _doubled(labels) if factor == 2 else np.repeat(labels, factor, axis=1)
    return np.ascontiguousarray(np.repeat(along, factor, axis=0)[: shape[0], : shape[1]])


def _doubled(labels: NDArray[Any]) -> NDArray[Any]:
    """Write each number of a row twice: times 1 and 2^bits in one of twice as many bits, six times as fast."""
    size = labels.itemsize
    wide = labels.view(f"u{size}").astype(f"u{2 * size}")
    return (wide * (1 | 1 << 8 * size)).view(labels.dtype)
