"""Samples: which patient and time point each belongs to, checked against dates where there are any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from biomarkers.cohort.columns import ColumnMap, find_column
from biomarkers.cohort.dates import date_column
from biomarkers.cohort.ids import identifiers
from biomarkers.cohort.tables import ROW, numeric_column, row_names
from biomarkers.core.errors import DataError
from biomarkers.core.keys import BASELINE, ON_TREATMENT, PATIENT, SAMPLE, TIMEPOINT

DATE = "sample_date"
DAY = "sample_day"


def sample_rows(
    table: pd.DataFrame,
    *,
    patient: str,
    sample: str | None,
    timepoint: str | None,
    date: str | None,
    day: str | None,
    columns: ColumnMap,
    where: str,
) -> pd.DataFrame:
    """Rows of samples: ``patient``, ``sample``, ``timepoint``, ``sample_date``, ``sample_day`` (missing where untold).

    ``day`` counts from the first dose, which is day 1.

    Raises
    ------
    DataError
        A sample name stands twice for different patients or time points, an empty identifier, a bad date.
    """
    rows = pd.DataFrame(index=table.index)
    rows[PATIENT] = identifiers(table[patient], where=f"{where} column {patient!r}")
    rows[SAMPLE] = np.nan if sample is None else identifiers(table[sample], where=f"{where} column {sample!r}")
    rows[SAMPLE] = rows[SAMPLE].astype(object)
    rows[TIMEPOINT] = np.nan
    rows[TIMEPOINT] = rows[TIMEPOINT].astype(object)
    if timepoint is not None:
        rows[TIMEPOINT] = timepoint_words(table[timepoint], renames=columns.timepoints)
    rows[DATE] = (
        pd.Series(pd.NaT, index=table.index, dtype="datetime64[ns]")
        if date is None
        else date_column(table, date, where=where, order=columns.date_order)
    )
    rows[DAY] = np.nan if day is None else numeric_column(table, day, where=where)
    named = rows[rows[SAMPLE].notna()]
    clash = named[named[SAMPLE].duplicated(keep=False)]
    if sample is not None and len(clash):
        first = str(clash[SAMPLE].iloc[0])
        positions = [int(i) for i in np.flatnonzero((rows[SAMPLE] == first).to_numpy())]
        raise DataError("one sample stands twice", where=f"{where} {row_names(rows, positions)}", seen=first)
    return rows


def read_samples(table: pd.DataFrame, *, columns: ColumnMap, where: str, notes: list[str]) -> pd.DataFrame:
    """Read a sample sheet: a table with one row a sample that says which patient and time point it is."""
    found = {
        role: find_column(
            table, role, getattr(columns, role), where=where, notes=notes, required=role in ("patient", "sample")
        )
        for role in ("patient", "sample", "timepoint", "sample_date", "sample_day")
    }
    assert found["patient"] is not None  # both are required
    return sample_rows(
        table,
        patient=found["patient"],
        sample=found["sample"],
        timepoint=found["timepoint"],
        date=found["sample_date"],
        day=found["sample_day"],
        columns=columns,
        where=where,
    )


def timepoint_words(values: pd.Series, *, renames: Mapping[str, str]) -> pd.Series:
    """Return time points in one spelling; missing cells stay missing.

    The map's names come first; all are in lower case with underscores: ``On treatment`` is ``on_treatment``, ``C3D1``
    is ``c3d1``.
    """
    return values.map(lambda word: timepoint_word(word, renames=renames), na_action="ignore").astype(object)


def timepoint_word(word: object, *, renames: Mapping[str, str]) -> str:
    """Return one time point as the cohort spells it (see :func:`timepoint_words`).

    Examples
    --------
    >>> timepoint_word("Pre ", renames={"pre": "Baseline"})
    'baseline'
    """
    table = {_plain(old): _plain(new) for old, new in renames.items()}
    return table.get(_plain(word), _plain(word))


def check_dates(
    rows: pd.DataFrame, first_dose: Mapping[str, pd.Timestamp], *, where: str, baseline: str = BASELINE
) -> int:
    """Refuse a baseline sample taken after the first dose, and an on-treatment one taken before it.

    A sample of the day of the first dose may be baseline. Samples without a date or day are not checked. ``baseline``
    is a further time point that counts as such.

    Returns
    -------
    How many samples were checked.

    Raises
    ------
    DataError
        A label contradicts a date; the message names rows.
    """
    dose = pd.to_datetime(rows[PATIENT].map(first_dose))
    days = (
        rows[DAY].astype(float).where(rows[DAY].notna(), (pd.to_datetime(rows[DATE]) - dose).dt.days.astype(float) + 1)
    )
    late = rows[TIMEPOINT].isin([BASELINE, baseline]) & (days > 1)
    early = (rows[TIMEPOINT] == ON_TREATMENT) & (days < 1)
    for wrong, label, when in ((late, baseline, "after"), (early, "on treatment", "before")):
        if wrong.any():
            positions = [int(i) for i in np.flatnonzero(wrong.to_numpy())]
            day = int(days.iloc[positions[0]])
            raise DataError(
                f"a sample labelled {label} was taken {when} the first dose",
                where=f"{where} {row_names(rows, positions)}",
                seen=f"patient {rows[PATIENT].iloc[positions[0]]!r}, day {day}",
                allowed="baseline means before the first dose (day 1)",
                hint="Correct the label or the date.",
            )
    return int(days.notna().sum())


def sample_lookup(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One row a named sample, from all sheets that name samples; contradictions stop.

    Raises
    ------
    DataError
        Two sheets give one sample to different patients or time points.
    """
    kept = [table[table[SAMPLE].notna()] for table in tables]
    if not kept:
        return pd.DataFrame(columns=[PATIENT, SAMPLE, TIMEPOINT, DATE, DAY]).set_index(SAMPLE)
    rows = pd.concat(kept)
    for name, same in rows.groupby(SAMPLE):
        for column in (PATIENT, TIMEPOINT):
            values = same[column].dropna().unique()
            if len(values) > 1:
                raise DataError(
                    f"sample {str(name)!r} has two values of {column!r}", seen=" and ".join(map(str, values))
                )
    rows.index.name = ROW
    return rows.groupby(SAMPLE).first()


def _plain(word: object) -> str:
    return re.sub(r"[\s_-]+", "_", str(word).strip().casefold())
