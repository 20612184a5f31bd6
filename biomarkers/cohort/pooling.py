"""Several samples of one patient at one time point become one value, by a rule that was named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from biomarkers.cohort.measurements import BIOMARKER, DENOMINATOR, NUMERATOR
from biomarkers.cohort.samples import DATE, DAY
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError

Several = Literal["refuse", "pool", "mean", "max", "earliest", "latest", "area"]
RULES: tuple[Several, ...] = ("refuse", "pool", "mean", "max", "earliest", "latest", "area")
_TOLD = {
    "pool": "counts pooled",
    "mean": "mean of the samples",
    "max": "highest of the samples",
    "earliest": "earliest sample",
    "latest": "latest sample",
    "area": "mean weighted by area or by number of cells",
}
_KEY = [keys.PATIENT, keys.TIMEPOINT, BIOMARKER]


def aggregate_replicates(
    rows: pd.DataFrame, *, several: Several, pooling: Mapping[str, Several] | None = None
) -> pd.DataFrame:
    """Reduce evaluable measurements to one a patient, time point and biomarker.

    Parameters
    ----------
    rows
        Measurements with a value.
    several
        ``refuse`` stops when there are two; ``pool`` sums counts and areas (sum / sum) of every biomarker that is made
        of counts, and takes the mean of the others, weighted by area where it is known; ``area`` is that weighted
        mean; ``mean`` and ``max`` take the values; ``earliest`` and ``latest`` go by the samples' dates or days.
    pooling
        Biomarkers with a rule of their own.

    Returns
    -------
    Columns patient, timepoint, biomarker, value, numerator, denominator, status, samples, n_samples;
    ``.attrs["rules"]`` says of each biomarker with several samples by which rule they became one value.

    Raises
    ------
    UsageError
        There is no such rule.
    DataError
        Two samples and no rule, counts or dates that the rule needs are absent.
    """
    if several not in RULES:
        raise UsageError("no such rule for several samples", seen=several, allowed=RULES)
    own = dict(pooling or {})
    for name, rule in own.items():
        if rule not in RULES:
            raise UsageError(f"no such rule for several samples of {name!r}", seen=rule, allowed=RULES)
    counted = rows.groupby(_KEY, sort=False)[keys.SAMPLE].transform("size") > 1
    rules = {str(name): own.get(str(name), several) for name in rows.loc[counted, BIOMARKER].unique()}
    refused = rows[BIOMARKER].astype(str).map(rules).eq("refuse") & counted
    if refused.any():
        _refuse(rows[refused])
    told: dict[str, str] = {}
    for name, rule in rules.items():
        rules[name], told[name] = _rule_of(rows[counted & (rows[BIOMARKER] == name)], rule)
    single = rows[~counted].assign(samples=rows[keys.SAMPLE], n_samples=1)
    reduced = [
        {**dict(zip(_KEY, key, strict=True)), **_reduce(group, rules[str(key[2])])}
        for key, group in rows[counted].groupby(_KEY, sort=False)
    ]
    columns = [*_KEY, "value", NUMERATOR, DENOMINATOR, "status", "samples", "n_samples"]
    parts = [single[columns]] + ([pd.DataFrame(reduced)[columns]] if reduced else [])
    made = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0].reset_index(drop=True)
    made.attrs["rules"] = told
    return made


def _rule_of(rows: pd.DataFrame, rule: Several) -> tuple[Several, str]:
    """Rule of one biomarker, and its words: what is not made of counts cannot be pooled, and gets a mean."""
    areas = rows[DENOMINATOR].notna().all() and (rows[DENOMINATOR] > 0).all()
    if rule == "area" and not areas:
        return "mean", f"{_TOLD['mean']}: areas or numbers of cells are not known"
    if rule != "pool":
        return rule, _TOLD[rule]
    counts = rows[[NUMERATOR, DENOMINATOR]].notna().all().all()
    if counts and _formula(rows) is not None:
        return "pool", _TOLD["pool"]
    why = "it has no counts" if not counts else "it is no ratio of two counts"
    return ("area", f"{_TOLD['area']}: {why}") if areas else ("mean", f"{_TOLD['mean']}: {why}")


def _formula(rows: pd.DataFrame) -> Callable[[float, float], float] | None:
    """Return how a score's value follows from its counts, None where it does not."""
    from biomarkers.score.registry import SCORES

    name = str(rows["score"].iloc[0])
    return SCORES[name].value if name in SCORES else None


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
        value = _pooled_value(group, float(numerator), float(denominator))
        return {**made, "value": value, NUMERATOR: numerator, DENOMINATOR: denominator}
    if several in ("earliest", "latest"):
        return {**made, **_by_time(group, several)}
    if several == "area":
        weights = group[DENOMINATOR].to_numpy(dtype=float)
        return {**made, "value": float((group["value"].to_numpy(dtype=float) * weights).sum() / weights.sum())}
    return {**made, "value": group["value"].mean() if several == "mean" else group["value"].max()}


def _pooled_value(group: pd.DataFrame, numerator: float, denominator: float) -> float:
    """Value of the summed counts by the score's own formula."""
    formula = _formula(group)
    assert formula is not None  # the rule of a biomarker without one is another
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
        hint="Name a rule with --several: pool (sums of counts where there are counts), mean, max, earliest, latest or "
        "area; or one for a biomarker with --pooling 'BIOMARKER=RULE'.",
    )


def _place(group: pd.DataFrame) -> str:
    row = group.iloc[0]
    return f"patient {row[keys.PATIENT]!r}, {row[keys.TIMEPOINT]}, {row[BIOMARKER]}"
