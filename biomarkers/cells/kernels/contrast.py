"""What makes nuclei stand out, pixel by pixel; see :mod:`biomarkers.cells.contrast`, :mod:`biomarkers.cells.nuclei`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.contrast import ABOVE_CAP, CAP, DAB_WEIGHT, HEMATOXYLIN_WEIGHT, MOST_ABOVE, SHEET_OD


def together(hematoxylin: NDArray[np.int16], dab: NDArray[np.int16]) -> NDArray[np.int16]:
    """Both stains in one; see :func:`biomarkers.cells.contrast.together`."""
    out = np.empty(dab.shape, np.int16)
    _together(hematoxylin, dab, out)
    return out


def mixed(
    hematoxylin: NDArray[np.int16], dab: NDArray[np.int16], compact: NDArray[np.int16], sheet: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Weigh both stains; see :func:`biomarkers.cells.contrast.mixed`."""
    out = np.empty(dab.shape, np.int16)
    _mix(hematoxylin, dab, compact, sheet, out)
    return out


def masks_of(
    fine: NDArray[np.int16], coarse: NDArray[np.int16], soft: NDArray[np.int16], *, levels: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Compare with three levels; see :func:`biomarkers.cells.nuclei.masks_of`."""
    core, mask = (np.empty(fine.shape, np.uint8) for _ in range(2))
    _compare(fine, coarse, soft, *(np.int16(one) for one in levels), core, mask)
    return core.view(np.bool_), mask.view(np.bool_)


@numba.njit(cache=True, nogil=True)
def _together(hematoxylin, dab, out):  # type: ignore[no-untyped-def]
    zero = np.int16(0)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = max(hematoxylin[y, x], zero) + max(dab[y, x], zero)


@numba.njit(cache=True, nogil=True)
def _mix(hematoxylin, dab, compact, sheet, out):  # type: ignore[no-untyped-def]
    zero = np.int32(0)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            inside = min(max(np.int32(dab[y, x]), zero), max(np.int32(compact[y, x]), zero))
            inside = max(inside - np.int32(2) * max(np.int32(sheet[y, x]) - np.int32(SHEET_OD), zero), zero)
            blue = max(np.int32(hematoxylin[y, x]), zero)
            both = (np.int32(HEMATOXYLIN_WEIGHT) * blue + np.int32(DAB_WEIGHT) * inside) >> 8
            above = min((max(both - np.int32(CAP), zero) * np.int32(ABOVE_CAP)) >> 8, np.int32(MOST_ABOVE))
            out[y, x] = min(both, np.int32(CAP)) + above


@numba.njit(cache=True, nogil=True)
def _compare(fine, coarse, soft, least, solid, more, core, mask):  # type: ignore[no-untyped-def]
    for y in range(fine.shape[0]):
        for x in range(fine.shape[1]):
            dense = soft[y, x] > least
            strict = dense & ((fine[y, x] > 0) | (soft[y, x] > solid))
            core[y, x] = strict
            mask[y, x] = strict | (dense & (coarse[y, x] > more))
