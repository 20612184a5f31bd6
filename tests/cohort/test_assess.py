"""Tumor measurements meet the clinical table: units, dates, lesions, and whose response counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.cohort.assess import assess
from biomarkers.cohort.best_response import Confirmation
from biomarkers.cohort.columns import ColumnMap
from biomarkers.cohort.join import build_cohort
from biomarkers.cohort.patients import read_patients
from biomarkers.core.errors import DataError, UsageError
from tests.cohort.rows_by_hand import level_rows

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample_data"
VISITS = pd.DataFrame(
    {"patient": ["P1"] * 3 + ["P2"] * 3, "day": [0, 56, 112] * 2, "sum_mm": [100.0, 60, 55, 100, 90, 95]}
)
CLINICAL = pd.DataFrame({"patient": ["P1", "P2"], "pfs_months": [10.0, 5.0], "pfs_event": [1, 0]})


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(6)), st.sampled_from([("days", 1.0), ("weeks", 7.0)]))
def test_order_of_rows_and_unit_of_time_do_not_matter(order: list[int], unit: tuple[str, float]) -> None:
    name, days = unit
    other = VISITS.iloc[order].assign(t=VISITS["day"] / days).drop(columns="day")
    columns = ColumnMap.model_validate({"visits": {"time": "t", "unit": name}})
    mine, theirs = assess(VISITS).best.set_index("patient"), assess(other, columns=columns).best.set_index("patient")
    pd.testing.assert_frame_equal(mine.sort_index(), theirs.sort_index())


def test_the_columns_name_tells_the_unit() -> None:
    months = VISITS.rename(columns={"day": "Month"}).assign(Month=[0, 2, 4] * 2)
    assert assess(months).visits["day"].tolist()[:3] == [0, 60.875, 121.75]


def test_dates_count_from_the_first_dose() -> None:
    clinical = pd.DataFrame({"patient": ["P1", "P2"], "first_dose": ["2024-01-01", "2024-02-01"]})
    start = pd.Series(pd.to_datetime(["2024-01-01"] * 3 + ["2024-02-01"] * 3))
    when = start + pd.to_timedelta(VISITS["day"], unit="D")
    dated = VISITS.drop(columns="day").assign(visit_date=when.dt.strftime("%Y-%m-%d"))
    found = read_patients(clinical, visits=dated)
    assert found.table["response"].tolist() == ["PR", "SD"]
    assert found.assessment is not None
    assert found.assessment.visits["day"].tolist() == [0, 56, 112] * 2
    with pytest.raises(DataError, match="a visit's day cannot be counted"):
        read_patients(clinical.assign(first_dose=["2024-01-01", None]), visits=dated)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (VISITS.rename(columns={"day": "t"}), "not clear when each visit was.*--visit-time COLUMN:UNIT"),
        (VISITS.assign(week=1), "not clear when each visit was"),
        (VISITS.drop(columns="sum_mm"), "no column 'sum_mm'"),
        (VISITS.drop(columns="patient"), "no column for the patient was named"),
    ],
)
def test_what_is_not_told_is_asked_for(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        assess(table)
    with pytest.raises(UsageError, match="neither visits nor lesions"):
        assess()


def test_usual_names_of_a_table_of_visits() -> None:
    found = assess(VISITS.rename(columns={"patient": "Patient ID", "sum_mm": "SLD"}))
    assert found.best["response"].tolist() == ["PR", "SD"]
    assert "visits: column 'SLD' is taken as the sum of diameters in mm" in found.notes
    assert "visits: column 'Patient ID' is taken as patient" in found.notes


def test_lesions_with_new_lesions_and_non_targets_from_visits() -> None:
    lesions = pd.DataFrame(
        {
            "patient": "P1",
            "day": [0, 0, 56, 56, 112],
            "lesion": ["a", "b", "a", "b", "a"],
            "organ": ["lung", "node", "lung", "node", "lung"],
            "diameter_mm": [30.0, 20.0, 0.0, 8.0, 0.0],
            "node": ["no", "yes", "no", "yes", "no"],
        }
    )
    # the node below 10 mm makes a complete response of a sum of 8 mm; then it was not measured
    assert assess(lesions=lesions).visits["response"].tolist() == ["", "CR", "NE"]
    visits = pd.DataFrame({"patient": "P1", "day": [56, 112, 168], "new_lesion": ["no", "no", "yes"]})
    both = assess(visits, lesions=lesions)
    assert both.visits["response"].tolist() == ["", "CR", "NE", "PD"]
    assert any("1 visits without a target measurement" in note for note in both.notes)
    with pytest.raises(UsageError, match="neither new lesions nor non-targets"):
        assess(visits.drop(columns="new_lesion"), lesions=lesions)


def test_responses_come_from_visits_where_the_table_has_none() -> None:
    found = read_patients(CLINICAL, visits=VISITS)
    assert found.table["response"].tolist() == ["PR", "SD"]
    np.testing.assert_allclose(found.table["best_change_percent"], [-45, -10])
    assert found.table["ttr_months"].iloc[0] == pytest.approx(56 / 30.4375)
    assert found.table["dor_months"].iloc[0] == pytest.approx(10 - 56 / 30.4375)
    assert any("derived from the visits" in note for note in found.notes)


def test_two_best_responses_are_told_and_one_is_chosen() -> None:
    recorded = CLINICAL.assign(response=["SD", "SD"])
    found = read_patients(recorded, visits=VISITS)
    assert found.table["response"].tolist() == ["SD", "SD"]
    assert np.isnan(found.table["ttr_months"].iloc[0]), "no responder, no time to response"
    assert any("P1 SD, by the visits PR" in note for note in found.notes)
    assert read_patients(recorded, visits=VISITS, response_from="visits").table["response"].tolist() == ["PR", "SD"]
    unconfirmed = read_patients(CLINICAL, visits=VISITS.iloc[[0, 1, 3, 4]], rules=Confirmation())
    assert unconfirmed.table["response"].tolist() == ["SD", "SD"]
    with pytest.raises(UsageError, match="response cannot come from visits"):
        read_patients(recorded, response_from="visits")
    with pytest.raises(UsageError, match="no such source"):
        read_patients(recorded, response_from="both")  # type: ignore[arg-type]


def test_both_sides_leftovers_are_told() -> None:
    visits = VISITS.replace({"patient": {"P2": "p-2"}})
    notes = " ".join(read_patients(CLINICAL, visits=visits).notes)
    assert "1 patients with visits are not in the clinical table: p-2" in notes
    assert "1 patients of the clinical table have no visits: P2" in notes
    assert "'p-2' resembles 'P2'" in notes
    with pytest.raises(DataError, match="no patient in common; found 'p-1, p-2'"):
        read_patients(CLINICAL, visits=VISITS.replace({"patient": {"P1": "p-1", "P2": "p-2"}}))


def test_who_was_never_seen_again_is_not_evaluable() -> None:
    found = read_patients(CLINICAL, visits=VISITS.iloc[:4])
    assert found.table["response"].tolist() == ["PR", "NE"]
    assert any("no visit after baseline count as NE: P2" in note for note in found.notes)


def test_immune_responses_beside() -> None:
    pseudo = VISITS.assign(sum_mm=[100.0, 130, 60, 100, 90, 95])
    best = assess(pseudo, immune=True).best.set_index("patient")
    assert best["response"].tolist() == ["PD", "SD"]
    assert best["immune_response"].tolist() == ["iPR", "iSD"]


def test_a_cohort_holds_its_visits() -> None:
    levels = level_rows({("P1", "baseline"): 1.0, ("P2", "baseline"): 2.0})
    cohort = build_cohort(levels=[levels], clinical=CLINICAL, visits=VISITS)
    assert cohort.obs["response"].tolist() == ["PR", "SD"]
    assert len(cohort.uns["visits"]) == 6
    assert cohort.uns["best_responses"]["response"].tolist() == ["PR", "SD"]


def test_sample_trial_agrees_with_its_clinical_table() -> None:
    """Simulated: the recorded best change is the rounded one of the sums; only unconfirmed responses differ."""
    recorded = pd.read_csv(SAMPLE_DATA / "simulated_clinical.csv").set_index("patient")
    best = assess(SAMPLE_DATA / "simulated_tumor_sums.csv").best.set_index("patient").reindex(recorded.index)
    same = recorded["best_response"] == best["response"]
    assert same.sum() >= 47
    responders = recorded["best_response"].isin(["CR", "PR"])
    unconfirmed = best["unconfirmed"].isin(["CR", "PR"])
    pd.testing.assert_series_equal(responders, unconfirmed, check_names=False)
    np.testing.assert_allclose(
        best.loc[responders, "best_change_percent"], recorded.loc[responders, "best_change_percent"], atol=0.15
    )
