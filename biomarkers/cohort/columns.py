"""Which column of the user's table is what: a small map in TOML or options, never a silent guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from biomarkers.core.config import Settings, parse
from biomarkers.core.errors import UsageError
from biomarkers.core.files import read_toml
from biomarkers.core.keys import BASELINE, PATIENT_NAMES, RESPONSE, SAMPLE, TIMEPOINT

if TYPE_CHECKING:
    import pandas as pd

TimeUnit = Literal["days", "weeks", "months", "years"]
DAYS_PER_MONTH = 30.4375
MONTHS_PER: Mapping[str, float] = {
    "days": 1 / DAYS_PER_MONTH,
    "weeks": 7 / DAYS_PER_MONTH,
    "months": 1.0,
    "years": 12.0,
}

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


class EventColumns(Settings):
    """One time-to-event end point in the user's words.

    ``event_when`` holds the cell values that mean "the event happened" (every other value is censored), since 1
    is death in one data set and censoring in the next; ``unit`` is the unit of the times.
    """

    time: str
    event: str
    event_when: tuple[str, ...] = Field(min_length=1)
    unit: TimeUnit


class VisitColumns(Settings):
    """Columns of a table of visits or lesions, in the user's words.

    ``time`` with its ``unit`` counts from the start of treatment, ``date`` from the clinical table's first dose. What
    is not named is found by its usual name.
    """

    patient: str | None = None
    time: str | None = None
    unit: TimeUnit | None = None
    date: str | None = None
    sum_mm: str | None = None
    new_lesion: str | None = None
    non_target: str | None = None
    all_targets: str | None = None
    targets_gone: str | None = None


class ColumnMap(Settings):
    """The user's column names.

    ``endpoints`` maps a short name (``pfs``, ``os``) to :class:`EventColumns`; ``timepoints`` renames time points
    (``{"Pre" = "baseline", "C3D1" = "on_treatment"}``); ``lloq`` gives biomarkers their lower limit of
    quantification in the unit of their levels; ``default_timepoint`` is what a sample without a time point is;
    ``visits`` names the columns of a table of tumor sums or lesions; ``new_therapy`` is the start of another treatment
    of the tumour, a date or a time since the start in ``new_therapy_unit`` (told by names that end in day or months).
    Dates stand in ISO form or are told apart by ``date_order``.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.ColumnMap(patient="ID", response="BOR", strata=("site",)).strata
    ('site',)
    """

    patient: str | None = None
    response: str | None = None
    sample: str | None = None
    timepoint: str | None = None
    treated: str | None = None
    first_dose: str | None = None
    sample_date: str | None = None
    sample_day: str | None = None
    strata: tuple[str, ...] = ()
    endpoints: Mapping[str, EventColumns] = Field(default_factory=dict)
    timepoints: Mapping[str, str] = Field(default_factory=dict)
    lloq: Mapping[str, float] = Field(default_factory=dict)
    visits: VisitColumns = Field(default_factory=VisitColumns)
    new_therapy: str | None = None
    new_therapy_unit: TimeUnit | None = None
    default_timepoint: str = BASELINE
    date_order: Literal["iso", "day_first", "month_first"] = "iso"


def load_column_map(path: str | Path) -> ColumnMap:
    """Read a column map from TOML.

    Raises
    ------
    UsageError
        The file is absent, or has an unknown key.
    """
    return parse(ColumnMap, read_toml(Path(path)), where=str(path))


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
