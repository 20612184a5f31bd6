"""Log odds and log hazard of one covariate, nothing else: for methods that fit hundreds of simulated data sets.

The same maxima as :mod:`biomarkers.stats.logistic_model` and :mod:`biomarkers.stats.cox_model`, without tests and
intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from biomarkers.stats._checks import Array

_STEPS: Final = 40
_FAR: Final = 25.0  # beyond it the groups are separated


def log_odds(response: Any) -> Callable[[Array], tuple[float, float]]:
    """Make an estimator of the log odds ratio per unit and its variance, for (n,) levels of these (n,) patients.

    Where the levels separate the groups it returns infinity.

    Examples
    --------
    >>> value, variance = log_odds([0, 1, 0, 1])(np.array([0.0, 1.0, 2.0, 3.0]))
    >>> round(value, 4), round(variance, 4)
    (0.9082, 1.1776)
    """
    y = np.asarray(response, dtype=float)

    def estimate(x: Array) -> tuple[float, float]:
        design = np.stack([np.ones(x.size), x - x.mean()])
        beta = np.array([math.log(y.mean() / (1 - y.mean())), 0.0])
        for _ in range(_STEPS):
            p = 1 / (1 + np.exp(-np.clip(beta @ design, -500, 500)))
            information = (design * (p * (1 - p))) @ design.T
            if abs(beta[1]) * x.std() > _FAR or np.linalg.det(information) < 1e-300:
                return math.inf, math.inf
            step = np.linalg.solve(information, design @ (y - p))
            beta = beta + step
            if np.abs(step).max() < 1e-10:
                return float(beta[1]), float(np.linalg.inv(information)[1, 1])
        return math.inf, math.inf

    return estimate


def log_hazard(time: Any, event: Any) -> Callable[[Array], tuple[float, float]]:
    """Make an estimator of the log hazard ratio per unit and its variance (Efron's ties), for (n,) levels.

    Where the likelihood is monotone it returns infinity.
    """
    t, seen = np.asarray(time, dtype=float), np.asarray(event) == 1
    order = np.argsort(-t, kind="stable")
    latest, happened = t[order], seen[order]
    last = np.searchsorted(-latest, -latest, side="right") - 1  # everybody at risk at this time
    at = np.flatnonzero(happened)
    group = np.unique(latest[at], return_inverse=True)[1].reshape(-1)
    tied = np.bincount(group)
    place = np.array([int((group[:i] == g).sum()) for i, g in enumerate(group)])
    share = place / tied[group]

    def risk(weights: Array) -> Array:
        own: Array = np.cumsum(weights)[last[at]] - share * np.bincount(group, weights=weights[at])[group]
        return own

    def estimate(levels: Array) -> tuple[float, float]:
        x = levels[order] - levels.mean()
        beta = 0.0
        for _ in range(_STEPS):
            w = np.exp(np.clip(beta * x, -500, 500))
            zero = risk(w)
            mean = risk(w * x) / zero
            information = float((risk(w * x * x) / zero - mean**2).sum())
            if abs(beta) * x.std() > _FAR or not information > 1e-300:
                return math.inf, math.inf
            step = float((x[at] - mean).sum()) / information
            beta += max(min(step, 2.0), -2.0)
            if abs(step) < 1e-10:
                return beta, 1 / information
        return math.inf, math.inf

    return estimate
