"""Cox regression with Efron's or Breslow's ties, its three tests, the check of proportional hazards, Firth's penalty.

The partial likelihood is written out here because the check of proportional hazards needs the covariance of the
covariates in every risk set, which no library hands out; tests hold it to R and statsmodels. Firth's version is
firthmodels'.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import (
    Array,
    IntArray,
    choice,
    confidence,
    labels,
    same_length,
    times,
)
from biomarkers.stats.fits import Coefficient, Fit, design, maximise, penalised
from biomarkers.stats.linear import normal_p
from biomarkers.stats.results import Estimate, Test, undefined_test

_MONOTONE = "monotone likelihood: a group without events has no finite hazard ratio, use cox_firth"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoxFit(Fit):
    """A Cox regression; ``score`` is the score test (one yes/no covariate without ties: the log-rank test)."""

    score: Test


def cox(
    time: Any,
    event: Any,
    covariates: Any,
    *,
    ties: str = "efron",
    strata: Any = None,
    level: float = 0.95,
) -> CoxFit:
    """Cox proportional hazards regression.

    Parameters
    ----------
    time, event
        Times and events (1 seen, 0 censored), (n,).
    covariates
        A mapping name -> values, one array, or an (n, p) matrix.
    ties
        ``"efron"`` or ``"breslow"``.
    strata
        Labels a patient, (n,): each stratum has its own baseline hazard.
    level
        Confidence level of the Wald intervals.

    Returns
    -------
    Coefficients are log hazard ratios per unit with Wald tests. A monotone likelihood gives infinite bounds and a note.

    References
    ----------
    Cox DR. J R Stat Soc B 1972;34:187-220. Efron B. J Am Stat Assoc 1977;72:557-565.
    """
    from scipy.special import ndtri

    model = _Model.build(time, event, covariates, ties=ties, strata=strata)
    z = float(ndtri(0.5 + confidence(level) / 2))
    p = model.x.shape[1]
    start = np.zeros(p)
    null_value, null_gradient, null_hessian = model.target(start)
    best = maximise(model.target, start)
    flat = not best.converged or np.abs(best.at).max() > 15
    method = f"Cox regression, {ties.capitalize()} ties" + ("" if model.strata == 1 else f", {model.strata} strata")
    covariance = np.full((p, p), math.nan) if flat else np.linalg.inv(best.information)
    covariance = covariance / np.outer(model.scale, model.scale)
    coefficients = []
    for i, name in enumerate(model.names):
        beta = float(best.at[i] / model.scale[i])
        if flat:
            estimate = Estimate(beta, -math.inf, math.inf, level, model.n, f"log hazard ratio, {method}", _MONOTONE)
            test = undefined_test(n=model.n, method=f"{method}, Wald z", note=_MONOTONE)
        else:
            error = math.sqrt(float(covariance[i, i]))
            name_of = f"log hazard ratio, {method}, Wald interval"
            estimate = Estimate(beta, beta - z * error, beta + z * error, level, model.n, name_of)
            test = Test(beta / error, normal_p(beta / error), model.n, f"{method}, Wald z")
        coefficients.append(Coefficient(name, estimate, test))
    score = float(null_gradient @ np.linalg.solve(-null_hessian, null_gradient))
    return CoxFit(
        coefficients=tuple(coefficients),
        likelihood_ratio=_chi2(2 * (best.loglik - null_value), p, model.n, f"{method}, likelihood ratio"),
        score=_chi2(score, p, model.n, f"{method}, score"),
        n=model.n,
        events=model.events,
        method=method,
        covariance=tuple(tuple(float(v) for v in row) for row in covariance),
        note=_MONOTONE if flat else _few(model.events, p),
    )


def cox_firth(time: Any, event: Any, covariates: Any, *, level: float = 0.95) -> Fit:
    """Cox regression with Firth's penalty (Breslow ties), profile intervals and penalised likelihood-ratio tests.

    Finite even when a group has no event; preferred below about ten events a covariate.

    References
    ----------
    Heinze G, Schemper M. Biometrics 2001;57:114-119. Computed by firthmodels.
    """
    model = _Model.build(time, event, covariates, ties="breslow", strata=None)
    t, seen, names, scale = model.t, model.seen, model.names, model.scale
    fit, limits = _firth_fit(model.x, seen, t, alpha=1 - confidence(level))
    null, _, hessian = model.target(np.zeros(len(names)))
    base = null + np.linalg.slogdet(-hessian)[1] / 2
    joint = _chi2(2 * (float(fit.loglik_) - base), len(names), t.size, "penalised likelihood ratio")
    method = "Firth Cox regression, Breslow ties"
    note = _few(int(seen.sum()), len(names)) if fit.converged_ else "the fit did not converge"
    said = {"level": level, "n": t.size, "unit": "log hazard ratio", "method": method, "note": note}
    coefficients = penalised(fit, limits, names=names, scale=scale, **said)
    return Fit(coefficients, joint, t.size, int(seen.sum()), method, note=note)


def _firth_fit(x: Array, seen: np.ndarray, t: Array, *, alpha: float) -> tuple[Any, Array]:
    """Fit with the tightest tolerance at which every constrained fit arrives."""
    from firthmodels import FirthCoxPH

    for gtol, xtol in ((1e-8, 1e-8), (1e-6, 1e-6), (1e-4, 1e-6)):
        fit = FirthCoxPH(backend="numpy", gtol=gtol, xtol=xtol, max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether it converged is read from the fit
            fit.fit(x, (seen, t))
            fit.lrt()
            limits = np.asarray(fit.conf_int(alpha=alpha, method="pl", max_iter=100), dtype=np.float64)
        if fit.converged_ and np.isfinite(fit.lrt_pvalues_).all() and np.isfinite(limits).all():
            break
    return fit, limits


def proportional_hazards(
    time: Any, event: Any, covariates: Any, *, ties: str = "efron", strata: Any = None, transform: str = "km"
) -> dict[str, Test]:
    """Test each covariate for an effect that changes with time: the score test of covariate x g(time).

    Parameters
    ----------
    time, event, covariates, ties, strata
        As in `cox`.
    transform
        g: ``"km"`` (one minus the Kaplan-Meier curve just before), ``"identity"`` or ``"log"``.

    Returns
    -------
    A chi-square test a covariate, and ``"GLOBAL"`` for all together when there are several.

    References
    ----------
    Grambsch PM, Therneau TM. Biometrika 1994;81:515-526; the exact score form of R's survival 3.
    """
    choice(transform, ("km", "identity", "log"), name="transform")
    model = _Model.build(time, event, covariates, ties=ties, strata=strata)
    p = model.x.shape[1]
    best = maximise(model.target, np.zeros(p))
    if not best.converged:
        raise DataError("the Cox model has no finite fit, proportional hazards cannot be checked", where="covariates")
    g = _time_scale(model.t, model.seen, transform)
    u, both, curved = np.zeros(p), np.zeros((p, p)), np.zeros((p, p))
    centre = float(np.mean([g[moment] for moment in model.t[model.seen]]))
    for moment, gap, variance in model.steps(best.at):
        weight = g[moment] - centre
        u += weight * gap
        both += weight * variance
        curved += weight**2 * variance
    full = np.block([[best.information, both], [both.T, curved]])
    out = {}
    sides = [(name, [i]) for i, name in enumerate(model.names)] + ([("GLOBAL", list(range(p)))] if p > 1 else [])
    for name, tested in sides:
        kept = list(range(p)) + [p + i for i in tested]
        information = full[np.ix_(kept, kept)]
        gradient = np.concatenate([np.zeros(p), u[tested]])
        chi2 = float(gradient @ np.linalg.pinv(information, rcond=1e-12, hermitian=True) @ gradient)
        method = f"proportional hazards, score test, {transform} time"
        out[name] = _chi2(chi2, len(tested), model.n, method)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """The partial likelihood of standardised covariates."""

    t: Array
    seen: np.ndarray
    x: Array
    scale: Array
    block: IntArray
    names: tuple[str, ...]
    ties: str

    @classmethod
    def build(cls, time: Any, event: Any, covariates: Any, *, ties: str, strata: Any) -> _Model:
        choice(ties, ("efron", "breslow"), name="treatment of ties")
        t, seen = _times(time, event)
        x, names = design(covariates, n=t.size)
        block = np.zeros(t.size, dtype=np.int64) if strata is None else labels(strata)
        same_length(t, block, names=("time", "strata"))
        scale = x.std(axis=0)
        model = cls(t, seen, (x - x.mean(axis=0)) / scale, scale, block, names, ties)
        information = -model.target(np.zeros(len(names)))[2]
        if np.linalg.matrix_rank(information, tol=1e-9, hermitian=True) < len(names):
            raise DataError(
                "at every event only patients alike in a covariate were at risk: no hazard ratio can be estimated",
                where=", ".join(names),
            )
        return model

    @property
    def n(self) -> int:
        return int(self.t.size)

    @property
    def events(self) -> int:
        return int(self.seen.sum())

    @property
    def strata(self) -> int:
        return int(self.block.max()) + 1

    def target(self, beta: Array) -> tuple[float, Array, Array]:
        """Log partial likelihood, gradient, Hessian."""
        value, gradient, hessian = 0.0, np.zeros(beta.size), np.zeros((beta.size, beta.size))
        for still, now in self._risk_sets():
            log_risk = self.x[still] @ beta
            top = float(log_risk.max())
            risk = np.exp(log_risk - top)
            value += float((self.x[now] @ beta).sum())
            gradient += self.x[now].sum(axis=0)
            for fraction in self._fractions(int(now.sum())):
                weight = risk * np.where(now[still], 1 - fraction, 1.0)
                total = float(weight.sum())
                mean = weight @ self.x[still] / total
                value -= math.log(total) + top
                gradient -= mean
                hessian -= (self.x[still].T * weight) @ self.x[still] / total - np.outer(mean, mean)
        return value, gradient, hessian

    def steps(self, beta: Array) -> list[tuple[float, Array, Array]]:
        """For each event time: the time, observed minus expected covariates, covariance of the risk set."""
        out = []
        for still, now in self._risk_sets():
            log_risk = self.x[still] @ beta
            risk = np.exp(log_risk - log_risk.max())
            gap, variance = self.x[now].sum(axis=0), np.zeros((beta.size, beta.size))
            for fraction in self._fractions(int(now.sum())):
                weight = risk * np.where(now[still], 1 - fraction, 1.0)
                weight /= weight.sum()
                mean = weight @ self.x[still]
                gap = gap - mean
                variance += (self.x[still].T * weight) @ self.x[still] - np.outer(mean, mean)
            out.append((float(self.t[now][0]), gap, variance))
        return out

    def _risk_sets(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each stratum and event time: who is still at risk, and who has the event then."""
        out = []
        for stratum in range(self.strata):
            inside = self.block == stratum
            for moment in np.unique(self.t[inside & self.seen]):
                now = inside & self.seen & (self.t == moment)
                out.append((inside & (self.t >= moment), now))
        return out

    def _fractions(self, deaths: int) -> Array:
        return np.arange(deaths) / deaths if self.ties == "efron" else np.zeros(deaths)


def _times(time: Any, event: Any) -> tuple[Array, np.ndarray]:
    """Return times and events, one event at least."""
    t, seen = times(time, event)
    if not seen.any():
        raise DataError("no event was seen: a hazard ratio is undefined", where="event", seen=0, allowed="1 or more")
    return t, seen


def _time_scale(t: Array, seen: np.ndarray, transform: str) -> dict[float, float]:
    """Return g at each distinct time."""
    moments, inverse = np.unique(t, return_inverse=True)
    if transform == "identity":
        values = moments
    elif transform == "log":
        if (moments <= 0).any():
            raise DataError("log time needs times above zero", where="time", seen=float(moments.min()))
        values = np.log(moments)
    else:
        died = np.bincount(inverse.reshape(-1), weights=seen)
        at_risk = np.array([(t >= moment).sum() for moment in moments])
        values = 1 - np.concatenate([[1.0], np.cumprod(1 - died / at_risk)[:-1]])
    return dict(zip(moments.tolist(), values.tolist(), strict=True))


def _chi2(value: float, df: int, n: int, method: str) -> Test:
    from scipy.special import chdtrc

    value = max(value, 0.0)
    return Test(value, float(chdtrc(df, value)), n, f"{method}, chi-square df {df}")


def _few(events: int, covariates: int) -> str:
    if events >= 10 * covariates:
        return ""
    return f"{events} events for {covariates} covariate(s): below ten each, estimates are unstable"
