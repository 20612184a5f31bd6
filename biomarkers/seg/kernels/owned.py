"""Which cells a block owns; see :func:`biomarkers.seg.blocks.owned`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.blocks import Block


def owned(middle: NDArray[np.float64], tissue: NDArray[np.bool_], block: Block) -> NDArray[np.intp]:
    """List the cells of a block; see :func:`biomarkers.seg.blocks.owned`."""
    (rows, columns), (top, left) = block.core, (part.start for part in block.window)
    bounds = np.array([rows.start - top, rows.stop - top, columns.start - left, columns.stop - left], np.int64)
    out = np.empty(middle.shape[0], np.intp)
    return out[: _list_owned(middle, np.ascontiguousarray(tissue), bounds, out)]


@numba.njit(cache=True, nogil=True)
def _list_owned(middle, tissue, bounds, out):  # type: ignore[no-untyped-def]
    top, bottom, left, right = bounds
    n = 0
    for k in range(out.size):
        if np.isnan(middle[k, 0]):
            continue
        x, y = np.int64(middle[k, 0]), np.int64(middle[k, 1])
        if top <= y < bottom and left <= x < right and _in_tissue(middle[k, 0], middle[k, 1], tissue):
            out[n] = k
            n += 1
    return n


@numba.njit(cache=True, nogil=True)
def _in_tissue(x, y, tissue):  # type: ignore[no-untyped-def]
    """Whether the nearest pixel is tissue; either of two at half a pixel."""
    near = tissue[np.int64(np.floor(y + 0.5)), np.int64(np.floor(x + 0.5))]
    return near or tissue[np.int64(np.ceil(y - 0.5)), np.int64(np.ceil(x - 0.5))]
