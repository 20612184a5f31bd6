"""The outline of each nucleus: part of the way between its own level and that of its surroundings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.contrast import Contrast, repeated
from biomarkers.seg.grow import Labels
from biomarkers.seg.pieces import Limits, largest_pieces
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.tools import Tools

STEP, BINS = 4, 88  # levels are counted in steps of 4 thousandths; a soft cap keeps them below 350
NOWHERE = 2**14
_REACH_UM = 2.0
_RING_UM = 2.0
AROUND = 3  # surroundings are described by the level that one in three pixels is not above
HALF_PERCENT = 40  # the outline lies where contrast has fallen to this share of the nucleus's own
SKIRT_PERCENT = 30  # pixels paler than this share of the darkest do not count towards the least size


class Histograms(NamedTuple):
    """Pixels by level (thousandths in steps of 4) inside each object 0..n and around it, int32 (n + 1, 88)."""

    inside: NDArray[np.int32]
    around: NDArray[np.int32]


def outlined(
    objects: Labels,
    core: NDArray[np.bool_],
    contrast: Contrast,
    *,
    mpp: float,
    settings: CellSettings,
    tools: Tools,
) -> tuple[Labels, NDArray[np.int64]]:
    """Give each object the outline of its own contrast.

    Parameters
    ----------
    objects
        int32 labels (rows, columns) of the seeking grid, 1..n.
    core
        bool (rows, columns) of the seeking grid: the strict mask; an object is judged by its pixels in it.
    contrast
        At both sizes of pixels.
    mpp
        Micrometres per working pixel.
    settings
        Least and largest area.
    tools
        The steps, plain or fast.

    Returns
    -------
    Labels of the working image, 1..m, as :func:`outlines` gives them: of each object and what lies within 2 um around
    it, the largest piece of what is above 40% of the way from the surroundings (lower third) to the object (median),
    holes filled; and the contrast between the two, thousandths (m + 1,). Objects with too few dark pixels are dropped.
    """
    count, large = int(objects.max(initial=0)), mpp * contrast.factor
    reach = tools.expand(objects, steps=max(1, round(_REACH_UM / large)))
    counts = tools.histograms(reach, objects, core, contrast.softly_sought, count=count)
    cuts, differences = tools.cuts(counts, least_px=settings.min_nucleus_um2 / large**2)
    limits = Limits(mpp**2, settings.min_nucleus_um2, settings.max_nucleus_um2)
    labels, kept = tools.outlines(reach, contrast.soft, cuts, factor=contrast.factor, limits=limits)
    return labels, differences[kept]


def cuts(counts: Histograms, *, least_px: float) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return the level at which the outline of each object 0..n lies, and its contrast, thousandths.

    Objects with fewer than ``least_px`` dark pixels get a level that no pixel reaches.
    """
    own, other = quantile(counts.inside, 1, 2), quantile(counts.around, 1, AROUND)
    peak = quantile(counts.inside, 1, 1)
    dark = np.sum(counts.inside * (100 * np.arange(BINS) * STEP >= SKIRT_PERCENT * peak[:, None]), axis=1)
    at = np.where(dark >= least_px, other + HALF_PERCENT * (own - other) // 100, NOWHERE)
    at[0] = NOWHERE
    return at.astype(np.int16), own - other


def contrast_of(labels: Labels, soft: NDArray[np.int16], *, mpp: float, tools: Tools) -> NDArray[np.int64]:
    """Median of each label 0..n less the lower third of its surroundings within 2 um, thousandths."""
    count = int(labels.max(initial=0))
    reach = tools.expand(labels, steps=max(1, round(_RING_UM / mpp)))
    inside, around = tools.histograms(reach, labels, labels > 0, soft, count=count)
    return quantile(inside, 1, 2) - quantile(around, 1, AROUND)


def histograms(
    reach: Labels, objects: Labels, core: NDArray[np.bool_], soft: NDArray[np.int16], *, count: int
) -> Histograms:
    """Count levels inside objects (where they are core) and in what was added around them."""
    level = np.clip(soft.astype(np.int64), 0, None) // STEP
    place = reach.astype(np.int64) * BINS + np.minimum(level, BINS - 1)
    counted = ((reach > 0) & (objects > 0) & core), (reach > 0) & (objects == 0)
    tables = [np.bincount(place[where], minlength=(count + 1) * BINS).reshape(-1, BINS) for where in counted]
    return Histograms(*(table.astype(np.int32) for table in tables))


def outlines(
    reach: Labels, soft: NDArray[np.int16], cuts: NDArray[np.int16], *, factor: int, limits: Limits
) -> tuple[Labels, NDArray[np.int32]]:
    """Cut each label out of the working image at its own level.

    Parameters
    ----------
    reach
        int32 labels of the seeking grid, 0..n: how far each may reach.
    soft
        Smoothed contrast of the working image, thousandths, int16 (rows, columns).
    cuts
        Level of each label's outline, int16 (n + 1,).
    factor
        Working pixels on one side of a square of the seeking grid.
    limits
        See :func:`biomarkers.seg.pieces.largest_pieces`.

    Returns
    -------
    Labels 1..m (rows, columns) of the largest pieces at or above the level, holes filled, in the order of the labels
    that they come from, int32 (kernels make them int16 where that holds them); and these, int32 (m + 1,), 0 first.
    """
    wide = repeated(reach, factor=factor, shape=soft.shape)
    pieces = largest_pieces(np.where(soft >= cuts[wide], wide, 0).astype(np.int32), limits=limits)
    there = np.bincount(pieces.ravel(), minlength=cuts.size) > 0
    there[0] = True
    return (np.cumsum(there) - 1).astype(np.int32)[pieces], np.flatnonzero(there).astype(np.int32)


def quantile(counts: NDArray[np.int32], numerator: int, denominator: int) -> NDArray[np.int64]:
    """Lower quantile of each row of counts, thousandths; 0 where nothing was counted."""
    running = np.cumsum(counts, axis=1)
    rank = (np.maximum(running[:, -1], 1) - 1) * numerator // denominator
    level = (running <= rank[:, None]).sum(axis=1) * STEP
    return np.where(running[:, -1] > 0, level, 0)
