"""Quantiles of each label by counting: no sorting."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels


def quantile(
    values: NDArray[np.int32], labels: Labels, *, numerator: int, denominator: int, size: int | None = None
) -> NDArray[np.int64]:
    """Lower quantile of each label; see :func:`biomarkers.cells.pieces.quantile`."""
    values, labels = np.ascontiguousarray(values), np.ascontiguousarray(labels)
    count = (int(labels.max()) + 1) if size is None else size
    if numerator == denominator:
        return _highest(values, labels, count)
    return _ranked(values, labels, count, numerator, denominator)


@numba.njit(cache=True, nogil=True)
def _highest(values, labels, count):  # type: ignore[no-untyped-def]
    out = np.zeros(count, np.int64)
    there = np.zeros(count, np.bool_)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            label = labels[row, column]
            if label != 0:
                value = values[row, column]
                out[label] = max(out[label], value) if there[label] else value
                there[label] = True
    return out


@numba.njit(cache=True, nogil=True)
def _ranked(values, labels, count, numerator, denominator):  # type: ignore[no-untyped-def]
    """Values are put together label by label, then counted within each."""
    ends = np.zeros(count + 1, np.int64)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            ends[labels[row, column] + 1] += labels[row, column] != 0
    for label in range(count):
        ends[label + 1] += ends[label]
    place = ends[:-1].copy()
    held = np.empty(ends[count], np.int32)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            label = labels[row, column]
            if label != 0:
                held[place[label]] = values[row, column]
                place[label] += 1
    out = np.zeros(count, np.int64)
    for label in range(1, count):
        if ends[label + 1] > ends[label]:
            own = held[ends[label] : ends[label + 1]]
            out[label] = _of_rank(own, (own.size - 1) * numerator // denominator)
    return out


@numba.njit(cache=True, nogil=True)
def _of_rank(values, rank):  # type: ignore[no-untyped-def]
    """Value of a rank (0 = lowest) by quickselect in place."""
    low, high = 0, values.size - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if rank <= right:
            high = right
        elif rank >= left:
            low = left
        else:
            break
    return values[rank]
