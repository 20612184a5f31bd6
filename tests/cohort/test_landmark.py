"""Times by response from a landmark: groups by what is known at it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.cohort.columns import ColumnMap, EventColumns
from biomarkers.cohort.endpoints import landmark_groups, survival_by_response
from biomarkers.cohort.patients import Patients, read_patients
from biomarkers.cohort.summary import summarise_study
from biomarkers.core.errors import UsageError

DAYS = ColumnMap(endpoints={"pfs": EventColumns(time="pfs_days", event="pfs_event", event_when=("1",), unit="days")})


def _patients(folder: Path) -> Patients:
    stats = folder / "faults" / "stats"
    return read_patients(stats / "landmark_clinical.csv", columns=DAYS, visits=stats / "landmark_visits.csv")


def test_groups_are_by_what_is_known_at_the_landmark(shared_data: Path) -> None:
    found = _patients(shared_data)
    groups = landmark_groups(found.table, endpoint="pfs", at=2)
    assert groups["responded"].to_dict() == {"A": True, "B": True, "C": False}
    assert found.table["response"].tolist() == ["PR", "SD", "SD"], "B's response was never confirmed"
    row = summarise_study(found, landmarks=[2]).landmarks.iloc[0]
    assert (row["n_responded"], row["n_not"], row["grouped_by"]) == (2, 1, "response_seen_months")


def test_confirmed_responses_only_from_where_they_could_be(shared_data: Path) -> None:
    found = _patients(shared_data)
    with pytest.raises(UsageError, match=r"no response could have been confirmed by the landmark; found 'month 2'"):
        summarise_study(found, landmarks=[2], landmark_response="confirmed")
    row = summarise_study(found, landmarks=[3], landmark_response="confirmed").landmarks.iloc[0]
    # confirmed on day 112, after month 3; B has left
    assert (row["n_responded"], row["n_not"]) == (0, 2)
    later = landmark_groups(found.table, endpoint="pfs", at=3.68, response_months="response_confirmed_months")
    assert later["responded"].to_dict() == {"A": True}
    with pytest.raises(UsageError, match="no such response at a landmark"):
        summarise_study(found, landmarks=[3], landmark_response="both")  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [2.0, 2.5, 3.0])
def test_what_comes_after_a_landmark_moves_nobody(at: float) -> None:
    """Cut the visits off at the landmark, or let them go on in any way: the groups are the same."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(40):
        size = 100.0
        for day in range(0, 300, 28):
            rows.append([f"P{i:02d}", day, round(size, 1)])
            size *= float(rng.choice([0.6, 0.9, 1.0, 1.3]))
    visits = pd.DataFrame(rows, columns=["patient", "day", "sum_mm"])
    clinical = pd.DataFrame({"patient": visits["patient"].unique(), "pfs_months": 20.0, "pfs_event": 0})
    whole = read_patients(clinical, visits=visits).table
    cut = read_patients(clinical, visits=visits[visits["day"] <= at * 30.4375]).table
    for column in ("response_seen_months", "response_confirmed_months"):
        one, other = (
            landmark_groups(table, endpoint="pfs", at=at, response_months=column)["responded"] for table in (whole, cut)
        )
        pd.testing.assert_series_equal(one, other)
    assert landmark_groups(whole, endpoint="pfs", at=at)["responded"].any()


def test_a_response_of_the_table_alone_says_what_it_may_know() -> None:
    patients = pd.DataFrame(
        {"pfs_months": [9.0, 8, 7, 6], "pfs_event": [1, 1, 0, 1], "ttr_months": [2.0, 2, np.nan, np.nan]},
        index=list("abcd"),
    )
    row = survival_by_response(patients, endpoint="pfs", at=3).iloc[0]
    assert row["grouped_by"] == "ttr_months"
    assert "the groups know the future" in row["note"]
    assert 0 < row["p"] <= 1
    assert 0 < row["p_asymptotic"] <= 1


def test_one_group_only_has_a_note_and_no_p() -> None:
    patients = pd.DataFrame(
        {"pfs_months": [9.0, 8], "pfs_event": [1, 1], "ttr_months": [5.0, np.nan]}, index=["a", "b"]
    )
    row = survival_by_response(patients, endpoint="pfs", at=3).iloc[0]
    assert np.isnan(row["p"])
    assert row["note"]
