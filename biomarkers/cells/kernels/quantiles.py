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
    count = (int(labels.max()) + 1) if size is None else size
    values, labels = np.ascontiguousarray(values).ravel(), np.ascontiguousarray(labels).ravel()
    if numerator == denominator:
        out = np.full(count, np.iinfo(np.int64).min)
        _highest(values, labels, out)
        out[out == np.iinfo(np.int64).min] = 0
        return out
    ends = np.zeros(count + 1, np.int64)
    _count(labels, ends[1:])
    np.cumsum(ends, out=ends)
    held, out = np.empty(ends[-1], np.int32), np.zeros(count, np.int64)
    _put_together(values, labels, ends[:-1].copy(), held)
    _ranked(held, ends, out, numerator, denominator)
    return out


def without_skirt(labels: Labels, values: NDArray[np.int32], *, percent: int) -> Labels:
    """Take off each label's low pixels; see :func:`biomarkers.cells.pieces.without_skirt`."""
    flat, levels = np.ascontiguousarray(labels).ravel(), np.ascontiguousarray(values).ravel()
    peak, out = np.full(int(flat.max()) + 1, np.iinfo(np.int64).min), np.empty_like(flat)
    _highest(levels, flat, peak)
    _keep_high(levels, flat, peak, percent, out)
    return out.reshape(labels.shape)


@numba.njit(cache=True, nogil=True)
def _keep_high(values, labels, peak, percent, out):  # type: ignore[no-untyped-def]
    for k in range(labels.size):
        label = labels[k]
        out[k] = label if label != 0 and 100 * np.int64(values[k]) >= percent * peak[label] else 0


@numba.njit(cache=True, nogil=True)
def _highest(values, labels, out):  # type: ignore[no-untyped-def]
    for k in range(labels.size):
        label = labels[k]
        if label != 0:
            out[label] = max(out[label], values[k])


@numba.njit(cache=True, nogil=True)
def _count(labels, out):  # type: ignore[no-untyped-def]
    for k in range(labels.size):
        out[labels[k]] += labels[k] != 0


@numba.njit(cache=True, nogil=True)
def _put_together(values, labels, place, held):  # type: ignore[no-untyped-def]
    for k in range(labels.size):
        label = labels[k]
        if label != 0:
            held[place[label]] = values[k]
            place[label] += 1


@numba.njit(cache=True, nogil=True)
def _ranked(held, ends, out, numerator, denominator):  # type: ignore[no-untyped-def]
    """Value of a rank (0 = lowest) within each label by quickselect in place."""
    for label in range(1, out.size):
        low, high = ends[label], ends[label + 1] - 1
        if high < low:
            continue
        rank = low + (high - low) * numerator // denominator
        while low < high:
            pivot = held[(low + high) // 2]
            left, right = low, high
            while left <= right:
                while held[left] < pivot:
                    left += 1
                while held[right] > pivot:
                    right -= 1
                if left <= right:
                    held[left], held[right] = held[right], held[left]
                    left += 1
                    right -= 1
            if rank <= right:
                high = right
            elif rank >= left:
                low = left
            else:
                break
        out[label] = held[rank]
