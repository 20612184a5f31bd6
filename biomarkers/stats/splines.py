"""Is an effect straight? Restricted cubic splines in logistic and Cox regression.

A U-shaped relation has AUC one half and is still dependence: the non-linear part has its own test.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, choice, sample
from biomarkers.stats.cox_model import cox
from biomarkers.stats.fits import Fit
from biomarkers.stats.logistic_model import logistic
from biomarkers.stats.results import Test, undefined_test

KNOT_QUANTILES = {3: (0.10, 0.50, 0.90), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}


def restricted_cubic_spline(values: Any, *, knots: int = 3) -> Array:
    """Basis of a restricted cubic spline, (n, knots - 1): the values themselves, then the curved parts.

    Parameters
    ----------
    values
        Levels, (n,), on the scale the curve is wanted on (log for densities).
    knots
        3, 4 or 5, at Harrell's quantiles.

    References
    ----------
    Stone CJ, Koo CY. Proc Stat Comp Sect ASA 1985:45-48. Harrell FE. Regression Modeling Strategies, 2015.
    """
    x = sample(values)
    if knots not in KNOT_QUANTILES:
        raise DataError("no knots are defined for this number", where="knots", seen=knots, allowed=(3, 4, 5))
    at = np.quantile(x, KNOT_QUANTILES[knots])
    if 10 <= x.size < 100:  # Harrell: in small samples the outer knots stand at the fifth value from either end
        ordered = np.sort(x)
        at[0], at[-1] = ordered[4], ordered[-5]
    if np.unique(at).size < knots:
        raise DataError(
            "the level has too many equal values for this spline",
            where="values",
            seen=[float(v) for v in at],
            allowed="distinct knots",
            hint="Use fewer knots or categories.",
        )
    first, before, last = at[0], at[-2], at[-1]

    def cube(knot: float) -> Array:
        return np.asarray(np.maximum(x - knot, 0) ** 3, dtype=np.float64)

    columns = [x]
    for knot in at[:-2]:
        bend = (
            cube(knot) - cube(before) * (last - knot) / (last - before) + cube(last) * (before - knot) / (last - before)
        )
        columns.append(bend / (last - first) ** 2)
    return np.column_stack(columns)


def nonlinearity(
    values: Any, *, response: Any = None, time: Any = None, event: Any = None, knots: int = 3, ties: str = "efron"
) -> Test:
    """Wald test that the curved part of a restricted cubic spline is zero.

    Parameters
    ----------
    values
        Levels, (n,).
    response
        Yes/no, (n,): logistic regression. Or:
    time, event
        Times and events, (n,): Cox regression.
    knots
        3, 4 or 5.
    ties
        Treatment of tied times.

    Returns
    -------
    Chi-square on (knots - 2) degrees of freedom.
    """
    choice("logistic" if response is not None else "cox", ("logistic", "cox"), name="model")
    basis = restricted_cubic_spline(values, knots=knots)
    fit: Fit
    if response is not None and time is None and event is None:
        fit = logistic(response, basis, interval="wald")
        model = "logistic"
    elif response is None and time is not None and event is not None:
        fit = cox(time, event, basis, ties=ties)
        model = "Cox"
    else:
        raise DataError("give either response, or time and event", where="outcome")
    method = f"non-linearity, {model} regression, restricted cubic spline with {knots} knots, Wald"
    covariance = np.asarray(fit.covariance)
    if not np.isfinite(covariance).all():
        return undefined_test(n=fit.n, method=method, note=fit.note)
    beta = np.array([c.estimate.value for c in fit.coefficients])[1:]
    chi2 = float(beta @ np.linalg.solve(covariance[1:, 1:], beta))
    from scipy.special import chdtrc

    return Test(chi2, float(chdtrc(beta.size, chi2)), fit.n, f"{method}, chi-square df {beta.size}", fit.note)
