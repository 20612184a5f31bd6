"""Ordinary least squares for adjusted comparisons: does change differ by response, given baseline (ANCOVA)?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import binary, confidence, sample
from biomarkers.stats.fits import Coefficient, Fit, design
from biomarkers.stats.results import Estimate, Test, undefined_test

_EXACT = "the model fits every patient exactly: no error is left to judge by"


def least_squares(outcome: Any, covariates: Any, *, level: float = 0.95) -> Fit:
    """Linear regression with intercept; t intervals and tests, and the F test of all covariates together.

    Parameters
    ----------
    outcome
        Values a patient, (n,).
    covariates
        A mapping name -> values, one array, or an (n, p) matrix.
    level
        Confidence level.

    Raises
    ------
    DataError
        When there are no more patients than parameters.
    """
    from scipy.special import fdtrc, stdtr, stdtrit

    y = sample(outcome, name="outcome")
    x, names = design(covariates, n=y.size)
    n, p = y.size, len(names)
    df = n - p - 1
    if df < 1:
        raise DataError("too few patients for this regression", where="outcome", seen=n, allowed=f"more than {p + 1}")
    centred = x - x.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred)
    beta = inverse @ (centred.T @ (y - y.mean()))
    rest = y - y.mean() - centred @ beta
    total = float(((y - y.mean()) ** 2).sum())
    residual = float((rest**2).sum())
    method = "linear regression"
    if residual <= 1e-20 * max(total, 1e-300) or total == 0:
        coefficients = tuple(
            Coefficient(
                name,
                Estimate(float(b), float(b), float(b), level, n, f"slope, {method}", _EXACT),
                undefined_test(n=n, method=f"{method}, t", note=_EXACT),
            )
            for name, b in zip(names, beta, strict=True)
        )
        return Fit(coefficients, undefined_test(n=n, method=f"{method}, F", note=_EXACT), n, n, method, note=_EXACT)
    covariance = inverse * residual / df
    reach = float(stdtrit(df, 0.5 + confidence(level) / 2))
    out = []
    for i, name in enumerate(names):
        b, error = float(beta[i]), math.sqrt(float(covariance[i, i]))
        estimate = Estimate(b, b - reach * error, b + reach * error, level, n, f"slope, {method}, t interval")
        out.append(
            Coefficient(name, estimate, Test(b / error, 2 * float(stdtr(df, -abs(b / error))), n, f"{method}, t"))
        )
    f = (total - residual) / p / (residual / df)
    joint = Test(f, float(fdtrc(p, df, max(f, 0.0))), n, f"{method}, F on {p} and {df} df")
    return Fit(tuple(out), joint, n, n, method, tuple(tuple(float(v) for v in row) for row in covariance))


def ancova(after: Any, before: Any, group: Any, *, level: float = 0.95) -> Coefficient:
    """Difference in on-treatment level between groups, adjusted for baseline: after ~ before + group.

    Parameters
    ----------
    after, before
        Levels a patient, (n,), on the scale of the analysis (log2).
    group
        Yes/no a patient, (n,).

    References
    ----------
    Vickers AJ, Altman DG. BMJ 2001;323:1123-1124.
    """
    yes = binary(group).astype(np.float64)
    return least_squares(after, {"before": before, "group": yes}, level=level)["group"]
