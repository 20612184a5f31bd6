"""The outline of each nucleus: part of the way between its own level and that of its surroundings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.tools import Tools

STEP, BINS = 4, 128  # levels are counted in steps of 4 thousandths; a soft cap keeps them below 350
NOWHERE = 2**14
_REACH_UM = 1.5
_RING_UM = 2.0
HALF_PERCENT = 40  # the outline lies where contrast has fallen to this share of the nucleus's own
SKIRT_PERCENT = 40  # pixels paler than this share of the darkest do not count towards the least size


class Histograms(NamedTuple):
    """Pixels by level (thousandths in steps of 4) inside each object 0..n and around it, int32 (n + 1, 128)."""

    inside: NDArray[np.int32]
    around: NDArray[np.int32]


def outlined(
    objects: Labels,
    soft: NDArray[np.int16],
    core: NDArray[np.bool_],
    *,
    mpp: float,
    settings: CellSettings,
    tools: Tools,
) -> tuple[Labels, NDArray[np.int64]]:
    """Give each object the outline of its own contrast.

    Parameters
    ----------
    objects
        int32 labels (rows, columns), 1..n.
    soft
        Smoothed contrast, thousandths.
    core
        bool (rows, columns): the strict mask; an object is judged by its pixels in it.
    mpp
        Micrometres per pixel.
    settings
        Least and largest area.
    tools
        The steps, plain or fast.

    Returns
    -------
    int32 labels, 1..m: of each object and what lies within 1.5 um around it, the largest piece of what is above 40% of
    the way from the surroundings (lower quartile) to the object (median), holes filled; and the contrast between the
    two, thousandths (m + 1,). Objects with too few dark pixels are dropped.
    """
    count = int(objects.max(initial=0))
    reach = tools.expand(objects, steps=max(1, round(_REACH_UM / mpp)))
    counts = tools.histograms(reach, objects, core, soft, count=count)
    cuts, contrast = tools.cuts(counts, least_px=settings.min_nucleus_um2 / mpp**2)
    found = tools.above(reach, soft, cuts)
    kept = tools.largest_pieces(
        found, pixel_um2=mpp**2, least_um2=settings.min_nucleus_um2, most_um2=settings.max_nucleus_um2
    )
    return kept, contrast


def cuts(counts: Histograms, *, least_px: float) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return the level at which the outline of each object 0..n lies, and its contrast, thousandths.

    Objects with fewer than ``least_px`` dark pixels get a level that no pixel reaches.
    """
    own, other = quantile(counts.inside, 1, 2), quantile(counts.around, 1, 4)
    peak = quantile(counts.inside, 1, 1)
    dark = np.sum(counts.inside * (100 * np.arange(BINS) * STEP >= SKIRT_PERCENT * peak[:, None]), axis=1)
    at = np.where(dark >= least_px, other + HALF_PERCENT * (own - other) // 100, NOWHERE)
    at[0] = NOWHERE
    return at.astype(np.int16), own - other


def contrast_of(labels: Labels, soft: NDArray[np.int16], *, mpp: float, tools: Tools) -> NDArray[np.int64]:
    """Median of each label 0..n less the lower quartile of its surroundings within 2 um, thousandths."""
    count = int(labels.max(initial=0))
    reach = tools.expand(labels, steps=max(1, round(_RING_UM / mpp)))
    inside, around = tools.histograms(reach, labels, labels > 0, soft, count=count)
    return quantile(inside, 1, 2) - quantile(around, 1, 4)


def histograms(
    reach: Labels, objects: Labels, core: NDArray[np.bool_], soft: NDArray[np.int16], *, count: int
) -> Histograms:
    """Count levels inside objects (where they are core) and in what was added around them."""
    level = np.clip(soft.astype(np.int64), 0, None) // STEP
    place = reach.astype(np.int64) * BINS + np.minimum(level, BINS - 1)
    counted = ((reach > 0) & (objects > 0) & core), (reach > 0) & (objects == 0)
    tables = [np.bincount(place[where], minlength=(count + 1) * BINS).reshape(-1, BINS) for where in counted]
    return Histograms(*(table.astype(np.int32) for table in tables))


def above(reach: Labels, soft: NDArray[np.int16], cuts: NDArray[np.int16]) -> Labels:
    """Keep the pixels of each label at or above its own cut."""
    return np.where(soft >= cuts[reach], reach, 0).astype(np.int32)


def quantile(counts: NDArray[np.int32], numerator: int, denominator: int) -> NDArray[np.int64]:
    """Lower quantile of each row of counts, thousandths; 0 where nothing was counted."""
    running = np.cumsum(counts, axis=1)
    rank = (np.maximum(running[:, -1], 1) - 1) * numerator // denominator
    level = (running <= rank[:, None]).sum(axis=1) * STEP
    return np.where(running[:, -1] > 0, level, 0)
