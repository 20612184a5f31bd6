"""Visits -> the best overall response of each patient, confirmed by stated rules."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biomarkers.cohort.recist import NON_CR_NON_PD
from biomarkers.errors import UsageError
from biomarkers.keys import CR, NE, PATIENT, PD, PR, SD

MISSING = "MISSING"
_ORDER = (CR, PR, SD, NON_CR_NON_PD, PD, NE)


@dataclass(frozen=True)
class Confirmation:
    """Rules of a best overall response; every protocol states its own.

    ``confirm_days``: a CR or PR counts when another assessment at least so many days later shows it still; 0 asks
    for no confirmation. ``min_sd_days``: SD counts from so many days after the start. ``max_ne_between``: how many
    NE may stand between the two. ``sd_between``: whether one SD may stand between two PR.
    """

    confirm_days: float = 28
    min_sd_days: float = 28
    max_ne_between: int = 1
    sd_between: bool = False

    def __post_init__(self) -> None:
        if self.confirm_days < 0 or self.min_sd_days < 0 or self.max_ne_between < 0:
            raise UsageError("a confirmation rule is negative", seen=self)


def best_response(responses: Sequence[str], days: Sequence[float], *, rules: Confirmation | None = None) -> str:
    """Best overall response of one patient.

    Parameters
    ----------
    responses
        Response of each visit after baseline: CR, PR, SD, NON-CR/NON-PD, PD or NE.
    days
        Day of each visit since the start (the start itself is day 0), rising.
    rules
        Confirmation rules; by default 28 days to confirm, SD from day 28, one NE between.

    Returns
    -------
    CR, PR, SD, NON-CR/NON-PD, PD, NE, or MISSING when there is no visit. Visits after the first PD do not count; a PR
    after a CR confirms neither.

    Raises
    ------
    UsageError
        Days that do not rise, lengths that differ, a word that is none of these.

    References
    ----------
    Eisenhauer EA et al. Eur J Cancer 2009;45:228-247, section 4.6 and table 3.

    Examples
    --------
    >>> best_response(["PR", "PR"], [30, 60]), best_response(["PR", "SD"], [30, 60])
    ('PR', 'SD')
    """
    rules = rules or Confirmation()
    _check(responses, days)
    if not responses:
        return MISSING
    last = responses.index(PD) + 1 if PD in responses else len(responses)
    words, when = list(responses[:last]), list(days[:last])
    if any(_confirmed(words, when, i, rules) for i, word in enumerate(words) if word == CR):
        return CR
    if any(_confirmed(words, when, i, rules) for i, word in enumerate(words) if word == PR):
        return PR
    late = {word for word, day in zip(words, when, strict=True) if day >= rules.min_sd_days}
    if late & {CR, PR, SD}:
        return SD
    if NON_CR_NON_PD in late:
        return NON_CR_NON_PD
    return PD if PD in words else NE


def _confirmed(words: Sequence[str], days: Sequence[float], i: int, rules: Confirmation) -> bool:
    """Say whether the CR or PR at visit ``i`` is seen again, late enough and without anything worse between."""
    if rules.confirm_days == 0:
        return True
    missed = stable = 0
    seen_cr = words[i] == CR
    for word, day in zip(words[i + 1 :], days[i + 1 :], strict=True):
        if word == NE:
            missed += 1
            if missed > rules.max_ne_between:
                return False
        elif word == CR:
            seen_cr = True
            if day - days[i] >= rules.confirm_days:
                return True
        elif word == PR and words[i] == PR and not seen_cr:
            if day - days[i] >= rules.confirm_days:
                return True
        elif word == SD and rules.sd_between and words[i] == PR and not seen_cr and stable == 0:
            stable += 1
        else:
            return False
    return False


def best_responses(visits: pd.DataFrame, *, rules: Confirmation | None = None) -> pd.DataFrame:
    """Best overall response, best change and dates of response and progression of every patient.

    Parameters
    ----------
    visits
        As :func:`biomarkers.cohort.recist.derive_responses` makes it.
    rules
        Confirmation rules.

    Returns
    -------
    One row a patient: ``response`` (confirmed best overall response; MISSING without a visit after baseline),
    ``unconfirmed`` (the best without confirmation), ``best_change_percent`` (smallest change from baseline up to the
    first PD), ``baseline_mm``, ``first_response_day`` (first visit of the CR or PR, for those whose best response is
    one), ``progression_day``, ``last_day``, ``n_visits``.
    """
    rules = rules or Confirmation()
    free = Confirmation(0, rules.min_sd_days, rules.max_ne_between, rules.sd_between)
    patients = visits[PATIENT].to_numpy()
    columns = {name: visits[name].to_numpy() for name in ("day", "response", "change_percent", "baseline_mm")}
    starts = np.flatnonzero(np.r_[True, patients[1:] != patients[:-1]]) if len(patients) else np.array([], dtype=int)
    rows = []
    for start, stop in zip(starts, [*starts[1:], len(patients)], strict=True):
        part = slice(start + 1, stop)  # the first row is the baseline
        words, days = columns["response"][part].tolist(), columns["day"][part].tolist()
        rows.append(
            {
                PATIENT: patients[start],
                "response": best_response(words, days, rules=rules),
                "unconfirmed": best_response(words, days, rules=free),
                "baseline_mm": columns["baseline_mm"][start],
                **_summary(words, days, columns["change_percent"][part], rules),
            }
        )
    return pd.DataFrame(rows)


def _summary(
    words: Sequence[str], days: Sequence[float], changes: np.ndarray, rules: Confirmation
) -> Mapping[str, float]:
    last = words.index(PD) + 1 if PD in words else len(words)
    known = [change for change in changes[:last].tolist() if not math.isnan(change)]
    counted = [i for i in range(last) if words[i] in (CR, PR) and _confirmed(words[:last], days[:last], i, rules)]
    return {
        "best_change_percent": min(known) if known else np.nan,
        "first_response_day": days[counted[0]] if counted else np.nan,
        "progression_day": days[last - 1] if PD in words else np.nan,
        "last_day": days[-1] if days else np.nan,
        "n_visits": len(words),
    }


def _check(responses: Sequence[str], days: Sequence[float]) -> None:
    if len(responses) != len(days):
        raise UsageError("as many responses as days are needed", seen=f"{len(responses)} and {len(days)}")
    if any(later <= day for day, later in itertools.pairwise(days)):
        raise UsageError("days must rise from visit to visit", seen=list(days))
    unknown = sorted(set(responses) - set(_ORDER))
    if unknown:
        raise UsageError("not a visit's response", seen=unknown[0], allowed=_ORDER)
