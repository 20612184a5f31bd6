"""One level against outcomes that are not yes or no: ordered RECIST, a continuous change, a time to an event.

Every outcome is put on one scale, the chance that of two patients with different outcomes the one with the higher level
has the higher outcome or the longer time (.5 is none; for yes or no it is the AUC).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biomarkers.core.errors import BiomarkersError
from biomarkers.relate.binary import SAME_LEVEL, Row, row
from biomarkers.relate.inputs import at_cut
from biomarkers.stats.cox_model import cox, cox_firth
from biomarkers.stats.linear import midranks
from biomarkers.stats.ordinal import proportional_odds
from biomarkers.stats.permutation_association import (
    association_permutation,
    distance_covariance_permutation,
    jonckheere_permutation,
    kruskal_permutation,
)
from biomarkers.stats.rank_concordance import concordance_interval
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.survival import log_rank, log_rank_scores, median_survival

OMNIBUS = 9_999  # permutations of the omnibus test
FEWEST = 6  # events, or patients off the most common outcome, below which nothing is concluded (a handful is five)
_EVENTS_PER_VARIABLE = 10


@dataclass(frozen=True)
class Association:
    """What the verdict needs: the concordance with its intervals, the two tests, and what strata warn of."""

    rows: list[Row]
    ci95: Estimate
    ci90: Estimate
    dependence: Test
    omnibus: Test
    warning: str = ""


def ordered(
    biomarker: str, endpoint: str, level: np.ndarray, category: np.ndarray, *, n: int, seed: int, progress: bool = False
) -> Association:
    """Relate a level to ordered categories (PD < SD < PR < CR)."""
    trend = jonckheere_permutation(level, category, n_permutations=n, rng=seed, progress=progress)
    unordered = kruskal_permutation(level, category, n_permutations=n, rng=seed, progress=progress)
    omnibus = distance_covariance_permutation(
        midranks(level), midranks(category), n_permutations=OMNIBUS, rng=seed, progress=progress
    )
    found = intervals(level, category, None)
    size = len(level)
    rows = [
        row(biomarker, endpoint, "Somers' D, as concordance", "concordance", found[0], n=size),
        row(biomarker, endpoint, trend.method, "J", trend, n=size),
        row(biomarker, endpoint, unordered.method, "H", unordered, n=size),
        _proportional_row(biomarker, endpoint, level, category),
        row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size),
    ]
    return Association(rows, found[0], found[1], trend, omnibus)


def _proportional_row(biomarker: str, endpoint: str, level: np.ndarray, category: np.ndarray) -> Row:
    method = "proportional odds, odds ratio per SD, profile"
    try:
        found = proportional_odds(category, {"level": standardised(level)}).coefficients[0].ratio
    except BiomarkersError as error:
        return row(biomarker, endpoint, method, "odds_ratio", float("nan"), n=len(level), note=str(error))
    return row(biomarker, endpoint, method, "odds_ratio", found, n=len(level))


def continuous(
    biomarker: str, endpoint: str, level: np.ndarray, value: np.ndarray, *, n: int, seed: int, progress: bool = False
) -> Association:
    """Relate a level to a continuous outcome (best per cent change)."""
    test = association_permutation(
        midranks(level), midranks(value), n_permutations=n, rng=seed, method="Spearman", progress=progress
    )
    omnibus = distance_covariance_permutation(
        midranks(level), midranks(value), n_permutations=OMNIBUS, rng=seed, progress=progress
    )
    found = intervals(level, value, None)
    size = len(level)
    rows = [
        row(biomarker, endpoint, "Somers' D, as concordance", "concordance", found[0], n=size),
        row(biomarker, endpoint, test.method, "z", test, n=size),
        row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size),
    ]
    return Association(rows, found[0], found[1], test, omnibus)


def time_to_event(
    biomarker: str,
    endpoint: str,
    level: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    *,
    n: int,
    seed: int,
    progress: bool = False,
) -> Association | str:
    """Relate a level to a time that may be censored; the reason where no two patients can be compared."""
    found = intervals(level, time, event)
    scores = -log_rank_scores(time, event)  # high = longer without the event
    method = "ranks against log-rank scores"
    test = association_permutation(
        midranks(level), scores, n_permutations=n, rng=seed, method=method, progress=progress
    )
    if np.isnan(found[0].value) or np.isnan(test.p):
        return found[0].note or test.note
    omnibus = distance_covariance_permutation(
        midranks(level), scores, n_permutations=OMNIBUS, rng=seed, progress=progress
    )
    size = len(level)
    rows = [
        row(biomarker, endpoint, "Harrell's C", "concordance", found[0], n=size),
        row(biomarker, endpoint, test.method, "z", test, n=size),
        *hazard_rows(biomarker, endpoint, level, time, event),
        row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size),
    ]
    return Association(rows, found[0], found[1], test, omnibus)


def hazard_rows(
    biomarker: str,
    endpoint: str,
    level: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    *,
    strata: np.ndarray | None = None,
) -> list[Row]:
    """Hazard ratio per standard deviation: Cox, with Firth's penalty (no strata) where events are fewer than ten."""
    size, events = len(level), int(event.sum())
    firth = events < _EVENTS_PER_VARIABLE and strata is None
    method = ("Cox with Firth's penalty" if firth else "Cox") + ("" if strata is None else " with strata")
    scaled = {"level": standardised(level)}
    try:
        found = (cox_firth(time, event, scaled) if firth else cox(time, event, scaled, strata=strata)).coefficients[0]
    except BiomarkersError as error:
        return [row(biomarker, endpoint, method, "hazard_ratio", float("nan"), n=size, note=str(error))]
    note = f"{events} events"
    return [
        row(biomarker, endpoint, f"{method}, hazard ratio per SD", "hazard_ratio", found.ratio, n=size, note=note),
        row(biomarker, endpoint, f"{method}, {found.test.method}", "statistic", found.test, n=size),
    ]


def median_rows(
    biomarker: str,
    endpoint: str,
    level: np.ndarray,
    limit: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    cuts: Sequence[float],
    strata: np.ndarray | None,
) -> list[Row]:
    """Kaplan-Meier medians of all patients and on either side of each cut fixed beforehand, with the log-rank test.

    ``limit`` is the limit that a level stands at or below, NaN where it was measured. With strata the log-rank test and
    the hazard ratio compare patients of one stratum only; medians have no such version and say so.
    """
    ignored = "" if strata is None else "strata ignored; "
    within = "" if strata is None else ", within strata"
    rows = [row(biomarker, endpoint, "median, all patients", "median_time", median_survival(time, event), n=len(level))]
    for cut in cuts:
        positive, negative = at_cut(level, limit, cut)
        note = f"positive at or above {cut:g}, fixed beforehand"
        if unknown := int((~positive & ~negative).sum()):
            note += f"; {unknown} below a limit above the cut: unknown, left out"
        for name, here in (("positive", positive), ("negative", negative)):
            if here.any():
                found, method = median_survival(time[here], event[here]), f"median, marker {name}"
                rows.append(
                    row(biomarker, endpoint, method, "median_time", found, n=int(here.sum()), note=ignored + note)
                )
        if not positive.any() or not negative.any():
            continue
        told = positive | negative
        t, seen, group, block = time[told], event[told], positive[told], None if strata is None else strata[told]
        test = log_rank(t, seen, group, strata=block)
        rows.append(row(biomarker, endpoint, test.method, "chi2", test, n=int(told.sum()), note=note))
        method = f"hazard ratio, marker positive against negative{within}"
        ratio: Estimate | float = float("nan")
        try:
            ratio = cox(t, seen, {"positive": group.astype(float)}, strata=block).coefficients[0].ratio
        except BiomarkersError as error:
            note = str(error)
        rows.append(row(biomarker, endpoint, method, "hazard_ratio", ratio, n=int(told.sum()), note=note))
    return rows


def outcome_problem(level: np.ndarray, outcome: np.ndarray, event: np.ndarray | None = None) -> str | None:
    """Say why a level and an outcome cannot be related, or None when they can."""
    if len(level) == 0:
        return "no patient has both a level and this outcome"
    if len(level) < 4:
        return f"{len(level)} patients have both a level and this outcome; four are needed"
    if np.ptp(level) == 0:
        return f"{SAME_LEVEL} ({level[0]:g})"
    if np.ptp(outcome) == 0:
        return "every patient has the same outcome"
    if event is not None and not event.any():
        return "no event happened"
    return None


def too_few(outcome: np.ndarray, event: np.ndarray | None) -> str:
    """Say that so few patients had another outcome than most that nothing is concluded; empty where they are enough.

    Parameters
    ----------
    outcome, event
        (n,) outcomes or times, and whether the event was seen (None for outcomes that are no times).
    """
    if event is not None:
        told = int(event.sum())
        what = "event" if told == 1 else "events"
    else:
        told = len(outcome) - int(np.unique(outcome, return_counts=True)[1].max())
        what = f"{'patient' if told == 1 else 'patients'} off the most common outcome"
    return "" if told >= FEWEST else f"{told} {what}, {FEWEST} are needed"


def intervals(
    level: np.ndarray, outcome: np.ndarray, event: np.ndarray | None, strata: np.ndarray | None = None
) -> tuple[Estimate, Estimate]:
    """Return the concordance with its 95% and 90% interval; no limits where too few patients tell.

    Parameters
    ----------
    level, outcome
        (n,); outcomes are times when ``event`` is given.
    event
        (n,) bool, or None.
    strata
        (n,) labels: pairs of one stratum only.
    """
    made = [concordance_interval(level, outcome, event, level=at, strata=strata) for at in (0.95, 0.90)]
    few = too_few(outcome, event)
    if few and not np.isnan(made[0].value):
        nan = float("nan")
        made = [Estimate(one.value, nan, nan, one.level, one.n, one.method, f"{few}: no interval") for one in made]
    return made[0], made[1]


def standardised(level: np.ndarray) -> np.ndarray:
    """Centre a level and divide it by its standard deviation."""
    unit = level / np.abs(level).max()  # squares of very small or large levels would leave the range of numbers
    scaled: np.ndarray = (unit - unit.mean()) / unit.std(ddof=1)
    return scaled
