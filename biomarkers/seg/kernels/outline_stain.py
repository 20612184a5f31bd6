"""The stained outline of each cell; see :func:`biomarkers.seg.outline_stain.outline_stain`."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import CYTOPLASM, NUCLEUS, CellLabels, Labels
from biomarkers.seg.kernels.distance import squares_type, squares_within
from biomarkers.seg.kernels.wanted import bounds_of
from biomarkers.seg.outline_stain import (
    ABSENT,
    DARK,
    FIRST_SLOPE,
    PARTIAL_FIFTHS,
    PARTS,
    SECOND_SLOPE,
    SECTORS,
    SLOPE_UNIT,
    SUBPIXEL,
    Band,
    Bands,
    OutlineStain,
    Rim,
    Sectors,
    away_from_border,
    half_band,
    least_stained,
    reach_px,
)
from biomarkers.seg.settings import CellSettings

_SHIFT, _SLOPE_SHIFT = PARTS.bit_length() - 1, SLOPE_UNIT.bit_length() - 1
_HIGHER = 16  # bits below the first of two numbers that stand in one
_NOTHING = ABSENT << _HIGHER
_PIXEL = 40  # bits below the number of pixels, above a sum of DAB: more than any window's pixels add up to


def outline_stain(
    soft: NDArray[np.int16],
    amounts: tuple[NDArray[np.int16], NDArray[np.int16]],
    *,
    bodies: CellLabels,
    wanted: NDArray[np.bool_],
    middle: NDArray[np.float64],
    highest: NDArray[np.int64],
    mpp: float,
    grown_px: int,
    settings: CellSettings,
    line: NDArray[np.int16] | None = None,
) -> OutlineStain:
    """Read the stain along the outline of each cell; see :func:`biomarkers.seg.outline_stain.outline_stain`."""
    count, reach = middle.shape[0] + 1, reach_px(grown_px)
    top, bottom, left, right, size = bounds_of(bodies, wanted)
    rows, squares = slice(max(top - reach, 0), bottom + reach), np.empty(soft.shape, squares_type(reach))
    squares_within(bodies.parts[rows] != NUCLEUS, reach, squares[rows])
    best, far = np.empty(count * SECTORS, np.int32), np.empty(count * SECTORS, np.int16)
    most, within = np.empty((2, count), np.int16), np.empty((count, 2), np.int32)
    _prepare(middle, highest, within, most, best, far)
    around = np.empty((2, size), np.int32)
    fixed = top, bottom, left, right, _neighbourhood(mpp)
    _read(soft, *bodies, squares, within, fixed, around, best, far)
    levels, edges = np.empty((5, count), np.int64), np.empty((2, count * SECTORS), np.int32)
    _sum_up(best, far, np.int32(least_stained(settings)), np.int32(half_band(mpp, settings)), levels, *edges)
    sums = np.zeros((2, 3 * count), np.int64)
    _divide(*around, squares.reshape(-1), *(one.reshape(-1) for one in amounts), *edges, sums, most)
    bands, highest = np.empty((3, 3, count - 1), np.int64), np.empty((count - 1, 2), np.int64)
    _take_apart(*sums, most, bands, highest)
    rim = None if line is None else _rim(around[0], around[1], soft, line, bodies.cells, count)
    return OutlineStain(Sectors(*levels[:, 1:]), Bands(*(Band(*band) for band in bands)), highest, rim)


def _rim(
    stretch: NDArray[np.int32],
    places: NDArray[np.int32],
    soft: NDArray[np.int16],
    line: NDArray[np.int16],
    cells: Labels,
    count: int,
) -> Rim:
    """Level that half of each cell's stretches reach, of the stain and of its lines, and each cell's dark pixels."""
    top, halves = np.full((2, count * SECTORS), ABSENT, np.int32), np.zeros((2, count), np.int64)
    _highest_of_both(stretch, places, soft.reshape(-1), line.reshape(-1), *top)
    for one, half in zip(top, halves, strict=True):
        _half(one, half)
    dark = np.zeros(count, np.int64)
    _count_dark(cells, soft, np.int16(DARK), dark)
    return Rim(halves[0, 1:], halves[1, 1:], dark[1:])


@numba.njit(cache=True, nogil=True)
def _count_dark(cells, soft, least, out):  # type: ignore[no-untyped-def]
    at = np.empty(soft.shape[1] + 1, np.int32)
    for y in range(soft.shape[0]):
        of, level = cells[y], soft[y]
        n = np.int64(0)
        for x in range(of.size):  # listed first, without a branch that none could guess
            at[n] = x
            n += level[x] >= least
        for i in range(n):
            out[of[np.uint32(at[i])]] += 1


@numba.njit(cache=True, nogil=True)
def _highest_of_both(stretch, places, soft, line, level, height):  # type: ignore[no-untyped-def]
    for i in range(stretch.size):
        of, at = np.uint32(stretch[i]), np.uint32(places[i])
        level[of] = max(level[of], np.int32(soft[at]))
        height[of] = max(height[of], np.int32(line[at]))


@numba.njit(cache=True, nogil=True)
def _half(top, out):  # type: ignore[no-untyped-def]
    here = np.empty(SECTORS, np.int32)
    for cell in range(1, out.size):
        present = np.int32(0)
        for s in range(SECTORS):
            here[s] = top[cell * SECTORS + s]
            present += np.int32(here[s] > ABSENT)
        out[cell] = _reached(here, max((present + 1) // 2, 1)) if present > 0 else 0


@lru_cache(maxsize=64)
def _neighbourhood(mpp: float) -> NDArray[np.intp]:
    """Rows and columns, from the window's corner, of the pixels from which a neighbour's stain reaches the middle."""
    reach = 0
    while not away_from_border(np.array([(reach + 1) ** 2]), mpp)[0]:
        reach += 1
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.argwhere(~away_from_border(down * down + right * right, mpp))


@numba.njit(cache=True, nogil=True)
def _prepare(middle, highest, within, most, best, far):  # type: ignore[no-untyped-def]
    """Begin with nothing; middles are in parts of a pixel as :func:`fixed_point_centroid` gives them, label 0 first."""
    within[0, 0], within[0, 1] = 0, 0
    most[0, 0], most[1, 0] = ABSENT, ABSENT
    for k in range(middle.shape[0]):
        for axis in range(2):
            at = middle[k, axis]
            within[k + 1, axis] = 0 if np.isnan(at) else np.int32(np.rint(at * PARTS))
            most[axis, k + 1] = highest[k, axis]
    for place in range(best.size):
        best[place], far[place] = _NOTHING, 0


@numba.njit(cache=True, nogil=True)
def _read(soft, cells, parts, squares, middle, fixed, around, best, far):  # type: ignore[no-untyped-def]
    """Find, stretch by stretch, the highest value outside the nucleus and how far out it lies.

    Both are held in one number, the value in its upper half: of equal values the farthest wins. Stretch and place of
    the pixels around nuclei are kept in ``around``. ``fixed``: the rows and columns that are read, and from where a
    neighbour's stain reaches a pixel.
    """
    columns = cells.shape[1]
    top, bottom, left, right, moves = fixed
    reach = moves[:, 0].max() // 2
    edges = np.zeros((2 * reach + 1, columns + 2 * reach), np.uint8)
    levels, close = np.empty(columns, np.int16), np.empty(columns, np.uint8)
    lines = np.empty((4, columns + 1), np.int32)
    slots, across, downwards, bins = lines[0], lines[1], lines[2], lines[3]
    done = np.int64(0)
    for y in range(top - 2 * reach, bottom):
        if y + reach >= 0:
            _mark_edges(cells, y + reach, edges[(y + reach) % edges.shape[0]], reach)
        if y < top:
            continue
        line, near = cells[y], squares[y]
        _leave_out(soft[y], edges, y, moves, close, levels)
        n = np.int64(0)
        part = parts[y, left:right]
        for x in range(part.size):  # pixels around nuclei, without a branch that none could guess
            slots[n] = left + x
            n += part[x] == CYTOPLASM
        down = np.int32(y << _SHIFT)
        for i in range(n):
            at = np.uint32(slots[i])
            owner = np.uint32(line[at])
            across[i], downwards[i] = (at << _SHIFT) - middle[owner, 0], down - middle[owner, 1]
        _stretches(across, downwards, n, bins)
        _keep(line, near, levels, slots[:n], bins, best, far, around[0, done:], around[1, done:], np.int32(y * columns))
        done += n


@numba.njit(cache=True, nogil=True)
def _keep(line, near, levels, slots, bins, best, far, stretch, places, first):  # type: ignore[no-untyped-def]
    """Take the pixels of one row that are listed into their stretches, and into the list of all."""
    for i in range(slots.size):
        at = np.uint32(slots[i])
        place, square = np.uint32(np.int32(line[at]) * np.int32(SECTORS) + bins[i]), np.int32(near[at])
        best[place] = max(best[place], np.int32((np.int32(levels[at]) << _HIGHER) + square))
        far[place] = max(far[place], np.int16(square))
        stretch[i], places[i] = place, first + np.int32(at)


@numba.njit(cache=True, nogil=True)
def _mark_edges(cells, y, out, reach):  # type: ignore[no-untyped-def]
    """Mark the outermost pixels of row y, in a frame; none beyond the image. What is no cell has neighbours too."""
    rows, columns = cells.shape
    inner = out[reach : reach + columns]
    if y >= rows:
        for x in range(columns):
            inner[x] = 0
        return
    here = cells[y]
    _differ(cells[max(y - 1, 0)], here, cells[min(y + 1, rows - 1)], inner)
    _differ_beside(here[:-1], here[1:], inner[:-1])
    _differ_beside(here[:-1], here[1:], inner[1:])
    _of_cells(here, inner)


@numba.njit(cache=True, nogil=True)
def _differ(above, here, below, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] = np.uint8((above[x] != here[x]) | (below[x] != here[x]))


@numba.njit(cache=True, nogil=True)
def _differ_beside(left, right, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] |= np.uint8(left[x] != right[x])


@numba.njit(cache=True, nogil=True)
def _of_cells(here, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] &= np.uint8(here[x] != 0)


@numba.njit(cache=True, nogil=True)
def _leave_out(soft, edges, y, moves, near, out):  # type: ignore[no-untyped-def]
    """Leave out of row y (``ABSENT``) what a neighbour's stain reaches: an outermost pixel of a cell lies near."""
    size, reach = edges.shape[0], edges.shape[0] // 2
    for x in range(near.size):
        near[x] = 0
    for k in range(moves.shape[0]):
        row = y - reach + moves[k, 0]
        if row >= 0:
            _join(edges[row % size][moves[k, 1] :], near)
    absent = np.int16(ABSENT)
    for x in range(out.size):
        out[x] = absent if near[x] else soft[x]


@numba.njit(cache=True, nogil=True)
def _join(edge, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] |= edge[x]


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
def _sum_up(best, far, least, half, levels, first, beyond):  # type: ignore[no-untyped-def]
    """Sum the stretches of each cell up; tell from which squared distance on the membrane lies, and from which beyond.

    Rows of ``levels`` are those of ``Stretches``.
    """
    zero, absent = np.int32(0), np.int32(ABSENT)
    top = np.empty(SECTORS, np.int32)
    for cell in range(1, levels.shape[1]):
        present, level, stained, stained_level = zero, zero, zero, zero
        for s in range(SECTORS):
            at = cell * SECTORS + s
            top[s] = best[at] >> _HIGHER
            here, strong = top[s] > absent, top[s] > least
            present += np.int32(here)
            level += top[s] if here else zero
            stained += np.int32(strong)
            stained_level += top[s] if strong else zero
            place = _root(best[at] & 0xFFFF) if strong else _root(np.int32(far[at])) - half
            first[at], beyond[at] = _square(place - half), _square(place + half + 1)
        levels[0, cell], levels[1, cell], levels[2, cell], levels[3, cell] = present, level, stained, stained_level
        levels[4, cell] = _reached(top, max(-(-PARTIAL_FIFTHS * present // 5), 1)) if present > 0 else zero


@numba.njit(cache=True, nogil=True)
def _root(square):  # type: ignore[no-untyped-def]
    """Distance in whole sixteenths of a pixel."""
    return np.int32(np.sqrt(np.float64(square)) * SUBPIXEL)


@numba.njit(cache=True, nogil=True)
def _square(distance):  # type: ignore[no-untyped-def]
    """Return the least squared distance, px^2, that lies as far."""
    unit = SUBPIXEL * SUBPIXEL
    return np.int32((distance * distance + unit - 1) // unit) if distance > 0 else np.int32(0)


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
def _divide(stretch, places, squares, hematoxylin, dab, first, beyond, sums, most):  # type: ignore[no-untyped-def]
    """Sum over what lies, in each cell, within the membrane, on it and beyond it; raise the cell's highest values."""
    one, pixels_and_dab, blues, brownest, bluest = np.int64(1) << _PIXEL, sums[0], sums[1], most[0], most[1]
    for i in range(stretch.size):
        stretch_, at = np.uint32(stretch[i]), np.uint32(places[i])
        square, brown, blue, cell = np.int32(squares[at]), dab[at], hematoxylin[at], stretch_ // SECTORS
        beside = np.int32(square >= first[stretch_]) + np.int32(square >= beyond[stretch_])
        part = np.uint32(3 * cell + beside)
        pixels_and_dab[part] += one + brown
        blues[part] += blue
        if brown > brownest[cell]:  # by branches, since they are seldom raised
            brownest[cell] = brown
        if blue > bluest[cell]:
            bluest[cell] = blue


@numba.njit(cache=True, nogil=True)
def _take_apart(pixels_and_dab, blues, most, bands, highest):  # type: ignore[no-untyped-def]
    """Write membrane, cytoplasm and both with what lies beyond of each cell: pixels, DAB, hematoxylin."""
    spare = np.int64(64 - _PIXEL)
    for cell in range(bands.shape[2]):
        for field in range(3):
            bands[2, field, cell] = 0
        for stain in range(2):
            highest[cell, stain] = most[stain, cell + 1]
        for part in range(3):  # within the membrane, on it, beyond it
            both = pixels_and_dab[3 * (cell + 1) + part]
            dab = (both << spare) >> spare
            size, blue = (both - dab) >> np.int64(_PIXEL), blues[3 * (cell + 1) + part]
            if part < 2:
                band = 1 - part
                bands[band, 0, cell], bands[band, 1, cell], bands[band, 2, cell] = size, dab, blue
            bands[2, 0, cell] += size
            bands[2, 1, cell] += dab
            bands[2, 2, cell] += blue
