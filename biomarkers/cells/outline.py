"""The outline of each nucleus: half way between its own level and its surroundings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels, close_labels, expand
from biomarkers.cells.settings import CellSettings

_REACH_UM = 1.5
_RING_UM = 2.0
_CLOSE_UM = 1.5
_HALF_PERCENT = 40  # the outline lies where contrast has fallen to this share of the nucleus's own


def refine(labels: Labels, soft: NDArray[np.int32], *, mpp: float) -> Labels:
    """Let each nucleus take the pixels around it that are more like it than like its surroundings.

    Parameters
    ----------
    labels
        int32 (rows, columns).
    soft
        Smoothed contrast, thousandths.
    mpp
        Micrometres per pixel of both.

    Returns
    -------
    int32 labels; nothing is lost, and what is gained lies within 1.5 um and above 40% of the way from the
    surroundings (lower quartile) to the nucleus (median).
    """
    if not labels.any():
        return labels
    reach = expand(labels, steps=max(1, round(_REACH_UM / mpp)))
    inside = quantile(soft, labels, numerator=1, denominator=2)
    around = quantile(soft, np.where(labels == 0, reach, 0), numerator=1, denominator=4)
    cut = around * 100 + _HALF_PERCENT * (inside - around)
    gained = np.where(100 * soft.astype(np.int64) >= cut[reach], reach, 0)
    return np.where(labels > 0, labels, gained).astype(np.int32)


def contrast_of(labels: Labels, soft: NDArray[np.int32], *, mpp: float) -> NDArray[np.int64]:
    """Median of each label 0..n less the lower quartile of its surroundings within 2 um, thousandths."""
    around = np.where(labels == 0, expand(labels, steps=max(1, round(_RING_UM / mpp))), 0)
    inside = quantile(soft, labels, numerator=1, denominator=2)
    return inside - quantile(soft, around, numerator=1, denominator=4, size=inside.size)


def tidy(labels: Labels, *, mpp: float, settings: CellSettings, any_size: bool = False) -> Labels:
    """Keep the largest piece of each label when its area is a nucleus's, and close its bites.

    ``any_size`` lets objects above the largest nucleus through (they may still be split).
    """
    from skimage.measure import label

    pieces = label(labels, connectivity=1, background=0)
    size = np.bincount(pieces.ravel())
    owner = np.zeros(size.size, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    largest = np.zeros(int(labels.max()) + 1, np.int64)
    np.maximum.at(largest, owner, size * (owner > 0))
    keep = (owner > 0) & (size == largest[owner]) & (size * mpp**2 >= settings.min_nucleus_um2)
    if not any_size:
        keep &= size * mpp**2 <= settings.max_nucleus_um2
    numbers = (np.cumsum(keep) * keep).astype(np.int32)
    return close_labels(numbers[pieces], steps=round(_CLOSE_UM / mpp))


def fill_holes(labels: Labels) -> Labels:
    """Give each hole that is enclosed by a single label to that label."""
    from scipy import ndimage

    gaps, count = ndimage.label(labels == 0)
    rows = np.s_[1:, :], np.s_[:-1, :], np.s_[:, 1:], np.s_[:, :-1]
    high = np.zeros(count + 1, np.int64)
    low = np.full(count + 1, np.iinfo(np.int64).max)
    for here, there in (rows[:2], rows[1::-1], rows[2:], rows[:1:-1]):
        edge = (gaps[here] > 0) & (labels[there] > 0)
        np.maximum.at(high, gaps[here][edge], labels[there][edge])
        np.minimum.at(low, gaps[here][edge], labels[there][edge])
    for border in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        low[border] = -1  # open to the outside
    owner = np.where(high == low, high, 0)
    owner[0] = 0
    return np.where(labels > 0, labels, owner[gaps]).astype(np.int32)


def quantile(
    values: NDArray[np.int32], labels: Labels, *, numerator: int, denominator: int, size: int | None = None
) -> NDArray[np.int64]:
    """Lower quantile of the values of each label 0..n (a value that occurs); 0 for label 0 and for absent labels."""
    count = (int(labels.max()) + 1) if size is None else size
    flat = np.flatnonzero(labels)
    owner, level = labels.ravel()[flat], values.ravel()[flat]
    order = np.lexsort((level, owner))
    sizes = np.bincount(owner, minlength=count)
    starts = np.cumsum(sizes) - sizes
    rank = starts + (np.maximum(sizes, 1) - 1) * numerator // denominator
    out = np.zeros(count, np.int64)
    there = sizes > 0
    out[there] = level[order][rank[there]]
    return out
