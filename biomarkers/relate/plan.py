"""What was fixed before anyone looked: a plan in TOML, its hash, and the label of what was not in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from biomarkers.core.config import Settings, parse
from biomarkers.core.errors import UsageError
from biomarkers.core.files import read_toml

if TYPE_CHECKING:
    import pandas as pd


class Plan(Settings):
    """A frozen analysis plan. ``sha256`` is that of the file, to be printed with every result.

    ``levels`` are the markers (one declared family), the first of ``endpoints`` is the primary one, ``filters`` the
    rows that count (``"site=A"``). What a plan leaves out has the default of :func:`biomarkers.relate`; a plan without
    ``response`` means the first column of the table that holds responses.
    """

    margin: Annotated[float, Field(gt=0, lt=0.5)]
    levels: tuple[str, ...]
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    endpoints: tuple[str, ...] = ("orr",)
    responders: tuple[str, ...] = ("CR", "PR")
    non_responders: tuple[str, ...] | None = None
    not_evaluable: Literal["exclude", "nonresponder"] = "exclude"
    benefit_months: Annotated[float, Field(gt=0)] = 6.0
    strata: tuple[str, ...] = ()
    cutoffs: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    lloq: Mapping[str, float] = Field(default_factory=dict)
    response: str | None = None
    censored: Mapping[str, str] = Field(default_factory=dict)
    filters: tuple[str, ...] = ()
    sha256: str = ""

    def hold(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is in force: the plan's values.

        Parameters
        ----------
        given
            What the call says; None where it says nothing.

        Raises
        ------
        UsageError
            The call says something else than the plan.
        """
        held = {}
        for name, value in given.items():
            planned = getattr(self, name)
            if value is not None and _plain(value) != _plain(planned):
                raise UsageError(f"{name} contradicts the plan", seen=value, allowed=planned)
            held[name] = planned
        return held

    def merged(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plan's values by level with those of the call added for levels that the plan does not hold.

        Raises
        ------
        UsageError
            The call gives a planned level another value.
        """
        planned = getattr(self, name)
        for level, value in given.items():
            if level in planned and _plain(planned[level]) != _plain(value):
                raise UsageError(f"{name} of {level!r} contradict the plan", seen=value, allowed=planned[level])
            if level not in planned and level in self.levels:
                raise UsageError(f"{name} of {level!r} are not in the plan", seen=value, allowed="none for this level")
        return {**planned, **given}

    def family_of(self, asked: Sequence[str], table: Any) -> list[str]:
        """Return the levels to test: those asked for, and the rest of the planned family, which stays whole.

        Raises
        ------
        UsageError
            The table has no column of a planned level.
        """
        present = set(map(str, table.columns if hasattr(table, "columns") else table.var_names))
        absent = [name for name in self.levels if name not in present]
        if absent:
            raise UsageError(
                "a level of the plan is not in the table",
                seen=", ".join(absent),
                hint="The planned family stays whole: add an empty column for a level that was not measured.",
            )
        return [*asked, *(name for name in self.levels if name not in asked)]

    def departures(
        self, *, response: str | None, censored: Mapping[str, str], filters: Sequence[str], table: pd.DataFrame
    ) -> list[str]:
        """List, in words, what the call does and the plan does not hold, whichever marker and end point it is about."""
        found = []
        planned = self.response or _first_responses(table)
        if response is not None and planned is not None and response != planned:
            found.append(f"response column {response!r} where the plan has {planned!r}")
        flags = {level: flag for level, flag in censored.items() if level in self.levels}  # others are not planned
        if flags != dict(self.censored):
            found.append(f"censoring flags {_pairs(flags)} where the plan has {_pairs(self.censored)}")
        if sorted(filters) != sorted(self.filters):
            planned_rows = ", ".join(self.filters) or "all rows"
            found.append(f"rows chosen by {', '.join(filters) or 'nothing'} where the plan has {planned_rows}")
        return found

    def marked(self, verdicts: pd.DataFrame, departures: Sequence[str] = ()) -> pd.Series:
        """Return the reasons, with what the plan does not hold labelled exploratory."""
        if departures:
            return f"exploratory, not as planned ({'; '.join(departures)}): " + verdicts["reason"]
        planned = verdicts["biomarker"].isin(self.levels) & verdicts["endpoint"].isin(self.endpoints)
        return verdicts["reason"].where(planned, "exploratory, not in the plan: " + verdicts["reason"])

    def told(self, levels: Sequence[str], endpoints: Sequence[str], departures: Sequence[str] = ()) -> list[str]:
        """List what a reader must know: the hash, departures, and what was planned but is not here."""
        notes = [f"plan {self.sha256[:16]}; what is not in it is labelled exploratory"]
        notes += [f"not as planned: {departure}" for departure in departures]
        absent = [name for name in self.levels if name not in levels]
        if absent:
            whole = f"the planned family of {len(self.levels)} stays whole, p is adjusted over all of it"
            notes.append(f"planned but not analysed: {', '.join(absent)} ({whole})")
        gone = [name for name in self.endpoints if name not in endpoints]
        return notes + ([f"planned but not analysed: {', '.join(gone)}"] if gone else [])


def _plain(value: Any) -> Any:
    """Make values comparable however they were written: one number and a list of it are the same."""
    if value is None or isinstance(value, str | int | float):
        return (value,) if value is not None else None
    return tuple(value)


def _pairs(flags: Mapping[str, str]) -> str:
    return ", ".join(f"{level}={flag}" for level, flag in flags.items()) or "none"


def _first_responses(table: pd.DataFrame) -> str | None:
    """Name the first column of a table all of whose cells are RECIST words, two of them at least."""
    words = {"CR", "PR", "SD", "PD", "NE"}
    for name in table.columns:
        if table[name].dtype.kind not in "OSU" and str(table[name].dtype) not in ("string", "category"):
            continue
        seen = {str(cell).strip().upper() for cell in table[name].dropna()}
        if len(seen) > 1 and seen <= words:
            return str(name)
    return None


def load_plan(path: str | Path) -> Plan:
    r"""Load a plan from a TOML file.

    Raises
    ------
    UsageError
        The file is absent, is not TOML, or has unknown keys or values out of range.

    Examples
    --------
    >>> from pathlib import Path
    >>> import biomarkers as bm
    >>> written = Path("plan.toml").write_text('levels = ["CD274"]\nmargin = 0.15\n')
    >>> bm.load_plan("plan.toml").margin
    0.15
    """
    file = Path(path)
    values = read_toml(file)
    if "sha256" in values:
        raise UsageError("a plan does not state its own hash", where=file)
    return parse(Plan, {**values, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}, where=str(file))
