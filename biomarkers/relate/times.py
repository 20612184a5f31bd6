"""Times and events of the patients, in the unit and with the polarity that are stated."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from biomarkers.cohort.columns import DAYS_PER_MONTH, MONTHS_PER
from biomarkers.cohort.tables import numeric_column, row_names
from biomarkers.core.errors import DataError
from biomarkers.io.columns.events import check_not_negative, read_events
from biomarkers.io.columns.units import check_times, unit_of_time
from biomarkers.relate.inputs import AnalysedPatients

_SECONDS_PER_DAY = 86_400


def times(
    patients: AnalysedPatients, column: str, *, unit: str | None = None, endpoint: str = ""
) -> tuple[pd.Series, str]:
    """Return times of a column, each 0 or more or missing, and their unit; empty where nobody says it.

    Durations, and times whose ``unit`` is stated, are in months; a unit that the column's name says is kept as it is.

    Raises
    ------
    DataError
        A negative time, a date, text, or a median time that no trial has.
    """
    table, where = patients.table, patients.where
    cells = table[column]
    if cells.dtype.kind == "m":
        table = table.assign(**{column: cells.dt.total_seconds() / _SECONDS_PER_DAY})
        note = f"{column} holds durations: read in months of {DAYS_PER_MONTH:g} days"
        if note not in patients.notes:
            patients.notes.append(note)
        unit = "days"
    elif cells.dtype.kind == "M":
        raise DataError(
            f"column {column!r} holds dates, not times",
            where=f"{where} column {column!r} {row_names(table, [0])}",
            seen=str(cells.iloc[0]),
            hint="Write the time from the start to that date, in days or months.",
        )
    values = numeric_column(table, column, where=where)
    check_not_negative(values, column, where=where)
    told = unit or unit_of_time(column) or ""
    doubt = check_times(values, column, told or None, where=where, stated=unit is not None, endpoint=endpoint)
    if doubt and doubt not in patients.notes:
        patients.notes.append(doubt)
    if unit is None:
        how = f"{told} by its name" if told else "its unit is not stated and moves no rank"
        patients.reading.say(f"time of {endpoint or column}", f"{column}, {how}")
        return values, told
    how = "months" if unit == "months" else f"{unit}, turned into months of {DAYS_PER_MONTH:g} days"
    patients.reading.say(f"time of {endpoint or column}", f"{column}, {how}")
    return values * MONTHS_PER[unit], "months"


def events(
    patients: AnalysedPatients,
    column: str,
    *,
    polarity: tuple[Sequence[str], Sequence[str]] = ((), ()),
    endpoint: str = "",
) -> pd.Series:
    """Return events of a column, each 1, 0 or missing (see :func:`biomarkers.io.columns.events.read_events`)."""
    happened, censored = polarity
    found = read_events(
        patients.table[column], column, where=patients.where, event_when=happened, censored_when=censored
    )
    when = " or ".join(happened) if happened else "1"
    patients.reading.say(f"event of {endpoint or column}", f"{column}, {when} = it happened")
    return found
