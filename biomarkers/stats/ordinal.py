"""Ordered response (PD < SD < PR < CR): proportional-odds regression and the test of its assumption.

A positive coefficient means higher levels go with better response.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, IntArray, confidence, labels, sample
from biomarkers.stats.fits import Coefficient, Fit, Maximum, Target, design, maximise, profile_limit
from biomarkers.stats.linear import normal_p
from biomarkers.stats.logistic_model import SEPARATED, likelihood_ratio
from biomarkers.stats.results import Estimate, Test, undefined_test


def proportional_odds(response: Any, covariates: Any, *, level: float = 0.95) -> Fit:
    """Cumulative-logit (proportional-odds) regression with profile-likelihood intervals.

    Parameters
    ----------
    response
        Ordered categories as numbers, (n,), worst lowest.
    covariates
        A mapping name -> values, one array, or an (n, p) matrix.
    level
        Confidence level.

    Returns
    -------
    Coefficients are log odds ratios of a better response per unit, with likelihood-ratio tests each
    (`Coefficient.test`) and together.

    References
    ----------
    McCullagh P. J R Stat Soc B 1980;42:109-142.
    """
    from scipy.special import chdtri

    tail = confidence(level)
    y, x, names, scale, k = _prepared(response, covariates)
    target = _target(y, x, k)
    start = _start(y, k, x.shape[1])
    null = maximise(target, start, free=np.arange(start.size) < k - 1)
    best = maximise(target, start)
    method = "proportional-odds regression"
    n, p = y.size, len(names)
    flat = not best.converged or float(np.abs(best.at[k - 1 :]).max()) > 25
    coefficients = []
    for i, name in enumerate(names):
        index = k - 1 + i
        beta = float(best.at[index] / scale[i])
        if flat:
            estimate = Estimate(beta, -math.inf, math.inf, level, n, f"log odds ratio, {method}", SEPARATED)
            test = undefined_test(n=n, method=f"{method}, likelihood ratio", note=SEPARATED)
        else:
            drop = float(chdtri(1, 1 - tail)) / 2
            low, high = (profile_limit(target, best, index, drop=drop, direction=side) / scale[i] for side in (-1, 1))
            estimate = Estimate(beta, low, high, level, n, f"log odds ratio, {method}, profile interval")
            test = likelihood_ratio(2 * (best.loglik - _without(target, best, index).loglik), 1, n, method)
        coefficients.append(Coefficient(name, estimate, test))
    joint = likelihood_ratio(2 * (best.loglik - null.loglik), p, n, method)
    rarest = int(n - np.bincount(y).max())
    return Fit(tuple(coefficients), joint, n, rarest, method, note=SEPARATED if flat else "")


def proportional_odds_wald(response: Any, covariates: Any, *, level: float = 0.95) -> tuple[Coefficient, ...]:
    """Wald intervals and tests of the same model, from the observed information."""
    from scipy.special import ndtri

    y, x, names, scale, k = _prepared(response, covariates)
    best = maximise(_target(y, x, k), _start(y, k, x.shape[1]))
    if not best.converged:
        raise DataError("the proportional-odds model has no finite fit", where="covariates", hint=SEPARATED)
    errors = np.sqrt(np.diag(np.linalg.inv(best.information)))[k - 1 :] / scale
    z = float(ndtri(0.5 + confidence(level) / 2))
    method = "proportional-odds regression"
    out = []
    for i, name in enumerate(names):
        beta, error = float(best.at[k - 1 + i] / scale[i]), float(errors[i])
        kind = f"log odds ratio, {method}, Wald interval"
        estimate = Estimate(beta, beta - z * error, beta + z * error, level, y.size, kind)
        out.append(Coefficient(name, estimate, Test(beta / error, normal_p(beta / error), y.size, f"{method}, Wald z")))
    return tuple(out)


def proportionality(response: Any, covariate: Any) -> Test:
    """Test whether one odds ratio serves every cut of the response: likelihood ratio against one slope a cut.

    Undefined with a note when the wider model cannot be fitted (its fitted lines cross within the data).
    """
    y, x, _, _, k = _prepared(response, covariate)
    n = y.size
    method = "proportional-odds assumption"
    if x.shape[1] != 1:
        raise DataError("one covariate at a time", where="covariate", seen=x.shape[1], allowed=1)
    if k < 3:
        return undefined_test(n=n, method=method, note="two response categories: there is one cut only")
    narrow = maximise(_target(y, x, k), _start(y, k, 1))
    start = np.concatenate([narrow.at[: k - 1], np.repeat(narrow.at[k - 1], k - 1)])
    wide = maximise(_nominal_target(y, x[:, 0], k), start)
    if not (narrow.converged and wide.converged):
        return undefined_test(n=n, method=method, note="the model with one slope a cut has no finite fit")
    return likelihood_ratio(2 * (wide.loglik - narrow.loglik), k - 2, n, method)


def _prepared(response: Any, covariates: Any) -> tuple[IntArray, Array, tuple[str, ...], Array, int]:
    y = labels(sample(response, name="response"), name="response")
    k = int(y.max()) + 1
    if k < 2:
        raise DataError("all patients have the same response", where="response", hint="Two categories are needed.")
    x, names = design(covariates, n=y.size)
    scale = x.std(axis=0)
    return y, (x - x.mean(axis=0)) / scale, names, scale, k


def _start(y: IntArray, k: int, p: int) -> Array:
    below = np.cumsum(np.bincount(y, minlength=k))[:-1] / y.size
    return np.concatenate([np.log(below / (1 - below)), np.zeros(p)])


def _without(target: Target, best: Maximum, index: int) -> Maximum:
    free = np.ones(best.at.size, dtype=bool)
    free[index] = False
    start = best.at.copy()
    start[index] = 0.0
    return maximise(target, start, free=free)


def _target(y: IntArray, x: Array, k: int) -> Target:
    """Log likelihood of P(Y <= j) = logistic(cut_j - x beta): (cuts, beta) -> value, gradient, Hessian."""
    upper, lower = _cut_matrices(y, k)
    up = np.column_stack([upper, -x * (y < k - 1)[:, None]])
    low = np.column_stack([lower, -x * (y > 0)[:, None]])
    return _cumulative(y, k, up, low)


def _nominal_target(y: IntArray, x: Array, k: int) -> Target:
    """Give the log likelihood with a slope for each cut."""
    upper, lower = _cut_matrices(y, k)
    up, low = np.column_stack([upper, -upper * x[:, None]]), np.column_stack([lower, -lower * x[:, None]])
    return _cumulative(y, k, up, low)


def _cut_matrices(y: IntArray, k: int) -> tuple[Array, Array]:
    cuts = np.arange(k - 1)
    return (y[:, None] == cuts).astype(np.float64), (y[:, None] - 1 == cuts).astype(np.float64)


def _cumulative(y: IntArray, k: int, up: Array, low: Array) -> Target:
    """Log likelihood of P(Y = y) = F(up parameters) - F(low parameters), F logistic, 1 above the top and 0 below."""
    top, bottom = y == k - 1, y == 0

    def target(parameters: Array) -> tuple[float, Array, Array]:
        high = np.where(top, 1.0, _expit(up @ parameters))
        small = np.where(bottom, 0.0, _expit(low @ parameters))
        p = high - small
        if (p <= 0).any():
            size = parameters.size
            return -math.inf, np.zeros(size), -np.eye(size)
        slope_up, slope_low = high * (1 - high), small * (1 - small)
        gradient_each = (up * slope_up[:, None] - low * slope_low[:, None]) / p[:, None]
        bend_up, bend_low = slope_up * (1 - 2 * high) / p, slope_low * (1 - 2 * small) / p
        hessian = (up.T * bend_up) @ up - (low.T * bend_low) @ low - gradient_each.T @ gradient_each
        return float(np.log(p).sum()), gradient_each.sum(axis=0), hessian

    return target


def _expit(value: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -700, 700))), dtype=np.float64)
