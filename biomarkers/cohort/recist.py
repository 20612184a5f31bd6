"""RECIST 1.1 visit by visit: sums of diameters, non-target and new lesions -> the response at each visit."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from biomarkers.cohort.columns import DAYS_PER_MONTH, MONTHS_PER, TimeUnit
from biomarkers.cohort.ids import identifiers
from biomarkers.cohort.tables import numeric_column, require_columns, row_name, row_names
from biomarkers.core.errors import DataError
from biomarkers.core.keys import CR, NE, PATIENT, PD, PR, SD

NON_CR_NON_PD = "NON-CR/NON-PD"
NO_NON_TARGET = "none"
CARRIED = "PR carried"
NON_TARGET_WORDS = (CR, NON_CR_NON_PD, PD, NE, NO_NON_TARGET)
VISIT_COLUMNS = (
    PATIENT,
    "day",
    "sum_mm",
    "baseline_mm",
    "nadir_mm",
    "change_percent",
    "target_response",
    "non_target",
    "new_lesion",
    "response",
    "reason",
    "pr_carried",
)
# thresholds are compared in whole numbers of tenths, since 0.7 * 90 is 62.99999999999999 in a float
_SLACK_MM = 1e-6
_PD_RISE_MM = 5.0


class Visit(NamedTuple):
    """One assessment of one patient; ``sum_mm`` is NaN when no target was measured."""

    row: int
    day: float
    sum_mm: float
    all_targets: bool
    targets_gone: bool
    non_target: str
    new_lesion: bool


class TargetState(NamedTuple):
    """What the visits so far leave behind for the next one."""

    baseline_mm: float
    nadir_mm: float
    had_pr: bool = False
    had_cr: bool = False


def derive_responses(
    visits: pd.DataFrame,
    *,
    patient: str = PATIENT,
    day: str = "day",
    sum_mm: str = "sum_mm",
    new_lesion: str | None = "new_lesion",
    non_target: str | None = None,
    all_targets: str | None = None,
    targets_gone: str | None = None,
    unit: TimeUnit = "days",
    where: str = "tumor sums",
) -> pd.DataFrame:
    """Derive the RECIST 1.1 response of every visit.

    The sum of diameters is compared with the patient's baseline (PR: 30% below) and with the smallest sum so far,
    baseline included (PD: 20% and 5 mm above). A PR once assigned is carried until progression; ``pr_carried`` marks
    the visits that no longer meet its criteria, since these confirm nothing. Target disease seen after a complete
    response of all disease is progression; after a PR (targets gone, non-targets not) the sum decides.

    Parameters
    ----------
    visits
        One row a patient and assessment. A patient's baseline is the last row with ``day`` <= 1 (whether the day of
        the first dose is called 0 or 1).
    patient, day, sum_mm
        Columns of the patient, the days since start of treatment and the sum of target diameters (mm); an empty sum
        means that no target was measured.
    new_lesion
        Column that says whether an unequivocal new lesion was seen (true/false, 1/0); None when there is none.
    non_target
        Column of the non-target lesions: CR, NON-CR/NON-PD, PD, NE, or none (there are none); by default none. An
        empty cell is none in a patient who never has any, and NE (not looked at) in one who has.
    all_targets
        Column that says whether every target was measured; by default a row with a sum has all. A part of the
        targets can show progression and nothing else.
    targets_gone
        Column that says whether all targets have disappeared, lymph nodes below 10 mm included; by default a sum
        of 0.
    unit
        Unit of ``day`` in the table: days, weeks, months (30.4375 days) or years; the result is in days.
    where
        Name of the table for messages.

    Returns
    -------
    One row a visit (baseline included, without response), sorted by patient as they come and day, with
    ``VISIT_COLUMNS``; change in per cent of baseline, missing where not every target was measured: a sum of some of
    them is no change of all.

    Raises
    ------
    UsageError
        A column is absent.
    DataError
        A negative or missing value, two visits of a patient on a day, a patient without baseline; rows are named.

    References
    ----------
    Eisenhauer EA et al. Eur J Cancer 2009;45:228-247 (RECIST 1.1), tables 1-3.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> sums = pd.DataFrame(
    ...     {"patient": ["P1"] * 4, "day": [0, 56, 84, 168], "sum_mm": [100.0, 60.0, 55.0, 90.0]}
    ... )
    >>> bm.derive_responses(sums)[["day", "response"]].to_numpy().tolist()
    [[0.0, ''], [56.0, 'PR'], [84.0, 'PR'], [168.0, 'PD']]
    """
    require_columns(visits, [patient, day, sum_mm], where=where)
    ids = identifiers(visits[patient], where=f"{where} column {patient!r}").to_numpy()
    table = _checked(visits, day=day, sum_mm=sum_mm, ids=ids, unit=unit, where=where)
    columns = {
        "new_lesion": yes_no(visits, new_lesion, default=False, where=where),
        "non_target": _non_targets(visits, non_target, ids, where=where),
    }
    gone = table["sum"] == 0 if targets_gone is None else yes_no(visits, targets_gone, default=False, where=where)
    measured = ~np.isnan(table["sum"])
    complete = measured if all_targets is None else measured & yes_no(visits, all_targets, default=True, where=where)
    made: list[list[object]] = []
    # plain lists: a numpy scalar costs more than the arithmetic done with it
    cells = list(
        zip(
            range(len(visits)),
            table["day"].tolist(),
            table["sum"].tolist(),
            complete.tolist(),
            gone.tolist(),
            columns["non_target"].tolist(),
            columns["new_lesion"].tolist(),
            strict=True,
        )
    )
    for name, rows in _by_patient(ids, cells):
        made += [[name, *row] for row in _patient_rows(rows, visits, name, where)]
    return pd.DataFrame(made, columns=list(VISIT_COLUMNS))


def _patient_rows(series: Sequence[Visit], visits: pd.DataFrame, name: str, where: str) -> Iterator[list[object]]:
    """Rows of one patient from its baseline on."""
    before = [visit for visit in series if visit.day <= 1]
    if not before or (math.isnan(before[-1].sum_mm) and before[-1].non_target == NO_NON_TARGET):
        raise DataError(
            f"patient {name!r} has no baseline sum",
            where=f"{where} {row_name(visits, series[0].row)}",
            seen=f"first visit on day {series[0].day:g}",
            allowed="a sum at or before day 1",
            hint="Without target lesions, name the non-target column.",
        )
    base = before[-1]
    state = TargetState(base.sum_mm, base.sum_mm)
    first = [base.day, base.sum_mm, base.sum_mm, base.sum_mm, 0.0, "", base.non_target, base.new_lesion]
    yield [*first, "", "baseline", False]
    for visit in series[len(before) :]:
        target, reason, after = target_response(visit, state)
        response, why = overall_response(target, visit)
        whole = visit.all_targets and state.baseline_mm > 0
        change = 100 * (visit.sum_mm / state.baseline_mm - 1) if whole else np.nan
        yield [
            visit.day,
            visit.sum_mm,
            state.baseline_mm,
            state.nadir_mm,
            change,
            target,
            visit.non_target,
            visit.new_lesion,
            response,
            why or reason,
            response == PR and reason.startswith(CARRIED),
        ]
        state = next_state(after, response)


def target_response(visit: Visit, state: TargetState) -> tuple[str, str, TargetState]:
    """Response of the target lesions at one visit, why, and the state for the next.

    Examples
    --------
    >>> visit = Visit(0, 60, 80, True, False, "none", False)
    >>> target_response(visit, TargetState(100, 70, had_pr=True))[:2]
    ('PR', 'PR carried: sum +14% from nadir 70 mm')

    The state after it does not know the overall response yet: see :func:`next_state`.
    """
    if math.isnan(state.baseline_mm) or state.baseline_mm == 0:
        return "", "no target lesions", state
    size, nadir = visit.sum_mm, state.nadir_mm
    if math.isnan(size):
        return NE, "targets not measured", state
    grown = f"sum {_percent(size, nadir)} from nadir {nadir:g} mm"
    if not visit.targets_gone and 5 * size >= 6 * nadir - _SLACK_MM and size - nadir >= _PD_RISE_MM - _SLACK_MM:
        return PD, grown, TargetState(state.baseline_mm, min(nadir, size))
    if not visit.all_targets:
        return NE, "not all targets measured", state
    after = TargetState(state.baseline_mm, min(nadir, size), state.had_pr, state.had_cr)
    if visit.targets_gone:
        return CR, "targets gone", _with_pr(after)
    if state.had_cr:
        return PD, "disease after a complete response", TargetState(after.baseline_mm, after.nadir_mm)
    if 10 * size <= 7 * state.baseline_mm + _SLACK_MM:
        return PR, f"sum {_percent(size, state.baseline_mm)} from baseline", _with_pr(after)
    if state.had_pr:
        return PR, f"{CARRIED}: {grown}", after
    return SD, f"sum {_percent(size, state.baseline_mm)} from baseline", after


def overall_response(target: str, visit: Visit) -> tuple[str, str]:
    """Combine target, non-target and new lesions (RECIST 1.1 tables 1 and 2); the reason when they decide.

    Examples
    --------
    >>> overall_response("CR", Visit(0, 60, 0, True, True, "NON-CR/NON-PD", False))
    ('PR', 'targets gone, non-targets not')
    """
    if visit.new_lesion:
        return PD, "new lesion"
    if visit.non_target == PD:
        return PD, "non-target progression"
    if target == "":
        # no target disease: the non-targets alone decide (table 2)
        return (NE if visit.non_target == NO_NON_TARGET else visit.non_target), "non-targets only"
    if target == CR and visit.non_target not in (CR, NO_NON_TARGET):
        return (
            PR,
            "targets gone, non-targets not" if visit.non_target != NE else "targets gone, non-targets not evaluated",
        )
    return target, ""


def next_state(after: TargetState, response: str) -> TargetState:
    """State for the next visit once the overall response is known: only a CR of all disease makes its return a PD."""
    if response == PD:
        return TargetState(after.baseline_mm, after.nadir_mm)
    return after._replace(had_cr=after.had_cr or response == CR)


def _with_pr(state: TargetState) -> TargetState:
    return TargetState(state.baseline_mm, state.nadir_mm, had_pr=True, had_cr=state.had_cr)


def _percent(size: float, reference: float) -> str:
    return f"{100 * (size / reference - 1):+.0f}%" if reference > 0 else f"+{size:g} mm"


def _by_patient(
    ids: np.ndarray, cells: Sequence[tuple[int, float, float, bool, bool, str, bool]]
) -> Iterator[tuple[str, list[Visit]]]:
    """Visits of each patient, sorted by day; patients in the order of the table."""
    series: dict[str, list[Visit]] = {}
    for name, row in zip(ids.tolist(), cells, strict=True):
        series.setdefault(name, []).append(Visit(*row))
    for name, mine in series.items():
        yield name, sorted(mine, key=operator.attrgetter("day"))


def _checked(
    visits: pd.DataFrame, *, day: str, sum_mm: str, ids: np.ndarray, unit: TimeUnit, where: str
) -> dict[str, np.ndarray]:
    days = numeric_column(visits, day, where=where).to_numpy() * round(MONTHS_PER[unit] * DAYS_PER_MONTH, 9)
    sums = numeric_column(visits, sum_mm, where=where).to_numpy()
    _refuse(visits, np.isnan(days), "a visit without a day", where)
    _refuse(visits, sums < 0, "a negative sum of diameters", where)
    key = pd.DataFrame({"patient": ids, "day": days})
    _refuse(visits, key.duplicated(keep=False).to_numpy(), "two visits of one patient on one day", where)
    return {"day": days, "sum": sums}


def _refuse(visits: pd.DataFrame, wrong: np.ndarray, what: str, where: str) -> None:
    bad = [int(i) for i in np.flatnonzero(wrong)]
    if bad:
        raise DataError(what, where=f"{where} {row_names(visits, bad)}")


def yes_no(visits: pd.DataFrame, column: str | None, *, default: bool, where: str) -> np.ndarray:
    """Read a yes/no column; an empty cell is the default."""
    if column is None or (column == "new_lesion" and column not in visits):
        return np.full(len(visits), default)
    require_columns(visits, [column], where=where)
    words = visits[column].map(lambda cell: str(cell).strip().lower() or np.nan, na_action="ignore")
    yes, no = words.isin(["1", "1.0", "true", "yes", "y"]), words.isin(["0", "0.0", "false", "no", "n"])
    bad = [int(i) for i in np.flatnonzero((words.notna() & ~yes & ~no).to_numpy())]
    if bad:
        raise DataError(
            f"column {column!r} must say yes or no",
            where=f"{where} {row_names(visits, bad)}",
            seen=str(visits[column].iloc[bad[0]]),
        )
    flags = np.array(yes, dtype=bool)
    return np.where(words.isna().to_numpy(), default, flags)


def _non_targets(visits: pd.DataFrame, column: str | None, ids: np.ndarray, *, where: str) -> np.ndarray:
    if column is None:
        return np.full(len(visits), NO_NON_TARGET, dtype=object)
    require_columns(visits, [column], where=where)
    known = {word.casefold(): word for word in NON_TARGET_WORDS} | {"non-cr": NON_CR_NON_PD, "sd": NON_CR_NON_PD}
    words = [NO_NON_TARGET if pd.isna(cell) else str(cell).strip().casefold() for cell in visits[column]]
    bad = [i for i, word in enumerate(words) if word not in known]
    if bad:
        raise DataError(
            f"column {column!r} holds no non-target response",
            where=f"{where} {row_names(visits, bad)}",
            seen=str(visits[column].iloc[bad[0]]),
            allowed=NON_TARGET_WORDS,
        )
    made = np.array([known[word] for word in words], dtype=object)
    having = set(ids[made != NO_NON_TARGET].tolist())
    unseen = visits[column].isna().to_numpy() & np.array([name in having for name in ids], dtype=bool)
    made[unseen] = NE
    return made
