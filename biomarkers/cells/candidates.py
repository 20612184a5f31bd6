"""Which of several partitions is right, nucleus by nucleus: the one whose pieces are better ellipses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.tools import Tools

_THOUSAND = 1000
PREFER_WHOLE = 30  # thousandths by which pieces must fit better than the whole
_UNIFORM_ELLIPSE = 4.0  # squared Mahalanobis distance of the edge of a uniformly filled ellipse
_ROUNDING = 1e-9
LARGEST_DISTANCE = _UNIFORM_ELLIPSE + _ROUNDING


def ellipse_fit(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tell how well each label is an ellipse.

    Parameters
    ----------
    labels
        int32 (rows, columns), 1..n.

    Returns
    -------
    For labels 0..n: the overlap (intersection over union, in whole thousandths) of the object with the ellipse
    of the same centroid and second moments, and its area in pixels. Sums are of whole numbers, so the values are the
    same wherever the object lies and however it is turned.
    """
    count = int(labels.max())
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    sums = label_moments(labels, count)
    area, sum_x, sum_y = sums[0], sums[1], sums[2]
    var_x, var_y, cov, det = spread(*sums)
    # central coordinates times the area: whole numbers
    x = columns * area[owner] - sum_x[owner]
    y = rows * area[owner] - sum_y[owner]
    dx, dy = x / np.maximum(area, 1)[owner], y / np.maximum(area, 1)[owner]
    squares = var_y[owner] * (dx * dx) + var_x[owner] * (dy * dy)
    distance = (squares - 2 * cov[owner] * (dx * dy)) / det[owner]
    both = np.bincount(owner, weights=distance <= LARGEST_DISTANCE, minlength=count + 1).astype(np.int64)
    return fit_of_counts(both, area, det), area


def label_moments(labels: Labels, count: int) -> NDArray[np.int64]:
    """Pixels, sums of x, y, x^2, y^2 and x*y of labels 0..count (nothing for 0), int64 (6, count + 1)."""
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    each = (np.ones_like(rows), columns, rows, columns * columns, rows * rows, columns * rows)
    return np.stack([_sums(owner, values, count) for values in each])


def spread(
    area: NDArray[np.int64],
    sum_x: NDArray[np.int64],
    sum_y: NDArray[np.int64],
    sum_xx: NDArray[np.int64],
    sum_yy: NDArray[np.int64],
    sum_xy: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the variances along x and y, the covariance and their determinant from sums over pixels, px^2, px^4."""
    xx = area * sum_xx - sum_x**2
    yy = area * sum_yy - sum_y**2
    xy = area * sum_xy - sum_x * sum_y
    scale = np.maximum(area, 1).astype(np.float64) ** 2
    pixel = 1 / 12  # the spread of a pixel itself
    var_x, var_y, cov = xx / scale + pixel, yy / scale + pixel, xy / scale
    return var_x, var_y, cov, np.maximum(var_x * var_y - cov**2, 1e-9)


def fit_of_counts(both: NDArray[np.int64], area: NDArray[np.int64], det: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the overlap of object and ellipse in thousandths from the pixels that lie in both; 0 for label 0."""
    ellipse = _UNIFORM_ELLIPSE * np.pi * np.sqrt(det)
    fit = np.floor(_THOUSAND * both / np.maximum(area + ellipse - both, 1) + _ROUNDING).astype(np.int64)
    fit[0] = 0
    return fit


def choose(levels: Sequence[Labels], *, least_px: float, most_px: float, tools: Tools) -> Labels:
    """Choose, for each object of a coarse partition, between itself and its pieces in the finer ones.

    Parameters
    ----------
    levels
        Label images of one shape, from the coarsest to the finest.
    least_px, most_px
        Area of a nucleus, px. An object above ``most_px`` is never chosen; pieces that together are below ``least_px``
        do not replace their object.
    tools
        The steps, plain or fast.

    Returns
    -------
    int32 labels. An object gives way when the area-weighted mean fit of its pieces (those that lie in it by more than
    half), lowered where they leave more than a tenth of it uncovered, exceeds its own.
    """
    fits, areas = zip(*(tools.ellipse_fit(level) for level in levels), strict=True)
    own = [np.where(area > most_px, -1, fit) for fit, area in zip(fits, areas, strict=True)]
    parents = [
        tools.parents(coarse, fine, area) for coarse, fine, area in zip(levels, levels[1:], areas[1:], strict=False)
    ]
    value = [fit.copy() for fit in own]
    stays = [np.ones(fit.size, bool) for fit in own]
    for k in range(len(levels) - 1, 0, -1):
        pieces = np.bincount(parents[k - 1], weights=areas[k], minlength=own[k - 1].size).astype(np.int64)
        weighted = np.bincount(parents[k - 1], weights=areas[k] * value[k], minlength=own[k - 1].size).astype(np.int64)
        mean = weighted // np.maximum(pieces, 1)
        covered = np.minimum(10 * pieces, 9 * areas[k - 1])
        gives_way = (mean * covered > (own[k - 1] + PREFER_WHOLE) * (9 * areas[k - 1])) & (pieces >= max(least_px, 1))
        stays[k - 1] = ~gives_way
        value[k - 1] = np.where(gives_way, mean, own[k - 1])
    return _painted(levels, own, parents, stays)


def _painted(
    levels: Sequence[Labels],
    own: Sequence[NDArray[np.int64]],
    parents: Sequence[NDArray[np.int64]],
    stays: Sequence[NDArray[np.bool_]],
) -> Labels:
    """Draw the chosen objects, coarse ones first; a finer one takes only what is left."""
    out = np.zeros(levels[0].shape, np.int32)
    found = 0
    open_ = np.ones(own[0].size, bool)  # objects none of whose ancestors was chosen
    for k, level in enumerate(levels):
        if k:
            above = parents[k - 1]
            open_ = (above == 0) | (open_[above] & ~stays[k - 1][above])
        chosen = open_ & stays[k] & (own[k] >= 0)
        chosen[0] = False
        numbers = np.where(chosen, np.cumsum(chosen) + found, 0).astype(np.int32)
        found += int(chosen.sum())
        out = np.where(out == 0, numbers[level], out)
    return out


def parents(coarse: Labels, fine: Labels, area: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each fine label, the coarse one that holds more than half of it, or 0."""
    wide = int(coarse.max()) + 1
    pairs, shared = np.unique(fine.astype(np.int64) * wide + coarse, return_counts=True)
    child, parent = pairs // wide, pairs % wide
    most = 2 * shared > area[child]
    out = np.zeros(area.size, np.int64)
    out[child[most]] = parent[most]
    out[0] = 0
    return out


def _sums(owner: NDArray[np.int32], values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    # whole numbers below 2^53 stay exact in bincount's floats
    return np.bincount(owner, weights=values, minlength=count + 1).astype(np.int64)
