"""The column contract as one model: role, unit, polarity, words, order and rows of a table's columns, as TOML."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from biomarkers.core.config import Settings, parse
from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.core.files import read_toml
from biomarkers.core.keys import BASELINE
from biomarkers.io.columns.cells import cell_word

if TYPE_CHECKING:
    import pandas as pd

TimeUnit = Literal["days", "weeks", "months", "years"]
LevelUnit = Literal[
    "percent", "fraction", "score_0_300", "score_0_100", "cells_per_mm2", "log2", "linear", "zscore", "rank"
]
Pooling = Literal["refuse", "pool", "mean", "max", "earliest", "latest", "area"]
DAYS_PER_MONTH = 30.4375
MONTHS_PER: Mapping[str, float] = {
    "days": 1 / DAYS_PER_MONTH,
    "weeks": 7 / DAYS_PER_MONTH,
    "months": 1.0,
    "years": 12.0,
}


def _words(value: object) -> object:
    """Take one value or several, numbers too, as the words that cells hold."""
    if value is None:
        return ()
    several = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return tuple(cell_word(one, fold=False) for one in several)


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class EventColumns(Settings):
    """One time-to-event end point in the user's words.

    ``event_when`` holds the cell values that mean "the event happened", since 1 is death in one data set and censoring
    in the next; ``censored_when`` those that mean censored (when it is left out, the one other value of the column).
    ``unit`` is the unit of the times, or ``unit_from`` the column that holds it (``AVALU``). ``rows`` chooses the rows
    of this end point in a table with a row an end point (``PARAMCD=PFS``).
    """

    time: str
    event: str
    event_when: Words = Field(min_length=1)
    censored_when: Words = ()
    unit: TimeUnit | None = None
    unit_from: str | None = None
    rows: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_unit(self) -> Self:
        if (self.unit is None) == (self.unit_from is None):
            msg = (
                "the unit of the times is needed: unit = 'days', 'weeks', 'months' or 'years', or unit_from = a column"
            )
            raise ValueError(msg)
        if set(self.event_when) & set(self.censored_when):
            msg = f"a value is both event and censored: {sorted(set(self.event_when) & set(self.censored_when))}"
            raise ValueError(msg)
        return self


class LevelColumn(Settings):
    """One level: its unit, the order of its words (lowest first), and cells that mean "no value" (``-9``, ``999``)."""

    unit: LevelUnit | None = None
    order: Words = ()
    missing: Words = ()


class VisitColumns(Settings):
    """Columns of a table of visits or lesions, in the user's words.

    ``time`` with its ``unit`` counts from the start of treatment, ``date`` from the clinical table's first dose. What
    is not named is found by its usual name. ``lesion``, ``organ``, ``diameter`` and ``node`` are those of a table of
    lesions, whose diameters (and the sums of a table of visits) are in ``size_unit``, mm unless it says cm. ``rows``
    chooses rows (``PARAMCD=LDIAM``).
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
    lesion: str | None = None
    organ: str | None = None
    diameter: str | None = None
    node: str | None = None
    size_unit: Literal["mm", "cm"] | None = None
    rows: tuple[str, ...] = ()


class ColumnMap(Settings):
    """What a table's columns mean.

    Attributes
    ----------
    patient, response, sample, timepoint, treated, first_dose, sample_date, sample_day, best_change, strata, covariates
        The columns that play these roles.
    levels
        Level columns, each a :class:`LevelColumn`.
    endpoints
        Short name (``pfs``, ``os``) -> :class:`EventColumns`.
    words
        The table's own response words -> CR, PR, SD, PD, NE or nothing (``""``: no response was recorded).
    responders, non_responders
        The words of a response column that is already yes or no.
    rows
        Rows that count: ``"ARM=Atezolizumab"``; numbers are compared as numbers.
    missing
        Cells that mean "no value" in every level.
    sheet
        Worksheet of a workbook.
    look_alikes
        What identifiers are that differ only by case, blanks, dashes, zeros or a sample suffix: ``refuse`` stops and
        names them, ``distinct`` takes them for different patients.
    timepoints
        Renames time points (``{"Pre" = "baseline", "C3D1" = "on_treatment"}``).
    default_timepoint
        What a sample without a time point is.
    lloq
        Biomarker -> lower limit of quantification in the unit of its levels.
    pooling
        Biomarker -> rule for several samples of one patient at one time point.
    visits
        Columns of a table of tumor sums or lesions.
    new_therapy, new_therapy_unit
        Start of another treatment of the tumour, a date or a time since the start in this unit.
    date_order
        How ``03/04/2024`` is read; ISO dates need nothing.
    optional
        Named columns that a table does not have are left out instead of refused: for files that fit many tables.
    title, source, recognised_by
        What this file is for, where its meaning is defined, and columns by which such a table is known.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.ColumnMap(patient="ID", response="BOR", strata=("site",)).strata
    ('site',)
    """

    title: str = ""
    source: str = ""
    recognised_by: tuple[str, ...] = ()
    optional: bool = False
    patient: str | None = None
    response: str | None = None
    sample: str | None = None
    timepoint: str | None = None
    treated: str | None = None
    first_dose: str | None = None
    sample_date: str | None = None
    sample_day: str | None = None
    best_change: str | None = None
    strata: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    levels: Mapping[str, LevelColumn] = Field(default_factory=dict)
    endpoints: Mapping[str, EventColumns] = Field(default_factory=dict)
    words: Mapping[str, str] = Field(default_factory=dict)
    responders: Words = ()
    non_responders: Words = ()
    rows: tuple[str, ...] = ()
    missing: Words = ()
    sheet: str | None = None
    look_alikes: Literal["refuse", "distinct"] = "refuse"
    timepoints: Mapping[str, str] = Field(default_factory=dict)
    lloq: Mapping[str, float] = Field(default_factory=dict)
    pooling: Mapping[str, Pooling] = Field(default_factory=dict)
    visits: VisitColumns = Field(default_factory=VisitColumns)
    new_therapy: str | None = None
    new_therapy_unit: TimeUnit | None = None
    default_timepoint: str = BASELINE
    date_order: Literal["iso", "day_first", "month_first"] = "iso"

    def level(self, name: str) -> LevelColumn:
        """Return what is said of one level, the cells that mean "no value" everywhere among it."""
        said = self.levels.get(name, LevelColumn())
        return said.model_copy(update={"missing": (*said.missing, *self.missing)})

    def fitted(self, table: pd.DataFrame) -> ColumnMap:
        """Leave out what a table does not have, where this map is ``optional``; rows that no row has too."""
        if not self.optional:
            return self
        have = {str(name) for name in table.columns}

        def there(name: str | None) -> str | None:
            return name if name is not None and name in have else None

        one = ("patient", "response", "sample", "timepoint", "treated", "first_dose", "sample_date", "sample_day",
               "best_change", "new_therapy")  # fmt: skip
        ends = {
            name: end
            for name, end in self.endpoints.items()
            if {end.time, end.event} <= have and (end.unit_from is None or end.unit_from in have)
        }
        changed: dict[str, Any] = {name: there(getattr(self, name)) for name in one}
        changed |= {name: tuple(c for c in getattr(self, name) if c in have) for name in ("strata", "covariates")}
        changed |= {"levels": {name: said for name, said in self.levels.items() if name in have}, "endpoints": ends}
        changed["rows"] = tuple(rule for rule in self.rows if rule.partition("=")[0] in have)
        return self.model_copy(update=changed)


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that ship with the package, sorted.

    Examples
    --------
    >>> "cbioportal" in profile_names()
    True
    """
    folder = files("biomarkers") / "profiles"
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def load_column_map(source: str | Path | Mapping[str, Any] | ColumnMap | None) -> ColumnMap:
    """Read a column map: a TOML file, the name of a shipped profile, a mapping, or nothing.

    Raises
    ------
    UsageError
        The file is absent, has an unknown key, or there is no such profile.

    Examples
    --------
    >>> load_column_map("adam_adtte").endpoints["pfs"].event_when
    ('0',)
    """
    if source is None:
        return ColumnMap()
    if isinstance(source, ColumnMap):
        return source
    if isinstance(source, Mapping):
        return parse(ColumnMap, source, where="columns")
    text = str(source)
    if not text.endswith(".toml") and text.casefold().replace("-", "_") in profile_names():
        path = files("biomarkers") / "profiles" / f"{text.casefold().replace('-', '_')}.toml"
        return parse(ColumnMap, read_toml(Path(str(path))), where=f"profile {text}")
    if not text.endswith(".toml") and not Path(text).is_file():
        raise UsageError(
            "no such profile or file of columns",
            seen=text,
            allowed=(*profile_names(), "a .toml file"),
            hint=did_you_mean(text, profile_names()),
        )
    return parse(ColumnMap, read_toml(Path(text)), where=text)
