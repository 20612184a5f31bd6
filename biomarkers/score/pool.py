"""Scores of several regions -> one score of the patient: counts and areas are summed, never averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from biomarkers.core import keys
from biomarkers.core.config import Assay, load_assay
from biomarkers.core.errors import DataError, did_you_mean
from biomarkers.score import formulas
from biomarkers.score.compute import WHOLE, find_score
from biomarkers.score.counts import combined_interval
from biomarkers.score.intervals import sum_interval
from biomarkers.score.registry import Score

if TYPE_CHECKING:
    import pandas as pd

# least pooled denominators where no assay is given
_MIN_CELLS = {"tps": 100, "cps": 100, "cps_uncapped": 100, "tc_percent": 50}
_ORDINAL = {"allred": formulas.allred, "irs": formulas.irs}
_NUMBERS = ("value", "ci_low", "ci_high", "numerator", "denominator")


def pool_scores(scores: pd.DataFrame, *, by: Sequence[str] | str, assay: Assay | str | None = None) -> pd.DataFrame:
    """Pool tidy score rows: numerators and denominators are summed, and the score is made anew from the sums.

    Rows whose region is ``all`` cover their slide whole; where a slide has one, its other regions are left out,
    unless ``region`` stands in ``by``. Rows without counts (cell classes unknown, no area) cannot be summed: they are
    left out and the reason says how many. A region too small to be evaluable alone still lends its counts. The Allred
    and immunoreactive scores are made from the pooled counts of ``positive_fraction`` and ``h_score`` where both are
    there.

    Parameters
    ----------
    scores
        Rows with ``keys.SCORE_COLUMNS`` and the columns of ``by``.
    by
        Columns that name one result: ``["patient", "timepoint"]``, or finer, ``["patient", "timepoint", "biopsy"]``.
    assay
        Whose least numbers of cells hold for the pooled denominators; the common ones (100 tumor cells for TPS and
        CPS, 50 for tc_percent) when None.

    Returns
    -------
    The columns of ``by``, then marker, score, value, unit, interval, counts, status, reason, and ``n_rows``: how many
    rows lent their counts.

    Raises
    ------
    DataError
        A column is missing, a group column has empty cells, or one region of a slide occurs twice.

    Examples
    --------
    Two regions of one patient, 90 of 100 and 10 of 900 tumor cells stained, are 100 of 1000 (10 %), not 45.6 %.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> scores = pd.DataFrame(
    ...     {
    ...         "slide": ["a", "b"],
    ...         "patient": "P1",
    ...         "region": "all",
    ...         "marker": "PD-L1",
    ...         "score": "tps",
    ...         "value": [10.0, 30.0],
    ...         "unit": "%",
    ...         "ci_low": [5.0, 20.0],
    ...         "ci_high": [15.0, 40.0],
    ...         "numerator": [10.0, 90.0],
    ...         "denominator": [100.0, 300.0],
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> bm.pool_scores(scores, by="patient")["value"].tolist()
    [25.0]
    """
    import pandas as pd

    by = [by] if isinstance(by, str) else list(by)
    least = _MIN_CELLS if assay is None else (load_assay(assay) if isinstance(assay, str) else assay).min_cells
    rows = _rows_to_sum(_checked(scores, by), by)
    pooled = []
    for group, table in rows.groupby([*by, "marker"], sort=True, dropna=False, observed=True):
        names = dict(zip([*by, "marker"], group, strict=True))
        sums = {str(name): _summed(part) for name, part in table.groupby("score", sort=False, observed=True)}
        pooled += [{**names, **_pooled_row(find_score(name), sums, least)} for name in sums]
    tail = ["value", "unit", "ci_low", "ci_high", "numerator", "denominator", "status", "reason", "n_rows"]
    frame = pd.DataFrame(pooled, columns=[*by, "marker", "score", *tail])
    return frame.astype(dict.fromkeys(_NUMBERS, "float64"))


def _checked(scores: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    for name in (*keys.SCORE_COLUMNS, *by):
        if name not in scores.columns:
            hint = did_you_mean(name, [str(column) for column in scores.columns])
            raise DataError(f"the score table has no column {name!r}", allowed=list(scores.columns), hint=hint)
    for name in by:
        if scores[name].isna().any():
            raise DataError("empty cells in a column to pool by", where=name, seen=int(scores[name].isna().sum()))
    same = list(dict.fromkeys([*by, "slide", "region", "marker", "score"]))
    twice = scores.duplicated(same)
    if twice.any():
        first = scores.loc[twice, same].iloc[0].to_dict()
        raise DataError("one region of a slide occurs twice", seen=first, hint="Its cells would be counted twice.")
    return scores


def _rows_to_sum(scores: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Leave out regions of slides that have a row for the whole, which holds their cells already."""
    if "region" in by:
        return scores
    whole = scores["region"] == WHOLE
    named = [*by, "slide", "marker", "score"]
    covered = scores.assign(_whole=whole).groupby(named, dropna=False, observed=True)["_whole"].transform("any")
    return scores[whole | ~covered]


def _summed(part: pd.DataFrame) -> dict[str, Any]:
    counted = part["numerator"].notna() & part["denominator"].notna()
    usable = part[counted]
    left_out = part.loc[~counted, "reason"].astype(str)
    return {
        "numerator": math.fsum(usable["numerator"]),
        "denominator": math.fsum(usable["denominator"]),
        "parts": list(usable[["numerator", "denominator", "ci_low", "ci_high"]].itertuples(index=False, name=None)),
        "n_rows": len(usable),
        "n_all": len(part),
        "left_out": sorted(set(left_out)),
        "notes": sorted({str(note) for note in usable.loc[usable["status"] == keys.OK, "reason"] if str(note)}),
    }


def _pooled_row(score: Score, sums: dict[str, Any], least: Any) -> dict[str, Any]:
    own = sums[score.name]
    numerator, denominator = own["numerator"], own["denominator"]
    problem = _problem(score, own, least)
    value, interval = math.nan, (math.nan, math.nan)
    if not problem and score.name == "urothelial_high":
        value, problem = _urothelial(sums)
    elif not problem and score.name in _ORDINAL:
        value, problem = _ordinal(score.name, sums)
    elif not problem:
        assert score.value is not None
        value = score.value(numerator, denominator)
        interval = _interval(score, sums)
    notes = list(own["notes"])
    if own["n_rows"] < own["n_all"]:
        missing = own["n_all"] - own["n_rows"]
        notes.append(f"{missing} of {own['n_all']} regions not counted: {'; '.join(own['left_out'])}")
    none = own["n_rows"] == 0
    return {
        "score": score.name,
        "value": value,
        "unit": score.unit,
        "ci_low": interval[0],
        "ci_high": interval[1],
        "numerator": math.nan if none else numerator,
        "denominator": math.nan if none else denominator,
        "status": keys.NOT_EVALUABLE if problem else keys.OK,
        "reason": problem or "; ".join(notes),
        "n_rows": own["n_rows"],
    }


def _problem(score: Score, own: dict[str, Any], least: Any) -> str:
    if own["n_rows"] == 0:
        return "; ".join(own["left_out"]) or "no counts"
    if own["denominator"] <= 0:
        return "nothing to divide by after pooling"
    needed = least.get(score.name, 0)
    if own["denominator"] < needed:
        return f"{own['denominator']:g} cells in {own['n_rows']} regions, at least {needed} needed"
    return ""


def _ordinal(name: str, sums: dict[str, Any]) -> tuple[float, str]:
    share, graded = sums.get("positive_fraction"), sums.get("h_score")
    if share is None or graded is None or share["denominator"] != graded["denominator"]:
        return math.nan, "ordinal: needs positive_fraction and h_score of the same cells to be pooled"
    return _ORDINAL[name](share["numerator"], share["denominator"], graded["numerator"]), ""


def _urothelial(sums: dict[str, Any]) -> tuple[float, str]:
    parts = [sums.get(name) for name in ("tc_percent", "icp_percent", "ic_positive_percent")]
    tc, icp, stained = (
        100 * part["numerator"] / part["denominator"] if part and part["denominator"] > 0 else None for part in parts
    )
    if tc is None:
        return math.nan, "a rule: needs tc_percent of the same cells to be pooled"
    high = formulas.urothelial_high(tc, icp or 0.0, stained or 0.0)
    if not high and icp is None:
        return math.nan, "immune cells not told apart"
    return float(high), ""


def _interval(score: Score, sums: dict[str, Any]) -> tuple[float, float]:
    own = sums[score.name]
    if score.interval is not None:
        return score.interval(own["numerator"], own["denominator"])
    if score.name in ("cps", "cps_uncapped"):
        tumor = sums.get("tps")
        if tumor is None or tumor["denominator"] != own["denominator"]:
            return math.nan, math.nan
        cap = score.high
        immune = own["numerator"] - tumor["numerator"]
        return combined_interval(tumor["numerator"], immune, own["denominator"], cap=cap)
    if score.name == "ic_percent":
        return _recovered(own)
    return math.nan, math.nan


def _recovered(own: dict[str, Any]) -> tuple[float, float]:
    """Interval of a summed area, recovered from each region's own interval."""
    areas = [(area, low * tumor / 100, high * tumor / 100) for area, tumor, low, high in own["parts"]]
    low, high = sum_interval(*areas)
    return max(0.0, 100 * low / own["denominator"]), min(100.0, 100 * high / own["denominator"])
