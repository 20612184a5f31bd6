"""The slides of a run as a list: what each says, and how much its score is in doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from biomarkers.core import keys
from biomarkers.core.finished import numbers, read_output

if TYPE_CHECKING:
    import pandas as pd

# of the reasons that contradictions and jumping scores give (biomarkers.score.contradictions)
_CONTRADICTING: Final = ("look at the overlay", "were called positive", "it is the cut's doing")
_SHOWN: Final = (
    "slide",
    keys.PATIENT,
    keys.TIMEPOINT,
    "status",
    "reason",
    "n_cells",
    "assay",
    "marker",
    "cut_od",
    "source",
)


@dataclass(frozen=True)
class CohortList:
    """Rows of ``slides.csv`` and ``scores.csv`` as they are shown; slides are known by their number in ``slides``."""

    slides: list[dict[str, Any]]
    scores: pd.DataFrame

    def scores_of(self, slide: str) -> list[dict[str, Any]]:
        """Scores of the whole slide, each with its interval, or why there is none."""
        own = self.scores[(self.scores["slide"] == slide) & (self.scores["region"] == "all")]
        names = ["marker", "score", "value", "unit", "ci_low", "ci_high", "status", "reason"]
        return [{str(name): _plain(value) for name, value in row.items()} for row in own[names].to_dict("records")]


def read_list(run: Path) -> CohortList:
    """Read a run's tables, in the order of doubt: contradictions first, then by how far the score moves with its cut.

    Raises
    ------
    UsageError
        The folder holds no scored slides.
    DataError
        A table was changed so that it cannot be read.
    """
    slides = read_output(run / "slides.csv", columns=("slide", "status", "reason"))
    scores = read_output(run / "scores.csv", columns=keys.SCORE_COLUMNS)
    for name in ("value", "ci_low", "ci_high", "numerator", "denominator"):
        scores[name] = numbers(scores, name, where=run / "scores.csv")
    for name in ("sensitivity_low", "sensitivity_high"):
        slides[name] = numbers(slides, name, where=run / "slides.csv") if name in slides else math.nan
    units = dict(zip(scores["score"], scores["unit"], strict=True))
    rows = [_row(row, units) for row in slides.to_dict("records")]
    rows.sort(key=lambda row: (-row["rank"], -row["doubt"], row["slide"]))
    return CohortList(rows, scores)


def doubt_of(row: Mapping[Any, Any], *, unit: str) -> float:
    """How far the first score moves while the 1+ cut moves by a quarter either way: points of a percentage, else %.

    Examples
    --------
    >>> doubt_of({"sensitivity_low": 28.0, "sensitivity_high": 31.5}, unit="%")
    3.5
    >>> doubt_of({"sensitivity_low": 80.0, "sensitivity_high": 100.0}, unit="cells/mm2")
    20.0
    """
    low, high = float(row["sensitivity_low"]), float(row["sensitivity_high"])
    if math.isnan(low) or math.isnan(high):
        return 0.0
    if unit == "%":
        return high - low
    return 100.0 * (high - low) / high if high > 0 else 0.0


def _row(row: Mapping[Any, Any], units: Mapping[str, str]) -> dict[str, Any]:
    reason, status = str(row["reason"]), str(row["status"])
    scored = status in (keys.OK, keys.OK_WITH_WARNINGS)
    rank = 2 if any(word in reason for word in _CONTRADICTING) else 1 if scored else 0
    doubt = doubt_of(row, unit=units.get(str(row.get("sensitivity_score", "")), ""))
    shown = {name: _plain(row[name]) for name in _SHOWN if name in row}
    return {**shown, "rank": rank, "doubt": round(doubt, 3), "contradiction": rank == 2}


def _plain(value: Any) -> Any:
    """Return what JSON knows; a missing number is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
