"""What makes nuclei stand out, pixel by pixel; see :mod:`biomarkers.cells.contrast`, :mod:`biomarkers.cells.nuclei`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.contrast import ABOVE_CAP, CAP, DAB_WEIGHT, HEMATOXYLIN_WEIGHT, MOST_ABOVE, SHEET_OD


def means(image: NDArray[np.int16], *, factor: int) -> NDArray[np.int16]:
    """Averages of whole squares; see :func:`biomarkers.cells.contrast.means`."""
    if factor == 1:
        return image
    rows, columns = (-(-side // factor) for side in image.shape)
    out = np.empty((rows, columns), np.int16)
    line = np.empty(columns * factor, np.int32)
    _average(image, factor, line, out)
    return out


def together(hematoxylin: NDArray[np.int16], dab: NDArray[np.int16]) -> NDArray[np.int16]:
    """Both stains in one, smoothed; see :func:`biomarkers.cells.contrast.together`."""
    out = np.empty(dab.shape, np.int16)
    _together(hematoxylin, dab, np.empty((3, dab.shape[1] + 2), np.int16), out)
    return out


def mixed(
    hematoxylin: NDArray[np.int16], dab: NDArray[np.int16], compact: NDArray[np.int16], sheet: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Weigh both stains; see :func:`biomarkers.cells.contrast.mixed`."""
    out = np.empty(dab.shape, np.int16)
    _mix(hematoxylin, dab, compact, sheet, out)
    return out


def softened(
    hematoxylin: NDArray[np.int16],
    dab: NDArray[np.int16],
    compact: NDArray[np.int16],
    sheet: NDArray[np.int16],
    *,
    factor: int,
) -> NDArray[np.int16]:
    """Weigh both stains and smooth; see :func:`biomarkers.cells.contrast.softened`."""
    out = np.empty(dab.shape, np.int16)
    lines = np.empty((3, dab.shape[1] + 2), np.int16)
    wide = np.empty((2, compact.shape[1] * factor), np.int16)
    _mix_softly(hematoxylin, dab, compact, sheet, factor, wide, lines, out)
    return out


def masks_of(
    fine: NDArray[np.int16], coarse: NDArray[np.int16], soft: NDArray[np.int16], *, levels: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Compare with three levels; see :func:`biomarkers.cells.nuclei.masks_of`."""
    core, mask = (np.empty(fine.shape, np.uint8) for _ in range(2))
    _compare(fine, coarse, soft, *(np.int16(one) for one in levels), core, mask)
    return core.view(np.bool_), mask.view(np.bool_)


@numba.njit(cache=True, nogil=True)
def _average(image, factor, line, out):  # type: ignore[no-untyped-def]
    """Sum rows first, then columns; the loops over two columns or three are made for themselves."""
    last, size = image.shape[0] - 1, image.shape[1]
    area = np.int32(factor * factor)
    half = area // np.int32(2)
    for y in range(out.shape[0]):
        first = image[min(y * factor, last)]
        for x in range(size):
            line[x] = first[x]
        for row in range(1, factor):
            further = image[min(y * factor + row, last)]
            for x in range(size):
                line[x] += np.int32(further[x])
        for x in range(size, line.size):
            line[x] = line[size - 1]
        target = out[y]
        if factor == 2:
            for x in range(target.size):
                target[x] = (line[2 * x] + line[2 * x + 1] + np.int32(2)) >> 2
            continue
        for x in range(target.size):
            total = half
            for column in range(factor):
                total += line[x * factor + column]
            target[x] = total // area


@numba.njit(cache=True, nogil=True)
def _together(hematoxylin, dab, lines, out):  # type: ignore[no-untyped-def]
    zero = np.int16(0)
    rows, columns = out.shape
    for y in range(rows + 1):
        if y < rows:
            line, blue, brown = lines[y % 3], hematoxylin[y], dab[y]
            for x in range(columns):
                line[x + 1] = max(blue[x], zero) + max(brown[x], zero)
            line[0], line[columns + 1] = line[1], line[columns]
        if y > 0:
            _soften(lines[max(y - 2, 0) % 3], lines[(y - 1) % 3], lines[min(y, rows - 1) % 3], out[y - 1])


@numba.njit(cache=True, nogil=True)
def _soften(up, here, down, out):  # type: ignore[no-untyped-def]
    """Smooth one row by 1-2-1 both ways; the lines reach one pixel further on both sides."""
    two = np.int32(2)
    for x in range(out.size):
        left = np.int32(up[x]) + two * np.int32(here[x]) + np.int32(down[x])
        middle = np.int32(up[x + 1]) + two * np.int32(here[x + 1]) + np.int32(down[x + 1])
        right = np.int32(up[x + 2]) + two * np.int32(here[x + 2]) + np.int32(down[x + 2])
        out[x] = (left + two * middle + right + np.int32(8)) >> 4


@numba.njit(cache=True, nogil=True)
def _mix(hematoxylin, dab, compact, sheet, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        _mix_line(hematoxylin[y], dab[y], compact[y], sheet[y], out[y])


@numba.njit(cache=True, nogil=True)
def _mix_line(hematoxylin, dab, compact, sheet, out):  # type: ignore[no-untyped-def]
    zero = np.int32(0)
    for x in range(out.size):
        inside = min(max(np.int32(dab[x]), zero), max(np.int32(compact[x]), zero))
        inside = max(inside - np.int32(2) * max(np.int32(sheet[x]) - np.int32(SHEET_OD), zero), zero)
        blue = max(np.int32(hematoxylin[x]), zero)
        both = (np.int32(HEMATOXYLIN_WEIGHT) * blue + np.int32(DAB_WEIGHT) * inside) >> 8
        above = min((max(both - np.int32(CAP), zero) * np.int32(ABOVE_CAP)) >> 8, np.int32(MOST_ABOVE))
        out[x] = min(both, np.int32(CAP)) + above


@numba.njit(cache=True, nogil=True)
def _mix_softly(hematoxylin, dab, compact, sheet, factor, wide, lines, out):  # type: ignore[no-untyped-def]
    rows, columns = out.shape
    for y in range(rows + 1):
        if y < rows:
            if y % factor == 0:
                _repeat(compact[y // factor], factor, wide[0])
                _repeat(sheet[y // factor], factor, wide[1])
            line = lines[y % 3]
            _mix_line(hematoxylin[y], dab[y], wide[0, :columns], wide[1, :columns], line[1 : columns + 1])
            line[0], line[columns + 1] = line[1], line[columns]
        if y > 0:
            _soften(lines[max(y - 2, 0) % 3], lines[(y - 1) % 3], lines[min(y, rows - 1) % 3], out[y - 1])


@numba.njit(cache=True, nogil=True)
def _repeat(line, factor, out):  # type: ignore[no-untyped-def]
    if factor == 2:
        for x in range(line.size):
            out[2 * x] = line[x]
            out[2 * x + 1] = line[x]
        return
    for x in range(line.size):
        for column in range(factor):
            out[x * factor + column] = line[x]


@numba.njit(cache=True, nogil=True)
def _compare(fine, coarse, soft, least, solid, more, core, mask):  # type: ignore[no-untyped-def]
    for y in range(fine.shape[0]):
        for x in range(fine.shape[1]):
            dense = soft[y, x] > least
            strict = dense & ((fine[y, x] > 0) | (soft[y, x] > solid))
            core[y, x] = strict
            mask[y, x] = strict | (dense & (coarse[y, x] > more))
