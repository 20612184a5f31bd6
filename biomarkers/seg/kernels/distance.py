"""Squared distance to the nearest pixel outside a mask, as far as a reach; see :mod:`biomarkers.seg.pieces`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


def squared_edt(mask: NDArray[np.bool_], *, reach: int) -> NDArray[np.int16]:
    """Squared distances, px^2; see :func:`biomarkers.seg.pieces.squared_edt`."""
    out = np.empty(mask.shape, np.int16)
    squares_within(mask, reach, out)
    return out


def squares_type(reach: int) -> type[Any]:
    """Smallest type that holds squared distances up to a reach, and what is compared with them on the way."""
    return np.uint8 if reach * reach + (reach - 1) ** 2 <= np.iinfo(np.uint8).max else np.int16


def squares_within(mask: NDArray[np.bool_], reach: int, out: NDArray[Any]) -> None:
    """Write squared distances, px^2, into whole numbers of any type that holds them."""
    columns = mask.shape[1]
    gaps = np.full(columns, reach, out.dtype)
    # a row of squares with room on both sides, so that no step leads outside
    line = np.full(columns + 2 * reach, reach * reach, out.dtype)
    _squares(np.ascontiguousarray(mask).view(np.uint8), reach, gaps, line, out)


@numba.njit(cache=True, nogil=True)
def _squares(mask, reach, gaps, line, out):  # type: ignore[no-untyped-def]
    """Distances along columns, downwards and back up; then the lowest sum of squares along each row.

    Steps along a row go outwards, as far as anything of the row may still gain.
    """
    rows, kind = out.shape[0], out.dtype.type
    for y in range(rows):
        _downwards(mask[y], gaps, kind(reach), out[y])
    for y in range(rows - 1, -1, -1):
        target = out[y]
        most = np.int64(_upwards(target, gaps))
        _squared(gaps, line[reach : reach + gaps.size], target)
        step = 1
        while step < reach and step < most:
            left, right = line[reach - step :], line[reach + step :]
            _nearer(left, right, kind(step * step), target)
            step += 1


@numba.njit(cache=True, nogil=True)
def _downwards(mask, gaps, most, target):  # type: ignore[no-untyped-def]
    kind = target.dtype.type
    for x in range(target.size):
        gap = min(kind(gaps[x] + kind(1)), most)
        gap = gap if mask[x] else kind(0)
        gaps[x] = gap
        target[x] = gap


@numba.njit(cache=True, nogil=True)
def _upwards(target, gaps):  # type: ignore[no-untyped-def]
    """Leave the distance along the column in ``gaps``; return the largest of the row."""
    kind = gaps.dtype.type
    most = kind(0)
    for x in range(target.size):
        gaps[x] = min(target[x], kind(gaps[x] + kind(1)))
    for x in range(target.size):
        most = max(most, gaps[x])
    return most


@numba.njit(cache=True, nogil=True)
def _squared(gaps, middle, target):  # type: ignore[no-untyped-def]
    kind = gaps.dtype.type
    for x in range(target.size):
        square = kind(gaps[x] * gaps[x])
        middle[x] = square
        target[x] = square


@numba.njit(cache=True, nogil=True)
def _nearer(left, right, square, target):  # type: ignore[no-untyped-def]
    kind = target.dtype.type
    for x in range(target.size):
        target[x] = min(target[x], kind(min(left[x], right[x]) + square))
