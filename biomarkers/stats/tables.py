"""2 x 2 tables given their margins: Fisher's test, the conditional odds ratio, several strata in common.

Rows are groups (marker positive first), columns are response yes, no: ``[[k1, n1 - k1], [k2, n2 - k2]]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, IntArray, choice, confidence, counts_table
from biomarkers.stats.ratios import odds_ratio, odds_ratio_score, relative_risk, relative_risk_score
from biomarkers.stats.results import Estimate, Test, undefined_estimate
from biomarkers.stats.unconditional import barnard, boschloo

__all__ = [
    "barnard",
    "boschloo",
    "common_odds_ratio",
    "conditional_odds_ratio",
    "fisher",
    "fisher_stratified",
    "odds_ratio",
    "odds_ratio_score",
    "phi",
    "relative_risk",
    "relative_risk_score",
]

_RELATIVE_TIE = 1e-7  # tables this close in probability to the observed one count as equally extreme, as in R


def fisher(table: Any, *, alternative: str = "two-sided", midp: bool = False) -> Test:
    """Fisher's exact test; two-sided sums every table no more probable than the observed one.

    Parameters
    ----------
    table
        2 x 2 counts.
    alternative
        ``"two-sided"``, ``"greater"`` (group 1 responds more) or ``"less"``.
    midp
        Count half the probability of the observed table (for two-sided: twice the smaller one-sided mid-p).

    Returns
    -------
    The statistic is the sample odds ratio; a table with an empty row or column has p = 1 and a note.

    Examples
    --------
    >>> round(fisher([[5, 4], [1, 7]]).p, 4)
    0.1312
    """
    return fisher_stratified([table], alternative=alternative, midp=midp)


def fisher_stratified(tables: Sequence[Any], *, alternative: str = "two-sided", midp: bool = False) -> Test:
    """Exact test of a common odds ratio of 1 over strata (the exact Mantel-Haenszel test).

    References
    ----------
    Mehta CR, Patel NR, Gray R. J Am Stat Assoc 1985;80:969-973.
    """
    choice(alternative, ("two-sided", "greater", "less"), name="alternative")
    stacked = _stack(tables)
    support, log_weight, seen = _conditional(stacked)
    p_mass = _probabilities(support, log_weight, 0.0)
    at = p_mass[seen]
    above, below = float(p_mass[seen:].sum()), float(p_mass[: seen + 1].sum())
    if midp:
        above, below = above - at / 2, below - at / 2
        p = {"greater": above, "less": below, "two-sided": 2 * min(above, below)}[alternative]
    else:
        both = float(p_mass[p_mass <= at * (1 + _RELATIVE_TIE)].sum())
        p = {"greater": above, "less": below, "two-sided": both}[alternative]
    note = "" if support.size > 1 else "a margin is empty: only this table is possible and nothing can be tested"
    kind = "Fisher exact test" if len(stacked) == 1 else f"exact test of the common odds ratio, {len(stacked)} strata"
    method = f"{kind}, {alternative}" + (", mid-p" if midp else "")
    return Test(_sample_or(stacked), min(p, 1.0), int(stacked.sum()), method, note)


def conditional_odds_ratio(table: Any, *, level: float = 0.95, midp: bool = False) -> Estimate:
    """Conditional maximum-likelihood odds ratio with its exact interval, as in R's ``fisher.test``.

    Parameters
    ----------
    table
        2 x 2 counts.
    level
        Two-sided confidence level; each tail holds half of the rest.
    midp
        Median-unbiased estimate and mid-p interval instead (shorter; may undercover slightly).

    References
    ----------
    Cornfield J. Proc Third Berkeley Symp 1956;4:135-148. Berry G, Armitage P. Statistician 1995;44:417-423 (mid-p).

    Examples
    --------
    >>> print(conditional_odds_ratio([[5, 4], [1, 7]]))
    7.634 (95% CI 0.5607 to 471.5)
    """
    return common_odds_ratio([table], level=level, midp=midp)


def common_odds_ratio(tables: Sequence[Any], *, level: float = 0.95, midp: bool = False) -> Estimate:
    """Conditional odds ratio common to all strata with its exact interval (R's exact ``mantelhaen.test``)."""
    stacked = _stack(tables)
    tail = (1 - confidence(level)) / 2
    support, log_weight, seen = _conditional(stacked)
    n = int(stacked.sum())
    kind = "median-unbiased odds ratio, mid-p interval" if midp else "conditional odds ratio, exact interval"
    method = kind if len(stacked) == 1 else f"common {kind}, {len(stacked)} strata"
    if support.size == 1:
        note = "a margin is empty: the odds ratio is undefined"
        return undefined_estimate(level=level, n=n, method=method, note=note)

    def tail_above(log_or: float) -> float:
        mass = _probabilities(support, log_weight, log_or)
        return float(mass[seen:].sum() - (mass[seen] / 2 if midp else 0.0))

    def tail_below(log_or: float) -> float:
        mass = _probabilities(support, log_weight, log_or)
        return float(mass[: seen + 1].sum() - (mass[seen] / 2 if midp else 0.0))

    def mean_gap(log_or: float) -> float:
        return float(_probabilities(support, log_weight, log_or) @ support - support[seen])

    at_low, at_high = seen == 0, seen == support.size - 1
    low = 0.0 if at_low else math.exp(_root(lambda b: tail_above(b) - tail))
    high = math.inf if at_high else math.exp(_root(lambda b: tail - tail_below(b)))
    if at_low or at_high:
        value = 0.0 if at_low else math.inf
    else:
        value = math.exp(_root((lambda b: tail_above(b) - 0.5) if midp else mean_gap))
    note = "a zero cell: the odds ratio has one finite bound only" if at_low or at_high else ""
    return Estimate(value, low, high, level, n, method, note)


def phi(table: Any) -> float:
    """Phi coefficient of a 2 x 2 table, -1 to 1: the correlation of two yes/no columns.

    Raises
    ------
    DataError
        When a margin is empty.
    """
    counts = counts_table(table, shape=(2, 2)).astype(float)
    margins = np.concatenate([counts.sum(axis=0), counts.sum(axis=1)])
    if (margins == 0).any():
        raise DataError("phi is undefined with an empty margin", where="table", seen=counts.astype(int).tolist())
    (a, b), (c, d) = counts
    return float((a * d - b * c) / math.sqrt(np.prod(margins)))


def _stack(tables: Sequence[Any]) -> IntArray:
    if len(tables) == 0:
        raise DataError("no table was given", where="tables")
    return np.stack([counts_table(table, shape=(2, 2)) for table in tables])


def _sample_or(tables: IntArray) -> float:
    """Mantel-Haenszel odds ratio; with one stratum the sample odds ratio."""
    n = tables.sum(axis=(1, 2))
    above = float((tables[:, 0, 0] * tables[:, 1, 1] / n).sum())
    below = float((tables[:, 0, 1] * tables[:, 1, 0] / n).sum())
    if below == 0:
        return math.nan if above == 0 else math.inf
    return above / below


def _conditional(tables: IntArray) -> tuple[Array, Array, int]:
    """Support of the sum of the upper left cells given all margins, log weights at odds ratio 1, observed index."""
    low, weights = 0, np.zeros(1)
    for counts in tables:
        start, stratum = _hypergeometric_log_weights(counts)
        low += start
        weights = _convolve_logs(weights, stratum)
    support = low + np.arange(weights.size, dtype=np.float64)
    return support, weights, int(tables[:, 0, 0].sum()) - low


def _hypergeometric_log_weights(counts: IntArray) -> tuple[int, Array]:
    from scipy.special import gammaln

    row1, row2, col1 = int(counts[0].sum()), int(counts[1].sum()), int(counts[:, 0].sum())
    low, high = max(0, col1 - row2), min(row1, col1)
    a = np.arange(low, high + 1, dtype=np.float64)
    log_weight = -(gammaln(a + 1) + gammaln(row1 - a + 1) + gammaln(col1 - a + 1) + gammaln(row2 - col1 + a + 1))
    return low, log_weight - log_weight.max()


def _convolve_logs(one: Array, two: Array) -> Array:
    """Convolution of two weight vectors held as logs (no under- or overflow for thousands of patients)."""
    out = np.full(one.size + two.size - 1, -np.inf)
    for index, weight in enumerate(one):
        stretch = out[index : index + two.size]
        np.logaddexp(stretch, weight + two, out=stretch)
    return out


def _probabilities(support: Array, log_weight: Array, log_or: float) -> Array:
    exponent = log_weight + log_or * (support - support[0])
    mass = np.exp(exponent - exponent.max())
    return mass / mass.sum()


def _root(increasing: Callable[[float], float]) -> float:
    """Zero of an increasing function of the log odds ratio."""
    from scipy.optimize import brentq

    reach = 2.0
    while increasing(-reach) > 0 or increasing(reach) < 0:
        reach *= 2
        if reach > 700:  # exp(700) is the end of double precision: the bound is 0 or infinite for all purposes
            return math.copysign(700.0, -increasing(0.0))
    return float(brentq(increasing, -reach, reach, xtol=1e-13, rtol=1e-14, maxiter=500))
