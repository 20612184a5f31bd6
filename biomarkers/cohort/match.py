"""Measurements find their patients: letter for letter, and whatever does not match on either side is listed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biomarkers.cohort.ids import near_misses
from biomarkers.cohort.samples import DATE, DAY, timepoint_words
from biomarkers.core import keys
from biomarkers.core.errors import DataError

UNMATCHED_COLUMNS = ("side", "id", "resembles", "n_rows")
_SHOWN = 4


@dataclass
class Matched:
    """Measurements with ``patient`` and ``timepoint``, and the identifiers that found no partner.

    ``unmatched`` has a row for each patient without a measurement (side ``clinical``) and for each measured patient
    or sample that the clinical table does not know (side ``measured``), with the identifier it resembles.
    """

    rows: pd.DataFrame
    unmatched: pd.DataFrame
    notes: list[str]


def match(
    rows: pd.DataFrame,
    *,
    patients: pd.Index,
    lookup: pd.DataFrame,
    default_timepoint: str,
    renames: dict[str, str],
) -> Matched:
    """Give every measurement its patient and time point.

    A measurement's patient is what its own table says, else what a sample sheet says of its sample, else its sample
    name where that is a patient's identifier. Its time point likewise; a sample of which nobody says the time point
    is ``default_timepoint``, and the number of such samples is noted.

    Raises
    ------
    DataError
        The measured table and a sample sheet contradict each other, or no patient is in common.
    """
    rows = rows.copy()
    notes: list[str] = []
    rows[keys.TIMEPOINT] = timepoint_words(rows[keys.TIMEPOINT], renames=renames)
    _refuse_contradiction(rows, lookup)
    for column in (keys.PATIENT, keys.TIMEPOINT):
        told = rows[keys.SAMPLE].map(lookup[column]) if len(lookup) else pd.Series(np.nan, index=rows.index)
        rows[column] = rows[column].astype(object).where(rows[column].notna(), told.astype(object))
    for column in (DATE, DAY):
        rows[column] = rows[keys.SAMPLE].map(lookup[column]) if len(lookup) else np.nan
    rows[keys.PATIENT] = rows[keys.PATIENT].where(rows[keys.PATIENT].notna(), rows[keys.SAMPLE])
    known = rows[keys.PATIENT].isin(patients)
    unmatched = _unmatched(rows, known, patients)
    if not known.any():
        _refuse_nothing_in_common(rows, patients, unmatched)
    untimed = rows.loc[known & rows[keys.TIMEPOINT].isna(), keys.SAMPLE].nunique()
    if untimed:
        notes.append(f"{untimed} samples without a time point were taken as {default_timepoint!r}")
    rows[keys.TIMEPOINT] = rows[keys.TIMEPOINT].where(rows[keys.TIMEPOINT].notna(), default_timepoint)
    notes += _describe(unmatched)
    return Matched(rows[known].reset_index(drop=True), unmatched, notes)


def _refuse_contradiction(rows: pd.DataFrame, lookup: pd.DataFrame) -> None:
    if not len(lookup):
        return
    for column in (keys.PATIENT, keys.TIMEPOINT):
        told = rows[keys.SAMPLE].map(lookup[column])
        wrong = rows[column].notna() & told.notna() & (rows[column].astype(object) != told.astype(object))
        if wrong.any():
            row = rows[wrong].iloc[0]
            raise DataError(
                f"sample {row[keys.SAMPLE]!r} has two values of {column!r}",
                where=f"{row['source']} and the sample sheet",
                seen=f"{row[column]} and {told[wrong].iloc[0]}",
            )


def _unmatched(rows: pd.DataFrame, known: pd.Series, patients: pd.Index) -> pd.DataFrame:
    measured = rows[keys.PATIENT]
    known_ids = set(measured)
    strangers = [str(name) for name in dict.fromkeys(measured[~known])]
    without = [str(name) for name in patients if name not in known_ids]
    near = near_misses(strangers, map(str, patients))
    back = {other: name for name, other in near.items()}
    counts = measured.value_counts()
    found = [("measured", name, near.get(name, ""), int(counts[name])) for name in strangers]
    found += [("clinical", name, back.get(name, ""), 0) for name in without]
    return pd.DataFrame(found, columns=list(UNMATCHED_COLUMNS))


def _describe(unmatched: pd.DataFrame) -> list[str]:
    notes = []
    for side, text in (
        ("measured", "measured but not in the clinical table"),
        ("clinical", "in the clinical table but not measured"),
    ):
        names = unmatched.loc[unmatched["side"] == side, "id"].tolist()
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            notes.append(f"{len(names)} {text}: {', '.join(names[:_SHOWN])}{more}")
    near = unmatched[(unmatched["side"] == "measured") & (unmatched["resembles"] != "")]
    if len(near):
        pairs = [f"{name!r} resembles {other!r}" for name, other in zip(near["id"], near["resembles"], strict=True)]
        more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        text = (
            f"identifiers that differ only by case, padding or zeros were NOT joined: {'; '.join(pairs[:_SHOWN])}{more}"
        )
        notes.append(text)
        warnings.warn(text, stacklevel=4)
    return notes


def _refuse_nothing_in_common(rows: pd.DataFrame, patients: pd.Index, unmatched: pd.DataFrame) -> None:
    near = unmatched[(unmatched["side"] == "measured") & (unmatched["resembles"] != "")]
    hint = "Give a sample sheet that says which patient each sample is of, or name the patient column."
    if len(near):
        hint = f"{near['id'].iloc[0]!r} resembles {near['resembles'].iloc[0]!r}: make the spelling the same. {hint}"
    raise DataError(
        "measurements and clinical table have no patient in common",
        seen=_first(dict.fromkeys(map(str, rows[keys.PATIENT]))),
        allowed=_first(map(str, patients)),
        hint=hint,
    )


def _first(names: Iterable[str]) -> str:
    """Show the first identifiers of many; those with padding are quoted, so that it is seen."""
    every = [name if name == name.strip() else repr(name) for name in names]
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
