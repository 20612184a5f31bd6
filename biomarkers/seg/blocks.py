"""Blocks with a halo: large tiles in bounded memory, with results that do not depend on the block's size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Mergers run from nucleus to nucleus, so no sum of reaches bounds what a cell depends on; it fades. Of 140,000 cells in
# blocks of 128 um, 14 came out otherwise with 36 um than with 75 um and large blocks, none with 40, 44 or 50 um.
HALO_UM = 50.0


@dataclass(frozen=True)
class Block:
    """A core that owns cells, and the window around it that is looked at; all in tile pixels, half open."""

    core: tuple[slice, slice]
    window: tuple[slice, slice]


def owned(middle: NDArray[np.float64], tissue: NDArray[np.bool_], block: Block) -> NDArray[np.intp]:
    """List the cells whose centroid's pixel lies in a block's core and in tissue.

    Parameters
    ----------
    middle
        (x, y) of each nucleus in pixels of the window, (n, 2); NaN where there is none.
    tissue
        bool (rows, columns) of the window.
    block
        Core and window.
    """
    top, left = block.window[0].start, block.window[1].start
    there = np.flatnonzero(~np.isnan(middle[:, 0]))
    x, y = middle[there].astype(np.int64).T
    core = (
        (y + top >= block.core[0].start)
        & (y + top < block.core[0].stop)
        & (x + left >= block.core[1].start)
        & (x + left < block.core[1].stop)
    )
    # the nearest pixel tells tissue, either of two at half a pixel: it is the same one in a turned or mirrored picture
    near, other = (edge(middle[there] + half).astype(np.int64) for edge, half in ((np.floor, 0.5), (np.ceil, -0.5)))
    return there[core & (tissue[near[:, 1], near[:, 0]] | tissue[other[:, 1], other[:, 0]])]


def make_blocks(height: int, width: int, *, side: int, halo: int, step: int) -> Iterator[Block]:
    """Cut a tile into blocks.

    Parameters
    ----------
    height, width
        Size of the tile, px.
    side
        Side of a core, px.
    halo
        How far the window reaches beyond the core, px.
    step
        Cores and windows begin at multiples of this, so that averaged pixels are the same in every block.
    """
    side = max(step, side // step * step)
    halo = -(-halo // step) * step
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            yield Block(
                core=(slice(top, bottom), slice(left, right)),
                window=(
                    slice(max(0, top - halo), min(height, bottom + halo)),
                    slice(max(0, left - halo), min(width, right + halo)),
                ),
            )
