"""Plain versions of what is done piece by piece: distances, seeds, connected pieces, holes, quantiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels

SIXTEENTH = 16.0  # distances are held as whole sixteenths of a pixel


def sixteenths(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Euclidean distance of each pixel of a mask to the nearest pixel outside it, whole sixteenths of a pixel."""
    from scipy import ndimage

    return np.floor(ndimage.distance_transform_edt(mask) * SIXTEENTH).astype(np.int32)


def dome_seeds(distance: NDArray[np.int32], *, depth: int) -> Labels:
    """Label the tops of a distance that stand out by more than a depth.

    Parameters
    ----------
    distance
        int32 (rows, columns), 0 outside the objects and beyond the border.
    depth
        In the unit of the distance, at least 1.

    Returns
    -------
    int32 labels: the regional maxima (of eight neighbours) of the h-maxima transform (Soille P. Morphological Image
    Analysis, 2nd ed., 2004, ch. 6).
    """
    from scipy import ndimage
    from skimage.morphology import local_maxima, reconstruction

    domes = reconstruction(np.maximum(distance - depth, 0), distance)
    tops = local_maxima(np.pad(domes, 1), connectivity=2)[1:-1, 1:-1]
    seeds, _ = ndimage.label(tops & (distance > 0), np.ones((3, 3)))
    return seeds.astype(np.int32)


def solid(mask: NDArray[np.bool_], *, hole_px: float) -> NDArray[np.bool_]:
    """Fill holes of at most ``hole_px`` pixels and take off threads one pixel wide."""
    from scipy import ndimage

    holes, _ = ndimage.label(~mask)
    small = np.bincount(holes.ravel()) <= hole_px
    small[0] = False
    opened: NDArray[np.bool_] = ndimage.binary_opening(mask | small[holes], ndimage.generate_binary_structure(2, 1))
    return opened


def largest_pieces(labels: Labels, *, pixel_um2: float, least_um2: float, most_um2: float) -> Labels:
    """Keep the largest piece of each label when its area lies within the limits; new numbers in reading order."""
    from skimage.measure import label

    pieces = label(labels, connectivity=1, background=0)
    size = np.bincount(pieces.ravel())
    owner = np.zeros(size.size, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    largest = np.zeros(int(labels.max()) + 1, np.int64)
    np.maximum.at(largest, owner, size * (owner > 0))
    area = size * pixel_um2
    keep = (owner > 0) & (size == largest[owner]) & (area >= least_um2) & (area <= most_um2)
    return (np.cumsum(keep) * keep).astype(np.int32)[pieces]


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


def without_skirt(labels: Labels, values: NDArray[np.int32], *, percent: int) -> Labels:
    """Take off the pixels of each label whose value lies below a percentage of the label's highest one."""
    peak = quantile(values, labels, numerator=1, denominator=1)
    return np.where(100 * values >= percent * peak[labels], labels, 0).astype(np.int32)
