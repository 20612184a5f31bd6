"""The main job on the simulated sample trial, as a new user runs it."""

import subprocess
import sys

import pandas as pd
import pytest

from biomarkers import sample_trial


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    command = [sys.executable, "-m", "biomarkers", "demo", "--out", str(out), "--workers", "2", "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, check=False), out


@pytest.mark.slow
def test_it_ends_with_verdicts_and_the_report(demo):
    done, out = demo
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("report.html")
    verdicts = pd.read_csv(out / "relate" / "verdicts.csv").set_index("biomarker")["verdict"]
    assert verdicts["CD8A log2_cpm"] == "dependent", "planted dependent"
    independent = verdicts.drop("CD8A log2_cpm")
    assert len(independent) == 4
    assert not independent.str.startswith("dependent").any(), "planted independent"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "imulated" in page
    assert "Research use only" in page
    assert '<img src="http' not in page, "nothing is loaded from elsewhere"


@pytest.mark.slow
def test_scored_tps_is_the_planted_one(demo):
    _, out = demo
    scores = pd.read_csv(out / "scores" / "scores.csv").query("score == 'tps' and region == 'all'").set_index("slide")
    truth = pd.read_csv(sample_trial().truth).set_index("slide")["tps"]
    error = (scores["value"] - truth.reindex(scores.index)).abs()
    assert len(error) == 71
    assert (error <= 5).mean() >= 0.9


@pytest.mark.slow
def test_planted_changes_are_found_and_others_not(demo):
    _, out = demo
    found = pd.read_csv(out / "change" / "summary.csv").set_index("biomarker")["verdict"]
    assert found["PD-1 density_per_mm2"] == "increased"
    assert found["CD8A log2_cpm"] == "increased"
    assert found["PD-L1 tps"] == "no change shown"
