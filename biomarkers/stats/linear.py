"""Linear rank statistics given the data: the sum of scores in one group, standardised by its permutation moments.

Mid-ranks give Wilcoxon-Mann-Whitney, categories 0-3 the Cochran-Armitage trend, normal scores van der Waerden's test,
the values themselves the permutation test of means; strata give the blocked versions. Same definitions as R's ``coin``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, IntArray, binary, choice, labels, same_length, sample
from biomarkers.stats.exact import (
    MAX_WORK,
    QUICK_WORK,
    Distribution,
    TooLargeError,
    convolve,
    split_distribution,
    split_tails,
)
from biomarkers.stats.results import Test, undefined_test

_NORMAL_FROM = "the exact distribution was too large: normal approximation with tie correction"


def midranks(values: Any) -> Array:
    """Ranks 1..n with ties sharing their mean rank, (n,)."""
    array = sample(values)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return (upper - (counts - 1) / 2)[inverse.reshape(-1)]


def normal_scores(values: Any) -> Array:
    """Van der Waerden scores: normal quantiles of mid-ranks / (n + 1), (n,)."""
    from scipy.special import ndtri

    ranks = midranks(values)
    return np.asarray(ndtri(ranks / (ranks.size + 1)), dtype=np.float64)


def score_test(
    scores: Any,
    group: Any,
    *,
    strata: Any = None,
    method: str = "auto",
    two_sided: str = "distance",
    name: str = "linear score test",
) -> Test:
    """Permutation test of the sum of scores in one of two groups.

    Parameters
    ----------
    scores
        One score a patient, (n,): ranks, categories, or the level itself.
    group
        Yes/no a patient, (n,): responder or not.
    strata
        Labels a patient, (n,); patients are exchanged within strata only.
    method
        ``"exact"``, ``"asymptotic"`` (normal, tie-corrected), or ``"auto"``: exact unless too large (see note).
    two_sided
        ``"distance"``: all sums at least as far from the mean (R's coin); ``"doubled"``: twice the smaller tail.
    name
        Name of the test for ``Test.method``.

    Returns
    -------
    The statistic is z, positive when the group scores higher.
    """
    choice(method, ("auto", "exact", "asymptotic"), name="method")
    choice(two_sided, ("distance", "doubled"), name="two-sided definition")
    values, yes = sample(scores, name="scores"), binary(group)
    same_length(values, yes, names=("scores", "group"))
    block = np.zeros(values.size, dtype=np.int64) if strata is None else labels(strata)
    same_length(values, block, names=("scores", "strata"))
    seen = float(values[yes].sum())
    mean, variance = moments(values, yes.astype(float), block)
    label = name if strata is None else f"{name}, {block.max() + 1} strata"
    if variance <= 1e-14 * max(1.0, float(values @ values)):
        reason = "one group is empty" if yes.all() or not yes.any() else "all scores are equal (within strata)"
        return undefined_test(n=values.size, method=label, note=f"{reason}: nothing can be tested")
    z = (seen - mean) / math.sqrt(variance)
    if method != "asymptotic":
        try:
            p = _exact_p(values, yes, block, two_sided=two_sided, quick=method == "auto")
        except TooLargeError:
            if method == "exact":
                raise
        else:
            sides = "" if two_sided == "distance" else ", smaller tail doubled"
            return Test(z, p, values.size, f"{label}, exact two-sided{sides}")
    note = _NORMAL_FROM if method == "auto" else ""
    return Test(z, normal_p(z), values.size, f"{label}, asymptotic two-sided", note)


def linear_by_linear(x: Any, y: Any, *, strata: Any = None, name: str = "linear-by-linear association test") -> Test:
    """Association of two sets of scores, standardised by the permutation moments of their inner product.

    Parameters
    ----------
    x, y
        Scores a patient, (n,): categories, ranks (see `midranks`) or values.
    strata
        Labels a patient; patients are exchanged within strata only.

    Returns
    -------
    The statistic is z; two-sided normal p.

    References
    ----------
    Mantel N. J Am Stat Assoc 1963;58:690-700. Strasser H, Weber C. Math Methods Stat 1999;8:220-250.
    """
    one, two = sample(x, name="x"), sample(y, name="y")
    same_length(one, two, names=("x", "y"))
    block = np.zeros(one.size, dtype=np.int64) if strata is None else labels(strata)
    same_length(one, block, names=("x", "strata"))
    mean, variance = moments(one, two, block)
    if variance <= 1e-14 * max(1.0, float(one @ one) * float(two @ two)):
        return undefined_test(n=one.size, method=name, note="one of the two is constant: nothing can be tested")
    z = (float(one @ two) - mean) / math.sqrt(variance)
    return Test(z, normal_p(z), one.size, f"{name}, asymptotic two-sided")


def moments(x: Array, y: Array, block: IntArray) -> tuple[float, float]:
    """Permutation mean and variance of ``x @ y`` when y is shuffled within blocks."""
    mean = variance = 0.0
    for stratum in range(int(block.max(initial=-1)) + 1):
        one, two = x[block == stratum], y[block == stratum]
        if one.size == 0:
            raise DataError("a stratum is empty", where="strata", seen=stratum)
        mean += one.mean() * two.sum()
        if one.size > 1:
            variance += ((one - one.mean()) ** 2).sum() * ((two - two.mean()) ** 2).sum() / (one.size - 1)
    return float(mean), float(variance)


def normal_p(z: float) -> float:
    """Two-sided p of a standard normal statistic."""
    return math.erfc(abs(z) / math.sqrt(2))


def _exact_p(values: Array, yes: np.ndarray, block: IntArray, *, two_sided: str, quick: bool) -> float:
    seen, work = float(values[yes].sum()), QUICK_WORK if quick else MAX_WORK
    strata = range(int(block.max()) + 1)
    try:
        parts = [split_distribution(values[block == s], int(yes[block == s].sum()), work=work) for s in strata]
        null: Distribution = parts[0] if len(parts) == 1 else convolve(parts)
        return null.two_sided(seen, how=two_sided)
    except TooLargeError:
        if len(strata) > 1:
            raise
    few = int(yes.sum())
    most = 2.0**20 if quick else 2.0**25
    below, above = split_tails(values, few, seen, most=most)
    if two_sided == "doubled":
        return min(1.0, 2 * min(below, above))
    mirror = 2 * few * float(values.mean()) - seen
    if abs(mirror - seen) < 1e-12 * max(1.0, abs(seen)):
        return 1.0
    other_below, other_above = split_tails(values, few, mirror, most=most)
    return min(1.0, below + other_above if seen < mirror else above + other_below)
