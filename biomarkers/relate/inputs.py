"""A table or a cohort becomes one row a patient: levels, what stood at a limit, and the columns of the end points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.cohort.columns import ColumnMap
from biomarkers.cohort.ids import identifiers, refuse_look_alikes
from biomarkers.cohort.tables import numeric_column, require_columns, row_names, table_notes
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.columns.levels import Reading, describe_level, own_words, read_words
from biomarkers.io.columns.model import LevelColumn
from biomarkers.io.columns.order import Order
from biomarkers.io.columns.units import check_change
from biomarkers.stats._checks import without_noise

if TYPE_CHECKING:
    from anndata import AnnData

_LARGEST = 1e100
_UNITS: Mapping[str, Any] = {"%": "percent", "percent": "percent", "fraction": "fraction", "cells/mm2": "cells_per_mm2"}
_CONTINUOUS = 0.5  # a level with more distinct values than this share of the patients seldom repeats by chance
GEHAN = "Gehan scores"  # how levels with several lower limits are ranked


@dataclass(frozen=True, eq=False)
class AnalysedPatients:
    """One row a patient; all frames share one index, which names rows in messages.

    Attributes
    ----------
    table
        The whole table.
    frame
        ``patient`` and, when known, ``response`` (as written), ``change``, ``stratum`` (None where missing).
    levels
        Biomarkers a column, NaN where there is none.
    censored
        Same shape: the level stands at (or below) its lower limit of quantification.
    covariates
        Columns of the adjusted estimates.
    notes
        What was done to get here.
    lloq
        Lower limits by level.
    contract
        What the columns mean.
    orders
        Words of the levels that are ordered, whose ranks stand in ``levels``.
    reading
        What every column was read as.
    """

    table: pd.DataFrame
    frame: pd.DataFrame
    levels: pd.DataFrame
    censored: pd.DataFrame
    covariates: pd.DataFrame
    response: str | None
    where: str
    notes: list[str] = field(default_factory=list)
    lloq: Mapping[str, float] = field(default_factory=dict)
    contract: ColumnMap = field(default_factory=ColumnMap)
    orders: Mapping[str, Order] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)

    def limit(self, level: str) -> np.ndarray:
        """Return the limit that each censored level stands at or below, NaN where the level was measured: (n,)."""
        known = self.levels[level].to_numpy(dtype=float)
        highest = np.fmax(known, self.lloq.get(level, np.nan))
        limit: np.ndarray = np.where(self.censored[level].to_numpy(dtype=bool), highest, np.nan)
        return limit


@dataclass(frozen=True)
class InputColumns:
    """Which column plays which role; None where it plays none."""

    levels: tuple[str, ...] | None
    response: str | None
    patient: str | None
    change: str | None
    strata: tuple[str, ...]
    covariates: tuple[str, ...]
    lloq: Mapping[str, float]
    censored: Mapping[str, str]
    contract: ColumnMap = field(default_factory=ColumnMap)
    cut: tuple[str, ...] = ()


def from_table(table: pd.DataFrame, columns: InputColumns, *, where: str) -> AnalysedPatients:
    """Take patients from any table with a row a patient.

    Raises
    ------
    UsageError
        A column is absent, or a role is not given.
    DataError
        A patient stands in two rows or under two spellings, a level is text or outside its unit's range.
    """
    contract, reading = columns.contract, Reading()
    if not columns.levels:
        raise UsageError("no level column was named", where=where, allowed=_numeric_names(table))
    refuse_doubled(columns.levels)
    if not table.index.is_unique:  # joined tables: rows are then counted from 0
        table = table.reset_index(drop=True)
    named = [columns.response, columns.patient, columns.change]
    wanted = [name for name in named if name is not None]
    require_columns(table, [*columns.levels, *wanted, *columns.strata, *columns.covariates], where=where)
    notes = table_notes(table)
    if columns.patient is None:
        patient = pd.Series([f"row {label}" for label in table.index], index=table.index, dtype=object)
        notes.append("no patient column was named: every row is taken as one patient")
    else:
        patient = identifiers(table[columns.patient], where=f"{where} column {columns.patient!r}")
        _refuse_repeats(patient, f"{where} column {columns.patient!r}")
        if contract.look_alikes == "refuse":
            refuse_look_alikes(patient, where=f"{where} column {columns.patient!r}")
        reading.say("patient", f"{columns.patient}, one row a patient")
    frame = pd.DataFrame({keys.PATIENT: patient})
    if columns.response is not None:
        frame["response"] = own_words(table[columns.response], contract.words)
        mapped = ", ".join(f"{old} -> {new or 'missing'}" for old, new in contract.words.items())
        reading.say("response", columns.response + (f" ({mapped})" if mapped else ""))
    if columns.change is not None:
        frame["change"] = numeric_column(table, columns.change, where=where)
        check_change(frame["change"], columns.change, where=where)
        reading.say("best change", f"{columns.change}, percent, negative = shrinkage")
    frame["stratum"] = _strata(table, columns.strata)
    for name in columns.levels:
        _one_unit(table, name, where, alone=len(columns.levels) == 1)
    orders: dict[str, Order] = {}
    read = {}
    for name in columns.levels:
        cut = name in columns.cut or name in columns.lloq
        read[name], order = _level(table, name, where, contract.level(name), reading, cut=cut)
        if order is not None:
            orders[name] = order
            notes.append(f"{name}: ordered words {order}, related as ranks")
    levels = pd.DataFrame(read)
    notes += _alike(table, levels, columns.patient)
    censored = _censored(table, levels, columns, where, orders)
    covariates = pd.DataFrame(
        {name: numeric_column(table, name, where=where) for name in columns.covariates}, index=table.index
    )
    return AnalysedPatients(
        table, frame, levels, censored, covariates, columns.response, where=where, notes=notes,
        lloq=dict(columns.lloq), contract=contract, orders=orders, reading=reading,
    )  # fmt: skip


def from_cohort(cohort: AnnData, columns: InputColumns, *, timepoint: str, where: str) -> AnalysedPatients:
    """Take the patients of a cohort at one time point; those without a sample there have no level.

    Raises
    ------
    UsageError
        There is no such biomarker or time point.
    DataError
        As for :func:`from_table`.
    """
    obs = cohort.obs
    points = obs[keys.TIMEPOINT].astype(str)
    if timepoint not in set(points):
        raise UsageError("no sample at this time point", where=where, seen=timepoint, allowed=sorted(set(points)))
    here = (points == timepoint).to_numpy()
    names = [str(name) for name in cohort.var_names]
    levels = columns.levels or tuple(names)
    require_columns(pd.DataFrame(columns=names), levels, where=where)
    at = [names.index(name) for name in levels]
    samples = obs[here].copy()
    samples.index = pd.Index(identifiers(samples[keys.PATIENT], where=where))
    values = np.asarray(cohort.X[here][:, at], dtype=float)
    layer = cohort.layers[keys.CENSORED] if keys.CENSORED in cohort.layers else np.zeros(cohort.shape, dtype=bool)
    flags = np.asarray(layer[here][:, at], dtype=bool)
    everybody = _clinical(cohort, samples)
    table = everybody.reset_index(drop=True)
    position = pd.Index(samples.index).get_indexer(pd.Index(everybody.index))
    known = position >= 0
    for j, name in enumerate(levels):
        column = np.full(len(table), np.nan)
        column[known] = values[position[known], j]
        table[name] = column
    _refuse_repeats(pd.Series(samples.index), f"{where} at {timepoint}")
    limits = {
        name: float(cohort.var["lloq"].iloc[i])
        for name, i in zip(levels, at, strict=True)
        if "lloq" in cohort.var and not pd.isna(cohort.var["lloq"].iloc[i])
    }
    has_response = columns.response is None and "response" in table
    roles = {**columns.__dict__, "levels": levels, "patient": keys.PATIENT, "lloq": {**limits, **columns.lloq}}
    roles["response"] = "response" if has_response else columns.response
    # the columns of a cohort were held to their meaning when it was joined; its units are known
    units = cohort.var["unit"].astype(str) if "unit" in cohort.var else pd.Series("", index=cohort.var_names)
    known_units = {
        name: LevelColumn(unit=_UNITS.get(str(units.iloc[i]), "linear")) for name, i in zip(levels, at, strict=True)
    }
    roles["contract"] = columns.contract.model_copy(
        update={"look_alikes": "distinct", "levels": known_units, "words": {}}
    )
    made = from_table(table, InputColumns(**roles), where=where)
    below = made.censored.to_numpy().copy()
    below[known] |= flags[position[known]]
    made.censored.loc[:, :] = below
    absent = int((~known).sum())
    if absent:
        made.notes.append(f"{absent} patients of the cohort have no sample at {timepoint}")
    return made


def flat_cohort(
    cohort: AnnData, levels: Sequence[str] | None, options: Mapping[str, Any]
) -> tuple[pd.DataFrame, list[str], str, str, dict[str, Any]]:
    """Turn a cohort at one time point into a table that :func:`biomarkers.relate` takes with the same meaning.

    Returns
    -------
    The table, its level columns, its columns of the response and of the patient, and the options with the limits.
    """
    rest = dict(options)
    lloq = rest.pop("lloq", None) or {}
    columns = InputColumns(tuple(levels) if levels else None, None, None, None, (), (), lloq, {})
    made = from_cohort(
        cohort, columns, timepoint=rest.pop("timepoint", keys.BASELINE), where=rest.get("where", "cohort")
    )
    names = [str(name) for name in made.levels.columns]
    table, flags = made.table.copy(), {}
    for name in names:
        if made.censored[name].any():
            flags[name] = f"{name} at its limit"
            table[flags[name]] = made.censored[name].astype(int)
    if "response" not in table:
        raise UsageError("this cohort holds no responses", where=made.where, allowed="a column response")
    return table, names, "response", keys.PATIENT, {**rest, "censored": flags, "lloq": dict(made.lloq)}


def _clinical(cohort: AnnData, samples: pd.DataFrame) -> pd.DataFrame:
    """All patients of the cohort, those without a sample here too (index = patient)."""
    patients = cohort.uns.get("patients")
    if not isinstance(patients, pd.DataFrame) or keys.PATIENT not in patients:
        return samples
    table = patients.copy()
    table.index = pd.Index(identifiers(table[keys.PATIENT], where="patients"))
    return table


def _refuse_repeats(patient: pd.Series, where: str) -> None:
    repeated = patient.duplicated(keep=False).to_numpy()
    if repeated.any():
        first = patient[repeated].iloc[0]
        rows = [int(i) for i in np.flatnonzero((patient == first).to_numpy())]
        others = patient[repeated].nunique() - 1
        raise DataError(
            "one patient stands in several rows" + (f", and {others} others" if others else ""),
            where=f"{where} {row_names(patient, rows)}",
            seen=str(first),
            hint="Patients are the unit of every test: keep one row a patient (see 'biomarkers cohort').",
        )


def refuse_doubled(names: Sequence[str]) -> None:
    """Refuse a level that is named twice."""
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise UsageError("a level is named twice", seen=", ".join(doubled))


def _one_unit(table: pd.DataFrame, level: str, where: str, *, alone: bool) -> None:
    """Refuse a level whose own column of units names several."""
    for column in (f"{level}_unit", f"{level} unit", *(["unit"] if alone else [])):
        if column not in table.columns:
            continue
        known = (table[level].notna() & table[column].notna()).to_numpy()
        units = table[column].astype(str).str.strip().to_numpy()
        names, counts = np.unique(units[known].astype(str), return_counts=True)
        if len(names) > 1:
            most = str(names[counts.argmax()])
            odd = [int(i) for i in np.flatnonzero(known & (units != most))]
            raise DataError(
                f"column {level!r} mixes units",
                where=f"{where} column {column!r} {row_names(table, odd)}",
                seen=", ".join(names),
                hint=f"Bring every level to one unit, {most} say, before relating.",
            )


def _alike(table: pd.DataFrame, levels: pd.DataFrame, patient: str | None) -> list[str]:
    """Tell rows that are alike in every column: the same patient twice under two names, or under none."""
    rest = table.drop(columns=[patient]) if patient is not None else table
    continuous = [name for name in levels if levels[name].nunique() > _CONTINUOUS * max(levels[name].count(), 1)]
    if len(rest.columns) < 2 or not continuous:
        return []  # a few levels and a response are alike by chance
    twice = rest.astype(str).duplicated(keep=False).to_numpy() & levels[continuous].notna().all(axis=1).to_numpy()
    rows = [int(i) for i in np.flatnonzero(twice)]
    if not rows:
        return []
    told = "every column" if patient is None else "every column but the patient's name"
    return [f"{row_names(table, rows)} are alike in {told}: is one patient here twice?"]


def _level(
    table: pd.DataFrame, column: str, where: str, said: LevelColumn, reading: Reading, *, cut: bool
) -> tuple[pd.Series, Order | None]:
    """Read one level: its numbers in their unit, or the ranks of its ordered words."""
    cells, order = read_words(table[column], column, said, where=where)
    values = numeric_column(table.assign(**{column: cells}), column, where=where) if order is None else cells
    bad = np.flatnonzero((values.abs() > _LARGEST).to_numpy())
    if len(bad):
        raise DataError(
            f"column {column!r} holds a number too large to be a level",
            where=f"{where} {row_names(table, [int(i) for i in bad])}",
            seen=float(values.iloc[bad[0]]),
            allowed=f"up to {_LARGEST:g}",
        )
    describe_level(values, column, said, order, where=where, reading=reading, cut=cut)
    return values.where(values.isna(), without_noise(values.fillna(0.0).to_numpy())), order


def _strata(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    if not columns:
        return pd.Series("", index=table.index, dtype=object)
    missing = table[list(columns)].isna().any(axis=1)
    joined = [" / ".join(str(cell).strip() for cell in row) for row in table[list(columns)].itertuples(index=False)]
    return pd.Series(joined, index=table.index, dtype=object).where(~missing, None)


def _censored(
    table: pd.DataFrame, levels: pd.DataFrame, columns: InputColumns, where: str, orders: Mapping[str, Order]
) -> pd.DataFrame:
    """Levels at or below their lower limit, by a limit or by a column of flags."""
    made = pd.DataFrame(data=False, index=levels.index, columns=levels.columns)
    for name, limit in columns.lloq.items():
        if name not in levels:
            raise UsageError("a lower limit for a column that is no level", seen=name, allowed=list(levels.columns))
        if not np.isfinite(limit):
            raise UsageError(f"the lower limit of {name!r} is no number", seen=limit)
        if name in orders:
            raise UsageError("a lower limit for a level of ordered words", seen=name, allowed=str(orders[name]))
        made[name] = (levels[name] <= limit).to_numpy()
    for name, flag in columns.censored.items():
        if name not in levels:
            raise UsageError(
                "a censoring column for a column that is no level", seen=name, allowed=list(levels.columns)
            )
        flags = numeric_column(table, flag, where=where)
        bad = np.flatnonzero(flags.notna().to_numpy() & ~flags.isin([0, 1]).to_numpy())
        if len(bad):
            raise DataError(
                f"column {flag!r} must hold 1 (at or below the limit) or 0",
                where=f"{where} {row_names(table, [int(i) for i in bad])}",
                seen=float(flags.iloc[bad[0]]),
            )
        made[name] = made[name].to_numpy() | (flags == 1).to_numpy()
    return made


def _numeric_names(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if table[name].dtype.kind in "if"][:25]


def at_cut(level: np.ndarray, limit: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """Tell positive from negative patients at a cut: (n,) bool each; neither where it is not known.

    At or above the cut is positive. A level that stands at or below its limit is negative at a cut at or above that
    limit, and unknown at a cut below it.

    Parameters
    ----------
    level, limit
        (n,) levels, NaN where there is none, and the limits of those that stand at one (NaN for measured levels).
    cut
        In the unit of the level.

    Examples
    --------
    >>> at_cut(np.array([1.0, 1.0, 5.0]), np.array([1.0, np.nan, np.nan]), 1.0)
    (array([False,  True,  True]), array([ True, False, False]))
    """
    known, at_limit = ~np.isnan(level), ~np.isnan(limit)
    measured = known & ~at_limit
    with np.errstate(invalid="ignore"):
        return measured & (level >= cut), (measured & (level < cut)) | (known & at_limit & (limit <= cut))


def ranked_levels(level: np.ndarray, censored: np.ndarray) -> tuple[np.ndarray, str]:
    """Give levels at a lower limit the rank they have: ties at the bottom, or Gehan scores when limits differ.

    Parameters
    ----------
    level, censored
        (n,) finite levels, and whether each stands at or below its limit.

    Returns
    -------
    Values to rank, (n,), and a note; with no level at a limit the levels themselves and no note.
    """
    k = int(censored.sum())
    if k == 0:
        return level, ""
    highest = float(level[censored].max())
    quantified = level[~censored]
    if not quantified.size or quantified.min() >= highest:
        made: Any = level.astype(float).copy()
        made[censored] = np.nextafter(highest, -np.inf) if quantified.size else highest
        return made, f"{k} of {len(level)} at or below the lower limit: tied at the bottom"
    # several limits: i is surely higher than j when i is quantified and above j's level or limit
    sure = (~censored[:, None]) & (level[:, None] > level[None, :])
    sure |= (~censored[:, None]) & censored[None, :] & (level[:, None] >= level[None, :])
    scores = sure.sum(axis=1) - sure.sum(axis=0)
    return scores.astype(float), f"{k} of {len(level)} at or below several lower limits: {GEHAN}"
