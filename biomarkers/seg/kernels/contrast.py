"""What makes nuclei stand out, pixel by pixel; see :mod:`biomarkers.seg.contrast`, :mod:`biomarkers.seg.nuclei`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.contrast import ABOVE_CAP, CAP, DAB_WEIGHT, HEMATOXYLIN_WEIGHT, MOST_ABOVE, SHEET_OD

_BLUE, _BROWN, _FULL = np.uint16(HEMATOXYLIN_WEIGHT // 2), np.uint16(DAB_WEIGHT // 2), np.uint16(2**16 - 1)
# from here on nothing changes any more: the part above the soft cap is as large as it may be
_ENOUGH = 128 * (CAP + -(-256 * MOST_ABOVE // ABOVE_CAP))
_MOST_BLUE, _MOST_BROWN = np.int16(-(-_ENOUGH // int(_BLUE))), np.int16(-(-_ENOUGH // int(_BROWN)))


def means(image: NDArray[np.int16], *, factor: int) -> NDArray[np.int16]:
    """Averages of whole squares; see :func:`biomarkers.seg.contrast.means`."""
    if factor == 1:
        return image
    rows, columns = (-(-side // factor) for side in image.shape)
    out = np.empty((rows, columns), np.int16)
    line = np.empty(columns * factor, np.int32)
    _average(image, factor, line, out)
    return out


def total_stain(hematoxylin: NDArray[np.int16], dab: NDArray[np.int16]) -> NDArray[np.int16]:
    """Both stains in one, smoothed; see :func:`biomarkers.seg.contrast.total_stain`."""
    out = np.empty(dab.shape, np.int16)
    _together(hematoxylin, dab, np.empty((3, dab.shape[1] + 2), np.int16), out)
    return out


def nuclear_signal(
    hematoxylin: NDArray[np.int16], dab: NDArray[np.int16], compact: NDArray[np.int16], sheet: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Weigh both stains; see :func:`biomarkers.seg.contrast.nuclear_signal`."""
    out = np.empty(dab.shape, np.int16)
    _mix(hematoxylin, dab, compact, sheet, out)
    return out


def smoothed_nuclear_signal(
    hematoxylin: NDArray[np.int16],
    dab: NDArray[np.int16],
    compact: NDArray[np.int16],
    sheet: NDArray[np.int16],
    *,
    factor: int,
) -> NDArray[np.int16]:
    """Weigh both stains and smooth; see :func:`biomarkers.seg.contrast.smoothed_nuclear_signal`."""
    out = np.empty(dab.shape, np.int16)
    lines = np.empty((3, dab.shape[1] + 2), np.int16)
    wide = np.empty((2, compact.shape[1] * factor), np.int16)
    _mix_softly(hematoxylin, dab, compact, sheet, factor, wide, lines, out)
    return out


def threshold_masks(
    fine: NDArray[np.int16], coarse: NDArray[np.int16], soft: NDArray[np.int16], *, levels: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Compare with three levels; see :func:`biomarkers.seg.nuclei.threshold_masks`."""
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
    """Weigh and cap in 16 bits: weights in 128ths, amounts cut where the cap has the last word anyway."""
    zero, ground = np.int16(0), np.int16(SHEET_OD)
    for x in range(out.size):
        over = min(np.int16(max(sheet[x], ground) - ground), np.int16(2**14 - 1))
        inside = max(np.int16(min(max(dab[x], zero), max(compact[x], zero)) - np.int16(over + over)), zero)
        blue = np.uint16(_BLUE * np.uint16(min(max(hematoxylin[x], zero), _MOST_BLUE)))
        brown = np.uint16(_BROWN * np.uint16(min(inside, _MOST_BROWN)))
        both = np.uint16(np.uint16(blue + min(brown, np.uint16(_FULL - blue))) >> np.uint16(7))
        low = min(both, np.uint16(CAP))
        above = np.uint16(np.uint16(np.uint16(both - low) * np.uint16(ABOVE_CAP)) >> np.uint16(8))
        out[x] = np.int16(low + min(above, np.uint16(MOST_ABOVE)))


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
