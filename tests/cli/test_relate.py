"""``biomarkers relate`` and ``biomarkers power`` as a user runs them, in a child process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.cli import main
from biomarkers.core.keys import STATISTIC_COLUMNS, VERDICT_COLUMNS


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "biomarkers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def within(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run a verb in this process: its exit code and what it says on standard error."""
    code = main.run([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


def trial(n: int = 44, n_yes: int = 16) -> pd.DataFrame:
    generator = np.random.default_rng(4)
    yes = np.arange(n) < n_yes
    return pd.DataFrame({
        "ID": [f"P{i:03d}" for i in range(n)],
        "BOR": np.where(yes, "PR", np.where(np.arange(n) % 5, "PD", "NE")),
        "PDL1": np.round(np.exp(generator.normal(size=n) + 1.5 * yes), 2),
        "PD1": np.round(np.maximum(generator.normal(size=n), 0), 2),
        "low": (generator.random(n) < 0.1).astype(int),
        "site": np.where(np.arange(n) % 2, "north", "south"),
        "months": np.round(generator.exponential(10, size=n) + 0.1, 2),
        "dead": (generator.random(n) < 0.7).astype(int),
        "change": np.round(np.where(yes, -45, 12) + generator.normal(size=n), 1),
        "age": generator.integers(40, 80, size=n),
    })  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "trial.csv"
    trial().to_csv(path, index=False)
    return path


BASE = ("--level", "PDL1", "--level", "PD1", "--response", "BOR", "--patient", "ID", "--permutations", 999)


@pytest.mark.slow
def test_everything_at_once(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'margin = 0.2\nlevels = ["PDL1"]\nendpoints = ["orr", "os"]\nstrata = ["site"]\n[cutoffs]\nPDL1 = [1.0]\n',
        encoding="utf-8",
    )
    found = run(
        "relate", table, *BASE, "--strata", "site", "--endpoint", "orr", "--endpoint", "best_change",
        "--endpoint", "os", "--best-change", "change", "--time", "months", "--event", "dead", "--covariate", "age",
        "--search-cuts",
        "--censored", "PD1=low", "--plan", plan, "--sensitivity", "--site", "site", "--out", out, "--simulated",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    verdicts = pd.read_csv(out / "verdicts.csv")
    assert tuple(verdicts.columns) == VERDICT_COLUMNS
    assert tuple(pd.read_csv(out / "statistics.csv").columns) == STATISTIC_COLUMNS
    assert set(verdicts["endpoint"]) == {"orr", "best_change", "os"}
    rows = verdicts.set_index(["biomarker", "endpoint"])["reason"]
    assert rows["PD1", "orr"].startswith("exploratory")
    assert rows["PDL1", "best_change"].startswith("exploratory")
    assert not rows["PDL1", "os"].startswith("exploratory")
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["plan_sha256"] == hashlib.sha256(plan.read_bytes()).hexdigest()
    assert record["settings"]["margin"] == 0.2
    methods = " ".join(pd.read_csv(out / "statistics.csv")["method"])
    for words in ("stratum north", "Cochran's Q", "Firth logistic adjusted for age", "searched cut", "median, marker"):
        assert words in methods
    assert len(pd.read_csv(out / "sensitivity.csv")) > 10
    names = {path.name for path in (out / "figures").iterdir()}
    assert {"00_forest_of_AUCs.png", "01_PDL1_under_other_choices.png", "01_PDL1_times_by_level.png"} <= names
    page = (out / "report.html").read_text(encoding="utf-8")
    for words in ("Under other choices", "Simulated data", hashlib.sha256(plan.read_bytes()).hexdigest()[:16]):
        assert words in page
    assert "Under other choices" in found.stdout
    assert "predict" not in found.stdout


def test_the_short_way(table: Path, tmp_path: Path) -> None:
    found = run("relate", table, *BASE, "--out", tmp_path / "out", "--no-figures")
    assert found.returncode == 0, found.stderr
    assert "dependent" in found.stdout
    assert "response = CR 0 + PR 16" in found.stdout
    assert "As papers print it, PDL1" in found.stdout
    assert not (tmp_path / "out" / "figures").exists()


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, ("--margin", "0.5"), ("margin", "0.5")),
        ({}, ("--margin", "0"), ("margin",)),
        ({}, ("--level", "PDL2"), ("PDL2", "Did you mean")),
        ({}, ("--cutoff", "PDL1"), ("not understood", "PDL1")),
        ({}, ("--site", "site"), ("--sensitivity",)),
        ({}, ("--time", "months"), ("needs both columns", "months")),
        ({"PDL1": (7, "high")}, (), ("row 9", "'PDL1'", "high")),
        ({"ID": (7, "P000")}, (), ("rows 2, 9", "P000")),
        ({"BOR": (7, "respnse")}, (), ("row 9", "respnse")),
        ({"months": (7, -1.0)}, ("--time", "months", "--event", "dead"), ("row 9", "'months'")),
        ({"dead": (7, 3)}, ("--time", "months", "--event", "dead"), ("row 9", "'dead'")),
    ],
)
def test_bad_input_leaves_with_two_and_writes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, tuple[int, object]],
    options: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    frame = trial().astype(object)
    for column, (at, value) in change.items():
        frame.loc[at, column] = value
    path = tmp_path / "trial.csv"
    frame.to_csv(path, index=False)
    code, said = within(capsys, "relate", path, *BASE, *options, "--out", tmp_path / "out")
    assert code == 2
    for word in words:
        assert word in said
    assert not (tmp_path / "out").exists()


def test_one_class_is_not_testable(tmp_path: Path) -> None:
    path = tmp_path / "trial.csv"
    trial().assign(BOR="PD", PD1=3.0).to_csv(path, index=False)
    found = run("relate", path, *BASE, "--cutoff", "PD1=1", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert verdicts["verdict"].tolist() == ["not_testable"] * 2
    assert verdicts["reason"].str.contains("two of each are needed").all()
    assert verdicts[["auc", "p_dependence", "p_omnibus"]].isna().all(axis=None)


def test_power_prints_and_writes(tmp_path: Path) -> None:
    out = tmp_path / "power"
    found = run(
        "power", "--n", 52, "--responders", 19, "--missing-share", 0.2, "--zero-share", 0.4, "--auc", 0.5, "--auc", 0.8,
        "--simulations", 50, "--permutations", 199, "--out", out,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    for words in ("41 patients with a level, 15 responders", "80% power", "Bayes factor", "Share of simulated cohorts"):
        assert words in found.stdout
    assert {path.name for path in out.iterdir()} == {"power.csv", "needed.csv", "power.png", "run.json"}
    shares = pd.read_csv(out / "power.csv")
    assert shares["theta"].tolist() == [0.5] * 3 + [0.8] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--n", 10, "--responders", 10), "out of range"),
        (("--n", 10, "--responders", 4, "--margin", 0.6), "margin"),
        (("--n", 10, "--responders", 4, "--zero-share", 0.3, "--n-levels", 4), "one shape"),
        (("--n", 10, "--responders", 4, "--missing-share", 0.9), "fewer than two"),
    ],
)
def test_power_refuses(capsys: pytest.CaptureFixture[str], options: tuple[object, ...], words: str) -> None:
    code, said = within(capsys, "power", *options, "--simulations", 10)
    assert code == 2
    assert words in said
