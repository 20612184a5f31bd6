"""What was fixed before anyone looked: a plan in TOML, its hash, and the label of what was not in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from biomarkers.config import Settings, parse
from biomarkers.errors import UsageError
from biomarkers.files import read_toml

if TYPE_CHECKING:
    import pandas as pd


class Plan(Settings):
    """A frozen analysis plan. ``sha256`` is that of the file, to be printed with every result."""

    margin: Annotated[float, Field(gt=0, lt=0.5)]
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    levels: tuple[str, ...]
    endpoints: tuple[str, ...] = ("orr",)
    responders: tuple[str, ...] = ("CR", "PR")
    cutoffs: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    sha256: str = ""

    def hold(self, given: Mapping[str, tuple[Any, Any]]) -> None:
        """Refuse a call that says something else than the plan; each value comes with its default.

        Raises
        ------
        UsageError
            It does.
        """
        for name, (value, default) in given.items():
            planned = getattr(self, name)
            if value not in (default, planned):
                raise UsageError(f"{name} contradicts the plan", seen=value, allowed=planned)

    def marked(self, verdicts: pd.DataFrame) -> pd.Series:
        """Return the reasons, with what the plan does not hold labelled exploratory."""
        planned = verdicts["biomarker"].isin(self.levels) & verdicts["endpoint"].isin(self.endpoints)
        return verdicts["reason"].where(planned, "exploratory, not in the plan: " + verdicts["reason"])


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
