"""From an image file to scores, overlay and QuPath objects, on pictures whose cells are known."""

from __future__ import annotations

import json
import subprocess
import sys

import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from biomarkers.core import keys
from biomarkers.core.config import load_assay
from biomarkers.core.errors import DataError, SlideError, UsageError
from biomarkers.io import read_tile
from biomarkers.score import anchor_thresholds, score_slide, score_tile, write_anchor
from biomarkers.score.classes import Classes
from biomarkers.score.outputs import cell_frame, rounded
from biomarkers.score.setup import cell_settings
from biomarkers.seg import find_cells
from tests.score.painted import save, save_areas

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def left_half(row, column):
    return column < 5


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    return save(tmp_path_factory.mktemp("tile"), ringed=left_half)


@pytest.fixture(scope="module")
def assumed(painted):
    return score_slide(painted[0], assay="22c3", mpp=0.25, assume_tumor=True)


def value(result, score, region="all"):
    row = result.scores.query("score == @score and region == @region").iloc[0]
    return row["value"] if row["status"] == "ok" else row["reason"]


def test_ringed_cells_are_positive_and_no_others(painted, assumed):
    _, centres = painted
    cells = assumed.cells
    assert cells.n_obs == len(centres) == 100
    assert np.sort(cells.obs["x_um"].to_numpy()) == pytest.approx(np.sort([x * 0.25 for x, _ in centres]), abs=0.5)
    assert value(assumed, "tps") == 50
    assert (cells.obs["PD-L1_positive"].to_numpy() == (cells.obs["x_um"] < 5.5 * 12)).all()
    assert assumed.row["n_positive"] == assumed.row["n_negative"] == 50
    assert assumed.row["positive_fraction"] == 0.5


def test_row_and_record_hold_the_contract(assumed):
    assert set(keys.SLIDE_COLUMNS) <= set(assumed.row)
    assert tuple(assumed.scores.columns) == keys.SCORE_COLUMNS
    assert assumed.row["status"] == "ok"  # a note, not a warning: it was asked for
    assert "assumed to be a tumor cell" in assumed.row["reason"]
    assert assumed.row["mpp_source"] == "stated"
    record = json.loads(json.dumps(assumed.record))
    assert record["thresholds"]["dab_od"] == list(assumed.assay.thresholds.dab_od)
    assert record["classes"]["assume_tumor"] is True
    assert len(record["white"]) == 3


def test_assumed_tumor_gives_no_immune_score(assumed):
    assert "immune cells not told apart" in value(assumed, "cps")


def test_without_knowing_tumor_cells_there_is_no_tps(painted):
    result = score_slide(painted[0], assay="22c3", mpp=0.25)
    assert "cell classes unknown" in value(result, "tps")
    assert value(result, "positive_fraction") == 0.5
    assert result.row["sensitivity_score"] == "positive_fraction"


def test_annotations_say_what_is_tumor_and_what_is_left_out(painted, tmp_path):
    # columns 0-7 are tumor, of which 0-1 are necrotic; columns 8-9 were not annotated
    file = save_areas(tmp_path / "a.geojson", [("Tumor", 0, 0, 408, 528), ("Necrosis", 0, 0, 120, 528)])
    assay_small = score_slide(painted[0], assay="sp142", mpp=0.25, annotations=file)
    row = assay_small.scores.query("score == 'tc_percent' and region == 'all'").iloc[0]
    assert (row["numerator"], row["denominator"]) == (30, 60)
    assert assay_small.row["n_excluded"] == 40
    assert value(assay_small, "tc_percent", "tumor") == 50
    area = (408 - 120) * 528 * 0.25**2 / 1e6
    assert assay_small.row["tissue_mm2"] == pytest.approx(area, rel=0.05)
    assert "immune cells not told apart" in value(assay_small, "ic_percent")


def test_stain_in_what_is_left_out_is_in_no_area(painted, tmp_path):
    # brown rings stand in columns 0-4; the Ignore region takes columns 0-1 with their rings
    whole = score_slide(painted[0], assay="sp142", mpp=0.25)
    file = save_areas(tmp_path / "a.geojson", [("Ignore*", 0, 0, 120, 528)])
    part = score_slide(painted[0], assay="sp142", mpp=0.25, annotations=file)
    area = "score == 'dab_area_percent' and region == 'all'"
    all_stain, left = whole.scores.query(area)["numerator"].iloc[0], part.scores.query(area)["numerator"].iloc[0]
    assert left / all_stain == pytest.approx(3 / 5, abs=0.03)


def test_annotations_of_another_resolution_stop(painted, tmp_path):
    file = save_areas(tmp_path / "a.geojson", [("Tumor", 0, 0, 2112, 2112)])
    with pytest.raises(DataError, match="another resolution"):
        score_slide(painted[0], assay="22c3", mpp=0.25, annotations=file)


def test_anchored_cuts_from_a_file(painted, tmp_path):
    clean, _ = save(tmp_path, "clean.png")
    control = score_slide(clean, assay="22c3", mpp=0.25, assume_tumor=True)
    anchor = anchor_thresholds({"one": control.cells, "two": control.cells}, assay="22c3")
    write_anchor(anchor, tmp_path / "anchor.toml")
    result = score_slide(painted[0], assay="22c3", mpp=0.25, assume_tumor=True, thresholds=tmp_path / "anchor.toml")
    assert result.record["thresholds"]["source"].startswith("anchored")
    # one negative in a hundred lies above the cut by design, and so low a cut lets two more see their neighbours' rings
    assert value(result, "tps") == pytest.approx(50, abs=3)
    assert value(control, "tps") == 0


def test_glass_alone_is_no_tissue(tmp_path):
    glass = np.random.default_rng(0).normal(238, 1, (300, 300, 3)).round().astype(np.uint8)
    Image.fromarray(glass).save(tmp_path / "glass.png")
    result = score_slide(tmp_path / "glass.png", assay="22c3", mpp=0.25)
    assert result.row["status"] == "no_tissue"
    assert result.row["n_cells"] == 0
    assert result.scores["value"].isna().all()
    assert result.geojson()["features"] == []
    assert len(result.cells_table()) == 0
    assert result.overlay().width >= 300


def test_he_is_not_scored(shared_data):
    result = score_slide(shared_data / "images/slides/CMU-1-Small-Region.svs", assay="22c3")
    assert result.row["status"] == "not_evaluable"
    assert "no DAB" in result.row["reason"]
    assert result.scores["value"].isna().all()
    assert (result.scores["reason"] == result.row["reason"]).all()


def test_contradictions_and_missing_things(painted, tmp_path):
    path = painted[0]
    with pytest.raises(UsageError, match="pixel size"):
        score_slide(path, assay="22c3")
    with pytest.raises(UsageError, match="contradict"):
        score_slide(path, assay="22c3", mpp=0.25, classifier="x.json", assume_tumor=True)
    with pytest.raises(UsageError, match="given twice"):
        score_slide(path, assay="22c3", mpp=0.25, stain="s.toml", white=(255, 255, 255))
    with pytest.raises(SlideError):
        score_slide(tmp_path / "absent.png", assay="22c3", mpp=0.25)


def test_white_and_vectors_from_a_file_are_those_that_count(painted, tmp_path):
    from biomarkers.pp import StainReference, StainVectors, write_reference

    write_reference(StainReference(white=(200.0, 198.0, 196.0), vectors=StainVectors()), tmp_path / "s.toml")
    result = score_slide(painted[0], assay="22c3", mpp=0.25, assume_tumor=True, stain=tmp_path / "s.toml")
    assert result.record["white"] == [200.0, 198.0, 196.0]


def test_tissue_without_a_cell_is_told(tmp_path):
    from biomarkers.score.whole import score_whole_slide

    Image.fromarray(np.full((300, 300, 3), (178, 172, 200), np.uint8)).save(tmp_path / "pale.png")
    asked = {"assay": "22c3", "mpp": 0.5, "white": (245.0, 245.0, 245.0)}
    held = score_slide(tmp_path / "pale.png", **asked)
    streamed = score_whole_slide(tmp_path / "pale.png", **asked, cells_to=tmp_path / "cells.parquet")
    for row in (held.row, streamed.row):
        assert (row["status"], row["n_cells"]) == ("ok_with_warnings", 0)
        assert "no cell was found in the tissue" in row["reason"]


def test_geojson_for_qupath(painted, assumed):
    told = json.loads(json.dumps(assumed.geojson()))
    assert told == json.loads(json.dumps(assumed.geojson()))  # the same result is the same file
    assert len(told["features"]) == 100
    leftmost = int(assumed.cells.obs["x_um"].to_numpy().argmin())  # one of those with a ring
    first = told["features"][leftmost]
    ring = np.array(first["geometry"]["coordinates"][0])
    assert ring[0].tolist() == ring[-1].tolist()
    middle = assumed.cells.obs[["x_um", "y_um"]].iloc[leftmost].to_numpy() / 0.25
    assert ring[:-1].mean(axis=0) == pytest.approx(middle, abs=6)
    assert first["properties"]["objectType"] == "cell"
    assert first["properties"]["classification"]["name"] in ("Tumor: 3+", "Tumor: 2+", "Tumor: 1+")
    assert first["properties"]["measurements"]["PD-L1_membrane_mean"] > 0.1
    assert "NaN" not in json.dumps(told)
    assert len({feature["id"] for feature in told["features"]}) == 100


def test_geojson_is_what_each_cell_gives_by_itself(assumed):
    from biomarkers.score.outlines import outlines

    bodies, nuclei, table = outlines(assumed.cell_labels), outlines(assumed.nucleus_labels), assumed.cells_table()
    numbers = [name for name in table.select_dtypes("number") if name != "label"]
    assert table[numbers].isna().to_numpy().any(), "some cells have no cytoplasm or membrane"
    assert len(bodies) == len(assumed.geojson()["features"])
    for row, feature in enumerate(assumed.geojson()["features"]):
        for key, corners in (("geometry", bodies[row + 1]), ("nucleusGeometry", nuclei[row + 1])):
            assert feature[key]["coordinates"] == [[*corners.tolist(), corners[0].tolist()]]
        known = table[numbers].iloc[row].dropna()
        own = {name: round(float(value), 6) for name, value in known.items()}
        assert json.dumps(feature["properties"]["measurements"]) == json.dumps(own)


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(width=64)), st.integers(0, 2**32 - 1))
def test_rounding_is_pythons(values, seed):
    halves = (2 * np.random.default_rng(seed).integers(-(10**9), 10**9, 50) + 1) / 2e6
    for some in (values, halves):
        expected = [round(value, 6) if np.isfinite(value) else value for value in some.tolist()]
        assert repr(rounded(some).tolist()) == repr(expected)


def test_overlay_colours_positive_and_negative_cells(assumed):
    from biomarkers.score.palette import kinds

    shown, index = kinds(assumed.cells, marker="PD-L1")
    picture = np.asarray(assumed.overlay())
    assert picture.shape[0] > picture.shape[1]  # the legend stands below
    halves = {"negative": picture[: 528 * 2, 528 * 11 // 10 :], "positive": picture[: 528 * 2, : 528 * 9 // 10]}
    for kind, count in zip(shown, np.bincount(index), strict=True):
        half = halves["negative" if kind.name.endswith("Negative") else "positive"]
        assert (half == kind.colour).all(axis=-1).sum() > 20 * count, kind


def test_table_of_cells(assumed, tmp_path):
    table = assumed.cells_table()
    assert {"slide", "x_um", "y_um", "cell_class", "PD-L1_positive", "PD-L1_membrane_mean"} <= set(table.columns)
    table.to_parquet(tmp_path / "cells.parquet", index=False)
    assert assumed.row["n_positive"] == int(table["PD-L1_positive"].sum())


def test_plain_cells_and_their_annotated_data_say_the_same(assumed):
    cells, plain = assumed.called.table(), assumed.called
    assert {*cells.layers} - {None} == set(plain.layers)  # anndata 0.13 lists X as None
    for name in plain.layers:
        np.testing.assert_array_equal(cells.layers[name], plain.layers[name].astype(np.float32))
    assert {name: cells.obs[name].tolist() for name in cells.obs} == {
        name: plain.obs[name].to_numpy().tolist() for name in plain.obs.columns
    }
    assert cells.uns["thresholds"]["source"] == plain.uns["thresholds"]["source"]
    assert cells.var_names.tolist() == ["PD-L1", "hematoxylin"]
    assert cells.obs_names.tolist() == plain.obs_names
    as_table = cell_frame(cells, slide=assumed.slide)
    pd.testing.assert_frame_equal(cell_frame(plain, slide=assumed.slide), as_table, check_exact=True)


def test_what_is_changed_in_the_cells_is_shown(painted):
    result = score_slide(painted[0], assay="22c3", mpp=0.25, assume_tumor=True)
    before = result.geojson()
    result.cells.obs["PD-L1_bin"] = 0
    assert {feature["properties"]["classification"]["name"] for feature in result.geojson()["features"]} == {
        "Tumor: Negative"
    }
    assert len(before["features"]) == len(result.geojson()["features"])
    assert (result.cells_table()["PD-L1_bin"] == 0).all()


def test_cells_are_numbered_and_placed_as_find_cells_does(painted):
    tile = read_tile(painted[0], mpp=0.25, region=(40, 60, 300, 280))
    assay = load_assay("22c3")
    found = find_cells(tile, settings=cell_settings(assay, assay.thresholds), progress=False)
    scored = score_tile(
        tile, assay=assay, slide="s", marker="PD-L1", thresholds=assay.thresholds, classes=Classes(), white=found.white
    )
    assert scored.tile is tile
    there = [name for name in found.cells.obs if name not in ("cell_class", "region")]
    pd.testing.assert_frame_equal(scored.cells.obs[there], found.cells.obs[there], check_exact=True)
    np.testing.assert_array_equal(scored.cells.obsm["spatial"], found.cells.obsm["spatial"])
    np.testing.assert_array_equal(scored.cells.X, found.cells.X)


def test_an_image_without_cells_has_the_columns_of_one_with(painted, tmp_path):
    Image.fromarray(np.full((300, 300, 3), 240, np.uint8)).save(tmp_path / "glass.png")
    empty = score_slide(tmp_path / "glass.png", assay="22c3", mpp=0.25)
    full = score_slide(painted[0], assay="22c3", mpp=0.25)
    assert set(full.cells_table().columns) - set(empty.cells_table().columns) == {"excluded"}
    assert set(empty.cells.layers) == set(full.cells.layers)


def test_the_first_score_loads_no_table_library_that_it_does_not_need(painted):
    code = (
        "import sys\nfrom biomarkers.score import score_slide\n"
        f"result = score_slide({str(painted[0])!r}, assay='22c3', mpp=0.25)\nassert len(result.scores)\n"
        "late = {'anndata', 'dask', 'distributed', 'tqdm', 'xarray', 'zarr', 'scipy.ndimage'}\n"
        "early = sorted(late & set(sys.modules))\n"
        "assert result.cells.n_obs and result.tile.ndim == 3 and 'anndata' in sys.modules\nprint(early)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_notebook_view_escapes(painted):
    result = score_slide(painted[0], assay="h-dab-nuclear", mpp=0.25, slide="<b>x</b>", marker="Ki-67")
    assert "<b>x</b>:" not in result._repr_html_()
    assert result.scores["marker"].eq("Ki-67").all()
    assert value(result, "positive_fraction") == 0
