"""Simulated files open elsewhere and say what they are."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from shapely.geometry import Point, shape

from biomarkers.cli.main import run
from biomarkers.simulate import render_hdab, simulate_scene
from biomarkers.simulate.files import points_geojson, regions_geojson, write_ome_tiff
from biomarkers.simulate.planting import auc


def test_an_ome_tiff_says_its_pixel_size_and_that_it_is_simulated(tmp_path):
    scene = simulate_scene(rng=1, size_px=128)
    rgb = render_hdab(scene, rng=1)
    write_ome_tiff(tmp_path / "simulated.ome.tif", rgb, mpp=0.5)
    with tifffile.TiffFile(tmp_path / "simulated.ome.tif") as file:
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata
        assert "simulated" in file.ome_metadata
        assert np.abs(file.asarray().astype(int) - rgb).mean() < 6, "JPEG loses little"


def test_regions_cover_the_tile_once():
    scene = simulate_scene(rng=2, size_px=(200, 300))
    features = regions_geojson(scene)["features"]
    area = {"Tumor": 0.0, "Stroma": 0.0}
    for feature in features:
        area[feature["properties"]["classification"]["name"]] += shape(feature["geometry"]).area
    assert abs(area["Tumor"] / scene.tumor_mask.sum() - 1) < 0.03
    assert abs(sum(area.values()) / scene.tumor_mask.size - 1) < 0.02


def test_points_lie_on_nuclei_of_their_class():
    scene = simulate_scene(rng=3, size_px=256)
    kinds = dict(zip(scene.cells["label"], scene.cells["cell_class"], strict=True))
    for feature in points_geojson(scene, rng=np.random.default_rng(0))["features"]:
        name = feature["properties"]["classification"]["name"].lower()
        labels = [scene.nucleus_labels[int(y), int(x)] for x, y in feature["geometry"]["coordinates"]]
        assert np.mean([kinds.get(label) == name for label in labels]) > 0.95
        assert all(Point(xy).within(Point(128, 128).buffer(200)) for xy in feature["geometry"]["coordinates"])


def test_the_command_writes_tiles_with_their_truth(tmp_path, capsys):
    arguments = ["simulate", "--out", str(tmp_path / "out"), "--n", "1", "--tps", "0,60", "--size", "128"]
    assert run(arguments) == 0
    assert "2 simulated tiles" in capsys.readouterr().out
    truth = pd.read_csv(tmp_path / "out" / "simulated_truth.csv")
    assert truth["tps"].between(55, 65).sum() == 1
    assert len(list((tmp_path / "out").glob("simulated_*.ome.tif"))) == 2
    assert json.loads(next((tmp_path / "out" / "regions").glob("*.geojson")).read_text())["features"]


def test_the_command_refuses_what_is_no_tps(tmp_path, capsys):
    assert run(["simulate", "--out", str(tmp_path / "out"), "--tps", "0,high"]) == 2
    assert "0,high" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_plants_an_auc_through_the_image(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["simulate", "--trial", "--out", str(out), "--auc", "PD-L1=0.9", "--responses", "PR=5,SD=4,PD=3"]
    assert run([*arguments, "--pairs", "0", "--seed", "3"]) == 0
    assert "A simulated trial of 12 patients" in capsys.readouterr().out
    clinical = pd.read_csv(out / "simulated_clinical.csv").set_index("patient")
    truth = pd.read_csv(out / "simulated_truth.csv").set_index("patient")
    responder = clinical["best_response"].isin(["CR", "PR"]).to_numpy()
    level = truth.loc[truth["marker"] == "PD-L1", "tps"].reindex(clinical.index).to_numpy()
    assert auc(level, responder) == pytest.approx(0.9, abs=0.06)
    assert len(list((out / "tiles").glob("simulated_*.ome.tif"))) == 24


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trial", "--auc", "PDL1=0.9"], "--auc is not understood"),
        (["--trial", "--auc", "PD-L1=1.5"], "an AUC is out of range"),
        (["--trial", "--responses", "PR=5"], "responders and non-responders"),
        (["--trial", "--responses", "PR=5,SD=2", "--pairs", "8"], "more pairs than patients"),
        (["--auc", "PD-L1=0.9"], "it needs --trial"),
    ],
)
def test_the_command_refuses_what_is_no_trial(tmp_path, capsys, words, message):
    assert run(["simulate", "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_same_seed_gives_the_same_files_byte_for_byte(tmp_path):
    for folder in ("one", "two"):
        assert run(["simulate", "--out", str(tmp_path / folder), "--n", "1", "--tps", "40", "--size", "96"]) == 0
    for path in (tmp_path / "one").rglob("*"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.is_dir() or path.read_bytes() == other.read_bytes(), path.name
