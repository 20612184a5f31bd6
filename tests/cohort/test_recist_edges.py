"""Edges of RECIST: what confirms, what returns, what is not looked at, another therapy, and PFS by the visits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.cohort.assess import assess
from biomarkers.cohort.best_response import Confirmation, best_response, best_responses
from biomarkers.cohort.columns import ColumnMap
from biomarkers.cohort.join import build_cohort
from biomarkers.cohort.patients import Patients, read_patients
from biomarkers.cohort.progression import progression_free
from biomarkers.cohort.recist import derive_responses
from biomarkers.cohort.store import read_cohort, write_cohort
from biomarkers.cohort.summary import summarise_study
from biomarkers.core.errors import DataError, UsageError
from tests.cohort.rows_by_hand import level_rows


def _visits(sums: list[float], *, patient: str = "A", step: int = 56, **columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"patient": patient, "day": [step * i for i in range(len(sums))], "sum_mm": sums, **columns})


def _best(table: pd.DataFrame, **options: object) -> pd.Series:
    return assess(table, **options).best.iloc[0]  # type: ignore[arg-type]


# -- confirmation ---


def test_a_carried_response_confirms_nothing(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "faults" / "stats" / "pr_carried.csv")
    made = assess(table)
    assert made.visits["response"].tolist() == ["", "PR", "PR"]
    assert made.visits["pr_carried"].tolist() == [False, False, True]
    assert made.best["response"].tolist() == ["SD"]
    assert made.best["unconfirmed"].tolist() == ["PR"]
    assert assess(table, rules=Confirmation(carried_confirms=True)).best["response"].tolist() == ["PR"]


@pytest.mark.parametrize(
    ("sums", "best", "first"),
    [
        ([100, 70, 83, 84], "SD", np.nan),  # never again 30% below
        ([100, 70, 83, 65], "PR", 56),  # again, with a carried visit between
        ([100, 85, 70, 69], "PR", 112),
        ([100, 69, 80, 90], "SD", np.nan),  # 90 is progression from 69
        ([60, 42, 44, 42], "PR", 56),
        ([100, 0, 0], "CR", 56),
    ],
)
def test_confirmation_needs_the_criteria_again(sums: list[float], best: str, first: float) -> None:
    row = _best(_visits(sums))
    assert row["response"] == best
    np.testing.assert_equal(row["first_response_day"], float(first))


def test_dates_of_a_response_seen_and_confirmed() -> None:
    row = _best(_visits([100, 60, 71, 60]))
    assert (row["first_seen_day"], row["confirmed_day"], row["first_response_day"]) == (56, 168, 56)
    never = _best(_visits([100, 60, 110]))
    assert never["first_seen_day"] == 56
    assert np.isnan(never[["confirmed_day", "first_response_day"]].astype(float)).all()


def test_a_complete_response_with_non_targets_not_seen_between_keeps_its_date() -> None:
    table = _visits([50, 0, 0, 0], non_target=["NON-CR/NON-PD", "CR", "NE", "CR"])
    made = assess(table)
    assert made.visits["response"].tolist() == ["", "CR", "PR", "CR"]
    row = made.best.iloc[0]
    assert (row["response"], row["first_response_day"], row["confirmed_day"]) == ("CR", 56, 168)
    # an empty cell of a patient who has non-targets is not looked at, not none
    blank = assess(table.assign(non_target=["NON-CR/NON-PD", "CR", None, "CR"]))
    pd.testing.assert_frame_equal(blank.visits, made.visits)
    # seen and still there is another matter: less than the CR before
    still = _best(table.assign(non_target=["NON-CR/NON-PD", "CR", "NON-CR/NON-PD", "CR"]))
    assert still["response"] != "CR"
    # two of them are more than the one NE that may stand between
    longer = _visits([50, 0, 0, 0, 0], non_target=["CR", "CR", "NE", "NE", "CR"])
    assert _best(longer)["response"] == "PR"
    assert _best(longer, rules=Confirmation(max_ne_between=2))["response"] == "CR"


def test_marks_must_fit() -> None:
    with pytest.raises(UsageError, match="as many marks as responses"):
        best_response(["PR", "PR"], [30, 60], carried=[True])


# -- what returns ---


def test_what_returns_after_a_partial_response_is_judged_by_its_sum(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "faults" / "stats" / "reappears_after_pr.csv")
    made = assess(table)
    assert made.visits["response"].tolist() == ["", "PR", "PR", "PR"]
    assert made.best["response"].tolist() == ["PR"]


@pytest.mark.parametrize(
    ("sums", "non_target", "responses"),
    [
        ([40, 0, 3], ["CR", "CR", "CR"], ["CR", "PD"]),
        ([40, 0, 3], ["NON-CR/NON-PD", "NE", "NE"], ["PR", "PR"]),
        ([40, 0, 6], ["NON-CR/NON-PD"] * 3, ["PR", "PD"]),  # 5 mm and more above the smallest sum
        ([40, 0, 0, 3], ["NON-CR/NON-PD", "NON-CR/NON-PD", "CR", "CR"], ["PR", "CR", "PD"]),
        ([40, 0, 3, 3], ["none"] * 4, ["CR", "PD", "PR"]),
    ],
)
def test_reappearance(sums: list[float], non_target: list[object], responses: list[str]) -> None:
    made = derive_responses(_visits(sums, non_target=non_target), non_target="non_target")
    assert made["response"].tolist()[1:] == responses


# -- not fully measured ---


def test_a_visit_not_measured_in_full_gives_no_best_change(shared_data: Path) -> None:
    four = pd.read_csv(shared_data / "faults" / "tables" / "v_incomplete.csv")
    assert _best(four)["best_change_percent"] == pytest.approx(-57.69, abs=0.01)
    made = assess(lesions=shared_data / "faults" / "tables" / "adtr_les.csv")
    best = made.best.set_index("patient")["best_change_percent"]
    assert best["01-701-1118"] == pytest.approx(-57.69, abs=0.01)
    partly = made.visits["reason"] == "not all targets measured"
    assert partly.sum() > 0
    assert made.visits.loc[partly, "change_percent"].isna().all()


@pytest.mark.parametrize("partial", [0.0, 5.0, 30.0, 80.0])
def test_a_partial_sum_changes_no_best_change(partial: float) -> None:
    whole = _best(_visits([100, 60, 55]).assign(all_targets="yes"))
    part = pd.DataFrame({"patient": ["A"], "day": [140], "sum_mm": [partial], "all_targets": ["no"]})
    more = pd.concat([_visits([100, 60, 55]).assign(all_targets="yes"), part])
    found = _best(more)
    assert found["best_change_percent"] == whole["best_change_percent"]
    assert found["response"] in (whole["response"], "PD")


# -- another therapy ---


def _switched(day: object, *, rule: str = "ignore", **columns: object) -> Patients:
    clinical = pd.DataFrame({"patient": ["A"], "new_therapy_day": [day], **columns})
    return read_patients(clinical, visits=_visits([100, 90, 60, 55, 90]), new_therapy_rule=rule)  # type: ignore[arg-type]


def test_responses_after_a_new_therapy_do_not_count() -> None:
    free = _switched(None)
    assert free.table["response"].tolist() == ["PR"]
    found = _switched(100)
    assert found.table["response"].tolist() == ["SD"]
    assert found.assessment is not None
    assert found.assessment.visits["after_new_therapy"].tolist() == [False, False, True, True, True]
    row = found.assessment.best.iloc[0]
    assert (row["n_visits"], row["n_after_new_therapy"], row["new_therapy_day"]) == (1, 3, 100)
    assert row["best_change_percent"] == pytest.approx(-10)
    assert any("responses after it do not count" in note for note in found.notes)
    assert _switched(112).table["response"].tolist() == ["SD"], "one visit of the two is on the day itself"


def test_a_therapy_before_the_first_scan_leaves_nothing_and_says_why() -> None:
    found = _switched(20)
    assert found.table["response"].tolist() == ["NE"]
    assert found.assessment is not None
    assert found.assessment.best["reason"].tolist() == ["every visit is after the start of a new therapy"]
    assert any("no visit before the start of a new therapy count as NE: A" in note for note in found.notes)
    assert found.table["pfs_visits_reason"].tolist() == ["progression"]
    assert _switched(20, rule="censor").table["pfs_visits_months"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("day", "rule", "end", "event", "reason"),
    [
        (100.0, "ignore", 224, 1, "progression"),
        (100.0, "censor", 56, 0, "last evaluable visit before the new therapy"),
        (100.0, "event", 100, 1, "start of a new therapy"),
        (300.0, "censor", 224, 1, "progression"),
        (300.0, "event", 224, 1, "progression"),
        (20.0, "censor", 0, 0, "before the new therapy"),
        (None, "event", 224, 1, "progression"),
    ],
)
def test_progression_free_survival_by_the_rule(
    day: float | None, rule: str, end: float, event: int, reason: str
) -> None:
    visits = derive_responses(_visits([100, 90, 60, 55, 90]))
    therapies = {} if day is None else {"A": day}
    row = progression_free(visits, new_therapy=therapies, rule=rule).iloc[0]  # type: ignore[arg-type]
    assert (row["day"], row["event"]) == (end, event)
    assert reason in row["reason"]
    with pytest.raises(UsageError, match="unknown rule"):
        progression_free(visits, rule="sometimes")  # type: ignore[arg-type]


def test_deaths_and_visits_that_tell_nothing() -> None:
    visits = derive_responses(_visits([100, 90, float("nan")]))
    row = progression_free(visits).iloc[0]
    assert row.tolist()[:4] == ["A", 56.0, 0.0, "censored at the last evaluable visit"]
    dead = progression_free(visits, deaths={"A": 400.0}).iloc[0]
    assert (dead["day"], dead["event"], dead["reason"]) == (400, 1, "death")
    nothing = progression_free(derive_responses(_visits([100, float("nan")]))).iloc[0]
    assert (nothing["day"], nothing["event"]) == (0, 0)
    assert "no evaluable visit" in nothing["reason"]


def test_a_new_therapy_as_date_unit_or_nonsense() -> None:
    visits = _visits([100, 60, 55])
    dated = pd.DataFrame({"patient": ["A"], "first_dose": ["2024-01-01"], "new_therapy_date": ["2024-02-10"]})
    assert read_patients(dated, visits=visits).table["new_therapy_day"].tolist() == [40]
    columns = ColumnMap(new_therapy="switch", new_therapy_unit="weeks")
    weeks = pd.DataFrame({"patient": ["A"], "switch": [10]})
    assert read_patients(weeks, columns=columns, visits=visits).table["new_therapy_day"].tolist() == [70]
    with pytest.raises(UsageError, match="the unit of 'switch' was not said"):
        read_patients(weeks, columns=ColumnMap(new_therapy="switch"), visits=visits)
    with pytest.raises(DataError, match="cannot be counted"):
        read_patients(dated.drop(columns="first_dose"), visits=visits)
    with pytest.raises(DataError, match=r"row 0 .*before the first dose; found 'day -3'"):
        _switched(-3)


# -- nothing to tell ---


@pytest.mark.parametrize(
    ("table", "best", "reason"),
    [
        (pd.DataFrame({"patient": "A", "day": [-40, -5], "sum_mm": [90, 100]}), "MISSING", "no visit after baseline"),
        (_visits([100, float("nan"), float("nan")]), "NE", "no visit was evaluable"),
        (_visits([100, 95], step=14), "NE", "no visit from day 28 on was evaluable: the last one was on day 14"),
        (_visits([100, 95]), "SD", ""),
    ],
)
def test_why_there_is_no_response(table: pd.DataFrame, best: str, reason: str) -> None:
    row = _best(table)
    assert (row["response"], row["reason"]) == (best, reason)


# -- table and visits ---


def _contradictory() -> Patients:
    clinical = pd.DataFrame(
        {
            "patient": ["A", "B", "C", "D"],
            "response": ["PR", "SD", "CR", "SD"],
            "best_change_percent": [-40.0, -10.0, -100.0, 0.0],
            "pfs_months": [3.7, 6.0, 9.0, 7.0],
            "pfs_event": [0, 0, 0, 1],
            "os_months": [9.0, 9.0, 9.0, 3.0],
            "os_event": [0, 0, 0, 1],
        }
    )
    visits = pd.concat(
        [
            _visits([100, 60, 60], patient="A", non_target=["none"] * 3),
            _visits([100, 60, 110], patient="B", non_target=["none"] * 3),
            _visits([30, 0, 0, 0], patient="C", non_target=["CR", "CR", "CR", "NON-CR/NON-PD"]),
            _visits([100, 100, 100, 100], patient="D", non_target=["none"] * 4),
        ]
    )
    return read_patients(clinical, visits=visits)


def test_contradictions_are_listed() -> None:
    found = _contradictory()
    listed = found.contradictions.groupby("patient")["what"].apply(list).to_dict()
    assert listed == {
        "B": ["best change, per cent", "progression-free survival"],
        "C": ["non-targets back after a complete response"],
        "D": ["progression-free survival", "visit after death"],
    }
    row = found.contradictions.set_index(["patient", "what"]).loc[("B", "progression-free survival")]
    assert (row["table"], row["visits"]) == ("no event at month 6", "progression, month 3.68")
    assert any("2 contradictions, progression-free survival: B no event at month 6" in note for note in found.notes)
    assert (found.table["pfs_visits_event"] == [0, 1, 0, 1]).all()


def test_contradictions_and_pfs_by_the_visits_reach_the_study(tmp_path: Path) -> None:
    found = _contradictory()
    study = summarise_study(found)
    assert study.contradictions is found.contradictions
    titles = study.endpoints["endpoint"].tolist()
    assert titles.index("PFS") < titles.index("PFS by the visits")
    levels = level_rows({(name, "baseline"): 1.0 for name in "ABCD"})
    write_cohort(build_cohort(levels=[levels], clinical=found), tmp_path / "c.h5ad")
    again = summarise_study(read_cohort(tmp_path / "c.h5ad"), landmarks=[4], landmark_response="confirmed")
    assert again.contradictions["patient"].tolist() == found.contradictions["patient"].tolist()
    assert again.landmarks["grouped_by"].tolist() == ["response_confirmed_months"] * 2


def test_best_responses_of_visits_that_were_stored() -> None:
    made = derive_responses(_visits([100, 70, 83]))
    assert best_responses(made)["response"].tolist() == ["SD"]


@pytest.mark.parametrize(
    ("months", "event", "contradicts"),
    [
        (3.7, 1, False),  # the day of the progression
        (3.9, 1, False),  # within a visit window of it
        (6.0, 1, True),
        (2.0, 1, True),
        (3.6, 0, True),  # followed to the progression, and none recorded
        (6.0, 0, True),
        (2.0, 0, False),  # the table's follow-up ended before
    ],
)
def test_which_times_contradict_a_progression_of_the_visits(months: float, event: int, contradicts: bool) -> None:
    clinical = pd.DataFrame({"patient": ["A"], "pfs_months": [months], "pfs_event": [event]})
    found = read_patients(clinical, visits=_visits([100, 100, 130]))
    assert bool(len(found.contradictions)) is contradicts


@pytest.mark.parametrize(("months", "contradicts"), [(3.0, True), (3.6, False), (8.0, False)])
def test_visits_that_end_before_an_event_contradict_nothing(months: float, contradicts: bool) -> None:
    clinical = pd.DataFrame({"patient": ["A"], "pfs_months": [months], "pfs_event": [1]})
    found = read_patients(clinical, visits=_visits([100, 100, 100]))
    assert bool(len(found.contradictions)) is contradicts
