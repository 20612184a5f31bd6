"""The stained outline of each cell; see :func:`biomarkers.cells.outline_stain.outline_stain`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.kernels.distance import near_squares
from biomarkers.cells.outline_stain import (
    ABSENT,
    SECTORS,
    SIXTEENTH,
    SLOPES,
    Band,
    OutlineStain,
    half_band,
    is_deep,
    reach_px,
    summary,
)
from biomarkers.cells.settings import CellSettings

_NOTHING = ABSENT << 16
# distances of the squares that fit into an int16
_ROOTS = np.floor(np.sqrt(np.arange(1 << 15)) * SIXTEENTH).astype(np.int16)


def outline_stain(
    soft: NDArray[np.int16],
    amounts: tuple[NDArray[np.int16], NDArray[np.int16]],
    *,
    nuclei: Labels,
    cells: Labels,
    middle: NDArray[np.float64],
    mpp: float,
    settings: CellSettings,
) -> OutlineStain:
    """Read the stain along the outline of each cell; see :func:`biomarkers.cells.outline_stain.outline_stain`."""
    count = middle.shape[0]
    squares = near_squares(nuclei == 0, reach=reach_px(mpp, settings))
    size = (count + 1) * SECTORS
    best, far = np.full(size, _NOTHING, np.int32), np.full(size, ABSENT, np.int16)
    stretch = np.empty(cells.shape, np.uint8)
    _read(soft, nuclei, cells, _with_nothing(middle), squares, _ROOTS, _deep(cells, mpp), SLOPES, stretch, best, far)
    top, peak = best >> 16, best & 0xFFFF
    half = half_band(mpp, settings)
    stained = top > round(settings.membrane_od * 1000)
    place = np.where(stained, peak, far - half)
    bounds = np.stack([np.ceil(place - half), np.floor(place + half)]).clip(-(2**15), 2**15 - 1).astype(np.int16)
    table = np.zeros((count + 1, 6), np.int64)
    _divide(nuclei, cells, squares, _ROOTS, stretch, *bounds, *amounts, table)
    columns = np.ascontiguousarray(table[1:].T)
    return summary(top.astype(np.int64), stained, membrane=Band(*columns[:3]), cytoplasm=Band(*columns[3:]))


def _with_nothing(middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put a place for label 0 before the centroids."""
    return np.concatenate([np.zeros((1, 2)), middle])


def _deep(cells: Labels, mpp: float) -> NDArray[np.uint8]:
    """Mark pixels out of reach of a neighbour's stain: no outermost pixel of a cell within 0.5 um."""
    reach = 0
    while not is_deep(np.array([(reach + 1) ** 2]), mpp)[0]:
        reach += 1
    rows, columns = cells.shape
    edge = np.zeros((rows + 2 * reach, columns + 2 * reach), np.uint8)
    _mark_edges(cells, edge[reach : reach + rows, reach : reach + columns])
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    moves = np.argwhere(~is_deep(down * down + right * right, mpp))
    out = np.empty(cells.shape, np.uint8)
    _spare(edge, moves, out)
    return out


@numba.njit(cache=True, nogil=True)
def _mark_edges(cells, edge):  # type: ignore[no-untyped-def]
    rows, columns = cells.shape
    for y in range(rows):
        above, here, below, out = cells[max(y - 1, 0)], cells[y], cells[min(y + 1, rows - 1)], edge[y]
        for x in range(columns):
            out[x] = ((above[x] != here[x]) | (below[x] != here[x])) & (here[x] != 0)
        for x in range(1, columns):
            differ = here[x] != here[x - 1]
            out[x] |= differ & (here[x] != 0)
            out[x - 1] |= differ & (here[x - 1] != 0)


@numba.njit(cache=True, nogil=True)
def _spare(edge, moves, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        target = out[y]
        for x in range(target.size):
            target[x] = 1
        for k in range(moves.shape[0]):
            begin = moves[k, 1]
            line = edge[y + moves[k, 0]][begin : begin + target.size]
            for x in range(target.size):
                target[x] &= 1 - line[x]


@numba.njit(cache=True, nogil=True)
def _read(soft, nuclei, cells, middle, squares, roots, deep, slopes, stretch, best, far):  # type: ignore[no-untyped-def]
    """Find, stretch by stretch, the highest value outside the nucleus and how far out it lies.

    Both are held in one number, the value in its upper half: of equal values the farthest wins.
    """
    rows, columns = cells.shape
    dx, dy = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for y in range(rows):
        line, inner, levels, near, clear, parts = cells[y], nuclei[y], soft[y], squares[y], deep[y], stretch[y]
        for x in range(columns):
            owner = line[x]
            dx[x], dy[x] = x - middle[owner, 0], y - middle[owner, 1]
        _stretches(dx, dy, slopes, parts)
        for x in range(columns):
            owner = line[x]
            if owner != 0 and inner[x] == 0:
                at = owner * np.int32(16) + np.int32(parts[x])
                out = roots[near[x]]
                far[at] = max(far[at], out)
                value = (np.int32(levels[x]) << 16) + np.int32(out) if clear[x] else np.int32(_NOTHING)
                best[at] = max(best[at], value)


@numba.njit(cache=True, nogil=True)
def _stretches(across, down, slopes, parts):  # type: ignore[no-untyped-def]
    """Stretch 0-15 of each direction; no pixel ever lies on a boundary, since slopes of pixels are ratios."""
    one, two, three, four = slopes[0], slopes[1], slopes[2], slopes[3]
    for x in range(parts.size):
        ax, ay = abs(across[x]), abs(down[x])
        part = np.uint8(ay > one * ax) + np.uint8(ay > two * ax) + np.uint8(ay > three * ax) + np.uint8(ay > four * ax)
        part = np.uint8(8) - part if across[x] < 0 else part
        parts[x] = (np.uint8(16) - part) & np.uint8(15) if down[x] < 0 else part & np.uint8(15)


@numba.njit(cache=True, nogil=True)
def _divide(nuclei, cells, squares, roots, stretch, low, high, hematoxylin, dab, table):  # type: ignore[no-untyped-def]
    """Sum over the membrane (distances from low to high) and over the cytoplasm (below)."""
    for y in range(cells.shape[0]):
        line, inner, near, parts, blues, browns = cells[y], nuclei[y], squares[y], stretch[y], hematoxylin[y], dab[y]
        for x in range(line.size):
            owner = line[x]
            if owner == 0 or inner[x] != 0:
                continue
            at = owner * np.int32(16) + np.int32(parts[x])
            out = roots[near[x]]
            if out <= high[at]:
                own, first = table[owner], 3 * np.int32(out < low[at])
                own[first] += 1
                own[first + 1] += browns[x]
                own[first + 2] += blues[x]
