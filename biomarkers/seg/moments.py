"""Pixels of labels and their sums of coordinates: whole numbers, so that nothing depends on where a window begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import Labels

PIXEL = 1 / 12  # the spread of a pixel itself


def label_moments(labels: Labels, count: int) -> NDArray[np.int64]:
    """Pixels, sums of x, y, x^2, y^2 and x*y of labels 0..count (nothing for 0), int64 (6, count + 1)."""
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    each = (np.ones_like(rows), columns, rows, columns * columns, rows * rows, columns * rows)
    # whole numbers below 2^53 stay exact in bincount's floats
    return np.stack([np.bincount(owner, weights=one, minlength=count + 1).astype(np.int64) for one in each])


def middles(moments: NDArray[np.int64]) -> NDArray[np.float64]:
    """Centroid (x, y) of each label from its pixels and sums, pixels; NaN where a label has no pixel."""
    size = moments[0]
    lengths = np.maximum(size, 1)
    return np.where(size[:, None] > 0, np.stack([moments[1] / lengths, moments[2] / lengths], axis=1), np.nan)


def centroids(labels: Labels, count: int) -> NDArray[np.float64]:
    """Centroid (x, y) of each label 1..count, pixels; NaN where a label has no pixel."""
    return middles(label_moments(labels, count)[:, 1:])


def axes(moments: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances along the minor and the major axis of each label, px^2."""
    size, x, y, xx, yy, xy = moments
    square = np.maximum(size, 1).astype(np.float64) ** 2
    var_x, var_y = (size * xx - x * x) / square + PIXEL, (size * yy - y * y) / square + PIXEL
    cov = (size * xy - x * y) / square
    middle, swing = (var_x + var_y) / 2, np.sqrt(((var_x - var_y) / 2) ** 2 + cov**2)
    return np.maximum(middle - swing, 0), middle + swing


def fit(sums: NDArray[np.int64]) -> float:
    """Area over that of the ellipse of the same second moments: 1 for a disc, .95 for a square, less for a pair."""
    size, x, y, xx, yy, xy = (int(one) for one in sums)
    if size == 0:
        return 0.0
    square = float(size) * float(size)
    var_x, var_y = float(size * xx - x * x) / square + PIXEL, float(size * yy - y * y) / square + PIXEL
    cov = float(size * xy - x * y) / square
    return float(float(size) / (4 * np.pi * np.sqrt(max(var_x * var_y - cov * cov, 1e-9))))
