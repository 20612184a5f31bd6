"""End points: response rate, times, and the published cohorts they must reproduce."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.cohort.clinical import read_clinical
from biomarkers.cohort.columns import ColumnMap
from biomarkers.cohort.endpoints import (
    end_points,
    endpoint_arrays,
    landmark_groups,
    response_times,
    survival_by_response,
)
from biomarkers.cohort.response import normalise_responses
from biomarkers.cohort.tables import read_table
from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats.cox_model import cox


def _patients(**columns: list[object]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.Index([f"P{i}" for i in range(size)], name="patient"))


def _one(table: pd.DataFrame, endpoint: str, method: str = "") -> pd.Series:
    return table[(table["endpoint"] == endpoint) & table["method"].str.contains(method)].iloc[0]


def test_response_rate_counts_not_evaluable_patients() -> None:
    # the published trial: 19 of 52, Clopper-Pearson 23.6 to 51.0
    found = end_points(_patients(response=["CR"] + ["PR"] * 18 + ["SD"] * 29 + ["PD"] * 3 + ["NE"]))
    rate = _one(found, "objective response rate", "Clopper")
    assert (rate["n"], rate["events"]) == (52, 19)
    np.testing.assert_allclose([rate["value"], rate["ci_low"], rate["ci_high"]], [0.3654, 0.2362, 0.5104], atol=5e-5)
    assert "NE 1" in rate["note"]
    wilson = _one(found, "objective response rate", "Wilson")
    assert rate["ci_low"] < wilson["ci_low"] < wilson["ci_high"] < rate["ci_high"]


def test_times_of_responders_only() -> None:
    patients = _patients(response=["PR", "PR", "SD"], pfs_months=[10.0, 20.0, 5.0], pfs_event=[1, 0, 1])
    best = pd.DataFrame({"patient": ["P0", "P1", "P2"], "first_response_day": [60.875, 121.75, np.nan]})
    timed = response_times(patients, best)
    np.testing.assert_allclose(timed["ttr_months"].to_numpy()[:2], [2.0, 4.0])
    np.testing.assert_allclose(timed["dor_months"].to_numpy()[:2], [8.0, 16.0])
    assert timed["dor_event"].isna().tolist() == [False, False, True]
    found = end_points(timed)
    ttr = _one(found, "time to response")
    assert (ttr["value"], ttr["ci_low"], ttr["ci_high"], ttr["n"]) == (3.0, 2.0, 4.0, 2)
    assert _one(found, "duration of response")["value"] == pytest.approx(8.0)
    assert _one(found, "follow-up (PFS)")["n"] == 3


def test_a_response_after_its_end_stops() -> None:
    patients = _patients(pfs_months=[3.0], pfs_event=[1])
    best = pd.DataFrame({"patient": ["P0"], "first_response_day": [300.0]})
    with pytest.raises(DataError, match=r"patient P0: PFS ends before the response; found '-6\.9 months'"):
        response_times(patients, best)


def test_landmark_leaves_early_patients_out() -> None:
    patients = _patients(
        pfs_months=[1.0, 6.0, 9.0, 5.0, 12.0], pfs_event=[1, 1, 0, 1, 1], ttr_months=[np.nan, 2.0, 3.5, np.nan, 5.0]
    )
    row = survival_by_response(patients, endpoint="pfs", at=4).iloc[0]
    # the late responder counts with those who had not responded by the landmark
    assert (row["n_responded"], row["n_not"]) == (2, 2)
    assert row["note"].startswith("1 patients with an event or censored before month 4")
    with pytest.raises(UsageError, match="negative"):
        survival_by_response(patients, endpoint="pfs", at=-1)
    with pytest.raises(UsageError, match="no column 'rfs_months'"):
        endpoint_arrays(patients, "rfs")


def test_nobody_has_a_time() -> None:
    found = end_points(_patients(pfs_months=[np.nan], pfs_event=[np.nan]))
    assert _one(found.fillna({"method": ""}), "PFS")["note"] == "nobody has a time"


@pytest.mark.slow
def test_pfs_by_response_without_a_landmark_would_lie() -> None:
    """Response unrelated to PFS, but a responder must stay free of progression until the response."""
    from biomarkers.stats.survival import log_rank

    rng = np.random.default_rng(1)
    naive, landmarked = [], []
    for _ in range(120):
        pfs, when = rng.exponential(8, 80), rng.exponential(8, 80)
        patients = _patients(
            pfs_months=list(pfs), pfs_event=[1] * 80, ttr_months=list(np.where(when < pfs, when, np.nan))
        )
        naive.append(log_rank(pfs, np.ones(80), (when < pfs).astype(int)).p < 0.05)
        landmarked.append(survival_by_response(patients, endpoint="pfs", at=3)["p"].iloc[0] < 0.05)
    assert np.mean(naive) > 0.6
    assert np.mean(landmarked) < 0.12


# -- published cohorts ---


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("Checkmate057_1A", 0.750),
        ("Checkmate057_1C", 0.915),
        ("Checkmate017_1", 0.589),
        ("Checkmate017_2B", 0.618),
        ("KEYNOTE024_1A", 0.487),
        ("KEYNOTE024_2", 0.615),
    ],
)
def test_digitised_trials_give_their_hazard_ratios(shared_data: Path, name: str, ratio: float) -> None:
    table = read_table(shared_data / "cohorts" / "km_ipd" / f"{name}.csv")
    arms = sorted(table["arm"].unique())
    control = next(arm for arm in arms if arm.startswith(("chemo", "d")))
    patients = table.rename(columns={"time": "os_months", "event": "os_event"})
    time, event = endpoint_arrays(patients, "os")
    treated = (table["arm"] != control).to_numpy(dtype=float)
    assert cox(time, event, {"arm": treated})["arm"].ratio.value == pytest.approx(ratio, abs=1e-3)


def test_survival_of_imvigor210(shared_data: Path) -> None:
    table = read_table(shared_data / "cohorts" / "imvigor210" / "imvigor210_IHC_plus_RNA.csv")
    columns = ColumnMap.model_validate(
        {
            "patient": "Sample_ID",
            "response": "Best.Confirmed.Overall.Response",
            "endpoints": {"os": {"time": "os", "event": "censOS", "event_when": ["1"], "unit": "months"}},
        }
    )
    patients = read_clinical(table, columns=columns, where="imvigor210").patients
    known = patients["IC.Level"].notna()
    level = patients.loc[known, "IC.Level"].map({"IC0": 0, "IC1": 1, "IC2+": 2}).astype(float)
    assert len(level) == 347
    time, event = endpoint_arrays(patients[known], "os")
    assert int(event.sum()) == 232
    found = cox(time, event, {"ic": level.to_numpy()})["ic"]
    assert found.ratio.value == pytest.approx(0.7527, abs=5e-5)
    assert found.test.p == pytest.approx(6.2e-4, rel=0.02)
    words = normalise_responses(table["Best.Confirmed.Overall.Response"])
    assert int((words == "NE").sum()) == 348 - 298


def test_transforms_of_the_median_differ_as_in_r(shared_data: Path) -> None:
    data = read_table(shared_data / "stats" / "data.csv")
    reference = read_table(shared_data / "stats" / "reference.csv")
    patients = data.rename(columns={"pfs": "pfs_months"})
    for transform, name in (
        ("plain", "km_median_plain_BrookmeyerCrowley"),
        ("log", "km_median_log"),
        ("log-log", "km_median_loglog"),
    ):
        mine = _one(end_points(patients[["pfs_months", "pfs_event"]], transform=transform), "PFS")
        rows = reference[(reference.iloc[:, 0] == f"{name}[pfs]")]
        by_r = rows[rows.apply(lambda row: "R survival" in " ".join(map(str, row)), axis=1)].iloc[0].tolist()
        np.testing.assert_allclose([mine["value"], mine["ci_low"], mine["ci_high"]], by_r[2:5])


def test_a_response_on_the_day_of_the_landmark_is_known_at_it():
    patients = pd.DataFrame(
        {"pfs_months": [9.0, 9.0, 9.0], "pfs_event": [1, 1, 1], "ttr_months": [2.0, 2.1, np.nan]},
        index=pd.Index(["on the day", "later", "never"], name="patient"),
    )
    groups = landmark_groups(patients, endpoint="pfs", at=2.0)
    assert groups["responded"].tolist() == [True, False, False]
    assert groups["pfs_months"].tolist() == [7.0, 7.0, 7.0]
