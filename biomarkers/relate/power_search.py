"""Sizes and effects that reach a wanted power, found by simulating the rule's own statistics on many cohorts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from biomarkers.relate.families import Family
from biomarkers.relate.folded import folded_tie_factor
from biomarkers.relate.power_statistics import RankStatistics, rank_statistics
from biomarkers.relate.precision import (
    POWER,
    SPREAD_LEVELS,
    attainable_auc,
    independence_power,
    min_detectable_auc,
    patients_needed,
)
from biomarkers.relate.verdict import margin_is_testable
from biomarkers.stats.spread import folded_ranks, spread_p

_NULL: Final = 60_000  # cohorts that give the critical value
_DRAWS: Final = 20_000  # cohorts that give a power: Monte Carlo error .003 at .80
_SIZING: Final = 3_000  # cohorts at each size tried: .005 at .80 for two sizes together
_CELLS: Final = 4_000_000  # levels simulated at a time
_LARGEST: Final = 5_000  # patients above which the large-sample figure is taken as it is
_MOST_AUC, _FAR = 0.9995, 8.9
_AROUND, _FINE = 0.02, 1e-3  # of an AUC: where the search begins, and ends
_EXACT: Final = 0.001  # of a power: nearer than a third of its Monte Carlo error
_OMNIBUS_PASSES: Final = (
    0.99  # share that the energy gate leaves of what the other gates let pass, measured at 52 to 400
)


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
    return _least(found, low, high, power=power)


def _least(found: Callable[[float], float], low: float, high: float, *, power: float) -> float:
    """Least AUC found with the power, between one that is not and one that is: by straight lines in normal deviates."""
    seen = {low: found(low), high: found(high)}
    while high - low > _FINE:
        one, two = _deviate(seen[low]), _deviate(seen[high])
        part = (_deviate(power) - one) / (two - one) if two > one else 0.5
        edge = min(_FINE / 2, (high - low) / 2)
        middle = min(max(low + part * (high - low), low + edge), high - edge)
        seen[middle] = found(middle)
        if abs(seen[middle] - power) <= _EXACT:
            return middle
        low, high = (low, middle) if seen[middle] >= power else (middle, high)
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

    The intervals of the AUC and of the folded AUC, the test of dependence, the test of spread and the gate on ties are
    the rule's; the energy gate is entered by the share of the rest that it leaves.
    """
    cut = _student(1 - alpha / 2, yes + no - 2)  # nearly all that it would take lies outside the interval's reach
    z, passed, n = _normal(1 - alpha), np.zeros(len(margins)), 0
    group = np.arange(yes + no) < yes
    for part in _cohorts(family, yes, no, family.shift(0.5), draws, rng):
        seen = rank_statistics(part, yes)
        folded = rank_statistics(folded_ranks(part), yes)
        reach = _reach(seen, z)
        bends = seen.distinct > 2
        reach[bends] = np.maximum(reach, _reach(folded, z))[bends]
        quiet = seen.usable & (seen.t < cut - 1e-9) & ~(spread_p(part, group)[1] <= SPREAD_LEVELS * alpha)
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
    if out_of_reach(family, share, margin=margin):
        return math.nan
    typical = family.draw(np.random.default_rng(0), n_yes=1000, n_no=1000, size=1, shift=0.0)[:, 0]
    shape = {"ties": family.ties(), "folded_ties": folded_tie_factor(typical), "alpha": alpha}
    at, off = math.nan, list[float]()
    for step in [*seed.spawn(_STEPS), None]:
        # the formula is a little off: ask it for as much more or less as the simulations so far fell short or beyond
        aim = _probability(_deviate(power / _OMNIBUS_PASSES) - (sum(off) / len(off) if off else 0.0))
        at = patients_needed(margin, responder_share=share, power=aim, **shape)
        if step is None or math.isnan(at) or at > _LARGEST:
            break
        yes = max(2, round(at * share))
        rng = np.random.default_rng(step)
        share_seen = independence_shares(
            family, yes, int(at) - yes, margins=np.array([margin]), alpha=alpha, rng=rng, draws=_SIZING
        )[0]
        formula = independence_power(yes, at - yes, margin=margin, **shape)
        off.append(_deviate(float(share_seen) / _OMNIBUS_PASSES) - _deviate(formula))
        if abs(off[-1]) > _FAR_OFF:
            return math.nan
    return at


_STEPS: Final = 2  # sizes that are simulated
_FAR_OFF: Final = 1.0  # normal deviates between formula and simulation: the levels bend without any association


def _probability(deviate: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(deviate))


def _deviate(share: float) -> float:
    """Return the normal deviate of a share; none and all count as one in 10,000 and all but one."""
    return _normal(min(max(share, 1e-4), 1 - 1e-4))


def out_of_reach(family: Family, share: float, *, margin: float) -> bool:
    """Whether ties keep the AUC within the margin on one side at least, whoever responds and however many patients."""
    n = 20_000
    levels = family.draw(np.random.default_rng(0), n_yes=round(n * share), n_no=n - round(n * share), size=1, shift=0.0)
    return not margin_is_testable(attainable_auc(levels[:, 0], round(n * share)), margin=margin)


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


def _reach(seen: RankStatistics, z: float) -> np.ndarray:
    """Least margin that holds each interval, (k,)."""
    low, high = seen.limits(z)
    return np.maximum(0.5 - low, high - 0.5)


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
