"""The stained outline of each cell in three passes; see :func:`biomarkers.cells.outline_stain.outline_stain`."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.kernels.distance import FAR, ROOTS, column_gaps
from biomarkers.cells.outline_stain import ABSENT, SECTORS, OutlineStain, half_band, is_deep, summary
from biomarkers.cells.settings import CellSettings

# a direction belongs to the next stretch from these slopes on
_SLOPES = np.tan(np.radians([11.25, 33.75, 56.25, 78.75]))


def outline_stain(
    soft: NDArray[np.int32],
    *,
    nuclei: Labels,
    cells: Labels,
    middle: NDArray[np.float64],
    mpp: float,
    settings: CellSettings,
) -> OutlineStain:
    """Read the stain along the outline of each cell; see :func:`biomarkers.cells.outline_stain.outline_stain`."""
    count, reach = middle.shape[0], 0
    while not is_deep(np.array([reach * reach]), mpp)[0]:
        reach += 1
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    shared = ~is_deep(down * down + right * right, mpp)
    gap = np.where(nuclei == 0, np.int32(FAR), np.int32(0))
    column_gaps(gap)
    wide = cells.shape[1] + 2 * reach + 2
    edge = np.zeros((cells.shape[0] + 2 * reach + 2, wide), np.bool_)
    _mark_edges(np.pad(cells, 1, mode="edge"), edge, reach)
    room = int(np.count_nonzero((cells > 0) & (nuclei == 0)))
    places, bins, away = (np.empty(room, np.int32) for _ in range(3))
    size = (count + 1) * SECTORS
    top, far, peak = np.full(size, ABSENT, np.int64), np.full(size, ABSENT, np.int64), np.zeros(size, np.int64)
    moves = (down * wide + right)[shared]
    _read(
        soft, nuclei, cells, middle, gap, ROOTS, edge.ravel(), moves, reach, _SLOPES, places, bins, away, top, far, peak
    )
    half = half_band(mpp, settings)
    stained = top > round(settings.membrane_od * 1000)
    place = np.where(stained, peak, far - half)
    membrane, cytoplasm = np.zeros_like(cells), np.zeros_like(cells)
    _divide(places, bins, away, place, half, membrane.ravel(), cytoplasm.ravel())
    return summary(top, stained, membrane=membrane, cytoplasm=cytoplasm)


@numba.njit(cache=True, nogil=True)
def _mark_edges(framed, edge, reach):  # type: ignore[no-untyped-def]
    for row in range(1, framed.shape[0] - 1):
        above, here, below, out = framed[row - 1], framed[row], framed[row + 1], edge[row + reach]
        for x in range(1, here.size - 1):
            label = here[x]
            other = (here[x - 1] != label) | (here[x + 1] != label) | (above[x] != label) | (below[x] != label)
            out[x + reach] = other & (label != 0)


@numba.njit(cache=True, nogil=True)
def _read(soft, nuclei, cells, middle, gap, roots, edge, moves, reach, slopes, places, bins, away, top, far, peak):  # type: ignore[no-untyped-def]
    """Find, stretch by stretch, the highest value outside the nucleus and how far out it lies."""
    rows, columns = cells.shape
    wide = columns + 2 * reach + 2
    found = 0
    for row in range(rows):
        for column in range(columns):
            owner = cells[row, column]
            if owner == 0 or nuclei[row, column] != 0:
                continue
            at = owner * 16 + _sector(row - middle[owner - 1, 1], column - middle[owner - 1, 0], slopes)
            out = _outside(gap[row], column, roots)
            places[found], bins[found], away[found] = row * columns + column, at, out
            found += 1
            far[at] = max(far[at], out)
            place = (row + reach + 1) * wide + column + reach + 1
            deep = True
            for k in range(moves.size):
                if edge[place + moves[k]]:
                    deep = False
                    break
            if deep:
                value = soft[row, column]
                if value > top[at]:
                    top[at], peak[at] = value, out
                elif value == top[at]:
                    peak[at] = max(peak[at], out)


@numba.njit(cache=True, nogil=True)
def _sector(dy, dx, slopes):  # type: ignore[no-untyped-def]
    """Stretch 0-15 of a direction; no pixel ever lies on a boundary, since slopes of pixels are ratios."""
    ax, ay = abs(dx), abs(dy)
    sector = 0
    while sector < 4 and ay > slopes[sector] * ax:
        sector += 1
    if dx < 0:
        sector = 8 - sector
    return (16 - sector) % 16 if dy < 0 else sector


@numba.njit(cache=True, nogil=True)
def _outside(line, x, roots):  # type: ignore[no-untyped-def]
    """Distance to the nearest nucleus in sixteenths of a pixel."""
    best = np.int64(line[x]) * line[x]
    step, square = 1, 1
    while square < best and step < line.size:
        if x >= step:
            near = np.int64(line[x - step])
            best = min(best, square + near * near)
        if x + step < line.size:
            near = np.int64(line[x + step])
            best = min(best, square + near * near)
        step += 1
        square = step * step
    return roots[best] if best < roots.size else np.int32(math.sqrt(best) * 16.0)


@numba.njit(cache=True, nogil=True)
def _divide(places, bins, away, place, half, membrane, cytoplasm):  # type: ignore[no-untyped-def]
    for k in range(places.size):
        out, peak = away[k], place[bins[k]]
        if abs(out - peak) <= half:
            membrane[places[k]] = bins[k] // 16
        if out < peak - half:
            cytoplasm[places[k]] = bins[k] // 16
