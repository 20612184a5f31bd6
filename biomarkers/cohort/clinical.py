"""The clinical table -> one row a patient, with responses and end points in the package's words."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from biomarkers.cohort.columns import (
    DAYS_PER_MONTH,
    MONTHS_PER,
    ColumnMap,
    EventColumns,
    TimeUnit,
    find_column,
    own_endpoints,
)
from biomarkers.cohort.dates import date_column
from biomarkers.cohort.endpoints import TREATED
from biomarkers.cohort.ids import identifiers, look_alikes, refuse_look_alikes
from biomarkers.cohort.response import normalise_responses
from biomarkers.cohort.samples import sample_rows
from biomarkers.cohort.tables import numeric_column, require_columns, row_name, row_names
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.keys import PATIENT, RESPONSE
from biomarkers.io.columns.events import check_not_negative, read_events
from biomarkers.io.columns.levels import Reading, own_words
from biomarkers.io.columns.spread import months_per
from biomarkers.io.columns.units import check_change, check_times

FIRST_DOSE = "first_dose"
NEW_THERAPY = "new_therapy_day"
BEST_CHANGE = "best_change_percent"
_SECONDS_PER_DAY = 86_400
_UNIT_OF_NAME: dict[str, TimeUnit] = {
    "day": "days",
    "days": "days",
    "week": "weeks",
    "weeks": "weeks",
    "month": "months",
    "months": "months",
}
_YES = ("1", "true", "yes", "y", "treated")
_NO = ("0", "false", "no", "n", "untreated", "not treated")


@dataclass
class Clinical:
    """Patients (index = patient id) and, when the table has a row a sample, those rows too.

    ``samples`` is as :func:`biomarkers.cohort.samples.sample_rows` makes it, or None for a table with a row a patient.
    """

    patients: pd.DataFrame
    samples: pd.DataFrame | None
    notes: list[str] = field(default_factory=list)


def read_clinical(table: pd.DataFrame, *, columns: ColumnMap, where: str) -> Clinical:
    """Bring a clinical table into shape.

    Parameters
    ----------
    table
        One row a patient, or one row a sample with a sample or time point column; then what concerns the patient
        must be the same in each of the patient's rows.
    columns
        The user's column names.
    where
        The table's name for messages.

    Raises
    ------
    UsageError
        A column is absent or cannot be told.
    DataError
        A patient stands twice with different values, an unknown response word, a negative time, text among
        numbers, an event value without a time; the message names rows.
    """
    notes: list[str] = []
    reading = Reading()

    def find(role: str, *, required: bool = False) -> str | None:
        return find_column(table, role, getattr(columns, role), where=where, notes=notes, required=required)

    patient = find("patient", required=True)
    assert patient is not None  # it is required
    made = pd.DataFrame({PATIENT: identifiers(table[patient], where=f"{where} column {patient!r}")}, index=table.index)
    reading.say("patient", patient)
    if columns.look_alikes == "refuse":
        refuse_look_alikes(made[PATIENT], where=f"{where} column {patient!r}")
    if (change := columns.best_change) is not None:
        made[BEST_CHANGE] = numeric_column(table, change, where=where)
        check_change(made[BEST_CHANGE], change, where=where)
        reading.say("best change", f"{change}, percent, negative = shrinkage")
    used: set[str | None] = {patient, change}
    if (response := find("response")) is not None:
        words = own_words(table[response], columns.words)
        made[RESPONSE] = normalise_responses(words, where=f"{where} column {response!r}")
        reading.say("response", response + "".join(f", {a} -> {b or 'missing'}" for a, b in columns.words.items()))
    if (treated := find("treated")) is not None:
        made[TREATED] = _yes_no(table, treated, where)
    if (first_dose := find("first_dose")) is not None:
        made[FIRST_DOSE] = date_column(table, first_dose, where=where, order=columns.date_order)
    if (new_therapy := find("new_therapy")) is not None:
        made[NEW_THERAPY] = _new_therapy(table, new_therapy, columns, made.get(FIRST_DOSE), where)
    used |= {response, treated, first_dose, new_therapy}
    for name, event in {**_own_endpoints(table, columns, where, notes), **columns.endpoints}.items():
        stated = name in columns.endpoints
        months, happened = event_columns(table, event, where=where, name=name, stated=stated, notes=notes)
        made[f"{name}_months"], made[f"{name}_event"] = months, happened
        used |= {event.time, event.event}
        when = " or ".join(event.event_when)
        reading.say(name, f"{event.time} in {event.unit or event.unit_from}, {event.event} {when} = it happened")
    sample, timepoint, date, day = (find(role) for role in ("sample", "timepoint", "sample_date", "sample_day"))
    samples = None
    if sample is not None or timepoint is not None:
        samples = sample_rows(
            table, patient=patient, sample=sample, timepoint=timepoint, date=date, day=day, columns=columns, where=where
        )
        used |= {sample, timepoint, date, day}
    require_columns(table, columns.strata, where=where)
    for name in table.columns:
        if name not in used:
            made[str(name) if name not in made else f"{name} (table)"] = table[name]
    patients = _one_row_a_patient(made, where=where, several=samples is not None, notes=notes)
    return Clinical(patients, samples, [*notes, reading.paragraph().rstrip(".")])


def event_columns(
    table: pd.DataFrame,
    event: EventColumns,
    *,
    where: str,
    name: str = "",
    stated: bool = True,
    notes: list[str] | None = None,
) -> tuple[pd.Series, pd.Series]:
    """Return the times of one end point in months and whether the event happened (missing where there is no time).

    Raises
    ------
    DataError
        A negative time, a date, text among numbers, an event without a time or a time without an event cell, a median
        time that no trial has although the column's name says the unit.
    UsageError
        No cell has one of the values that mean "it happened" although other values occur, or it is not said which
        of several other values mean censored.
    """
    require_columns(table, [event.time, event.event], where=where)
    cells, unit = table[event.time], event.unit
    if cells.dtype.kind == "m":
        table = table.assign(**{event.time: cells.dt.total_seconds() / _SECONDS_PER_DAY})
        unit = "days"
    numbers = numeric_column(table, event.time, where=where)
    check_not_negative(numbers, event.time, where=where)
    doubt = check_times(numbers, event.time, unit, where=where, stated=stated, endpoint=name)
    if doubt and notes is not None:
        notes.append(f"{where}: {doubt}")
    months = numbers * (MONTHS_PER[unit] if unit is not None else months_per(table, event, where))
    happened = read_events(
        table[event.event], event.event, where=where, event_when=event.event_when, censored_when=event.censored_when
    )
    lone = np.flatnonzero((happened.isna() != months.isna()).to_numpy())
    if len(lone):
        raise DataError(
            f"time {event.time!r} and event {event.event!r} must stand together or both be empty",
            where=f"{where} {row_names(table, [int(i) for i in lone])}",
        )
    return months, happened.map({1.0: True, 0.0: False}).astype("boolean")


def _new_therapy(
    table: pd.DataFrame, column: str, columns: ColumnMap, first_dose: pd.Series | None, where: str
) -> pd.Series:
    """Day since the start of treatment on which another treatment of the tumour began; missing where none did."""
    cells = table[column].dropna()
    if table[column].dtype.kind != "M" and pd.to_numeric(cells, errors="coerce").notna().all():
        unit = columns.new_therapy_unit or _unit_of_name(column)
        if unit is None:
            raise UsageError(
                f"the unit of {column!r} was not said",
                where=where,
                hint="Write --new-therapy COLUMN:days (weeks, months, years), or new_therapy_unit in the column map.",
            )
        days = numeric_column(table, column, where=where) * MONTHS_PER[unit] * DAYS_PER_MONTH
    else:
        when = date_column(table, column, where=where, order=columns.date_order)
        start = pd.Series(pd.NaT, index=table.index) if first_dose is None else pd.to_datetime(first_dose)
        lone = [int(i) for i in np.flatnonzero((when.notna() & start.isna()).to_numpy())]
        if lone:
            raise DataError(
                "the day of a new therapy cannot be counted",
                where=f"{where} {row_names(table, lone)}",
                hint="A date needs its patient's date of first dose (--first-dose).",
            )
        days = (when - start).dt.days.astype(float)
    early = [int(i) for i in np.flatnonzero((days < 0).to_numpy())]
    if early:
        raise DataError(
            f"column {column!r}: a new therapy began before the first dose",
            where=f"{where} {row_names(table, early)}",
            seen=f"day {float(days.iloc[early[0]]):g}",
            hint="Earlier treatments do not belong here: leave the cell empty.",
        )
    return days.round(6)


def _unit_of_name(column: str) -> TimeUnit | None:
    for ending, unit in _UNIT_OF_NAME.items():
        if column.strip().casefold().endswith(ending):
            return unit
    return None


def _own_endpoints(table: pd.DataFrame, columns: ColumnMap, where: str, notes: list[str]) -> dict[str, EventColumns]:
    """End points in the package's own spelling that the map does not speak of; their events must be 0 and 1.

    Other programs write 1 for censored, or 1 and 2: a name does not tell which, so those are refused.
    """
    said = {column for event in columns.endpoints.values() for column in (event.time, event.event)}
    found = {
        name: event
        for name, event in own_endpoints(map(str, table.columns)).items()
        if name not in columns.endpoints and not said & {event.time, event.event}
    }
    for name, event in found.items():
        values = sorted(set(table[event.event].map(_word, na_action="ignore").dropna()))
        if not set(values) <= {"0", "1", "true", "false"}:
            raise UsageError(
                f"it is not said which value of {event.event!r} means that the event happened",
                where=where,
                seen=", ".join(values[:6]),
                allowed="0 and 1 (1: it happened), or a stated polarity",
                hint=f"State it, e.g. --endpoint {name}={event.time}:{event.event}:{values[-1]}:months when "
                f"{values[-1]!r} is the event and months are the unit.",
            )
        notes.append(f"{where}: {event.event} = 1 counts as an event of {name.upper()}, {event.time} in months")
    return found


def _word(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | float | np.number) and float(value).is_integer():
        return str(int(value))
    return str(value).strip().lower()


def _yes_no(table: pd.DataFrame, column: str, where: str) -> pd.Series:
    words = table[column].map(_word, na_action="ignore")
    bad = np.flatnonzero((~words.isin([*_YES, *_NO])).to_numpy())
    if len(bad):
        raise DataError(
            f"column {column!r} must say yes or no",
            where=f"{where} {row_names(table, [int(i) for i in bad])}",
            seen=str(table[column].iloc[bad[0]]),
            allowed=(*_YES, *_NO),
        )
    return words.isin(_YES).astype(bool)


def _one_row_a_patient(made: pd.DataFrame, *, where: str, several: bool, notes: list[str]) -> pd.DataFrame:
    """Refuse a patient with two different rows; identical ones are one.

    In a table with a row a sample, an empty cell takes the value of the patient's other rows, and columns that differ
    describe samples and are left out, response and end points excepted: those must agree.
    """
    if made[PATIENT].duplicated().any():
        differing = _differing(made, several=several)
        fixed = [name for name in differing if not several or _concerns_patient(name)]
        if fixed:
            _refuse_conflict(made, fixed[0], where)
        made = made.drop(columns=differing)
        if differing:
            notes.append(f"{where}: differ between samples of one patient and are left out: {', '.join(differing)}")
        elif not several:
            notes.append(f"{where}: {int(made[PATIENT].duplicated().sum())} identical repeated rows were left out")
        made = made.groupby(PATIENT, sort=False).first().reset_index()
    patients = made.set_index(PATIENT)
    patients.index = pd.Index([str(name) for name in patients.index], name=PATIENT, dtype=object)
    if alike := look_alikes(patients.index):
        notes.append(f"{where}: {alike}")
    return patients


def _concerns_patient(name: str) -> bool:
    return name in (RESPONSE, TREATED, FIRST_DOSE, NEW_THERAPY) or name.endswith(("_months", "_event"))


def _differing(made: pd.DataFrame, *, several: bool) -> list[str]:
    """Columns in which one patient has two values; an empty cell is a value of its own in a row-a-patient table."""
    rows = made[made[PATIENT].duplicated(keep=False)]
    others = [name for name in rows.columns if name != PATIENT]
    text = rows[others].astype(object).map(str).where(rows[others].notna(), np.nan if several else "(empty)")
    counts = text.groupby(rows[PATIENT], sort=False).nunique()
    return [str(name) for name in others if (counts[name] > 1).any()]


def _refuse_conflict(made: pd.DataFrame, column: str, where: str) -> None:
    words = made[column].astype(object).map(str).where(made[column].notna(), "(empty)")
    first_seen: dict[str, int] = {}
    for i, (patient, word) in enumerate(zip(made[PATIENT], words, strict=True)):
        first = first_seen.setdefault(str(patient), i)
        if words.iloc[first] != word:
            raise DataError(
                f"patient {str(patient)!r} stands twice with different values of {column!r}",
                where=f"{where} {row_name(made, first)} and {row_name(made, i)}",
                seen=f"{words.iloc[first]} and {word}",
                hint="Keep one row a patient, or name the sample or time point column if there is a row a sample.",
            )
