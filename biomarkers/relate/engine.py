"""``relate``: from a table to verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.core.keys import (
    BASELINE,
    CR,
    INDEPENDENT_WITHIN_MARGIN,
    PATIENT,
    PR,
    STATISTIC_COLUMNS,
    VERDICT_COLUMNS,
)
from biomarkers.io.columns.model import load_column_map
from biomarkers.relate.answers import Answer, Rules, answer
from biomarkers.relate.counts import TwoByTwo
from biomarkers.relate.endpoints import EndPoint, check_names, make_endpoint, time_columns
from biomarkers.relate.inputs import AnalysedPatients, InputColumns, from_cohort, from_table
from biomarkers.relate.meaning import stated_events, stated_units, with_contract
from biomarkers.relate.measured import Measurement
from biomarkers.relate.measured_rows import recorded, with_measurement
from biomarkers.relate.plan import Plan, load_plan
from biomarkers.relate.precision import check_margin
from biomarkers.relate.relation import Relation
from biomarkers.stats.permutation import DEFAULT_PERMUTATIONS

if TYPE_CHECKING:
    from anndata import AnnData

    from biomarkers.io.columns.model import ColumnMap

DEFAULT_MARGIN, DEFAULT_ALPHA = 0.15, 0.05
ORR = "orr"
_FEW_NAMES = 6  # up to so many biomarkers are named in one sentence
_DEFAULTS: dict[str, Any] = {
    "margin": DEFAULT_MARGIN, "alpha": DEFAULT_ALPHA, "responders": (CR, PR), "non_responders": None,
    "not_evaluable": "exclude", "benefit_months": 6.0, "strata": (),
}  # fmt: skip
Words = Literal["exclude", "nonresponder"]


def relate(
    table: pd.DataFrame | AnnData | str | Path | Mapping[str, Any],
    *,
    levels: str | Sequence[str] | None = None,
    response: str | None = None,
    patient: str | None = None,
    endpoint: str | Sequence[str] = ORR,
    responders: Sequence[str] | None = None,
    non_responders: Sequence[str] | None = None,
    not_evaluable: Words | None = None,
    strata: str | Sequence[str] | None = None,
    time: str | Mapping[str, str] | None = None,
    event: str | Mapping[str, str] | None = None,
    event_when: Any = None,
    censored_when: Any = None,
    time_unit: str | Mapping[str, str] | None = None,
    best_change: str | None = None,
    benefit_months: float | None = None,
    covariates: Sequence[str] = (),
    margin: float | None = None,
    alpha: float | None = None,
    cutoffs: Mapping[str, float | str | Sequence[float | str]] | None = None,
    search_cuts: bool = False,
    lloq: Mapping[str, float] | None = None,
    censored: Mapping[str, str] | None = None,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: int = 0,
    plan: str | Path | Plan | None = None,
    timepoint: str = BASELINE,
    columns: ColumnMap | str | Path | Mapping[str, Any] | None = None,
    filters: Sequence[str] = (),
    reliability: Mapping[str, Any] | None = None,
    replicates: Mapping[str, str | Sequence[str]] | None = None,
    standard_errors: Mapping[str, str] | None = None,
    accuracy: Mapping[str, tuple[float, float]] | None = None,
    where: object = "table",
    progress: bool = False,
) -> Relation:
    """Ask whether responses occur independently of levels, and answer dependent, independent or inconclusive.

    Parameters
    ----------
    table
        One row a patient: a pandas, Polars or Arrow table, a dict of columns, a path; or a cohort
        (:func:`biomarkers.build_cohort`, or the path of one), its samples of ``timepoint``.
    levels
        Columns with levels; all biomarkers of a cohort when None. They are one family in each end point. Ordered words
        (IC0 to IC3, ``<1%`` ... ``>=50%``, an ordered categorical) are related as ranks.
    response, patient
        Columns with the best response and the patient's name (a cohort brings both).
    endpoint
        One or several of ``"orr"`` (responders against the rest), ``"dcr"`` (CR, PR, SD), ``"clinical_benefit"`` (CR,
        PR, or SD for ``benefit_months``), ``"recist"`` (PD < SD < PR < CR), ``"best_change"``, ``"pfs"``, ``"os"``,
        ``"dor"``, ``"ttr"``, or the name of a numeric column (larger is better). The first is the primary one; each
        is a family of its own.
    responders, non_responders, not_evaluable
        Who counts as a responder, CR and PR when None, and what NE is, left out (``"exclude"``) when None; see
        :func:`biomarkers.classify_response`. The definition is part of the result.
    strata
        Columns (site, batch, tumor type): ranks are taken and patients change places within a stratum only.
    time, event
        Columns with times of 0 or more and events (1 = happened, 0 = censored) of the one time end point asked for;
        where there are several, end point -> column for those without columns ``<name>_months`` and ``<name>_event``.
        Unless a time end point is asked for by name they are one more end point, named as the column. Columns of
        durations (``timedelta``) are read in months of 30.4375 days.
    event_when, censored_when
        Values of the event column that mean "it happened" and "censored": one, several, or a mapping of column or end
        point to them. They have to be stated where 1 and 0 do not say it (CNSR, 1/2, ``1:DECEASED``).
    time_unit
        Unit of the times, days, weeks, months or years, for all or by column or end point; they are then turned into
        months. Clinical benefit needs it where the column's name does not say it.
    best_change
        Column with the best change from baseline in per cent (negative = shrinkage).
    benefit_months
        How long stable disease must last to count as a benefit; 6 when None.
    covariates
        Numeric columns of an adjusted Firth regression; the verdict is not adjusted.
    margin
        Margin of independence on the AUC scale, fixed beforehand; 0.15 when None.
    alpha
        Level of the test of dependence, and of each one-sided test of independence; 0.05 when None.
    cutoffs
        Level -> cut or cuts fixed beforehand; at or above the cut is positive. A level at its lower limit is negative
        at a cut at or above the limit, and unknown at a cut below it.
    search_cuts
        Search each level for its best cut as well, with the p corrected for the search.
    lloq
        Level -> lower limit of quantification; what lies at or below it is tied at the bottom.
    censored
        Level -> column that is 1 where the level stands at its lower limit (limits may differ: Gehan scores).
    n_permutations, rng
        Number of permutations and seed.
    plan
        A TOML file that fixes all of this beforehand; what it does not hold is labelled exploratory. Its markers are
        tested as one family even when only some of them are asked for.
    timepoint
        Which samples of a cohort.
    columns
        What the columns mean (:class:`biomarkers.ColumnMap`, its TOML file, or the name of a shipped profile); what
        the call names itself comes first.
    filters
        How the rows of ``table`` were chosen (``"site=A"``), for the record and for the plan; chooses nothing itself.
    reliability
        Level -> how well it was measured: a number above 0 and at most 1, ``(value, low, high)`` with a 95% interval,
        the name of a published value (:func:`biomarkers.published_reliability`), what :func:`biomarkers.reliability`
        returns, or a list of these. The verdict stays one on the measured level; what follows for the level in the
        tumour stands beside it. What cannot be a reliability is named, and not used.
    replicates
        Level -> column or columns with further measurements of it (a second core, reader or run), from which its
        reliability is estimated on normal scores, within response groups.
    standard_errors
        Level -> column with the standard error of each level, in its unit.
    accuracy
        Level -> sensitivity and specificity of the reading at its cut-offs.
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
        A column is missing, a margin is out of range, the call contradicts the plan, or two end points would be made
        of one pair of columns.
    DataError
        A patient stands twice or under two spellings, a level holds text or lies outside its unit, a response word is
        not known, a time is negative.

    References
    ----------
    Neubert K, Brunner E. Comput Stat Data Anal 2007;51:5192-5204 (studentised permutation test). Westfall PH, Young SS.
    Resampling-based multiple testing. Wiley 1993 (max-T). Qin G, Hotilovac L. Stat Methods Med Res 2008;17:207-221.
    """
    asked = question(
        table,
        {
            "levels": levels, "response": response, "patient": patient, "endpoint": endpoint, "responders": responders,
            "non_responders": non_responders, "not_evaluable": not_evaluable, "strata": strata, "time": time,
            "event": event, "event_when": event_when, "censored_when": censored_when, "time_unit": time_unit,
            "columns": columns, "best_change": best_change, "benefit_months": benefit_months, "covariates": covariates,
            "margin": margin, "alpha": alpha, "cutoffs": cutoffs, "search_cuts": search_cuts, "lloq": lloq,
            "censored": censored, "n_permutations": n_permutations, "rng": rng, "plan": plan, "timepoint": timepoint,
            "filters": filters, "where": where, "reliability": reliability, "replicates": replicates,
            "standard_errors": standard_errors, "accuracy": accuracy,
        },
    )  # fmt: skip
    answers = [answer(asked.patients, point, asked.rules, progress=progress) for point in asked.points]
    return _relation(asked, answers)


def relate_counts(
    positive_responders: int,
    positive: int,
    negative_responders: int,
    negative: int,
    *,
    biomarker: str = "marker",
    endpoint: str = ORR,
    margin: float = DEFAULT_MARGIN,
    alpha: float = DEFAULT_ALPHA,
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
    counts = TwoByTwo(positive_responders, positive, negative_responders, negative)
    yes, no = counts.levels()
    frame = pd.DataFrame({
        biomarker: np.concatenate([yes, no]), "response": np.repeat(["responder", "other"], [len(yes), len(no)]),
    })  # fmt: skip
    found = relate(
        frame,
        levels=[biomarker],
        response="response",
        responders=["responder"],
        non_responders=["other"],
        margin=margin,
        alpha=alpha,
        cutoffs={biomarker: 1},
        n_permutations=n_permutations,
        rng=rng,
        where="counts",
    )
    return replace(
        found, verdicts=found.verdicts.assign(endpoint=endpoint), table=found.table.assign(endpoint=endpoint)
    )


@dataclass(frozen=True)
class Question:
    """What is asked of whom: patients, end points, what is fixed beforehand, and how a call departs from its plan."""

    patients: AnalysedPatients
    points: Sequence[EndPoint]
    rules: Rules
    settings: Mapping[str, Any]
    plan: Plan | None
    departures: Sequence[str]
    measurement: Measurement = field(default_factory=Measurement)


def question(table: pd.DataFrame | AnnData, options: Mapping[str, Any]) -> Question:
    """Read a table as :func:`relate` does, which names the options (all of them), and answer nothing yet."""
    table, given, contract = with_contract(table, options)
    strata = given["strata"]
    strata = (strata,) if isinstance(strata, str) else tuple(strata or ())
    plan = given["plan"]
    fixed = plan if isinstance(plan, Plan) or plan is None else load_plan(plan)
    said = {name: given[name] for name in _DEFAULTS} | {"strata": strata or None}
    rule = {name: _DEFAULTS[name] if value is None else value for name, value in said.items()}
    levels, endpoint = given["levels"], given["endpoint"]
    cutoffs, lloq, censored = (dict(given[name] or {}) for name in ("cutoffs", "lloq", "censored"))
    asked = list(levels) if levels else None
    if fixed is not None:
        rule = fixed.hold(said)
        asked = asked or list(fixed.levels)
        levels = fixed.family_of(asked, table)
        cutoffs, lloq = fixed.merged("cutoffs", cutoffs), fixed.merged("lloq", lloq)
        endpoint = fixed.endpoints if endpoint in (ORR, [ORR], (ORR,)) else endpoint
    check_margin(rule["margin"])
    if not 0 < rule["alpha"] < 0.5:
        raise UsageError("alpha is out of range", seen=rule["alpha"], allowed="above 0 and below 0.5")
    columns = InputColumns(
        levels=tuple(levels) if levels else None,
        response=given["response"],
        patient=given["patient"],
        change=given["best_change"],
        strata=tuple(rule["strata"]),
        covariates=tuple(given["covariates"]),
        lloq=lloq,
        censored=censored,
        contract=contract,
        cut=tuple(cutoffs),
    )
    where = str(given["where"])
    patients = (
        from_table(table, columns, where=where)
        if isinstance(table, pd.DataFrame)
        else from_cohort(table, columns, timepoint=given["timepoint"], where=where)
    )
    present = [str(name) for name in patients.table.columns]
    names, times = time_columns(check_names(endpoint, columns=present), given["time"], given["event"], present=present)
    defined = {
        "responders": tuple(rule["responders"]), "non_responders": rule["non_responders"],
        "not_evaluable": rule["not_evaluable"], "benefit_months": rule["benefit_months"],
    }  # fmt: skip
    shown = list(patients.levels.columns) if asked is None else asked
    if 1 / (given["n_permutations"] + 1) > rule["alpha"]:
        raise UsageError(
            "so few relabellings cannot reach alpha: the smallest p is 1 / (n_permutations + 1)",
            where="n_permutations", seen=given["n_permutations"], allowed=f"{int(1 / rule['alpha'])} or more",
        )  # fmt: skip
    rules = Rules(
        margin=rule["margin"], alpha=rule["alpha"], n_permutations=given["n_permutations"], seed=given["rng"],
        cutoffs=_cuts(cutoffs, patients), stratified=bool(columns.strata), search_cuts=given["search_cuts"],
        planned=None if fixed is None else fixed.levels, shown=shown,
    )  # fmt: skip
    polarity, units = stated_events(names, times, given, contract), stated_units(names, times, given, contract)
    asked_for = {**defined, "times": times, "polarity": polarity, "units": units}
    made = [make_endpoint(name, patients, options=asked_for) for name in names]
    points = [_within_known_strata(point, patients) for point in made]
    settings = {
        **defined, "time": given["time"], "event": given["event"], "levels": shown, "endpoint": list(names),
        "strata": list(columns.strata), "covariates": list(columns.covariates), "margin": rules.margin,
        "alpha": rules.alpha, "cutoffs": dict(rules.cutoffs), "search_cuts": rules.search_cuts,
        "lloq": dict(columns.lloq), "censored": dict(columns.censored), "n_permutations": rules.n_permutations,
        "seed": rules.seed, "family_size": len(patients.levels.columns), "filters": list(given["filters"]),
        "columns": load_column_map(given["columns"]).model_dump(exclude_defaults=True),
        "reading": patients.reading.paragraph(),
        "event_when": {name: list(values[0]) for name, values in polarity.items()}, "time_unit": dict(units),
        "orders": {name: list(order.words) for name, order in patients.orders.items()},
        "definitions": {point.name: point.definition for point in points},
        "plan_sha256": None if fixed is None else fixed.sha256,
    }  # fmt: skip
    departs = [] if fixed is None else fixed.departures(
        response=patients.response, censored=columns.censored, filters=given["filters"], table=patients.table
    )  # fmt: skip
    measured = Measurement.of(given, levels=list(patients.levels.columns), table=patients.table, where=where)
    return Question(patients, points, rules, settings, fixed, departs, measured)


def _relation(asked: Question, answers: Sequence[Answer]) -> Relation:
    patients, points, settings, fixed = asked.patients, asked.points, asked.settings, asked.plan
    verdicts = pd.DataFrame([row for made in answers for row in made.verdicts], columns=list(VERDICT_COLUMNS))
    table = pd.DataFrame([row for made in answers for row in made.rows], columns=list(STATISTIC_COLUMNS))
    notes = [*patients.notes, *(note for made in answers for note in made.notes), *_families(points, patients, fixed)]
    verdicts, rows, told, used = with_measurement(verdicts, patients, points, asked.rules, asked.measurement)
    table = pd.concat([table, pd.DataFrame(rows, columns=table.columns)], ignore_index=True) if rows else table
    notes += [*told, *_absent(patients, points, settings["levels"])]
    settings = {**settings, **recorded(used, asked.measurement)}
    if fixed is not None:
        verdicts["reason"] = fixed.marked(verdicts, asked.departures)
        notes += fixed.told(settings["levels"], [point.name for point in points], asked.departures)
    data, limits = _data(patients, points, settings["levels"])
    return Relation(
        verdicts=_whole(verdicts),
        table=table,
        flow=_flow(patients, points, settings["levels"]),
        data=data,
        definition=points[0].definition,
        settings=settings,
        notes=(*dict.fromkeys(notes), *_together(verdicts, float(settings["margin"]))),
        limits=limits,
    )


def _within_known_strata(point: EndPoint, patients: AnalysedPatients) -> EndPoint:
    """Leave out, and count, patients whose stratum is unknown."""
    unknown = patients.frame["stratum"].isna().to_numpy()[point.rows]
    if not unknown.any():
        return point
    keep = ~unknown
    cut = {name: getattr(point, name)[keep] for name in ("rows", "value", "time", "event")}
    return replace(point, **cut, left_out={**point.left_out, "stratum unknown": int(unknown.sum())})


def _cuts(cutoffs: Mapping[str, Any] | None, patients: AnalysedPatients) -> dict[str, tuple[float, ...]]:
    found = {}
    for name, value in (cutoffs or {}).items():
        if name not in patients.levels.columns:
            raise UsageError("a cut-off names no level", seen=name, allowed=list(patients.levels.columns))
        several = [value] if isinstance(value, str) else np.atleast_1d(np.asarray(value)).tolist()
        order = patients.orders.get(name)
        try:
            found[name] = tuple(float(cut) if order is None else order.rank(cut, level=name) for cut in several)
        except ValueError as error:
            raise UsageError(f"a cut-off of {name!r} is no number", seen=value) from error
        if not np.isfinite(found[name]).all():
            raise UsageError(f"a cut-off of {name!r} is no number", seen=found[name])
    return found


def _family_sizes(levels: Sequence[str], fixed: Plan | None) -> list[tuple[int, str]]:
    if fixed is None:
        return [(len(levels), "")]
    planned = sum(name in fixed.levels for name in levels)
    return [(planned, "planned"), (len(levels) - planned, "exploratory")]


def _families(points: Sequence[EndPoint], patients: AnalysedPatients, fixed: Plan | None) -> list[str]:
    m = len(patients.levels.columns)
    binary = [point.name for point in points if point.kind == "binary"]
    told = []
    for size, kind in _family_sizes(list(patients.levels.columns), fixed):
        if size > 1 and binary:
            words = f"{kind} family of {size} biomarkers".strip()
            told.append(f"{words}: p adjusted by step-down max-T over joint permutations ({', '.join(binary)})")
    if len(points) > 1:
        others = ", ".join(point.name for point in points[1:])
        told.append(f"primary end point {points[0].name}; secondary, each a family of its own: {others}")
    if m > 1 and any(point.kind != "binary" for point in points):
        told.append("graded and time end points: p adjusted by Holm over the biomarkers")
    return told


def _together(verdicts: pd.DataFrame, margin: float) -> tuple[str, ...]:
    """State independence of several levels together only when each is shown (intersection-union)."""
    told = []
    for endpoint, part in verdicts.groupby("endpoint", sort=False):
        shown = part["verdict"] == INDEPENDENT_WITHIN_MARGIN
        names = list(part["biomarker"])
        if len(names) < 2 or not shown.any():
            continue
        rule = "intersection-union: each has to show it at alpha"
        if shown.all():
            told.append(f"{endpoint}: independent of {' and of '.join(names)}, each within {margin:g} ({rule})")
        elif len(names) <= _FEW_NAMES:
            alone = ", ".join(part["biomarker"][shown])
            both = " and of ".join(names)
            told.append(f"{endpoint}: independence of {both} together is not shown, of {alone} alone it is ({rule})")
    return tuple(told)


def _absent(patients: AnalysedPatients, points: Sequence[EndPoint], shown: Sequence[str]) -> list[str]:
    """Say how many patients each figure stands without: those without a level, and without the outcome."""
    told = []
    for point in points:
        if point.kind != "binary":  # the definition of a yes/no end point says who was left out
            told += [
                f"{point.name}: {n} of {len(patients.frame)} left out ({why})" for why, n in point.left_out.items()
            ]
        absent = {name: int(patients.levels[name].isna().to_numpy()[point.rows].sum()) for name in shown}
        if few := [f"{name} {n}" for name, n in absent.items() if n]:
            told.append(f"{point.name}: patients without a level, of {len(point.rows)}: {', '.join(few)}")
    return told


def _flow(patients: AnalysedPatients, points: Sequence[EndPoint], shown: Sequence[str]) -> pd.DataFrame:
    """Count how many rows became how many patients, and why others were left out."""
    steps: list[tuple[str, int, str]] = [("rows", len(patients.frame), "")]
    for point in points:
        steps += [(f"left out: {point.name}", count, reason) for reason, count in point.left_out.items()]
        told = f"{int((point.value == 1).sum())} responders" if point.kind == "binary" else ""
        steps.append((f"evaluable: {point.name}", len(point.rows), told))
        if at_start := int((point.time == 0).sum()):
            steps.append((f"time 0: {point.name}", at_start, "counted: an event or loss on the first day"))
        for name in shown:
            absent = int(patients.levels[name].isna().to_numpy()[point.rows].sum())
            steps.append((f"analysed: {name}, {point.name}", len(point.rows) - absent, f"{absent} without a level"))
    return pd.DataFrame(steps, columns=["step", "n", "reason"])


def _data(
    patients: AnalysedPatients, points: Sequence[EndPoint], shown: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a patient with what the figures need, and the limits; patients that no end point counts are left out."""
    data = patients.levels[list(shown)].copy()
    data.insert(0, PATIENT, patients.frame[PATIENT])
    data["response"] = patients.frame.get("response")
    data["stratum"] = patients.frame["stratum"]
    counted = np.zeros(len(data), dtype=bool)
    for kind, made in (("binary", {"responder": "value"}), ("time", {"time": "time", "event": "event"})):
        point = next((point for point in points if point.kind == kind), None)
        for column, source in made.items():
            values = np.full(len(data), np.nan)
            if point is not None:
                values[point.rows] = getattr(point, source)
            if point is not None or column == "responder":
                data[column] = values
    for point in points:
        counted[point.rows] = True
    limits = pd.DataFrame({name: patients.limit(name) for name in shown})
    return data[counted].reset_index(drop=True), limits[counted].reset_index(drop=True)


def _whole(verdicts: pd.DataFrame) -> pd.DataFrame:
    for column in ("n", "n_responders", "n_needed", "responders_in_negative", "negatives"):
        verdicts[column] = verdicts[column].astype("Int64")
    for column in verdicts.columns:
        if column.startswith(("auc", "p_", "bf01", "smallest", "largest", "min_", "margin", "concordance")):
            verdicts[column] = verdicts[column].astype(float)
    return verdicts


__all__ = ["DEFAULT_ALPHA", "DEFAULT_MARGIN", "Question", "question", "relate", "relate_counts"]
