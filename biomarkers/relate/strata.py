"""The same question within each site, batch or tumor type: the strata one by one, pooled, and against the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from biomarkers.core.words import both_groups
from biomarkers.relate.binary import Row, group_problem, row
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.roc import auc, auc_logit_delong, auc_variance

_MOVED = 0.05
_UNLIKE = 0.05  # heterogeneity below this is told


@dataclass(frozen=True)
class Pooled:
    """The AUC within strata, pooled: its intervals, the rows, and a warning when the strata tell another story.

    ``unlike`` is set when the strata differ among themselves: a pooled AUC near one half then shows no independence.
    """

    ci95: Estimate
    sd: float
    rows: list[Row]
    warning: str
    unlike: bool

    def at(self, level: float) -> Estimate:
        """Return the interval at another confidence level."""
        return _interval(self.ci95.value, self.sd, level, self.ci95.n)


def pool_strata(
    biomarker: str, endpoint: str, values: np.ndarray, responder: np.ndarray, strata: np.ndarray
) -> Pooled | str:
    """Estimate the AUC in each stratum and pool the strata.

    Strata are weighed by n1 n2 / (n1 + n2 + 1), van Elteren's weights, so that the estimate fits the test; a stratum
    without both groups says nothing. The interval is made on the logit scale. Heterogeneity is Cochran's Q.

    Parameters
    ----------
    biomarker, endpoint
        Names for the rows.
    values, responder, strata
        (n,) finite levels, bool, labels.

    Returns
    -------
    The pooled estimate, or why there is none.

    References
    ----------
    van Elteren PH. Bull Int Stat Inst 1960;37:351-361.
    """
    rows: list[Row] = []
    parts: list[tuple[float, float, float]] = []
    for label in np.unique(strata):
        here = strata == label
        yes, no = values[here & responder], values[here & ~responder]
        name = f"stratum {label}, logit-DeLong 95%"
        if not len(yes) or not len(no):
            note = f"{both_groups(len(yes), len(no))}: the stratum says nothing"
            rows.append(row(biomarker, endpoint, name, "auc", math.nan, n=int(here.sum()), note=note))
            continue
        problem = group_problem(yes, no)
        value = math.nan if problem else auc_logit_delong(yes, no)
        rows.append(row(biomarker, endpoint, name, "auc", value, n=int(here.sum()), note=problem or ""))
        parts.append((auc(yes, no), _variance(yes, no), len(yes) * len(no) / (len(yes) + len(no) + 1)))
    if not parts:
        return "no stratum holds both responders and others"
    theta, variance, weight = (np.array(column) for column in zip(*parts, strict=True))
    share = weight / weight.sum()
    pooled, sd, n = float(share @ theta), math.sqrt(float(share**2 @ variance)), len(values)
    whole = auc(values[responder], values[~responder])
    ci95, ci90 = (_interval(pooled, sd, level, n) for level in (0.95, 0.90))
    rows.append(row(biomarker, endpoint, ci95.method, "auc", ci95, n=n, note=f"without strata {whole:.3f}"))
    rows.append(row(biomarker, endpoint, ci90.method, "auc", ci90, n=n))
    found, unlike = heterogeneity(biomarker, endpoint, theta, variance, n)
    warnings = [told for told in (confounding(whole, pooled, sd), unlike) if told]
    return Pooled(ci95, sd, rows + found, "; ".join(warnings), unlike=bool(unlike))


def aligned_ranks(levels: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Van Elteren's scores: mid-ranks within the stratum over its size plus one, about 0; NaN stays NaN. (n, m)."""
    from scipy.stats import rankdata

    made = np.full(levels.shape, np.nan)
    for j in range(levels.shape[1]):
        known = ~np.isnan(levels[:, j])
        for label in np.unique(strata):
            here = known & (strata == label)
            if here.any():
                made[here, j] = rankdata(levels[here, j]) / (here.sum() + 1) - 0.5
    return made


def _variance(yes: np.ndarray, no: np.ndarray) -> float:
    """DeLong's variance, or that under the null where DeLong has none."""
    if min(len(yes), len(no)) > 1 and (found := auc_variance(yes, no)) > 1e-12:
        return found
    return (len(yes) + len(no) + 1) / (12 * len(yes) * len(no))


def _interval(theta: float, sd: float, level: float, n: int) -> Estimate:
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    method = f"AUC within strata, van Elteren weights, logit {100 * level:g}%"
    if theta in (0.0, 1.0):  # complete separation in every stratum has no logit; its error is that under the null
        return Estimate(theta, max(theta - z * sd, 0.0), min(theta + z * sd, 1.0), level, n, method)
    inside = min(max(theta, 1e-6), 1 - 1e-6)
    centre, half = math.log(inside / (1 - inside)), z * sd / (inside * (1 - inside))
    low, high = (1 / (1 + math.exp(-max(min(at, 700), -700))) for at in (centre - half, centre + half))
    return Estimate(theta, min(low, theta), max(high, theta), level, n, method)


def confounding(whole: float, pooled: float, sd: float, *, scale: str = "AUC") -> str:
    """Warn when the strata move the estimate by more than its own uncertainty, or across one half."""
    moved = abs(whole - pooled)
    turned = (whole - 0.5) * (pooled - 0.5) < 0
    if moved > max(sd, _MOVED) or (turned and moved > _MOVED):
        told = f"the {scale} is {whole:.2f} over all patients but {pooled:.2f} within strata: confounding by stratum"
        clearly = turned and abs(pooled - 0.5) > sd
        return told + (", the direction turns over (Simpson's paradox)" if clearly else "")
    return ""


def heterogeneity(
    biomarker: str, endpoint: str, theta: np.ndarray, variance: np.ndarray, n: int
) -> tuple[list[Row], str]:
    """Test whether strata tell one story: the row of Cochran's Q, and a warning when they do not.

    Parameters
    ----------
    biomarker, endpoint
        Names for the row.
    theta, variance
        (k,) estimates of the strata and their variances.
    n
        Number of patients.

    References
    ----------
    Cochran WG. Biometrics 1954;10:101-129.
    """
    from scipy.special import chdtrc

    if len(theta) < 2:
        return [], ""
    weight = 1 / variance
    centre = float((weight * theta).sum() / weight.sum())
    q = float((weight * (theta - centre) ** 2).sum())
    test = Test(q, float(chdtrc(len(theta) - 1, q)), n, f"heterogeneity, Cochran's Q over {len(theta)} strata")
    told = ""
    if test.p <= _UNLIKE:
        span = f"{theta.min():.2f} to {theta.max():.2f}"
        told = f"strata differ, {span} (heterogeneity p {test.p:.2g}): read them one by one"
    return [row(biomarker, endpoint, test.method, "Q", test, n=n)], told
