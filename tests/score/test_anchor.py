"""Anchored cuts know what they were set for, and controls that are none are refused with their picture."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.cli.main import run
from biomarkers.core.config import load_assay
from biomarkers.core.errors import DataError, UsageError
from biomarkers.score import anchor_thresholds, read_thresholds, write_anchor
from biomarkers.score.anchor import _SHOULDER, _shoulder, _shoulder_of_slides, check_pixel_size
from tests.score.cells_by_hand import make_cells

RUIFROK = (0.268, 0.570, 0.776)


def cells(values):
    return make_cells(["tumor"] * len(values), np.maximum(values, 0.001))


def unstained(seed=0, *, at=0.05, sd=0.02, n=2000):
    return np.random.default_rng(seed).normal(at, sd, n)


@pytest.fixture
def anchored(tmp_path):
    found = anchor_thresholds({"c": cells(unstained())}, assay="22c3", mpp=0.5, dab_vector=RUIFROK)
    write_anchor(found, tmp_path / "cuts.toml")
    return tmp_path / "cuts.toml"


def test_cuts_come_back_for_what_they_were_set_for(anchored):
    cuts = read_thresholds(anchored, assay=load_assay("22c3"), marker="PD-L1", dab_vector=(0.27, 0.57, 0.78))
    assert cuts.set_at_mpp == 0.5
    for mpp in (0.41, 0.5, 0.62):
        check_pixel_size(cuts, mpp=mpp)


@pytest.mark.parametrize("assay", ["h-dab-nuclear", "28-8", "sp142", "pd-1"])
def test_cuts_of_another_assay_are_refused(anchored, assay):
    other = load_assay(assay)
    with pytest.raises(UsageError, match=rf"cuts of another assay; found '22c3'; allowed: {assay}"):
        read_thresholds(anchored, assay=other, marker=other.marker)


def test_cuts_of_another_marker_stain_and_pixel_size_are_refused(anchored):
    with pytest.raises(UsageError, match="another marker; found 'PD-L1'; allowed: CK"):
        read_thresholds(anchored, assay=load_assay("22c3"), marker="CK")
    with pytest.raises(UsageError, match=r"another stain: its DAB vector lies \d+ degrees"):
        read_thresholds(anchored, dab_vector=(0.1, 0.85, 0.5))
    cuts = read_thresholds(anchored)
    for mpp in (0.25, 0.39, 0.64, 1.0):
        with pytest.raises(DataError, match=r"another pixel size; found .*allowed: 0.4 to 0.625 um/px"):
            check_pixel_size(cuts, mpp=mpp)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (unstained(at=0.4, sd=0.08), "a control is stained"),
        (np.r_[unstained(n=1600), unstained(1, at=0.4, sd=0.1, n=400)], "a control holds stained cells"),
        (np.r_[unstained(n=1800), unstained(1, at=0.3, sd=0.05, n=200)], "a control holds stained cells"),
    ],
)
def test_positive_controls_are_refused_with_the_picture(values, message):
    with pytest.raises(DataError, match=rf"bad: {message}.*Look at runs/overlays/bad.png"):
        anchor_thresholds({"good": cells(unstained(5)), "bad": cells(values)}, assay="22c3",
                          pictures={"bad": "runs/overlays/bad.png"})  # fmt: skip


@pytest.mark.parametrize("few", [0, 20, 60])
def test_a_few_stained_cells_do_no_harm(few):
    values = np.r_[unstained(n=2000 - few), unstained(1, at=0.4, sd=0.1, n=few)]
    found = anchor_thresholds({"c": cells(values)}, assay="22c3")
    assert found.thresholds.set_at_mpp is None
    assert 0.08 < found.thresholds.dab_od[0] < 0.5


def test_controls_that_disagree_are_refused_and_that_agree_are_not():
    with pytest.raises(DataError, match=r"the controls disagree; found 'medians 0.05\d? \(a\) and 0.1"):
        anchor_thresholds({"a": cells(unstained(1)), "b": cells(unstained(2, at=0.12))}, assay="22c3")
    anchor_thresholds({"a": cells(unstained(1)), "b": cells(unstained(2, at=0.07))}, assay="22c3")


def test_small_good_batches_are_not_refused_as_skewed():
    refused = {"normal": 0, "gamma": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        normal = [rng.normal(0.05 + rng.normal(0, 0.004), 0.015, 200) for _ in range(3)]
        gamma = [0.03 + rng.gamma(1.5, 0.02, 200) for _ in range(3)]
        refused["normal"] += _shoulder_of_slides(normal) > _SHOULDER
        refused["gamma"] += _shoulder_of_slides(gamma) > _SHOULDER
    assert refused["normal"] <= 2
    assert refused["gamma"] >= 59


def test_batches_that_are_stained_throughout_or_skewed_are_refused():
    with pytest.raises(DataError, match="looks stained throughout"):
        anchor_thresholds({"s": cells(unstained(at=0.4, sd=0.08))}, assay="22c3", method="batch")
    for seed in range(5):
        skewed = 0.03 + np.random.default_rng(seed).gamma(1.5, 0.02, 4000)
        with pytest.raises(DataError, match="its unstained cells are skewed"):
            anchor_thresholds({"s": cells(skewed)}, assay="22c3", method="batch")
        anchor_thresholds({"s": cells(unstained(seed, n=20_000))}, assay="22c3", method="batch")


def test_what_the_limit_of_skew_lies_between():
    rng = np.random.default_rng(0)
    drawn = {"normal": lambda: rng.normal(0.1, 0.02, 2000), "gamma": lambda: rng.gamma(1.5, 0.03, 2000)}
    seen = {name: np.median([_shoulder(draw()) for _ in range(100)]) for name, draw in drawn.items()}
    assert seen["normal"] == pytest.approx(0.05, abs=0.02)
    assert seen["gamma"] == pytest.approx(1.4, abs=0.15)


def test_the_row_of_the_faults(tmp_path, shared_data, capsys):
    cuts = shared_data / "faults" / "panels" / "anchor_of_22c3.toml"
    slide = shared_data / "faults" / "slides" / "control.tif"
    words = ["score", slide, "--assay", "h-dab-nuclear", "--thresholds", cuts, "--mpp", "0.5", "--out", tmp_path / "o"]
    assert run([str(word) for word in [*words, "--quiet"]]) == 2
    assert "cuts of another assay; found '22c3'; allowed: h-dab-nuclear" in capsys.readouterr().err
    assert not (tmp_path / "o" / "scores.csv").exists()
