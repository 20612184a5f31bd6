"""Samples -> one row a patient and biomarker: baseline, on-treatment and the change, with its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from biomarkers.change.scale import Scale, choose_scale
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError, did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData

BIOMARKER = "biomarker"
PAIR_COLUMNS = (
    keys.PATIENT,
    BIOMARKER,
    keys.RESPONSE,
    "baseline",
    "on_treatment",
    "baseline_scaled",
    "on_treatment_scaled",
    "baseline_censored",
    "on_treatment_censored",
    "change",
    "bound",
    "call",
    "reason",
)
EXACT, AT_LEAST, AT_MOST, BOTH_BELOW = "", "at least", "at most", "both below limit"
NO_BOUND = "direction unknown"  # a limit lies beyond the other level, or each side is below a limit in part
_DIGITS = 12  # changes that agree to so many digits of the levels are equal: 6.2 - 6.1 and 0.1 differ in binary
SEVERAL = ("refuse", "pool", "mean")


@dataclass(frozen=True)
class Samples:
    """Levels by sample, whatever they came from: long format, with what the scale needs to know.

    ``rows`` has patient, timepoint, response, biomarker, level, censored, numerator, denominator; ``kinds`` says what
    each biomarker is (see :class:`biomarkers.change.scale.Scale`), ``markers`` and ``assays`` which protein or gene,
    ``units`` in what it is measured where that is known, ``told`` why a kind that nobody stated was taken, and
    ``points`` the time points that occur, with a level or without.
    """

    rows: pd.DataFrame
    kinds: Mapping[str, str]
    markers: Mapping[str, str]
    assays: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    points: tuple[str, ...] = ()
    reading: str = ""  # what the columns of a table were read as


def samples_of_cohort(cohort: AnnData, levels: Sequence[str] | None) -> Samples:
    """Take levels, limits and counts from a cohort (see :func:`biomarkers.cohort.join.build_cohort`)."""
    names = [str(name) for name in cohort.var_names] if levels is None else list(levels)
    for name in names:
        if name not in cohort.var_names:
            have = [str(known) for known in cohort.var_names]
            raise UsageError("no such biomarker", seen=name, allowed=have, hint=did_you_mean(name, have))
    at = [int(i) for i in cohort.var_names.get_indexer(pd.Index(names))]
    shape = (cohort.n_obs, len(names))
    parts = {
        "level": np.asarray(cohort.X, dtype=float)[:, at],
        "censored": _layer(cohort, keys.CENSORED, at, default=0.0).astype(bool),
        "numerator": _layer(cohort, "numerator", at, default=np.nan),
        "denominator": _layer(cohort, "denominator", at, default=np.nan),
    }
    rows = pd.DataFrame(
        {
            keys.PATIENT: np.repeat(cohort.obs[keys.PATIENT].astype(str).to_numpy(), shape[1]),
            keys.TIMEPOINT: np.repeat(cohort.obs[keys.TIMEPOINT].astype(str).to_numpy(), shape[1]),
            BIOMARKER: np.tile(np.array(names, dtype=object), shape[0]),
            **{name: values.reshape(-1) for name, values in parts.items()},
        }
    )
    words = cohort.obs[keys.RESPONSE].astype(object) if keys.RESPONSE in cohort.obs else None
    rows[keys.RESPONSE] = np.nan if words is None else np.repeat(words.to_numpy(), shape[1])
    var = cohort.var.loc[names]
    kinds = {name: str(scale) for name, scale in zip(names, var["scale"].astype(str), strict=True)}
    return Samples(
        rows[rows["level"].notna()].reset_index(drop=True),
        {name: kind if kind in ("log2", "percent", "fraction") else "linear" for name, kind in kinds.items()},
        dict(zip(names, var["marker"].astype(str), strict=True)),
        dict(zip(names, var["assay"].astype(str), strict=True)),
        dict(zip(names, var["unit"].astype(str), strict=True)),
        points=tuple(dict.fromkeys(cohort.obs[keys.TIMEPOINT].astype(str))),
    )


def scales_of(samples: Samples, *, offset: float | Mapping[str, float] | None) -> dict[str, Scale]:
    """Choose the scale of each biomarker from all of its samples."""
    refuse_unknown(offset if isinstance(offset, Mapping) else {}, list(samples.kinds), "an offset")
    made = {}
    for name, kind in samples.kinds.items():
        mine = samples.rows[samples.rows[BIOMARKER] == name]
        given = offset.get(name) if isinstance(offset, Mapping) else offset
        made[name] = choose_scale(
            kind,
            offset=given,
            numerator=mine["numerator"].to_numpy(),
            denominator=mine["denominator"].to_numpy(),
            unit=samples.units.get(name, ""),
        )
    return made


def add_scaled(samples: Samples, scales: Mapping[str, Scale]) -> pd.DataFrame:
    """Rows of samples with the column ``scaled``."""
    rows = samples.rows.copy()
    rows["scaled"] = np.nan
    for name, scale in scales.items():
        mine = rows[BIOMARKER] == name
        part = rows[mine]
        try:
            columns = (part[column].to_numpy() for column in ("level", "numerator", "denominator"))
            scaled = scale.apply(*columns, censored=part["censored"].to_numpy(dtype=bool))
        except DataError as error:
            raise DataError(error.what, where=name, seen=error.seen, allowed=error.allowed, hint=error.hint) from error
        rows.loc[mine, "scaled"] = scaled
    return rows


def make_pairs(
    rows: pd.DataFrame, *, baseline: str, on_treatment: str, several: str = "refuse", occurring: Sequence[str] = ()
) -> pd.DataFrame:
    """Pair baseline and on-treatment levels of each patient.

    Parameters
    ----------
    rows
        Samples with ``scaled`` (see :func:`add_scaled`).
    baseline, on_treatment
        The two time points, as they are spelled in the table.
    several
        Several samples of a patient at a time point: ``refuse``, or ``mean`` of their scaled levels (``pool`` was done
        before: :func:`biomarkers.change.tables.pooled`).
    occurring
        Time points of the table beside those of ``rows``, which hold no level.

    Returns
    -------
    ``PAIR_COLUMNS``, one row for every patient with a level at either time point. A level at its lower limit makes
    the change a bound (``at least``, ``at most``); with both there, there is no quantifiable change, and where the
    limit lies beyond the other level its direction is unknown: both count as 0, so that a limit never enlarges a
    change. Changes are rounded to twelve digits of the biomarker's largest level, so that equal ones are equal.

    Raises
    ------
    UsageError
        A time point does not occur, or is both.
    DataError
        Several samples and no rule.
    """
    _check_timepoints([*rows[keys.TIMEPOINT].dropna(), *occurring], baseline, on_treatment)
    if several not in SEVERAL:
        raise UsageError("no such rule for several samples", seen=several, allowed=SEVERAL)
    key, points = [keys.PATIENT, BIOMARKER, keys.TIMEPOINT], (baseline, on_treatment)
    mine = rows[rows[keys.TIMEPOINT].isin(points)]
    counts = mine.groupby(key, sort=False).size()
    if several == "refuse" and (counts > 1).any():
        patient, name, point = counts.index[int(np.flatnonzero(counts.to_numpy() > 1)[0])]
        raise DataError(
            "two samples of one patient at one time point",
            where=f"patient {patient!r}, {point}, {name}",
            seen=f"{int(counts.max())} samples; {int((counts > 1).sum())} such cases",
            hint="Choose --several pool (sums of counts, where there are counts) or --several mean.",
        )
    partly = mine["partly_censored"] if "partly_censored" in mine else pd.Series(data=False, index=mine.index)
    once = (
        mine.assign(whole=mine["censored"] & ~partly)
        .groupby(key, sort=False)
        .agg(
            level=("level", "mean"),
            scaled=("scaled", "mean"),
            censored=("censored", "any"),
            whole=("whole", "all"),
            response=(keys.RESPONSE, "first"),
        )
    )
    decimals = _decimals(mine)
    cells = {label: _Cell(*row) for label, row in zip(once.index, once.itertuples(index=False), strict=True)}
    order = mine.drop_duplicates([keys.PATIENT, BIOMARKER])[[keys.PATIENT, BIOMARKER]]
    made = [
        _pair(patient, name, [cells.get((patient, name, point)) for point in points], points, decimals[name])
        for patient, name in zip(order[keys.PATIENT], order[BIOMARKER], strict=True)
    ]
    return pd.DataFrame(made, columns=list(PAIR_COLUMNS))


class _Cell(NamedTuple):
    level: float
    scaled: float
    censored: bool
    whole: bool  # all of it lies below the limit, not one sample of several
    response: str | float


def _decimals(rows: pd.DataFrame) -> dict[str, int]:
    """Decimals to which changes of each biomarker are told apart."""
    largest = rows["scaled"].abs().groupby(rows[BIOMARKER], sort=False).max()
    return {str(name): _DIGITS - int(np.ceil(np.log10(size))) if size > 0 else 300 for name, size in largest.items()}


def _pair(
    patient: str, name: str, cells: Sequence[_Cell | None], points: tuple[str, str], decimals: int
) -> dict[str, Any]:
    lacking = [point for cell, point in zip(cells, points, strict=True) if cell is None]
    words = [cell.response for cell in cells if cell is not None and isinstance(cell.response, str)]
    empty = _Cell(np.nan, np.nan, censored=False, whole=False, response=np.nan)
    before, after = (empty if cell is None else cell for cell in cells)
    change, bound = (np.nan, EXACT) if lacking else _bounded(before, after, decimals)
    return {
        keys.PATIENT: patient,
        BIOMARKER: name,
        keys.RESPONSE: words[0] if words else np.nan,
        "baseline": before.level,
        "on_treatment": after.level,
        "baseline_scaled": before.scaled,
        "on_treatment_scaled": after.scaled,
        "baseline_censored": bool(before.censored),
        "on_treatment_censored": bool(after.censored),
        "change": change,
        "bound": bound,
        "call": "",
        "reason": f"no {' and no '.join(lacking)} level" if lacking else "",
    }


def _bounded(before: _Cell, after: _Cell, decimals: int) -> tuple[float, str]:
    """Change and what kind of bound it is."""
    change = round(after.scaled - before.scaled, decimals) + 0.0  # no negative zero
    if before.censored and after.censored:
        return 0.0, BOTH_BELOW if before.whole and after.whole else NO_BOUND
    if before.censored:
        # what lies below its limit at baseline rose by more than it looks; a limit above the later level tells nothing
        return (change, AT_LEAST) if change >= 0 else (0.0, NO_BOUND)
    if after.censored:
        return (change, AT_MOST) if change <= 0 else (0.0, NO_BOUND)
    return change, EXACT


def refuse_unknown(given: Mapping[str, Any], levels: Sequence[str], what: str) -> None:
    """Refuse a setting for a level that is not measured: it would silently do nothing.

    Raises
    ------
    UsageError
        A name is none of the levels.
    """
    for name in given:
        if name not in levels:
            hint = did_you_mean(name, levels)
            raise UsageError(f"{what} for a level that is not there", seen=name, allowed=list(levels), hint=hint)


def _check_timepoints(points: Sequence[str], baseline: str, on_treatment: str) -> None:
    have = [str(point) for point in dict.fromkeys(points)]
    for name in (baseline, on_treatment):
        if name not in have:
            raise UsageError(
                "no sample at this time point", seen=name, allowed=have, hint=did_you_mean(str(name), have)
            )
    if baseline == on_treatment:
        raise UsageError("baseline and on-treatment are the same time point", seen=baseline, allowed=have)


def _layer(cohort: AnnData, name: str, at: Sequence[int], *, default: float) -> np.ndarray:
    if name not in cohort.layers:
        return np.full((cohort.n_obs, len(at)), default)
    return np.asarray(cohort.layers[name], dtype=float)[:, list(at)]
