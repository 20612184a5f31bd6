"""Sizes and effects that reach a wanted power, found by simulating the rule's own statistics on many cohorts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from biomarkers.relate.families import Family
from biomarkers.relate.precision import (
    POWER,
    SPREAD_LEVELS,
    attainable_auc,
    min_detectable_auc,
    patients_needed,
)
from biomarkers.relate.verdict import leaves_margin
from biomarkers.stats.spread import spread_p

_NULL: Final = 60_000  # cohorts that give the critical value
_DRAWS: Final = 20_000  # cohorts that give a power: Monte Carlo error .003 at .80
_SIZING: Final = 4_000  # cohorts at each size tried: .006 at .80
_CELLS: Final = 4_000_000  # levels simulated at a time
_LARGEST: Final = 5_000  # patients above which the large-sample figure is taken as it is
_MOST_AUC, _FAR = 0.9995, 8.9
_AROUND, _FINE = 0.02, 1e-3  # of an AUC: where the search begins, and ends
_OMNIBUS_PASSES: Final = (
    0.99  # share that the energy gate leaves of what the other gates let pass, measured at 52 to 400
)


@dataclass(frozen=True)
class RankStatistics:
    """AUC, its DeLong standard error and the studentised statistic of each cohort, (k,) each."""

    theta: np.ndarray
    error: np.ndarray
    t: np.ndarray


def rank_statistics(levels: np.ndarray, n_responders: int) -> RankStatistics:
    """Return the statistics of many cohorts: (n, k) levels, responders in the first rows."""
    from scipy.stats import rankdata

    n1, n2 = n_responders, len(levels) - n_responders
    ranks = rankdata(levels, axis=0)
    above = (ranks[:n1] - rankdata(levels[:n1], axis=0)) / n2
    below = (ranks[n1:] - rankdata(levels[n1:], axis=0)) / n1
    theta = above.mean(axis=0)
    error = np.sqrt(above.var(axis=0, ddof=1) / n1 + below.var(axis=0, ddof=1) / n2)
    gap = theta - 0.5
    flat = error <= 1e-9
    t = np.where(flat, np.where(gap == 0, 0.0, np.inf), np.abs(gap) / np.where(flat, 1.0, error))
    return RankStatistics(theta, error, t)


def critical_value(family: Family, yes: int, no: int, *, alpha: float, rng: np.random.Generator) -> float:
    """Size of the studentised statistic that a test at level alpha rejects from, by its simulated null distribution."""
    sizes = np.concatenate([rank_statistics(part, yes).t for part in _cohorts(family, yes, no, 0.0, _NULL, rng)])
    order = np.sort(sizes)
    return float(order[min(math.ceil((1 - alpha) * len(order)), len(order) - 1)])


def detectable(
    family: Family, yes: int, no: int, *, alpha: float, seed: np.random.SeedSequence, power: float = POWER
) -> float:
    """Least AUC above one half that the test finds with the given power; NaN when none below 1 is.

    Parameters
    ----------
    family, yes, no
        How levels look; responders and others with a level.
    alpha
        Level of the test of one biomarker.
    seed
        Of the simulation.
    power
        Power wanted.
    """
    null, drawn = seed.spawn(2)
    cut = critical_value(family, yes, no, alpha=alpha, rng=np.random.default_rng(null))

    def found(theta: float) -> float:
        generator = np.random.default_rng(drawn)  # the same cohorts for every AUC: the search is smooth
        parts = _cohorts(family, yes, no, family.shift(theta), _DRAWS, generator)
        return float(np.concatenate([rank_statistics(part, yes).t >= cut - 1e-9 for part in parts]).mean())

    high = min(_MOST_AUC, family.auc(_FAR) - 1e-6)  # ties keep some families below 1 however far apart the groups lie
    if found(high) < power:
        return math.nan
    guess = min_detectable_auc(yes, no, alpha=alpha, power=power, ties=family.ties())
    low = 0.5
    if guess + _AROUND < high and found(guess + _AROUND) >= power:  # the formula saves steps where it is near
        high = guess + _AROUND
        low = guess - _AROUND if found(guess - _AROUND) < power else 0.5
    while high - low > _FINE:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


def independence_shares(
    family: Family,
    yes: int,
    no: int,
    *,
    margins: np.ndarray,
    alpha: float,
    rng: np.random.Generator,
    draws: int = _SIZING,
) -> np.ndarray:
    """Share of cohorts called independent within each margin, (m,), when the AUC is one half and nothing is going on.

    The interval, the test of dependence, the test of spread and the gate on ties are the rule's; the energy gate is
    entered by the share of the rest that it leaves.
    """
    cut = _student(1 - alpha / 2, yes + no - 2)  # nearly all that it would take lies outside the interval's reach
    z, passed, n = _normal(1 - alpha), np.zeros(len(margins)), 0
    group = np.arange(yes + no) < yes
    for part in _cohorts(family, yes, no, family.shift(0.5), draws, rng):
        seen = rank_statistics(part, yes)
        usable = (seen.error > 1e-9) & (seen.theta > 0) & (seen.theta < 1)
        theta, error = np.where(usable, seen.theta, 0.5), np.where(usable, seen.error, 1.0)
        half = z * error / (theta * (1 - theta))
        centre = np.log(theta / (1 - theta))
        reach = np.maximum(0.5 - 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre)) - 0.5)
        quiet = usable & (seen.t < cut - 1e-9) & ~(spread_p(part, group)[1] <= SPREAD_LEVELS * alpha)
        spans = np.array([attainable_auc(column, yes) for column in part.T]) if family.ties() < 1 else None
        for at, margin in enumerate(margins):
            free = True if spans is None else (spans[:, 0] < 0.5 - margin) & (spans[:, 1] > 0.5 + margin)
            passed[at] += (quiet & free & (reach < margin)).sum()
        n += part.shape[1]
    found: np.ndarray = _OMNIBUS_PASSES * passed / n
    return found


def needed(
    family: Family, share: float, *, margin: float, alpha: float, seed: np.random.SeedSequence, power: float = POWER
) -> float:
    """Patients needed to show independence within a margin when the AUC is one half.

    Parameters
    ----------
    family, share
        How levels look; share of responders.
    margin, alpha
        On the AUC scale; level.
    seed
        Of the simulation.
    power
        Power wanted.

    Returns
    -------
    A whole number; NaN where no number is enough (:func:`out_of_reach` or gates that take too much).
    """
    guess = patients_needed(margin, responder_share=share, alpha=alpha, power=power, ties=family.ties())
    if math.isnan(guess) or out_of_reach(family, share, margin=margin):
        return math.nan
    at, seen = int(guess), dict[int, float]()
    for step in seed.spawn(_STEPS):
        if at > _LARGEST:
            return at
        yes = max(2, round(at * share))
        rng = np.random.default_rng(step)
        seen[at] = float(
            independence_shares(family, yes, at - yes, margins=np.array([margin]), alpha=alpha, rng=rng)[0]
        )
        if abs(seen[at] - power) <= _CLOSE:
            return at
        at = _next_size(seen, at, power)
        if at in seen:
            break
    return min(seen, key=lambda n: abs(seen[n] - power))


_STEPS: Final = 7
_CLOSE: Final = 0.008  # what the search can tell: an error and a half


def _next_size(seen: dict[int, float], at: int, power: float) -> int:
    """Step towards the power on a line through the two nearest sizes, or by a tenth where there is one only."""
    below = [n for n, share in seen.items() if share < power]
    above = [n for n, share in seen.items() if share >= power]
    if not above:
        return math.ceil(at * (1.5 if seen[at] < power / 2 else 1.15))
    if not below:
        return math.floor(at * 0.92)
    low, high = max(below), min(above)
    if high <= low:
        return round((low + high) / 2)
    part = (power - seen[low]) / max(seen[high] - seen[low], 1e-6)
    return min(max(round(low + part * (high - low)), low + 1), high - 1) if high - low > 1 else high


def out_of_reach(family: Family, share: float, *, margin: float) -> bool:
    """Whether ties keep the AUC within the margin on one side at least, whoever responds and however many patients."""
    n = 20_000
    levels = family.draw(np.random.default_rng(0), n_yes=round(n * share), n_no=n - round(n * share), size=1, shift=0.0)
    return not leaves_margin(attainable_auc(levels[:, 0], round(n * share)), margin=margin)


def smallest_margin(
    family: Family, yes: int, no: int, *, alpha: float, rng: np.random.Generator, power: float = POWER
) -> float:
    """Least margin within which independence is shown with the given power when the AUC is one half; NaN when none."""
    margins = np.arange(0.01, 0.4951, 0.005)
    shares = independence_shares(family, yes, no, margins=margins, alpha=alpha, rng=rng, draws=_SIZING)
    enough = np.flatnonzero(shares >= power)
    if not enough.size:
        return math.nan
    at = int(enough[0])
    if at == 0:
        return float(margins[0])
    part = (power - shares[at - 1]) / (shares[at] - shares[at - 1])
    return float(margins[at - 1] + part * (margins[at] - margins[at - 1]))


def _cohorts(
    family: Family, yes: int, no: int, shift: float, size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    most = max(100, _CELLS // (yes + no))
    for start in range(0, size, most):
        yield family.draw(rng, n_yes=yes, n_no=no, size=min(most, size - start), shift=shift)


def _student(p: float, df: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, p))


def _normal(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))
