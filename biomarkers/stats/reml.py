"""Variance components by restricted maximum likelihood: patients, places in a tumour, readers, and what is left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, confidence, labels, same_length, sample
from biomarkers.stats.reliability import ReliabilityEstimate, equal_probabilities

RESIDUAL: Final = "residual"
_MOST: Final = 1500  # measurements: the likelihood is worked out on a dense (n, n) matrix
_GRID: Final = np.concatenate([[0.0, 0.01, 0.03], np.arange(0.07, 0.96, 0.08), [0.975, 0.99, 0.999]])
_NEWTON: Final = 30
_TINY: Final = 1e-13


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Variances of the random effects, the residual last, and the restricted log-likelihood.

    Attributes
    ----------
    variances
        Name of the factor -> variance, in the square of the unit; ``residual`` last. 0 stands at the boundary.
    levels
        Number of levels of each factor.
    n
        Number of measurements.
    criterion
        -2 restricted log-likelihood, as lme4 prints it.
    """

    variances: Mapping[str, float]
    levels: Mapping[str, int]
    n: int
    criterion: float


def variance_components(values: Any, factors: Mapping[str, Any], *, fixed: Any = None) -> VarianceComponents:
    """Variance components of measurements by REML, factors crossed or nested as their labels say.

    Parameters
    ----------
    values
        (n,) measurements on the scale where error is even.
    factors
        Name -> (n,) labels. Labels of a nested factor are unique within the outer one (``"patient 3, core 1"``).
    fixed
        (n,) labels of groups with means of their own; one mean when None.

    Raises
    ------
    DataError
        Lengths differ, more than 1,500 measurements, a factor has one level only or as many levels as there are
        measurements, or nothing is left over when the factors are known (replicates that are copies).

    References
    ----------
    Patterson HD, Thompson R. Biometrika 1971;58:545-554. Bates D, et al. J Stat Softw 2015;67(1):1-48 (lme4).

    Examples
    --------
    >>> found = variance_components([1.0, 1.2, 2.0, 1.9, 3.1, 2.9], {"patient": list("aabbcc")})
    >>> {name: round(value, 4) for name, value in found.variances.items()}
    {'patient': 0.8983, 'residual': 0.015}
    """
    model = _Model.of(values, factors, fixed)
    found, best = model.maximise()
    variances = dict(zip((*factors, RESIDUAL), (float(v) * model.unit**2 for v in found), strict=True))
    criterion = 2 * best + 2 * model.df * math.log(model.unit)
    return VarianceComponents(variances, {name: len(np.unique(f)) for name, f in factors.items()}, model.n, criterion)


def component_reliability(
    values: Any, factors: Mapping[str, Any], *, signal: str, weights: Mapping[str, float], fixed: Any = None,
    level: float = 0.95,
) -> ReliabilityEstimate:  # fmt: skip
    """Reliability of one measurement, or of a mean of several, with its profile-likelihood interval.

    The share of the signal in the sum of the signal's variance and the weighted others. The interval inverts the
    restricted likelihood ratio; where the estimate stands at 0 the interval begins there.

    Parameters
    ----------
    values, factors, fixed
        As :func:`variance_components`.
    signal
        Factor whose variance is the patients' own.
    weights
        Factor (and ``residual``) -> how much of its variance enters one level: 1 for a single measurement, 1/2 where
        two are averaged, 0 where it is the same for all patients (one reader reads them all).
    level
        Confidence level.
    """
    model = _Model.of(values, factors, fixed)
    names = [*factors, RESIDUAL]
    at = names.index(signal)
    share = np.array([float(weights.get(name, 1.0)) for name in names])
    share[at] = 0.0
    variances, best = model.maximise()
    error = float(share @ variances)
    if variances[at] + error <= _TINY:
        raise DataError("nothing varies", where="values", hint="A reliability needs patients that differ.")
    value = float(variances[at] / (variances[at] + error))
    roots = np.array([_signed_root(model, at, share, float(r), value, best) for r in _GRID])
    roots = np.maximum.accumulate(roots)
    nodes = _nodes(roots)
    reach = (1 - confidence(level)) / 2
    low, high = (float(np.quantile(nodes, p)) for p in (reach, 1 - reach))
    method = "REML, profile likelihood interval"
    n = len(np.unique(np.asarray(factors[signal])))
    return ReliabilityEstimate(value, min(low, value), max(high, value), level, n, method, nodes)


def _signed_root(model: _Model, at: int, share: Array, r: float, value: float, best: float) -> float:
    """Signed root of the likelihood ratio of one reliability, standard normal at the true one."""
    matrices = [v + share[j] * r / (1 - r) * model.parts[at] for j, v in enumerate(model.parts) if j != at]
    worse = model.maximise(matrices, rough=True)[1]
    return math.copysign(math.sqrt(max(2 * (worse - best), 0.0)), r - value)


def _nodes(roots: Array) -> Array:
    """Reliabilities at equally spaced confidence, from signed roots on the grid; 0 below the grid's first."""
    from scipy.special import ndtri

    wanted = ndtri(equal_probabilities())
    keep = np.concatenate([[True], np.diff(roots) > 1e-12])
    found: Array = np.interp(wanted, roots[keep], _GRID[keep])
    return found


@dataclass(frozen=True, eq=False)
class _Model:
    """Scaled measurements, fixed effects and the matrices whose weighted sum is their covariance."""

    y: Array
    x: Array
    parts: list[Array]
    unit: float

    @property
    def n(self) -> int:
        return self.y.size

    @property
    def df(self) -> int:
        return int(self.y.size - self.x.shape[1])

    @classmethod
    def of(cls, values: Any, factors: Mapping[str, Any], fixed: Any) -> _Model:
        y = sample(values, name="values", least=3)
        if y.size > _MOST:
            raise DataError("too many measurements", where="values", seen=y.size, allowed=f"up to {_MOST}")
        groups = np.zeros(y.size, dtype=np.int64) if fixed is None else labels(fixed, name="fixed")
        same_length(y, groups, names=("values", "fixed"))
        x = np.eye(groups.max() + 1)[groups]
        parts = []
        for name, given in factors.items():
            codes = labels(given, name=name)
            same_length(y, codes, names=("values", name))
            if codes.max() == 0 or codes.max() == y.size - 1:
                raise DataError(
                    f"the variance of {name!r} cannot be told apart", where=name, seen=f"{codes.max() + 1} levels in "
                    f"{y.size} measurements", allowed="two or more, some of them measured more than once",
                )  # fmt: skip
            parts.append((codes[:, None] == codes[None, :]).astype(float))
        design = np.concatenate([x, *(np.eye(labels(f).max() + 1)[labels(f)] for f in factors.values())], axis=1)
        rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        unit = float(y.std()) or 1.0
        if float((rest**2).mean()) <= _TINY * unit**2:
            raise DataError(
                "the replicates are copies of each other", where="values", seen="no difference that the factors leave",
                hint="Give measurements that were made independently, each from its own slide, core or reading.",
            )  # fmt: skip
        return cls((y - y.mean()) / unit, x, [*parts, np.eye(y.size)], unit)

    def maximise(self, parts: list[Array] | None = None, *, rough: bool = False) -> tuple[Array, float]:
        """Variances (of the scaled values) that maximise the restricted likelihood, and minus its logarithm.

        Roughly, for a profile: to 1e-7 of the logarithm, without Newton steps.
        """
        from scipy.optimize import minimize

        matrices = self.parts if parts is None else parts
        start = np.full(len(matrices), 0.5)
        bounds = [(0.0, None)] * (len(matrices) - 1) + [(1e-9, None)]
        found = minimize(
            lambda s: self.evaluate(s, matrices)[:2], start, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-10 if rough else 1e-13, "gtol": 1e-5 if rough else 1e-8, "maxiter": 500},
        )  # fmt: skip
        if rough:
            return np.asarray(found.x, dtype=float), float(found.fun)
        return self._polish(np.asarray(found.x, dtype=float), matrices)

    def _polish(self, s: Array, matrices: list[Array]) -> tuple[Array, float]:
        """Newton steps with the average information, components at 0 held there."""
        value, gradient, information = self.evaluate(s, matrices)
        for _ in range(_NEWTON):
            free = (s > 0) | (gradient < 0)
            if not free.any() or np.abs(gradient[free]).max() < 1e-11:
                break
            step = np.zeros(s.size)
            step[free] = np.linalg.lstsq(information[np.ix_(free, free)], -gradient[free], rcond=None)[0]
            moved = np.maximum(s + step, 0.0)
            moved[-1] = max(moved[-1], 1e-12)
            fresh = self.evaluate(moved, matrices)
            if fresh[0] > value + 1e-12:
                break
            small = np.abs(moved - s).max() < 1e-14
            s, (value, gradient, information) = moved, fresh
            if small:
                break
        return s, value

    def evaluate(self, s: Array, matrices: list[Array]) -> tuple[float, Array, Array]:
        """Minus the restricted log-likelihood, its gradient and the average information."""
        v = sum(a * m for a, m in zip(s, matrices, strict=True))
        root = np.linalg.cholesky(v)
        inverse = np.linalg.inv(v)
        vx = inverse @ self.x
        inner = self.x.T @ vx
        p = inverse - vx @ np.linalg.solve(inner, vx.T)
        py = p @ self.y
        logdet = 2 * float(np.log(np.diag(root)).sum()) + float(np.linalg.slogdet(inner)[1])
        value = 0.5 * (logdet + float(self.y @ py) + self.df * math.log(2 * math.pi))
        pushed = [m @ py for m in matrices]
        gradient = np.array(
            [0.5 * (float((p * m).sum()) - float(py @ q)) for m, q in zip(matrices, pushed, strict=True)]
        )
        information = np.array([[0.5 * float(a @ p @ b) for b in pushed] for a in pushed])
        return value, gradient, information


__all__ = ["RESIDUAL", "VarianceComponents", "component_reliability", "variance_components"]
