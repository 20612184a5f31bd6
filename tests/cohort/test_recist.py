"""RECIST 1.1: the worked vectors, the tables of the guideline, and the traps of floats."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.cohort.best_response import Confirmation, best_response, best_responses
from biomarkers.cohort.irecist import best_immune_response, immune_responses
from biomarkers.cohort.lesions import sums_from_lesions
from biomarkers.cohort.recist import NON_CR_NON_PD, Visit, derive_responses, overall_response
from biomarkers.core.errors import DataError, UsageError


def _visits(sums: list[float], **columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"patient": "P1", "day": [0, *range(50, 50 * len(sums), 50)], "sum_mm": sums, **columns})


def _responses(sums: list[float], **columns: list[object]) -> list[str]:
    named = {name: name for name in columns if name != "new_lesion"}
    return derive_responses(_visits(sums, **columns), **named)["response"].tolist()[1:]  # type: ignore[arg-type]


VECTORS = [
    ("2020-01-01", "PR 2020-01-01, CR 2020-02-01, NE 2020-02-16, CR 2020-03-01, SD 2020-04-01", "CR"),
    ("2019-12-12", "SD 2020-01-01, PR 2020-02-01, SD 2020-03-01, CR 2020-03-13", "SD"),
    ("2019-11-11", "CR 2019-11-12, CR 2019-12-02, SD 2020-01-01", "SD"),
    ("2019-12-30", "PR 2020-01-01, SD 2020-03-01, SD 2020-04-01, PR 2020-05-01, NON-CR/NON-PD 2020-05-15", "SD"),
    ("2020-01-01", "PR 2020-01-01, SD 2020-01-10, PR 2020-01-20, NON-CR/NON-PD 2020-05-15", "NON-CR/NON-PD"),
    ("2020-02-02", "PR 2020-02-06, CR 2020-02-16, PR 2020-03-30", "SD"),
    ("2020-02-02", "PR 2020-02-06, CR 2020-02-16, NE 2020-04-01", "NE"),
    ("2020-01-01", "", "MISSING"),
    ("2020-02-01", "PD 2020-02-16, SD 2020-03-06", "PD"),
]


@pytest.mark.parametrize(("start", "series", "best"), VECTORS)
def test_confirmed_best_overall_response(start: str, series: str, best: str) -> None:
    parts = [part.split() for part in series.split(", ")] if series else []
    days = [(date.fromisoformat(when) - date.fromisoformat(start)).days for _, when in parts]
    assert best_response([word for word, _ in parts], days) == best


def test_an_assigned_partial_response_is_carried() -> None:
    # the question of the RECIST FAQ: 100, 70, 70, 80, 80, 80 is PR at every visit
    assert _responses([100, 70, 70, 80, 80, 80]) == ["PR"] * 5


@pytest.mark.parametrize(
    ("sums", "responses"),
    [
        ([90, 63], ["PR"]),  # 0.7 * 90 is 62.99999999999999 in a float
        ([100, 70.1], ["SD"]),
        ([50, 60], ["PD"]),  # 20% and 10 mm
        ([100, 119], ["SD"]),
        ([20, 24], ["SD"]),  # 20% but 4 mm
        ([20, 25], ["PD"]),
        ([100, 60, 72], ["PR", "PD"]),  # 20% above the smallest sum
        ([100, 60, 71], ["PR", "PR"]),
        ([100, 40, 0, 3], ["PR", "CR", "PD"]),  # disease after a complete response
        ([100, float("nan"), 60], ["NE", "PR"]),
        ([100, 80, 97, 90], ["SD", "PD", "SD"]),  # 97 is 21% and 17 mm above 80
    ],
)
def test_target_lesions(sums: list[float], responses: list[str]) -> None:
    assert _responses(sums) == responses


@pytest.mark.parametrize(
    ("target", "non_target", "new", "overall"),
    [
        ("CR", "CR", False, "CR"),
        ("CR", "none", False, "CR"),
        ("CR", NON_CR_NON_PD, False, "PR"),
        ("CR", "NE", False, "PR"),
        ("PR", NON_CR_NON_PD, False, "PR"),
        ("PR", "NE", False, "PR"),
        ("SD", NON_CR_NON_PD, False, "SD"),
        ("SD", "NE", False, "SD"),
        ("NE", NON_CR_NON_PD, False, "NE"),
        ("PD", "CR", False, "PD"),
        ("CR", "PD", False, "PD"),
        ("CR", "CR", True, "PD"),
        ("NE", "CR", True, "PD"),
        ("", "CR", False, "CR"),
        ("", NON_CR_NON_PD, False, NON_CR_NON_PD),
        ("", "NE", False, "NE"),
        ("", "PD", False, "PD"),
    ],
)
def test_overall_response_table(target: str, non_target: str, new: bool, overall: str) -> None:
    visit = Visit(0, 50, 50, True, False, non_target, new)
    assert overall_response(target, visit)[0] == overall


def test_new_and_non_target_lesions_and_missing_targets() -> None:
    assert _responses([100, 60, 60], new_lesion=["", "no", "yes"]) == ["PR", "PD"]
    assert _responses([100, 60], non_target=["NON-CR/NON-PD", "PD"]) == ["PD"]
    # part of the targets can show progression and nothing else
    assert _responses([100, 50, 130], all_targets=[1, 0, 0]) == ["NE", "PD"]
    # lymph nodes below 10 mm leave a sum behind
    assert _responses([60, 9], targets_gone=[0, 1]) == ["CR"]


def test_no_target_disease_goes_by_the_non_targets() -> None:
    words = ["NON-CR/NON-PD", "NON-CR/NON-PD", "CR"]
    assert _responses([float("nan")] * 3, non_target=words) == [NON_CR_NON_PD, "CR"]


def test_reasons_say_what_decided() -> None:
    made = derive_responses(_visits([100, 70, 84, 80]))
    assert made["reason"].tolist() == [
        "baseline",
        "sum -30% from baseline",
        "sum +20% from nadir 70 mm",
        "sum -20% from baseline",
    ]
    assert made["response"].tolist() == ["", "PR", "PD", "SD"]
    np.testing.assert_allclose(made["change_percent"], [0, -30, -16, -20])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sum_mm": [100, -1]}, "row 1 .*: a negative sum"),
        ({"day": [0, 0]}, "rows 0, 1 .*: two visits of one patient on one day"),
        ({"day": [20, 40]}, "patient 'P1' has no baseline sum"),
        ({"day": [0, None]}, "row 1 .*: a visit without a day"),
        ({"new_lesion": ["no", "perhaps"]}, "must say yes or no; found 'perhaps'"),
    ],
)
def test_bad_visits(change: dict[str, list[object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        derive_responses(pd.DataFrame({**_visits([100, 90]).to_dict("list"), **change}))


def test_options_of_confirmation() -> None:
    assert best_response(["PR"], [60], rules=Confirmation(confirm_days=0)) == "PR"
    assert best_response(["PR", "SD", "PR"], [30, 60, 90]) == "SD"
    assert best_response(["PR", "SD", "PR"], [30, 60, 90], rules=Confirmation(sd_between=True)) == "PR"
    assert best_response(["PR", "NE", "NE", "PR"], [30, 60, 90, 120]) == "SD"
    assert best_response(["PR", "NE", "NE", "PR"], [30, 60, 90, 120], rules=Confirmation(max_ne_between=2)) == "PR"
    assert best_response(["SD"], [40], rules=Confirmation(min_sd_days=42)) == "NE"
    assert best_response(["CR", "CR"], [30, 60]) == "CR"
    assert best_response(["PR", "PD", "CR", "CR"], [30, 60, 90, 120]) == "SD"
    with pytest.raises(UsageError, match="rise"):
        best_response(["PR", "PR"], [30, 30])
    with pytest.raises(UsageError, match="not a visit's response"):
        best_response(["uPR"], [30])


def test_best_of_every_patient() -> None:
    one = _visits([100, 60, 50, 90])
    two = _visits([100, 110]).assign(patient="P2")
    three = _visits([50]).assign(patient="P3")
    found = best_responses(derive_responses(pd.concat([one, two, three]))).set_index("patient")
    assert found["response"].to_dict() == {"P1": "PR", "P2": "SD", "P3": "MISSING"}
    assert found["best_change_percent"].tolist()[:2] == pytest.approx([-50, 10])
    assert np.isnan(found.loc["P3", "best_change_percent"])
    assert found.loc["P1", "first_response_day"] == 50
    assert found.loc["P1", "progression_day"] == 150


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["CR", "PR", "SD", "PD", "NE"]), max_size=8),
    st.integers(0, 60),
)
def test_asking_for_less_never_makes_a_response_worse(words: list[str], confirm_days: int) -> None:
    order = ["CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE", "MISSING"]
    days = [30.0 * (i + 1) for i in range(len(words))]
    strict = best_response(words, days, rules=Confirmation(confirm_days=confirm_days))
    free = best_response(words, days, rules=Confirmation(confirm_days=0))
    assert order.index(free) <= order.index(strict)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=2, max_size=8), st.sampled_from([0.5, 2.0]))
def test_rows_may_stand_in_any_order(sums: list[int], factor: float) -> None:
    table = _visits([max(sums[0], 10), *map(float, sums[1:])])
    made = derive_responses(table)
    pd.testing.assert_frame_equal(derive_responses(table.iloc[::-1]), made)


# -- iRECIST ---


def _immune(sums: list[float], **columns: list[object]) -> list[str]:
    named = {name: name for name in columns if name != "new_lesion"}
    return immune_responses(derive_responses(_visits(sums, **columns), **named))["immune_response"].tolist()[1:]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sums", "new", "responses"),
    [
        ([100, 130, 136], None, ["iUPD", "iCPD"]),
        ([100, 130, 132, 137], None, ["iUPD", "iUPD", "iCPD"]),
        ([100, 130, 60], None, ["iUPD", "iPR"]),  # pseudoprogression
        ([100, 130, 110, 125], None, ["iUPD", "iSD", "iUPD"]),  # taken back, then unconfirmed again
        ([100, 90, 90], [0, 1, 1], ["iUPD", "iCPD"]),
        ([100, 90, 90], [0, 1, 0], ["iUPD", "iSD"]),
        ([100, 130, 90], [0, 0, 1], ["iUPD", "iCPD"]),  # another kind of progression joins
        ([100, 130, float("nan"), 140], None, ["iUPD", "NE", "iCPD"]),
        ([100, 130, 140, 60], None, ["iUPD", "iCPD", ""]),
    ],
)
def test_immune_responses(sums: list[float], new: list[object] | None, responses: list[str]) -> None:
    assert _immune(sums, **({} if new is None else {"new_lesion": new})) == responses


def test_best_immune_response() -> None:
    assert best_immune_response(["iUPD", "iPR"]) == "iPR"
    assert best_immune_response(["iUPD", "iCPD"]) == "iCPD"
    assert best_immune_response([]) == "MISSING"


# -- lesions ---


def _lesions(*rows: tuple[int, str, str, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["day", "lesion", "organ", "diameter_mm", "node"]).assign(patient="P1")


def test_sums_from_lesions() -> None:
    table = _lesions(
        (0, "a", "lung", 30, 0),
        (0, "n", "node", 20, 1),
        (60, "a", "lung", 0, 0),
        (60, "n", "node", 8, 1),
        (120, "a", "lung", 0, 0),
    )
    sums = sums_from_lesions(table)
    assert sums["sum_mm"].tolist() == [50, 8, 0]
    assert sums["all_targets"].tolist() == [True, True, False]
    made = derive_responses(sums, all_targets="all_targets", targets_gone="targets_gone")
    assert made["response"].tolist() == ["", "CR", "NE"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, f"l{i}", f"o{i}", 20, 0) for i in range(6)], "more than 5 target lesions"),
        ([(0, f"l{i}", "liver", 20, 0) for i in range(3)], "more than 2 target lesions in one organ"),
        ([(0, "a", "lung", 9, 0)], "a target below 10 mm"),
        ([(0, "a", "neck", 14, 1)], "a target below 10 mm .lymph node: 15 mm"),
        ([(0, "a", "lung", 20, 0), (50, "b", "lung", 20, 0)], "row 1 .*: a lesion that was not measured at baseline"),
        ([(0, "a", "lung", 20, 0), (0, "a", "lung", 21, 0)], "measured twice"),
        ([(0, "a", "lung", -20, 0)], "negative diameter"),
        ([(30, "a", "lung", 20, 0)], "row 0 .*: a patient without a target lesion"),
    ],
)
def test_bad_lesions(rows: list[tuple[int, str, str, float, int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        sums_from_lesions(_lesions(*rows))
