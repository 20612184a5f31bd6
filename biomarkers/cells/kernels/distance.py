"""Squared distance to the nearest pixel outside a mask, as far as a reach; see :mod:`biomarkers.cells.pieces`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def near_squares(mask: NDArray[np.bool_], *, reach: int) -> NDArray[np.int16]:
    """Squared distances, px^2; see :func:`biomarkers.cells.pieces.near_squares`."""
    rows, columns = mask.shape
    out = np.empty((rows, columns), np.int16)
    # a row of squares with room on both sides, so that no step leads outside
    line = np.full(columns + 2 * reach, reach * reach, np.int16)
    _gaps(np.ascontiguousarray(mask).view(np.uint8), reach, out)
    _along_rows(out, reach, line)
    return out


@numba.njit(cache=True, nogil=True)
def _gaps(mask, reach, out):  # type: ignore[no-untyped-def]
    """Distance to the nearest background in the same column, at most ``reach``."""
    rows, columns = mask.shape
    most = np.int16(reach)
    for x in range(columns):
        out[0, x] = most if mask[0, x] else 0
    for y in range(1, rows):
        for x in range(columns):
            out[y, x] = min(np.int16(out[y - 1, x] + 1), most) if mask[y, x] else np.int16(0)
    for y in range(rows - 2, -1, -1):
        for x in range(columns):
            out[y, x] = min(out[y, x], np.int16(out[y + 1, x] + 1))


@numba.njit(cache=True, nogil=True)
def _along_rows(out, reach, line):  # type: ignore[no-untyped-def]
    """Lowest sum of squares over the row, step by step outwards, as far as anything of the row may still gain."""
    rows, columns = out.shape
    for y in range(rows):
        target = out[y]
        most = np.int16(0)
        for x in range(columns):
            line[reach + x] = np.int16(target[x] * target[x])
            target[x] = line[reach + x]
            most = max(most, target[x])
        step = 1
        while step < reach and step * step < most:
            _nearer(target, line, reach, step)
            step += 1


@numba.njit(cache=True, nogil=True)
def _nearer(target, line, reach, step):  # type: ignore[no-untyped-def]
    left, right = line[reach - step : reach - step + target.size], line[reach + step : reach + step + target.size]
    square = np.int16(step * step)
    for x in range(target.size):
        target[x] = min(target[x], np.int16(min(left[x], right[x]) + square))
