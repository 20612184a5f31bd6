"""Rank agreement of a level with outcome times (Harrell's C) and with ordered response (Somers' D)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, confidence, labels, same_length, sample, times
from biomarkers.stats.results import Estimate, undefined_estimate


def concordance(score: Any, time: Any, event: Any, *, level: float = 0.95, strata: Any = None) -> Estimate:
    """Harrell's C: chance that of two comparable patients the one with the higher score has the longer time.

    Ties of the score count half; pairs with both events at one time are not comparable. The interval uses the
    infinitesimal jackknife, as R's ``survival::concordance``. With ``strata`` (labels a patient) only patients of one
    stratum are compared.

    References
    ----------
    Harrell FE et al. JAMA 1982;247:2543-2546. Therneau TM, Watson DA. Mayo Clinic technical report 85, 2015.
    """
    s, (t, seen) = sample(score, name="score"), times(time, event)
    same_length(s, t, names=("score", "time"))
    # pair (i, j) is comparable when i had the event before j's time, or at j's censoring time
    earlier = seen[:, None] & ((t[:, None] < t[None, :]) | ((t[:, None] == t[None, :]) & ~seen[None, :]))
    earlier &= _together(s.size, strata)
    agree = np.where(s[:, None] < s[None, :], 1.0, np.where(s[:, None] == s[None, :], 0.5, 0.0)) * earlier
    return _jackknifed(agree, earlier.astype(float), level, "Harrell's C, infinitesimal jackknife interval")


def somers_d(score: Any, response: Any, *, level: float = 0.95, strata: Any = None) -> Estimate:
    """Somers' D of a level given an ordered response (pairs that differ in response; ties of the level count zero).

    For a yes/no response D = 2 AUC - 1. The interval is the normal one of Hmisc's ``rcorr.cens``.

    References
    ----------
    Somers RH. Am Sociol Rev 1962;27:799-811. Newson R. Stata J 2006;6:309-334.
    """
    s, r = sample(score, name="score"), sample(response, name="response")
    same_length(s, r, names=("score", "response"))
    lower = (r[:, None] < r[None, :]) & _together(s.size, strata)
    sign = np.sign(s[None, :] - s[:, None]) * lower
    n = s.size
    method = "Somers' D given response, U-statistic interval"
    if not lower.any():
        return undefined_estimate(level=level, n=n, method=method, note="all responses are equal: D is undefined")
    return _rcorr_interval(sign + sign.T, (lower | lower.T).astype(float), n, level, method)


def _together(n: int, strata: Any) -> np.ndarray:
    """Which pairs of patients may be compared, (n, n) or a scalar array."""
    if strata is None:
        return np.array(True)  # noqa: FBT003
    block = labels(strata)
    same_length(np.empty(n), block, names=("score", "strata"))
    same: np.ndarray = block[:, None] == block[None, :]
    return same


def _jackknifed(agree: Array, comparable: Array, level: float, method: str) -> Estimate:
    from scipy.special import ndtri

    n = agree.shape[0]
    pairs = float(comparable.sum())
    if pairs == 0:
        return undefined_estimate(level=level, n=n, method=method, note="no two patients can be compared")
    value = float(agree.sum()) / pairs
    influence = ((agree.sum(0) + agree.sum(1)) - value * (comparable.sum(0) + comparable.sum(1))) / pairs
    half = float(ndtri(0.5 + confidence(level) / 2)) * math.sqrt(float((influence**2).sum()))
    if half == 0:
        note = "every comparison goes one way: the interval has no width and says nothing about uncertainty"
        return Estimate(value, value, value, level, n, method, note)
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), level, n, method)


def _rcorr_interval(sign: Array, comparable: Array, n: int, level: float, method: str) -> Estimate:
    """U-statistic variance of D with the pairs each patient takes part in."""
    from scipy.special import ndtri

    concordant, used = sign.sum(axis=1), comparable.sum(axis=1)
    total = float(used.sum())
    value = float(concordant.sum()) / total
    spread = float((used**2).sum() * concordant.sum() ** 2 - 2 * total * concordant.sum() * (used * concordant).sum())
    spread += float(total**2 * (concordant**2).sum())
    error = 2 * math.sqrt(max(spread, 0.0)) / total**2
    half = float(ndtri(0.5 + confidence(level) / 2)) * error
    note = "every comparison goes one way: the interval has no width" if half == 0 else ""
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), level, n, method, note)
