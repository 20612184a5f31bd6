"""What was fixed before anyone looked: a plan in TOML, its hash, and the label of what was not in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from biomarkers.config import Settings, parse
from biomarkers.errors import UsageError
from biomarkers.files import read_toml

if TYPE_CHECKING:
    import pandas as pd


class Plan(Settings):
    """A frozen analysis plan. ``sha256`` is that of the file, to be printed with every result.

    ``levels`` are the markers (one declared family), the first of ``endpoints`` is the primary one. What a plan leaves
    out has the default of :func:`biomarkers.relate`.
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
    sha256: str = ""

    def hold(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is in force: the plan's values.

        Parameters
        ----------
        given
            What the call says.
        defaults
            What the call says when it says nothing.

        Raises
        ------
        UsageError
            The call says something else than the plan.
        """
        held = {}
        for name, value in given.items():
            planned = getattr(self, name)
            if _plain(value) not in (_plain(defaults[name]), _plain(planned)):
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

    def marked(self, verdicts: pd.DataFrame) -> pd.Series:
        """Return the reasons, with what the plan does not hold labelled exploratory."""
        planned = verdicts["biomarker"].isin(self.levels) & verdicts["endpoint"].isin(self.endpoints)
        return verdicts["reason"].where(planned, "exploratory, not in the plan: " + verdicts["reason"])

    def told(self, levels: Sequence[str], endpoints: Sequence[str]) -> list[str]:
        """List what a reader must know: the hash, and what was planned but is not here."""
        notes = [f"plan {self.sha256[:16]}; what is not in it is labelled exploratory"]
        absent = [name for name in self.levels if name not in levels]
        absent += [name for name in self.endpoints if name not in endpoints]
        return notes + ([f"planned but not analysed: {', '.join(absent)}"] if absent else [])


def _plain(value: Any) -> Any:
    """Make values comparable however they were written: one number and a list of it are the same."""
    if value is None or isinstance(value, str | int | float):
        return (value,) if value is not None else None
    return tuple(value)


def load_plan(path: str | Path) -> Plan:
    """Load a plan from a TOML file.

    Raises
    ------
    UsageError
        The file is absent, is not TOML, or has unknown keys or values out of range.
    """
    file = Path(path)
    values = read_toml(file)
    if "sha256" in values:
        raise UsageError("a plan does not state its own hash", where=file)
    return parse(Plan, {**values, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}, where=str(file))
