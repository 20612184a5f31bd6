"""One level against outcomes that are not yes or no: ordered RECIST, a continuous change, a time to an event.

Every outcome is put on one scale, the chance that of two patients with different outcomes the one with the higher level
has the higher outcome or the longer time (.5 is none; for yes or no it is the AUC).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from biomarkers.errors import BiomarkersError
from biomarkers.relate.binary import Row, row
from biomarkers.stats.concordance import concordance, somers_d
from biomarkers.stats.cox import cox, cox_firth
from biomarkers.stats.linear import midranks
from biomarkers.stats.ordinal import proportional_odds
from biomarkers.stats.permutation_association import (
    association_permutation,
    distance_covariance_permutation,
    jonckheere_permutation,
    kruskal_permutation,
)
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.survival import log_rank, log_rank_scores, median_survival

OMNIBUS = 9_999  # permutations of the omnibus test
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
    biomarker: str, endpoint: str, level: np.ndarray, category: np.ndarray, *, n: int, seed: int
) -> Association:
    """Relate a level to ordered categories (PD < SD < PR < CR)."""
    trend = jonckheere_permutation(level, category, n_permutations=n, rng=seed)
    unordered = kruskal_permutation(level, category, n_permutations=n, rng=seed)
    omnibus = distance_covariance_permutation(midranks(level), midranks(category), n_permutations=OMNIBUS, rng=seed)
    found = on_one_scale(lambda at: somers_d(level, category, level=at))
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
    biomarker: str, endpoint: str, level: np.ndarray, value: np.ndarray, *, n: int, seed: int
) -> Association:
    """Relate a level to a continuous outcome (best per cent change)."""
    test = association_permutation(midranks(level), midranks(value), n_permutations=n, rng=seed, method="Spearman")
    omnibus = distance_covariance_permutation(midranks(level), midranks(value), n_permutations=OMNIBUS, rng=seed)
    found = on_one_scale(lambda at: somers_d(level, value, level=at))
    size = len(level)
    rows = [
        row(biomarker, endpoint, "Somers' D, as concordance", "concordance", found[0], n=size),
        row(biomarker, endpoint, test.method, "z", test, n=size),
        row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size),
    ]
    return Association(rows, found[0], found[1], test, omnibus)


def time_to_event(
    biomarker: str, endpoint: str, level: np.ndarray, time: np.ndarray, event: np.ndarray, *, n: int, seed: int
) -> Association | str:
    """Relate a level to a time that may be censored; the reason where no two patients can be compared."""
    found = [concordance(level, time, event, level=at) for at in (0.95, 0.90)]
    scores = -log_rank_scores(time, event)  # high = longer without the event
    method = "ranks against log-rank scores"
    test = association_permutation(midranks(level), scores, n_permutations=n, rng=seed, method=method)
    if np.isnan(found[0].value) or np.isnan(test.p):
        return found[0].note or test.note
    omnibus = distance_covariance_permutation(midranks(level), scores, n_permutations=OMNIBUS, rng=seed)
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
    biomarker: str, endpoint: str, level: np.ndarray, time: np.ndarray, event: np.ndarray, cuts: Sequence[float]
) -> list[Row]:
    """Kaplan-Meier medians of all patients and on either side of each cut fixed beforehand, with the log-rank test."""
    size = len(level)
    rows = [row(biomarker, endpoint, "median, all patients", "median_time", median_survival(time, event), n=size)]
    for cut in cuts:
        positive = level >= cut
        note = f"positive at or above {cut:g}, fixed beforehand"
        for name, here in (("positive", positive), ("negative", ~positive)):
            if here.any():
                found = median_survival(time[here], event[here])
                method = f"median, marker {name}"
                rows.append(row(biomarker, endpoint, method, "median_time", found, n=int(here.sum()), note=note))
        if positive.any() and not positive.all():
            test = log_rank(time, event, positive)
            rows.append(row(biomarker, endpoint, test.method, "chi2", test, n=size, note=note))
            method = "hazard ratio, marker positive against negative"
            try:
                ratio = cox(time, event, {"positive": positive.astype(float)}).coefficients[0].ratio
            except BiomarkersError as error:
                rows.append(row(biomarker, endpoint, method, "hazard_ratio", float("nan"), n=size, note=str(error)))
            else:
                rows.append(row(biomarker, endpoint, method, "hazard_ratio", ratio, n=size, note=note))
    return rows


def outcome_problem(level: np.ndarray, outcome: np.ndarray) -> str | None:
    """Say why a level and an outcome cannot be related, or None when they can."""
    if len(level) < 4:
        return f"{len(level)} patients have both a level and this outcome; four are needed"
    if np.ptp(level) == 0:
        return f"every patient has the same level ({level[0]:g})"
    if np.ptp(outcome) == 0:
        return "every patient has the same outcome"
    return None


def on_one_scale(somers: Callable[[float], Estimate]) -> tuple[Estimate, Estimate]:
    """Turn Somers' D into the chance of agreement, with its 95% and 90% interval."""
    found = []
    for at in (0.95, 0.90):
        d = somers(at)
        low, high = (min(1.0, max(0.0, (bound + 1) / 2)) for bound in (d.low, d.high))
        found.append(Estimate((d.value + 1) / 2, low, high, at, d.n, f"concordance from {d.method}", d.note))
    return found[0], found[1]


def standardised(level: np.ndarray) -> np.ndarray:
    """Centre a level and divide it by its standard deviation."""
    unit = level / np.abs(level).max()  # squares of very small or large levels would leave the range of numbers
    scaled: np.ndarray = (unit - unit.mean()) / unit.std(ddof=1)
    return scaled
