"""iRECIST: progression under immunotherapy is unconfirmed until the next assessment shows more of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biomarkers.cohort.recist import TargetState, Visit, next_state, overall_response, target_response
from biomarkers.cohort.tables import require_columns
from biomarkers.core.keys import CR, NE, PATIENT, PD, PR, SD

ICR, IPR, ISD, IUPD, ICPD = "iCR", "iPR", "iSD", "iUPD", "iCPD"
_IMMUNE = {CR: ICR, PR: IPR, SD: ISD, NE: NE}
_FURTHER_MM = 5.0
_NEEDED = (PATIENT, "day", "sum_mm", "baseline_mm", "target_response", "non_target", "new_lesion")


@dataclass(frozen=True)
class _Pending:
    """An unconfirmed progression: what progressed, and the sum it stood at."""

    target: bool
    non_target: bool
    new_lesion: bool
    sum_mm: float


def immune_responses(visits: pd.DataFrame) -> pd.DataFrame:
    """Derive iRECIST responses from visits.

    The first progression is iUPD. At the next assessment it becomes iCPD when the sum grew by 5 mm or more, when a
    new lesion is recorded again (a further one, or growth of the first), when non-targets progress still, or when
    another kind of progression joins. It stays iUPD when nothing changed, and is taken back (iSD, iPR, iCR) when the
    visit shows no progression against the smallest sum; then a later progression is unconfirmed again. An NE visit
    neither confirms nor takes back. After iCPD nothing more is derived.

    Parameters
    ----------
    visits
        As :func:`biomarkers.cohort.recist.derive_responses` makes it. ``new_lesion`` marks the visit at which a new
        lesion, or growth of an earlier new one, was seen.

    Returns
    -------
    The visits with the column ``immune_response`` (empty at baseline and after iCPD).

    Raises
    ------
    UsageError
        A column is absent.

    References
    ----------
    Seymour L et al. Lancet Oncol 2017;18:e143-e152.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> sums = pd.DataFrame(
    ...     {"patient": ["P1"] * 4, "day": [0, 56, 84, 168], "sum_mm": [100.0, 60.0, 55.0, 90.0]}
    ... )
    >>> visits = bm.derive_responses(sums)
    >>> bm.immune_responses(visits)["response"].tolist()
    ['', 'PR', 'PR', 'PD']
    """
    require_columns(visits, _NEEDED, where="visits")
    made: list[str] = []
    for _, rows in visits.groupby(PATIENT, sort=False):
        made += _patient(rows)
    return visits.assign(immune_response=made)


def best_immune_response(responses: list[str]) -> str:
    """Best response of one patient by iRECIST, unconfirmed: iCR, iPR, iSD, iUPD, iCPD, NE or MISSING.

    Examples
    --------
    >>> best_immune_response(["iSD", "iUPD", "iPR"])
    'iPR'
    """
    for word in (ICR, IPR, ISD):
        if word in responses:
            return word
    for word in (ICPD, IUPD, NE):
        if word in responses:
            return word
    return "MISSING"


def _patient(rows: pd.DataFrame) -> list[str]:
    made = [""]
    base = rows.iloc[0]
    state = TargetState(float(base["baseline_mm"]), float(base["baseline_mm"]))
    pending: _Pending | None = None
    columns = [
        rows[name].iloc[1:].tolist() for name in ("day", "sum_mm", "target_response", "non_target", "new_lesion")
    ]
    for day, size, target_word, non_target, new_lesion in zip(*columns, strict=True):
        if ICPD in made:
            made.append("")
            continue
        measured = target_word != NE and not np.isnan(size)
        visit = Visit(0, day, size, measured, target_word == CR, str(non_target), bool(new_lesion))
        target, _, after = target_response(visit, state)
        overall, _ = overall_response(target, visit)
        word = _step(overall, target, visit, pending)
        pending = _next(word, target, visit, pending)
        # the smallest sum stays the bar while progression is pending
        smaller = TargetState(state.baseline_mm, _smaller(state.nadir_mm, visit.sum_mm))
        state = smaller if word == IUPD else next_state(after, overall)
        made.append(word)
    return made


def _smaller(nadir: float, size: float) -> float:
    """Return the smaller of two sums, an unmeasured one left out."""
    return nadir if np.isnan(size) else min(nadir, size)


def _step(overall: str, target: str, visit: Visit, pending: _Pending | None) -> str:
    if pending is None:
        return IUPD if overall == PD else _IMMUNE.get(overall, overall)
    if overall == NE:
        return NE
    if overall != PD:
        return _IMMUNE.get(overall, overall)
    grown = visit.sum_mm - pending.sum_mm >= _FURTHER_MM - 1e-6
    joined = (
        (target == PD and not pending.target)
        or (visit.non_target == PD and not pending.non_target)
        or (visit.new_lesion and not pending.new_lesion)
    )
    further = visit.new_lesion or (visit.non_target == PD and pending.non_target)
    return ICPD if grown or joined or further else IUPD


def _next(word: str, target: str, visit: Visit, pending: _Pending | None) -> _Pending | None:
    if word == NE:
        return pending
    if word != IUPD:
        return None
    size = visit.sum_mm if pending is None or np.isnan(pending.sum_mm) else pending.sum_mm
    return _Pending(target == PD, visit.non_target == PD, visit.new_lesion, size)
