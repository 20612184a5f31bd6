"""Visits -> the best overall response of each patient, confirmed by stated rules."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from biomarkers.cohort.recist import NON_CR_NON_PD
from biomarkers.cohort.tables import require_columns
from biomarkers.core.errors import UsageError
from biomarkers.core.keys import CR, NE, PATIENT, PD, PR, SD

MISSING = "MISSING"
_NEEDED = ("day", "response", "change_percent", "baseline_mm", "pr_carried", "target_response", "non_target")
_ORDER = (CR, PR, SD, NON_CR_NON_PD, PD, NE)
# a PR that no longer meets its criteria, and one whose targets are gone while non-targets were not looked at
_CARRIED, _UNSEEN = "PR carried", "PR, non-targets not evaluated"


@dataclass(frozen=True)
class Confirmation:
    """Rules of a best overall response; every protocol states its own.

    ``confirm_days``: a CR or PR counts when another assessment at least so many days later meets its criteria again; 0
    asks for no confirmation. ``min_sd_days``: SD counts from so many days after the start. ``max_ne_between``: how many
    NE may stand between the two. ``sd_between``: whether one SD may stand between two PR. ``carried_confirms``: a PR
    that is only carried forward (its sum is no longer 30% below baseline, and no progression) confirms too.

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.Confirmation(confirm_days=35).min_sd_days
    28
    """

    confirm_days: float = 28
    min_sd_days: float = 28
    max_ne_between: int = 1
    sd_between: bool = False
    carried_confirms: bool = False

    def __post_init__(self) -> None:
        if self.confirm_days < 0 or self.min_sd_days < 0 or self.max_ne_between < 0:
            raise UsageError("a confirmation rule is negative", seen=self)


def best_response(
    responses: Sequence[str],
    days: Sequence[float],
    *,
    rules: Confirmation | None = None,
    carried: Sequence[bool] | None = None,
    unseen: Sequence[bool] | None = None,
) -> str:
    """Best overall response of one patient.

    Parameters
    ----------
    responses
        Response of each visit after baseline: CR, PR, SD, NON-CR/NON-PD, PD or NE.
    days
        Day of each visit since the start (the start itself is day 0), rising.
    rules
        Confirmation rules; by default 28 days to confirm, SD from day 28, one NE between.
    carried
        Visits whose PR is only carried forward; by default none.
    unseen
        Visits that are PR since the targets are gone and the non-targets were not evaluated; by default none. Between
        two CR they count as NE.

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
    >>> best_response(["PR", "PR"], [30, 60], carried=[False, True])
    'SD'
    """
    rules = rules or Confirmation()
    _check(responses, days)
    if not responses:
        return MISSING
    last = responses.index(PD) + 1 if PD in responses else len(responses)
    words, when = _marked(responses, carried, unseen)[:last], list(days[:last])
    for best in (CR, PR):
        starts = [i for i, word in enumerate(words) if (word == CR) == (best == CR)]
        if any(_confirming(words, when, i, rules) is not None for i in starts):
            return best
    late = {responses[i] for i, day in enumerate(when) if day >= rules.min_sd_days}
    if late & {CR, PR, SD}:
        return SD
    if NON_CR_NON_PD in late:
        return NON_CR_NON_PD
    return PD if PD in words else NE


def _marked(responses: Sequence[str], carried: Sequence[bool] | None, unseen: Sequence[bool] | None) -> list[str]:
    """Responses in which the two special kinds of PR have words of their own."""
    n = len(responses)
    old, open_ = carried or [False] * n, unseen or [False] * n
    if len(old) != n or len(open_) != n:
        raise UsageError("as many marks as responses are needed", seen=f"{len(old)}, {len(open_)} and {n}")
    return [
        word if word != PR else (_CARRIED if old[i] else (_UNSEEN if open_[i] else PR))
        for i, word in enumerate(responses)
    ]


def _confirming(words: Sequence[str], days: Sequence[float], i: int, rules: Confirmation) -> int | None:
    """Visit at which the CR or PR of visit ``i`` is seen again, late enough and without anything worse between."""
    partial = (PR, _UNSEEN, _CARRIED) if rules.carried_confirms else (PR, _UNSEEN)
    if words[i] != CR and words[i] not in partial:
        return None
    if rules.confirm_days == 0:
        return i
    missed = stable = 0
    seen_cr = words[i] == CR
    for at in range(i + 1, len(words)):
        word, late = words[at], days[at] - days[i] >= rules.confirm_days
        if word == NE or (word == _UNSEEN and seen_cr):
            missed += 1
            if missed > rules.max_ne_between:
                return None
        elif word == CR:
            seen_cr = True
            if late:
                return at
        elif word in partial and not seen_cr:
            if late:
                return at
        elif word == _CARRIED and not seen_cr:
            continue  # still a PR, but it shows nothing again
        elif word == SD and rules.sd_between and not seen_cr and stable == 0:
            stable += 1
        else:
            return None
    return None


def best_responses(
    visits: pd.DataFrame, *, rules: Confirmation | None = None, new_therapy: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Best overall response, best change and dates of response and progression of every patient.

    Parameters
    ----------
    visits
        As :func:`biomarkers.cohort.recist.derive_responses` makes it.
    rules
        Confirmation rules.
    new_therapy
        Day on which a patient started another treatment of the tumour; visits after it do not count.

    Returns
    -------
    One row a patient: ``response`` (confirmed best overall response; MISSING without a visit after baseline),
    ``unconfirmed`` (the best without confirmation), ``best_change_percent`` (smallest change from baseline up to the
    first PD, of visits that were measured in full), ``baseline_mm``, ``first_response_day`` (first visit of the CR or
    PR, for those whose best response is one), ``progression_day``, ``last_day``, ``n_visits``; ``first_seen_day``
    (first CR or PR, whatever became of it later), ``confirmed_day`` (visit that confirmed the first response);
    ``new_therapy_day``, ``n_after_new_therapy`` (visits that do not count), ``reason`` (why there is no response to
    tell: empty otherwise).

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> sums = pd.DataFrame(
    ...     {"patient": ["P1"] * 4, "day": [0, 56, 84, 168], "sum_mm": [100.0, 60.0, 55.0, 90.0]}
    ... )
    >>> visits = bm.derive_responses(sums)
    >>> bm.best_responses(visits)["response"].tolist()
    ['PR']
    """
    rules = rules or Confirmation()
    free = replace(rules, confirm_days=0)
    patients = visits[PATIENT].to_numpy()
    require_columns(visits, _NEEDED, where="visits")
    columns = {name: visits[name].to_numpy() for name in _NEEDED}
    columns["unseen"] = ((visits["target_response"] == CR) & (visits["non_target"] == NE)).to_numpy()
    starts = np.flatnonzero(np.r_[True, patients[1:] != patients[:-1]]) if len(patients) else np.array([], dtype=int)
    rows = []
    for start, stop in zip(starts, [*starts[1:], len(patients)], strict=True):
        switched = float((new_therapy or {}).get(str(patients[start]), np.nan))
        days = columns["day"][start + 1 : stop].tolist()  # the first row is the baseline
        kept = days if math.isnan(switched) else [day for day in days if day <= switched]
        part = slice(start + 1, start + 1 + len(kept))
        words = columns["response"][part].tolist()
        marks = {"carried": columns["pr_carried"][part].tolist(), "unseen": columns["unseen"][part].tolist()}
        best = best_response(words, kept, rules=rules, **marks)
        rows.append(
            {
                PATIENT: patients[start],
                "response": best,
                "unconfirmed": best_response(words, kept, rules=free, **marks),
                "baseline_mm": columns["baseline_mm"][start],
                **_summary(words, kept, columns["change_percent"][part], rules, marks),
                "new_therapy_day": switched,
                "n_after_new_therapy": len(days) - len(kept),
                "reason": _why_nothing(best, words, kept, len(days), rules),
            }
        )
    return pd.DataFrame(rows)


def _summary(
    words: Sequence[str],
    days: Sequence[float],
    changes: np.ndarray,
    rules: Confirmation,
    marks: Mapping[str, Sequence[bool]],
) -> Mapping[str, float]:
    last = words.index(PD) + 1 if PD in words else len(words)
    known = [change for change in changes[:last].tolist() if not math.isnan(change)]
    marked = _marked(words, marks["carried"], marks["unseen"])[:last]
    shown = [i for i in range(last) if words[i] in (CR, PR)]
    first = confirmed = None
    for i in shown:
        at = _confirming(marked, days[:last], i, rules)
        if at is not None:
            first = i if first is None else first
            confirmed = at if confirmed is None else min(confirmed, at)
    return {
        "best_change_percent": min(known) if known else np.nan,
        "first_response_day": np.nan if first is None else days[first],
        "progression_day": days[last - 1] if PD in words else np.nan,
        "last_day": days[-1] if days else np.nan,
        "n_visits": len(words),
        "first_seen_day": days[shown[0]] if shown else np.nan,
        "confirmed_day": np.nan if confirmed is None else days[confirmed],
    }


def _why_nothing(best: str, words: Sequence[str], days: Sequence[float], n_all: int, rules: Confirmation) -> str:
    """Say why a patient has no response to tell."""
    if best == MISSING:
        return "no visit after baseline" if not n_all else "every visit is after the start of a new therapy"
    if best != NE:
        return ""
    if set(words) == {NE}:
        return "no visit was evaluable"
    later = "; later visits are after the start of a new therapy" if n_all > len(days) else ""
    return f"no visit from day {rules.min_sd_days:g} on was evaluable: the last one was on day {days[-1]:g}{later}"


def _check(responses: Sequence[str], days: Sequence[float]) -> None:
    if len(responses) != len(days):
        raise UsageError("as many responses as days are needed", seen=f"{len(responses)} and {len(days)}")
    if any(later <= day for day, later in itertools.pairwise(days)):
        raise UsageError("days must rise from visit to visit", seen=list(days))
    unknown = sorted(set(responses) - set(_ORDER))
    if unknown:
        raise UsageError("not a visit's response", seen=unknown[0], allowed=_ORDER)
