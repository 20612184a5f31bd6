"""Ordered categories: Cochran-Armitage, Jonckheere-Terpstra, Kendall, Spearman, Kruskal-Wallis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, binary, counts_table, labels, same_length, sample
from biomarkers.stats.linear import midranks, normal_p, score_test
from biomarkers.stats.results import Test, undefined_test

_CONSTANT = "one of the two is constant: nothing can be tested"


def cochran_armitage(category: Any, response: Any, *, method: str = "exact") -> Test:
    """Trend of a yes/no response over ordered categories.

    Parameters
    ----------
    category
        Scores a patient, (n,): 0, 1, 2, 3.
    response
        Yes/no a patient, (n,).
    method
        ``"exact"`` (permutation distribution of the score sum; statistic z), or ``"asymptotic"`` (chi-square on one
        degree of freedom with binomial variance, as R's ``prop.trend.test``).

    References
    ----------
    Cochran WG. Biometrics 1954;10:417-451. Armitage P. Biometrics 1955;11:375-386.
    """
    scores, yes = sample(category, name="category"), binary(response, name="response")
    if method != "asymptotic":
        return score_test(scores, yes, method=method, name="Cochran-Armitage trend test")
    test = score_test(scores, yes, method="asymptotic", name="Cochran-Armitage trend test")
    if math.isnan(test.p):
        return test
    n = scores.size
    z = test.statistic * math.sqrt(n / (n - 1))
    return Test(z * z, normal_p(z), n, "Cochran-Armitage trend test, chi-square df 1")


def trend_from_counts(responders: Any, totals: Any, *, scores: Any = None, method: str = "exact") -> Test:
    """Cochran-Armitage trend from counts a category, in their order (see `cochran_armitage`)."""
    counts = counts_table([responders, totals])
    if (counts[0] > counts[1]).any():
        raise DataError("more responders than patients", where="responders", seen=counts[0].tolist())
    marks = np.arange(counts.shape[1]) if scores is None else sample(scores, name="scores")
    same_length(marks, counts[0], names=("scores", "responders"))
    category = np.repeat(marks, counts[1])
    response = np.concatenate([np.repeat([1, 0], [k, n - k]) for k, n in counts.T])
    return cochran_armitage(category, response, method=method)


def jonckheere(level: Any, category: Any) -> Test:
    """Jonckheere-Terpstra test of levels rising over ordered categories, normal with tie correction, two-sided.

    Returns
    -------
    The statistic is JT: over all pairs of categories, how often the later one has the higher level (ties half).

    References
    ----------
    Jonckheere AR. Biometrika 1954;41:133-145. Hollander M, Wolfe DA. 1999, section 6.2 (ties).
    """
    x, g = sample(level, name="level"), labels(category, name="category")
    same_length(x, g, names=("level", "category"))
    method = "Jonckheere-Terpstra test, asymptotic two-sided"
    n = x.size
    statistic = jonckheere_statistic(x, g)
    sizes, ties = np.bincount(g).astype(float), np.unique(x, return_counts=True)[1].astype(float)
    if sizes.size < 2 or ties.size < 2:
        return undefined_test(n=n, method=method, note=_CONSTANT)

    def cubic(c: Array) -> float:
        return float((c * (c - 1) * (2 * c + 5)).sum())

    mean = (n * n - float((sizes**2).sum())) / 4
    variance = (n * (n - 1) * (2 * n + 5) - cubic(sizes) - cubic(ties)) / 72
    if n > 2:
        triples = float((sizes * (sizes - 1) * (sizes - 2)).sum()) * float((ties * (ties - 1) * (ties - 2)).sum())
        variance += triples / (36 * n * (n - 1) * (n - 2))
    variance += float((sizes * (sizes - 1)).sum()) * float((ties * (ties - 1)).sum()) / (8 * n * (n - 1))
    return Test(statistic, normal_p((statistic - mean) / math.sqrt(variance)), n, method)


def jonckheere_statistic(level: Any, category: Any) -> float:
    """JT: pairs of patients of different category with the later category higher, ties half."""
    x, g = sample(level, name="level"), labels(category, name="category")
    later = g[:, None] < g[None, :]
    higher = np.where(x[:, None] < x[None, :], 1.0, np.where(x[:, None] == x[None, :], 0.5, 0.0))
    return float((higher * later).sum())


def kendall(x: Any, y: Any) -> Test:
    """Kendall's tau-b with the tie-corrected normal p; its p equals that of `jonckheere`."""
    from scipy.stats import kendalltau

    one, two = sample(x, name="x", least=2), sample(y, name="y")
    same_length(one, two, names=("x", "y"))
    method = "Kendall tau-b, asymptotic two-sided"
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return undefined_test(n=one.size, method=method, note=_CONSTANT)
    if one.size < 3:
        return undefined_test(n=one.size, method=method, note="two patients: any two agree or disagree completely")
    found = kendalltau(one, two, method="asymptotic")
    return Test(float(found.statistic), float(found.pvalue), one.size, method)


def spearman(x: Any, y: Any) -> Test:
    """Spearman's rank correlation with its t approximation; exact p only when |rho| = 1 would give 0, with a note."""
    from scipy.special import stdtr

    one, two = sample(x, name="x", least=2), sample(y, name="y")
    same_length(one, two, names=("x", "y"))
    n, method = one.size, "Spearman rank correlation, t approximation two-sided"
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return undefined_test(n=n, method=method, note=_CONSTANT)
    rho = float(np.clip(np.corrcoef(midranks(one), midranks(two))[0, 1], -1, 1))
    if n < 3:
        return Test(rho, 1.0, n, method, "two patients: any two are perfectly correlated")
    if abs(rho) > 1 - 1e-12:
        p = 2 * math.exp(-math.lgamma(n + 1) + sum(math.lgamma(c + 1) for c in np.unique(one, return_counts=True)[1]))
        return Test(rho, min(p, 1.0), n, "Spearman rank correlation, exact two-sided", "perfect rank agreement")
    t = rho * math.sqrt((n - 2) / (1 - rho * rho))
    return Test(rho, 2 * float(stdtr(n - 2, -abs(t))), n, method)


def kruskal(level: Any, category: Any) -> Test:
    """Kruskal-Wallis test of levels over unordered categories, chi-square with tie correction."""
    from scipy.special import chdtrc

    x, g = sample(level, name="level"), labels(category, name="category")
    same_length(x, g, names=("level", "category"))
    k = int(g.max()) + 1
    method = f"Kruskal-Wallis test, chi-square df {k - 1}"
    if k < 2 or np.ptp(x) == 0:
        return undefined_test(n=x.size, method=method, note=_CONSTANT)
    h = kruskal_statistic(x, g)
    return Test(h, float(chdtrc(k - 1, h)), x.size, method)


def kruskal_statistic(level: Any, category: Any) -> float:
    """H with tie correction: (n - 1) times the share of rank variance between the categories."""
    ranks, g = midranks(level), labels(category, name="category")
    sizes = np.bincount(g)
    means = np.bincount(g, weights=ranks) / sizes
    between = float((sizes * (means - ranks.mean()) ** 2).sum())
    return (ranks.size - 1) * between / float(((ranks - ranks.mean()) ** 2).sum())
