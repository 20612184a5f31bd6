"""Columns that are found by their usual names when the column map does not say, never by a silent guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from biomarkers.core.errors import UsageError
from biomarkers.core.keys import PATIENT_NAMES, RESPONSE, SAMPLE, TIMEPOINT
from biomarkers.io.columns.model import (
    DAYS_PER_MONTH,
    MONTHS_PER,
    ColumnMap,
    EventColumns,
    TimeUnit,
    VisitColumns,
    load_column_map,
)

if TYPE_CHECKING:
    import pandas as pd

# names under which a column is found when the map does not say; it is found only when exactly one of them is there
_USUAL: Mapping[str, tuple[str, ...]] = {
    "patient": PATIENT_NAMES,
    "response": (
        RESPONSE,
        "best_overall_response",
        "best_response",
        "best_confirmed_overall_response",
        "confirmed_best_overall_response",
        "bor",
        "recist",
    ),
    "sample": (SAMPLE, "sample_id", "sampleid", "slide"),
    "timepoint": (TIMEPOINT, "time_point", "visit"),
    "treated": ("treated",),
    "first_dose": ("first_dose", "first_dose_date"),
    "sample_date": ("sample_date", "biopsy_date", "collection_date"),
    "sample_day": ("sample_day", "biopsy_day"),
    "new_therapy": (
        "new_therapy_day",
        "new_therapy_date",
        "new_therapy_start",
        "new_therapy_months",
        "subsequent_therapy_day",
        "subsequent_therapy_date",
        "subsequent_therapy_start",
    ),
}


def find_column(
    table: pd.DataFrame, role: str, given: str | None, *, where: str, notes: list[str], required: bool = False
) -> str | None:
    """Name the column that plays a role: the map's, else the one usual name that is there.

    Parameters
    ----------
    table
        The user's table.
    role
        A field of :class:`ColumnMap`.
    given
        What the map says, if anything.
    where
        The table's name.
    notes
        A line is added when the column was found by its usual name.
    required
        Raise when there is none.

    Raises
    ------
    UsageError
        The given column is absent, several usual names are there, or none is and one is needed.
    """
    from biomarkers.cohort.tables import require_columns

    if given is not None:
        require_columns(table, [given], where=where)
        return given
    found = [str(name) for name in table.columns if _plain(str(name)) in _USUAL[role]]
    exact = [name for name in found if name == _USUAL[role][0]]
    if exact or len(found) == 1:
        name = exact[0] if exact else found[0]
        if name != _USUAL[role][0]:
            notes.append(f"{where}: column {name!r} is taken as {role}")
        return name
    if found:
        raise UsageError(
            f"several columns could be the {role}", where=where, seen=", ".join(found), hint=f"Name one with --{role}."
        )
    if required:
        raise UsageError(
            f"no column for the {role} was named",
            where=where,
            allowed=[str(name) for name in table.columns],
            hint=f"Name it with --{role.replace('_', '-')} COLUMN, or in the column map.",
        )
    return None


def own_endpoints(columns: Iterable[str]) -> dict[str, EventColumns]:
    """Find end points in the package's own spelling: ``<name>_months`` beside ``<name>_event`` (1 = it happened)."""
    names = set(columns)
    return {
        name.removesuffix("_months"): EventColumns(
            time=name, event=f"{name.removesuffix('_months')}_event", event_when=("1", "true"), unit="months"
        )
        for name in sorted(names)
        if name.endswith("_months") and f"{name.removesuffix('_months')}_event" in names
    }


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace(".", "_").replace("-", "_")


def identifier_columns(columns: ColumnMap) -> tuple[str, ...]:
    """Columns that must be read letter for letter: the map's, or the usual names of identifiers and time points."""
    given = (columns.patient, columns.sample, columns.timepoint)
    usual = {name for role in ("patient", "sample", "timepoint") for name in _USUAL[role]}
    spelled = {form for name in usual for form in (name, name.upper(), name.title(), name.title().replace("_", ""))}
    return (*(name for name in given if name is not None), *sorted(spelled))


__all__ = [
    "DAYS_PER_MONTH",
    "MONTHS_PER",
    "ColumnMap",
    "EventColumns",
    "TimeUnit",
    "VisitColumns",
    "find_column",
    "identifier_columns",
    "load_column_map",
    "own_endpoints",
]
