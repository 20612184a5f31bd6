"""Where the clinical table and the visits do not agree, or the visits not with themselves: listed, never repaired."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.cohort.best_response import MISSING
from biomarkers.cohort.columns import DAYS_PER_MONTH
from biomarkers.cohort.endpoints import event_numbers
from biomarkers.cohort.recist import NON_CR_NON_PD
from biomarkers.core.keys import CR, NE, PATIENT, RESPONSE, SD

CONTRADICTION_COLUMNS = (PATIENT, "what", "table", "visits")
SAME_DAYS = 14.0  # a visit window of one week on either side
SAME_PERCENT = 1.0  # best changes are recorded in whole per cent
_Row = tuple[str, str, str, str]


def contradictions(
    patients: pd.DataFrame, visits: pd.DataFrame, best: pd.DataFrame, progression: pd.DataFrame
) -> pd.DataFrame:
    """List what does not agree, a row a patient and matter.

    Parameters
    ----------
    patients
        The clinical table as it was read (index = patient), before anything derived was added.
    visits
        As :func:`biomarkers.derive_responses` makes it.
    best
        As :func:`biomarkers.best_responses` makes it.
    progression
        As :func:`biomarkers.cohort.progression.progression_free` makes it.

    Returns
    -------
    Columns ``patient, what, table, visits``: best overall response; best change, by more than a point; PFS, another
    outcome or more than 14 days apart, or visits without progression after the table's event; visits after death;
    non-targets back after a complete response.
    """
    made = [
        *_responses(patients, best),
        *_changes(patients, best),
        *_progression(patients, progression),
        *_after_death(patients, visits),
        *_returned(visits),
    ]
    return pd.DataFrame(made, columns=list(CONTRADICTION_COLUMNS))


def _responses(patients: pd.DataFrame, best: pd.DataFrame) -> Iterator[_Row]:
    if RESPONSE not in patients:
        return
    words = best.set_index(PATIENT)["response"].replace({MISSING: NE, NON_CR_NON_PD: SD})
    for name, word in patients[RESPONSE].astype(object).items():
        other = words.get(str(name))
        if isinstance(word, str) and isinstance(other, str) and word != other:
            yield str(name), "best overall response", word, other


def _changes(patients: pd.DataFrame, best: pd.DataFrame) -> Iterator[_Row]:
    column = "best_change_percent"
    if column not in patients or patients[column].dtype.kind not in "if":
        return
    derived = best.set_index(PATIENT)[column]
    for name, value in patients[column].items():
        other = float(derived.get(str(name), np.nan))
        if abs(float(value) - other) > SAME_PERCENT:
            yield str(name), "best change, per cent", f"{float(value):g}", f"{other:.1f}"


def _progression(patients: pd.DataFrame, progression: pd.DataFrame) -> Iterator[_Row]:
    if not {"pfs_months", "pfs_event"} <= set(patients.columns):
        return
    by_visits = {str(row[PATIENT]): row for row in progression.to_dict("records")}
    events, deaths = event_numbers(patients["pfs_event"]), death_days(patients)
    for name, months, event in zip(patients.index, patients["pfs_months"].astype(float), events, strict=True):
        if str(name) not in by_visits or np.isnan(months) or np.isnan(event):
            continue
        row, at = by_visits[str(name)], months * DAYS_PER_MONTH
        day = float(row["day"])
        if _apart(row, event=event == 1, at=at, death=deaths.get(str(name), np.inf)):
            mine = f"{'event' if event else 'no event'} at month {months:.3g}"
            yield str(name), "progression-free survival", mine, f"{row['reason']}, month {day / DAYS_PER_MONTH:.3g}"


def _apart(row: Mapping[Hashable, Any], *, event: bool, at: float, death: float) -> bool:
    """Say whether the table's PFS cannot be that of the visits.

    Visits that end before the table's event contradict nothing: it may have been seen otherwise.
    """
    progressed = float(row["progression_day"])
    if not event:
        return min(progressed if progressed == progressed else np.inf, death) <= at + SAME_DAYS
    if progressed == progressed:
        return abs(progressed - at) > SAME_DAYS
    return at > death + SAME_DAYS or float(row["last_evaluable_day"]) > at + SAME_DAYS


def _after_death(patients: pd.DataFrame, visits: pd.DataFrame) -> Iterator[_Row]:
    last = visits.groupby(PATIENT, sort=False)["day"].max()
    for name, death in death_days(patients).items():
        if float(last.get(name, -np.inf)) > death + 1:
            yield name, "visit after death", f"death on day {death:.0f}", f"visit on day {last[name]:g}"


def _returned(visits: pd.DataFrame) -> Iterator[_Row]:
    for name, mine in visits.groupby(PATIENT, sort=False):
        complete = (mine["response"] == CR).to_numpy()
        if not complete.any():
            continue
        later = mine.iloc[int(complete.argmax()) + 1 :]
        back = later[later["non_target"] == NON_CR_NON_PD]
        if len(back):
            said = f"{NON_CR_NON_PD} on day {back['day'].iloc[0]:g}"
            yield str(name), "non-targets back after a complete response", "", said


def death_days(patients: pd.DataFrame) -> dict[str, float]:
    """Day of death of those who died, from ``os_months`` and ``os_event``."""
    if not {"os_months", "os_event"} <= set(patients.columns):
        return {}
    events, months = event_numbers(patients["os_event"]), patients["os_months"].astype(float)
    return {
        str(name): float(month) * DAYS_PER_MONTH
        for name, month, event in zip(patients.index, months, events, strict=True)
        if event == 1 and not np.isnan(month)
    }


def told_in_words(table: pd.DataFrame, *, shown: int = 4) -> list[str]:
    """Sum contradictions up, a line a matter."""
    made = []
    for what, mine in table.groupby("what", sort=False):
        parts = (mine[name].astype(str) for name in (PATIENT, "table", "visits"))
        cases = [
            f"{patient} {', by the visits '.join(text for text in (one, other) if text)}"
            for patient, one, other in zip(*parts, strict=True)
        ]
        more = f" and {len(cases) - shown} more" if len(cases) > shown else ""
        made.append(f"{len(cases)} contradictions, {what}: {'; '.join(cases[:shown])}{more}")
    return made
