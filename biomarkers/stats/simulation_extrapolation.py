"""Simulation-extrapolation: add error on purpose, see what it does, and extrapolate back to none.

Needs that the error is normal with a known variance, but nothing of the true levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats._checks import Array, choice, confidence, sample
from biomarkers.stats.results import Estimate

LAMBDAS: Final = (0.5, 1.0, 1.5, 2.0)  # error variance added, in units of the error's own; those of R's simex
Extrapolation = Literal["quadratic", "linear", "attenuation"]
_EXTRAPOLATIONS: Final = ("quadratic", "linear", "attenuation")


def simex(
    estimate: Callable[[Array], tuple[float, float]],
    levels: Any,
    *,
    error_sd: Any,
    lambdas: Sequence[float] = LAMBDAS,
    n_simulations: int = 100,
    extrapolation: Extrapolation = "quadratic",
    level: float = 0.95,
    rng: int | np.random.Generator = 0,
    name: str = "estimate",
) -> Estimate:
    """Correct any estimate for measurement error of a level by simulation-extrapolation.

    Parameters
    ----------
    estimate
        Takes (n,) levels and returns the estimate and its variance, on a scale without bounds (log odds ratio, log
        hazard ratio, probit of an AUC).
    levels
        (n,) measured levels, on the scale where error is even.
    error_sd
        Standard deviation of the error on that scale, one number or one a patient, (n,).
    lambdas
        Error variances added, in units of ``error_sd ** 2``.
    n_simulations
        Simulations for each.
    extrapolation
        ``quadratic`` or ``linear`` in lambda, as R's simex; ``attenuation`` fits 1 / estimate^2 linearly, which is
        exact for the probit of a binormal AUC and needs an estimate clearly away from 0.
    level
        Confidence level of the interval (Stefanski and Cook's variance: the mean of the variances less that of the
        simulated estimates, both extrapolated).
    rng
        Seed or generator.
    name
        Name of the estimate, for the method.

    Raises
    ------
    UsageError
        A standard deviation is negative, or numbers are out of range.
    DataError
        The estimate fails on a simulated data set.

    References
    ----------
    Cook JR, Stefanski LA. J Am Stat Assoc 1994;89:1314-1328. Stefanski LA, Cook JR. J Am Stat Assoc 1995;90:1247-1256.
    Lederer W, Kuechenhoff H. R News 2006;6(4):26-31 (R package simex).

    Examples
    --------
    >>> x = np.linspace(-2, 2, 50)
    >>> slope = lambda w: (float(np.polyfit(w, 2 * x, 1)[0]), 0.01)
    >>> round(simex(slope, x, error_sd=0.0).value, 3)
    2.0
    """
    from scipy.special import ndtri

    choice(extrapolation, _EXTRAPOLATIONS, name="extrapolation")
    x = sample(levels, name="levels", least=4)
    sd = np.broadcast_to(np.asarray(error_sd, dtype=float), x.shape)
    _check(sd, lambdas, n_simulations)
    generator = np.random.default_rng(rng)
    at, means, variances = [0.0], [], []
    first, variance = _asked(estimate, x)
    means.append(first)
    variances.append(variance)
    method = f"{name}, SIMEX, {extrapolation} extrapolation, {n_simulations} simulations"
    if not sd.any():
        half = float(ndtri(0.5 + confidence(level) / 2)) * math.sqrt(variance)
        return Estimate(first, first - half, first + half, level, x.size, method, "no error: nothing is corrected")
    for extra in lambdas:
        noise = generator.standard_normal((n_simulations, x.size)) * sd * math.sqrt(extra)
        found = np.array([_asked(estimate, x + one) for one in noise])
        at.append(float(extra))
        means.append(float(found[:, 0].mean()))
        variances.append(float(found[:, 1].mean() - found[:, 0].var(ddof=1)))
    value = _extrapolate(at, means, extrapolation)
    spread = _extrapolate(at, variances, "linear" if extrapolation == "linear" else "quadratic")
    note = ""
    if not spread > 0:
        spread, note = variance, "the extrapolated variance is not positive: that of the uncorrected estimate stands in"
    if math.isnan(value):
        return Estimate(math.nan, math.nan, math.nan, level, x.size, method, "cannot be extrapolated to no error")
    half = float(ndtri(0.5 + confidence(level) / 2)) * math.sqrt(spread)
    return Estimate(value, value - half, value + half, level, x.size, method, note)


def _extrapolate(at: Sequence[float], values: Sequence[float], how: str) -> float:
    if how == "attenuation":
        mean = np.asarray(values, dtype=float)
        if (np.sign(mean) != np.sign(mean[0])).any() or not mean.all():
            return math.nan
        back = float(np.polyval(np.polyfit(at, 1 / mean**2, 1), -1.0))
        return math.copysign(1 / math.sqrt(back), mean[0]) if back > 0 else math.nan
    return float(np.polyval(np.polyfit(at, values, 1 if how == "linear" else 2), -1.0))


def _asked(estimate: Callable[[Array], tuple[float, float]], levels: Array) -> tuple[float, float]:
    value, variance = estimate(levels)
    if not (math.isfinite(value) and math.isfinite(variance)):
        raise DataError(
            "the estimate cannot be made on levels with added error", where="levels", seen=value,
            hint="The groups may be separated: use a penalised (Firth) estimate.",
        )  # fmt: skip
    return value, variance


def _check(sd: Array, lambdas: Sequence[float], n_simulations: int) -> None:
    if not (np.isfinite(sd).all() and (sd >= 0).all()):
        raise UsageError("a standard deviation of the error is out of range", seen=float(np.min(sd)), allowed=">= 0")
    if len(lambdas) < 3 or min(lambdas) <= 0 or len(set(lambdas)) < len(lambdas):
        raise UsageError("too few lambdas", seen=tuple(lambdas), allowed="three or more different numbers above 0")
    if n_simulations < 10:
        raise UsageError("too few simulations", seen=n_simulations, allowed="10 or more")


__all__ = ["LAMBDAS", "simex"]
