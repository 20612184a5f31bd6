"""One level against outcomes that are not yes or no: ordered RECIST, a continuous change, a time to an event.

Every outcome is put on one scale, the chance that of two patients with different outcomes the one with the higher level
has the higher outcome or the longer time (.5 is none; for yes or no it is the AUC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.relate.binary import Row, row
from biomarkers.stats.concordance import concordance, somers_d
from biomarkers.stats.cox import cox
from biomarkers.stats.linear import midranks
from biomarkers.stats.ordinal import proportional_odds
from biomarkers.stats.permutation_association import (
    association_permutation,
    distance_covariance_permutation,
    jonckheere_permutation,
    kruskal_permutation,
)
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.survival import log_rank_scores

_OMNIBUS = 9_999


@dataclass(frozen=True)
class Association:
    """What the verdict needs: the concordance with its intervals, and the two tests."""

    rows: list[Row]
    ci95: Estimate
    ci90: Estimate
    dependence: Test
    omnibus: Test


def ordered(
    biomarker: str, endpoint: str, level: np.ndarray, category: np.ndarray, *, n: int, seed: int
) -> Association:
    """Relate a level to ordered categories (PD < SD < PR < CR)."""
    trend = jonckheere_permutation(level, category, n_permutations=n, rng=seed)
    unordered = kruskal_permutation(level, category, n_permutations=n, rng=seed)
    omnibus = distance_covariance_permutation(midranks(level), midranks(category), n_permutations=_OMNIBUS, rng=seed)
    found = _on_one_scale(lambda at: somers_d(level, category, level=at))
    odds = proportional_odds(category, {"level": _standardised(level)}).coefficients[0]
    size = len(level)
    rows = [
        row(biomarker, endpoint, "Somers' D, as concordance", "concordance", found[0], n=size),
        row(biomarker, endpoint, trend.method, "J", trend, n=size),
        row(biomarker, endpoint, unordered.method, "H", unordered, n=size),
        row(biomarker, endpoint, "proportional odds, odds ratio per SD, profile", "odds_ratio", odds.ratio, n=size),
        row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size),
    ]
    return Association(rows, found[0], found[1], trend, omnibus)


def continuous(
    biomarker: str, endpoint: str, level: np.ndarray, value: np.ndarray, *, n: int, seed: int
) -> Association:
    """Relate a level to a continuous outcome (best per cent change)."""
    test = association_permutation(midranks(level), midranks(value), n_permutations=n, rng=seed, method="Spearman")
    omnibus = distance_covariance_permutation(midranks(level), midranks(value), n_permutations=_OMNIBUS, rng=seed)
    found = _on_one_scale(lambda at: somers_d(level, value, level=at))
    size = len(level)
    rows = [
        row(biomarker, endpoint, "Somers' D, as concordance", "concordance", found[0], n=size),
        row(biomarker, endpoint, test.method, "z", test, n=size),
        row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size),
    ]
    return Association(rows, found[0], found[1], test, omnibus)


def time_to_event(
    biomarker: str, endpoint: str, level: np.ndarray, time: np.ndarray, event: np.ndarray, *, n: int, seed: int
) -> Association:
    """Relate a level to a time that may be censored."""
    scores = -log_rank_scores(time, event)  # high = longer without the event
    method = "ranks against log-rank scores"
    test = association_permutation(midranks(level), scores, n_permutations=n, rng=seed, method=method)
    omnibus = distance_covariance_permutation(midranks(level), scores, n_permutations=_OMNIBUS, rng=seed)
    found = [concordance(level, time, event, level=at) for at in (0.95, 0.90)]
    fit = cox(time, event, {"level": _standardised(level)})
    size = len(level)
    note = f"{fit.events} events" + (f"; {fit.note}" if fit.note else "")
    rows = [
        row(biomarker, endpoint, "Harrell's C", "concordance", found[0], n=size),
        row(biomarker, endpoint, test.method, "z", test, n=size),
        row(
            biomarker,
            endpoint,
            "Cox, hazard ratio per SD",
            "hazard_ratio",
            fit.coefficients[0].ratio,
            n=size,
            note=note,
        ),
        row(biomarker, endpoint, "Cox, Wald", "z", fit.coefficients[0].test, n=size),
        row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size),
    ]
    return Association(rows, found[0], found[1], test, omnibus)


def outcome_problem(level: np.ndarray, outcome: np.ndarray) -> str | None:
    """Say why a level and an outcome cannot be related, or None when they can."""
    if len(level) < 4:
        return f"{len(level)} patients have both a level and this outcome; four are needed"
    if np.ptp(level) == 0:
        return f"every patient has the same level ({level[0]:g})"
    if np.ptp(outcome) == 0:
        return "every patient has the same outcome"
    return None


def _on_one_scale(somers: Any) -> tuple[Estimate, Estimate]:
    found = []
    for at in (0.95, 0.90):
        d = somers(at)
        low, high = (min(1.0, max(0.0, (bound + 1) / 2)) for bound in (d.low, d.high))
        found.append(Estimate((d.value + 1) / 2, low, high, at, d.n, f"concordance from {d.method}", d.note))
    return found[0], found[1]


def _standardised(level: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (level - level.mean()) / level.std(ddof=1)
    return scaled
