"""Logistic regression with Firth's penalty: finite under separation, less biased with few responders.

The fit is firthmodels'; the joint test of all covariates is added here. Cox with the same penalty is `cox.cox_firth`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, confidence
from biomarkers.stats.cox import cox_firth
from biomarkers.stats.fits import Fit, penalised
from biomarkers.stats.logistic import few, likelihood_ratio, prepared, target_of

__all__ = ["cox_firth", "firth_logistic"]


def firth_logistic(response: Any, covariates: Any, *, level: float = 0.95) -> Fit:
    """Firth's penalised logistic regression, profile intervals and penalised likelihood-ratio tests.

    Parameters
    ----------
    response
        Yes/no a patient, (n,).
    covariates
        A mapping name -> values, one array, or an (n, p) matrix; at 19 responders no more than two or three.
    level
        Confidence level of the profile intervals.

    Returns
    -------
    Coefficients are log odds ratios per unit.

    References
    ----------
    Firth D. Biometrika 1993;80:27-38. Heinze G, Schemper M. Stat Med 2002;21:2409-2419. Computed by firthmodels.
    """
    y, x, names, scale = prepared(response, covariates)
    fit, limits = _fit(x[:, 1:], y, alpha=1 - confidence(level))
    method = "Firth logistic regression"
    note = few(int(min(y.sum(), y.size - y.sum())), len(names)) if fit.converged_ else "the fit did not converge"
    said = {"level": level, "n": y.size, "unit": "log odds ratio", "method": method, "note": note}
    coefficients = penalised(fit, limits, names=names, scale=scale, **said)
    joint = likelihood_ratio(
        2 * (float(fit.loglik_) - _penalised_null(y, x)), len(names), y.size, f"{method}, penalised"
    )
    return Fit(coefficients, joint, y.size, int(y.sum()), method, note=note)


def _fit(x: Array, y: Array, *, alpha: float) -> tuple[Any, Array]:
    """Fit with the tightest tolerance at which every constrained fit arrives."""
    from firthmodels import FirthLogisticRegression

    for gtol, xtol in ((1e-8, 1e-8), (1e-6, 1e-6), (1e-4, 1e-4)):
        fit = FirthLogisticRegression(backend="numpy", gtol=gtol, xtol=xtol, max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether it converged is read from the fit
            fit.fit(x, y.astype(int))
            fit.lrt(list(range(x.shape[1])))
            limits = np.asarray(
                fit.conf_int(alpha=alpha, method="pl", features=list(range(x.shape[1])), max_iter=100, tol=1e-8),
                dtype=np.float64,
            )
        found = limits[: x.shape[1]]
        if fit.converged_ and np.isfinite(fit.lrt_pvalues_[: x.shape[1]]).all() and np.isfinite(found).all():
            break
    return fit, found


def _penalised_null(y: Array, x: Array) -> float:
    """Largest penalised log likelihood with every covariate's effect at zero (penalty of the full model)."""
    from scipy.optimize import minimize_scalar

    target = target_of(y, x)

    def loss(intercept: float) -> float:
        beta = np.zeros(x.shape[1])
        beta[0] = intercept
        value, _, hessian = target(beta)
        return -(value + float(np.linalg.slogdet(-hessian)[1]) / 2)

    centre = math.log(y.mean() / (1 - y.mean()))
    found = minimize_scalar(loss, bounds=(centre - 3, centre + 3), method="bounded", options={"xatol": 1e-10})
    return -float(found.fun)
