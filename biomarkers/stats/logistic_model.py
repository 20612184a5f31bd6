"""Logistic regression of response, with Wald or profile-likelihood intervals. Firth's version is in `firth`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, binary, choice, confidence
from biomarkers.stats.fits import Coefficient, Fit, Target, design, maximise, profile_limit
from biomarkers.stats.linear import normal_p
from biomarkers.stats.results import Estimate, Test, undefined_test

SEPARATED = "the covariates separate responders from the others: no finite odds ratio, use firth_logistic"


def logistic(response: Any, covariates: Any, *, level: float = 0.95, interval: str = "profile") -> Fit:
    """Maximum-likelihood logistic regression with intercept.

    Parameters
    ----------
    response
        Yes/no a patient, (n,).
    covariates
        A mapping name -> values, one array, or an (n, p) matrix.
    level
        Confidence level.
    interval
        ``"profile"`` (as R's ``confint.glm``) or ``"wald"``.

    Returns
    -------
    Coefficients are log odds ratios per unit with Wald tests; `Fit.likelihood_ratio` tests all together. Separation
    gives infinite bounds and a note.
    """
    from scipy.special import chdtri, ndtri

    choice(interval, ("profile", "wald"), name="interval")
    tail = confidence(level)
    y, x, names, scale = prepared(response, covariates)
    target = target_of(y, x)
    start = np.zeros(x.shape[1])
    start[0] = math.log(y.mean() / (1 - y.mean()))
    null_value = target(start)[0]
    best = maximise(target, start)
    p = len(names)
    method = "logistic regression"
    fitted = x @ best.at
    flat = not best.converged or bool((np.abs(fitted) > 25).any()) or float(np.abs(best.at[1:]).max()) > 25
    coefficients = []
    covariance = np.full((p, p), math.nan) if flat else np.linalg.inv(best.information)[1:, 1:] / np.outer(scale, scale)
    for i, name in enumerate(names):
        beta = float(best.at[i + 1] / scale[i])
        if flat:
            estimate = Estimate(beta, -math.inf, math.inf, level, y.size, f"log odds ratio, {method}", SEPARATED)
            test = undefined_test(n=y.size, method=f"{method}, Wald z", note=SEPARATED)
        else:
            error = math.sqrt(float(covariance[i, i]))
            if interval == "wald":
                reach = float(ndtri(0.5 + tail / 2)) * error
                low, high = beta - reach, beta + reach
            else:
                drop = float(chdtri(1, 1 - tail)) / 2
                low, high = (
                    profile_limit(target, best, i + 1, drop=drop, direction=side) / scale[i] for side in (-1, 1)
                )
            estimate = Estimate(beta, low, high, level, y.size, f"log odds ratio, {method}, {interval} interval")
            test = Test(beta / error, normal_p(beta / error), y.size, f"{method}, Wald z")
        coefficients.append(Coefficient(name, estimate, test))
    events = int(y.sum())
    return Fit(
        tuple(coefficients),
        likelihood_ratio(2 * (best.loglik - null_value), p, y.size, method),
        y.size,
        events,
        method,
        tuple(tuple(float(v) for v in row) for row in covariance),
        SEPARATED if flat else few(min(events, y.size - events), p),
    )


def prepared(response: Any, covariates: Any) -> tuple[Array, Array, tuple[str, ...], Array]:
    """Return response as 0/1, covariates standardised behind a column of ones, their names and scales."""
    y = binary(response, name="response").astype(np.float64)
    if y.min() == y.max():
        word = "responded" if y.min() == 1 else "did not respond"
        raise DataError(f"all {y.size} patients {word}", where="response", hint="Both classes are needed.")
    x, names = design(covariates, n=y.size)
    scale = x.std(axis=0)
    return y, np.column_stack([np.ones(y.size), (x - x.mean(axis=0)) / scale]), names, scale


def target_of(y: Array, x: Array) -> Target:
    """Log likelihood of a logistic model with its derivatives."""

    def target(beta: Array) -> tuple[float, Array, Array]:
        eta = x @ beta
        p = 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
        value = float(y @ eta - np.logaddexp(0, eta).sum())
        return value, x.T @ (y - p), -(x.T * (p * (1 - p))) @ x

    return target


def likelihood_ratio(value: float, df: int, n: int, method: str) -> Test:
    """Return the chi-square test of a likelihood ratio."""
    from scipy.special import chdtrc

    value = max(value, 0.0)
    return Test(value, float(chdtrc(df, value)), n, f"{method}, likelihood ratio, chi-square df {df}")


def few(rarer: int, covariates: int) -> str:
    """Return a remark when there are fewer than ten patients of the rarer class a covariate."""
    if rarer >= 10 * covariates:
        return ""
    return f"{rarer} patients in the rarer class for {covariates} covariate(s): below ten each, estimates are unstable"
