"""Tables of tumor sums or lesions -> the response of every visit and patient, in days since the start of treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.cohort.best_response import MISSING, Confirmation, best_responses
from biomarkers.cohort.columns import (
    DAYS_PER_MONTH,
    MONTHS_PER,
    ColumnMap,
    TimeUnit,
    VisitColumns,
    find_column,
    identifier_columns,
)
from biomarkers.cohort.dates import date_column
from biomarkers.cohort.ids import identifiers
from biomarkers.cohort.irecist import best_immune_response, immune_responses
from biomarkers.cohort.lesions import MIN_LESION_MM, sums_from_lesions
from biomarkers.cohort.recist import NON_CR_NON_PD, derive_responses
from biomarkers.cohort.tables import numeric_column, read_table, row_names, table_notes
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.keys import NE, PATIENT, SD
from biomarkers.io.columns.cells import choose_rows, refuse_rows

Source = str | Path | pd.DataFrame
# a column of one of these names says its unit itself
_TIMES: Mapping[str, TimeUnit] = {
    "day": "days",
    "days": "days",
    "week": "weeks",
    "weeks": "weeks",
    "month": "months",
    "months": "months",
}
_DATES = ("visit_date", "assessment_date", "date")
# names of the sum that say, or by the field's habit mean, millimetres
_SUMS = ("sum_mm", "sld_mm", "sum_of_diameters_mm", "tumor_sum_mm", "target_sum_mm", "sld", "sum_of_diameters")
_OPTIONAL = ("new_lesion", "non_target", "all_targets", "targets_gone")


@dataclass(frozen=True)
class Assessment:
    """Responses derived by RECIST 1.1.

    Attributes
    ----------
    visits
        As :func:`biomarkers.derive_responses` makes it, with ``immune_response`` when iRECIST was asked for.
    best
        As :func:`biomarkers.best_responses` makes it, with ``immune_response`` likewise.
    rules
        The confirmation rules in force.
    notes
        What was done to read the tables.
    """

    visits: pd.DataFrame
    best: pd.DataFrame
    rules: Confirmation
    notes: tuple[str, ...] = ()


def assess(
    visits: Source | None = None,
    *,
    lesions: Source | None = None,
    columns: ColumnMap | None = None,
    first_dose: Mapping[str, pd.Timestamp] | None = None,
    rules: Confirmation | None = None,
    immune: bool = False,
    new_therapy: Mapping[str, float] | None = None,
) -> Assessment:
    """Derive the response of every visit and the best overall response of every patient.

    Parameters
    ----------
    visits
        A table, or its path, with a row a patient and visit: sum of target diameters (mm), new lesion yes or no,
        non-target response. With ``lesions`` its sums are not read.
    lesions
        A table, or its path, with a row a target lesion and visit (see :func:`biomarkers.sums_from_lesions`).
    columns
        Column map; ``columns.visits`` names the columns of both tables. Unnamed, they are found by their usual names,
        and the time's unit by its column's: ``day``, ``week``, ``month``, or a date counted from the first dose.
    first_dose
        Date of each patient's first dose, for tables with dates.
    rules
        Confirmation rules; by default 28 days.
    immune
        Derive iRECIST as well.
    new_therapy
        Day on which a patient started another treatment of the tumour: responses after it do not count, and the visits
        say so in ``after_new_therapy``.

    Raises
    ------
    UsageError
        Neither table was given, a column is absent, or the unit of time is not told.
    DataError
        The tables contradict themselves or the rules of target selection; rows are named.

    Examples
    --------
    >>> table = pd.DataFrame({"patient": ["A"] * 3, "day": [0, 56, 112], "sum_mm": [100, 60, 55]})
    >>> assess(table).best["response"].tolist()
    ['PR']
    """
    named = ColumnMap() if columns is None else columns
    doses = first_dose or {}
    notes: list[str] = []
    if visits is None and lesions is None:
        raise UsageError("neither visits nor lesions were given")
    if lesions is None:
        table, where = _load(visits, "visits", named, notes)
        chosen = _with_sum(table, _columns(table, named.visits), where, notes)
        table = _with_days(table, chosen, named, doses, where, notes)
        table = _in_mm(table, chosen, where, notes)
    else:
        table, where = _from_lesions(lesions, visits, named, doses, notes)
        chosen = _own_names(named.visits, table)
    derived = derive_responses(
        table,
        patient=PATIENT,
        day="day",
        sum_mm=chosen.sum_mm or "sum_mm",
        new_lesion=chosen.new_lesion,
        non_target=chosen.non_target,
        all_targets=chosen.all_targets,
        targets_gone=chosen.targets_gone,
        where=where,
    )
    derived = immune_responses(derived) if immune else derived
    best = best_responses(derived, rules=rules, new_therapy=new_therapy)
    counted = derived
    if new_therapy:
        start = derived[PATIENT].map(new_therapy).astype(float)
        derived = derived.assign(after_new_therapy=(derived["day"] > start).to_numpy())
        counted = derived[~derived["after_new_therapy"]]
    if immune:
        words = counted[counted["immune_response"] != ""].groupby(PATIENT, sort=False)["immune_response"].apply(list)
        best["immune_response"] = [best_immune_response(words.get(name, [])) for name in best[PATIENT]]
    return Assessment(derived, best, rules or Confirmation(), tuple(notes))


def recist_words(best: pd.DataFrame, notes: list[str]) -> pd.Series:
    """Best overall responses in the five words of a cohort (index = patient); what was put into them is noted.

    A patient without a visit after baseline is NE, and Non-CR/non-PD (no target lesions) is SD.
    """
    words = best.set_index(PATIENT)["response"]
    switched = best.set_index(PATIENT)["n_after_new_therapy"] > 0
    for old, some, new, why in (
        (MISSING, ~switched, NE, "no visit after baseline"),
        (MISSING, switched, NE, "no visit before the start of a new therapy"),
        (NON_CR_NON_PD, words.notna(), SD, "Non-CR/non-PD"),
    ):
        names = [str(name) for name in words.index[(words == old) & some]]
        if names:
            notes.append(f"{len(names)} patients with {why} count as {new}: {_first(names)}")
    return words.replace({MISSING: NE, NON_CR_NON_PD: SD})


def _own_names(columns: VisitColumns, table: pd.DataFrame) -> VisitColumns:
    """Names of the columns of a table that was put together here."""
    found = {name: name if name in table else None for name in (*_OPTIONAL, "sum_mm")}
    return columns.model_copy(update=found)


def _load(source: Source | None, name: str, columns: ColumnMap, notes: list[str]) -> tuple[pd.DataFrame, str]:
    if isinstance(source, pd.DataFrame):
        return source, name
    assert source is not None  # the caller looked
    table = read_table(source, text=identifier_columns(columns))
    notes += [f"{Path(source).name}: {note}" for note in table_notes(table)]
    return table, Path(source).name


def _columns(table: pd.DataFrame, given: VisitColumns) -> VisitColumns:
    """Fill in usual names where the map says nothing and the table has them."""
    usual = {name: name for name in (*_OPTIONAL, "sum_mm") if getattr(given, name) is None and name in table}
    return given.model_copy(update=usual)


def _with_sum(table: pd.DataFrame, given: VisitColumns, where: str, notes: list[str]) -> VisitColumns:
    """Find the sum of diameters under one of its usual names, and note that it is taken in millimetres."""
    if given.sum_mm is not None:
        return given
    found = [str(name) for name in table.columns if "_".join(str(name).casefold().split()) in _SUMS]
    if len(found) != 1:
        return given
    notes.append(f"{where}: column {found[0]!r} is taken as the sum of diameters in mm")
    return given.model_copy(update={"sum_mm": found[0]})


def _in_mm(table: pd.DataFrame, given: VisitColumns, where: str, notes: list[str]) -> pd.DataFrame:
    """Bring sums of diameters to mm, and doubt baselines that no target lesion can have in mm."""
    column = given.sum_mm or "sum_mm"
    if column not in table:
        return table  # derive_responses names the column that is absent
    if given.size_unit == "cm":
        notes.append(f"{where}: {column} in cm, turned into mm")
        return table.assign(**{column: 10 * numeric_column(table, column, where=where)})
    if given.size_unit == "mm":
        return table
    sums = numeric_column(table, column, where=where)
    baseline = (table["day"] <= 1) & (sums > 0) & (sums < MIN_LESION_MM)
    refuse_rows(
        sums, baseline.to_numpy(), f"column {column!r}: a baseline sum below {MIN_LESION_MM:g} mm, the least size of "
        "one target lesion: is it in cm?", where=f"{where} column {column!r}", allowed=f"{MIN_LESION_MM:g} mm or more",
        hint='Write size_unit = "cm" (or "mm", when it is right) under [visits] in the file of --columns.',
    )  # fmt: skip
    return table


def _with_days(
    table: pd.DataFrame,
    given: VisitColumns,
    columns: ColumnMap,
    doses: Mapping[str, pd.Timestamp],
    where: str,
    notes: list[str],
) -> pd.DataFrame:
    """Return the table with its patients and the days since the start of treatment under the package's names."""
    named = given.patient
    if named is None and columns.patient is not None and columns.patient in table:
        named = columns.patient
    patient = find_column(table, "patient", named, where=where, notes=notes, required=True)
    assert patient is not None  # it is required
    ids = identifiers(table[patient], where=f"{where} column {patient!r}")
    days = _days(table, given, columns, ids.map(doses), where)
    return table.assign(**{PATIENT: ids, "day": days})


def _days(table: pd.DataFrame, given: VisitColumns, columns: ColumnMap, doses: pd.Series, where: str) -> pd.Series:
    time, date = given.time, given.date
    if time is None and date is None:
        plain = {str(name).strip().casefold(): str(name) for name in table.columns}
        times = [name for word, name in plain.items() if word in _TIMES]
        dates = [plain[word] for word in _DATES if word in plain]
        if len(times) > 1 or (not times and len(dates) != 1):
            raise UsageError(
                "it is not clear when each visit was",
                where=where,
                seen=", ".join(map(str, table.columns)),
                allowed="one column called day, week or month, or a date beside the clinical table's first dose",
                hint="Name it with --visit-time COLUMN:UNIT, or under [visits] in the column map.",
            )
        time, date = (times[0], None) if times else (None, dates[0])
    if time is not None:
        unit = given.unit or _TIMES.get(time.strip().casefold())
        if unit is None:
            raise UsageError(
                f"the unit of {time!r} was not said", where=where, hint="Name it: --visit-time COLUMN:days."
            )
        return numeric_column(table, time, where=where) * round(MONTHS_PER[unit] * DAYS_PER_MONTH, 9)
    assert date is not None  # one of the two is known by now
    when, start = date_column(table, date, where=where, order=columns.date_order), pd.to_datetime(doses)
    lone = [int(i) for i in np.flatnonzero((when.isna() | start.isna().to_numpy()).to_numpy())]
    if lone:
        raise DataError(
            "a visit's day cannot be counted",
            where=f"{where} {row_names(table, lone)}",
            hint="Each visit needs its date, and its patient a date of first dose in the clinical table.",
        )
    return (when - start).dt.days.astype(float)


def _from_lesions(
    lesions: Source,
    visits: Source | None,
    columns: ColumnMap,
    doses: Mapping[str, pd.Timestamp],
    notes: list[str],
) -> tuple[pd.DataFrame, str]:
    """Sum lesions, and take new lesions and non-targets from a visits table when there is one."""
    table, where = _load(lesions, "lesions", columns, notes)
    given = columns.visits
    table, kept_rows = choose_rows(table, given.rows, where=where)
    notes += [f"{where}: {note}" for note in kept_rows]
    named = {"lesion": given.lesion or "lesion", "organ": given.organ or "organ", "node": given.node or "node"}
    diameter = given.diameter or "diameter_mm"
    if given.size_unit == "cm":
        table = table.assign(**{diameter: 10 * numeric_column(table, diameter, where=where)})
        notes.append(f"{where}: {diameter} in cm, turned into mm")
    sums = sums_from_lesions(
        _with_days(table, given, columns, doses, where, notes), diameter_mm=diameter, where=where, **named
    )
    if visits is None:
        notes.append(f"{where}: new lesions and non-targets are not known (no table of visits was given)")
        return sums, where
    other, name = _load(visits, "visits", columns, notes)
    chosen = _columns(other, columns.visits)
    other = _with_days(other, chosen, columns, doses, name, notes)
    kept = {getattr(chosen, word): word for word in ("new_lesion", "non_target") if getattr(chosen, word) is not None}
    if not kept:
        raise UsageError("neither new lesions nor non-targets", where=name, allowed="columns new_lesion, non_target")
    other = other[[PATIENT, "day", *kept]].rename(columns=kept)
    both = sums.merge(other, on=[PATIENT, "day"], how="outer", indicator=True)
    unmeasured = int((both["_merge"] == "right_only").sum())
    if unmeasured:
        notes.append(f"{name}: {unmeasured} visits without a target measurement")
    both["all_targets"] = both["all_targets"].astype(object).where(both["all_targets"].notna(), other=False)
    both["targets_gone"] = both["targets_gone"].astype(object).where(both["targets_gone"].notna(), other=False)
    return both.drop(columns="_merge"), f"{where} and {name}"


def _first(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
