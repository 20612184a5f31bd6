"""Bayes factors: how much the data favour a difference over none (BF10), or none over a difference (BF01 = 1 / BF10).

A Bayes factor on a 2 x 2 table depends on which totals were fixed by design: the scheme has to be named.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats._checks import choice, counts_table, sample
from biomarkers.stats.linear import normal_scores

SCHEMES = ("independent-multinomial", "joint-multinomial", "poisson", "hypergeometric")


def jzs(t: float, n1: int, n2: int, *, scale: float = math.sqrt(0.5)) -> float:
    """BF10 of a two-sample t statistic under the JZS prior (Cauchy on the effect size).

    Parameters
    ----------
    t
        Two-sample t with pooled variance.
    n1, n2
        Group sizes.
    scale
        Cauchy scale r, .707 by default.

    References
    ----------
    Rouder JN et al. Psychon Bull Rev 2009;16:225-237.
    """
    from scipy.integrate import quad

    if min(n1, n2) < 1 or n1 + n2 < 3:
        raise UsageError(
            "too few values for a t statistic", where="n1, n2", seen=(n1, n2), allowed="3 or more together"
        )
    if not scale > 0 or not math.isfinite(t):
        raise UsageError("t must be finite and the prior scale positive", seen=(t, scale))
    df = n1 + n2 - 2
    weight = n1 * n2 / (n1 + n2) * scale**2
    against = -(df + 1) / 2 * math.log1p(t * t / df)

    def integrand(u: float) -> float:  # g = exp(u): smooth and short-tailed on the log scale
        g = math.exp(u)
        spread = 1 + weight * g
        log_value = -0.5 * math.log(spread) - (df + 1) / 2 * math.log1p(t * t / (spread * df))
        log_prior = -0.5 * math.log(2 * math.pi) - 1.5 * u - 1 / (2 * g)
        try:
            return math.exp(log_value - against + log_prior + u)
        except OverflowError:  # groups apart without any spread: no number holds it
            return math.inf

    pieces = [quad(integrand, low, high, epsabs=0, epsrel=1e-11, limit=400)[0] for low, high in _PIECES]
    return float(sum(pieces))


def jzs_scores(x: Any, y: Any, *, scale: float = math.sqrt(0.5)) -> float:
    """BF10 of two groups by the JZS t test on van der Waerden normal scores of the pooled levels.

    Print `jzs_ceiling` next to its inverse: small samples cannot show independence.

    Raises
    ------
    DataError
        When the groups have no spread within them.
    """
    one, two = sample(x, name="x", least=2), sample(y, name="y", least=2)
    scores = normal_scores(np.concatenate([one, two]))
    if np.ptp(scores) == 0:
        raise DataError("all levels are equal: a Bayes factor is undefined", where="x, y", seen=float(one[0]))
    a, b = scores[: one.size], scores[one.size :]
    pooled = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / (scores.size - 2)
    if pooled <= 0:
        raise UsageError(
            "the groups have no spread within: t is undefined", where="x, y", hint="Use an exact rank test."
        )
    t = float(a.mean() - b.mean()) / math.sqrt(float(pooled) * (1 / a.size + 1 / b.size))
    return jzs(t, one.size, two.size, scale=scale)


def jzs_ceiling(n1: int, n2: int, *, scale: float = math.sqrt(0.5)) -> float:
    """Return the largest BF01 these group sizes can give: the one at t = 0."""
    return 1 / jzs(0.0, n1, n2, scale=scale)


def contingency(table: Any, *, scheme: str = "independent-multinomial", prior: float = 1.0) -> float:
    """BF10 of dependence in an r x c table (Gunel and Dickey); rows are groups.

    Parameters
    ----------
    table
        r x c counts (2 x 2 for the hypergeometric scheme), rows are groups.
    scheme
        What was fixed: ``"independent-multinomial"`` (group sizes: rows), ``"joint-multinomial"`` (the total),
        ``"poisson"`` (nothing), ``"hypergeometric"`` (both margins).
    prior
        Concentration a of the Dirichlet (gamma) prior of each cell.

    References
    ----------
    Gunel E, Dickey J. Biometrika 1974;61:545-557. Jamil T et al. Behav Res Methods 2017;49:638-652.
    """
    choice(scheme, SCHEMES, name="sampling scheme")
    if not prior > 0:
        raise UsageError("the prior concentration is not positive", where="prior", seen=prior)
    y = counts_table(table).astype(np.float64)
    if scheme == "hypergeometric":
        return _hypergeometric(counts_table(table, shape=(2, 2)), prior)
    log_bf = _LOG_BF[scheme](y, prior)
    return math.exp(log_bf) if log_bf < _MOST_LOG else math.inf


def two_rates(table: Any) -> float:
    """BF10 of two response rates with uniform priors: one shared rate against two of their own (rows are groups)."""
    return contingency(counts_table(table, shape=(2, 2)), scheme="independent-multinomial", prior=1.0)


def _log_dirichlet(values: np.ndarray) -> float:
    from scipy.special import gammaln

    flat = np.asarray(values, dtype=np.float64).ravel()
    return float(gammaln(flat).sum() - gammaln(flat.sum()))


def _joint(y: np.ndarray, a: float) -> float:
    r, c = y.shape
    prior = np.full(y.shape, a)
    rows, columns = prior.sum(axis=1) - (c - 1), prior.sum(axis=0) - (r - 1)
    full = _log_dirichlet(y + prior) - _log_dirichlet(prior)
    apart = _log_dirichlet(y.sum(axis=1) + rows) - _log_dirichlet(rows)
    apart += _log_dirichlet(y.sum(axis=0) + columns) - _log_dirichlet(columns)
    return full - apart


def _independent(y: np.ndarray, a: float) -> float:
    r, _ = y.shape
    prior = np.full(y.shape, a)
    columns = prior.sum(axis=0) - (r - 1)
    full = sum(_log_dirichlet(row + p) - _log_dirichlet(p) for row, p in zip(y, prior, strict=True))
    return full - (_log_dirichlet(y.sum(axis=0) + columns) - _log_dirichlet(columns))


def _poisson(y: np.ndarray, a: float) -> float:
    from scipy.special import gammaln

    r, c = y.shape
    b = r * c * a / y.sum()  # the gamma rate that matches the prior mean to the total, as in the reference
    shape = np.full(y.shape, a)
    rows, columns = shape.sum(axis=1) - (c - 1), shape.sum(axis=0) - (r - 1)
    total = y.sum()
    extra = (r - 1) * (c - 1)
    full = float((gammaln(y + shape) - gammaln(shape)).sum())
    grand = float(shape.sum()) - extra
    apart = float(gammaln(total + grand) - gammaln(grand))
    apart += _log_dirichlet(y.sum(axis=1) + rows) - _log_dirichlet(rows)
    apart += _log_dirichlet(y.sum(axis=0) + columns) - _log_dirichlet(columns)
    return full - apart + extra * (math.log(b) - math.log1p(b))


def _hypergeometric(table: np.ndarray, a: float) -> float:
    """Both margins fixed: P(table | odds ratio free) over P(table | odds ratio 1)."""
    from scipy.special import gammaln

    (k1, m1), (k2, m2) = table
    n1, n2, successes = int(k1 + m1), int(k2 + m2), int(k1 + k2)
    support = np.arange(max(0, successes - n2), min(n1, successes) + 1)
    cells = [support, n1 - support, successes - support, n2 - successes + support]
    log_free = sum(gammaln(cell + a) - gammaln(cell + 1) for cell in cells)
    log_null = -sum(gammaln(cell + 1) for cell in cells)
    free, null = np.exp(log_free - log_free.max()), np.exp(log_null - log_null.max())
    seen = int(k1) - int(support[0])
    return float(free[seen] / free.sum() / (null[seen] / null.sum()))


_MOST_LOG = 709.0  # of a number that a float holds
_PIECES = ((-60.0, -6.0), (-6.0, -2.0), (-2.0, 2.0), (2.0, 10.0), (10.0, 60.0), (60.0, 600.0))
_LOG_BF = {"joint-multinomial": _joint, "independent-multinomial": _independent, "poisson": _poisson}
