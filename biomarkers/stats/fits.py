"""What a regression returns, how covariates come in, and the Newton search they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, did_you_mean
from biomarkers.stats._checks import Array, same_length, sample
from biomarkers.stats.results import Estimate, Test, undefined_test


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One covariate's effect: the estimate on the log scale, and the test that it is zero."""

    name: str
    estimate: Estimate
    test: Test

    @property
    def ratio(self) -> Estimate:
        """Odds or hazard ratio for one unit of the covariate."""
        e = self.estimate
        return Estimate(_exp(e.value), _exp(e.low), _exp(e.high), e.level, e.n, f"exp of {e.method}", e.note)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted regression.

    Attributes
    ----------
    coefficients
        One entry a covariate, in the order given.
    likelihood_ratio
        All covariates together against none.
    n, events
        Patients, and responders or events among them.
    covariance
        Covariance of the coefficients, (p, p) nested tuples; empty where the method has none.
    note
        What a reader must know: separation, few events per covariate.
    """

    coefficients: tuple[Coefficient, ...]
    likelihood_ratio: Test
    n: int
    events: int
    method: str
    covariance: tuple[tuple[float, ...], ...] = ()
    note: str = ""

    def __getitem__(self, name: str) -> Coefficient:
        for coefficient in self.coefficients:
            if coefficient.name == name:
                return coefficient
        known = [coefficient.name for coefficient in self.coefficients]
        raise DataError(
            "no such covariate", where=self.method, seen=name, allowed=known, hint=did_you_mean(name, known)
        )


def design(covariates: Any, *, n: int) -> tuple[Array, tuple[str, ...]]:
    """Return covariates as an (n, p) matrix with their names.

    Parameters
    ----------
    covariates
        A mapping name -> values, one 1-d array, or an (n, p) matrix.
    n
        Patients.

    Raises
    ------
    DataError
        On missing values, other lengths, a constant column, or columns that determine each other.
    """
    if isinstance(covariates, Mapping):
        names = tuple(str(name) for name in covariates)
        columns = [sample(values, name=str(name)) for name, values in covariates.items()]
    else:
        array = np.asarray(covariates, dtype=np.float64)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2:
            raise DataError("covariates have another shape", where="covariates", seen=array.shape, allowed="(n, p)")
        names = ("x",) if array.shape[1] == 1 else tuple(f"x{i + 1}" for i in range(array.shape[1]))
        columns = [sample(column, name=name) for name, column in zip(names, array.T, strict=True)]
    if not columns:
        raise DataError("no covariate was given", where="covariates")
    for name, column in zip(names, columns, strict=True):
        if column.size != n:
            raise DataError("covariate and outcome differ in length", where=name, seen=column.size, allowed=n)
        if np.ptp(column) == 0:
            raise DataError("the covariate is constant", where=name, seen=float(column[0]), hint="Leave it out.")
    same_length(*columns, names=names)
    matrix = np.column_stack(columns)
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    if np.linalg.matrix_rank(scaled, tol=1e-8 * math.sqrt(n)) < matrix.shape[1]:
        raise DataError("covariates determine each other", where=", ".join(names), hint="Leave one of them out.")
    return matrix, names


def penalised(fit: Any, limits: Array, *, names: Sequence[str], scale: Array, **said: Any) -> tuple[Coefficient, ...]:
    """Lay out the coefficients of a penalised fit of scaled covariates; ``said``: level, n, unit, method and note."""
    return tuple(
        _penalised(name, float(fit.coef_[i] / scale[i]), limits[i] / scale[i], float(fit.lrt_pvalues_[i]), **said)
        for i, name in enumerate(names)
    )


def _penalised(
    name: str, beta: float, limits: Array, p: float, *, level: float, n: int, unit: str, method: str, note: str
) -> Coefficient:
    """Lay out one coefficient of a penalised fit; limits and p that a search did not reach are named."""
    from scipy.special import chdtri

    low = -math.inf if math.isnan(limits[0]) else float(limits[0])
    high = math.inf if math.isnan(limits[1]) else float(limits[1])
    reached = math.isfinite(low) and math.isfinite(high)
    remark = note or ("" if reached else "a profile limit was not reached")
    estimate = Estimate(beta, low, high, level, n, f"{unit}, {method}, profile interval", remark)
    kind = f"{method}, penalised likelihood ratio, chi-square df 1"
    if math.isnan(p):
        return Coefficient(
            name, estimate, undefined_test(n=n, method=kind, note="the constrained fit did not converge")
        )
    return Coefficient(name, estimate, Test(0.0 if p >= 1 else float(chdtri(1, p)), p, n, kind, note))


Target = Callable[[Array], tuple[float, Array, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Where a log likelihood is largest: parameters, its value there, information matrix, whether Newton arrived."""

    at: Array
    loglik: float
    information: Array
    converged: bool


def maximise(target: Target, start: Array, *, free: np.ndarray | None = None, steps: int = 100) -> Maximum:
    """Climb ``target`` (log likelihood, gradient, Hessian) by Newton steps, halved when needed; ``free`` ones move."""
    at = start.copy()
    moving = np.arange(at.size) if free is None else np.flatnonzero(free)
    value, gradient, hessian = target(at)
    for _ in range(steps):
        block = -hessian[np.ix_(moving, moving)]
        try:
            step = np.linalg.solve(block, gradient[moving])
        except np.linalg.LinAlgError:
            return Maximum(at, value, -hessian, converged=False)
        size = 1.0
        while True:
            trial = at.copy()
            trial[moving] += size * step
            new_value, new_gradient, new_hessian = target(trial)
            if math.isfinite(new_value) and new_value >= value - 1e-12 * (1 + abs(value)):
                break
            size /= 2
            if size < 1e-8:
                return Maximum(at, value, -hessian, converged=bool(np.abs(gradient[moving]).max() < 1e-6))
        at, value, gradient, hessian = trial, new_value, new_gradient, new_hessian
        if np.abs(size * step).max(initial=0.0) < 1e-11 * (1 + np.abs(at).max()):
            return Maximum(at, value, -hessian, converged=True)
        if np.abs(at).max() > 60:
            return Maximum(at, value, -hessian, converged=False)
    return Maximum(at, value, -hessian, converged=False)


def profile_limit(target: Target, best: Maximum, index: int, *, drop: float, direction: int) -> float:
    """Where the profile log likelihood of one parameter has fallen by ``drop``; infinite when it never does."""
    from scipy.optimize import brentq

    free = np.ones(best.at.size, dtype=bool)
    free[index] = False
    warm = best.at.copy()
    known: dict[float, float] = {}

    def fall(value: float) -> float:
        if value in known:  # the root search asks for its ends again: the same answer, wherever Newton started
            return known[value]
        here = float(warm[index])
        for parts in (1, 8):  # where one stride fails, come nearer in small ones
            path = here + (value - here) * np.arange(1, parts + 1) / parts
            at = warm.copy()
            for point in path:
                at[index] = point
                found = maximise(target, at, free=free)
                at = found.at.copy()
            if found.converged:
                break
        if found.converged:
            warm[:] = found.at
        known[value] = best.loglik - found.loglik - drop
        return known[value]

    spread = 1 / math.sqrt(max(float(best.information[index, index]), 1e-12))
    near, reach = float(best.at[index]), max(spread, 1e-6)
    for _ in range(40):
        far = float(best.at[index]) + direction * reach
        if fall(far) > 0:
            return float(brentq(fall, *sorted((near, far)), xtol=1e-12, rtol=1e-12, maxiter=200))
        near, reach = far, reach * 1.6
        if reach > 1e4 * max(spread, 1e-6):
            break
    return direction * math.inf


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
