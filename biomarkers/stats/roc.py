"""The area under the ROC curve as a probability: theta = P(X > Y) + P(X = Y)/2, with its intervals and tests.

``x`` are the levels of responders, ``y`` of the others. An AUC is associated with response in either direction: below
1/2 responders have the lower levels; nothing is flipped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.stats._checks import Array, IntArray, confidence, same_length, sample
from biomarkers.stats.results import Estimate, Test, undefined_test

_FLAT = 1e-15


def placements(x: Any, y: Any) -> tuple[Array, Array]:
    """For each x the share of y below it, for each y the share of x above it (ties count half), (n1,) and (n2,)."""
    below, above = _counts(x, y)
    return below / (2 * above.size), 1 - above / (2 * below.size)


def _counts(x: Any, y: Any) -> tuple[IntArray, IntArray]:
    """Twice the number of y below each x, and of x below each y (ties count once): whole numbers, summed exactly."""
    one, two = sample(x, name="x"), sample(y, name="y")
    y_sorted, x_sorted = np.sort(two), np.sort(one)
    below = np.searchsorted(y_sorted, one, side="left") + np.searchsorted(y_sorted, one, side="right")
    above = np.searchsorted(x_sorted, two, side="left") + np.searchsorted(x_sorted, two, side="right")
    return below.astype(np.int64), above.astype(np.int64)


def _spread(counts: IntArray) -> float:
    """Sample variance of whole numbers, the same in any order."""
    n, total, squares = counts.size, int(counts.sum()), int((counts**2).sum())
    return (n * squares - total * total) / (n * (n - 1))


def auc(x: Any, y: Any) -> float:
    """Theta, the AUC with mid-ranks.

    Examples
    --------
    >>> auc([3, 4, 5], [1, 2, 3])
    0.9444444444444444
    """
    below, above = _counts(x, y)
    return int(below.sum()) / (2 * below.size * above.size)


def auc_variance(x: Any, y: Any) -> float:
    """DeLong's variance of theta; needs at least two values a group.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.
    """
    one, two = sample(x, name="x", least=2), sample(y, name="y", least=2)
    below, above = _counts(one, two)
    return _spread(below) / (4 * two.size**2 * one.size) + _spread(above) / (4 * one.size**2 * two.size)


def auc_delong(x: Any, y: Any, *, level: float = 0.95) -> Estimate:
    """AUC with DeLong's normal interval, cut at 0 and 1.

    Where the variance is zero (complete separation, all values equal) Newcombe's interval stands in, with a note.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.
    """
    theta, variance, n = _theta(x, y)
    if variance <= _FLAT:
        return _flat(x, y, theta, level)
    half = _z(level) * math.sqrt(variance)
    return Estimate(theta, max(0.0, theta - half), min(1.0, theta + half), level, n, "AUC, DeLong interval")


def auc_logit_delong(x: Any, y: Any, *, level: float = 0.95) -> Estimate:
    """AUC with DeLong's variance carried to the logit scale: stays inside (0, 1), covers better near the ends.

    Where the variance is zero, Newcombe's interval stands in and the note says so.

    References
    ----------
    Qin G, Hotilovac L. Stat Methods Med Res 2008;17:207-221.

    Examples
    --------
    >>> print(auc_logit_delong([3, 4, 5, 6], [1, 2, 3, 5]))
    0.8125 (95% CI 0.3293 to 0.9745)
    """
    theta, variance, n = _theta(x, y)
    if variance <= _FLAT or theta in (0.0, 1.0):
        return _flat(x, y, theta, level)
    centre = math.log(theta / (1 - theta))
    half = _z(level) * math.sqrt(variance) / (theta * (1 - theta))
    low, high = 1 / (1 + math.exp(-min(centre - half, 700))), 1 / (1 + math.exp(-min(centre + half, 700)))
    return Estimate(theta, low, high, level, n, "AUC, logit DeLong interval")


def auc_newcombe(x: Any, y: Any, *, level: float = 0.95) -> Estimate:
    """AUC with Newcombe's score-like interval (his method 5), defined under complete separation too.

    References
    ----------
    Newcombe RG. Stat Med 2006;25:559-573.
    """
    from scipy.optimize import brentq

    one, two = sample(x, name="x"), sample(y, name="y")
    theta = auc(one, two)
    m, n = one.size, two.size
    mean_n = (m + n) / 2 - 1
    z = _z(level)

    def gap(t: float) -> float:
        spread = 1 + mean_n * ((1 - t) / (2 - t) + t / (1 + t))
        return (theta - t) ** 2 - z * z * t * (1 - t) * spread / (m * n)

    low = 0.0 if theta == 0 else float(brentq(gap, 0.0, theta * (1 - 1e-9), xtol=1e-15, rtol=1e-14))
    high = 1.0 if theta == 1 else float(brentq(gap, theta + (1 - theta) * 1e-9, 1.0, xtol=1e-15, rtol=1e-14))
    return Estimate(theta, low, high, level, m + n, "AUC, Newcombe method 5 interval")


def auc_bootstrap(
    x: Any, y: Any, *, level: float = 0.95, n_resamples: int = 10_000, rng: int | np.random.Generator = 0
) -> Estimate:
    """AUC with a stratified percentile bootstrap interval (each group resampled on its own)."""
    one, two = sample(x, name="x", least=2), sample(y, name="y", least=2)
    tail = (1 - confidence(level)) / 2
    if n_resamples < 100:
        raise UsageError("too few resamples for a percentile interval", seen=n_resamples, allowed="100 or more")
    generator = np.random.default_rng(rng)
    values, inverse = np.unique(np.concatenate([one, two]), return_inverse=True)
    kind = inverse.reshape(-1)
    draws = np.empty(n_resamples)
    share_x = np.bincount(kind[: one.size], minlength=values.size) / one.size
    share_y = np.bincount(kind[one.size :], minlength=values.size) / two.size
    for start in range(0, n_resamples, 1000):
        size = min(1000, n_resamples - start)
        count_x = generator.multinomial(one.size, share_x, size=size) / one.size
        count_y = generator.multinomial(two.size, share_y, size=size) / two.size
        below = np.cumsum(count_y, axis=1) - count_y / 2
        draws[start : start + size] = (count_x * below).sum(axis=1)
    low, high = np.quantile(draws, [tail, 1 - tail])
    theta = auc(one, two)
    method = f"AUC, stratified percentile bootstrap interval, {n_resamples} resamples"
    note = "the groups are completely separated: resampling cannot show uncertainty" if low == high else ""
    return Estimate(theta, min(float(low), theta), max(float(high), theta), level, one.size + two.size, method, note)


def auc_tost(x: Any, y: Any, *, margin: float) -> Test:
    """Equivalence of the AUC to 1/2 within ``margin``: two one-sided logit-DeLong z tests, the larger p.

    p <= alpha exactly when the (1 - 2 alpha) logit-DeLong interval lies inside 1/2 +- margin.
    """
    from scipy.special import ndtr

    if not 0 < margin < 0.5:
        raise UsageError("the margin is no distance from AUC 1/2", seen=margin, allowed="between 0 and 0.5")
    theta, variance, n = _theta(x, y)
    method = f"two one-sided logit-DeLong tests of the AUC, margin {margin:g}"
    if variance <= _FLAT or theta in (0.0, 1.0):
        return undefined_test(n=n, method=method, note="DeLong's variance is zero: use the Newcombe interval")
    error = math.sqrt(variance) / (theta * (1 - theta))
    centre, edge = math.log(theta / (1 - theta)), math.log((0.5 + margin) / (0.5 - margin))
    z = min(edge - centre, centre + edge) / error
    return Test(z, float(ndtr(-z)), n, method)


def auc_difference(level_one: Any, level_two: Any, group: Any) -> Test:
    """Compare the AUCs of two markers measured on the same patients (DeLong's paired test).

    Parameters
    ----------
    level_one, level_two
        Levels a patient, (n,).
    group
        Yes/no a patient, (n,).

    Returns
    -------
    The statistic is z, positive when the first AUC is larger.
    """
    from biomarkers.stats._checks import binary
    from biomarkers.stats.linear import normal_p

    one, two, yes = sample(level_one, name="level_one"), sample(level_two, name="level_two"), binary(group)
    same_length(one, two, yes, names=("level_one", "level_two", "group"))
    method = "DeLong paired test of two AUCs, two-sided"
    if min(int(yes.sum()), int((~yes).sum())) < 2:
        return undefined_test(n=one.size, method=method, note="a group has fewer than two patients")
    over_one, under_one = placements(one[yes], one[~yes])
    over_two, under_two = placements(two[yes], two[~yes])
    variance = (over_one - over_two).var(ddof=1) / over_one.size + (under_one - under_two).var(ddof=1) / under_one.size
    gap = float(over_one.mean() - over_two.mean())
    if variance <= _FLAT:
        return undefined_test(n=one.size, method=method, note="the two markers rank the patients alike: no variance")
    z = gap / math.sqrt(float(variance))
    return Test(z, normal_p(z), one.size, method)


def _theta(x: Any, y: Any) -> tuple[float, float, int]:
    """Theta, DeLong's variance (0 where a group has one value only, which has none) and n."""
    one, two = sample(x, name="x"), sample(y, name="y")
    variance = auc_variance(one, two) if min(one.size, two.size) > 1 else 0.0
    return auc(one, two), variance, one.size + two.size


def _flat(x: Any, y: Any, theta: float, level: float) -> Estimate:
    stand_in = auc_newcombe(x, y, level=level)
    note = "DeLong's variance is zero or undefined here: Newcombe method 5 interval"
    return Estimate(theta, stand_in.low, stand_in.high, level, stand_in.n, stand_in.method, note)


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence(level) / 2))
