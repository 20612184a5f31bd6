"""The 1+ cut of a nuclear assay follows the slide's own unstained nuclei."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.core.config import load_assay
from biomarkers.score import adaptive_thresholds, call_positivity, sensitivity_curve
from tests.score.cells_by_hand import make_cells

NUCLEAR = load_assay("h-dab-nuclear")


def slide(*, middle=0.0, sd=0.016, stained=0.5, n=400, n_stained=100, seed=1):
    """Unstained nuclei around ``middle`` and stained ones around ``stained``."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(middle, sd, n), rng.normal(stained, 0.02, n_stained)])
    return make_cells(["unknown"] * values.size, 0.0, nucleus=values, marker="DAB")


def first_cut(cells):
    return adaptive_thresholds(cells, assay=NUCLEAR).dab_od[0]


def test_the_cut_lies_above_the_unstained_nuclei_wherever_they_lie():
    for middle in (-0.03, 0.0, 0.02):
        assert first_cut(slide(middle=middle)) == pytest.approx(middle + 0.05 + 5 * 0.016, abs=0.012)


def test_two_and_three_plus_move_by_the_same_density():
    found = adaptive_thresholds(slide(middle=-0.03), assay=NUCLEAR)
    assert np.diff(found.dab_od) == pytest.approx(np.diff(NUCLEAR.thresholds.dab_od))
    assert found.follow_sd == 0
    assert "400 unstained cells" in found.source


def test_a_camera_of_half_the_contrast_calls_the_same_nuclei():
    full = slide(stained=0.26)
    pale = full.copy()
    pale.layers["nucleus_mean"] = full.layers["nucleus_mean"] / 2
    called = [call_positivity(cells, assay=NUCLEAR).obs["DAB_positive"].to_numpy() for cells in (full, pale)]
    assert called[0].sum() == 100
    assert np.array_equal(*called)


def test_stained_nuclei_do_not_raise_it():
    # how many and how strongly others are stained says nothing about the unstained ones
    assert first_cut(slide(n_stained=0)) == first_cut(slide(n_stained=2000, stained=1.2))


def test_it_stays_within_its_range():
    assert first_cut(slide(middle=0.1, sd=0.03)) == 0.2
    assert first_cut(slide(middle=-0.05, sd=0.002)) == 0.07


def test_too_few_unstained_nuclei_leave_the_assays_cut():
    found = adaptive_thresholds(slide(n=29, n_stained=500), assay=NUCLEAR)
    assert found.dab_od == NUCLEAR.thresholds.dab_od
    assert "29 unstained cells" in found.source


def test_no_cells():
    assert adaptive_thresholds(make_cells([], marker="DAB"), assay=NUCLEAR).dab_od == NUCLEAR.thresholds.dab_od


def test_membrane_assays_and_given_cuts_do_not_move():
    membrane = load_assay("22c3")
    cells = make_cells(["tumor"] * 100, 0.02)
    moved = adaptive_thresholds(cells, assay=membrane)
    assert moved.model_copy(update={"counterstain_od": 0.0}) == membrane.thresholds
    assert adaptive_thresholds(cells, assay=membrane, thresholds=moved) is moved
    fixed = NUCLEAR.thresholds.model_copy(update={"follow_sd": 0.0})
    assert adaptive_thresholds(slide(), assay=NUCLEAR, thresholds=fixed) is fixed


def test_the_curve_turns_around_the_cut_that_scored_the_slide():
    cells = slide(middle=-0.03)
    called = call_positivity(cells, assay=NUCLEAR)
    curve = sensitivity_curve(cells, assay=NUCLEAR, score="positive_fraction")
    own = curve[curve["in_force"]]
    assert own["dab_od"].item() == called.uns["thresholds"]["dab_od"][0]
    assert own["value"].item() == called.obs["DAB_positive"].mean()
