"""Hodges-Lehmann shift between two groups: how many units apart, with an interval that inverts the Wilcoxon test.

The estimate is the median of all pairwise differences. The exact interval uses quantiles of the exact distribution of
the tied ranks; the asymptotic one the normal statistic, its variance corrected for the ties at each shift tried.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, choice, confidence, sample, without_noise
from biomarkers.stats.exact import MAX_WORK, QUICK_WORK, TooLargeError, split_distribution
from biomarkers.stats.inversion import Steps
from biomarkers.stats.linear import midranks
from biomarkers.stats.results import Estimate

_NORMAL = "asymptotic interval"


def hodges_lehmann(
    x: Any,
    y: Any,
    *,
    level: float = 0.95,
    method: str = "auto",
    estimate: str = "median",
    continuity: bool = False,
) -> Estimate:
    """Shift of x against y: median of all differences x - y, with the interval that inverts the Wilcoxon test.

    Parameters
    ----------
    x, y
        Levels of the two groups, (n1,) and (n2,), in the unit the shift is wanted in.
    level
        Two-sided confidence level.
    method
        ``"exact"`` (quantiles of the exact tied-rank distribution), ``"asymptotic"`` (normal, tie-corrected) or
        ``"auto"``: exact unless too large (see note).
    estimate
        ``"median"`` of the differences, or ``"centre"``: the shift at which the rank sum equals its mean, as R's
        ``wilcox.exact`` reports (with ties the two differ).
    continuity
        Continuity correction of the asymptotic interval, as R's ``correct = TRUE``.

    Returns
    -------
    Infinite limits with a note where the groups are too small for the level.

    References
    ----------
    Hodges JL, Lehmann EL. Ann Math Stat 1963;34:598-611. Bauer DF. J Am Stat Assoc 1972;67:687-690.
    """
    choice(method, ("auto", "exact", "asymptotic"), name="method")
    choice(estimate, ("median", "centre"), name="estimate")
    one, two = sample(x, name="x"), sample(y, name="y")
    tail = (1 - confidence(level)) / 2
    ranks = midranks(without_noise(np.concatenate([one, two])))
    tied = np.unique(ranks).size < ranks.size
    differences = without_noise(np.subtract.outer(one, two).ravel())
    points, counts = np.unique(differences, return_counts=True)
    steps = Steps.of(counts.astype(np.float64), points)
    note, kind = "", "exact interval"
    low, high = -math.inf, math.inf
    if method != "asymptotic":
        try:
            null = split_distribution(ranks, one.size, work=QUICK_WORK if method == "auto" else MAX_WORK)
            base = one.size * (one.size + 1) / 2
            low, high = steps.exact_limits(null.quantile(tail) - base, null.quantile(1 - tail) - base, tied=tied)
        except TooLargeError:
            if method == "exact":
                raise
            note, kind = "the exact distribution was too large: normal approximation with tie correction", _NORMAL
    else:
        kind = _NORMAL
    if kind == _NORMAL:
        low, high = steps.normal_limits(*_normal_quantiles(one, two, tail, half=0.5 if continuity else 0.0))
    value = float(np.median(differences)) if estimate == "median" else steps.centre(one.size * two.size / 2, tied=tied)
    if 1 / math.comb(one.size + two.size, one.size) > tail:
        low, high = -math.inf, math.inf
    if math.isinf(low) or math.isinf(high):
        note = f"{one.size} and {two.size} values cannot bound the shift at {100 * level:g}% confidence"
    elif low == high:
        note = "almost all values are equal: the interval has no width and says nothing about uncertainty"
    name = "Hodges-Lehmann shift" if estimate == "median" else "Hodges-Lehmann shift, centre of the rank sum"
    return Estimate(value, min(low, value), max(high, value), level, one.size + two.size, f"{name}, {kind}", note)


def _normal_quantiles(x: Array, y: Array, tail: float, *, half: float) -> tuple[float, float]:
    """Give normal quantiles of the Mann-Whitney count, its variance corrected for ties within the groups.

    Between two neighbouring differences no x is tied with a y.
    """
    from scipy.special import ndtri

    n = x.size + y.size
    ties = sum(float((c.astype(float) ** 3 - c).sum()) for c in (np.unique(v, return_counts=True)[1] for v in (x, y)))
    spread = math.sqrt(x.size * y.size / 12 * (n + 1 - ties / (n * (n - 1))))
    reach = float(ndtri(1 - tail)) * spread + half
    return x.size * y.size / 2 - reach, x.size * y.size / 2 + reach
