"""Logistic regression with Firth's penalty: finite under separation, less biased with few responders.

The fit is firthmodels'; the joint test of all covariates is added here. Cox with the same penalty is `cox.cox_firth`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, confidence
from biomarkers.stats.cox_model import cox_firth
from biomarkers.stats.fits import Fit, penalised
from biomarkers.stats.logistic_model import few, likelihood_ratio, prepared, target_of

__all__ = ["cox_firth", "firth_logistic"]

_AT_LIMIT = 1e-5  # how near the fall of the profile at a limit has to come to the quantile
_FARTHEST, _ITERATIONS, _SMALL, _BEYOND = 1e6, 500, 1e-6, 1e6


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
    limits = _held_to_profile(y, x, np.concatenate([[fit.intercept_], fit.coef_]), limits, level=confidence(level))
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


def _held_to_profile(y: Array, x: Array, best: Array, limits: Array, *, level: float) -> Array:
    """Replace limits at which the penalised profile likelihood has not fallen by the quantile; (p, 2) both ways.

    Under separation the profile is nearly flat and the search of firthmodels may stop before it arrives.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri

    reach = float(chdtri(1, 1 - level)) / 2
    top, best = _profile(y, x, best, None)
    held = np.array(limits, dtype=np.float64)

    for i in range(1, x.shape[1]):
        for side, sign in ((0, -1.0), (1, 1.0)):

            def left(step: float, i: int = i, sign: float = sign) -> float:
                near = best.copy()
                near[i] += sign * step
                # the boundary between the classes stays where it is when all coefficients grow alike
                far = best * (near[i] / best[i]) if abs(best[i]) > _SMALL else near
                found = max(_profile(y, x, start, i)[0] for start in (near, far))
                return max(reach - (top - found), -_BEYOND)

            at = abs(float(held[i - 1, side]) - float(best[i]))
            if math.isfinite(at) and abs(left(at)) <= _AT_LIMIT:
                continue
            step = 1.0
            while left(step) > 0 and step < _FARTHEST:
                step *= 2
            found = float(brentq(left, 0.0, step, xtol=1e-10)) if step < _FARTHEST else math.inf
            held[i - 1, side] = best[i] + sign * found
    return held


def _profile(y: Array, x: Array, start: Array, fixed: int | None) -> tuple[float, Array]:
    """Largest penalised log likelihood with one coefficient held at its start, and where it is: Fisher scoring."""
    beta, free = np.array(start, dtype=np.float64), np.array([j != fixed for j in range(x.shape[1])])
    value, score, information = _penalised_parts(y, x, beta)
    for _ in range(_ITERATIONS if math.isfinite(value) else 0):
        try:
            step = np.linalg.solve(information[np.ix_(free, free)], score[free])
        except np.linalg.LinAlgError:  # so far out that every fitted probability is 0 or 1
            break
        size = 1.0
        while size > 1e-10:
            trial = beta.copy()
            trial[free] += size * step
            new = _penalised_parts(y, x, trial)
            if new[0] >= value:
                break
            size /= 2
        gained = new[0] - value
        if gained <= 0:
            break
        beta, (value, score, information) = trial, new
        if gained < 1e-13 * (1 + abs(value)) and np.abs(score[free]).max() < 1e-9:
            break
    return value, beta


def _penalised_parts(y: Array, x: Array, beta: Array) -> tuple[float, Array, Array]:
    """Penalised log likelihood, its score (Firth 1993) and the Fisher information."""
    from scipy.special import expit

    linear = x @ beta
    p = expit(linear)
    weight = p * (1 - p)
    information = (x * weight[:, None]).T @ x
    sign, logdet = np.linalg.slogdet(information)
    if sign <= 0:
        return -math.inf, np.zeros(x.shape[1]), np.eye(x.shape[1])
    value = float((y * linear - np.logaddexp(0.0, linear)).sum()) + float(logdet) / 2
    hat = weight * np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x)
    return value, x.T @ (y - p + hat * (0.5 - p)), information


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
