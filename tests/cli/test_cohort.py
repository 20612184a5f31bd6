"""``biomarkers cohort`` as a user runs it: on the sample trial, on a spreadsheet's habits, and on what must stop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from biomarkers.cli.main import run
from biomarkers.cohort.store import read_cohort

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample_data"
CLINICAL = SAMPLE_DATA / "simulated_clinical.csv"
SUMS = SAMPLE_DATA / "simulated_tumor_sums.csv"


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("levels")
    assert run(["express", str(SAMPLE_DATA / "simulated_expression.h5ad"), "--out", str(out)]) == 0
    return out / "levels.csv"


def _run(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "biomarkers", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.slow
def test_the_sample_trial_in_a_child_process(levels: Path, tmp_path: Path) -> None:
    out = tmp_path / "trial.h5ad"
    done = _run("cohort", "--levels", levels, "--clinical", CLINICAL, "--visits", SUMS, "--immune", "--landmark", 4,
                "--transform", "plain", "--simulated", "--cube", tmp_path / "cube.nc", "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "objective response rate: 19 of 52, 36.5% (95% CI 23.6% to 51.0%)" in done.stdout
    assert "have another best response in the clinical table than by their visits" in " ".join(done.stdout.split())
    cohort = read_cohort(out)
    assert cohort.n_obs == 71
    assert cohort.obs["patient"].nunique() == 52
    assert len(cohort.uns["visits"]) == len(pd.read_csv(SUMS))
    cube = xr.load_dataset(tmp_path / "cube.nc")
    assert cube["level"].dims == ("patient", "timepoint", "biomarker")
    one = cube["level"].sel(patient="SIM-001", timepoint="on_treatment").to_numpy()
    np.testing.assert_allclose(one, cohort.to_df().loc["SIM-001|on_treatment"])
    folder = tmp_path / "trial"
    figures = {path.stem.split("_")[1] for path in (folder / "figures").glob("*.png")}
    assert {"flow", "waterfall", "spider", "swimmer", "Kaplan-Meier"} <= figures
    assert "Simulated data" in (folder / "report.html").read_text()
    record = json.loads((folder / "run.json").read_text())
    assert record["settings"]["transform"] == "plain"
    assert record["settings"]["sd_between"] is False, "defaults stand there too"
    assert {item["name"] for item in record["inputs"]} == {CLINICAL.name, SUMS.name, "levels.csv"}
    assert str(tmp_path) not in (folder / "run.json").read_text() + (folder / "report.html").read_text()
    best = pd.read_csv(folder / "best_responses.csv")
    assert set(best["immune_response"]) <= {"iCR", "iPR", "iSD", "iUPD", "iCPD", "NE"}
    assert pd.read_csv(tmp_path / "flow.csv")["n"].iloc[0] == 52


def test_a_spreadsheet_with_its_habits_gives_the_same_cohort(levels: Path, tmp_path: Path) -> None:
    """Title row, Windows line ends, semicolons, decimal commas, padded responses, other names and units."""
    table = pd.read_csv(CLINICAL)
    table["best_response"] = [f" {word.lower()} " for word in table["best_response"]]
    table["PFS_days"] = (table.pop("pfs_months") * 30.4375).round(4)
    table["PFS_censored"] = 1 - table.pop("pfs_event")
    table = table.rename(columns={"patient": "ID", "best_response": "BOR"})
    text = table.to_csv(sep=";", decimal=",", index=False, lineterminator="\r\n")
    sheet = tmp_path / "trial.csv"
    sheet.write_bytes(b"\xef\xbb\xbf" + f"Trial listing, data cut 2024\r\n\r\n{text}".encode())
    common = ["--levels", str(levels), "--no-figures"]
    named = ["--patient", "ID", "--response", "BOR", "--endpoint", "pfs=PFS_days:PFS_censored:0:days"]
    assert run(["cohort", *common, "--clinical", str(CLINICAL), "--out", str(tmp_path / "a.h5ad")]) == 0
    assert run(["cohort", *common, "--clinical", str(sheet), *named, "--out", str(tmp_path / "b.h5ad")]) == 0
    plain, habits = (read_cohort(tmp_path / name) for name in ("a.h5ad", "b.h5ad"))
    np.testing.assert_array_equal(plain.X, habits.X)
    assert plain.obs["response"].tolist() == habits.obs["response"].tolist()
    np.testing.assert_allclose(plain.obs["pfs_months"], habits.obs["pfs_months"], atol=1e-4)
    assert plain.obs["pfs_event"].tolist() == habits.obs["pfs_event"].tolist()
    assert any("title" in note for note in habits.uns["notes"])


def test_lesions_and_a_column_map(tmp_path: Path) -> None:
    (tmp_path / "clinical.csv").write_text("ID\nP1\nP2\n")
    (tmp_path / "lesions.csv").write_text(
        "ID,wk,lesion,organ,diameter_mm,node\nP1,0,a,lung,30,no\nP1,8,a,lung,18,no\nP1,16,a,lung,17,no\n"
        "P2,0,a,node,20,yes\nP2,8,a,node,22,yes\n"
    )
    (tmp_path / "map.toml").write_text('patient = "ID"\n[visits]\ntime = "wk"\nunit = "weeks"\n')
    words = [
        "cohort",
        "--clinical",
        "clinical.csv",
        "--lesions",
        "lesions.csv",
        "--columns",
        "map.toml",
        "--no-figures",
    ]
    done = _run(*words, "--out", "c.h5ad", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    best = pd.read_csv(tmp_path / "c" / "best_responses.csv").set_index("patient")
    assert best["response"].to_dict() == {"P1": "PR", "P2": "SD"}
    assert best["first_response_day"].to_dict()["P1"] == pytest.approx(56)
    assert "new lesions and non-targets are not known" in " ".join(done.stdout.split())


def test_patients_without_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trial.h5ad"
    words = ["cohort", "--clinical", CLINICAL, "--visits", SUMS, "--response-from", "visits", "--confirm-days", 0]
    assert run([*map(str, words), "--no-figures", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "No scores and no levels" in said
    assert "19 of 52" in said, "without confirmation the visits give the table's responders"
    assert not out.exists()
    assert (tmp_path / "trial" / "report.html").is_file()


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        ("patient,response\nP1,PR\nP1,SD\n", [], "row 2 and row 3: patient 'P1' stands twice"),
        ("patient,response\nP1,better\n", [], "row 2: not a response word; found 'better'"),
        ("patient,response,first_dose\nP1,PR,45000\n", [], "serial number"),
        ("patient,response,first_dose\nP1,PR,03/04/2024\n", [], "can be read two ways"),
        ("patient,os_months,os_event\nP1,-3,1\n", [], "negative time"),
        ("patient,os_months,os_event\nP1,1 year,1\nP2,3,0\n", [], "must hold numbers"),
        ("group,outcome\n,best\nP1,PR\n", [], "no column for the patient was named"),
        ("ID,Outcome,\n,response,OS\nP1,PR,3\nP2,SD,4\n", ["--patient", "ID"], "two header rows"),
        ("patient,response\nP1,=A1\n", [], "holds a formula"),
        ("patient,response\nP1,PR\n", ["--endpoint", "os=OS:dead"], "--endpoint is not understood"),
        ("patient,response\nP1,PR\n", ["--rename", "Pre"], "--rename is not understood"),
        ("patient,response\nP1,PR\n", ["--visit-time", "t"], "--visit-time is not understood"),
        ("patient,response\nP1,PR\n", ["--response-from", "visits"], "response cannot come from visits"),
        ("patient,response\nP1,PR\n", ["--visits", "absent.csv"], "no such table"),
        ("patient,response\nP1,PR\n", ["--columns", "absent.toml"], "absent.toml"),
        ("patient,response\nP1,PR\n", ["--cube", "c.nc"], "--cube needs scores or levels"),
        ("patient,response\nP1,PR\n", ["--landmark", "-1", "--endpoint", "os=a:b:1:days"], "no column 'a'"),
    ],
)
def test_what_must_stop_says_what_and_writes_nothing(
    cells: str, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "clinical.csv"
    table.write_text(cells)
    assert run(["cohort", "--clinical", str(table), *options, "--out", str(tmp_path / "c.h5ad")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["clinical.csv"]


def test_names_that_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cohort", "--clinical", str(CLINICAL), "--out", str(tmp_path / "folder")]) == 2
    assert "--out must name an .h5ad file" in capsys.readouterr().err
    assert run(["cohort", "--clinical", str(SAMPLE_DATA), "--out", str(tmp_path / "c.h5ad")]) == 2
    assert (
        run(["cohort", "--scores", str(tmp_path), "--clinical", str(CLINICAL), "--out", str(tmp_path / "c.h5ad")]) == 2
    )
    assert "no scores.csv here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _run("cohort", "--clinical", CLINICAL, "--no-figures", "--out", tmp_path / "file" / "c.h5ad")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_several_tables_behind_one_option(levels: Path, tmp_path: Path) -> None:
    table = pd.read_csv(levels)
    parts = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for path, marker in zip(parts, ("CD274", "PDCD1"), strict=True):
        table[table["marker"] == marker].to_csv(path, index=False)
    words = ["cohort", "--levels", *map(str, parts), "--clinical", str(CLINICAL), "--no-figures", "--out"]
    assert run([*words, str(tmp_path / "c.h5ad")]) == 0
    assert [name.split()[0] for name in read_cohort(tmp_path / "c.h5ad").var_names] == ["CD274", "PDCD1"]
    repeated = [words[0], "--levels", words[2], "--levels", *words[3:]]
    assert run([*repeated, str(tmp_path / "d.h5ad")]) == 0
    assert read_cohort(tmp_path / "d.h5ad").n_vars == 2


def test_confirmation_new_therapy_and_landmarks_by_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clinical = pd.DataFrame(
        {"patient": ["A", "B", "C"], "pfs_months": [9.0, 9.0, 4.0], "pfs_event": [0, 0, 1], "switch": [None, 9, None]}
    )
    sums = {"A": [100, 70, 83, 84], "B": [100, 60, 55, 50], "C": [100, 60, 55, 130]}
    rows = [(name, 42 * i, size) for name, mine in sums.items() for i, size in enumerate(mine)]
    clinical.to_csv(tmp_path / "c.csv", index=False)
    pd.DataFrame(rows, columns=["patient", "day", "sum_mm"]).to_csv(tmp_path / "v.csv", index=False)
    words = ["cohort", "--clinical", tmp_path / "c.csv", "--visits", tmp_path / "v.csv", "--no-figures"]

    def best(*more: object) -> dict[str, str]:
        assert run([*map(str, (*words, *more, "--out", tmp_path / "o.h5ad"))]) == 0
        return pd.read_csv(tmp_path / "o" / "best_responses.csv").set_index("patient")["response"].to_dict()

    assert best() == {"A": "SD", "B": "PR", "C": "PR"}
    assert best("--carried-confirms")["A"] == "PR"
    assert best("--new-therapy", "switch:weeks")["B"] == "SD", "one visit of the two is after day 63"
    best("--new-therapy", "switch:weeks", "--new-therapy-pfs", "event")
    patients = pd.read_csv(tmp_path / "o" / "patients.csv").set_index("patient")
    assert patients.loc["B", "pfs_visits_reason"] == "start of a new therapy"
    assert patients.loc["B", "pfs_visits_months"] == pytest.approx(63 / 30.4375)
    best("--landmark", 2, "--landmark", 3)
    landmarks = pd.read_csv(tmp_path / "o" / "landmarks.csv")
    assert landmarks[["n_responded", "n_not"]].to_numpy().tolist() == [[3, 0], [3, 0]]
    best("--landmark", 3, "--landmark-response", "confirmed")
    assert pd.read_csv(tmp_path / "o" / "landmarks.csv")["grouped_by"].tolist() == ["response_confirmed_months"]
    words += ["--landmark", "2", "--landmark-response", "confirmed", "--out", str(tmp_path / "p.h5ad")]
    assert run([*map(str, words)]) == 2
    assert "no response could have been confirmed by the landmark" in capsys.readouterr().err
