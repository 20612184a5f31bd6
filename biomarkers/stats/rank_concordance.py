"""Rank agreement of a level with outcome times (Harrell's C) and with ordered response (Somers' D)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, confidence, labels, same_length, sample, times
from biomarkers.stats.results import Estimate, undefined_estimate

_ROWS = 512
_FLAT = 1e-9
_GRID = 10_001


def concordance(score: Any, time: Any, event: Any, *, level: float = 0.95, strata: Any = None) -> Estimate:
    """Harrell's C: chance that of two comparable patients the one with the higher score has the longer time.

    Ties of the score count half; pairs with both events at one time are not comparable. The interval uses the
    infinitesimal jackknife, as R's ``survival::concordance``. With ``strata`` (labels a patient) only patients of one
    stratum are compared.

    References
    ----------
    Harrell FE et al. JAMA 1982;247:2543-2546. Therneau TM, Watson DA. Mayo Clinic technical report 85, 2015.
    """
    from scipy.special import ndtri

    agree, pairs = _pair_sums(score, time, event, strata)
    method = "Harrell's C, infinitesimal jackknife interval"
    n = agree.size
    if not pairs.any():
        return undefined_estimate(level=level, n=n, method=method, note="no two patients can be compared")
    value, error = _value_and_error(agree, pairs)
    half = float(ndtri(0.5 + confidence(level) / 2)) * error
    if half == 0:
        note = "every comparison goes one way: the interval has no width and says nothing about uncertainty"
        return Estimate(value, value, value, level, n, method, note)
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), level, n, method)


def somers_d(score: Any, response: Any, *, level: float = 0.95, strata: Any = None) -> Estimate:
    """Somers' D of a level given an ordered response (pairs that differ in response; ties of the level count zero).

    For a yes/no response D = 2 AUC - 1. The interval is the normal one of Hmisc's ``rcorr.cens``.

    References
    ----------
    Somers RH. Am Sociol Rev 1962;27:799-811. Newson R. Stata J 2006;6:309-334.
    """
    agree, used = _pair_sums(score, response, None, strata)
    method = "Somers' D given response, U-statistic interval"
    if not used.any():
        return undefined_estimate(
            level=level, n=agree.size, method=method, note="all responses are equal: D is undefined"
        )
    return _rcorr_interval(2 * agree - used, used, level, method)


def concordance_interval(
    score: Any, outcome: Any, event: Any = None, *, level: float = 0.95, strata: Any = None
) -> Estimate:
    """Chance that of two patients whose outcomes differ the one with the higher score has the higher outcome.

    The interval is made on the logit scale with the infinitesimal jackknife's error and Student's t on n - 1 degrees of
    freedom; of times, whose pairs are led by the d patients with an event, the variance is taken d / (d - 1) times.
    Where every comparison goes one way, or none varies, it is the score-like one of Newcombe's method 5. From
    15 patients on it covers in 93 to 97 of 100 samples (`benchmarks/interval_coverage.py`), which the normal
    intervals of :func:`concordance` and :func:`somers_d` do from about 50 on.

    Parameters
    ----------
    score, outcome
        (n,); with ``event`` the outcomes are times.
    event
        (n,) 1 where the event was seen, 0 where censored; None for outcomes that are no times.
    level
        Confidence level.
    strata
        (n,) labels: only patients of one stratum are compared.

    References
    ----------
    Newson R. Stata J 2006;6:309-334. Newcombe RG. Stat Med 2006;25:559-573.

    Examples
    --------
    >>> print(concordance_interval([1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5]))
    0.8667 (95% CI 0.5398 to 0.973)
    """
    from scipy.special import stdtrit

    agree, pairs = _pair_sums(score, outcome, event, strata)
    n = agree.size
    method = "concordance of pairs, logit jackknife interval"
    if not pairs.any():
        return undefined_estimate(level=level, n=n, method=method, note="no two patients can be compared")
    value, error = _value_and_error(agree, pairs)
    if event is not None and (events := int(np.asarray(event, dtype=bool).sum())) > 1:
        error *= math.sqrt(events / (events - 1))
    if error <= _FLAT or not 0 < value < 1:
        low, high = _score_limits(value, float(pairs.sum()) / 2, n, confidence(level))
        note = "every comparison goes one way: Newcombe's method 5 interval"
        return Estimate(value, low, high, level, n, "concordance of pairs, score-like interval", note)
    centre = math.log(value / (1 - value))
    half = float(stdtrit(n - 1, 0.5 + confidence(level) / 2)) * error / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-min(max(at, -700.0), 700.0))) for at in (centre - half, centre + half))
    return Estimate(value, low, high, level, n, method)


def _pair_sums(score: Any, outcome: Any, event: Any, strata: Any) -> tuple[Array, Array]:
    """Agreeing (ties of the score count half) and comparable pairs of each patient, (n,) each."""
    s = sample(score, name="score")
    if event is None:
        r, seen = sample(outcome, name="response"), np.ones(s.size, dtype=bool)
    else:
        r, seen = times(outcome, event)
    same_length(s, r, names=("score", "response" if event is None else "time"))
    block = np.zeros(s.size, dtype=np.int64) if strata is None else labels(strata)
    same_length(s, block, names=("score", "strata"))
    agree, pairs = np.zeros(s.size), np.zeros(s.size)
    for start in range(0, s.size, _ROWS):  # so many patients at a time against all: memory stays flat
        i = slice(start, start + _ROWS)
        # pair (i, j) is comparable when i had the event before j's time, or at j's censoring time
        lower = r[i, None] < r[None, :]
        if event is not None:
            lower = seen[i, None] & (lower | ((r[i, None] == r[None, :]) & ~seen[None, :]))
        lower &= block[i, None] == block[None, :]
        above = np.where(lower, (np.sign(s[None, :] - s[i, None]) + 1) / 2, 0.0)
        agree[i] += above.sum(axis=1)
        agree += above.sum(axis=0)
        pairs[i] += lower.sum(axis=1)
        pairs += lower.sum(axis=0)
    return agree, pairs


def _value_and_error(agree: Array, pairs: Array) -> tuple[float, float]:
    """Concordance and its error by the infinitesimal jackknife."""
    total = float(pairs.sum()) / 2
    value = float(agree.sum()) / 2 / total
    influence = (agree - value * pairs) / total
    return value, math.sqrt(float((influence**2).sum()))


def _score_limits(value: float, pairs: float, n: int, level: float) -> tuple[float, float]:
    """Newcombe's method 5 with so many pairs among n patients: values no further off than their own error allows."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    at = np.linspace(0, 1, _GRID)
    half = max(n / 2 - 1, 0.0)
    variance = at * (1 - at) * (1 + half * ((1 - at) / (2 - at) + at / (1 + at))) / pairs
    inside = at[np.abs(at - value) <= z * np.sqrt(variance) + 1e-12]
    return float(min(inside.min(initial=value), value)), float(max(inside.max(initial=value), value))


def _rcorr_interval(concordant: Array, used: Array, level: float, method: str) -> Estimate:
    """U-statistic variance of D with the pairs each patient takes part in."""
    from scipy.special import ndtri

    total = float(used.sum())
    value = float(concordant.sum()) / total
    spread = float((used**2).sum() * concordant.sum() ** 2 - 2 * total * concordant.sum() * (used * concordant).sum())
    spread += float(total**2 * (concordant**2).sum())
    error = 2 * math.sqrt(max(spread, 0.0)) / total**2
    half = float(ndtri(0.5 + confidence(level) / 2)) * error
    note = "every comparison goes one way: the interval has no width" if half == 0 else ""
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), level, used.size, method, note)
