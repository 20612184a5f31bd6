"""The stained outline of each cell: how strong, over how much of it, and where it lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import CYTOPLASM, NUCLEUS, CellLabels, Labels, inner_boundary
from biomarkers.seg.pieces import squared_edt
from biomarkers.seg.settings import CellSettings

SECTORS = 16  # the outline is judged in stretches of 22.5 degrees around the nucleus's centroid
PARTS = 64  # of a pixel: how exactly the centroid is told, in whole numbers
# a direction belongs to the next stretch beyond these slopes: tan(11.25) and tan(33.75 degrees) in whole 2048ths
SLOPE_UNIT, FIRST_SLOPE, SECOND_SLOPE = 2048, 407, 1368
MILLI = 1000.0
SUBPIXEL = 16  # distances from the nucleus are told in whole sixteenths of a pixel
PARTIAL_FIFTHS = 2  # of the outline's stretches: what they all reach
PARTIAL_SHARE = PARTIAL_FIFTHS / 5  # from here on staining is partial rather than a neighbour's or a dot
_SHARED_UM = 0.5  # so far the blur of the optics carries a neighbour's membrane into a cell
_FARTHEST_PX = 128
# granules of immune staining are darker than this; blush, and the blur of a membrane beside a cell, are paler: set on
# real SP142 fields, where no cell of a negative field has a tenth of its area above it
DARK = 200
ABSENT = int(np.iinfo(np.int16).min)

Whole = NDArray[np.int64]


class Band(NamedTuple):
    """Pixels and sums of DAB and hematoxylin (thousandths) of one compartment of cells 1..n."""

    size: Whole
    dab: Whole
    hematoxylin: Whole


class Bands(NamedTuple):
    """The membrane, the cytoplasm within it, and all that lies outside the nucleus."""

    membrane: Band
    cytoplasm: Band
    body: Band


class Sectors(NamedTuple):
    """Stretches of the outline of cells 1..n: how many there are, how many are stained, their levels (thousandths).

    ``level`` is summed over all, ``stained_level`` over the stained ones; ``partial`` is the level of the weakest of
    the strongest two fifths. 0 where there is none.
    """

    present: Whole
    level: Whole
    stained: Whole
    stained_level: Whole
    partial: Whole


class Rim(NamedTuple):
    """What half of the stretches of cells 1..n reach, up to the border that neighbours share, thousandths.

    ``level`` is DAB, ``line`` how much of it is a thin line. 0 where there is no stretch. ``dark`` counts the pixels of
    the whole cell, nucleus included, that are at least ``DARK`` thousandths: granules and clumps.
    """

    level: Whole
    line: Whole
    dark: Whole


@dataclass(frozen=True)
class OutlineStain:
    """Stain along the outline of each cell 1..n, and what lies on it and inside it, as whole numbers.

    ``highest`` is the highest DAB and hematoxylin in the whole cell, thousandths, (n, 2); ``rim`` is told where lines
    were given.
    """

    stretches: Sectors
    bands: Bands
    highest: Whole
    rim: Rim | None = None


def outline_stain(
    soft: NDArray[np.int16],
    amounts: tuple[NDArray[np.int16], NDArray[np.int16]],
    *,
    bodies: CellLabels,
    wanted: NDArray[np.bool_],
    middle: NDArray[np.float64],
    highest: Whole,
    mpp: float,
    grown_px: int,
    settings: CellSettings,
    line: NDArray[np.int16] | None = None,
) -> OutlineStain:
    """Read the stain along the outline of each cell.

    Parameters
    ----------
    soft
        DAB smoothed over 0.35 um, thousandths of optical density (height, width).
    amounts
        Hematoxylin and DAB, thousandths (height, width).
    bodies
        Cells 1..n and their parts.
    wanted
        bool (n + 1,): the cells that are asked for. What is told of the others has no meaning.
    middle
        Centroids (x, y) of the nuclei, px, (n, 2).
    highest
        Highest DAB and hematoxylin in the nuclei, thousandths, (n, 2).
    mpp
        Micrometres per pixel.
    grown_px
        How far cells grew along an axis at most, px.
    settings
        ``membrane_od`` and ``membrane_um``.
    line
        How much of ``soft`` is a thin line, thousandths (height, width); asked for membranes alone.

    Returns
    -------
    Per stretch, the stain of the outline is the highest value between nucleus and cell border, since the true membrane
    need not lie exactly on the estimated border; the outermost 0.5 um are left out, since a neighbour's membrane shows
    there too (a stretch with nothing else is absent). Where that is stained, the membrane is the band of
    ``membrane_um`` around its place; where it is not, the band inside the estimated border. Cytoplasm is what lies
    between nucleus and membrane.
    """
    count = middle.shape[0]
    rows, columns = np.nonzero(bodies.parts == CYTOPLASM)
    owner = bodies.cells[rows, columns].astype(np.int64)
    bins = owner * SECTORS + _sector(rows, columns, fixed_point_centroid(middle)[owner])
    deep = _deep(bodies.cells, mpp)[rows, columns]
    value = np.where(deep, soft[rows, columns], ABSENT)
    squares = squared_edt(bodies.parts != NUCLEUS, reach=reach_px(grown_px))[rows, columns]
    away = np.floor(np.sqrt(squares.astype(np.float64)) * SUBPIXEL).astype(np.int64)
    size = (count + 1) * SECTORS
    top = _maxima(value, bins, size)
    edge = _maxima(away, bins, size)
    peak = _maxima(np.where(deep & (value == top[bins]), away, 0), bins, size)
    stained = top > least_stained(settings)
    half = half_band(mpp, settings)
    place = np.where(stained, peak, edge - half)[bins]
    hematoxylin, dab = (one[rows, columns].astype(np.int64) for one in amounts)
    parts = np.abs(away - place) <= half, away < place - half, away >= 0
    bands = Bands(*(Band(*(_sums(owner[on], one, count) for one in (None, dab[on], hematoxylin[on]))) for on in parts))
    around = np.stack([_maxima(one, owner, count + 1)[1:] for one in (dab, hematoxylin)], axis=1)
    rim = None
    if line is not None:
        level, lines = (_half(_maxima(one[rows, columns].astype(np.int64), bins, size)) for one in (soft, line))
        dark = np.bincount(bodies.cells.ravel(), weights=(soft >= DARK).ravel(), minlength=count + 1)
        rim = Rim(level, lines, dark[1:].astype(np.int64))
    return OutlineStain(stretches(top, stained), bands, np.maximum(highest, around), rim)


def _half(top: Whole) -> Whole:
    """Level that half of the stretches of cells 1..n reach; 0 where there is none."""
    top = top.reshape(-1, SECTORS)[1:]
    present = (top > ABSENT).sum(axis=1)
    if top.shape[0] == 0:
        return np.zeros(0, np.int64)
    rank = np.maximum(-(-present // 2), 1)
    level = np.take_along_axis(np.sort(top, axis=1), SECTORS - rank[:, None], axis=1)[:, 0]
    return np.where(present > 0, level, 0)


def reach_px(grown_px: int) -> int:
    """How far a pixel of a cell may lie from its nucleus, px: the corners of octagons lie farthest.

    Farther than ``_FARTHEST_PX`` distances are not told apart, since their squares are kept in 16 bits.
    """
    return min(math.isqrt(5 * grown_px * grown_px // 4) + 1, _FARTHEST_PX)


def half_band(mpp: float, settings: CellSettings) -> int:
    """Half the membrane's width in sixteenths of a pixel."""
    return round(SUBPIXEL / 2 * settings.membrane_um / mpp)


def least_stained(settings: CellSettings) -> int:
    """Level, thousandths, above which a stretch is stained."""
    return round(settings.membrane_od * MILLI)


def fixed_point_centroid(middle: NDArray[np.float64]) -> NDArray[np.int32]:
    """Centroids in whole parts of a pixel, int32 (n + 1, 2), with a place for label 0 before them.

    Halves go to the even side, so that pictures turned or cut in another place agree.
    """
    out = np.zeros((middle.shape[0] + 1, 2), np.int32)
    out[1:] = np.rint(np.nan_to_num(middle) * PARTS)
    return out


def stretches(top: Whole, stained: NDArray[np.bool_]) -> Sectors:
    """Sum stretches up: their highest values (``ABSENT`` where there is none) and whether they are stained.

    Those of cells 0..n stand one after the other; nothing is told of cell 0.
    """
    top, stained = top.reshape(-1, SECTORS)[1:], stained.reshape(-1, SECTORS)[1:]
    there = top > ABSENT
    levels, present = np.where(there, top, 0), there.sum(axis=1)
    return Sectors(
        present, levels.sum(axis=1), stained.sum(axis=1), (levels * stained).sum(axis=1), _partial(top, present)
    )


def _partial(top: Whole, present: Whole) -> Whole:
    if top.shape[0] == 0:
        return np.zeros(0, np.int64)
    rank = np.maximum(-(-PARTIAL_FIFTHS * present // 5), 1)
    level = np.take_along_axis(np.sort(top, axis=1), SECTORS - rank[:, None], axis=1)[:, 0]
    return np.where(present > 0, level, 0)


def away_from_border(square_px: NDArray[np.integer], mpp: float) -> NDArray[np.bool_]:
    """Tell whether a squared distance from a cell's outermost pixels, px^2, is out of reach of a neighbour's stain."""
    deep: NDArray[np.bool_] = np.sqrt(square_px) * mpp > _SHARED_UM - 1e-6
    return deep


def _deep(cells: Labels, mpp: float) -> NDArray[np.bool_]:
    from scipy import ndimage

    edge = inner_boundary(cells)
    if not edge.any():  # one cell everywhere: no neighbour
        return np.ones(cells.shape, bool)
    return away_from_border(np.rint(ndimage.distance_transform_edt(~edge) ** 2).astype(np.int64), mpp)


def _sector(rows: NDArray[np.intp], columns: NDArray[np.intp], middle: NDArray[np.int32]) -> Whole:
    """Stretch 0-15 of each pixel around ``middle``; stretches are centred on the axes.

    It is told in one octant and mirrored, so that a picture that is turned or mirrored is cut in the same places.
    """
    across, down = columns * PARTS - middle[:, 0], rows * PARTS - middle[:, 1]
    low, high = np.minimum(np.abs(across), np.abs(down)), np.maximum(np.abs(across), np.abs(down))
    part = np.sum([low * SLOPE_UNIT > slope * high for slope in (FIRST_SLOPE, SECOND_SLOPE)], axis=0)
    part = np.where(np.abs(down) > np.abs(across), SECTORS // 4 - part, part)
    part = np.where(across < 0, SECTORS // 2 - part, part)
    return np.where(down < 0, SECTORS - part, part) % SECTORS


def _maxima(values: Whole, bins: NDArray[np.integer], size: int) -> Whole:
    out = np.full(size, ABSENT, np.int64)
    np.maximum.at(out, bins, values)
    return out


def _sums(owner: NDArray[np.integer], values: Whole | None, count: int) -> Whole:
    # whole numbers below 2^53 stay exact in bincount's floats
    return np.bincount(owner, weights=values, minlength=count + 1)[1:].astype(np.int64)
