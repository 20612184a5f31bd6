"""From a rank test to an interval: the shifts at which the rank statistic leaves its null quantiles.

The statistic is a falling step function of the shift that jumps at pairwise differences (or means). Without ties among
the ranks the limits are order statistics of these; with ties the statistic is evaluated at each of them, as R's
``wilcox.exact`` does, and where it stays on one side of a quantile at every one of them the limit is the outermost
point: beyond that all values lie on one side, and the test rejects unless the sample is too small for its level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from biomarkers.stats._checks import Array


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Distinct jump points, ascending, and the statistic just below, at, and just above each, (k,) each.

    ``below`` of a point reached by several pairs at once is its value before the first of them.
    """

    points: Array
    below: Array
    at: Array
    above: Array

    @classmethod
    def of(cls, counts: Array, points: Array, *, half: Array | None = None) -> Steps:
        """Build from how many pairs jump at each point, and the part of the jump not yet made at the point itself."""
        above = counts.sum() - np.cumsum(counts)
        return cls(points, above + counts, above + (counts / 2 if half is None else half), above)

    def exact_limits(self, low: float, high: float, *, tied: bool) -> tuple[float, float]:
        """Limits for exact quantiles of the statistic, the outermost points where it does not reach them.

        With ties the upper limit is the first point at which the statistic is *at most* the lower quantile, the lower
        one the last at which it is *above* the upper quantile: limits of mirrored data may then differ by a step.
        """
        rejected_low = (self.at if tied else self.below) > high + 1e-9
        rejected_high = (self.at if tied else self.above + 1) <= low + 1e-9
        lower, upper = self._last(rejected_low), self._first(rejected_high)
        return max(lower, float(self.points[0])), min(upper, float(self.points[-1]))

    def normal_limits(self, low: float, high: float) -> tuple[float, float]:
        """Limits where the statistic jumps across two continuous quantiles."""
        return self._last(self.below > high), self._first(self.above < low)

    def centre(self, mean: float, *, tied: bool) -> float:
        """Middle of the points between which the statistic crosses its mean."""
        upper = self._first((self.at if tied else self.above + 1) <= math.ceil(mean - 1e-9))
        lower = self._last((self.at if tied else self.below) > mean + 1e-9)
        ends = [end for end in (lower, upper) if math.isfinite(end)]
        return float(np.mean(ends))

    def _last(self, where: np.ndarray) -> float:
        found = np.flatnonzero(where)
        return float(self.points[found[-1]]) if found.size else -math.inf

    def _first(self, where: np.ndarray) -> float:
        found = np.flatnonzero(where)
        return float(self.points[found[0]]) if found.size else math.inf
