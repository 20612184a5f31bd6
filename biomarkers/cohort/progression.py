"""Progression-free survival by the visits, beside what the clinical table says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.core.keys import NE, PATIENT, PD

NewTherapyRule = Literal["ignore", "censor", "event"]
NEW_THERAPY_RULES: tuple[NewTherapyRule, ...] = ("ignore", "censor", "event")
PROGRESSION_COLUMNS = (PATIENT, "day", "event", "reason", "progression_day", "last_evaluable_day")


def progression_free(
    visits: pd.DataFrame,
    *,
    deaths: Mapping[str, float] | None = None,
    new_therapy: Mapping[str, float] | None = None,
    rule: NewTherapyRule = "ignore",
) -> pd.DataFrame:
    """Derive progression-free survival from the response of every visit.

    Parameters
    ----------
    visits
        As :func:`biomarkers.derive_responses` makes it.
    deaths
        Day of death of those who died. A death counts however long after the last visit it was.
    new_therapy
        Day on which a patient started another treatment of the tumour.
    rule
        What that start is when neither progression nor death came before it: ``ignore`` (later visits and death count
        as before), ``censor`` (followed up to the last evaluable visit before it) or ``event`` (it ends the interval).

    Returns
    -------
    Columns ``patient, day, event, reason``: days since the start of treatment. Without progression or death a patient
    is followed up to the last visit that was evaluable, and up to day 0 when there is none. Beside them, whatever the
    rule, ``progression_day`` (first PD of the visits) and ``last_evaluable_day``.

    Raises
    ------
    UsageError
        The rule is unknown.

    Examples
    --------
    >>> from biomarkers.cohort.recist import derive_responses
    >>> table = pd.DataFrame({"patient": "A", "day": [0, 56, 112], "sum_mm": [100, 90, 130]})
    >>> progression_free(derive_responses(table))[["day", "event"]].to_numpy().tolist()
    [[112.0, 1.0]]
    """
    if rule not in NEW_THERAPY_RULES:
        raise UsageError("unknown rule for a new therapy", seen=rule, allowed=NEW_THERAPY_RULES)
    rows = []
    for name, mine in visits.groupby(PATIENT, sort=False):
        patient = str(name)
        days, words = mine["day"].to_numpy(dtype=float)[1:], mine["response"].to_numpy()[1:]
        switched = float((new_therapy or {}).get(patient, np.nan))
        death = float((deaths or {}).get(patient, np.nan))
        progressed = days[words == PD]
        seen = float(progressed[0]) if len(progressed) else np.nan
        rows.append([patient, *_end(days, words, death, switched, rule), seen, _last_evaluable(days, words)])
    made = pd.DataFrame(rows, columns=list(PROGRESSION_COLUMNS))
    return made.astype(dict.fromkeys(("day", "event", "progression_day", "last_evaluable_day"), float))


def _end(days: np.ndarray, words: np.ndarray, death: float, switched: float, rule: str) -> tuple[float, int, str]:
    """Day, event and reason of one patient."""
    progressed = days[words == PD]
    ends = [(float(progressed[0]), "progression") if len(progressed) else None]
    ends.append(None if math.isnan(death) else (death, "death"))
    end = min((one for one in ends if one is not None), default=None)
    before = end is None or switched < end[0]
    if not math.isnan(switched) and before and rule == "event":
        return max(switched, 0.0), 1, "start of a new therapy"
    if not math.isnan(switched) and before and rule == "censor":
        last = _last_evaluable(days[days <= switched], words[days <= switched])
        return last, 0, f"censored at the last evaluable visit before the new therapy of day {switched:g}"
    if end is not None:
        return max(end[0], 0.0), 1, end[1]
    last = _last_evaluable(days, words)
    return last, 0, "censored at the last evaluable visit" if last > 0 else "no evaluable visit: censored at the start"


def _last_evaluable(days: np.ndarray, words: np.ndarray) -> float:
    known = days[(words != NE) & (words != "")]
    return float(known[-1]) if len(known) else 0.0
