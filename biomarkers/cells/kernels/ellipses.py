"""How well labels are ellipses, and which lie in which; see :mod:`biomarkers.cells.candidates`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.candidates import LARGEST_DISTANCE, fit_of_counts, spread
from biomarkers.cells.grow import Labels


def ellipse_fit(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Overlap with the ellipse of the same moments; see :func:`biomarkers.cells.candidates.ellipse_fit`."""
    labels = np.ascontiguousarray(labels)
    sums = label_moments(labels, int(labels.max()))
    area, sum_x, sum_y = sums[0], sums[1], sums[2]
    var_x, var_y, cov, det = spread(*sums)
    both = np.zeros(area.size, np.int64)
    _inside(labels, area, sum_x, sum_y, var_x, var_y, cov, det, LARGEST_DISTANCE, both)
    return fit_of_counts(both, area, det), area


def parents(coarse: Labels, fine: Labels, area: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each fine label, the coarse one that holds most of it; see :func:`biomarkers.cells.candidates.parents`."""
    leader, votes, shared = np.zeros(area.size, np.int32), np.zeros(area.size, np.int32), np.zeros(area.size, np.int64)
    _vote(np.ascontiguousarray(coarse).ravel(), np.ascontiguousarray(fine).ravel(), leader, votes, shared)
    shared[0] = 0
    return np.where(2 * shared > area, leader, 0).astype(np.int64)


def label_moments(labels: Labels, count: int) -> NDArray[np.int64]:
    """Pixels, sums of x, y, x^2, y^2 and x*y of labels 0..count (nothing for 0), int64 (6, count + 1)."""
    sums = np.zeros((6, count + 1), np.int64)
    _moments(labels, sums)
    return sums


@numba.njit(cache=True, nogil=True)
def _moments(labels, sums):  # type: ignore[no-untyped-def]
    """Run by run: sums over x of a run have closed forms."""
    rows, columns = labels.shape
    for row in range(rows):
        line = labels[row]
        column = 0
        while column < columns:
            label = line[column]
            start = column
            column += 1
            while column < columns and line[column] == label:
                column += 1
            if label == 0:
                continue
            length, last = np.int64(column - start), np.int64(column - 1)
            sum_x = length * (start + last) // 2
            sums[0, label] += length
            sums[1, label] += sum_x
            sums[2, label] += length * row
            sums[3, label] += _squares(last) - _squares(np.int64(start) - 1)
            sums[4, label] += length * row * row
            sums[5, label] += sum_x * row


@numba.njit(cache=True, nogil=True)
def _squares(last):  # type: ignore[no-untyped-def]
    """Return the sum of the squares of 0..last."""
    return last * (last + 1) * (2 * last + 1) // 6


@numba.njit(cache=True, nogil=True)
def _inside(labels, area, sum_x, sum_y, var_x, var_y, cov, det, most, out):  # type: ignore[no-untyped-def]
    """Count the pixels of each label that lie in its ellipse."""
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            label = labels[row, column]
            if label != 0:
                size = area[label]
                dx, dy = (column * size - sum_x[label]) / size, (row * size - sum_y[label]) / size
                squares = var_y[label] * (dx * dx) + var_x[label] * (dy * dy)
                out[label] += (squares - 2 * cov[label] * (dx * dy)) / det[label] <= most


@numba.njit(cache=True, nogil=True)
def _vote(coarse, fine, leader, votes, shared):  # type: ignore[no-untyped-def]
    """Vote (Boyer and Moore): only a label that holds more than half can survive; then it is counted."""
    for k in range(fine.size):
        child, parent = fine[k], coarse[k]
        if child != 0:
            if votes[child] == 0:
                leader[child] = parent
            votes[child] += 1 if leader[child] == parent else -1
    for k in range(fine.size):
        shared[fine[k]] += leader[fine[k]] == coarse[k]
