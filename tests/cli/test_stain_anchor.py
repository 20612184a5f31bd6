"""What a batch shares: stain files in and out, cuts anchored on controls, and another finder of nuclei by its name."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from biomarkers.pp import StainVectors, read_reference
from biomarkers.pp.vectors import angle_deg
from biomarkers.simulate import Nuisance, render_hdab, simulate_scene
from tests.score.painted import paint

GLASS = (236.0, 222.0, 200.0)


def biomarkers(*words, cwd, path=None):
    environment = {**os.environ} if path is None else {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, "-m", "biomarkers", *map(str, words)],
        capture_output=True, text=True, check=False, cwd=cwd, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Three simulated slides of one batch, on warm glass: one stained, two controls without DAB."""
    folder = tmp_path_factory.mktemp("batch")
    for name, seed, more in (
        ("stained", 31, {"tps": 60.0}),
        ("control-1", 32, {"tps": 0.0, "macrophage_share": 0.0}),
        ("control-2", 33, {"tps": 0.0, "macrophage_share": 0.0}),
    ):
        scene = simulate_scene(rng=seed, size_px=400, crowding="dense", **more)
        picture = render_hdab(scene, rng=seed, nuisance=Nuisance(glass=GLASS))
        Image.fromarray(picture).save(folder / f"{name}.png", dpi=(50_800, 50_800))  # 0.5 um/px
    return folder


@pytest.fixture(scope="module")
def shared(slides):
    done = biomarkers("stain", slides, "--estimate", "--out", "batch.toml", cwd=slides)
    assert done.returncode == 0, done.stderr
    return slides / "batch.toml", done.stdout


def test_a_batch_shares_its_white_and_estimated_vectors(shared):
    path, said = shared
    reference = read_reference(path)
    assert np.abs(np.log10(np.array(reference.white) / np.array(GLASS))).max() < 0.02
    known = StainVectors()
    assert angle_deg(reference.vectors.hematoxylin, known.hematoxylin) < 3
    assert angle_deg(reference.vectors.dab, known.dab) < 10
    assert reference.vectors.source == "estimated from 3 slides"
    assert "control-1" in said
    assert "3 slides" in said


def test_where_the_slides_cannot_tell_the_vectors_the_reference_stands(slides, tmp_path):
    done = biomarkers("stain", slides / "control-1.png", "--estimate", "--own-white", "--out", tmp_path / "a.toml",
                      cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = tomllib.loads((tmp_path / "a.toml").read_text())
    assert "white" not in content
    assert content["vectors"]["source"] == "Ruifrok 2001"
    assert "note: " in done.stdout


def test_the_file_comes_back_as_it_went_out(slides, shared, tmp_path):
    path, _ = shared
    out = tmp_path / "scores"
    asked = ("score", slides / "stained.png", "--assay", "22c3", "--assume-tumor", "--stain", path)
    done = biomarkers(*asked, "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kept = read_reference(out / "stain" / "stained.toml")
    assert kept == read_reference(path)
    row = pd.read_csv(out / "slides.csv").iloc[0]
    assert (row["white_r"], row["white_g"], row["white_b"]) == kept.white


def test_a_run_keeps_each_score_as_a_function_of_its_cut(slides, tmp_path):
    out = tmp_path / "scores"
    biomarkers("score", slides / "stained.png", "--assay", "22c3", "--assume-tumor", "--out", out, cwd=tmp_path)
    curve = pd.read_csv(out / "sensitivity" / "stained.csv")
    scores = pd.read_csv(out / "scores.csv").set_index("score")["value"]
    for name in ("tps", "h_score", "positive_fraction"):
        own = curve[(curve["score"] == name) & curve["in_force"]]
        assert own["value"].item() == pytest.approx(scores[name])
        assert curve.loc[curve["score"] == name, "dab_od"].is_monotonic_increasing
    assert "dab_area_percent" not in set(curve["score"])
    page = biomarkers("review", out, cwd=tmp_path)
    assert page.returncode == 0
    text = (out / "review.html").read_text()
    assert "<polyline" in text
    assert "1+ cut" in text


def test_controls_set_the_cuts_of_other_slides(slides, tmp_path):
    controls, cuts = tmp_path / "controls", tmp_path / "cuts.toml"
    negative = [slides / f"control-{number}.png" for number in (1, 2)]
    biomarkers("score", *negative, "--assay", "h-dab-membrane", "--out", controls, cwd=tmp_path)
    done = biomarkers("anchor", controls, "--out", cuts, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = tomllib.loads(cuts.read_text())
    assert set(content["slides"]) == {"control-1", "control-2"}
    assert content["assay"] == "h-dab-membrane"
    out = tmp_path / "scores"
    done = biomarkers("score", slides / "stained.png", "--assay", "h-dab-membrane", "--thresholds", cuts, "--out", out,
                      cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(out / "slides.csv")["cut_od"].item() == content["thresholds"]["dab_od"][0]
    assert biomarkers("anchor", slides, "--out", cuts, cwd=tmp_path).returncode == 2
    assert biomarkers("anchor", controls, "--out", "cuts.json", cwd=tmp_path).returncode == 2


PACKAGE = '''
import numpy as np
from scipy import ndimage


class Finder:
    """A stand-in for a model: what is dark and blue."""

    def segment(self, rgb, *, mpp):
        rgb = rgb.astype(float) / 255
        blue = (rgb[..., 0] < 0.7) & (rgb[..., 2] > rgb[..., 0])
        return ndimage.label(ndimage.binary_opening(blue, iterations=2))[0]
'''


def test_an_installed_packages_finder_is_used_by_its_name(tmp_path: Path):
    """A package with an entry point, as pip lays it out; nothing of it is known to this process."""
    site = tmp_path / "site"
    info = site / "stand_in-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "stand_in.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[biomarkers.segmenters]\nstand-in = stand_in:Finder\n")
    picture, centres = paint(ringed=lambda row, column: column < 5)
    Image.fromarray(picture).save(tmp_path / "tile.png")
    asked = ("score", "tile.png", "--mpp", "0.25", "--assay", "22c3", "--assume-tumor", "--out")
    done = biomarkers(*asked, "scores", "--segmenter", "stand-in", cwd=tmp_path, path=site)
    assert done.returncode == 0, done.stderr
    row = pd.read_csv(tmp_path / "scores" / "slides.csv").iloc[0]
    assert row["n_cells"] == len(centres)
    assert row["positive_fraction"] == 0.5
    done = biomarkers(*asked, "other", "--segmenter", "stand_in", cwd=tmp_path, path=site)
    assert done.returncode == 2
    assert "stand-in" in done.stderr
    assert not (tmp_path / "other").exists()
