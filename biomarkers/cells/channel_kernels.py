"""Passes over a multichannel image, compiled: geometry once, then sums and maxima of every cell for each channel."""

from __future__ import annotations

import numba
import numpy as np

SECTORS = 16  # the outline is judged in stretches of 22.5 degrees around the nucleus's centroid
NUCLEUS = SECTORS  # slots of a cell: its stretches, its nucleus, and the rim that a neighbour may shine into
RIM = SECTORS + 1
SLOTS = SECTORS + 2


@numba.njit(cache=True, nogil=True)
def centroids(labels: np.ndarray, count: int) -> np.ndarray:  # pragma: no cover  (compiled)
    """Sum of x, sum of y and number of pixels of each label 1..count, int64 (count + 1, 3)."""
    out = np.zeros((count + 1, 3), np.int64)
    for row in range(labels.shape[0]):
        line = labels[row]
        for column in range(line.size):
            label = line[column]
            if label > 0:
                out[label, 0] += column
                out[label, 1] += row
                out[label, 2] += 1
    return out


@numba.njit(cache=True, nogil=True)
def slots(
    nuclei: np.ndarray, cells: np.ndarray, middle: np.ndarray, rim: int, top: int, bottom: int, out: np.ndarray
) -> None:  # pragma: no cover  (compiled)
    """Give each pixel of rows ``top`` to ``bottom`` its slot: ``label * SLOTS + slot``, -1 outside cells.

    ``middle`` holds (x, y) of the nuclei; a pixel with another cell or none within ``rim`` pixels along an axis lies
    in the rim.
    """
    height, width = cells.shape
    for row in range(top, bottom):
        for column in range(width):
            label = cells[row, column]
            if label <= 0:
                out[row, column] = -1
                continue
            if nuclei[row, column] == label:
                out[row, column] = label * SLOTS + NUCLEUS
                continue
            inner = True
            for step in range(1, rim + 1):
                if (
                    (row >= step and cells[row - step, column] != label)
                    or (row + step < height and cells[row + step, column] != label)
                    or (column >= step and cells[row, column - step] != label)
                    or (column + step < width and cells[row, column + step] != label)
                ):
                    inner = False
                    break
            if not inner:
                out[row, column] = label * SLOTS + RIM
                continue
            angle = np.arctan2(row - middle[label, 1], column - middle[label, 0])
            # stretches are centred on the axes, so no pixel of a symmetric cell lies on a boundary
            sector = int(np.floor(angle / (2 * np.pi) * SECTORS + 0.5)) % SECTORS
            out[row, column] = label * SLOTS + sector


@numba.njit(cache=True, nogil=True)
def measure(
    plane: np.ndarray, where: np.ndarray, sums: np.ndarray, highest: np.ndarray, largest: np.ndarray
) -> None:  # pragma: no cover  (compiled)
    """Add up one channel.

    Parameters
    ----------
    plane
        (y, x) pixels of any type.
    where
        Slots, int32 (y, x).
    sums
        float64 ((count + 1) * SLOTS,), added to.
    highest
        float64 ((count + 1) * SLOTS,), at first -inf: largest value of the channel smoothed by 1-2-1 on both axes.
    largest
        float64 (count + 1,), at first -inf: largest single pixel of the cell.
    """
    height, width = plane.shape
    for row in range(height):
        above, here, below = plane[max(row - 1, 0)], plane[row], plane[min(row + 1, height - 1)]
        line = where[row]
        for column in range(width):
            slot = line[column]
            if slot < 0:
                continue
            value = np.float64(here[column])
            sums[slot] += value
            label = slot // SLOTS
            largest[label] = max(largest[label], value)
            if slot - label * SLOTS < SECTORS:
                left, right = max(column - 1, 0), min(column + 1, width - 1)
                soft = (
                    np.float64(above[left]) + 2.0 * above[column] + above[right]
                    + 2.0 * (np.float64(here[left]) + 2.0 * here[column] + here[right])
                    + np.float64(below[left]) + 2.0 * below[column] + below[right]
                ) / 16.0  # fmt: skip
                highest[slot] = max(highest[slot], soft)


@numba.njit(cache=True, nogil=True)
def count_slots(where: np.ndarray, sizes: np.ndarray) -> None:  # pragma: no cover  (compiled)
    """Count the pixels of each slot into ``sizes``, int64 ((count + 1) * SLOTS,)."""
    for row in range(where.shape[0]):
        line = where[row]
        for column in range(line.size):
            if line[column] >= 0:
                sizes[line[column]] += 1


@numba.njit(cache=True, nogil=True)
def add_up(plane: np.ndarray, where: np.ndarray, sums: np.ndarray) -> None:  # pragma: no cover  (compiled)
    """Add the pixels of one channel to ``sums``, float64 (count + 1,), by the slots of :func:`slots`."""
    for row in range(plane.shape[0]):
        here, line = plane[row], where[row]
        for column in range(line.size):
            if line[column] >= 0:
                sums[line[column] // SLOTS] += here[column]
