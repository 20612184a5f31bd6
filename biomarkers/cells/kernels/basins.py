"""Basins of a surface: every pixel goes with the highest of its neighbours; see :mod:`biomarkers.cells.basins`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.basins import BEND_BITS, MOST_BEND, MOST_LEVEL, ROOM_BITS
from biomarkers.cells.grow import Labels


def surface(
    fine: NDArray[np.int16],
    coarse: NDArray[np.int16],
    soft: NDArray[np.int16],
    bend: NDArray[np.int16],
    *,
    weights: tuple[int, int],
) -> NDArray[np.int32]:
    """Height of each pixel; see :func:`biomarkers.cells.basins.surface`."""
    out = np.zeros((fine.shape[0] + 2, fine.shape[1] + 2), np.int32)
    lines = np.zeros((3, fine.shape[1] + 2), np.int32)
    _raise(fine, coarse, soft, bend, weights[0], weights[1], lines, out)
    return out


def basins(height: NDArray[np.int32]) -> tuple[Labels, int]:
    """Label the basins of a framed surface; see :func:`biomarkers.cells.basins.basins`."""
    labels = np.zeros(height.shape, np.int32)
    move = np.empty(height.shape, np.uint8)
    wide = height.shape[1]
    moves = np.array([-wide - 1, -wide, -wide + 1, -1, 0, 1, wide - 1, wide, wide + 1], np.int64)
    _highest(height, move)
    path = np.empty(height.size, np.int32)
    return labels, int(_follow(height.ravel(), move.ravel(), moves, wide, labels.ravel(), path))


@numba.njit(cache=True, nogil=True)
def _raise(fine, coarse, soft, bend, one, two, lines, out):  # type: ignore[no-untyped-def]
    """Weighted squares smoothed by 1-2-1 both ways; contrast and bend of the pixel have the last word."""
    rows, columns = fine.shape
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
def _highest(h, move):  # type: ignore[no-untyped-def]
    """Which of the nine pixels around is the highest; of equal ones the pixel itself, then the first."""
    rows, columns = h.shape
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            best, code = h[y, x], np.int32(4)
            near = h[y - 1, x - 1]
            code = np.int32(0) if near > best else code
            best = max(best, near)
            near = h[y - 1, x]
            code = np.int32(1) if near > best else code
            best = max(best, near)
            near = h[y - 1, x + 1]
            code = np.int32(2) if near > best else code
            best = max(best, near)
            near = h[y, x - 1]
            code = np.int32(3) if near > best else code
            best = max(best, near)
            near = h[y, x + 1]
            code = np.int32(5) if near > best else code
            best = max(best, near)
            near = h[y + 1, x - 1]
            code = np.int32(6) if near > best else code
            best = max(best, near)
            near = h[y + 1, x]
            code = np.int32(7) if near > best else code
            best = max(best, near)
            near = h[y + 1, x + 1]
            code = np.int32(8) if near > best else code
            best = max(best, near)
            move[y, x] = code


@numba.njit(cache=True, nogil=True)
def _follow(height, move, moves, wide, labels, path):  # type: ignore[no-untyped-def]
    """Go up from each pixel to one that has a label already, or to a top, which gets the next one."""
    found = np.int32(0)
    for place in range(wide, height.size - wide):
        if height[place] == 0 or labels[place] != 0:
            continue
        at = np.int64(place) + moves[move[place]]
        if labels[at] != 0:  # most pixels: the one they point to was met before
            labels[place] = labels[at]
            continue
        path[0] = place
        steps = 1
        while labels[at] == 0 and move[at] != 4:
            path[steps] = at
            steps += 1
            at += moves[move[at]]
        if labels[at] == 0:
            found += np.int32(1)
            labels[at] = found
        label = labels[at]
        for k in range(steps):
            labels[path[k]] = label
    return found
