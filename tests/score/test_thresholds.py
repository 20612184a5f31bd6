"""Sensitivity curves and anchored cuts."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.core.config import load_assay
from biomarkers.core.errors import DataError, UsageError
from biomarkers.score import anchor_thresholds, read_thresholds, sensitivity_curve, write_anchor
from biomarkers.score.sensitivity import sensitivity_range
from tests.score.cells_by_hand import make_cells


def graded(n=400, marker="PD-L1"):
    return make_cells(["tumor"] * n, np.linspace(0, 0.6, n), marker=marker)


def test_score_falls_as_the_cut_rises_and_holds_the_scored_value():
    curve = sensitivity_curve(graded(), assay="22c3", score="tps", slide="s")
    assert curve["dab_od"].is_monotonic_increasing
    assert (np.diff(curve["value"]) <= 0).all()
    assert curve["in_force"].sum() == 1
    own = load_assay("22c3").thresholds.dab_od[0]
    assert curve.loc[curve["in_force"], "value"].item() == pytest.approx(100 * np.mean(np.linspace(0, 0.6, 400) >= own))
    low, high = sensitivity_range(curve)
    assert low < curve.loc[curve["in_force"], "value"].item() < high


def test_own_cuts_and_bad_cuts():
    curve = sensitivity_curve(graded(), assay="22c3", score="h_score", dab_od=[0.05, 0.4])
    assert len(curve) == 3  # the cut in force is always among them
    with pytest.raises(UsageError, match="above 0"):
        sensitivity_curve(graded(), assay="22c3", score="tps", dab_od=[0.0])
    with pytest.raises(UsageError, match="made of pixels"):
        sensitivity_curve(graded(), assay="22c3", score="dab_area_percent")


def control(shift, seed, *, stained=0, n=2000):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.05 + shift, 0.02, n)
    values[:stained] += 0.5
    return make_cells(["tumor"] * n, values)


def test_negative_control_moves_all_cuts_by_the_same_density(tmp_path):
    anchor = anchor_thresholds({"c1": control(0.1, 1), "c2": control(0.1, 2)}, assay="22c3")
    # the 99th percentile of N(0.15, 0.02)
    assert anchor.thresholds.dab_od[0] == pytest.approx(0.15 + 2.326 * 0.02, abs=0.003)
    before = np.array(load_assay("22c3").thresholds.dab_od)
    assert np.diff(anchor.thresholds.dab_od) == pytest.approx(np.diff(before))
    assert anchor.n_cells == 4000
    path = tmp_path / "anchor.toml"
    write_anchor(anchor, path)
    assert read_thresholds(path) == anchor.thresholds
    text = path.read_text()
    assert "negative_control" in text
    assert "c2 = 2000" in text


def test_batch_finds_the_unstained_cells_among_stained_ones():
    clean = anchor_thresholds({"s": control(0, 3)}, assay="22c3", method="batch")
    mixed = anchor_thresholds({"s": control(0, 3, stained=700)}, assay="22c3", method="batch")
    assert mixed.thresholds.dab_od[0] == pytest.approx(clean.thresholds.dab_od[0], abs=0.01)
    with pytest.raises(DataError, match="no unstained majority"):
        anchor_thresholds({"s": control(0, 3, stained=1600)}, assay="22c3", method="batch")


def test_anchor_refuses_little_evidence():
    with pytest.raises(DataError, match="too few cells"):
        anchor_thresholds({"c": graded(100)}, assay="22c3")
    with pytest.raises(UsageError, match="quantile"):
        anchor_thresholds({"c": graded()}, assay="22c3", quantile=0.4)
    with pytest.raises(UsageError, match="no control"):
        anchor_thresholds({}, assay="22c3")


def test_thresholds_file_alone_and_misspelt(tmp_path):
    path = tmp_path / "cuts.toml"
    path.write_text('dab_od = [0.1, 0.2, 0.3]\nsource = "mine"\n')
    assert read_thresholds(path).dab_od == (0.1, 0.2, 0.3)
    path.write_text('dab_ot = [0.1, 0.2, 0.3]\nsource = "mine"\n')
    with pytest.raises(UsageError, match="Did you mean 'dab_od'"):
        read_thresholds(path)
