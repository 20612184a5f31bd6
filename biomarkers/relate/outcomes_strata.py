"""One level against an ordered, continuous or censored outcome within strata: ranks and pairs inside each only."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from biomarkers.relate.binary import Row, row
from biomarkers.relate.outcomes import OMNIBUS, Association, hazard_rows, intervals, outcome_problem
from biomarkers.relate.strata import aligned_ranks, confounding, heterogeneity
from biomarkers.stats.permutation_association import association_permutation, distance_covariance_permutation
from biomarkers.stats.rank_concordance import concordance_interval
from biomarkers.stats.results import Estimate
from biomarkers.stats.survival import log_rank_scores

_Z95 = 1.959963985


def within_strata(
    biomarker: str,
    endpoint: str,
    level: np.ndarray,
    outcome: np.ndarray,
    strata: np.ndarray,
    *,
    event: np.ndarray | None = None,
    kind: Literal["ordered", "continuous", "time"],
    n: int,
    seed: int,
    progress: bool = False,
) -> Association | str:
    """Relate a level to an outcome within strata.

    The concordance compares patients of one stratum only. Levels and outcomes become scores within the stratum
    (mid-ranks over its size plus one; log-rank scores for times), and patients change places within it.

    Parameters
    ----------
    biomarker, endpoint
        Names for the rows.
    level, outcome, strata
        (n,) finite levels, outcomes (times when ``event`` is given), labels.
    event
        (n,) bool, True where the event was seen; None for outcomes that are no times.
    kind
        What the outcome is, for the method's name.
    n, seed, progress
        Number of permutations, seed, whether to show a progress bar.

    Returns
    -------
    The association, or why there is none.
    """
    found = intervals(level, outcome, event, strata)
    if math.isnan(found[0].value):
        return "within strata every patient has the same level or outcome"
    ranks = aligned_ranks(level[:, None], strata)[:, 0]
    scores = _scores(outcome, event, strata)
    words = "ranks against log-rank scores" if kind == "time" else "ranks against ranks"
    test = association_permutation(
        ranks, scores, n_permutations=n, rng=seed, strata=strata, method=words, progress=progress
    )
    if math.isnan(test.p):
        return f"{test.note}: nothing can be tested"
    omnibus = distance_covariance_permutation(
        ranks, scores, n_permutations=OMNIBUS, rng=seed, strata=strata, progress=progress
    )
    size = len(level)
    name = "Harrell's C" if event is not None else "Somers' D, as concordance"
    rows, theta, variance = _one_by_one(biomarker, endpoint, name, level, outcome, event, strata)
    whole = intervals(level, outcome, event)[0].value
    rows.append(
        row(biomarker, endpoint, f"{name}, pairs within strata", "concordance", found[0], n=size,
            note=f"without strata {whole:.3f}")
    )  # fmt: skip
    rows.append(row(biomarker, endpoint, test.method, "z", test, n=size))
    rows.append(row(biomarker, endpoint, omnibus.method, "nV2", omnibus, n=size))
    if event is not None:
        rows += hazard_rows(biomarker, endpoint, level, outcome, event, strata=strata)
    more, unlike = heterogeneity(biomarker, endpoint, theta, variance, size)
    wide = concordance_interval(level, outcome, event, strata=strata)
    sd = (wide.high - wide.low) / (2 * _Z95)
    told = [text for text in (confounding(whole, found[0].value, sd, scale="concordance"), unlike) if text]
    return Association(rows + more, found[0], found[1], test, omnibus, "; ".join(told))


def _scores(outcome: np.ndarray, event: np.ndarray | None, strata: np.ndarray) -> np.ndarray:
    if event is None:
        return aligned_ranks(outcome[:, None], strata)[:, 0]
    made = np.zeros(len(outcome))
    for label in np.unique(strata):
        here = strata == label
        made[here] = -log_rank_scores(outcome[here], event[here])  # high = longer without the event
    return made


def _one_by_one(
    biomarker: str,
    endpoint: str,
    name: str,
    level: np.ndarray,
    outcome: np.ndarray,
    event: np.ndarray | None,
    strata: np.ndarray,
) -> tuple[list[Row], np.ndarray, np.ndarray]:
    """Return a row for each stratum, and estimate and variance of those that have a usable interval."""
    rows: list[Row] = []
    theta, variance = [], []
    for label in np.unique(strata):
        here = strata == label
        part = None if event is None else event[here]
        problem = outcome_problem(level[here], outcome[here], part)
        value = math.nan if problem else intervals(level[here], outcome[here], part)[0]
        if isinstance(value, Estimate) and math.isnan(value.value):
            problem = value.note
        method = f"stratum {label}, {name}"
        rows.append(row(biomarker, endpoint, method, "concordance", value, n=int(here.sum()), note=problem or ""))
        if isinstance(value, Estimate) and value.high > value.low:
            theta.append(value.value)
            variance.append(((value.high - value.low) / (2 * _Z95)) ** 2)
    return rows, np.array(theta), np.array(variance)
