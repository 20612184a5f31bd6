"""2 x 2 tables at a cut-off, corrected for a reading whose sensitivity and specificity at that cut are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from biomarkers.core.errors import UsageError
from biomarkers.stats._checks import confidence, proportion_counts
from biomarkers.stats.differences import miettinen_nurminen
from biomarkers.stats.proportions import clopper_pearson
from biomarkers.stats.results import Estimate

_SEARCH = 60.0  # log odds ratios beyond it are infinite


@dataclass(frozen=True, slots=True)
class CorrectedTable:
    """What a 2 x 2 table says of the true state.

    Attributes
    ----------
    positive_responders, positive_others
        Share truly positive in each group (Rogan and Gladen), with the exact interval carried over; cut to 0-1, and the
        note says so where the table cannot have come from this sensitivity and specificity.
    difference
        Difference of these shares, Miettinen-Nurminen's interval divided by sensitivity + specificity - 1.
    odds_ratio
        Of response, truly positive to truly negative; profile-likelihood interval of the corrected odds ratio.
    note
        What a reader must know; empty when nothing.
    """

    positive_responders: Estimate
    positive_others: Estimate
    difference: Estimate
    odds_ratio: Estimate
    note: str


def correct_misclassification(
    positive_responders: int, responders: int, positive_others: int, others: int, *, sensitivity: float,
    specificity: float, level: float = 0.95,
) -> CorrectedTable:  # fmt: skip
    """Correct a table of marker status by response for a reading that errs alike in both groups.

    Under "no association" the table is unchanged by such errors: the exact test of the table as it stands (Fisher,
    Boschloo) stays exact, so no p-value is corrected.

    Parameters
    ----------
    positive_responders, responders, positive_others, others
        How many read positive, of how many.
    sensitivity, specificity
        Chance that a true positive is read positive, that a true negative is read negative.
    level
        Confidence level.

    Raises
    ------
    UsageError
        Sensitivity or specificity is out of range, or their sum is at most 1: such a reading says nothing.

    References
    ----------
    Rogan WJ, Gladen B. Am J Epidemiol 1978;107:71-76. Barron BA. Biometrics 1977;33:414-418.

    Examples
    --------
    >>> found = correct_misclassification(14, 20, 10, 40, sensitivity=0.9, specificity=0.8)
    >>> round(found.positive_responders.value, 4), round(found.difference.value, 4)
    (0.7143, 0.6429)
    """
    a, n1 = proportion_counts(positive_responders, responders, name="responders")
    b, n2 = proportion_counts(positive_others, others, name="others")
    youden = check_accuracy(sensitivity, specificity)
    impossible: list[str] = []
    one = _share(a, n1, sensitivity, specificity, level, "responders", impossible)
    two = _share(b, n2, sensitivity, specificity, level, "others", impossible)
    observed = miettinen_nurminen(a, n1, b, n2, level=level)
    cut = [min(max(at / youden, -1.0), 1.0) for at in (observed.value, observed.low, observed.high)]
    difference = Estimate(
        cut[0], cut[1], cut[2], level, n1 + n2, "difference of true shares, Miettinen-Nurminen interval / Youden index"
    )
    odds = _odds_ratio(a, n1, b, n2, sensitivity, specificity, level)
    return CorrectedTable(one, two, difference, odds, "; ".join(impossible))


def check_accuracy(sensitivity: float, specificity: float) -> float:
    """Return Youden's index, sensitivity + specificity - 1, when it is above 0.

    Raises
    ------
    UsageError
        A number is outside 0-1, or the sum is at most 1.
    """
    for name, value in (("sensitivity", sensitivity), ("specificity", specificity)):
        if not 0 < value <= 1:
            hint = f"In per cent? Write {value / 100:g}." if 1 < value <= 100 else None
            raise UsageError(f"the {name} is out of range", seen=value, allowed="above 0, at most 1", hint=hint)
    if sensitivity + specificity <= 1 + 1e-12:
        raise UsageError(
            "sensitivity + specificity is at most 1: the reading says nothing about the true state",
            seen=f"{sensitivity:g} + {specificity:g}", allowed="a sum above 1",
            hint="Are positive and negative exchanged?",
        )  # fmt: skip
    return sensitivity + specificity - 1


def _share(
    k: int, n: int, sensitivity: float, specificity: float, level: float, name: str, impossible: list[str]
) -> Estimate:
    observed = clopper_pearson(k, n, level=level)
    raw = [(at + specificity - 1) / (sensitivity + specificity - 1) for at in (observed.value, observed.low,
                                                                              observed.high)]  # fmt: skip
    note = ""
    if not -1e-12 <= raw[0] <= 1 + 1e-12:
        edge = f"below {1 - specificity:.3g}" if raw[0] < 0 else f"above {sensitivity:.3g}"
        note = (
            f"{k} of {n} {name} read positive, a share {edge}: this sensitivity and specificity cannot have given it, "
            "the corrected share is cut to 0-1"
        )
        impossible.append(note)
    value, low, high = (min(max(at, 0.0), 1.0) for at in raw)
    return Estimate(value, low, high, level, n, "true share, Rogan-Gladen, Clopper-Pearson interval", note)


def _odds_ratio(a: int, n1: int, b: int, n2: int, sensitivity: float, specificity: float, level: float) -> Estimate:
    """Corrected odds ratio by maximum likelihood of two binomials, its interval by profile likelihood."""
    from scipy.optimize import brentq
    from scipy.special import chdtri

    youden, false = sensitivity + specificity - 1, 1 - specificity

    def log_likelihood(p: float, q: float) -> float:
        return sum(
            k * math.log(max(false + youden * t, 1e-300)) + (n - k) * math.log(max(1 - false - youden * t, 1e-300))
            for k, n, t in ((a, n1, p), (b, n2, q))
        )

    p_hat, q_hat = (min(max((k / n - false) / youden, 0.0), 1.0) for k, n in ((a, n1), (b, n2)))
    best = log_likelihood(p_hat, q_hat)
    value = _ratio(p_hat, q_hat)
    method = "odds ratio of the true state, maximum likelihood, profile interval"
    if math.isnan(value):
        return Estimate(math.nan, 0.0, math.inf, level, n1 + n2, method, "both corrected shares stand at 0 or at 1")
    drop = float(chdtri(1, 1 - confidence(level))) / 2

    def deficit(log_odds: float) -> float:
        return best - _profile(log_likelihood, log_odds) - drop

    centre = min(max(math.log(value), -_SEARCH), _SEARCH) if value > 0 else -_SEARCH
    low = 0.0 if deficit(-_SEARCH) <= 0 else math.exp(brentq(deficit, -_SEARCH, centre)) if deficit(centre) < 0 else 0.0
    high = math.inf if deficit(_SEARCH) <= 0 else math.exp(brentq(deficit, centre, _SEARCH))
    note = "" if math.isfinite(high) and low > 0 else "the data set no bound on one side"
    return Estimate(value, min(low, value), max(high, value), level, n1 + n2, method, note)


def _ratio(p: float, q: float) -> float:
    top, bottom = p * (1 - q), q * (1 - p)
    if bottom == 0:
        return math.nan if top == 0 else math.inf
    return top / bottom


def _profile(log_likelihood: Callable[[float, float], float], log_odds: float) -> float:
    """Largest log-likelihood with this log odds ratio, over the share of the second group."""
    from scipy.optimize import minimize_scalar
    from scipy.special import expit

    def worse(logit: float) -> float:
        return -log_likelihood(float(expit(logit + log_odds)), float(expit(logit)))

    grid = [-30 + at for at in range(0, 61, 2)] + [-log_odds + at for at in (-6.0, -2.0, 0.0, 2.0, 6.0)]
    start = min(grid, key=worse)
    found = minimize_scalar(worse, bounds=(start - 4, start + 4), method="bounded", options={"xatol": 1e-10})
    return -min(float(found.fun), worse(start))
