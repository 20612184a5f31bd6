"""What a sample of this size can say: the least dependence it would find, the least margin it can prove.

These are large-sample figures; :func:`biomarkers.relate.power.power` holds them to simulation.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.stats.ranks import midranks

POWER: Final = 0.80
SPREAD_LEVELS: Final = 2  # the gate on spread takes away independence at so many times alpha (see `verdict.decide`)
_MOST = 10**7


def null_sd(n_responders: Any, n_others: Any, *, ties: Any = 1.0) -> float:
    """Return the standard deviation of the AUC when nothing is going on: sqrt(ties (n + 1) / (12 n1 n2)).

    With one number a stratum, (k,), it is that of the AUC pooled with van Elteren's weights.
    """
    yes, no, share = _pooling(n_responders, n_others)
    return math.sqrt(float((share**2 * np.asarray(ties) * (yes + no + 1) / (12 * yes * no)).sum()))


def tie_factor(levels: Any) -> float:
    """Share of the rank variance that ties leave, 1 without ties: 1 - sum(t^3 - t) / (n^3 - n)."""
    counts = np.unique(np.asarray(levels, dtype=float), return_counts=True)[1].astype(float)
    n = float(counts.sum())
    return 1.0 if n < 2 else float(1 - (counts**3 - counts).sum() / (n**3 - n))


def attainable_auc(levels: Any, n_responders: int) -> tuple[float, float]:
    """Least and greatest AUC that these levels allow, whoever had responded.

    Many equal levels keep the AUC near one half: with one negative patient of 16, nobody's response can move it by more
    than a tenth. An interval inside the margin then says nothing about response.

    Parameters
    ----------
    levels
        Levels of responders and others together.
    n_responders
        How many of them responded.

    Returns
    -------
    AUC if the responders had the lowest levels, and if they had the highest.
    """
    x = np.sort(np.asarray(levels, dtype=float))
    n_others = x.size - n_responders
    ranks = midranks(x)

    def auc(of_responders: np.ndarray) -> float:
        return float((of_responders.sum() - n_responders * (n_responders + 1) / 2) / (n_responders * n_others))

    return auc(ranks[:n_responders]), auc(ranks[n_others:])


def attainable_within(levels: np.ndarray, responder: np.ndarray, strata: np.ndarray) -> tuple[float, float]:
    """Least and greatest pooled AUC that the levels allow, whoever had responded within each stratum.

    Parameters
    ----------
    levels, responder, strata
        (n,) finite levels, bool, labels. A stratum without both groups says nothing.
    """
    spans, yes, no = [], [], []
    for label in np.unique(strata):
        here = strata == label
        n1, n2 = int(responder[here].sum()), int((~responder[here]).sum())
        if n1 and n2:
            spans.append(attainable_auc(levels[here], n1))
            yes.append(n1)
            no.append(n2)
    if not spans:
        return math.nan, math.nan
    share = _pooling(yes, no)[2]
    low, high = share @ np.array(spans)
    return float(low), float(high)


def min_detectable_auc(
    n_responders: Any, n_others: Any, *, alpha: float = 0.05, power: float = POWER, ties: Any = 1.0
) -> float:
    """Least AUC above one half that a two-sided test finds with the given power.

    Parameters
    ----------
    n_responders, n_others
        Group sizes; one number a stratum, (k,), where the AUC is pooled over strata.
    alpha
        Two-sided level.
    power
        Power wanted.
    ties
        :func:`tie_factor` of the levels (of each stratum).

    Returns
    -------
    The AUC, or NaN when even complete separation would not be found.

    References
    ----------
    Hanley JA, McNeil BJ. Radiology 1982;143:29-36 (variance of an AUC away from one half).
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if min(np.sum(n_responders), np.sum(n_others)) < 2:
        return math.nan
    yes, no, share = _pooling(n_responders, n_others)
    need = ndtri(1 - alpha / 2) * null_sd(yes, no, ties=ties)

    def short(theta: float) -> float:
        variance = float((share**2 * np.asarray(ties) * _variance(theta, yes, no)).sum())
        return theta - 0.5 - need - ndtri(power) * math.sqrt(variance)

    return float(brentq(short, 0.5, 1 - 1e-9)) if short(1 - 1e-9) > 0 else math.nan


def independence_power(
    n_responders: Any,
    n_others: Any,
    *,
    margin: float,
    alpha: float = 0.05,
    ties: Any = 1.0,
    folded_ties: Any = 1.0,
) -> float:
    """Chance that the rule says independent within the margin when the AUC is exactly one half and nothing is going on.

    The (1 - 2 alpha) logit-DeLong interval has to lie inside 1/2 +- margin, and the test of dependence must not reach
    alpha. The interval of the folded AUC has to lie there too and the gate on spread has to be passed (chance
    1 - 2 alpha); both look at one thing, so the lower chance of the two counts, and it is unrelated to the AUC then.
    The estimates are taken as normal; the interval around each is worked out at each value it may take, since on the
    logit scale the interval is wider where the estimate strays.

    Parameters
    ----------
    n_responders, n_others
        Group sizes; one number a stratum, (k,), where the AUC is pooled over strata.
    margin, alpha
        On the AUC scale; level of each one-sided test.
    ties
        :func:`tie_factor` of the levels (of each stratum).
    folded_ties
        The same of their distances from the middle; 0 where a level has two values, which cannot bend.
    """
    from scipy.special import ndtri

    error = null_sd(n_responders, n_others, ties=ties)
    most = _furthest(error, margin=margin, alpha=alpha)
    level = _central(min(most / error, float(ndtri(1 - alpha / 2))))
    bends = np.broadcast_to(np.asarray(folded_ties, dtype=float), np.shape(np.atleast_1d(n_responders))) > 0
    quiet = 1 - SPREAD_LEVELS * alpha
    if not bends.any():
        return level * quiet
    sizes = (np.atleast_1d(np.asarray(values, dtype=float))[bends] for values in (n_responders, n_others))
    folded_error = null_sd(*sizes, ties=np.broadcast_to(np.asarray(folded_ties, dtype=float), bends.shape)[bends])
    return level * min(_central(_furthest(folded_error, margin=margin, alpha=alpha) / folded_error), quiet)


def _furthest(error: float, *, margin: float, alpha: float) -> float:
    """How far from one half an AUC with this error may lie for its interval to stay inside the margin; 0 if never."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri(1 - alpha))
    edge = math.log((0.5 + margin) / (0.5 - margin))

    def beyond(shift: float) -> float:
        theta = 0.5 + shift
        return math.log(theta / (1 - theta)) + z * error / (theta * (1 - theta)) - edge

    if beyond(0.0) >= 0:
        return 0.0
    return float(brentq(beyond, 0.0, margin))


def _central(z: float) -> float:
    """Chance that a standard normal variable lies within z of zero."""
    from scipy.special import ndtr

    return float(2 * ndtr(z) - 1)


def smallest_provable_margin(
    n_responders: Any, n_others: Any, *, alpha: float = 0.05, power: float = POWER, ties: Any = 1.0
) -> float:
    """Least margin within which independence can be shown with the given power when the AUC is exactly one half."""
    from scipy.optimize import brentq

    def short(margin: float) -> float:
        return independence_power(n_responders, n_others, margin=margin, alpha=alpha, ties=ties) - power

    return math.nan if short(0.4999) < 0 else float(brentq(short, 1e-4, 0.4999))


def patients_needed(
    margin: float,
    *,
    responder_share: Any,
    alpha: float = 0.05,
    power: float = POWER,
    ties: Any = 1.0,
    folded_ties: Any = 1.0,
    stratum_share: Any = 1.0,
) -> float:
    """Patients needed to show independence within a margin when the AUC is exactly one half.

    Parameters
    ----------
    margin
        On the AUC scale, between 0 and .5.
    responder_share
        Share of responders among them (in each stratum, (k,)).
    alpha, power
        Level of each one-sided test, and power wanted.
    ties, folded_ties
        :func:`tie_factor` of the levels and of their distances from the middle (of each stratum).
    stratum_share
        Share of the patients in each stratum, (k,).

    Returns
    -------
    A whole number; NaN where no number is enough: the other gates alone take more than 1 - power of the verdicts.

    Raises
    ------
    UsageError
        The margin or the share is out of range.
    """
    check_margin(margin)
    share, part = np.asarray(responder_share, dtype=float), np.asarray(stratum_share, dtype=float)
    if not ((share > 0) & (share < 1)).all():
        raise UsageError("the share of responders is out of range", seen=responder_share, allowed="between 0 and 1")

    def enough(n: int) -> bool:
        yes, no = n * part * share, n * part * (1 - share)
        return independence_power(yes, no, margin=margin, alpha=alpha, ties=ties, folded_ties=folded_ties) >= power

    low, high = 4, 8
    while not enough(high):
        if high >= _MOST:
            return math.nan
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def excluded_effect(low95: float, high95: float) -> float:
    """Least AUC, written above one half, that the 95% interval excludes in both directions."""
    return max(high95, 1 - low95)


def check_margin(margin: float) -> float:
    """Refuse a margin outside (0, .5).

    Raises
    ------
    UsageError
        It is outside.
    """
    if not 0 < margin < 0.5:
        raise UsageError("the margin is out of range", seen=margin, allowed="above 0 and below 0.5, on the AUC scale")
    return margin


def _pooling(n_responders: Any, n_others: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes of the groups in each stratum and the stratum's share of van Elteren's weight, (k,) each."""
    yes, no = np.atleast_1d(np.asarray(n_responders, float)), np.atleast_1d(np.asarray(n_others, float))
    weight = yes * no / (yes + no + 1)
    return yes, no, weight / weight.sum()


def _variance(theta: float, n1: np.ndarray, n2: np.ndarray) -> np.ndarray:
    q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
    total = theta * (1 - theta) + (n1 - 1) * (q1 - theta**2) + (n2 - 1) * (q2 - theta**2)
    found: np.ndarray = np.maximum(total, 0.0) / (n1 * n2)
    return found
