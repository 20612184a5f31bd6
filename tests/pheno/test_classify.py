"""The classifier: training, files, refusals."""

from __future__ import annotations

import json
import pickle

import anndata as ad
import numpy as np
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.pheno.classify import load_classifier
from biomarkers.pheno.classify_features import cell_features
from biomarkers.pheno.classify_train import LabelledCells, train_classifier
from tests.score.cells_by_hand import make_cells


def tissue(seed, n=300, classes=("tumor", "lymphocyte", "stroma")):
    """Cells whose class shows in size, darkness and shape."""
    rng = np.random.default_rng(seed)
    names = rng.choice(classes, n)
    cells = make_cells(names, x=rng.uniform(0, 400, n), y=rng.uniform(0, 400, n))
    log_size = {"tumor": 4.4, "lymphocyte": 3.5, "stroma": 3.9, "other": 4.1, "macrophage": 4.0}
    dark = {"tumor": 0.3, "lymphocyte": 0.6, "stroma": 0.4, "other": 0.2, "macrophage": 0.3}
    cells.obs["nucleus_area_um2"] = np.exp([rng.normal(log_size[name], 0.12) for name in names])
    cells.obs["nucleus_eccentricity"] = [rng.normal(0.9 if name == "stroma" else 0.5, 0.05) for name in names]
    two = ad.concat([cells, make_cells(names, marker="hematoxylin")[:, :]], axis=1, merge="first")
    two.layers["nucleus_mean"][:, 1] = [rng.normal(dark[name], 0.05) for name in names]
    return two, names


@pytest.fixture(scope="module")
def classifier():
    return train_classifier([LabelledCells(f"s{seed}", *tissue(seed)) for seed in range(3)])


def test_it_learns_and_says_how_well_on_slides_it_had_not_seen(classifier):
    cells, truth = tissue(99)
    found = classifier.apply(cells)
    assert (found.obs["cell_class"].to_numpy() == truth).mean() > 0.93
    assert found.uns["class_source"]["classes"] == ["lymphocyte", "stroma", "tumor"]
    told = classifier.content.cross_validation
    assert classifier.accuracy == pytest.approx((found.obs["cell_class"].to_numpy() == truth).mean(), abs=0.05)
    assert told["held_out"] == "whole slides"
    assert sum(sum(row.values()) for row in told["confusion"].values()) == told["n_cells"] == 900


def test_the_marker_is_no_feature(classifier):
    cells, _ = tissue(5)
    before = classifier.probabilities(cells)
    cells.layers["membrane_mean"][:, 0] = 3.0
    cells.layers["nucleus_mean"][:, 0] = 3.0
    assert np.array_equal(before, classifier.probabilities(cells))


def test_order_of_cells_and_place_on_the_slide_do_not_matter(classifier):
    cells, _ = tissue(6)
    order = np.random.default_rng(0).permutation(cells.n_obs)
    moved = cells[order].copy()
    moved.obs["x_um"] = moved.obs["x_um"] + 5000
    assert np.allclose(classifier.probabilities(cells)[order], classifier.probabilities(moved))


def test_only_labelled_cells_train():
    items = []
    for seed in range(2):
        cells, truth = tissue(seed)
        items.append(LabelledCells(f"s{seed}", cells, np.where(np.arange(300) < 150, truth, "")))
    assert train_classifier(items).content.cross_validation["n_cells"] == 300


def test_two_classes_and_one_slide():
    cells, truth = tissue(1, classes=("tumor", "lymphocyte"))
    one = train_classifier([LabelledCells("s", cells, truth)])
    assert one.content.cross_validation["held_out"].startswith("cells of the one slide")
    assert (one.apply(cells).obs["cell_class"].to_numpy() == truth).mean() > 0.95
    assert np.allclose(one.probabilities(cells).sum(axis=1), 1)


def test_file_round_trip(classifier, tmp_path):
    path = tmp_path / "model.json"
    classifier.save(path)
    again = load_classifier(path)
    cells, _ = tissue(7)
    assert np.array_equal(again.probabilities(cells), classifier.probabilities(cells))
    assert path.stat().st_size < 200_000


def test_no_cells_and_lonely_cells(classifier):
    cells, _ = tissue(8)
    assert classifier.apply(cells[:0].copy()).n_obs == 0
    assert classifier.apply(cells[:1].copy()).obs["cell_class"].isin(classifier.classes).all()
    assert all(np.isfinite(values).all() for values in cell_features(cells[:2].copy()).values())


def test_pickles_and_other_binaries_are_refused_unread(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (print, ("run!",))

    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UsageError, match="pickle"):
        load_classifier(path)
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match="refused"):
        load_classifier(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not a classifier file"),
        ({"version": 2}, "another version"),
        ({"feature_definition": 0}, "another version"),
        ({"classes": ["tumor", "alien", "stroma"]}, "damaged.*alien"),
        ({"centre": [0.0]}, "damaged.*one number a feature"),
        ({"offsets": [0.0]}, "damaged.*rows"),
        ({"code": "x"}, "damaged.*code"),
    ],
)
def test_files_that_do_not_fit(classifier, tmp_path, change, message):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({**classifier.content.model_dump(mode="json"), **change}))
    with pytest.raises(UsageError, match=message):
        load_classifier(path)


def test_text_and_absent_files(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("{")
    with pytest.raises(UsageError, match="not JSON"):
        load_classifier(path)
    with pytest.raises(UsageError, match="no such classifier"):
        load_classifier(tmp_path / "absent.json")


def test_other_features(classifier):
    cells, _ = tissue(9)
    del cells.obs["nucleus_eccentricity"]
    with pytest.raises(DataError, match=r"other features.*eccentricity"):
        classifier.apply(cells)


def test_too_little_to_learn_from():
    cells, truth = tissue(1)
    with pytest.raises(UsageError, match="no labelled slides"):
        train_classifier([])
    with pytest.raises(UsageError, match="twice"):
        train_classifier([LabelledCells("s", cells, truth)] * 2)
    with pytest.raises(DataError, match="at least two classes"):
        train_classifier([LabelledCells("s", cells, np.where(truth == "tumor", truth, ""))])
    with pytest.raises(DataError, match="too few labelled"):
        train_classifier([LabelledCells("s", cells, np.where((truth == "tumor") | (np.arange(300) < 20), truth, ""))])
    with pytest.raises(DataError, match="unknown class"):
        train_classifier([LabelledCells("s", cells, np.where(truth == "tumor", "cancer", truth))])
