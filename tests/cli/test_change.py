"""``biomarkers change`` as a user runs it: planted changes of the sample trial are found, the others are not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.cli.main import run

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample_data"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Expression, and the planted truth of each tile as if it had been scored without error."""
    folder = tmp_path_factory.mktemp("cohort")
    assert run(["express", str(SAMPLE_DATA / "simulated_expression.h5ad"), "--out", str(folder)]) == 0
    levels = pd.read_csv(folder / "levels.csv")
    truth = pd.read_csv(SAMPLE_DATA / "simulated_truth.csv")
    planted = truth[truth["marker"] == "PD-1"].assign(
        sample=lambda rows: rows["slide"], assay="pd-1", score="density", value=lambda rows: rows["density_per_mm2"],
        unit="cells/mm2", scale="linear", status="ok", reason="",
    )  # fmt: skip
    columns = [*levels.columns]
    pd.concat([levels, planted.reindex(columns=columns)]).to_csv(folder / "both.csv", index=False)
    out = folder / "cohort.h5ad"
    words = ["cohort", "--levels", folder / "both.csv", "--clinical", SAMPLE_DATA / "simulated_clinical.csv"]
    assert run([*map(str, words), "--no-figures", "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_planted_changes_are_found_in_a_child_process_and_the_others_are_not(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "change"
    names = ["CD274 log2_cpm", "PDCD1 log2_cpm", "CD8A log2_cpm", "PD-1 density"]
    words = [word for name in names for word in ("--level", name)]
    done = subprocess.run(
        [sys.executable, "-m", "biomarkers", "change", str(cohort), *words, "--cutoff", "PD-1 density=100",
         "--drug", "atezolizumab", "--simulated", "--out", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(out / "summary.csv").set_index("biomarker")
    assert found["verdict"].to_dict() == {
        "CD274 log2_cpm": "no change shown",
        "PDCD1 log2_cpm": "increased",
        "CD8A log2_cpm": "increased",
        "PD-1 density": "increased",
    }
    # planted: x 2.2 of the density (log2 1.14), + 1.2 for CD8A
    for name, planted in (("PD-1 density", np.log2(2.2)), ("CD8A log2_cpm", 1.2)):
        assert found.loc[name, "ci_low"] < planted < found.loc[name, "ci_high"]
    assert (found["p_by_response_adjusted"] > 0.05).all()
    assert len(pd.read_csv(out / "changes.csv")) == 4 * 52
    written = {path.name for path in out.iterdir()}
    assert {"statistics.csv", "completeness.csv", "conversions.csv", "chain.csv", "report.html", "run.json"} <= written
    assert len(list((out / "figures").glob("*.png"))) == 10
    assert "Simulated data" in (out / "report.html").read_text()
    assert "technical variance unknown: no per-patient call" in " ".join(done.stdout.split())
    assert json.loads((out / "run.json").read_text())["inputs"][0]["name"] == "cohort.h5ad"


def _table(folder: Path, n: int = 8, name: str = "t.csv", **columns: object) -> Path:
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"ID": [f"P{i}" for i in range(n)], "visit": "Pre", "x": rng.uniform(1, 50, n), **columns})
    pd.concat([one, one.assign(visit="Post", x=one["x"] * 3 + 1)]).to_csv(folder / name, index=False)
    return folder / name


COMMON = ["--level", "x", "--patient", "ID", "--timepoint", "visit", "--baseline", "Pre", "--on-treatment", "Post"]


def test_a_table_with_replicates_calls_patients(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.uniform(5, 50, 25), 2)
    replicates = pd.DataFrame({"slide": np.repeat(np.arange(25), 2), "x": truth * np.exp(rng.normal(0, 0.1, 50))})
    replicates.to_csv(tmp_path / "r.csv", index=False)
    table = _table(tmp_path, BOR=["PR", "SD"] * 4)
    words = ["change", str(table), *COMMON, "--response", "BOR", "--replicates", str(tmp_path / "r.csv")]
    words += ["--replicate-of", "slide", "--gate", "prediction", "--responders", "CR,PR,SD", "--where", "BOR=PR"]
    assert run([*words, "--out", str(tmp_path / "o")]) == 0
    calls = pd.read_csv(tmp_path / "o" / "changes.csv")["call"]
    assert (calls == "increase").sum() == 4
    settings = json.loads((tmp_path / "o" / "run.json").read_text())["settings"]
    assert settings["gate"] == "prediction"


@pytest.mark.parametrize("n", [1, 5])
def test_too_few_pairs_are_not_testable(n: int, tmp_path: Path) -> None:
    assert run(["change", str(_table(tmp_path, n)), *COMMON, "--out", str(tmp_path / "o")]) == 0
    row = pd.read_csv(tmp_path / "o" / "summary.csv").iloc[0]
    assert row["verdict"] == "not_testable"
    assert row["reason"] == f"{n} pair{'' if n == 1 else 's'} cannot reach p < 0.05 two-sided: 6 needed"


def test_no_pair_at_all_and_all_below_the_limit(tmp_path: Path) -> None:
    table = pd.read_csv(_table(tmp_path))
    table.loc[table["visit"] == "Post", "ID"] += "x"
    table.to_csv(tmp_path / "apart.csv", index=False)
    assert run(["change", str(tmp_path / "apart.csv"), *COMMON, "--cutoff", "x=5", "--out", str(tmp_path / "a")]) == 0
    assert pd.read_csv(tmp_path / "a" / "summary.csv")["reason"][0] == "no patient has both levels"
    assert run(["change", str(_table(tmp_path)), *COMMON, "--lloq", "x=1000", "--out", str(tmp_path / "b")]) == 0
    below = pd.read_csv(tmp_path / "b" / "summary.csv").iloc[0]
    assert below["reason"] == "every pair is below its limit: no quantifiable change"
    assert below["verdict"] == "not_testable"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--baseline", "pre"], "no sample at this time point; found 'pre'"),
        (["--level", "y"], "no column 'y'"),
        (["--lloq", "x"], "--lloq is not understood"),
        (["--lloq", "y=1"], "a lower limit for a level that is not there"),
        (["--offset", "much"], "--offset needs a number"),
        (["--offset", "x=1", "--offset", "y=1"], "an offset for a level that is not there"),
        (["--cutoff", "x~5"], "a cut-off is not understood"),
        (["--where", "BOR"], "--where is not understood"),
        (["--responders", "CR,better"], "responders; found 'CR, better'"),
        (["--replicates", "absent.csv"], "no such table"),
        (["--scale", "percent"], "a percent level outside its range"),
        (["--alpha", "5"], "alpha must lie between 0 and 1"),
    ],
)
def test_what_must_stop_says_what_and_writes_nothing(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = _table(tmp_path, BOR=["PR", "SD"] * 4)
    words = ["change", str(table), *COMMON, "--response", "BOR", *options, "--out", str(tmp_path / "o")]
    assert run(words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_wrong_files(tmp_path: Path, cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "o")]
    assert run(["change", str(SAMPLE_DATA / "simulated_expression.h5ad"), *out]) == 2
    assert "express" in capsys.readouterr().err, "a matrix is no cohort, and the message says what to do"
    (tmp_path / "broken.h5ad").write_text("not HDF5")
    assert run(["change", str(tmp_path / "broken.h5ad"), *out]) == 2
    assert run(["change", str(tmp_path / "absent.h5ad"), *out]) == 2
    assert (
        run(["change", str(SAMPLE_DATA / "simulated_manifest.csv"), "--level", "mpp", "--out", str(tmp_path / "m")])
        == 0
    )
    empty = pd.read_csv(tmp_path / "m" / "summary.csv").iloc[0]
    assert (empty["verdict"], empty["reason"]) == ("not_testable", "no sample has a level")
    assert run(["change", str(cohort), "--lloq", "x=1", *out]) == 2
    assert "a cohort holds its own" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
