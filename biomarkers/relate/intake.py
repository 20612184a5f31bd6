"""A table or a cohort becomes one question: which patients, which levels, which responses, and who was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from biomarkers.cohort.response import Responders, respond
from biomarkers.cohort.tables import numeric_column, require_columns, row_name
from biomarkers.errors import DataError, UsageError
from biomarkers.keys import BASELINE, CENSORED, PATIENT, RESPONSE, TIMEPOINT

if TYPE_CHECKING:
    from anndata import AnnData

NotEvaluable = Literal["exclude", "nonresponder"]


@dataclass(frozen=True)
class Question:
    """Patients in rows, one row each; only those whose response is known.

    ``levels`` is (n, m), NaN where a patient has none; ``responder`` (n,) bool; ``words`` the normalised responses;
    ``strata`` labels or None; ``flow`` says how many rows became how many patients.
    """

    levels: pd.DataFrame
    responder: pd.Series
    words: pd.Series
    strata: pd.Series | None
    table: pd.DataFrame
    definition: str
    counts: Mapping[str, int]
    flow: pd.DataFrame
    notes: tuple[str, ...]


def ask(
    table: pd.DataFrame | AnnData,
    *,
    levels: Sequence[str] | None,
    response: str | None,
    patient: str | None,
    responders: Sequence[str],
    non_responders: Sequence[str] | None,
    not_evaluable: NotEvaluable,
    strata: str | None,
    lloq: Mapping[str, float] | None,
    where: object,
) -> Question:
    """Check everything that a table can get wrong, and keep count of who is left out.

    Raises
    ------
    UsageError
        A column is missing or named twice.
    DataError
        A patient has two rows, a level holds text, or a response word is not known; rows are named.
    """
    frame, names, notes = _flat(table, levels, where)
    response, patient = _columns(frame, response, patient, where)
    _refuse_twice(frame, patient, where)
    answered = respond(
        frame[response],
        responders=responders,
        not_evaluable=not_evaluable,
        non_responders=non_responders,
        where=f"{where}, column {response!r}",
    )
    kept = frame.loc[answered.responder.index]
    values = pd.DataFrame({name: numeric_column(kept, name, where=where) for name in names}, index=kept.index)
    limits = dict(lloq or {})
    for name, limit in limits.items():
        require_columns(values, [name], where="lloq")
        below = values[name] < limit
        values.loc[below, name] = np.nextafter(limit, -np.inf)  # one tie at the bottom, below every measured level
        notes.append(f"{name}: {int(below.sum())} below the limit of quantification {limit:g}, tied at the bottom")
    labels = None if strata is None else _strata(kept, strata, where)
    return Question(
        levels=values,
        responder=answered.responder.astype(bool),
        words=kept[response],
        strata=labels,
        table=kept,
        definition=answered.definition,
        counts=answered.counts,
        flow=_flow(frame, answered, values),
        notes=tuple(notes),
    )


def _flat(
    table: pd.DataFrame | AnnData, levels: Sequence[str] | None, where: object
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Lay a cohort's levels beside its samples' columns; of a cohort, baseline samples only."""
    if isinstance(table, pd.DataFrame):
        if not levels:
            raise UsageError("no level named", where=where, hint="Name columns with levels=[...] (--level).")
        require_columns(table, levels, where=where)
        _refuse_doubled(levels)
        return table, list(levels), []
    names = list(table.var_names) if levels is None else list(levels)
    require_columns(pd.DataFrame(columns=list(table.var_names)), names, where=where)
    _refuse_doubled(names)
    values = pd.DataFrame(np.asarray(table[:, names].X, dtype=float), index=table.obs_names, columns=names)
    frame = pd.concat([table.obs.drop(columns=[n for n in names if n in table.obs]), values], axis=1)
    notes = []
    if TIMEPOINT in frame:
        baseline = frame[TIMEPOINT].astype(str) == BASELINE
        notes.append(f"{int(baseline.sum())} baseline samples of {len(frame)} samples")
        frame = frame[baseline]
    notes += _censored_notes(table, names)
    return frame.reset_index(drop=True), names, notes


def _censored_notes(cohort: AnnData, names: Sequence[str]) -> list[str]:
    if CENSORED not in cohort.layers:
        return []
    count = np.asarray(cohort[:, list(names)].layers[CENSORED], dtype=bool).sum(axis=0)
    return [f"{name}: {k} at the limit of quantification" for name, k in zip(names, count, strict=True) if k]


def _columns(frame: pd.DataFrame, response: str | None, patient: str | None, where: object) -> tuple[str, str | None]:
    if response is None:
        if RESPONSE not in frame:
            raise UsageError("no response column named", where=where, hint="Name it with response= (--response).")
        response = RESPONSE
    require_columns(frame, [response], where=where)
    if patient is None:
        return response, PATIENT if PATIENT in frame else None
    require_columns(frame, [patient], where=where)
    return response, patient


def _refuse_twice(frame: pd.DataFrame, patient: str | None, where: object) -> None:
    if patient is None:
        return
    ids = frame[patient]
    if ids.isna().any():
        at = int(np.flatnonzero(ids.isna().to_numpy())[0])
        raise DataError(f"a row has no patient in column {patient!r}", where=f"{where} {row_name(frame, at)}")
    twice = ids.astype(str).duplicated(keep=False)
    if twice.any():
        rows = np.flatnonzero(twice.to_numpy())
        first = str(ids.iloc[rows[0]])
        same = [int(i) for i in rows if str(ids.iloc[i]) == first]
        raise DataError(
            "one patient has two rows; patients are permuted, so each must stand once",
            where=f"{where} {row_name(frame, same[0])} and {row_name(frame, same[1])}",
            seen=first,
            hint="Keep one sample a patient (for example baseline only), by a rule written down beforehand.",
        )


def _refuse_doubled(names: Sequence[str]) -> None:
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise UsageError("a level is named twice", seen=doubled)


def _strata(frame: pd.DataFrame, column: str, where: object) -> pd.Series:
    require_columns(frame, [column], where=where)
    values = frame[column]
    if values.isna().any():
        at = int(np.flatnonzero(values.isna().to_numpy())[0])
        raise DataError(f"column {column!r} of the strata has a gap", where=f"{where} {row_name(frame, at)}")
    return values.astype(str)


def _flow(frame: pd.DataFrame, answered: Responders, levels: pd.DataFrame) -> pd.DataFrame:
    left = answered.left_out.value_counts()
    rows: list[dict[str, Any]] = [{"step": "rows", "n": len(frame), "reason": ""}]
    rows += [{"step": "left out", "n": int(count), "reason": f"response {word}"} for word, count in left.items()]
    rows.append({"step": "with a response", "n": answered.n, "reason": f"{answered.n_responders} responders"})
    for name in levels.columns:
        missing = int(levels[name].isna().sum())
        rows.append({"step": f"analysed: {name}", "n": answered.n - missing, "reason": f"{missing} without a level"})
    return pd.DataFrame(rows)
