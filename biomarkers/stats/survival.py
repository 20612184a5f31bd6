"""Times to progression or death: Kaplan-Meier, median with Brookmeyer-Crowley interval, follow-up, log-rank, landmark.

``event`` is 1 where the event was seen and 0 where the patient was censored. Cox regression stands in
`biomarkers.stats.cox_model`, concordance in `biomarkers.stats.rank_concordance`; both can be imported from here too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats._checks import Array, choice, confidence, labels, same_length, times
from biomarkers.stats.cox_model import CoxFit, cox, cox_firth, proportional_hazards
from biomarkers.stats.rank_concordance import concordance
from biomarkers.stats.results import Estimate, Test, undefined_test

__all__ = [
    "CoxFit",
    "KaplanMeier",
    "concordance",
    "cox",
    "cox_firth",
    "follow_up",
    "kaplan_meier",
    "landmark",
    "landmark_log_rank",
    "log_rank",
    "log_rank_scores",
    "median_survival",
    "proportional_hazards",
    "survival_at",
]

TRANSFORMS = ("log-log", "log", "plain")
_PLATEAU = 1e-9  # a curve this close to the quantile runs along it (R's tolerance is its square-root epsilon)


@dataclass(frozen=True, slots=True, eq=False)
class KaplanMeier:
    """A Kaplan-Meier curve: one entry for each distinct time, (k,) each.

    ``survival`` is the share still event-free just after ``time``; ``low`` and ``high`` its pointwise interval on the
    named ``transform`` at ``level``; ``error`` Greenwood's standard error.
    """

    time: Array
    at_risk: Array
    events: Array
    censored: Array
    survival: Array
    error: Array
    low: Array
    high: Array
    level: float
    transform: str
    n: int

    def quantile(self, p: float = 0.5) -> Estimate:
        """Time by which a share ``p`` had the event; the middle of a plateau at that height, as in R."""
        value, low, high = (_crossing(self.time, curve, 1 - p) for curve in (self.survival, self.low, self.high))
        notes = []
        if math.isinf(value):
            notes.append(f"the curve never falls to {1 - p:g}: not reached")
        elif math.isinf(high):
            notes.append("upper bound not reached")
        name = "median" if p == 0.5 else f"{100 * p:g}% quantile"
        method = f"Kaplan-Meier {name}, Brookmeyer-Crowley {self.transform} interval"
        return Estimate(value, min(low, value), max(high, value), self.level, self.n, method, "; ".join(notes))


def kaplan_meier(time: Any, event: Any, *, level: float = 0.95, transform: str = "log-log") -> KaplanMeier:
    """Kaplan-Meier curve with Greenwood's variance.

    Parameters
    ----------
    time
        Times, positive or zero, one a patient, (n,).
    event
        1 where the event was seen, 0 where censored, (n,).
    level
        Confidence level of the pointwise intervals.
    transform
        Scale of the intervals: ``"log-log"``, ``"log"`` or ``"plain"``.

    References
    ----------
    Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. Kalbfleisch JD, Prentice RL. 2002, section 1.4 (log-log).
    """
    from scipy.special import ndtri

    choice(transform, TRANSFORMS, name="transform")
    t, seen = times(time, event)
    z = float(ndtri(0.5 + confidence(level) / 2))
    moments, at_risk, events, leaving = _table(t, seen)
    survival = np.asarray(np.cumprod(1 - events / at_risk), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard_variance = np.cumsum(np.where(at_risk > events, events / (at_risk * (at_risk - events)), np.inf))
        spread = z * np.sqrt(hazard_variance)
        if transform == "plain":
            low, high = survival * (1 - spread), survival * (1 + spread)
        elif transform == "log":
            low, high = survival * np.exp(-spread), survival * np.exp(spread)
        else:
            width = np.exp(spread / np.log(survival))
            low, high = survival ** (1 / width), survival**width
    low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    whole, gone = survival == 1, survival == 0
    low[whole], high[whole] = 1.0, 1.0  # before the first event nothing has varied yet
    low[gone], high[gone] = math.nan, math.nan  # the variance at 0 is undefined, as in R
    error: Array = np.where(gone, 0.0, survival * np.sqrt(np.where(gone, 0.0, hazard_variance)))
    return KaplanMeier(moments, at_risk, events, leaving, survival, error, low, high, level, transform, t.size)


def median_survival(time: Any, event: Any, *, level: float = 0.95, transform: str = "log-log") -> Estimate:
    """Median time with the Brookmeyer-Crowley interval; infinite with a note where it is not reached.

    ``transform="plain"`` is the original; ``"log-log"`` is SAS's default, ``"log"`` R's.

    References
    ----------
    Brookmeyer R, Crowley J. Biometrics 1982;38:29-41.

    Examples
    --------
    >>> print(median_survival([2, 3, 5, 8, 13, 21], [1, 1, 1, 1, 0, 1]))
    6.5 (95% CI 2 to inf), upper bound not reached
    """
    return kaplan_meier(time, event, level=level, transform=transform).quantile(0.5)


def follow_up(time: Any, event: Any, *, level: float = 0.95, transform: str = "log-log") -> Estimate:
    """Median follow-up by reverse Kaplan-Meier: how long patients could have been watched.

    References
    ----------
    Schemper M, Smith TL. Control Clin Trials 1996;17:343-346.
    """
    t, seen = times(time, event)
    found = kaplan_meier(t, ~seen, level=level, transform=transform).quantile(0.5)
    method = f"median follow-up, reverse Kaplan-Meier, {transform} interval"
    return Estimate(found.value, found.low, found.high, level, found.n, method, found.note)


def survival_at(time: Any, event: Any, *, at: float, level: float = 0.95, transform: str = "log-log") -> Estimate:
    """Share still event-free at one time; beyond the last time it is the last value, with a note."""
    curve = kaplan_meier(time, event, level=level, transform=transform)
    method = f"Kaplan-Meier share at {at:g}, {transform} interval"
    index = int(np.searchsorted(curve.time, at, side="right")) - 1
    if index < 0:
        return Estimate(1.0, 1.0, 1.0, level, curve.n, method, "before the first recorded time")
    value, low, high = (float(side[index]) for side in (curve.survival, curve.low, curve.high))
    notes = []
    if at > curve.time[-1]:
        notes.append("beyond the last recorded time: the last value is carried")
    if value == 1:
        notes.append("no event by then: the interval has no width")
    if math.isnan(low):
        notes.append("the curve has reached 0: no interval")
        low, high = 0.0, 1.0
    return Estimate(value, low, high, level, curve.n, method, "; ".join(notes))


def log_rank(time: Any, event: Any, group: Any, *, strata: Any = None) -> Test:
    """Log-rank test of two or more groups, optionally stratified.

    Parameters
    ----------
    time, event
        Times and events, (n,).
    group
        Labels a patient, (n,).
    strata
        Labels a patient, (n,): groups are compared within strata and the differences added.

    Returns
    -------
    The statistic is chi-square on (groups - 1) degrees of freedom.

    References
    ----------
    Mantel N. Cancer Chemother Rep 1966;50:163-170.
    """
    from scipy.special import chdtrc

    t, seen = times(time, event)
    arm = labels(group, name="group")
    block = np.zeros(t.size, dtype=np.int64) if strata is None else labels(strata)
    same_length(t, arm, block, names=("time", "group", "strata"))
    k = int(arm.max()) + 1
    method = "log-rank test" if strata is None else f"log-rank test, {block.max() + 1} strata"
    if k < 2:
        return undefined_test(n=t.size, method=method, note="there is one group only: nothing can be compared")
    gap, variance = np.zeros(k), np.zeros((k, k))
    for stratum in range(int(block.max()) + 1):
        inside = block == stratum
        one_gap, one_variance = _log_rank_parts(t[inside], seen[inside], arm[inside], k)
        gap += one_gap
        variance += one_variance
    rank = int(np.linalg.matrix_rank(variance, tol=1e-10 * max(1.0, float(np.abs(variance).max()))))
    if rank == 0:
        reason = "no event was seen" if not seen.any() else "no event fell while two groups were at risk"
        return undefined_test(n=t.size, method=method, note=f"{reason}: nothing can be compared")
    note = "" if rank == k - 1 else f"{k - 1 - rank} group(s) never at risk at an event: degrees of freedom reduced"
    chi2 = float(gap @ np.linalg.pinv(variance, rcond=1e-10, hermitian=True) @ gap)
    return Test(chi2, float(chdtrc(rank, max(chi2, 0.0))), t.size, f"{method}, chi-square df {rank}", note)


def log_rank_scores(time: Any, event: Any, *, ties: str = "mantel") -> Array:
    """Log-rank scores for permutation tests: event minus cumulative hazard at the patient's own time, (n,).

    Parameters
    ----------
    time, event
        Times and events, (n,).
    ties
        At tied event times: ``"mantel"`` (Nelson-Aalen: all tied patients are still at risk; R's coin), or
        ``"hothorn-lausen"`` (tied patients are counted as gone; R's maxstat).

    References
    ----------
    Peto R, Peto J. J R Stat Soc A 1972;135:185-207. Hothorn T, Lausen B. Comput Stat Data Anal 2003;43:121-137.
    """
    choice(ties, ("mantel", "hothorn-lausen"), name="treatment of ties")
    t, seen = times(time, event)
    at_risk = (t[None, :] >= t[:, None]).sum(axis=1) if ties == "mantel" else 1 + (t[None, :] > t[:, None]).sum(axis=1)
    steps = seen / at_risk
    hazard = ((t[None, :] <= t[:, None]) * steps[None, :]).sum(axis=1)
    return np.asarray(seen - hazard, dtype=np.float64)


def landmark(time: Any, event: Any, *, at: float) -> tuple[np.ndarray, Array, np.ndarray]:
    """Who is still event-free and under observation at a landmark, and their times from it on.

    Returns
    -------
    ``(keep, time, event)``: a boolean mask over the patients, then times since the landmark and events of those kept.

    References
    ----------
    Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-719.
    """
    t, seen = times(time, event)
    if not at >= 0 or not math.isfinite(at):
        raise UsageError("the landmark is no time", seen=at, allowed="zero or more, in the unit of the times")
    keep = t > at
    if not keep.any():
        raise DataError("nobody is left at the landmark", where="time", seen=float(t.max()), allowed=f"above {at:g}")
    return keep, t[keep] - at, seen[keep]


def landmark_log_rank(time: Any, event: Any, group: Any, *, at: float) -> Test:
    """Log-rank test of groups known at a landmark, among those still event-free then (response by then, PFS from then).

    Comparing responders with others from the first day on is biased: a responder must live to respond.
    """
    keep, later, seen = landmark(time, event, at=at)
    arm = labels(group, name="group")
    same_length(keep, arm, names=("time", "group"))
    test = log_rank(later, seen, arm[keep])
    left = f"{int(keep.sum())} of {keep.size} patients still at risk at the landmark {at:g}"
    return Test(test.statistic, test.p, test.n, f"landmark {test.method}", "; ".join(s for s in (left, test.note) if s))


def _table(t: Array, seen: np.ndarray) -> tuple[Array, Array, Array, Array]:
    """Distinct times with numbers at risk, events and censorings."""
    moments, inverse = np.unique(t, return_inverse=True)
    inverse = inverse.reshape(-1)
    events = np.asarray(np.bincount(inverse, weights=seen, minlength=moments.size), dtype=np.float64)
    all_leaving: Array = np.bincount(inverse, minlength=moments.size).astype(np.float64)
    at_risk: Array = t.size - np.append(0.0, np.cumsum(all_leaving)[:-1])
    return moments, at_risk, events, all_leaving - events


def _crossing(time: Array, curve: Array, share: float) -> float:
    """First time the curve falls to ``share``; the middle of the plateau when it runs along it."""
    for index, value in enumerate(curve):
        if math.isnan(value):
            continue
        if abs(value - share) < _PLATEAU:
            lower = np.flatnonzero(curve[index:] < share - _PLATEAU)
            return float(time[index]) if lower.size == 0 else float(time[index] + time[index + lower[0]]) / 2
        if value < share:
            return float(time[index])
    return math.inf


def _log_rank_parts(t: Array, seen: np.ndarray, arm: np.ndarray, k: int) -> tuple[Array, Array]:
    """Observed minus expected events a group, and its hypergeometric covariance."""
    moments = np.unique(t[seen])
    if moments.size == 0:
        return np.zeros(k), np.zeros((k, k))
    order = np.arange(k)[:, None, None] == arm[None, None, :]
    still = (t[None, :] >= moments[:, None])[None]
    now = ((t[None, :] == moments[:, None]) & seen[None, :])[None]
    at_risk = (order & still).sum(axis=2).T.astype(float)
    died = (order & now).sum(axis=2).T.astype(float)
    n, d = at_risk.sum(axis=1), died.sum(axis=1)
    share = at_risk / n[:, None]
    gap = (died - d[:, None] * share).sum(axis=0)
    factor = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
    variance = np.diag((factor[:, None] * share).sum(axis=0)) - np.einsum("t,ti,tj->ij", factor, share, share)
    return gap, variance
