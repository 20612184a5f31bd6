"""Passes over a multichannel image, compiled: where each pixel of a cell lies, then all channels in one pass."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.core.notice import announce_compilation

announce_compilation()

SECTORS = 16  # the outline is judged in stretches of 22.5 degrees around the nucleus's centroid
NUCLEUS = SECTORS  # kinds of a cell's pixels: its stretches 0-15, its nucleus, the rim that a neighbour may shine into
RIM = SECTORS + 1
OUTSIDE = 255
PARTS = 3  # what is summed apart: between nucleus and rim, nucleus, rim
_FIRST, _SECOND = np.tan(np.pi / 16), np.tan(3 * np.pi / 16)  # where the first and second stretch of an octant end


def ready(pixels: NDArray) -> NDArray:
    """Return pixels in this machine's byte order, row by row, of a type that compiled passes read; no copy if so."""
    kind = np.dtype(np.float32) if pixels.dtype == np.float16 else pixels.dtype.newbyteorder("=")
    return np.ascontiguousarray(pixels, dtype=kind)


@numba.njit(cache=True, nogil=True)
def survey(
    nuclei: np.ndarray, cells: np.ndarray, own: np.ndarray, whole: np.ndarray
) -> int:  # pragma: no cover  (compiled)
    """Add up places.

    Parameters
    ----------
    nuclei, cells
        int32 labels (y, x).
    own, whole
        int64 (count + 1, 3), added to: sum of x, sum of y and number of pixels of each nucleus, and of each cell
        (pixels of the nucleus that the map of cells leaves out are the cell's too).

    Returns
    -------
    Number of such pixels.
    """
    missing = 0
    for row in range(nuclei.shape[0]):
        inner, outer = nuclei[row], cells[row]
        for column in range(inner.size):
            nucleus, cell = inner[column], outer[column]
            if nucleus > 0:
                own[nucleus, 0] += column
                own[nucleus, 1] += row
                own[nucleus, 2] += 1
                if cell == 0:
                    cell = nucleus
                    missing += 1
            if cell > 0:
                whole[cell, 0] += column
                whole[cell, 1] += row
                whole[cell, 2] += 1
    return missing


@numba.njit(cache=True, nogil=True)
def kinds(
    nuclei: np.ndarray,
    cells: np.ndarray,
    middle: np.ndarray,
    rim: int,
    top: int,
    bottom: int,
    out: np.ndarray,
    sizes: np.ndarray,
) -> None:  # pragma: no cover  (compiled)
    """Tell what each pixel of rows ``top`` to ``bottom`` is in its cell: a stretch, the nucleus, the rim, or outside.

    ``middle`` holds (x, y) of the nuclei; a pixel with another cell or none within ``rim`` pixels along an axis lies
    in the rim. ``out`` is uint8 (y, x); ``sizes``, int64 (count + 1, PARTS), counts pixels.
    """
    height, width = cells.shape
    for row in range(top, bottom):
        line, inner = cells[row], nuclei[row]
        for column in range(width):
            label = line[column]
            if label <= 0:
                out[row, column] = OUTSIDE
                continue
            if inner[column] == label:
                out[row, column] = NUCLEUS
                sizes[label, 1] += 1
                continue
            edge = False
            for step in range(1, rim + 1):
                if (
                    (row >= step and cells[row - step, column] != label)
                    or (row + step < height and cells[row + step, column] != label)
                    or (column >= step and line[column - step] != label)
                    or (column + step < width and line[column + step] != label)
                ):
                    edge = True
                    break
            if edge:
                out[row, column] = RIM
                sizes[label, 2] += 1
            else:
                out[row, column] = sector(column - middle[label, 0], row - middle[label, 1])
                sizes[label, 0] += 1


@numba.njit(cache=True, nogil=True, inline="always")
def sector(x: float, y: float) -> int:  # pragma: no cover  (compiled)
    """Stretch of a direction, 0-15.

    Stretches are centred on the axes, so that no pixel of a symmetric cell lies on a boundary: the nearest multiple of
    22.5 degrees, found in the first octant and mirrored back.
    """
    wide, tall = abs(x), abs(y)
    low, high = min(wide, tall), max(wide, tall)
    found = 0 if low <= _FIRST * high else (1 if low <= _SECOND * high else 2)
    if tall > wide:
        found = 4 - found
    if x < 0:
        found = 8 - found
    return (SECTORS - found) % SECTORS if y < 0 else found


@numba.njit(cache=True, nogil=True)
def measure(
    planes: np.ndarray,
    raw: np.ndarray,
    cells: np.ndarray,
    where: np.ndarray,
    first: int,
    sums: np.ndarray,
    highest: np.ndarray,
    largest: np.ndarray,
    raw_sums: np.ndarray,
) -> None:  # pragma: no cover  (compiled)
    """Add up some channels, cell by cell, in one pass.

    Parameters
    ----------
    planes
        (c, y, x) pixels of any type.
    raw
        The same before cleaning; with no channels, there is none.
    cells, where
        Labels int32 (y, x) and kinds uint8 (y, x).
    first
        The first channel that is looked at; as many as the arrays below have.
    sums
        float64 (count + 1, PARTS, channels), added to.
    highest
        float32 (count + 1, SECTORS, channels), at first -inf: largest value of the channel smoothed by 1-2-1 on both
        axes.
    largest
        float32 (count + 1, channels), at first -inf: largest single pixel of the cell.
    raw_sums
        float64 (count + 1, channels), added to.
    """
    height, width = cells.shape
    number = sums.shape[2]
    with_raw = raw.shape[0] > 0
    for row in range(height):
        line, kind_line = cells[row], where[row]
        up, down = max(row - 1, 0), min(row + 1, height - 1)
        for column in range(width):
            kind = kind_line[column]
            if kind == OUTSIDE:
                continue
            label = line[column]
            part = 1 if kind == NUCLEUS else (2 if kind == RIM else 0)
            left, right = max(column - 1, 0), min(column + 1, width - 1)
            for k in range(number):
                value = np.float64(planes[first + k, row, column])
                sums[label, part, k] += value
                largest[label, k] = max(largest[label, k], np.float32(value))
                if part == 0:
                    c = first + k
                    soft = (
                        np.float64(planes[c, up, left]) + 2.0 * planes[c, up, column] + planes[c, up, right]
                        + 2.0 * (np.float64(planes[c, row, left]) + 2.0 * value + planes[c, row, right])
                        + np.float64(planes[c, down, left]) + 2.0 * planes[c, down, column] + planes[c, down, right]
                    ) / 16.0  # fmt: skip
                    highest[label, kind, k] = max(highest[label, kind, k], np.float32(soft))
            if with_raw:
                for k in range(number):
                    raw_sums[label, k] += raw[first + k, row, column]


@numba.njit(cache=True, nogil=True)
def outline(
    highest: np.ndarray, stretches: int, mean: np.ndarray, upper: np.ndarray
) -> None:  # pragma: no cover  (compiled)
    """Sum an outline up from its stretches.

    Parameters
    ----------
    highest
        float32 (count, SECTORS, channels), -inf where a stretch has no pixels.
    stretches
        How many of 16 must reach a level; the same share of those that are there.
    mean, upper
        float32 (count, channels), written: mean over the stretches, and the level that so many reach; NaN without any.
    """
    count, of, channels = highest.shape
    ordered = np.empty(of, np.float32)
    for cell in range(count):
        for channel in range(channels):
            there, total = 0, 0.0
            for k in range(of):
                value = highest[cell, k, channel]
                if value == -np.inf:
                    continue
                total += value
                place = there
                while place > 0 and ordered[place - 1] < value:
                    ordered[place] = ordered[place - 1]
                    place -= 1
                ordered[place] = value
                there += 1
            if there == 0:
                mean[cell, channel] = upper[cell, channel] = np.nan
                continue
            mean[cell, channel] = total / there
            upper[cell, channel] = ordered[max(1, -(-there * stretches // of)) - 1]


@numba.njit(cache=True, nogil=True)
def paste(labels: np.ndarray, numbers: np.ndarray, out: np.ndarray) -> None:  # pragma: no cover  (compiled)
    """Write the new numbers of a window's labels into the map, where they have one (above 0)."""
    for row in range(labels.shape[0]):
        line, target = labels[row], out[row]
        for column in range(line.size):
            number = numbers[line[column]]
            if number > 0:
                target[column] = number


@numba.njit(cache=True, nogil=True)
def evidence(
    plane: np.ndarray, low: float, unit: float, most: float, out: np.ndarray
) -> None:  # pragma: no cover  (compiled)
    """Scale a plane to whole thousandths: ``(plane - low) * unit`` between 0 and ``most``, rounded."""
    for row in range(plane.shape[0]):
        line, target = plane[row], out[row]
        for column in range(line.size):
            level = (np.float32(line[column]) - np.float32(low)) * np.float32(unit)
            target[column] = np.int32(np.rint(min(max(level, np.float32(0)), np.float32(most))))


@numba.njit(cache=True, nogil=True)
def between(
    plane: np.ndarray, rows: np.ndarray, columns: np.ndarray, out: np.ndarray
) -> None:  # pragma: no cover  (compiled)
    """Read a float32 plane at fractional rows and columns, linearly; beyond the edge the edge goes on."""
    height, width = plane.shape
    for i in range(rows.size):
        y = min(max(rows[i], 0.0), height - 1.0)
        top = int(y)
        below, fy = min(top + 1, height - 1), y - int(y)
        for j in range(columns.size):
            x = min(max(columns[j], 0.0), width - 1.0)
            left = int(x)
            right, fx = min(left + 1, width - 1), x - int(x)
            upper = plane[top, left] * (1 - fx) + plane[top, right] * fx
            lower = plane[below, left] * (1 - fx) + plane[below, right] * fx
            out[i, j] = np.int32(np.rint(upper * (1 - fy) + lower * fy))


@numba.njit(cache=True, nogil=True)
def nearest(
    labels: np.ndarray, rows: np.ndarray, columns: np.ndarray, out: np.ndarray
) -> None:  # pragma: no cover  (compiled)
    """Read a map at given rows and columns."""
    for i in range(rows.size):
        line, target = labels[rows[i]], out[i]
        for j in range(columns.size):
            target[j] = line[columns[j]]
