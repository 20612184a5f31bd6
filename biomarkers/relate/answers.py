"""One end point, all biomarkers: the statistics and the verdict of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from biomarkers.relate.binary import (
    SAME_LEVEL,
    Row,
    ordinal_rows,
    regression_rows,
    row,
    searched_cut_rows,
    two_groups,
)
from biomarkers.relate.counts import TwoByTwo, count_rows, stratified_count_rows
from biomarkers.relate.endpoints import EndPoint
from biomarkers.relate.inputs import GEHAN, AnalysedPatients, at_cut, ranked_levels
from biomarkers.relate.judgement import could_have_shown, judge
from biomarkers.relate.missing import Missing, missing_rows
from biomarkers.relate.outcomes import (
    Association,
    continuous,
    median_rows,
    ordered,
    outcome_problem,
    time_to_event,
    too_few,
)
from biomarkers.relate.outcomes_strata import within_strata
from biomarkers.relate.permuted import BinaryTests, binary_tests
from biomarkers.relate.precision import excluded_effect
from biomarkers.relate.verdict import Verdict, decide_without_margin, not_testable, smallest_margin
from biomarkers.stats.multiplicity import adjust
from biomarkers.stats.results import Estimate, Test

STRATA_IGNORED = "strata ignored"
ALL_LIMITED = "every level stands at or below its limit of quantification"
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
    shown: Sequence[str] | None = None

    def is_shown(self, name: str) -> bool:
        """Whether a biomarker was asked for; others only keep a planned family whole."""
        return self.shown is None or name in self.shown

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


def answer(patients: AnalysedPatients, endpoint: EndPoint, rules: Rules, *, progress: bool) -> Answer:
    """Answer one end point for every biomarker."""
    return (
        _binary(patients, endpoint, rules, progress=progress)
        if endpoint.kind == "binary"
        else _graded(patients, endpoint, rules, progress=progress)
    )


def _binary(patients: AnalysedPatients, endpoint: EndPoint, rules: Rules, *, progress: bool) -> Answer:
    made = Answer()
    responder = endpoint.value == 1
    strata = strata_of(patients, endpoint) if rules.stratified else None
    levels, notes = ranked(patients, endpoint)
    names = list(patients.levels.columns)
    tests: dict[int, BinaryTests] = {}
    for family in rules.families(names):
        found = binary_tests(
            levels[:, family], responder, strata=strata, n_permutations=rules.n_permutations, seed=rules.seed,
            progress=progress,
        )  # fmt: skip
        tests |= {at: found.of(place) for place, at in enumerate(family)}
    for at, name in enumerate(names):
        if not rules.is_shown(name):
            continue
        if notes.get(name):
            made.notes.append(f"{name}: {notes[name]}")
        scored = GEHAN in notes.get(name, "")
        _one_binary(made, patients, endpoint, rules, name, levels[:, at], responder, strata, tests[at], scored=scored)
    return made


def _one_binary(
    made: Answer,
    patients: AnalysedPatients,
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
    x, yes, block = level[known], responder[known], None if strata is None else strata[known]
    missing = Missing.of(level, responder, strata)
    base: Row = {
        "biomarker": name, "endpoint": endpoint.name, "n": int(known.sum()), "n_responders": int(yes.sum()),
        "p_missing": missing.p, "auc_low_missing": math.nan, "auc_high_missing": math.nan,
    }  # fmt: skip
    if sum(missing.missing):
        base |= {"auc_low_missing": missing.low, "auc_high_missing": missing.high}
    cut_rows, negative = _at_cuts(patients, endpoint, name, responder, rules.cutoffs.get(name, ()), strata)
    found = judge(
        x, yes, block, tests, margin=rules.margin, alpha=rules.alpha, missing=missing, names=(name, endpoint.name)
    )
    if isinstance(found, str):
        made.rows += cut_rows
        told = not_testable(_why(found, patients, endpoint, name, known))
        made.verdicts.append({**base, **_cells(told, rules), **negative})
        return
    crude, need = two_groups(
        name, endpoint.name, x[yes], x[~yes], margin=rules.margin, alpha=rules.alpha, scores=scored
    )
    crude += regression_rows(name, endpoint.name, level, responder, patients.covariates.iloc[endpoint.rows])
    if known.sum() <= _MANY:
        crude += ordinal_rows(name, endpoint.name, x[yes], x[~yes])
    spread = row(name, endpoint.name, found.spread.method, "z", found.spread, n=len(x))
    made.rows += [*_test_rows(name, endpoint.name, tests, len(x)), spread]
    if found.folded is not None:
        method = f"distance from the middle: {found.folded.method}"
        made.rows.append(row(name, endpoint.name, method, "auc_spread", found.folded, n=len(x)))
    made.rows += [*_unless(strata, crude), *cut_rows]
    if rules.search_cuts:
        made.rows += searched_cut_rows(
            name, endpoint.name, x, yes, n=rules.n_permutations, seed=rules.seed, strata=block
        )
    made.rows += missing_rows(name, endpoint.name, found.ci95.value, missing)
    if found.pooled is not None:
        made.rows += found.pooled.rows
    if found.pooled is not None and found.pooled.warning:
        made.notes.append(f"{name} ({endpoint.name}): {found.pooled.warning}")
    if missing.goes_with_response:
        made.notes.append(f"{name} ({endpoint.name}): {missing.warning()}")
    bayes = {"bf01": need["bf01"], "bf01_ceiling": need["bf01_ceiling"]} if strata is None else {}
    made.verdicts.append({
        **base, **_cells(found.verdict, rules), **_intervals(found.ci95, found.ci90, found.folded), **negative, **bayes,
        "p_dependence": tests.p, "p_adjusted": tests.p_adjusted, "p_omnibus": tests.p_energy,
        "p_spread": found.spread.p,
        **could_have_shown(x, yes, block, found.span, margin=rules.margin, alpha=rules.alpha),
    })  # fmt: skip


def _why(problem: str, patients: AnalysedPatients, endpoint: EndPoint, name: str, known: np.ndarray) -> str:
    """Say of levels that are equal because all of them stand at their limit that they do."""
    limited = patients.censored[name].to_numpy(dtype=bool)[endpoint.rows][known]
    return ALL_LIMITED if SAME_LEVEL in problem and limited.all() else problem


def _unless(strata: np.ndarray | None, rows: list[Row]) -> list[Row]:
    """Say of rows that compare all patients that they do not heed the strata."""
    if strata is None:
        return rows
    return [{**one, "note": "; ".join(text for text in (STRATA_IGNORED, one["note"]) if text)} for one in rows]


def _graded(patients: AnalysedPatients, endpoint: EndPoint, rules: Rules, *, progress: bool) -> Answer:
    """Ordered, continuous and time end points: dependence can be shown, no margin is fixed for them."""
    made = Answer()
    strata = strata_of(patients, endpoint) if rules.stratified else None
    levels, notes = ranked(patients, endpoint)
    names = list(patients.levels.columns)
    asked: dict[int, tuple[Row, Association | None, str]] = {}
    for at, name in enumerate(names):
        shown = rules.is_shown(name)
        if shown and notes.get(name):
            made.notes.append(f"{name}: {notes[name]}")
        asked[at] = _one_graded(
            made if shown else Answer(), patients, endpoint, rules, name, levels[:, at], strata, progress=progress
        )
    for family in rules.families(names):
        tested = [(asked[at][0], asked[at][1]) for at in family]
        known = [(base, found) for base, found in tested if found is not None]
        adjusted = adjust([found.dependence.p for _, found in known]) if known else ()
        for (base, _), p in zip(known, adjusted, strict=True):
            base["p_adjusted"] = float(p)
    for at, (base, association, few) in asked.items():
        if association is not None:
            verdict = decide_without_margin(
                p_dependence=base["p_adjusted"], p_omnibus=association.omnibus.p, ci95=association.ci95,
                alpha=rules.alpha, too_few=few,
            )  # fmt: skip
            base |= {**_cells(_warned(verdict, association.warning), rules), "margin": math.nan}
        if rules.is_shown(names[at]):
            made.verdicts.append(base)
    return made


def _one_graded(
    made: Answer,
    patients: AnalysedPatients,
    endpoint: EndPoint,
    rules: Rules,
    name: str,
    level: np.ndarray,
    strata: np.ndarray | None,
    *,
    progress: bool,
) -> tuple[Row, Association | None, str]:
    """Relate one biomarker to a graded outcome: its row, the association if there is one, and what is too few."""
    known = ~np.isnan(level)
    timed = endpoint.kind == "time"
    outcome = (endpoint.time if timed else endpoint.value)[known]
    event = endpoint.event[known] == 1 if timed else None
    x, block = level[known], None if strata is None else strata[known]
    base: Row = {
        "biomarker": name, "endpoint": endpoint.name, "n": int(known.sum()),
        "n_responders": None if event is None else int(event.sum()),
    }  # fmt: skip
    problem = outcome_problem(x, outcome, event)
    found: Association | str = problem or _association(
        name, endpoint, x, outcome, event, block, rules, progress=progress
    )
    if timed and problem is None:
        raw, limit = (
            values[endpoint.rows][known] for values in (patients.levels[name].to_numpy(), patients.limit(name))
        )
        made.rows += median_rows(
            name, endpoint.name, raw, limit, outcome, endpoint.event[known] == 1, rules.cutoffs.get(name, ()), block
        )
    if isinstance(found, str):
        told = not_testable(_why(found, patients, endpoint, name, known))
        return base | {**_cells(told, rules), "margin": math.nan}, None, ""
    made.rows += found.rows
    if found.warning:
        made.notes.append(f"{name} ({endpoint.name}): {found.warning}")
    few = too_few(outcome, event)
    ci95 = found.ci95
    base |= {
        "concordance": ci95.value, "concordance_low95": ci95.low, "concordance_high95": ci95.high,
        "p_dependence": found.dependence.p, "p_omnibus": found.omnibus.p,
    }  # fmt: skip
    return base, found, few


def _warned(verdict: Verdict, warning: str) -> Verdict:
    return Verdict(verdict.verdict, f"{verdict.reason}; {warning}") if warning else verdict


def _association(
    name: str,
    endpoint: EndPoint,
    level: np.ndarray,
    outcome: np.ndarray,
    event: np.ndarray | None,
    strata: np.ndarray | None,
    rules: Rules,
    *,
    progress: bool,
) -> Association | str:
    settings: dict[str, Any] = {"n": rules.n_permutations, "seed": rules.seed, "progress": progress}
    if strata is not None:
        kind: Any = endpoint.kind
        return within_strata(name, endpoint.name, level, outcome, strata, event=event, kind=kind, **settings)
    if event is not None:
        return time_to_event(name, endpoint.name, level, outcome, event, **settings)
    method = ordered if endpoint.kind == "ordered" else continuous
    return method(name, endpoint.name, level, outcome, **settings)


def ranked(patients: AnalysedPatients, endpoint: EndPoint) -> tuple[np.ndarray, dict[str, str]]:
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


def strata_of(patients: AnalysedPatients, endpoint: EndPoint) -> np.ndarray:
    """Labels of the patients that count, (n,)."""
    labels: np.ndarray = patients.frame["stratum"].to_numpy(dtype=object)[endpoint.rows].astype(str)
    return labels


def _test_rows(name: str, endpoint: str, tests: BinaryTests, n: int) -> list[Row]:
    return [
        row(name, endpoint, method, statistic, Test(value, p, n, method), n=n)
        for method, statistic, value, p in tests.described()
    ]


def _at_cuts(
    patients: AnalysedPatients,
    endpoint: EndPoint,
    name: str,
    responder: np.ndarray,
    cuts: Sequence[float],
    strata: np.ndarray | None,
) -> tuple[list[Row], Row]:
    """Give the statistics at every pre-set cut; the verdict table shows the first cut's negative stratum."""
    rows: list[Row] = []
    negative: Row = {}
    level = patients.levels[name].to_numpy(dtype=float)[endpoint.rows]
    limit = patients.limit(name)[endpoint.rows]
    for cut in cuts:
        positive, below = at_cut(level, limit, cut)
        told = positive | below
        if not told.any():
            continue
        counts = TwoByTwo(int((positive & responder).sum()), int(positive.sum()), int((below & responder).sum()),
                        int(below.sum()))  # fmt: skip
        note = f"positive at or above {cut:g}, fixed beforehand"
        if unknown := int((~np.isnan(level) & ~told).sum()):
            note += f"; {unknown} below a limit above the cut: unknown, left out"
        rows += _unless(strata, count_rows(name, endpoint.name, counts, note=note))
        if strata is not None:
            rows += stratified_count_rows(name, endpoint.name, positive[told], responder[told], strata[told], note=note)
        if not negative:
            negative = {"responders_in_negative": counts.negative_responders, "negatives": counts.negative}
    return rows, negative


def _cells(verdict: Verdict, rules: Rules) -> Row:
    return {"verdict": verdict.verdict, "reason": verdict.reason, "margin": rules.margin}


def _intervals(ci95: Estimate, ci90: Estimate, folded: Estimate | None) -> Row:
    bends: Row = {} if folded is None else {
        "auc_spread": folded.value, "auc_spread_low90": folded.low, "auc_spread_high90": folded.high,
    }  # fmt: skip
    return {
        **bends,
        "auc": ci95.value, "auc_low95": ci95.low, "auc_high95": ci95.high,
        "auc_low90": ci90.low, "auc_high90": ci90.high, "smallest_margin": smallest_margin(ci90, folded),
        "largest_effect_excluded": excluded_effect(ci95.low, ci95.high),
    }  # fmt: skip


__all__ = ["STRATA_IGNORED", "Answer", "Rules", "answer", "ranked", "strata_of"]
