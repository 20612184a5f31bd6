"""A trial has the planted dependence and no other."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.core.errors import UsageError
from biomarkers.datasets import sample_trial
from biomarkers.simulate.planting import assign, auc
from biomarkers.simulate.trial import RESPONSE_COUNTS, simulate_trial
from biomarkers.stats.ranks import wilcoxon_rank_sum


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([0.3, 0.5, 0.7, 0.85]), st.integers(0, 99))
def test_the_sample_auc_is_the_planted_one_and_no_level_is_changed(target, seed):
    rng = np.random.default_rng(seed)
    levels, responder = rng.lognormal(size=52), np.arange(52) < 19
    dealt = assign(rng, levels, responder, target_auc=target)
    assert auc(dealt, responder) == pytest.approx(target, abs=0.01)
    np.testing.assert_array_equal(np.sort(dealt), np.sort(levels))


def test_one_class_cannot_be_planted():
    with pytest.raises(UsageError, match="responders and non-responders"):
        assign(np.random.default_rng(0), np.arange(4.0), np.ones(4, dtype=bool), target_auc=0.5)


def test_a_trial_is_made_again_by_its_seed():
    one, two = simulate_trial(rng=3), simulate_trial(rng=3)
    pd.testing.assert_frame_equal(one.clinical, two.clinical)
    pd.testing.assert_frame_equal(one.counts, two.counts)


def test_best_change_agrees_with_best_response():
    clinical = simulate_trial(rng=4).clinical.set_index("best_response")["best_change_percent"]
    assert (clinical.loc[["CR"]] == -100).all()
    assert clinical.loc["PR"].between(-99.9, -30).all()
    assert clinical.loc["SD"].between(-30, 20).all()
    assert (clinical.loc["PD"] > 20).all()


@pytest.fixture(scope="module")
def sample():
    trial = sample_trial()
    clinical = pd.read_csv(trial.clinical).set_index("patient")
    return trial, clinical, pd.read_csv(trial.truth)


def test_the_sample_trial_has_the_published_shape(sample):
    trial, clinical, truth = sample
    assert clinical["best_response"].value_counts().to_dict() == RESPONSE_COUNTS
    manifest = pd.read_csv(trial.manifest)
    assert len(manifest) == 142
    assert manifest.groupby(["timepoint", "assay"]).size().to_dict() == {
        ("baseline", "22c3"): 52, ("baseline", "pd-1"): 52, ("on_treatment", "22c3"): 19, ("on_treatment", "pd-1"): 19,
    }  # fmt: skip
    assert all((trial.folder / path).is_file() for path in [*manifest["path"], *manifest["annotations"]])
    assert (truth.loc[truth["marker"] == "PD-L1", "n_tumor"] >= 100).all()
    assert sum(path.stat().st_size for path in trial.folder.rglob("*") if path.is_file()) < 15e6


def test_what_was_planted_in_the_sample_trial_is_there(sample):
    _, clinical, truth = sample
    responder = clinical["best_response"].isin(["CR", "PR"])
    baseline = truth[truth["timepoint"] == "baseline"]
    for marker, score in (("PD-L1", "tps"), ("PD-1", "density_per_mm2")):
        level = baseline[baseline["marker"] == marker].set_index("patient")[score].reindex(clinical.index)
        found = wilcoxon_rank_sum(level[responder], level[~responder])
        assert found.p > 0.3
        assert auc(level.to_numpy(), responder.to_numpy()) == pytest.approx(0.5, abs=0.07)


def test_on_treatment_pd1_rises_and_pd_l1_stays(sample):
    _, _, truth = sample
    wide = truth.pivot_table(index=["patient", "marker"], columns="timepoint", values=["tps", "density_per_mm2"])
    pd1 = wide.xs("PD-1", level="marker")["density_per_mm2"].dropna()
    tps = wide.xs("PD-L1", level="marker")["tps"].dropna()
    assert np.median(pd1["on_treatment"] / pd1["baseline"]) > 1.5
    assert abs(np.median(tps["on_treatment"] - tps["baseline"])) < 3
