"""Plain versions of what is done piece by piece: distances, and the largest piece of each label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import Labels


class Limits(NamedTuple):
    """Area of a pixel, and the areas between which a piece must lie, holes not counted, um2."""

    pixel_um2: float
    least_um2: float
    most_um2: float


def squared_edt(mask: NDArray[np.bool_], *, reach: int) -> NDArray[np.int16]:
    """Squared distance of each pixel of a mask to the nearest pixel outside it, px^2.

    Parameters
    ----------
    mask
        bool (rows, columns).
    reach
        Distances above it are not told apart.

    Returns
    -------
    int16 (rows, columns), at most ``reach`` squared; 0 outside the mask. Nothing lies outside the image.
    """
    from scipy import ndimage

    if mask.all():
        return np.full(mask.shape, reach * reach, np.int16)
    squares = np.rint(ndimage.distance_transform_edt(mask) ** 2)
    return np.minimum(squares, reach * reach).astype(np.int16)


def largest_pieces(labels: Labels, *, limits: Limits) -> Labels:
    """Keep the largest piece of each label and what it encloses alone.

    Parameters
    ----------
    labels
        int32 (rows, columns), 0 = none.
    limits
        Areas.

    Returns
    -------
    int32 labels, the numbers as they were. Background (of four neighbours) that touches one kept piece and nothing
    else belongs to it. Of equally large pieces all stay.
    """
    from scipy import ndimage
    from skimage.measure import label

    pieces = label(labels, connectivity=1, background=0)
    size = np.bincount(pieces.ravel())
    name = np.zeros(size.size, np.int64)
    name[pieces.ravel()] = labels.ravel()
    largest = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    np.maximum.at(largest, name, size * (name > 0))
    area = size * limits.pixel_um2
    keep = (name > 0) & (size == largest[name]) & (area >= limits.least_um2) & (area <= limits.most_um2)
    gaps, count = ndimage.label(labels == 0)
    owner = _only_neighbours(gaps, pieces, count)
    whole = np.where(labels > 0, pieces, owner[gaps])
    return np.where(keep, name, 0).astype(np.int32)[whole]


def _only_neighbours(gaps: NDArray[np.int32], pieces: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return for each gap the only piece that it touches, 0 where there are several or the gap reaches the border."""
    rows = np.s_[1:, :], np.s_[:-1, :], np.s_[:, 1:], np.s_[:, :-1]
    high, low = np.zeros(count + 1, np.int64), np.full(count + 1, np.iinfo(np.int64).max)
    for here, there in (rows[:2], rows[1::-1], rows[2:], rows[:1:-1]):
        edge = (gaps[here] > 0) & (pieces[there] > 0)
        np.maximum.at(high, gaps[here][edge], pieces[there][edge])
        np.minimum.at(low, gaps[here][edge], pieces[there][edge])
    for border in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        low[border] = -1  # open to the outside
    owner = np.where(high == low, high, 0)
    owner[0] = 0
    return owner
