"""The stained outline of each cell; see :func:`biomarkers.cells.outline_stain.outline_stain`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import AROUND, NUCLEUS, Bodies, Labels
from biomarkers.cells.kernels.distance import squares_type, squares_within
from biomarkers.cells.outline_stain import (
    ABSENT,
    FIRST_SLOPE,
    PARTIAL_FIFTHS,
    PARTS,
    SECOND_SLOPE,
    SECTORS,
    SIXTEENTH,
    SLOPE_UNIT,
    Band,
    Bands,
    OutlineStain,
    Stretches,
    half_band,
    is_deep,
    least_stained,
    reach_px,
    summary,
    whole_middle,
)
from biomarkers.cells.settings import CellSettings

_SHIFT, _SLOPE_SHIFT = PARTS.bit_length() - 1, SLOPE_UNIT.bit_length() - 1
_HIGHER = 16  # bits below the first of two numbers that stand in one
_NOTHING = ABSENT << _HIGHER
# distances of the squares that fit into an int16
_ROOTS = np.floor(np.sqrt(np.arange(1 << 15)) * SIXTEENTH).astype(np.int16)


def outline_stain(
    soft: NDArray[np.int16],
    amounts: tuple[NDArray[np.int16], NDArray[np.int16]],
    *,
    bodies: Bodies,
    middle: NDArray[np.float64],
    mpp: float,
    grown_px: int,
    settings: CellSettings,
) -> OutlineStain:
    """Read the stain along the outline of each cell; see :func:`biomarkers.cells.outline_stain.outline_stain`."""
    count, reach = middle.shape[0] + 1, reach_px(grown_px)
    squares = np.empty(soft.shape, squares_type(reach))
    squares_within(bodies.parts != NUCLEUS, reach, squares)
    best, far = np.full(count * SECTORS, _NOTHING, np.int32), np.full(count * SECTORS, ABSENT, np.int16)
    highest = np.full((count, 2), ABSENT, np.int16)
    lines = np.empty((4, soft.shape[1] + 1), np.int32)
    around = np.empty((3, np.count_nonzero(bodies.parts == AROUND)), np.int32)
    clear, roots = _clear_of_neighbours(soft, bodies.cells, mpp), _ROOTS[: reach * reach + 1]
    _read(clear, *amounts, *bodies, squares, roots, whole_middle(middle), lines, around, best, far, highest)
    levels, bounds = np.empty((count, 5), np.int64), np.empty((2, count * SECTORS), np.int16)
    _sum_up(best, far, np.int32(least_stained(settings)), np.int32(half_band(mpp, settings)), levels, *bounds)
    sizes, browns, blues = np.zeros((3, count * 3), np.int64)
    _divide(*around, *bounds, sizes, browns, blues)
    parts = np.stack([sizes, browns, blues]).reshape(3, count, 3)[:, 1:]
    bands = Bands(Band(*parts[..., 1]), Band(*parts[..., 0]), Band(*parts.sum(axis=2)))
    columns = np.ascontiguousarray(levels[1:].T)
    return summary(Stretches(*columns), bands=bands, highest=highest[1:].astype(np.int64))


def _clear_of_neighbours(soft: NDArray[np.int16], cells: Labels, mpp: float) -> NDArray[np.int16]:
    """Leave out (``ABSENT``) what a neighbour's stain reaches: an outermost pixel of a cell lies within 0.5 um."""
    reach = 0
    while not is_deep(np.array([(reach + 1) ** 2]), mpp)[0]:
        reach += 1
    rows, columns = cells.shape
    edge = np.zeros((rows + 2 * reach, columns + 2 * reach), np.uint8)
    _mark_edges(cells, edge[reach : reach + rows, reach : reach + columns])
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    moves = np.argwhere(~is_deep(down * down + right * right, mpp))
    out = np.empty(cells.shape, np.int16)
    _spare(soft, edge, moves, out)
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
def _spare(soft, edge, moves, out):  # type: ignore[no-untyped-def]
    absent = np.int16(ABSENT)
    for y in range(out.shape[0]):
        source, target = soft[y], out[y]
        for x in range(target.size):
            target[x] = source[x]
        for k in range(moves.shape[0]):
            begin = moves[k, 1]
            line = edge[y + moves[k, 0]][begin : begin + target.size]
            for x in range(target.size):
                target[x] = absent if line[x] else target[x]


@numba.njit(cache=True, nogil=True)
def _read(clear, hematoxylin, dab, cells, parts, squares, roots, middle, lines, around, best, far, highest):  # type: ignore[no-untyped-def]
    """Find, stretch by stretch, the highest value outside the nucleus and how far out it lies.

    Both are held in one number, the value in its upper half: of equal values the farthest wins. What was read of the
    pixels around nuclei is kept in ``around``: stretch, distance, and both stains in one number.
    """
    slots, across, downwards, bins = lines[0], lines[1], lines[2], lines[3]
    stretch, away, stains = around[0], around[1], around[2]
    done = np.int64(0)
    for y in range(cells.shape[0]):
        line, part, near, levels, blues, browns = cells[y], parts[y], squares[y], clear[y], hematoxylin[y], dab[y]
        n = np.int64(0)
        for x in range(part.size):  # pixels around nuclei, without a branch that none could guess
            slots[n] = x
            n += part[x] == AROUND
        down = np.int32(y << _SHIFT)
        for i in range(n):
            at = np.uint32(slots[i])
            owner = np.uint32(line[at])
            across[i], downwards[i] = (at << _SHIFT) - middle[owner, 0], down - middle[owner, 1]
        _stretches(across, downwards, n, bins)
        for i in range(n):
            at = np.uint32(slots[i])
            owner, brown, blue = np.uint32(line[at]), browns[at], blues[at]
            place, out = np.uint32(owner * SECTORS + bins[i]), np.int32(roots[near[at]])
            best[place] = max(best[place], (np.int32(levels[at]) << _HIGHER) + out)
            far[place] = max(far[place], np.int16(out))
            stretch[done + i], away[done + i] = place, out
            stains[done + i] = (np.int32(blue) << _HIGHER) | np.int32(np.uint16(brown))
            if brown > highest[owner, 0]:
                highest[owner, 0] = brown
            if blue > highest[owner, 1]:
                highest[owner, 1] = blue
        done += n


@numba.njit(cache=True, nogil=True)
def _stretches(across, down, n, bins):  # type: ignore[no-untyped-def]
    """Stretch 0-15 of each direction."""
    unit, first, second = np.int32(_SLOPE_SHIFT), np.int32(FIRST_SLOPE), np.int32(SECOND_SLOPE)
    for i in range(n):
        dx, dy = across[i], down[i]
        wide, tall = abs(dx), abs(dy)
        low, high = min(wide, tall) << unit, max(wide, tall)
        part = np.int32(low > high * first) + np.int32(low > high * second)
        part = np.int32(4) - part if tall > wide else part
        part = np.int32(8) - part if dx < np.int32(0) else part
        bins[i] = np.int32((np.int32(16) - part) & np.int32(15)) if dy < np.int32(0) else part


@numba.njit(cache=True, nogil=True)
def _sum_up(best, far, least, half, levels, low, high):  # type: ignore[no-untyped-def]
    """Sum the stretches of each cell up; tell between which distances the membrane of each lies.

    Columns of ``levels`` are those of ``Stretches``.
    """
    zero, absent = np.int32(0), np.int32(ABSENT)
    top = np.empty(SECTORS, np.int32)
    for cell in range(1, levels.shape[0]):
        present, level, stained, stained_level = zero, zero, zero, zero
        for s in range(SECTORS):
            at = cell * SECTORS + s
            top[s] = best[at] >> _HIGHER
            here, strong = top[s] > absent, top[s] > least
            present += np.int32(here)
            level += top[s] if here else zero
            stained += np.int32(strong)
            stained_level += top[s] if strong else zero
            place = np.int32(best[at] & 0xFFFF) if strong else np.int32(far[at]) - half
            low[at], high[at] = max(place - half, absent), place + half
        levels[cell, 0], levels[cell, 1], levels[cell, 2], levels[cell, 3] = present, level, stained, stained_level
        levels[cell, 4] = _reached(top, max(-(-PARTIAL_FIFTHS * present // 5), 1)) if present > 0 else zero


@numba.njit(cache=True, nogil=True)
def _reached(top, rank):  # type: ignore[no-untyped-def]
    """Return the level that ``rank`` stretches reach."""
    out = top.max()
    for s in range(SECTORS):
        above = np.int32(0)
        for t in range(SECTORS):
            above += np.int32(top[t] > top[s])
        out = min(out, top[s]) if above < rank else out
    return out


@numba.njit(cache=True, nogil=True)
def _divide(stretch, away, stains, low, high, sizes, browns, blues):  # type: ignore[no-untyped-def]
    """Sum over what lies, in each cell, within the membrane, on it and beyond it."""
    for i in range(stretch.size):
        at, out, both = stretch[i], away[i], stains[i]
        part = 3 * (at // SECTORS) + np.int32(out >= low[at]) + np.int32(out > high[at])
        sizes[part] += 1
        browns[part] += np.int16(both)
        blues[part] += both >> _HIGHER
