"""Corrections: matched, applied, counted; scores follow by hand; what does not fit is refused and named."""

import copy
import json
import math
import uuid

import numpy as np
import pandas as pd
import pytest

from biomarkers.cli.main import run
from biomarkers.core.errors import DataError, UsageError
from biomarkers.review.agree import agree
from biomarkers.review.class_names import Effect, effect_of
from biomarkers.review.corrections import FORMAT, read_corrections
from biomarkers.review.readings import CORRECTED, SOFTWARE, Reading, append_reading
from biomarkers.review.rescore import rescore

FIRST, SECOND = "simulated_SIM-002_baseline_PD-L1", "simulated_SIM-003_baseline_PD-L1"
MPP = 0.5


def _write(folder, features, *, of=FIRST, **head):
    folder.mkdir(exist_ok=True)
    content = {"type": "FeatureCollection", "features": features}
    if head:
        content["biomarkers"] = {"format": FORMAT, **head}
    (folder / f"{of}.geojson").write_text(json.dumps(content))
    return folder


def _table(folder, slide=FIRST):
    return pd.read_parquet(folder / "cells" / f"{slide}.parquet")


def _score(found, name, slide=FIRST, region="all"):
    rows = found.scores
    return rows[(rows["slide"] == slide) & (rows["score"] == name) & (rows["region"] == region)].iloc[0]


def _negative(exported, n):
    named = [f for f in exported["features"] if f["properties"]["classification"]["name"] == "Tumor: Negative"]
    return copy.deepcopy(named[:n])


def _area(box, name):
    x0, y0, x1, y1 = box
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


def _new(feature):
    feature["properties"]["classification"] = {"names": ["Tumor", "2+"], "color": [1, 2, 3]}
    return feature


def _old(feature):
    own = feature["properties"]
    return {
        "type": "Feature",
        "id": "PathCellObject",
        "geometry": feature["geometry"],
        "nucleusGeometry": feature.get("nucleusGeometry"),
        "properties": {
            "classification": {"name": "Tumor: 2+", "colorRGB": -3670016},
            "isLocked": False,
            "measurements": [{"name": name, "value": value} for name, value in own["measurements"].items()],
        },
    }


def _snake(feature):
    own = feature["properties"]
    own["object_type"] = own.pop("objectType")
    own["classification"] = ["Tumor", "2+"]
    feature["id"] = feature["id"].upper()
    return feature


def _without_id_or_measurements(feature):
    own = feature["properties"]
    return {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": feature["nucleusGeometry"],
        "properties": {"objectType": "detection", "classification": {"name": "Tumor: 2+"}, "x": own.get("none")},
    }


@pytest.mark.slow
@pytest.mark.parametrize("dialect", [_new, _old, _snake, _without_id_or_measurements])
def test_25_classes_changed_in_qupath_are_25_corrections(run_copy, exported, tmp_path, dialect):
    changed = _negative(exported, 25)
    ids = {feature["id"] for feature in changed}
    rest = [feature for feature in exported["features"] if feature["id"] not in ids]
    foreign = dialect(_negative(exported, 1)[0])
    foreign["geometry"] = {"type": "Polygon", "coordinates": [[[9000, 9000], [9010, 9000], [9010, 9010], [9000, 9000]]]}
    foreign["id"] = "PathCellObject" if dialect is _old else "nobody"
    foreign["properties"]["measurements"] = {}
    before = _table(run_copy)
    folder = _write(tmp_path / "qupath", [*rest, *(dialect(one) for one in changed), foreign])
    found = rescore(run_copy, out=tmp_path / "out", corrections=folder)
    told = found.corrections.iloc[0]
    assert (told["status"], told["n_changed"], told["n_foreign"], told["n_not_understood"]) == ("applied", 25, 1, 0)
    assert foreign["id"] in told["reason"]
    assert told["n_matched"] == len(exported["features"])
    tps = _score(found, "tps")
    positive, n = int(before["PD-L1_positive"].sum()) + 25, len(before)
    assert (tps["numerator"], tps["denominator"]) == (positive, n)
    assert tps["value"] == pytest.approx(100 * positive / n)
    assert tps["machine_value"] == pytest.approx(100 * (positive - 25) / n)
    assert (tps["source"], tps["n_corrected"]) == ("corrected", 25)
    bins = before["PD-L1_bin"].sum() + 2 * 25
    assert _score(found, "h_score")["value"] == pytest.approx(100 * bins / n)
    other = _score(found, "tps", SECOND)
    assert (other["source"], other["n_corrected"], other["value"]) == ("machine", 0, other["machine_value"])
    after = _table(tmp_path / "out")
    assert after["corrected"].sum() == 25
    assert (after["PD-L1_bin"] != before["PD-L1_bin"]).sum() == 25


@pytest.mark.slow
def test_an_export_without_changes_changes_nothing(run_copy, exported, tmp_path):
    folder = _write(tmp_path / "same", exported["features"])
    found = rescore(run_copy, out=tmp_path / "out", corrections=folder)
    assert found.corrections["status"].tolist() == ["nothing to change"]
    assert (found.scores["source"] == "machine").all()
    kept = pd.read_csv(tmp_path / "out" / "scores.csv")
    pd.testing.assert_frame_equal(
        kept[list(pd.read_csv(run_copy / "scores.csv").columns)], pd.read_csv(run_copy / "scores.csv")
    )


@pytest.mark.slow
def test_recounting_the_same_cells_gives_every_score_of_the_run(run_copy, exported, tmp_path):
    """A correction that is taken back by a second one leaves the run's scores, made anew from the table."""
    one = _negative(exported, 1)[0]
    one["properties"] |= {"classification": {"name": "Tumor: 3+"}, "time": "2026-01-01T10:00", "author": "A"}
    folder = _write(tmp_path / "c", [one, _area((0, 0, 1, 1), "Ignore*")])
    found = rescore(run_copy, out=tmp_path / "out", corrections=folder)
    assert "1 regions hold no cell" in found.corrections["reason"].iloc[0]
    assert not found.scores["reason"].fillna("").str.contains("counted again").any()


@pytest.mark.slow
def test_a_moved_cut_gives_the_values_of_the_sensitivity_curve(run_copy, tmp_path):
    curve = pd.read_csv(run_copy / "sensitivity" / f"{FIRST}.csv")
    for cut, part in curve.groupby("dab_od"):
        folder = _write(tmp_path / f"cut{cut}", [], cuts=[{"cut_od": cut, "author": "A", "time": "t"}])
        found = rescore(run_copy, out=tmp_path / f"out{cut}", corrections=folder)
        for row in part.to_dict("records"):
            value = _score(found, row["score"])["value"]
            assert value == pytest.approx(row["value"], nan_ok=True), (cut, row["score"])
        assert found.slides["cut_od"].astype(float).iloc[0] == pytest.approx(cut)


@pytest.mark.slow
def test_a_region_left_out_takes_its_cells_along_and_no_area_is_guessed(run_copy, tmp_path):
    before = _table(run_copy)
    box = (100, 100, 300, 300)
    inside = before["x_um"].between(box[0] * MPP, box[2] * MPP) & before["y_um"].between(box[1] * MPP, box[3] * MPP)
    found = rescore(run_copy, out=tmp_path / "out", corrections=_write(tmp_path / "c", [_area(box, "Ignore*")]))
    tps = _score(found, "tps")
    assert tps["denominator"] == (~inside).sum()
    assert tps["numerator"] == before.loc[~inside, "PD-L1_positive"].sum()
    density = _score(found, "density_per_mm2")
    assert density["status"] == "not_evaluable"
    assert "needs pixels" in density["reason"]
    assert math.isnan(density["value"])
    assert density["machine_value"] > 0
    again = _write(tmp_path / "c2", [_area(box, "Region*")])
    back = rescore(tmp_path / "out", out=tmp_path / "out2", corrections=again)
    assert _score(back, "tps")["denominator"] == len(before)


@pytest.mark.slow
def test_classes_decide_who_is_counted(run_copy, exported, tmp_path):
    before = _table(run_copy)
    chosen = copy.deepcopy(exported["features"][:12])
    for feature, name in zip(chosen, ["Stroma"] * 5 + ["Immune cells: Negative"] * 4 + ["Ignore*"] * 3, strict=True):
        feature["properties"]["classification"] = {"name": name}
    folder = _write(tmp_path / "c", chosen)
    found = rescore(run_copy, out=tmp_path / "out", corrections=folder)
    after = _table(tmp_path / "out")
    assert after["cell_class"].value_counts().to_dict() == {"tumor": len(before) - 9, "stroma": 5, "lymphocyte": 4}
    assert _score(found, "tps")["denominator"] == len(before) - 12
    assert _score(found, "cps")["status"] == "not_evaluable", "four corrected cells do not tell the others apart"
    row = found.slides.iloc[0]
    assert (row["n_cells"], row["n_excluded"]) == (len(before) - 3, 3)


@pytest.mark.slow
def test_what_does_not_fit_is_refused_by_name_and_the_rest_is_finished(run_copy, exported, tmp_path):
    one = _new(_negative(exported, 1)[0])
    folder = tmp_path / "c"
    cases = {
        "another run": ([one], {"n_cells": 5}, "another run"),
        "another slide": ([one], {"slide": "x"}, "another slide"),
        "another pixel size": ([one], {"mpp": 0.25}, "another pixel size"),
        "another format": ([one], {"format": "corrections 9"}, "unknown format"),
        "a cut of nothing": ([], {"cuts": [{"cut_od": 0}]}, "cut out of range"),
        "signatures": (
            [one],
            {
                "signatures": [
                    {"author": a, "decision": d, "time": "1"} for a, d in (("A", "accepted"), ("B", "rejected"))
                ]
            },
            "contradict",
        ),
        "no class": ([_area((0, 0, 9, 9), "Vessel")], {}, "without a known class"),
    }
    other = json.loads((run_copy / "geojson" / f"{SECOND}.geojson").read_text())["features"]
    far = copy.deepcopy(other)
    for number, feature in enumerate(far):
        feature["properties"] |= {"classification": {"name": "Tumor: 3+"}, "measurements": {}}
        feature["id"] = f"gone {number}"
        feature["geometry"]["coordinates"] = [[[x + 5000, y] for x, y in feature["geometry"]["coordinates"][0]]]
    cases["cells that do not exist"] = (far, {}, "none of this run's")
    twice = [_new(_negative(exported, 1)[0]), _negative(exported, 1)[0]]
    cases["one cell twice"] = (twice, {}, "two classes at one time")
    good = copy.deepcopy(other[:1])
    good[0]["properties"]["classification"] = {"name": "Tumor: 3+"}
    for number, (name, (features, head, error)) in enumerate(cases.items()):
        _write(folder, features, **head)
        _write(folder, good, of=SECOND)
        found = rescore(run_copy, out=tmp_path / f"out{number}", corrections=folder)
        told = found.corrections.set_index("slide")
        assert told.loc[FIRST, "status"] == "refused", name
        assert error in told.loc[FIRST, "reason"], name
        assert told.loc[SECOND, "status"] == "applied", name
        kept = _score(found, "tps")
        assert (kept["source"], kept["value"]) == ("machine", kept["machine_value"])
        assert error in found.slides["correction_reason"].iloc[0]


@pytest.mark.slow
def test_the_command_its_exit_code_and_what_it_refuses(run_copy, exported, tmp_path, capsys):
    corrections = _write(run_copy / "corrections", [_new(_negative(exported, 1)[0])])
    assert run(["rescore", str(run_copy), "--out", str(tmp_path / "a")]) == 0
    assert "1 applied; 1 cells changed" in capsys.readouterr().out
    (corrections / "nobody.geojson").write_text("{}")
    assert run(["rescore", str(run_copy), "--out", str(tmp_path / "b")]) == 1
    assert "no slide of this run" in capsys.readouterr().out
    assert run(["rescore", str(run_copy), "--out", str(tmp_path / "b")]) == 2
    assert run(["rescore", str(run_copy), "--out", str(run_copy)]) == 2
    assert run(["rescore", str(run_copy), "--out", str(tmp_path / "d"), "--corrections", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "d").exists()
    append_reading(tmp_path / "a", Reading(FIRST, "PD-L1", "tps", 33, "A", True))
    append_reading(tmp_path / "a", Reading(SECOND, "PD-L1", "tps", 3, "A", True))
    append_reading(tmp_path / "a", Reading(SECOND, "PD-L1", "tps", 4, "B", True))
    readers = agree(tmp_path / "a").readings
    row = readers.set_index("slide").loc[FIRST]
    scores = pd.read_csv(tmp_path / "a" / "scores.csv").set_index(["slide", "score"]).loc[(FIRST, "tps")]
    assert row[CORRECTED] == pytest.approx(scores["value"])
    assert row[SOFTWARE] == pytest.approx(scores["machine_value"])


@pytest.mark.slow
def test_a_cohort_takes_the_corrected_value(run_copy, exported, tmp_path):
    from biomarkers.cohort.measurements import read_scores

    folder = _write(tmp_path / "c", [_new(one) for one in _negative(exported, 10)])
    rescore(run_copy, out=tmp_path / "out", corrections=folder)
    frame = read_scores(tmp_path / "out").set_index(["sample", "score"])
    scores = pd.read_csv(tmp_path / "out" / "scores.csv").set_index(["slide", "score"])
    assert frame.loc[(FIRST, "tps"), "value"] == pytest.approx(scores.loc[(FIRST, "tps"), "value"])
    assert scores.loc[(FIRST, "tps"), "value"] > scores.loc[(FIRST, "tps"), "machine_value"]


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("Tumor: Negative", Effect("tumor", 0)),
        ("Tumor: Positive", Effect("tumor", None, positive=True)),
        ("tumour", Effect("tumor")),
        ("Immune cells: Positive", Effect("lymphocyte", None, positive=True)),
        ("3+", Effect(None, 3)),
        ("Cell: 1+", Effect("unknown", 1)),
        ("Necrosis", Effect(excluded=True)),
        ("Region*", Effect()),
        ("Nerve", None),
        ("", None),
    ],
)
def test_what_class_names_ask_for(name, effect):
    assert effect_of(name) == effect


def test_undone_corrections_are_not_read(tmp_path):
    feature = _area((0, 0, 9, 9), "Ignore*")
    feature["properties"]["action"] = "a1"
    folder = _write(tmp_path, [feature], undone=[{"action": "a1", "author": "A", "time": "1"}])
    assert read_corrections(folder / f"{FIRST}.geojson").regions == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "{}",
        "[1]",
        '{"type": "FeatureCollection", "features": []}',
        '{"type": "FeatureCollection", "features": [], "biomarkers": 5}',
    ],
)
def test_files_that_are_no_corrections_are_refused(tmp_path, text):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(DataError):
        read_corrections(tmp_path / "a.geojson")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError):
        rescore(tmp_path, out=tmp_path / "out")
    assert np.array_equal(list(tmp_path.iterdir()), [])
