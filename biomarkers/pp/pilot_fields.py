"""A fixed sample of a whole slide: what is decided once for a slide is decided on it, whatever the tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.threads import SERIAL, ThreadPool
from biomarkers.io.reader import RGB
from biomarkers.io.slide import Slide
from biomarkers.pp.tissue_map import TissueMap

_Out = TypeVar("_Out")
_PATCHES_ON_A_SIDE, _PATCH_PX = 24, 64
_MOSTLY = 0.5


def sample_patches(slide: Slide) -> Iterator[RGB]:
    """Yield up to 24 x 24 patches of 64 px, evenly spread over the slide, glass included (level 0).

    They begin at multiples of 64, so that hardly any is cut by the tiles of its file: one is decoded for each.
    """
    for patches in sample_rows(slide, list):
        yield from patches


def sample_rows(slide: Slide, look: Callable[[list[RGB]], _Out], *, pool: ThreadPool = SERIAL) -> Iterator[_Out]:
    """Look at these patches a row at a time; the pool reads and looks."""
    across, down = (_starts(length).tolist() for length in slide.size)
    width, height = (min(_PATCH_PX, length) for length in slide.size)
    return pool.imap(lambda y: look([slide.read_region(x, y, width, height) for x in across]), down)


def pick_windows(tissue: TissueMap, *, side: int, count: int) -> list[tuple[slice, slice]]:
    """Choose windows that lie in tissue.

    Parameters
    ----------
    tissue
        The slide's tissue.
    side
        Side of a window, level-0 px.
    count
        How many at most.

    Returns
    -------
    Rows and columns of level-0 pixels: of all the windows of a regular grid that are at least half tissue (or, where
    there are fewer than ``count``, those with the most), ``count`` evenly spread ones in reading order.
    """
    width, height = tissue.size
    side = min(side, width, height)
    shares: list[tuple[float, int, int]] = []
    for top in range(0, height - side + 1, side):
        rows = slice(top // tissue.step, max(-(-(top + side) // tissue.step), top // tissue.step + 1))
        grains = tissue.grains(rows, slice(0, tissue.shape[1])).mean(axis=0)
        for left in range(0, width - side + 1, side):
            share = float(grains[left // tissue.step : -(-(left + side) // tissue.step)].mean())
            if share > 0:
                shares.append((share, top, left))
    good = [(top, left) for share, top, left in shares if share >= _MOSTLY]
    if len(good) < count:
        good = sorted((top, left) for _, top, left in sorted(shares, reverse=True)[:count])
    chosen = [good[(2 * k + 1) * len(good) // (2 * count)] for k in range(count)] if len(good) > count else good
    return [(slice(top, top + side), slice(left, left + side)) for top, left in chosen]


def _starts(length: int) -> NDArray[np.int64]:
    """First pixels of evenly spread patches along a side."""
    parts = max(1, min(_PATCHES_ON_A_SIDE, length // _PATCH_PX))
    even = (length - min(_PATCH_PX, length)) * (2 * np.arange(parts) + 1) // (2 * parts)
    return np.unique(even // _PATCH_PX * _PATCH_PX)
