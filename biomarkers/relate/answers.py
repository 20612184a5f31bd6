"""One end point, all biomarkers: the statistics and the verdict of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from biomarkers.relate.binary import (
    Row,
    group_problem,
    ordinal_rows,
    regression_rows,
    row,
    searched_cut_rows,
    two_groups,
)
from biomarkers.relate.counts import Counts, count_rows
from biomarkers.relate.endpoints import EndPoint
from biomarkers.relate.inputs import Patients, ranked_levels
from biomarkers.relate.missing import missing_rows
from biomarkers.relate.outcomes import Association, continuous, ordered, outcome_problem, time_to_event
from biomarkers.relate.permuted import BinaryTests, binary_tests
from biomarkers.relate.precision import (
    attainable_auc,
    excluded_effect,
    min_detectable_auc,
    patients_needed,
    tie_factor,
)
from biomarkers.relate.strata import Pooled, aligned_ranks, pool_strata
from biomarkers.relate.verdict import Verdict, decide, decide_without_margin, not_testable, smallest_margin
from biomarkers.stats.adjust import adjust

_MANY = 300  # patients above which the slow exact tables of ordinal levels are left out


@dataclass(frozen=True)
class Rules:
    """What is fixed beforehand."""

    margin: float
    alpha: float
    n_permutations: int
    seed: int
    cutoffs: Mapping[str, tuple[float, ...]]
    stratified: bool
    search_cuts: bool


@dataclass
class Answer:
    """Rows of the statistics, rows of the verdicts, and what a reader must be told."""

    rows: list[Row] = field(default_factory=list)
    verdicts: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def answer(patients: Patients, endpoint: EndPoint, rules: Rules, *, progress: bool) -> Answer:
    """Answer one end point for every biomarker."""
    return (
        _binary(patients, endpoint, rules, progress=progress)
        if endpoint.kind == "binary"
        else _graded(patients, endpoint, rules)
    )


def _binary(patients: Patients, endpoint: EndPoint, rules: Rules, *, progress: bool) -> Answer:
    made = Answer()
    responder = endpoint.value == 1
    strata = _strata(patients, endpoint) if rules.stratified else None
    levels, notes = _ranked(patients, endpoint)
    made.notes += [f"{name}: {note}" for name, note in notes.items() if note]
    tests = binary_tests(
        levels, responder, strata=strata, n_permutations=rules.n_permutations, seed=rules.seed, progress=progress
    )
    for at, name in enumerate(patients.levels.columns):
        _one_binary(made, patients, endpoint, rules, name, levels[:, at], responder, strata, tests.of(at))
    return made


def _one_binary(
    made: Answer,
    patients: Patients,
    endpoint: EndPoint,
    rules: Rules,
    name: str,
    level: np.ndarray,
    responder: np.ndarray,
    strata: np.ndarray | None,
    tests: BinaryTests,
) -> None:
    known = ~np.isnan(level)
    yes, no = level[known & responder], level[known & ~responder]
    missing = (int((~known & responder).sum()), int((~known & ~responder).sum()))
    base: Row = {"biomarker": name, "endpoint": endpoint.name, "n": int(known.sum()), "n_responders": len(yes)}
    raw = patients.levels[name].to_numpy()[endpoint.rows]
    cut_rows, negative = _at_cuts(name, endpoint.name, raw, responder, rules.cutoffs.get(name, ()))
    problem = group_problem(yes, no)
    pooled: Pooled | str | None = None
    if problem is None and strata is not None:
        pooled = pool_strata(name, endpoint.name, level[known], responder[known], strata[known])
        problem = pooled if isinstance(pooled, str) else None
    if problem is None and math.isnan(tests.p):
        problem = "every stratum holds one kind of patient or one level only"
    if problem is not None:
        made.rows += cut_rows
        made.verdicts.append({**base, **_cells(not_testable(problem), rules), **negative})
        return
    found, need = two_groups(name, endpoint.name, yes, no, margin=rules.margin, alpha=rules.alpha)
    made.rows += [*found, *_test_rows(name, endpoint.name, tests, int(known.sum()))]
    made.rows += regression_rows(name, endpoint.name, level, responder, patients.covariates.iloc[endpoint.rows])
    if known.sum() <= _MANY:
        made.rows += ordinal_rows(name, endpoint.name, yes, no)
    made.rows += cut_rows
    if rules.search_cuts:
        made.rows += searched_cut_rows(
            name, endpoint.name, level[known], responder[known], n=rules.n_permutations, seed=rules.seed
        )
    made.rows += missing_rows(name, endpoint.name, need["ci95"].value, known=(len(yes), len(no)), missing=missing)
    ci95, ci90 = need["ci95"], need["ci90"]
    if isinstance(pooled, Pooled):
        made.rows += pooled.rows
        ci95, ci90 = pooled.ci95, pooled.ci90
        if pooled.warning:
            made.notes.append(f"{name} ({endpoint.name}): {pooled.warning}")
    verdict = decide(
        p_dependence=tests.p, p_adjusted=tests.p_adjusted, p_omnibus=tests.p_energy, ci90=ci90, margin=rules.margin,
        alpha=rules.alpha, attainable=attainable_auc(level[known], len(yes)),
    )  # fmt: skip
    if isinstance(pooled, Pooled) and pooled.warning:
        verdict = Verdict(verdict.verdict, f"{verdict.reason}; {pooled.warning}")
    ties = tie_factor(level[known])
    share = len(yes) / int(known.sum())
    made.verdicts.append({
        **base, **_cells(verdict, rules), **_intervals(ci95, ci90), **negative,
        "p_dependence": tests.p, "p_adjusted": tests.p_adjusted, "p_omnibus": tests.p_energy,
        "bf01": need["bf01"], "bf01_ceiling": need["bf01_ceiling"],
        "min_detectable_auc": min_detectable_auc(len(yes), len(no), alpha=rules.alpha, ties=ties),
        "n_needed": patients_needed(rules.margin, responder_share=share, alpha=rules.alpha, ties=ties),
    })  # fmt: skip


def _graded(patients: Patients, endpoint: EndPoint, rules: Rules) -> Answer:
    """Ordered, continuous and time end points: dependence can be shown, no margin is fixed for them."""
    made = Answer()
    if rules.stratified:
        made.notes.append(f"{endpoint.name}: strata are not used for this end point")
    levels, _ = _ranked(patients, endpoint)
    outcome = endpoint.time if endpoint.kind == "time" else endpoint.value
    for at, name in enumerate(patients.levels.columns):
        known = ~np.isnan(levels[:, at])
        n_events = int(endpoint.event[known].sum()) if endpoint.kind == "time" else None
        base: Row = {"biomarker": name, "endpoint": endpoint.name, "n": int(known.sum()), "n_responders": n_events}
        problem = outcome_problem(levels[known, at], outcome[known])
        if problem is None and n_events == 0:
            problem = "no event happened"
        if problem is not None:
            made.verdicts.append({**base, **_cells(not_testable(problem), rules)})
            continue
        found = _association(name, endpoint, levels[known, at], known, rules)
        made.rows += found.rows
        made.verdicts.append({
            **base, **_intervals(found.ci95, found.ci90), "p_dependence": found.dependence.p,
            "p_omnibus": found.omnibus.p, "_ci95": found.ci95,
        })  # fmt: skip
    tested = [item for item in made.verdicts if "_ci95" in item]
    adjusted = adjust([item["p_dependence"] for item in tested]) if tested else ()
    for item, p in zip(tested, adjusted, strict=True):
        item["p_adjusted"] = float(p)
        verdict = decide_without_margin(p_dependence=float(p), ci95=item.pop("_ci95"), alpha=rules.alpha)
        item.update(_cells(verdict, rules), margin=math.nan)
    return made


def _association(name: str, endpoint: EndPoint, level: np.ndarray, known: np.ndarray, rules: Rules) -> Association:
    settings: dict[str, Any] = {"n": rules.n_permutations, "seed": rules.seed}
    if endpoint.kind == "time":
        time, event = endpoint.time[known], endpoint.event[known] == 1
        return time_to_event(name, endpoint.name, level, time, event, **settings)
    method = ordered if endpoint.kind == "ordered" else continuous
    return method(name, endpoint.name, level, endpoint.value[known], **settings)


def _ranked(patients: Patients, endpoint: EndPoint) -> tuple[np.ndarray, dict[str, str]]:
    """Levels of the patients that count, with what stood at a limit tied at the bottom: (n, m), and notes."""
    columns, notes = [], {}
    for name in patients.levels.columns:
        level = patients.levels[name].to_numpy(dtype=float)[endpoint.rows].copy()
        censored = patients.censored[name].to_numpy(dtype=bool)[endpoint.rows]
        known = ~np.isnan(level)
        if known.any():
            level[known], notes[name] = ranked_levels(level[known], censored[known])
        columns.append(level)
    return np.stack(columns, axis=1), notes


def _strata(patients: Patients, endpoint: EndPoint) -> np.ndarray:
    labels: np.ndarray = patients.frame["stratum"].to_numpy(dtype=object)[endpoint.rows].astype(str)
    return labels


def _test_rows(name: str, endpoint: str, tests: BinaryTests, n: int) -> list[Row]:
    from biomarkers.stats.results import Test

    return [
        row(name, endpoint, method, statistic, Test(value, p, n, method), n=n)
        for method, statistic, value, p in tests.described()
    ]


def _at_cuts(
    name: str, endpoint: str, level: np.ndarray, responder: np.ndarray, cuts: Sequence[float]
) -> tuple[list[Row], Row]:
    """Give the statistics at every pre-set cut; the verdict table shows the first cut's negative stratum."""
    rows: list[Row] = []
    negative: Row = {}
    known = ~np.isnan(level)
    for cut in cuts:
        positive = known & (level >= cut)
        below = known & (level < cut)
        counts = Counts(int((positive & responder).sum()), int(positive.sum()), int((below & responder).sum()),
                        int(below.sum()))  # fmt: skip
        if counts.positive + counts.negative == 0:
            continue
        rows += count_rows(name, endpoint, counts, note=f"positive at or above {cut:g}, fixed beforehand")
        if not negative:
            negative = {"responders_in_negative": counts.negative_responders, "negatives": counts.negative}
    return rows, negative


def _cells(verdict: Verdict, rules: Rules) -> Row:
    return {"verdict": verdict.verdict, "reason": verdict.reason, "margin": rules.margin}


def _intervals(ci95: Any, ci90: Any) -> Row:
    return {
        "auc": ci95.value, "auc_low95": ci95.low, "auc_high95": ci95.high,
        "auc_low90": ci90.low, "auc_high90": ci90.high, "smallest_margin": smallest_margin(ci90),
        "largest_effect_excluded": excluded_effect(ci95.low, ci95.high),
    }  # fmt: skip


__all__ = ["Answer", "Rules", "aligned_ranks", "answer"]
