"""The main job on the simulated sample trial, as a new user runs it."""

import subprocess
import sys

import pandas as pd
import pytest

from biomarkers import sample_trial


@pytest.mark.slow
def test_the_main_job_end_to_end(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "biomarkers", "demo", "--out", str(out), "--workers", "2", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("report.html")
    _verdicts_are_as_planted(out)
    _scored_tps_is_as_planted(out)
    _changes_are_as_planted(out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "imulated" in page
    assert "Research use only" in page
    assert 'src="http' not in page, "nothing is loaded from elsewhere"


def _verdicts_are_as_planted(out):
    verdicts = pd.read_csv(out / "relate" / "verdicts.csv").set_index("biomarker")["verdict"]
    assert verdicts["CD8A log2_cpm"] == "dependent"
    independent = verdicts.drop("CD8A log2_cpm")
    assert len(independent) == 4
    assert not independent.str.startswith("dependent").any()


def _scored_tps_is_as_planted(out):
    scores = pd.read_csv(out / "scores" / "scores.csv").query("score == 'tps' and region == 'all'").set_index("slide")
    truth = pd.read_csv(sample_trial().truth).set_index("slide")["tps"]
    error = (scores["value"] - truth.reindex(scores.index)).abs()
    assert len(error) == 71
    # measured: 76 % within 5 points; faint simulated membranes are missed (docs/validation.md)
    assert (error <= 5).mean() >= 0.7
    assert error.median() <= 3


def _changes_are_as_planted(out):
    found = pd.read_csv(out / "change" / "summary.csv").set_index("biomarker")["verdict"]
    assert found["PD-1 density_per_mm2"] == "increased"
    assert found["CD8A log2_cpm"] == "increased"
    assert found["PD-L1 tps"] == "no change shown"
