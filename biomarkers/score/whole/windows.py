"""Where to look: a strip of a slide is cut into cores that hold its tissue, each with a window around it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from biomarkers.io.reader import RGB
from biomarkers.io.slide import Slide
from biomarkers.pp.tissue_map import TissueMap
from biomarkers.seg.blocks import Block

Core = tuple[slice, slice]


def cut_strip(tissue: TissueMap, rows: slice, *, side: int, gap: int) -> list[Core]:
    """Cut the tissue of a strip into cores.

    Stretches of tissue are cut into equal parts, so that no part is a sliver whose surroundings are larger than itself,
    and each part is narrowed to the tissue that it holds.

    Parameters
    ----------
    tissue
        The slide's tissue.
    rows
        The strip, level-0 px.
    side
        Largest width of a core, px.
    gap
        Glass narrower than this, px, is not worth a cut.

    Returns
    -------
    Rows and columns of level-0 pixels. Cores do not overlap, and hold all squares of the map that are tissue: no cell
    is lost, since a cell counts where its centroid lies in tissue.
    """
    step, (width, _) = tissue.step, tissue.size
    first = rows.start // step
    grains = tissue.grains(slice(first, -(-rows.stop // step)), slice(0, tissue.shape[1]))
    cores: list[Core] = []
    for start, stop in _runs(np.any(grains, axis=0), gap // step):
        parts = max(1, -(-(stop - start) * step // side))
        edges = [start + k * (stop - start) // parts for k in range(parts + 1)]
        for left, right in pairwise(edges):
            for top, bottom in _runs(np.any(grains[:, left:right], axis=1), gap // step):
                held = np.flatnonzero(grains[top:bottom, left:right].any(axis=0))
                across = slice((left + int(held[0])) * step, min((left + int(held[-1]) + 1) * step, width))
                down = slice(max((first + top) * step, rows.start), min((first + bottom) * step, rows.stop))
                cores.append((down, across))
    return cores


def around(core: Core, size: tuple[int, int], *, halo: int, step: int) -> Block:
    """Lay a window around a core; it begins at a multiple of ``step``, as the averaged pixels do."""
    width, height = size
    reach = -(-halo // step) * step

    def grown(part: slice, length: int) -> slice:
        return slice(max(0, part.start // step * step - reach), min(length, part.stop + reach))

    return Block(core=core, window=(grown(core[0], height), grown(core[1], width)))


def read_window(slide: Slide, window: Core, *, reuse_from_row: int | None = None) -> RGB:
    """Read rows x columns of level 0; those from ``again_from`` on belong to windows of the next strip too."""
    rows, columns = window
    wide, tall = columns.stop - columns.start, rows.stop - rows.start
    return slide.read_region(columns.start, rows.start, wide, tall, reuse_from_row=reuse_from_row)


def inside(block: Block) -> Core:
    """Return where in its window a core lies."""
    rows, columns = (
        slice(core.start - window.start, core.stop - window.start)
        for core, window in zip(block.core, block.window, strict=True)
    )
    return rows, columns


def _runs(there: Any, gap: int) -> Iterator[tuple[int, int]]:
    """Yield where something begins and ends, half open; what lies no more than ``gap`` apart is one."""
    places = np.flatnonzero(there)
    if places.size == 0:
        return
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    for first, last in zip([0, *(breaks + 1)], [*breaks, places.size - 1], strict=True):
        yield int(places[first]), int(places[last]) + 1
