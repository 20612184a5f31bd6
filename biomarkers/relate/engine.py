"""``relate``: from a table to verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.cohort.response import normalise_responses
from biomarkers.cohort.tables import numeric_column, require_columns
from biomarkers.errors import DataError, UsageError
from biomarkers.keys import CR, PD, PR, SD, STATISTIC_COLUMNS, VERDICT_COLUMNS
from biomarkers.relate.binary import Row, group_problem, row, two_groups
from biomarkers.relate.counts import Counts, count_rows
from biomarkers.relate.intake import NotEvaluable, Question, ask
from biomarkers.relate.outcomes import Association, continuous, ordered, outcome_problem, time_to_event
from biomarkers.relate.plan import Plan, load_plan
from biomarkers.relate.precision import check_margin, min_detectable_auc, patients_needed
from biomarkers.relate.relation import Relation
from biomarkers.relate.strata import stratum_rows
from biomarkers.relate.verdict import Verdict, decide, decide_without_margin, not_testable, smallest_margin
from biomarkers.stats.adjust import adjust
from biomarkers.stats.permutation import DEFAULT_PERMUTATIONS, JointPermutation, joint_permutation
from biomarkers.stats.results import Test

if TYPE_CHECKING:
    from anndata import AnnData

DEFAULT_MARGIN = 0.15
ORR, RECIST = "orr", "recist"
_ORDER = {PD: 0, SD: 1, PR: 2, CR: 3}


def relate(
    table: pd.DataFrame | AnnData,
    *,
    levels: Sequence[str] | None = None,
    response: str | None = None,
    patient: str | None = None,
    endpoint: str | Sequence[str] = ORR,
    responders: Sequence[str] = (CR, PR),
    non_responders: Sequence[str] | None = None,
    not_evaluable: NotEvaluable = "exclude",
    strata: str | None = None,
    time: str | None = None,
    event: str | None = None,
    margin: float = DEFAULT_MARGIN,
    alpha: float = 0.05,
    cutoffs: Mapping[str, float | Sequence[float]] | None = None,
    lloq: Mapping[str, float] | None = None,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: int = 0,
    plan: str | Path | Plan | None = None,
    where: object = "table",
    progress: bool = False,
) -> Relation:
    """Ask whether responses occur independently of levels, and answer dependent, independent or inconclusive.

    Parameters
    ----------
    table
        One row a patient; or a cohort (:func:`biomarkers.build_cohort`), of which baseline samples are used.
    levels
        Columns with levels; all biomarkers of a cohort when None.
    response, patient
        Columns with the best response and the patient's name (a cohort brings both).
    endpoint
        ``"orr"`` (responders against the rest), ``"recist"`` (PD < SD < PR < CR), the name of a numeric column (such
        as the best per cent change), or several of these. ``time`` and ``event`` add a time to an event.
    responders, non_responders, not_evaluable
        Who counts as a responder; see :func:`biomarkers.respond`. The definition is part of the result.
    strata
        Column (site, batch, tumour type): patients change places within a stratum only.
    time, event
        Columns with times above 0 and events (1 = happened, 0 = censored).
    margin
        Margin of independence on the AUC scale, fixed beforehand.
    alpha
        Level of the test of dependence, and of each one-sided test of independence.
    cutoffs
        Level -> cut or cuts fixed beforehand; at or above the cut is positive.
    lloq
        Level -> lower limit of quantification; what lies below it is tied at the bottom.
    n_permutations, rng
        Number of permutations and seed.
    plan
        A TOML file that fixes all of this beforehand; what it does not hold is labelled exploratory.
    where
        The file, for messages.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Relation

    Raises
    ------
    UsageError
        A column is missing, a margin is out of range, or the call contradicts the plan.
    DataError
        A patient stands twice, a level holds text, a response word is not known, a time is not above 0.

    References
    ----------
    Neubert K, Brunner E. Comput Stat Data Anal 2007;51:5192-5204 (studentised permutation test). Westfall PH, Young SS.
    Resampling-based multiple testing. Wiley 1993 (max-T). Qin G, Hotilovac L. Stat Methods Med Res 2008;17:207-221.
    """
    fixed = plan if isinstance(plan, Plan) or plan is None else load_plan(plan)
    if fixed is not None:
        fixed.hold({"margin": (margin, DEFAULT_MARGIN), "alpha": (alpha, 0.05)})
        margin, alpha = fixed.margin, fixed.alpha
        levels = levels or fixed.levels or None
        cutoffs = {**fixed.cutoffs, **(cutoffs or {})}
        responders = fixed.responders
    check_margin(margin)
    if not 0 < alpha < 0.5:
        raise UsageError("alpha is out of range", seen=alpha, allowed="above 0 and below 0.5")
    question = ask(
        table,
        levels=levels,
        response=response,
        patient=patient,
        responders=responders,
        non_responders=non_responders,
        not_evaluable=not_evaluable,
        strata=strata,
        lloq=lloq,
        where=where,
    )
    rules = _Rules(margin, alpha, n_permutations, rng, _cuts(cutoffs, question))
    names = [endpoint] if isinstance(endpoint, str) else list(endpoint)
    answers = [_answer(question, name, rules, where, progress=progress) for name in names]
    if (time is None) != (event is None):
        raise UsageError("a time to an event needs both columns, time and event", seen={"time": time, "event": event})
    if time is not None and event is not None:
        answers.append(_survival(question, time, event, rules, where))
    verdicts = pd.DataFrame([row for _, found in answers for row in found], columns=list(VERDICT_COLUMNS))
    if fixed is not None:
        verdicts["reason"] = fixed.marked(verdicts)
    rows = [row for found, _ in answers for row in found]
    settings = {
        "levels": list(question.levels.columns), "endpoint": names, "time": time, "event": event, "strata": strata,
        "responders": list(responders), "not_evaluable": not_evaluable, "definition": question.definition,
        "margin": margin, "alpha": alpha, "cutoffs": rules.cutoffs, "lloq": dict(lloq or {}),
        "n_permutations": n_permutations, "seed": rng, "family_size": len(verdicts),
        "plan_sha256": None if fixed is None else fixed.sha256,
    }  # fmt: skip
    return Relation(
        verdicts=_whole(verdicts),
        table=pd.DataFrame(rows, columns=list(STATISTIC_COLUMNS)),
        flow=question.flow,
        data=_data(question, time, event),
        definition=question.definition,
        settings=settings,
        notes=(*question.notes, *_both(verdicts, margin)),
    )


def relate_counts(
    positive_responders: int,
    positive: int,
    negative_responders: int,
    negative: int,
    *,
    biomarker: str = "marker",
    endpoint: str = ORR,
    margin: float = DEFAULT_MARGIN,
    alpha: float = 0.05,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: int = 0,
) -> Relation:
    """Ask the same of a published 2 x 2 table: responders among marker-positive and marker-negative patients.

    Parameters
    ----------
    positive_responders, positive
        Responders among the marker-positive, and how many these are.
    negative_responders, negative
        The same of the marker-negative.
    biomarker, endpoint
        Names for the result.
    margin, alpha, n_permutations, rng
        As for :func:`relate`.

    Examples
    --------
    >>> relate_counts(5, 9, 1, 8, biomarker="PD-1").verdicts["verdict"].item()
    'inconclusive'
    """
    counts = Counts(positive_responders, positive, negative_responders, negative)
    yes, no = counts.levels()
    frame = pd.DataFrame({
        biomarker: np.concatenate([yes, no]), "response": np.repeat(["responder", "other"], [len(yes), len(no)]),
    })  # fmt: skip
    return relate(
        frame,
        levels=[biomarker],
        response="response",
        endpoint=endpoint if endpoint == ORR else ORR,
        responders=["responder"],
        non_responders=["other"],
        margin=margin,
        alpha=alpha,
        cutoffs={biomarker: 1},
        n_permutations=n_permutations,
        rng=rng,
        where="counts",
    )


class _Rules:
    """What is fixed beforehand."""

    def __init__(
        self, margin: float, alpha: float, n_permutations: int, seed: int, cutoffs: Mapping[str, tuple[float, ...]]
    ) -> None:
        self.margin, self.alpha, self.n_permutations, self.seed = margin, alpha, n_permutations, seed
        self.cutoffs = dict(cutoffs)


def _answer(
    question: Question, endpoint: str, rules: _Rules, where: object, *, progress: bool
) -> tuple[list[Row], list[Row]]:
    if endpoint == ORR:
        return _binary(question, rules, progress=progress)
    if endpoint == RECIST:
        words = normalise_responses(question.words, where=where)
        outcome = words.map(_ORDER).astype(float)
        return _other(question, endpoint, outcome, rules, ordered)
    require_columns(question.table, [endpoint], where=where)
    return _other(question, endpoint, numeric_column(question.table, endpoint, where=where), rules, continuous)


def _binary(question: Question, rules: _Rules, *, progress: bool) -> tuple[list[Row], list[Row]]:
    responder = question.responder.to_numpy(dtype=bool)
    joint = _joint(question, responder, rules, progress=progress)
    rows: list[Row] = []
    verdicts: list[Row] = []
    for position, name in enumerate(question.levels.columns):
        values = question.levels[name].to_numpy()
        known = ~np.isnan(values)
        yes, no = values[known & responder], values[known & ~responder]
        base = {"biomarker": name, "endpoint": ORR, "n": len(yes) + len(no), "n_responders": len(yes)}
        cut_rows, negative = _at_cuts(name, yes, no, rules.cutoffs.get(name, ()))
        problem = group_problem(yes, no)
        if problem is not None or joint is None:
            rows += cut_rows
            verdicts.append({**base, **_verdict_cells(not_testable(problem or "one class only"), rules), **negative})
            continue
        found, need = two_groups(name, ORR, yes, no, margin=rules.margin)
        tests = _permutation_rows(name, joint, position, len(values[known]))
        verdict = decide(
            p_dependence=float(joint.p[position]),
            p_omnibus=float(joint.p_energy[position]),
            ci90=need["ci90"],
            margin=rules.margin,
            alpha=rules.alpha,
        )
        rows += [*found, *tests, *cut_rows]
        rows += stratum_rows(name, ORR, values, responder, question.strata)
        verdicts.append({
            **base, **_verdict_cells(verdict, rules), **_interval_cells(need["ci95"], need["ci90"]), **negative,
            "p_dependence": joint.p[position], "p_adjusted": joint.p_adjusted[position],
            "p_omnibus": joint.p_energy[position], "bf01": need["bf01"], "bf01_ceiling": need["bf01_ceiling"],
            "min_detectable_auc": min_detectable_auc(len(yes), len(no), alpha=rules.alpha),
            "n_needed": patients_needed(rules.margin, responder_share=len(yes) / len(values[known]), alpha=rules.alpha),
        })  # fmt: skip
    return rows, verdicts


def _joint(question: Question, responder: np.ndarray, rules: _Rules, *, progress: bool) -> JointPermutation | None:
    if responder.all() or not responder.any():
        return None
    return joint_permutation(
        question.levels.to_numpy(dtype=float),
        responder,
        n_permutations=rules.n_permutations,
        rng=rules.seed,
        strata=None if question.strata is None else question.strata.to_numpy(),
        progress=progress,
    )


def _permutation_rows(name: str, joint: JointPermutation, position: int, n: int) -> list[Row]:
    b = f"B = {joint.n_permutations:,}"
    tests = (
        (f"studentised permutation, {b}", "t", joint.studentised, joint.p),
        (f"studentised permutation, step-down max-T over all levels, {b}", "t", joint.studentised, joint.p_adjusted),
        (f"energy distance of mid-ranks, permutation, {b}", "energy", joint.energy, joint.p_energy),
    )
    return [
        row(name, ORR, method, statistic, Test(values[position], p[position], n, method), n=n)
        for method, statistic, values, p in tests
    ]


def _other(
    question: Question, endpoint: str, outcome: pd.Series, rules: _Rules, method: Any
) -> tuple[list[Row], list[Row]]:
    def run(name: str, level: np.ndarray, known: np.ndarray) -> Association:
        found: Association = method(
            name, endpoint, level, outcome.to_numpy()[known], n=rules.n_permutations, seed=rules.seed
        )
        return found

    return _associations(question, endpoint, outcome.to_numpy(dtype=float), rules, run)


def _survival(question: Question, time: str, event: str, rules: _Rules, where: object) -> tuple[list[Row], list[Row]]:
    times = numeric_column(question.table, time, where=where)
    events = numeric_column(question.table, event, where=where)
    _check_times(times, events, time, event, where)
    both = times.where(events.notna())

    def run(name: str, level: np.ndarray, known: np.ndarray) -> Association:
        at, seen = both.to_numpy()[known], events.to_numpy()[known] == 1
        return time_to_event(name, time, level, at, seen, n=rules.n_permutations, seed=rules.seed)

    return _associations(question, time, both.to_numpy(dtype=float), rules, run, events=events.to_numpy())


def _associations(
    question: Question, endpoint: str, outcome: np.ndarray, rules: _Rules, run: Any, *, events: np.ndarray | None = None
) -> tuple[list[Row], list[Row]]:
    rows: list[Row] = []
    verdicts: list[Row] = []
    for name in question.levels.columns:
        values = question.levels[name].to_numpy()
        known = ~np.isnan(values) & ~np.isnan(outcome)
        n_yes = int(question.responder.to_numpy()[known].sum())
        base = {"biomarker": name, "endpoint": endpoint, "n": int(known.sum()), "n_responders": n_yes}
        problem = outcome_problem(values[known], outcome[known])
        if problem is None and events is not None and not (events[known] == 1).any():
            problem = "no event happened"
        if problem is not None:
            verdicts.append({**base, **_verdict_cells(not_testable(problem), rules)})
            continue
        found = run(name, values[known], known)
        rows += found.rows
        verdict = decide_without_margin(p_dependence=found.dependence.p, ci95=found.ci95, alpha=rules.alpha)
        verdicts.append({
            **base, **_verdict_cells(verdict, rules), **_interval_cells(found.ci95, found.ci90),
            "p_dependence": found.dependence.p, "p_omnibus": found.omnibus.p,
        })  # fmt: skip
    tested = [item for item in verdicts if "p_dependence" in item]
    for item, p in zip(tested, adjust([item["p_dependence"] for item in tested]) if tested else (), strict=True):
        item["p_adjusted"] = float(p)
    return rows, verdicts


def _check_times(times: pd.Series, events: pd.Series, time: str, event: str, where: object) -> None:
    from biomarkers.cohort.tables import row_name

    frame = times.to_frame()
    wrong = np.flatnonzero((times <= 0).to_numpy())
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"column {time!r} holds a time that is not above 0",
            where=f"{where} {row_name(frame, at)}",
            seen=times.iloc[at],
        )
    odd = np.flatnonzero((~events.isin([0, 1]) & events.notna()).to_numpy())
    if len(odd):
        at = int(odd[0])
        raise DataError(
            f"column {event!r} must hold 1 (happened) and 0 (censored)",
            where=f"{where} {row_name(frame, at)}",
            seen=events.iloc[at],
        )


def _at_cuts(name: str, yes: np.ndarray, no: np.ndarray, cuts: Sequence[float]) -> tuple[list[Row], Row]:
    """Give the statistics at every pre-set cut; the verdict table shows the first cut's negative stratum."""
    rows: list[Row] = []
    negative: Row = {}
    for cut in cuts:
        counts = Counts(int((yes >= cut).sum()), int((yes >= cut).sum() + (no >= cut).sum()),
                        int((yes < cut).sum()), int((yes < cut).sum() + (no < cut).sum()))  # fmt: skip
        rows += count_rows(name, ORR, counts, note=f"positive at or above {cut:g}")
        if not negative:
            negative = {"responders_in_negative": counts.negative_responders, "negatives": counts.negative}
    return rows, negative


def _cuts(cutoffs: Mapping[str, float | Sequence[float]] | None, question: Question) -> dict[str, tuple[float, ...]]:
    found = {}
    for name, value in (cutoffs or {}).items():
        if name not in question.levels.columns:
            raise UsageError("a cut-off names no level", seen=name, allowed=list(question.levels.columns))
        found[name] = tuple(float(cut) for cut in np.atleast_1d(np.asarray(value, dtype=float)))
    return found


def _verdict_cells(verdict: Verdict, rules: _Rules) -> Row:
    return {"verdict": verdict.verdict, "reason": verdict.reason, "margin": rules.margin}


def _interval_cells(ci95: Any, ci90: Any) -> Row:
    return {
        "auc": ci95.value, "auc_low95": ci95.low, "auc_high95": ci95.high,
        "auc_low90": ci90.low, "auc_high90": ci90.high,
        "smallest_margin": smallest_margin(ci90),
        "largest_effect_excluded": max(abs(ci95.low - 0.5), abs(ci95.high - 0.5)),
    }  # fmt: skip


def _both(verdicts: pd.DataFrame, margin: float) -> tuple[str, ...]:
    """State independence of several levels together only when each is shown (intersection-union)."""
    for endpoint, part in verdicts.groupby("endpoint", sort=False):
        names = list(part["biomarker"])
        if len(names) > 1 and (part["verdict"] == "independent_within_margin").all():
            return (
                f"{endpoint}: independent of {' and of '.join(names)}, each within {margin:g} (intersection-union)",
            )
    return ()


def _whole(verdicts: pd.DataFrame) -> pd.DataFrame:
    for column in ("n", "n_responders", "n_needed", "responders_in_negative", "negatives"):
        verdicts[column] = verdicts[column].astype("Int64")
    for column in verdicts.columns:
        if column.startswith(("auc", "p_", "bf01", "smallest", "largest", "min_", "margin")):
            verdicts[column] = verdicts[column].astype(float)
    return verdicts


def _data(question: Question, time: str | None, event: str | None) -> pd.DataFrame:
    data = question.levels.copy()
    data["responder"], data["response"] = question.responder, question.words
    if question.strata is not None:
        data["stratum"] = question.strata
    if time is not None and event is not None:
        data["time"] = numeric_column(question.table, time, where="table")
        data["event"] = numeric_column(question.table, event, where="table")
    return data


__all__ = ["DEFAULT_MARGIN", "relate", "relate_counts"]
