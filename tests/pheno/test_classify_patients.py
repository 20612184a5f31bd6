"""What is held out is patients where they are known; a classifier knows what it was trained on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from biomarkers.cli.train import _patients, summary
from biomarkers.core.errors import DataError, UsageError
from biomarkers.pheno.classify import load_classifier
from biomarkers.pheno.classify_train import LabelledCells, train_classifier
from tests.pheno.test_classify import tissue

VECTOR = (0.65, 0.70, 0.29)


def tiles(patients=4, each=3, spread=0.5, n=80):
    """Patients whose nuclei differ in darkness by more than classes do."""
    found = []
    for patient in range(patients):
        shift = np.random.default_rng(100 + patient).normal(0, spread, 3)
        for tile in range(each):
            cells, truth = tissue(10 * patient + tile, n)
            kinds = np.searchsorted(["lymphocyte", "stroma", "tumor"], truth)
            cells.layers["nucleus_mean"][:, 1] += 0.3 * shift[kinds]
            cells.obs["nucleus_area_um2"] *= np.exp(shift[kinds])
            found.append(LabelledCells(f"P{patient}_{tile}", cells, truth, f"P{patient}", 0.5, VECTOR))
    return found


@pytest.fixture(scope="module")
def by_patient():
    return train_classifier(tiles(), marker="PD-L1")


def test_patients_are_held_out_where_they_are_known(by_patient):
    told = by_patient.content.cross_validation
    assert (told["held_out"], told["grouped_by"], told["n_groups"], told["n_slides"]) == (
        "whole patients",
        "patients",
        4,
        12,
    )
    by_tile = train_classifier([replace(one, patient="") for one in tiles()]).content.cross_validation
    assert (by_tile["held_out"], by_tile["n_groups"]) == ("whole slides", 12)
    assert "optimistic where several are of one patient" in by_tile["caution"]
    assert by_tile["balanced_accuracy"] > told["balanced_accuracy"] + 0.03  # tiles of a patient tell of each other
    one = train_classifier([replace(one, patient="P0") for one in tiles(2)]).content.cross_validation
    assert one["held_out"] == "whole slides of one patient"
    assert "others is not known" in one["caution"]


def test_folds_keep_a_patient_together():
    """With one known among unknown patients nothing is guessed: slides are held out."""
    some = tiles()
    some[0] = replace(some[0], patient="")
    assert train_classifier(some).content.cross_validation["grouped_by"] == "slides"


def test_balanced_accuracy_leads_and_rare_classes_are_named():
    items = []
    for one in tiles():
        keep = (one.labels != "stroma") | (np.arange(len(one.labels)) % 6 == 0)
        items.append(replace(one, labels=np.where(keep, one.labels, "")))
    found = train_classifier(items)
    told = found.content.cross_validation
    assert told["rare"] == ["stroma"]
    assert told["balanced_accuracy"] == pytest.approx(np.mean(list(told["recall"].values())))
    text = summary(found)
    assert text.startswith("balanced accuracy ")
    assert text.index("called stroma") < text.index("\naccuracy ")
    assert "held out in turn: whole patients (4)" in text
    own = f"{100 * told['recall']['stroma']:.1f} %"
    assert f"stroma is rare (fewer than a tenth of the labels): look at its own share, {own}" in text


def test_probabilities_are_calibrated_on_patients_it_had_not_seen(by_patient):
    told = by_patient.content.cross_validation
    assert told["calibration_error"] < 0.1
    new = [one for one in tiles(12, each=1) if one.patient not in {"P0", "P1", "P2", "P3"}]
    sure = np.concatenate([by_patient.probabilities(one.cells).max(axis=1) for one in new])
    hit = np.concatenate([by_patient.apply(one.cells).obs["cell_class"].to_numpy() == one.labels for one in new])
    assert abs(sure.mean() - hit.mean()) < 0.15


def test_the_file_keeps_what_it_was_trained_on_and_refuses_others(by_patient, tmp_path):
    by_patient.save(tmp_path / "m.json")
    again = load_classifier(tmp_path / "m.json")
    assert (again.content.mpp, again.content.marker) == (0.5, "PD-L1")
    again.check(mpp=0.45, hematoxylin_vector=(0.64, 0.71, 0.29), marker="PD-L1")
    again.check()
    for words, message in (
        ({"mpp": 0.25}, r"another pixel size; found '0.25 um/px'; allowed: 0.4 to 0.625"),
        ({"mpp": 1.0}, "another pixel size"),
        ({"hematoxylin_vector": (0.1, 0.9, 0.4)}, r"another stain.*found '\d\d degrees'"),
        ({"marker": "CK"}, "another marker; found 'CK'; allowed: PD-L1"),
    ):
        with pytest.raises(DataError, match=message):
            again.check(**words)
    old = again.content.model_dump(mode="json")
    for name in ("mpp", "hematoxylin_vector", "marker"):
        del old[name]  # files of before say nothing of it
    (tmp_path / "m.json").write_text(__import__("json").dumps(old))
    load_classifier(tmp_path / "m.json").check(mpp=3, marker="CK")


def tasks(*names, patient=None):
    return [SimpleNamespace(slide=name, file=f"{name}.png", patient=patient) for name in names]


def test_whose_tile_it_is(tmp_path):
    two = tasks("P01_a", "P02_a")
    assert _patients(tasks("x", patient="p"), None, None) == {"x": "p"}
    assert _patients(two, None, None) == {"P01_a": "", "P02_a": ""}
    assert _patients(two, None, r"^(P\d+)_") == {"P01_a": "P01", "P02_a": "P02"}
    table = tmp_path / "g.csv"
    table.write_text("slide,patient\nP01_a,one\nP02_a.png,two\n")
    assert _patients(two, table, None) == {"P01_a": "one", "P02_a": "two"}


def test_whose_tile_it_is_cannot_be_told(tmp_path):
    two, table = tasks("P01_a", "Q_a"), tmp_path / "g.csv"
    with pytest.raises(UsageError, match=r"does not tell every tile's patient; found \['Q_a'\]"):
        _patients(two, None, r"^(P\d+)_")
    with pytest.raises(UsageError, match="does not tell"):
        _patients(two, None, "_")
    with pytest.raises(UsageError, match="no regular expression"):
        _patients(two, None, "(")
    table.write_text("slide,patient\nP01_a,one\n")
    with pytest.raises(DataError, match=r"no patient for a tile; found \['Q_a'\]"):
        _patients(two, table, None)
    table.write_text("tile,patient\nP01_a,one\n")
    with pytest.raises(DataError, match="lacks a column"):
        _patients(two, table, None)
    with pytest.raises(UsageError, match="give one"):
        _patients(two, table, "(P)")
