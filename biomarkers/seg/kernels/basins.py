"""Basins of a surface: every pixel goes with the highest of its neighbours; see :mod:`biomarkers.seg.basins`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.basins import BEND_BITS, MOST_BEND, MOST_LEVEL, ROOM_BITS
from biomarkers.seg.grow import Labels


def surface(
    fine: NDArray[np.int16],
    coarse: NDArray[np.int16],
    soft: NDArray[np.int16],
    bend: NDArray[np.int16],
    *,
    weights: tuple[int, int],
) -> NDArray[np.int32]:
    """Height of each pixel; see :func:`biomarkers.seg.basins.surface`."""
    out = np.empty((fine.shape[0] + 2, fine.shape[1] + 2), np.int32)
    lines = np.zeros((3, fine.shape[1] + 2), np.int32)
    _raise(fine, coarse, soft, bend, weights[0], weights[1], lines, out)
    return out


def basins(height: NDArray[np.int32]) -> tuple[Labels, NDArray[np.int32]]:
    """Label the basins of a framed surface; see :func:`biomarkers.seg.basins.basins`."""
    goal, labels = np.empty(height.shape, np.uint32), np.empty(height.shape, np.int32)
    tops = np.empty(height.size + 1, np.int32)
    _highest(height, goal)
    _climb(goal.ravel())
    count = _number(height.ravel(), goal.ravel(), tops, labels.ravel())
    return labels, tops[: count + 1]


@numba.njit(cache=True, nogil=True)
def _raise(fine, coarse, soft, bend, one, two, lines, out):  # type: ignore[no-untyped-def]
    """Weighted squares smoothed by 1-2-1 both ways; contrast and bend of the pixel have the last word."""
    rows, columns = fine.shape
    out[0], out[rows + 1], out[:, 0], out[:, columns + 1] = 0, 0, 0, 0
    for y in range(rows + 1):
        if y < rows:
            line = lines[y % 3]
            for x in range(columns):
                line[x + 1] = np.int32(fine[y, x]) * one + np.int32(coarse[y, x]) * two
        else:
            lines[y % 3][:] = 0
        if y == 0:
            continue
        a, b, c = lines[(y - 2) % 3] if y > 1 else lines[2], lines[(y - 1) % 3], lines[y % 3]
        for x in range(columns):
            up = a[x] + 2 * a[x + 1] + a[x + 2]
            here = b[x] + 2 * b[x + 1] + b[x + 2]
            down = c[x] + 2 * c[x + 1] + c[x + 2]
            level = min(max(np.int32(soft[y - 1, x]), np.int32(0)), np.int32(MOST_LEVEL)) + np.int32(1)
            last = min(max(np.int32(bend[y - 1, x]) + np.int32((MOST_BEND + 1) // 2), np.int32(0)), np.int32(MOST_BEND))
            whole = ((up + np.int32(2) * here + down) << ROOM_BITS) + (level << BEND_BITS) + last
            out[y, x + 1] = whole if coarse[y - 1, x] > 0 else np.int32(0)


@numba.njit(cache=True, nogil=True)
def _highest(h, goal):  # type: ignore[no-untyped-def]
    """Place of the highest of the nine pixels around; of equal ones the pixel itself, then the first."""
    rows, columns = h.shape
    up = np.int32(-columns)
    down = np.int32(columns)
    one = np.int32(1)
    for y in range(rows):
        for x in range(columns):
            goal[y, x] = y * columns + x
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            best, step = h[y, x], np.int32(0)
            near = h[y - 1, x - 1]
            step = up - one if near > best else step
            best = max(best, near)
            near = h[y - 1, x]
            step = up if near > best else step
            best = max(best, near)
            near = h[y - 1, x + 1]
            step = up + one if near > best else step
            best = max(best, near)
            near = h[y, x - 1]
            step = -one if near > best else step
            best = max(best, near)
            near = h[y, x + 1]
            step = one if near > best else step
            best = max(best, near)
            near = h[y + 1, x - 1]
            step = down - one if near > best else step
            best = max(best, near)
            near = h[y + 1, x]
            step = down if near > best else step
            best = max(best, near)
            near = h[y + 1, x + 1]
            step = down + one if near > best else step
            goal[y, x] += np.uint32(step if h[y, x] > 0 else np.int32(0))


@numba.njit(cache=True, nogil=True)
def _climb(goal):  # type: ignore[no-untyped-def]
    """Let each pixel go where its goal goes, in reading order and against it, until all are at a top."""
    size, further = np.uint32(goal.size), np.uint32(1)
    while further != 0:
        for place in range(size):
            goal[place] = goal[goal[place]]
        further = np.uint32(0)
        for steps in range(size):
            at = size - np.uint32(1) - steps
            near = goal[at]
            far = goal[near]
            goal[at] = far
            further |= near ^ far


@numba.njit(cache=True, nogil=True)
def _number(height, goal, tops, labels):  # type: ignore[no-untyped-def]
    """Tell the numbers of tops, then of the pixels that go there; only what tops have is read meanwhile."""
    found = np.int32(0)
    tops[0] = 0
    for place in range(goal.size):
        top = (goal[place] == np.uint32(place)) & (height[place] > 0)
        tops[found + 1] = place
        found += np.int32(top)
        labels[place] = found if top else np.int32(0)
    for place in range(goal.size):
        labels[place] = labels[goal[place]]
    return found
