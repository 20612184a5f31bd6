"""Basins become nuclei: neighbours are merged where one ellipse describes both better than two, the best first."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.basins import ROOM_BITS
from biomarkers.seg.grow import Labels
from biomarkers.seg.moments import fit, label_moments

LEVELS = 64.0  # heights are 64 times squared pixels: weights that sum to 4, and 16 of the smoothing


class Borders(NamedTuple):
    """Pairs of touching basins (lower number first), sorted, and the highest pass between each pair."""

    pairs: NDArray[np.int32]  # (m, 2)
    passes: NDArray[np.int32]  # (m,)


class BasinRegions(NamedTuple):
    """Basins 0..n (0 is nothing).

    ``whole`` and ``core`` are pixels and sums of x, y, x^2, y^2, x*y over the basin and over the part of it that lies
    in the strict mask, int64 (n + 1, 6); ``tops`` the height of the highest pixel.
    """

    whole: NDArray[np.int64]
    core: NDArray[np.int64]
    tops: NDArray[np.int32]
    borders: Borders


@dataclass(frozen=True)
class MergeRule:
    """When two neighbours are one nucleus; lengths in pixels.

    The gain of a merger is ``fit`` times how much better one ellipse fits both than two fit them apart, plus ``neck``
    times how far the pass between them (as a share of the lower top) lies above ``open_neck``, plus ``flat_bonus``
    where the pass lies within ``flat_px`` of the lower top, plus ``small_bonus`` where one is smaller than
    ``small_px2``. It is made where the gain is above 0 and both together are no larger than ``most_px2``.
    """

    most_px2: float
    fit: float
    neck: float
    open_neck: float
    flat_px: float
    flat_bonus: float
    small_px2: float
    small_bonus: float

    def numbers(self) -> tuple[float, ...]:
        """Return all values in order."""
        return (
            self.most_px2,
            self.fit,
            self.neck,
            self.open_neck,
            self.flat_px,
            self.flat_bonus,
            self.small_px2,
            self.small_bonus,
        )


def describe(
    labels: Labels, height: NDArray[np.int32], core: NDArray[np.bool_], *, tops: NDArray[np.int32]
) -> BasinRegions:
    """Sum up basins and find their borders.

    Parameters
    ----------
    labels, height
        Basins 1..n and the surface they were found on, int32 (rows + 2, columns + 2): both have a frame.
    core
        bool (rows, columns): the strict mask.
    tops
        See :func:`biomarkers.seg.basins.basins`.

    Returns
    -------
    Basins that share a side of a pixel are neighbours; a pass is the lower of the two pixels' heights.
    """
    inner = labels[1:-1, 1:-1]
    level = height >> ROOM_BITS
    names, passes = [], []
    for here, there in (
        (np.s_[1:-1, 1:-2], np.s_[1:-1, 2:-1]),
        (np.s_[1:-2, 1:-1], np.s_[2:-1, 1:-1]),
    ):
        one, other = labels[here].astype(np.int64), labels[there].astype(np.int64)
        touch = (one != other) & (one > 0) & (other > 0)
        names.append((np.minimum(one, other)[touch] << 32) + np.maximum(one, other)[touch])
        passes.append(np.minimum(level[here], level[there])[touch])
    name, where = np.unique(np.concatenate(names), return_inverse=True)
    highest = np.zeros(name.size, np.int32)
    np.maximum.at(highest, where, np.concatenate(passes))
    pairs = np.stack([name >> 32, name & 0xFFFFFFFF], axis=1).astype(np.int32)
    count = tops.size - 1
    whole, strict = (label_moments(one, count).T for one in (inner, inner * core))
    return BasinRegions(whole, strict, level.ravel()[tops], Borders(pairs, highest))


def merge(regions: BasinRegions, *, rule: MergeRule) -> NDArray[np.int32]:
    """Merge neighbours, the pair with the largest gain first, until no pair gains.

    Returns
    -------
    int32 (n + 1,): the lowest number of the basins that each belongs together with.
    """
    whole, core = list(regions.whole), list(regions.core)
    tops = list(np.sqrt(regions.tops / LEVELS))
    near: list[dict[int, float]] = [{} for _ in tops]
    for (a, b), height in zip(regions.borders.pairs.tolist(), regions.borders.passes.tolist(), strict=True):
        near[a][b] = near[b][a] = float(np.sqrt(height / LEVELS))
    into, ages = list(range(len(tops))), [0] * len(tops)

    def offered(a: int, b: int) -> tuple[float, int, int, int, int]:
        return -gain(a, b, near[a][b], whole, core, tops, rule), a, b, ages[a], ages[b]

    heap = [offer for a, others in enumerate(near) for b in others if a < b and (offer := offered(a, b))[0] < 0]
    heapq.heapify(heap)
    while heap:
        _, a, b, age_a, age_b = heapq.heappop(heap)
        if ages[a] != age_a or ages[b] != age_b:
            continue
        into[b], ages[a], ages[b] = a, ages[a] + 1, -1
        whole[a], core[a], tops[a] = whole[a] + whole[b], core[a] + core[b], max(tops[a], tops[b])
        for other, gap in near[b].items():
            del near[other][b]
            if other != a:
                near[a][other] = near[other][a] = max(gap, near[a].get(other, gap))
        for other in near[a]:
            offer = offered(min(a, other), max(a, other))
            if offer[0] < 0:
                heapq.heappush(heap, offer)
    for a, other in enumerate(into):
        into[a] = into[other]  # lower numbers are final already
    return np.array(into, np.int32)


def gain(
    a: int,
    b: int,
    gap: float,
    whole: list[NDArray[np.int64]],
    core: list[NDArray[np.int64]],
    tops: list[float],
    rule: MergeRule,
) -> float:
    """Tell how much is gained by making one of two neighbours; ``gap`` is the height of the pass between them, px."""
    size_a, size_b = float(core[a][0]), float(core[b][0])
    if size_a == 0 or size_b == 0 or size_a + size_b > rule.most_px2:
        return -1.0
    both = max(fit(whole[a] + whole[b]), fit(core[a] + core[b]))
    fit_a, fit_b = (max(fit(whole[one]), fit(core[one])) for one in (a, b))
    apart = (fit_a * size_a + fit_b * size_b) / (size_a + size_b)
    low = min(tops[a], tops[b])
    gained = rule.fit * (both - apart) + rule.neck * (gap / max(low, 1e-6) - rule.open_neck)
    if low - gap < rule.flat_px:
        gained += rule.flat_bonus
    if min(size_a, size_b) < rule.small_px2:
        gained += rule.small_bonus
    return float(gained)
