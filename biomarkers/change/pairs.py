"""Samples -> one row a patient and biomarker: baseline, on-treatment and the change, with its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from biomarkers import keys
from biomarkers.change.scale import Scale, choose_scale
from biomarkers.errors import DataError, UsageError, did_you_mean

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
SEVERAL = ("refuse", "pool", "mean")


@dataclass(frozen=True)
class Samples:
    """Levels by sample, whatever they came from: long format, with what the scale needs to know.

    ``rows`` has patient, timepoint, response, biomarker, level, censored, numerator, denominator; ``kinds`` says what
    each biomarker is (see :class:`biomarkers.change.scale.Scale`), ``markers`` and ``assays`` which protein or gene,
    ``units`` in what it is measured where that is known.
    """

    rows: pd.DataFrame
    kinds: Mapping[str, str]
    markers: Mapping[str, str]
    assays: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)


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
            scaled = scale.apply(part["level"].to_numpy(), part["numerator"].to_numpy(), part["denominator"].to_numpy())
        except DataError as error:
            raise DataError(error.what, where=name, seen=error.seen, allowed=error.allowed, hint=error.hint) from error
        rows.loc[mine, "scaled"] = scaled
    return rows


def make_pairs(rows: pd.DataFrame, *, baseline: str, on_treatment: str, several: str = "refuse") -> pd.DataFrame:
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

    Returns
    -------
    ``PAIR_COLUMNS``, one row for every patient with a level at either time point. A level at its lower limit makes
    the change a bound (``at least``, ``at most``); with both there, there is no quantifiable change.

    Raises
    ------
    UsageError
        A time point does not occur, or is both.
    DataError
        Several samples and no rule.
    """
    _check_timepoints(rows, baseline, on_treatment)
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
    once = mine.groupby(key, sort=False).agg(
        level=("level", "mean"),
        scaled=("scaled", "mean"),
        censored=("censored", "all"),
        response=(keys.RESPONSE, "first"),
    )
    cells = {label: _Cell(*row) for label, row in zip(once.index, once.itertuples(index=False), strict=True)}
    order = mine.drop_duplicates([keys.PATIENT, BIOMARKER])[[keys.PATIENT, BIOMARKER]]
    made = [
        _pair(patient, name, [cells.get((patient, name, point)) for point in points], points)
        for patient, name in zip(order[keys.PATIENT], order[BIOMARKER], strict=True)
    ]
    return pd.DataFrame(made, columns=list(PAIR_COLUMNS))


class _Cell(NamedTuple):
    level: float
    scaled: float
    censored: bool
    response: str | float


def _pair(patient: str, name: str, cells: Sequence[_Cell | None], points: tuple[str, str]) -> dict[str, Any]:
    lacking = [point for cell, point in zip(cells, points, strict=True) if cell is None]
    words = [cell.response for cell in cells if cell is not None and isinstance(cell.response, str)]
    empty = _Cell(np.nan, np.nan, censored=False, response=np.nan)
    before, after = (empty if cell is None else cell for cell in cells)
    bound = EXACT
    if not lacking:
        # a level below its limit at baseline makes the rise larger than it looks, one on treatment the fall
        bound = {(True, True): BOTH_BELOW, (True, False): AT_LEAST, (False, True): AT_MOST}.get(
            (bool(before.censored), bool(after.censored)), EXACT
        )
    change = np.nan if lacking else (0.0 if bound == BOTH_BELOW else after.scaled - before.scaled)
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


def _check_timepoints(rows: pd.DataFrame, baseline: str, on_treatment: str) -> None:
    have = [str(point) for point in dict.fromkeys(rows[keys.TIMEPOINT].dropna())]
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
