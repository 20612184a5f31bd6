"""One end point, all biomarkers: the statistics and the verdict of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from biomarkers.keys import INCONCLUSIVE, INDEPENDENT_WITHIN_MARGIN
from biomarkers.relate.binary import (
    Row,
    group_problem,
    ordinal_rows,
    regression_rows,
    row,
    searched_cut_rows,
    two_groups,
)
from biomarkers.relate.counts import Counts, count_rows, stratified_count_rows
from biomarkers.relate.endpoints import EndPoint
from biomarkers.relate.inputs import GEHAN, Patients, ranked_levels
from biomarkers.relate.missing import missing_rows
from biomarkers.relate.outcomes import Association, continuous, median_rows, ordered, outcome_problem, time_to_event
from biomarkers.relate.outcomes_strata import within_strata
from biomarkers.relate.permuted import BinaryTests, binary_tests
from biomarkers.relate.precision import (
    attainable_auc,
    excluded_effect,
    min_detectable_auc,
    patients_needed,
    tie_factor,
)
from biomarkers.relate.strata import Pooled, pool_strata
from biomarkers.relate.verdict import (
    Verdict,
    decide,
    decide_without_margin,
    leaves_margin,
    not_testable,
    smallest_margin,
)
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
    planned: Sequence[str] | None = None

    def families(self, names: Sequence[str]) -> list[list[int]]:
        """Positions of the biomarkers of each family: the planned ones and the others, or all in one without a plan."""
        if self.planned is None:
            return [list(range(len(names)))]
        inside = [at for at, name in enumerate(names) if name in self.planned]
        outside = [at for at, name in enumerate(names) if name not in self.planned]
        return [family for family in (inside, outside) if family]


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
    names = list(patients.levels.columns)
    tests: dict[int, BinaryTests] = {}
    for family in rules.families(names):
        found = binary_tests(
            levels[:, family], responder, strata=strata, n_permutations=rules.n_permutations, seed=rules.seed,
            progress=progress,
        )  # fmt: skip
        tests |= {at: found.of(place) for place, at in enumerate(family)}
    for at, name in enumerate(names):
        scored = GEHAN in notes.get(name, "")
        _one_binary(made, patients, endpoint, rules, name, levels[:, at], responder, strata, tests[at], scored=scored)
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
    *,
    scored: bool,
) -> None:
    known = ~np.isnan(level)
    yes, no = level[known & responder], level[known & ~responder]
    missing = (int((~known & responder).sum()), int((~known & ~responder).sum()))
    base: Row = {"biomarker": name, "endpoint": endpoint.name, "n": int(known.sum()), "n_responders": len(yes)}
    raw = patients.levels[name].to_numpy()[endpoint.rows]
    cut_rows, negative = _at_cuts(name, endpoint.name, raw, responder, rules.cutoffs.get(name, ()), strata)
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
    found, need = two_groups(name, endpoint.name, yes, no, margin=rules.margin, alpha=rules.alpha, scores=scored)
    made.rows += [*_test_rows(name, endpoint.name, tests, int(known.sum())), *found]
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
    span = attainable_auc(level[known], len(yes))
    verdict = decide(
        p_dependence=tests.p, p_adjusted=tests.p_adjusted, p_omnibus=tests.p_energy, ci90=ci90, margin=rules.margin,
        alpha=rules.alpha, attainable=span,
    )  # fmt: skip
    if isinstance(pooled, Pooled):
        if pooled.unlike and verdict.verdict == INDEPENDENT_WITHIN_MARGIN:  # a gate: it only takes the verdict away
            verdict = Verdict(INCONCLUSIVE, f"the strata do not tell one story: {verdict.reason}")
        verdict = _warned(verdict, pooled.warning)
    made.verdicts.append({
        **base, **_cells(verdict, rules), **_intervals(ci95, ci90), **negative,
        "p_dependence": tests.p, "p_adjusted": tests.p_adjusted, "p_omnibus": tests.p_energy,
        "bf01": need["bf01"], "bf01_ceiling": need["bf01_ceiling"],
        **_could_have_shown(level[known], len(yes), len(no), span=span, rules=rules),
    })  # fmt: skip


def _could_have_shown(
    level: np.ndarray, n_responders: int, n_others: int, *, span: tuple[float, float], rules: Rules
) -> Row:
    """State the least AUC that would be found and the patients needed; nothing where ties forbid such an AUC."""
    ties = tie_factor(level)
    found = min_detectable_auc(n_responders, n_others, alpha=rules.alpha, ties=ties)
    row: Row = {"min_detectable_auc": found if found <= span[1] else math.nan}
    if leaves_margin(span, margin=rules.margin):
        share = n_responders / (n_responders + n_others)
        return {**row, "n_needed": patients_needed(rules.margin, responder_share=share, alpha=rules.alpha, ties=ties)}
    return {**row, "n_needed": math.nan, "smallest_margin": math.nan}


def _graded(patients: Patients, endpoint: EndPoint, rules: Rules) -> Answer:
    """Ordered, continuous and time end points: dependence can be shown, no margin is fixed for them."""
    made = Answer()
    strata = _strata(patients, endpoint) if rules.stratified else None
    levels, notes = _ranked(patients, endpoint)
    made.notes += [f"{name}: {note}" for name, note in notes.items() if note]
    outcome = endpoint.time if endpoint.kind == "time" else endpoint.value
    for at, name in enumerate(patients.levels.columns):
        known = ~np.isnan(levels[:, at])
        n_events = int(endpoint.event[known].sum()) if endpoint.kind == "time" else None
        base: Row = {"biomarker": name, "endpoint": endpoint.name, "n": int(known.sum()), "n_responders": n_events}
        problem = outcome_problem(levels[known, at], outcome[known])
        if problem is None and n_events == 0:
            problem = "no event happened"
        if problem is not None:
            made.verdicts.append({**base, **_cells(not_testable(problem), rules), "margin": math.nan})
            continue
        here = None if strata is None else strata[known]
        found = _association(name, endpoint, levels[known, at], known, here, rules)
        if endpoint.kind == "time":
            raw = patients.levels[name].to_numpy()[endpoint.rows][known]
            time, event = endpoint.time[known], endpoint.event[known] == 1
            made.rows += median_rows(name, endpoint.name, raw, time, event, rules.cutoffs.get(name, ()))
        if isinstance(found, str):
            made.verdicts.append({**base, **_cells(not_testable(found), rules), "margin": math.nan})
            continue
        made.rows += found.rows
        if found.warning:
            made.notes.append(f"{name} ({endpoint.name}): {found.warning}")
        made.verdicts.append({
            **base, **_intervals(found.ci95, found.ci90), "p_dependence": found.dependence.p,
            "p_omnibus": found.omnibus.p, "_found": found,
        })  # fmt: skip
    for family in rules.families(list(patients.levels.columns)):
        tested = [made.verdicts[at] for at in family if "_found" in made.verdicts[at]]
        adjusted = adjust([item["p_dependence"] for item in tested]) if tested else ()
        for item, p in zip(tested, adjusted, strict=True):
            item["p_adjusted"] = float(p)
    for item in [item for item in made.verdicts if "_found" in item]:
        found = item.pop("_found")
        verdict = decide_without_margin(p_dependence=item["p_adjusted"], ci95=found.ci95, alpha=rules.alpha)
        item.update(_cells(_warned(verdict, found.warning), rules), margin=math.nan)
    return made


def _warned(verdict: Verdict, warning: str) -> Verdict:
    return Verdict(verdict.verdict, f"{verdict.reason}; {warning}") if warning else verdict


def _association(
    name: str, endpoint: EndPoint, level: np.ndarray, known: np.ndarray, strata: np.ndarray | None, rules: Rules
) -> Association | str:
    settings: dict[str, Any] = {"n": rules.n_permutations, "seed": rules.seed}
    if strata is not None:
        timed = endpoint.kind == "time"
        outcome, event = (endpoint.time, endpoint.event[known] == 1) if timed else (endpoint.value, None)
        kind: Any = endpoint.kind
        return within_strata(
            name, endpoint.name, level, outcome[known], strata, event=event, kind=kind, **settings
        )  # fmt: skip
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
    name: str,
    endpoint: str,
    level: np.ndarray,
    responder: np.ndarray,
    cuts: Sequence[float],
    strata: np.ndarray | None,
) -> tuple[list[Row], Row]:
    """Give the statistics at every pre-set cut; the verdict table shows the first cut's negative stratum."""
    rows: list[Row] = []
    negative: Row = {}
    known = ~np.isnan(level)
    for cut in cuts:
        positive = known & (level >= cut)
        below = known & (level < cut)
        if not known.any():
            continue
        counts = Counts(int((positive & responder).sum()), int(positive.sum()), int((below & responder).sum()),
                        int(below.sum()))  # fmt: skip
        note = f"positive at or above {cut:g}, fixed beforehand"
        rows += count_rows(name, endpoint, counts, note=note)
        if strata is not None:
            rows += stratified_count_rows(name, endpoint, positive[known], responder[known], strata[known], note=note)
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


__all__ = ["Answer", "Rules", "answer"]
