"""Histograms of each object and of its surroundings; see :mod:`biomarkers.cells.outline`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.outline import BINS, HALF_PERCENT, NOWHERE, SKIRT_PERCENT, STEP, Histograms


def histograms(
    reach: Labels, objects: Labels, core: NDArray[np.bool_], soft: NDArray[np.int16], *, count: int
) -> Histograms:
    """Levels inside and around each object; see :func:`biomarkers.cells.outline.histograms`."""
    table = np.zeros((count + 1, 2, BINS), np.int32)
    _count(reach, objects, core.view(np.uint8), soft, table)
    return Histograms(table[:, 0], table[:, 1])


def cuts(counts: Histograms, *, least_px: float) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Level of the outline and contrast of each object; see :func:`biomarkers.cells.outline.cuts`."""
    at, contrast = np.empty(len(counts.inside), np.int16), np.empty(len(counts.inside), np.int64)
    _place(counts.inside, counts.around, least_px, at, contrast)
    return at, contrast


def above(reach: Labels, soft: NDArray[np.int16], cuts: NDArray[np.int16]) -> Labels:
    """Keep the pixels of each label at or above its own cut; see :func:`biomarkers.cells.outline.above`."""
    out = np.empty(reach.shape, np.int32)
    _cut(reach, soft, cuts, out)
    return out


@numba.njit(cache=True, nogil=True)
def _count(reach, objects, core, soft, table):  # type: ignore[no-untyped-def]
    for y in range(reach.shape[0]):
        for x in range(reach.shape[1]):
            label = reach[y, x]
            if label == 0:
                continue
            outside = objects[y, x] == 0
            if outside or core[y, x]:
                level = min(max(np.int32(soft[y, x]), np.int32(0)) // STEP, np.int32(BINS - 1))
                table[label, np.uint8(outside), level] += 1


@numba.njit(cache=True, nogil=True)
def _cut(reach, soft, cuts, out):  # type: ignore[no-untyped-def]
    for y in range(reach.shape[0]):
        for x in range(reach.shape[1]):
            label = reach[y, x]
            out[y, x] = label if soft[y, x] >= cuts[label] else 0


@numba.njit(cache=True, nogil=True)
def _place(inside, around, least_px, at, contrast):  # type: ignore[no-untyped-def]
    for k in range(at.size):
        own, other = _quantile(inside[k], 1, 2), _quantile(around[k], 1, 4)
        floor = SKIRT_PERCENT * _quantile(inside[k], 1, 1)
        dark = 0
        for level in range(BINS):
            if 100 * level * STEP >= floor:
                dark += inside[k, level]
        contrast[k] = own - other
        at[k] = other + HALF_PERCENT * (own - other) // 100 if dark >= least_px else NOWHERE
    at[0] = NOWHERE


@numba.njit(cache=True, nogil=True)
def _quantile(counts, numerator, denominator):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for level in range(counts.size):
        total += counts[level]
    if total == 0:
        return 0
    rank, running, level = (total - 1) * numerator // denominator, np.int64(0), 0
    while running + counts[level] <= rank:
        running += counts[level]
        level += 1
    return level * STEP
