"""Several samples of one patient at one time point become one value, by a rule that was named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd

from biomarkers.cohort.measurements import BIOMARKER, DENOMINATOR, NUMERATOR
from biomarkers.cohort.samples import DATE, DAY
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError

Several = Literal["refuse", "pool", "mean", "max", "earliest", "latest"]
RULES: tuple[Several, ...] = ("refuse", "pool", "mean", "max", "earliest", "latest")
_KEY = [keys.PATIENT, keys.TIMEPOINT, BIOMARKER]


def one_value(rows: pd.DataFrame, *, several: Several) -> pd.DataFrame:
    """Reduce evaluable measurements to one a patient, time point and biomarker.

    Parameters
    ----------
    rows
        Measurements with a value.
    several
        ``refuse`` stops when there are two; ``pool`` sums counts and areas (sum / sum, never a mean of regions);
        ``mean`` and ``max`` take the values; ``earliest`` and ``latest`` go by the samples' dates or days.

    Returns
    -------
    Columns patient, timepoint, biomarker, value, numerator, denominator, status, samples, n_samples.

    Raises
    ------
    UsageError
        There is no such rule.
    DataError
        Two samples and no rule, counts or dates that the rule needs are absent.
    """
    if several not in RULES:
        raise UsageError("no such rule for several samples", seen=several, allowed=RULES)
    counted = rows.groupby(_KEY, sort=False)[keys.SAMPLE].transform("size") > 1
    if several == "refuse" and counted.any():
        _refuse(rows[counted])
    single = rows[~counted].assign(samples=rows[keys.SAMPLE], n_samples=1)
    reduced = [
        {**dict(zip(_KEY, key, strict=True)), **_reduce(group, several)}
        for key, group in rows[counted].groupby(_KEY, sort=False)
    ]
    columns = [*_KEY, "value", NUMERATOR, DENOMINATOR, "status", "samples", "n_samples"]
    parts = [single[columns]] + ([pd.DataFrame(reduced)[columns]] if reduced else [])
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0].reset_index(drop=True)


def _reduce(group: pd.DataFrame, several: Several) -> dict[str, Any]:
    made = {
        NUMERATOR: np.nan,
        DENOMINATOR: np.nan,
        "status": keys.OK,
        "samples": "; ".join(group[keys.SAMPLE]),
        "n_samples": len(group),
    }
    if several == "pool":
        numerator, denominator = group[NUMERATOR].sum(skipna=False), group[DENOMINATOR].sum(skipna=False)
        if np.isnan(numerator) or np.isnan(denominator):
            _refuse_pooling(group)
        value = _pooled_value(group, float(numerator), float(denominator))
        return {**made, "value": value, NUMERATOR: numerator, DENOMINATOR: denominator}
    if several in ("earliest", "latest"):
        return {**made, **_by_time(group, several)}
    return {**made, "value": group["value"].mean() if several == "mean" else group["value"].max()}


def _pooled_value(group: pd.DataFrame, numerator: float, denominator: float) -> float:
    """Value of the summed counts by the score's own formula."""
    from biomarkers.score.registry import SCORES

    name = str(group["score"].iloc[0])
    formula: Callable[[float, float], float] | None = SCORES[name].value if name in SCORES else None
    if formula is None:
        raise DataError(
            f"{name} is no ratio of two counts and cannot be pooled",
            where=_place(group),
            hint="Choose mean, max, earliest or latest.",
        )
    return float(formula(numerator, denominator))


def _by_time(group: pd.DataFrame, several: str) -> dict[str, Any]:
    when = group[DAY].astype(float)
    if when.isna().any():
        when = (pd.to_datetime(group[DATE]) - pd.Timestamp("2000-01-01")).dt.days.astype(float)
    if when.isna().any() or when.duplicated().any():
        raise DataError(
            "samples cannot be ordered in time",
            where=_place(group),
            seen=", ".join(group[keys.SAMPLE]),
            hint="Every sample needs its own date or day in the sample sheet.",
        )
    order = when.to_numpy()
    row = group.iloc[int(order.argmin() if several == "earliest" else order.argmax())]
    return {name: row[name] for name in ("value", NUMERATOR, DENOMINATOR, "status")} | {
        "samples": row[keys.SAMPLE],
        "n_samples": len(group),
    }


def _refuse(rows: pd.DataFrame) -> None:
    first = rows.groupby(_KEY, sort=False)
    group = next(iter(first))[1]
    others = first.ngroups - 1
    raise DataError(
        "two samples of one patient at one time point" + (f" (and {others} more such cases)" if others else ""),
        where=_place(group),
        seen=", ".join(group[keys.SAMPLE]),
        hint="Name a rule with --several: pool (sums of counts), mean, max, earliest or latest.",
    )


def _refuse_pooling(group: pd.DataFrame) -> None:
    raise DataError(
        "a level without counts cannot be pooled",
        where=_place(group),
        seen=", ".join(group[keys.SAMPLE]),
        hint="Choose mean, max, earliest or latest.",
    )


def _place(group: pd.DataFrame) -> str:
    row = group.iloc[0]
    return f"patient {row[keys.PATIENT]!r}, {row[keys.TIMEPOINT]}, {row[BIOMARKER]}"
