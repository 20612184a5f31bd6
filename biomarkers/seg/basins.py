"""Basins: a surface that is high in the middle of nuclei, and the pixels that go with each of its tops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import Labels

# the last 17 bits of a height tell pixels of equal distance apart: 9 by contrast, then 8 by how it bends
MOST_LEVEL, MOST_BEND = 510, 255
BEND_BITS = 8
ROOM_BITS = 9 + BEND_BITS


def surface(
    fine: NDArray[np.int16],
    coarse: NDArray[np.int16],
    soft: NDArray[np.int16],
    bend: NDArray[np.int16],
    *,
    weights: tuple[int, int],
) -> NDArray[np.int32]:
    """Make a surface of two distances.

    Parameters
    ----------
    fine, coarse
        Squared distances to the outside of the strict and of the generous mask, int16 (rows, columns).
    soft
        Smoothed contrast, thousandths; it decides between pixels of equal distance.
    bend
        How much higher a pixel is than its surroundings; it decides where contrast is equal too, since nothing else
        that is left to decide is the same in a turned image.
    weights
        Of ``fine`` and ``coarse``, whole numbers that sum to 4.

    Returns
    -------
    int32 (rows + 2, columns + 2), in a frame of 0: the weighted squares, smoothed by 1-2-1 both ways, above 17 bits for
    what decides between equals; 0 outside the generous mask. Distances are at most 12 px.
    """
    squares = np.pad(weights[0] * fine.astype(np.int32) + weights[1] * coarse.astype(np.int32), 2)
    across = squares[:, :-2] + 2 * squares[:, 1:-1] + squares[:, 2:]
    smoothed = across[:-2] + 2 * across[1:-1] + across[2:]
    level = np.clip(soft, 0, MOST_LEVEL).astype(np.int32) + 1
    level = (level << BEND_BITS) + np.clip(bend.astype(np.int32) + (MOST_BEND + 1) // 2, 0, MOST_BEND)
    out = np.zeros(smoothed.shape, np.int32)
    out[1:-1, 1:-1] = np.where(coarse > 0, (smoothed[1:-1, 1:-1] << ROOM_BITS) + level, 0)
    return out


def basins(height: NDArray[np.int32]) -> tuple[Labels, NDArray[np.int32]]:
    """Give each pixel to the top that is reached by going to the highest of eight neighbours again and again.

    Parameters
    ----------
    height
        int32 (rows, columns), above 0 where there is something, with a frame of 0.

    Returns
    -------
    int32 labels of the same shape, by tops numbered 1..n in reading order; and the place of each top in the flat image,
    int32 (n + 1,), 0 first. Of equal neighbours the first in reading order counts as the highest.
    """
    columns = height.shape[1]
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    place = np.arange(height.size).reshape(height.shape)
    best, target = height.copy(), place.copy()
    for dy, dx in shifts:
        near = np.roll(height, (-dy, -dx), axis=(0, 1))
        higher = near > best
        best, target = np.where(higher, near, best), np.where(higher, place + dy * columns + dx, target)
    goal = np.where(height > 0, target, place).ravel()
    while True:
        further = goal[goal]
        if np.array_equal(further, goal):
            break
        goal = further
    tops = np.flatnonzero((goal == place.ravel()) & (height.ravel() > 0))
    number = np.zeros(height.size, np.int32)
    number[tops] = np.arange(1, tops.size + 1)
    return number[goal].reshape(height.shape), np.concatenate([[0], tops]).astype(np.int32)
