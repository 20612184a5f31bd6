"""The join: scores and levels meet the clinical table, one row a patient and time point, nobody multiplied or lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers.cohort.best_response import Confirmation
from biomarkers.cohort.columns import ColumnMap
from biomarkers.cohort.flow import build_flow
from biomarkers.cohort.match import Matched, match
from biomarkers.cohort.measurements import ASSAY, BIOMARKER, DENOMINATOR, NUMERATOR, gather
from biomarkers.cohort.patients import Patients, ResponseFrom, first_doses, load_table, read_patients
from biomarkers.cohort.pooling import Several, aggregate_replicates
from biomarkers.cohort.progression import NewTherapyRule
from biomarkers.cohort.samples import DATE, DAY, check_dates, read_samples, sample_lookup, timepoint_word
from biomarkers.cohort.slots import (
    BEST,
    CONFIRM_DAYS,
    CONTRADICTIONS,
    NOT_EVALUABLE,
    NOTES,
    PATIENTS,
    SOURCES,
    UNMATCHED,
    VISITS,
)
from biomarkers.cohort.tables import table_notes
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError, did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData

Source = str | Path | pd.DataFrame
_BELOW = "below_lloq"


def build_cohort(
    *,
    scores: Sequence[Source] = (),
    levels: Sequence[Source] = (),
    clinical: Source | Patients,
    samples: Source | None = None,
    visits: Source | None = None,
    lesions: Source | None = None,
    rules: Confirmation | None = None,
    immune: bool = False,
    response_from: ResponseFrom | None = None,
    new_therapy_rule: NewTherapyRule = "ignore",
    columns: ColumnMap | None = None,
    several: Several = "refuse",
    baseline: str = keys.BASELINE,
) -> AnnData:
    """Join scores and expression levels to the clinical table.

    Identifiers match letter for letter. What differs only by case, padding or zeros is listed and not joined; what
    has no partner on either side is listed. There is one row a patient and time point.

    Parameters
    ----------
    scores
        Folders that ``biomarkers score`` wrote, or score tables (columns ``keys.SCORE_COLUMNS``).
    levels
        Files that ``biomarkers express`` wrote, or level tables (columns ``keys.LEVEL_COLUMNS``).
    clinical
        The clinical table or its path: one row a patient, or one row a sample; or what
        :func:`biomarkers.cohort.patients.read_patients` made of it (then visits and lesions are in it already).
    samples
        A sample sheet (sample, patient and, optionally, time point, date or day since first dose), when neither the
        measurements nor the clinical table say whose each sample is.
    visits, lesions, rules, immune
        Tumor measurements, from which RECIST responses are derived (see :func:`biomarkers.assess`).
    response_from
        Whose best overall response counts, ``table`` or ``visits``; by default the table's where it has one.
    new_therapy_rule
        What the start of another treatment is to PFS by the visits (see :func:`biomarkers.read_patients`).
    columns
        Which column of the clinical table and the sample sheet is what.
    several
        What to do with several samples of one patient at one time point: ``refuse``, ``pool`` (sums of counts and
        areas; a biomarker without counts gets a mean), ``mean``, ``max``, ``earliest``, ``latest``, ``area``.
        Biomarkers with another rule are named in ``columns.pooling``. Which rule each had is noted, and stands in
        ``uns["pooling"]``.
    baseline
        The time point before treatment, which the flow of patients is about.

    Returns
    -------
    AnnData, obs = samples (``patient``, ``timepoint``, ``response``, end points ``<name>_months`` and ``<name>_event``
    (1 happened, 0 censored), every other clinical column), var = biomarkers (``keys.VAR_COLUMNS``), X = levels with
    NaN where there is none; layers ``censored`` (bool: the level stands at its lower limit), ``numerator`` and
    ``denominator`` (the counts behind a score); uns: ``flow``, ``patients`` (the whole clinical table),
    ``unmatched``, ``not_evaluable``, ``sources``, ``notes``, and with tumor measurements ``visits`` and
    ``best_responses``, ``contradictions`` and ``confirm_days``.

    Raises
    ------
    UsageError
        A file, column or rule is absent or unknown.
    DataError
        The tables contradict each other or themselves; the message names rows.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> clinical = pd.DataFrame({"patient": ["P1", "P2", "P3"], "response": ["PR", "SD", "PD"]})
    >>> levels = pd.DataFrame(
    ...     {
    ...         "patient": ["P1", "P2"],
    ...         "timepoint": "baseline",
    ...         "sample": ["a", "b"],
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [5.0, 3.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> cohort = bm.build_cohort(levels=[levels], clinical=clinical)
    >>> cohort.shape, cohort.obs["response"].tolist()
    ((2, 1), ['PR', 'SD'])
    """
    columns = ColumnMap() if columns is None else columns
    if isinstance(clinical, Patients):
        found = clinical
    else:
        found = read_patients(
            clinical,
            columns=columns,
            visits=visits,
            lesions=lesions,
            rules=rules,
            immune=immune,
            response_from=response_from,
            new_therapy_rule=new_therapy_rule,
        )
    notes = list(found.notes)
    baseline = timepoint_word(baseline, renames=columns.timepoints)
    lookup = _samples(samples, found, columns, notes, baseline)
    rows = gather(scores, levels)
    matched = match(
        rows,
        patients=found.table.index,
        lookup=lookup,
        default_timepoint=columns.default_timepoint,
        renames=dict(columns.timepoints),
    )
    notes += matched.notes
    _refuse_no_baseline(matched.rows, baseline)
    _check_days(matched.rows, found, baseline)
    limited, limits = _at_limits(matched.rows, columns, notes)
    known = [str(name) for name in rows[BIOMARKER].dropna().unique()]
    for name in columns.pooling:
        if name not in known:
            raise UsageError("a pooling rule for a biomarker that is not there", seen=name, allowed=known,
                             hint=did_you_mean(name, known))  # fmt: skip
    values = aggregate_replicates(limited[limited["value"].notna()], several=several, pooling=columns.pooling)
    merged = values[values["n_samples"] > 1]
    if len(merged):
        notes.append(f"{len(merged)} levels come from several samples by the rule {several!r}")
        notes += [f"several samples of one patient, {name}: {told}" for name, told in values.attrs["rules"].items()]
    cohort = _assemble(found.table, matched, limited, values, limits, baseline=baseline, notes=notes)
    if len(merged):
        cohort.uns["pooling"] = dict(values.attrs["rules"])
    if found.assessment is not None:
        cohort.uns[VISITS], cohort.uns[BEST] = found.assessment.visits, found.assessment.best
        cohort.uns[CONFIRM_DAYS] = float(found.assessment.rules.confirm_days)
        if len(found.contradictions):
            cohort.uns[CONTRADICTIONS] = found.contradictions
    return cohort


def _refuse_no_baseline(rows: pd.DataFrame, baseline: str) -> None:
    """Refuse a cohort nobody of whom has a baseline sample by that name: every step of its flow would be 0."""
    have = [str(point) for point in dict.fromkeys(rows[keys.TIMEPOINT])]
    if baseline not in have:
        raise UsageError(
            "no sample is of the time point that counts as baseline",
            seen=baseline,
            allowed=have,
            hint=f"Name the one that does: --rename '{have[0]}={keys.BASELINE}', or --baseline '{have[0]}'.",
        )


def _samples(
    source: Source | None, found: Patients, columns: ColumnMap, notes: list[str], baseline: str
) -> pd.DataFrame:
    sheets = [] if found.samples is None else [found.samples]
    if source is not None:
        # rows, end points and sheet are those of the clinical table
        named = columns.model_copy(update={"rows": (), "endpoints": {}, "sheet": None})
        table, where, _ = load_table(source, "sample sheet", named)
        notes += [f"{where}: {note}" for note in table_notes(table)]
        sheets.append(read_samples(table, columns=columns, where=where, notes=notes))
    for sheet in sheets:
        check_dates(sheet, first_doses(found.table), where="samples", baseline=baseline)
    return sample_lookup(sheets)


def _check_days(rows: pd.DataFrame, found: Patients, baseline: str) -> None:
    """Hold the measurements' own time points to the sample sheet's dates as well."""
    once = rows.drop_duplicates([keys.SAMPLE, keys.TIMEPOINT])[[keys.PATIENT, keys.SAMPLE, keys.TIMEPOINT, DATE, DAY]]
    check_dates(
        once.set_index(keys.SAMPLE, drop=False),
        first_doses(found.table),
        where=f"{found.where} and samples",
        baseline=baseline,
    )


def _at_limits(rows: pd.DataFrame, columns: ColumnMap, notes: list[str]) -> tuple[pd.DataFrame, dict[str, float]]:
    """Raise levels below their lower limit of quantification to it; their status says so."""
    names = [str(name) for name in rows[BIOMARKER].dropna().unique()]
    for name in columns.lloq:
        if name not in names:
            raise UsageError(
                "a lower limit for a biomarker that is not there",
                seen=name,
                allowed=names,
                hint=did_you_mean(name, names),
            )
    rows = rows.copy()
    for name, limit in columns.lloq.items():
        below = (rows[BIOMARKER] == name) & (rows["value"] < limit)
        rows.loc[below, "value"] = limit
        rows.loc[below, "status"] = _BELOW
        if below.any():
            notes.append(f"{int(below.sum())} levels of {name} below {limit:g} stand at that limit, marked censored")
    return rows, dict(columns.lloq)


def _assemble(
    patients: pd.DataFrame,
    matched: Matched,
    rows: pd.DataFrame,
    values: pd.DataFrame,
    limits: dict[str, float],
    *,
    baseline: str,
    notes: list[str],
) -> AnnData:
    from anndata import AnnData

    obs = _observations(rows, patients, baseline)
    var = _variables(rows, limits)
    shape = (len(obs), len(var))
    at = (
        obs.index.get_indexer(_names(values)),
        var.index.get_indexer(pd.Index(values[BIOMARKER], dtype=object)),
    )
    layers = {name: np.full(shape, np.nan) for name in ("value", NUMERATOR, DENOMINATOR)}
    for name, layer in layers.items():
        layer[at] = values[name].to_numpy(dtype=float)
    censored = np.zeros(shape, dtype=bool)
    censored[at] = (values["status"] == _BELOW).to_numpy()
    cohort = AnnData(X=layers.pop("value"), obs=obs, var=var, layers={keys.CENSORED: censored, **layers})
    flow = build_flow(patients, rows, values, baseline=baseline, biomarkers=list(var.index))
    cohort.uns[keys.FLOW] = flow
    cohort.uns[PATIENTS] = patients.reset_index()
    cohort.uns[UNMATCHED] = matched.unmatched
    cohort.uns[NOT_EVALUABLE] = _not_evaluable(rows)
    cohort.uns[SOURCES] = values.assign(sample_row=_names(values))[["sample_row", BIOMARKER, "samples", "n_samples"]]
    cohort.uns[NOTES] = list(notes)
    return cohort


def _names(rows: pd.DataFrame) -> pd.Index:
    return pd.Index(
        [f"{patient}|{point}" for patient, point in zip(rows[keys.PATIENT], rows[keys.TIMEPOINT], strict=True)],
        dtype=object,
    )


def _observations(rows: pd.DataFrame, patients: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """One row a patient and time point, in the clinical table's order, with the patient's clinical columns."""
    pairs = rows[[keys.PATIENT, keys.TIMEPOINT]].drop_duplicates()
    order = {str(name): i for i, name in enumerate(patients.index)}
    points = {str(name): i for i, name in enumerate(dict.fromkeys(rows[keys.TIMEPOINT]))}
    points[baseline] = -1
    pairs = pairs.assign(_p=pairs[keys.PATIENT].map(order), _t=pairs[keys.TIMEPOINT].map(points))
    pairs = pairs.sort_values(["_p", "_t"], kind="stable").drop(columns=["_p", "_t"])
    if pairs.duplicated().any() or not patients.index.is_unique:
        raise DataError("the join would multiply patients")  # cannot happen: both sides are unique by now
    clinical = patients.loc[pairs[keys.PATIENT]].reset_index(drop=True)
    obs = pd.concat([pairs.reset_index(drop=True), clinical], axis=1)
    obs.index = _names(obs)
    for name in obs.columns:
        if isinstance(obs[name].dtype, pd.BooleanDtype):
            obs[name] = obs[name].astype("Float64").astype(float)
    return obs


def _variables(rows: pd.DataFrame, limits: dict[str, float]) -> pd.DataFrame:
    known = rows[rows[BIOMARKER].notna()]
    first = known.drop_duplicates(BIOMARKER).set_index(BIOMARKER)
    var = pd.DataFrame(
        {
            name: first[name].astype(object).where(first[name].notna(), "")
            for name in ("marker", ASSAY, "score", "unit", "scale")
        }
    )
    for name, column in (("unit", known["unit"]), ("scale", known["scale"])):
        mixed = column.astype(object).groupby(known[BIOMARKER]).nunique()
        if (mixed > 1).any():
            biomarker = str(mixed.index[mixed > 1][0])
            seen = ", ".join(sorted(set(map(str, column[known[BIOMARKER] == biomarker]))))
            raise DataError(
                f"one biomarker in two {name}s", where=biomarker, seen=seen, hint="Convert one of them first."
            )
    var["lloq"] = [limits.get(str(name), np.nan) for name in var.index]
    var.index = pd.Index([str(name) for name in var.index], dtype=object)
    return var[list(keys.VAR_COLUMNS)]


def _not_evaluable(rows: pd.DataFrame) -> pd.DataFrame:
    told = rows[rows["value"].isna()]
    made = told[[keys.PATIENT, keys.TIMEPOINT, keys.SAMPLE, BIOMARKER, "status", "reason"]].reset_index(drop=True)
    return made.astype(object).where(made.notna(), "")
