"""The stained outline of each cell: how strong, over how much of it, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels, outermost
from biomarkers.cells.pieces import near_squares
from biomarkers.cells.settings import CellSettings

SECTORS = 16  # the outline is judged in stretches of 22.5 degrees around the nucleus's centroid
# a direction belongs to the next stretch from these slopes on
SLOPES = np.tan(np.radians([11.25, 33.75, 56.25, 78.75])).astype(np.float32)
MILLI = 1000.0
SIXTEENTH = 16.0  # distances from the nucleus are told in whole sixteenths of a pixel
PARTIAL_SHARE = 0.4  # of the outline: from here on staining is partial rather than a neighbour's or a dot
_SHARED_UM = 0.5  # so far the blur of the optics carries a neighbour's membrane into a cell
ABSENT = int(np.iinfo(np.int16).min)


class Band(NamedTuple):
    """Pixels and sums of DAB and hematoxylin (thousandths) of one compartment of cells 1..n."""

    size: NDArray[np.int64]
    dab: NDArray[np.int64]
    hematoxylin: NDArray[np.int64]


@dataclass(frozen=True)
class OutlineStain:
    """Stain along the outline of each cell 1..n, optical density; and what lies on it and inside it.

    ``mean`` is over all stretches, ``stained_mean`` over the stained ones only (NaN where there is none),
    ``completeness`` the share of stretches that are stained, 0-1, ``partial`` the level that two fifths of the
    stretches reach: whatever the cut, at least so much of the outline is stained where the cut lies below it.
    """

    mean: NDArray[np.float64]
    stained_mean: NDArray[np.float64]
    completeness: NDArray[np.float64]
    partial: NDArray[np.float64]
    membrane: Band
    cytoplasm: Band


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
    """Read the stain along the outline of each cell.

    Parameters
    ----------
    soft
        DAB smoothed over 0.35 um, thousandths of optical density (height, width).
    amounts
        Hematoxylin and DAB, thousandths (height, width).
    nuclei, cells
        int32 labels (height, width), the same numbers in both.
    middle
        Centroids (x, y) of the nuclei, px, (n, 2).
    mpp
        Micrometres per pixel.
    settings
        ``membrane_od``, ``membrane_um`` and ``expansion_um``.

    Returns
    -------
    Per stretch, the stain of the outline is the highest value between nucleus and cell border, since the true membrane
    need not lie exactly on the estimated border; the outermost 0.5 um are left out, since a neighbour's membrane shows
    there too (a stretch with nothing else is absent). Where that is stained, the membrane is the band of
    ``membrane_um`` around its place; where it is not, the band inside the estimated border. Cytoplasm is what lies
    between nucleus and membrane.
    """
    count = middle.shape[0]
    rows, columns = np.nonzero((cells > 0) & (nuclei == 0))
    owner = cells[rows, columns]
    bins = owner * SECTORS + _sector(rows, columns, middle[owner - 1])
    deep = _deep(cells, mpp)[rows, columns]
    value = np.where(deep, soft[rows, columns], ABSENT)
    squares = near_squares(nuclei == 0, reach=reach_px(mpp, settings))[rows, columns]
    away = np.floor(np.sqrt(squares.astype(np.float64)) * SIXTEENTH).astype(np.int64)
    size = (count + 1) * SECTORS
    top = _maxima(value, bins, size)
    edge = _maxima(away, bins, size)
    peak = _maxima(np.where(deep & (value == top[bins]), away, 0), bins, size)
    stained = top > round(settings.membrane_od * MILLI)
    half = half_band(mpp, settings)
    place = np.where(stained, peak, edge - half)
    inside = away < place[bins] - half
    on = np.abs(away - place[bins]) <= half
    hematoxylin, dab = (one[rows, columns].astype(np.int64) for one in amounts)
    bands = [
        Band(*(_sums(owner[which], one, count) for one in (None, dab[which], hematoxylin[which])))
        for which in (on, inside)
    ]
    return summary(top, stained, membrane=bands[0], cytoplasm=bands[1])


def reach_px(mpp: float, settings: CellSettings) -> int:
    """How far the outline of a cell may lie from its nucleus, px: the octagon's corners and the working pixel count."""
    return int(1.12 * settings.expansion_um / mpp + 2 * max(1.0, settings.working_mpp / mpp) + 2)


def summary(top: NDArray[np.int64], stained: NDArray[np.bool_], *, membrane: Band, cytoplasm: Band) -> OutlineStain:
    """Sum the stretches of each cell up: highest value (``ABSENT`` where there is none) and whether it is stained."""
    top, stained = top.reshape(-1, SECTORS)[1:], stained.reshape(-1, SECTORS)[1:]
    present = top > ABSENT
    levels = np.where(present, top, 0)
    return OutlineStain(
        mean=_ratio(levels.sum(axis=1), present.sum(axis=1)) / MILLI,
        stained_mean=_ratio((levels * stained).sum(axis=1), stained.sum(axis=1)) / MILLI,
        completeness=np.nan_to_num(_ratio(stained.sum(axis=1), present.sum(axis=1))),
        partial=_partial(top, present.sum(axis=1)),
        membrane=membrane,
        cytoplasm=cytoplasm,
    )


def _partial(top: NDArray[np.int64], present: NDArray[np.int64]) -> NDArray[np.float64]:
    """Level of the weakest of the stretches that make up two fifths of the outline; 0 where there is none."""
    if top.shape[0] == 0:
        return np.zeros(0)
    rank = np.maximum(np.ceil(PARTIAL_SHARE * present - 1e-9).astype(np.int64), 1)
    level = np.take_along_axis(np.sort(top, axis=1), SECTORS - rank[:, None], axis=1)[:, 0]
    return np.where(present > 0, level, 0) / MILLI


def half_band(mpp: float, settings: CellSettings) -> float:
    """Half the membrane's width in sixteenths of a pixel."""
    return SIXTEENTH / 2 * settings.membrane_um / mpp


def is_deep(square_px: NDArray[np.integer], mpp: float) -> NDArray[np.bool_]:
    """Tell whether a squared distance from a cell's outermost pixels, px^2, is out of reach of a neighbour's stain."""
    deep: NDArray[np.bool_] = np.sqrt(square_px) * mpp > _SHARED_UM - 1e-6
    return deep


def _deep(cells: Labels, mpp: float) -> NDArray[np.bool_]:
    from scipy import ndimage

    edge = outermost(cells)
    if not edge.any():  # one cell everywhere: no neighbour
        return np.ones(cells.shape, bool)
    return is_deep(np.rint(ndimage.distance_transform_edt(~edge) ** 2).astype(np.int64), mpp)


def _sector(rows: NDArray[np.intp], columns: NDArray[np.intp], middle: NDArray[np.float64]) -> NDArray[np.int64]:
    """Stretch 0-15 of each pixel; stretches are centred on the axes, so no pixel ever lies on a boundary."""
    across, down = (columns - middle[:, 0]).astype(np.float32), (rows - middle[:, 1]).astype(np.float32)
    part = np.sum(np.abs(down)[:, None] > SLOPES * np.abs(across)[:, None], axis=1)
    part = np.where(across < 0, SECTORS // 2 - part, part)
    return np.where(down < 0, SECTORS - part, part) % SECTORS


def _maxima(values: NDArray[np.int64] | NDArray[np.int32], bins: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    out = np.full(size, ABSENT, np.int64)
    np.maximum.at(out, bins, values)
    return out


def _ratio(total: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Quotient, NaN where nothing was counted."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _sums(owner: Labels, values: NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
    # whole numbers below 2^53 stay exact in bincount's floats
    return np.bincount(owner, weights=values, minlength=count + 1)[1:].astype(np.int64)
