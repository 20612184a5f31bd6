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
from biomarkers.stats.linear import midranks
from biomarkers.stats.results import Estimate


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
    differences = without_noise(np.subtract.outer(one, two).ravel())
    shifts, counts = np.unique(differences, return_counts=True)
    note, kind = "", "exact interval"
    low, high = -math.inf, math.inf
    if method == "asymptotic":
        low, high = _asymptotic(one, two, shifts, counts, tail, continuity=continuity)
        kind = "asymptotic interval"
    else:
        try:
            work = QUICK_WORK if method == "auto" else MAX_WORK
            low, high = _exact(one, two, shifts, counts, tail, work)
        except TooLargeError:
            if method == "exact":
                raise
            note = "the exact distribution was too large: normal approximation with tie correction"
            low, high = _asymptotic(one, two, shifts, counts, tail, continuity=continuity)
            kind = "asymptotic interval"
    value = float(np.median(differences)) if estimate == "median" else _centre(shifts, _u_at(counts))
    if 1 / math.comb(one.size + two.size, one.size) > tail:
        low, high = -math.inf, math.inf
    if math.isinf(low) or math.isinf(high):
        note = f"{one.size} and {two.size} values cannot bound the shift at {100 * level:g}% confidence"
    elif low == high:
        note = "almost all values are equal: the interval has no width and says nothing about uncertainty"
    name = "Hodges-Lehmann shift" if estimate == "median" else "Hodges-Lehmann shift, centre of the rank sum"
    return Estimate(value, min(low, value), max(high, value), level, one.size + two.size, f"{name}, {kind}", note)


def _u_at(counts: np.ndarray) -> Array:
    """Mann-Whitney count of x - shift against y at each shift, ties count half: falls as the shift grows."""
    return np.asarray(counts.sum() - np.cumsum(counts) + counts / 2, dtype=np.float64)


def _exact(x: Array, y: Array, shifts: Array, counts: np.ndarray, tail: float, work: float) -> tuple[float, float]:
    null = split_distribution(midranks(np.concatenate([x, y])), x.size, work=work)
    base = x.size * (x.size + 1) / 2
    low_u, high_u = null.quantile(tail) - base, null.quantile(1 - tail) - base
    u = _u_at(counts)
    above, below = shifts[u > high_u + 1e-9], shifts[u <= low_u + 1e-9]
    return (float(above.max()) if above.size else -math.inf), (float(below.min()) if below.size else math.inf)


def _asymptotic(
    x: Array, y: Array, shifts: Array, counts: np.ndarray, tail: float, *, continuity: bool
) -> tuple[float, float]:
    """Shifts where the standardised rank sum jumps across its two normal quantiles."""
    from scipy.special import ndtri

    z = float(ndtri(1 - tail))
    centre = x.size * y.size / 2
    half = 0.5 if continuity else 0.0
    # between two neighbouring shifts no x is tied with a y, so U and the ties within the groups are all there is
    u = np.append(float(counts.sum()), counts.sum() - np.cumsum(counts))
    spread = math.sqrt(_variance_apart(x, y))
    if spread == 0:
        return -math.inf, math.inf
    above = np.flatnonzero((u - centre - half) / spread > z)
    below = np.flatnonzero((u - centre + half) / spread < -z)
    low = float(shifts[above.max()]) if above.size else -math.inf
    high = float(shifts[below.min() - 1]) if below.size and below.min() > 0 else math.inf
    return low, high


def _variance_apart(x: Array, y: Array) -> float:
    """Null variance of U when ties occur within the groups only."""
    n = x.size + y.size
    ties = sum(float((c.astype(float) ** 3 - c).sum()) for c in (np.unique(v, return_counts=True)[1] for v in (x, y)))
    return x.size * y.size / 12 * (n + 1 - ties / (n * (n - 1)))


def _centre(shifts: Array, u: Array) -> float:
    """Middle of the shifts between which the rank sum crosses its mean."""
    centre = float(u[0] + u[-1]) / 2
    at_or_below, above = shifts[u <= math.ceil(centre)], shifts[u > centre]
    ends = [float(at_or_below.min())] if at_or_below.size else []
    ends += [float(above.max())] if above.size else []
    return float(np.mean(ends))
