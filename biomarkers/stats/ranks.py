"""Two groups of levels: Wilcoxon-Mann-Whitney, van der Waerden, Hodges-Lehmann, Brunner-Munzel.

``x`` is the group of interest (responders), ``y`` the other. theta = P(X > Y) + P(X = Y)/2 is the AUC with mid-ranks.
The AUC and its intervals stand in `biomarkers.stats.roc` and can be imported from here too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, confidence, sample
from biomarkers.stats.linear import linear_by_linear, midranks, normal_p, normal_scores, score_test
from biomarkers.stats.results import Estimate, Test, undefined_test
from biomarkers.stats.roc import (
    auc,
    auc_bootstrap,
    auc_delong,
    auc_difference,
    auc_logit_delong,
    auc_newcombe,
    auc_tost,
    auc_variance,
    placements,
)
from biomarkers.stats.shift import hodges_lehmann

__all__ = [
    "auc",
    "auc_bootstrap",
    "auc_delong",
    "auc_difference",
    "auc_logit_delong",
    "auc_newcombe",
    "auc_tost",
    "auc_variance",
    "brunner_munzel",
    "brunner_munzel_theta",
    "hodges_lehmann",
    "linear_by_linear",
    "mean_permutation",
    "midranks",
    "normal_scores",
    "placements",
    "score_test",
    "van_der_waerden",
    "wilcoxon_rank_sum",
]


def wilcoxon_rank_sum(
    x: Any,
    y: Any,
    *,
    method: str = "auto",
    continuity: bool = False,
    two_sided: str = "distance",
) -> Test:
    """Wilcoxon-Mann-Whitney test with the exact distribution of the tied ranks.

    Parameters
    ----------
    x, y
        Levels of the two groups, (n1,) and (n2,).
    method
        ``"exact"`` (shift algorithm, ties included), ``"asymptotic"`` (normal, tie-corrected), or ``"auto"``: exact
        unless too large, which the note says.
    continuity
        Move U by one half towards its mean (asymptotic only, as R's ``correct = TRUE``).
    two_sided
        ``"distance"``: all U at least as far from the mean (R's coin); ``"doubled"``: twice the smaller tail.

    Returns
    -------
    The statistic is U, the number of pairs with x > y plus half the ties. All values equal: p undefined with a note.

    References
    ----------
    Streitberg B, Roehmel J. Stat Software Newsletter 1986;12:10-17 (shift algorithm).
    """
    one, two = sample(x, name="x"), sample(y, name="y")
    scores, group = _pooled(one, two)
    test = score_test(scores, group, method=method, two_sided=two_sided, name="Wilcoxon-Mann-Whitney test")
    u = float(midranks(scores)[: one.size].sum() - one.size * (one.size + 1) / 2)
    if math.isnan(test.p) or "asymptotic" not in test.method or not continuity:
        return Test(u, test.p, test.n, test.method, test.note)
    gap = abs(u - one.size * two.size / 2)
    z = 0.0 if gap == 0 else abs(test.statistic) * max(gap - 0.5, 0.0) / gap
    return Test(u, normal_p(z), test.n, f"{test.method}, continuity correction", test.note)


def van_der_waerden(x: Any, y: Any, *, method: str = "auto") -> Test:
    """Normal-scores test of two groups; the statistic is z (positive when x is higher)."""
    one, two = sample(x, name="x"), sample(y, name="y")
    scores = normal_scores(np.concatenate([one, two]))
    group = np.arange(scores.size) < one.size
    return score_test(scores, group, method=method, name="van der Waerden normal-scores test")


def mean_permutation(x: Any, y: Any, *, method: str = "auto") -> Test:
    """Fisher-Pitman permutation test of two means; exact when the values lie on a decimal grid or are few."""
    one, two = sample(x, name="x"), sample(y, name="y")
    values = np.concatenate([one, two])
    return score_test(values, np.arange(values.size) < one.size, method=method, name="Fisher-Pitman permutation test")


def brunner_munzel(x: Any, y: Any) -> Test:
    """Brunner-Munzel test of theta = 1/2 without equal variances, t with Satterthwaite degrees of freedom.

    Inflated below about 15 a group: prefer its studentised permutation. Under complete separation its variance is zero
    and p is undefined, with a note (scipy returns NaN).

    References
    ----------
    Brunner E, Munzel U. Biom J 2000;42:17-25.
    """
    from scipy.special import stdtr

    one, two = sample(x, name="x", least=2), sample(y, name="y", least=2)
    theta, error, df = _brunner_munzel(one, two)
    n, method = one.size + two.size, "Brunner-Munzel test, t, two-sided"
    if error == 0:
        return undefined_test(n=n, method=method, note=_no_spread(theta))
    t = (theta - 0.5) / error
    return Test(t, 2 * float(stdtr(df, -abs(t))), n, f"{method}, df {df:.4g}")


def brunner_munzel_theta(x: Any, y: Any, *, level: float = 0.95) -> Estimate:
    """Theta with the Brunner-Munzel t interval, cut at 0 and 1."""
    from scipy.special import stdtrit

    one, two = sample(x, name="x", least=2), sample(y, name="y", least=2)
    theta, error, df = _brunner_munzel(one, two)
    n, method = one.size + two.size, "theta, Brunner-Munzel t interval"
    if error == 0:
        return Estimate(theta, 0.0, 1.0, level, n, method, f"{_no_spread(theta)}; use the Newcombe interval")
    half = float(stdtrit(df, 0.5 + confidence(level) / 2)) * error
    return Estimate(theta, max(0.0, theta - half), min(1.0, theta + half), level, n, method)


def brunner_munzel_df(x: Any, y: Any) -> float:
    """Satterthwaite degrees of freedom of the Brunner-Munzel statistic (NaN without spread)."""
    return _brunner_munzel(sample(x, name="x", least=2), sample(y, name="y", least=2))[2]


def theta_tost(x: Any, y: Any, *, low: float, high: float) -> Test:
    """Equivalence of theta within (low, high): two one-sided Brunner-Munzel t tests, the larger p.

    The statistic is the t of the larger p-value.
    """
    from scipy.special import stdtr

    from biomarkers.core.errors import UsageError

    if not 0 <= low < high <= 1:
        raise UsageError("the margin is no interval of probabilities", seen=(low, high), allowed="0 <= low < high <= 1")
    one, two = sample(x, name="x", least=2), sample(y, name="y", least=2)
    theta, error, df = _brunner_munzel(one, two)
    n, method = one.size + two.size, f"two one-sided Brunner-Munzel t tests of theta, margin {low:g} to {high:g}"
    if error == 0:
        return undefined_test(n=n, method=method, note=_no_spread(theta))
    t = min((theta - low) / error, (high - theta) / error)
    return Test(t, float(stdtr(df, -t)), n, method)


def _brunner_munzel(x: Array, y: Array) -> tuple[float, float, float]:
    """Theta, its standard error and degrees of freedom."""
    over, under = placements(x, y)
    var_x, var_y = over.var(ddof=1) / x.size, under.var(ddof=1) / y.size
    total = var_x + var_y
    if total <= 1e-15:
        return float(over.mean()), 0.0, math.nan
    df = total**2 / (var_x**2 / (x.size - 1) + var_y**2 / (y.size - 1))
    return float(over.mean()), math.sqrt(total), float(df)


def _no_spread(theta: float) -> str:
    if theta in (0.0, 1.0):
        return "the groups are completely separated: the variance is zero and t undefined"
    return "all values are equal: the variance is zero and t undefined"


def _pooled(x: Array, y: Array) -> tuple[Array, np.ndarray]:
    scores = midranks(np.concatenate([x, y]))
    return scores, np.arange(scores.size) < x.size
