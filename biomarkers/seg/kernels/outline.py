"""Histograms of each object and of its surroundings; see :mod:`biomarkers.seg.outline`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import Labels
from biomarkers.seg.outline import AROUND, BINS, HALF_PERCENT, NOWHERE, SKIRT_PERCENT, STEP, Histograms


def histograms(
    reach: Labels, objects: Labels, core: NDArray[np.bool_], soft: NDArray[np.int16], *, count: int
) -> Histograms:
    """Levels inside and around each object; see :func:`biomarkers.seg.outline.histograms`."""
    table = np.zeros((count + 1, 2, BINS), np.int32)
    _count(reach, objects, core.view(np.uint8), soft, np.empty(soft.shape[1], np.uint32), table.reshape(-1))
    table[0] = 0
    return Histograms(table[:, 0], table[:, 1])


def cuts(counts: Histograms, *, least_px: float) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Level of the outline and contrast of each object; see :func:`biomarkers.seg.outline.cuts`."""
    at, contrast = np.empty(len(counts.inside), np.int16), np.empty(len(counts.inside), np.int64)
    _place(counts.inside, counts.around, least_px, at, contrast)
    return at, contrast


@numba.njit(cache=True, nogil=True)
def _count(reach, objects, core, soft, place, table):  # type: ignore[no-untyped-def]
    """Reckon where each pixel of a row is counted, then count; what is not counted goes to label 0."""
    for y in range(reach.shape[0]):
        label, inside, strict, here = reach[y], objects[y], core[y], soft[y]
        for x in range(place.size):
            level = min(max(np.int32(here[x]), np.int32(0)) // np.int32(STEP), np.int32(BINS - 1))
            around = np.int32(BINS) if inside[x] == 0 else np.int32(0)
            counted = label[x] if (inside[x] == 0) | (strict[x] != 0) else np.int32(0)
            place[x] = np.uint32(np.int32(2 * BINS) * counted + around + level)
        for x in range(place.size):
            table[place[x]] += np.int32(1)


@numba.njit(cache=True, nogil=True)
def _place(inside, around, least_px, at, contrast):  # type: ignore[no-untyped-def]
    for k in range(at.size):
        counts = inside[k]
        own, other = _quantile(counts, 1, 2), _quantile(around[k], 1, AROUND)
        peak = BINS - 1
        while peak > 0 and counts[peak] == 0:
            peak -= 1
        dark = 0
        for level in range((SKIRT_PERCENT * peak + 99) // 100, peak + 1):
            dark += counts[level]
        contrast[k] = own - other
        at[k] = other + HALF_PERCENT * (own - other) // 100 if dark >= least_px else NOWHERE
    at[0] = NOWHERE


@numba.njit(cache=True, nogil=True)
def _quantile(counts, numerator, denominator):  # type: ignore[no-untyped-def]
    total = np.int32(0)
    for level in range(counts.size):
        total += counts[level]
    if total == 0:
        return 0
    rank, running, level = (total - 1) * numerator // denominator, np.int32(0), 0
    while running + counts[level] <= rank:
        running += counts[level]
        level += 1
    return level * STEP
