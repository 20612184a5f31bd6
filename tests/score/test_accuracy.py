"""Scores against planted truth: negative tiles, cytoplasmic tiles, accidents, and a classifier trained on five tiles.

benchmarks/accuracy_scores.py measures the same on many more tiles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage.data
from PIL import Image, ImageFilter

from biomarkers.simulate.nuisance import Nuisance
from tests.score.simulated import draw, halved, score

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SAMPLE = Path(__file__).parents[2] / "sample_data"


@pytest.mark.parametrize(("seed", "crowding"), [(11, "sparse"), (12, "dense"), (13, "touching")])
@pytest.mark.parametrize("assay", ["22c3", "h-dab-nuclear"])
def test_tissue_without_dab_is_negative(seed, crowding, assay):
    picture = draw(seed, size_px=400, mpp=0.5, crowding=crowding, tps=0, macrophage_share=0.0)
    assert score(picture, mpp=0.5, assay=assay).tps <= 0.5


@pytest.mark.parametrize(("seed", "crowding"), [(14, "sparse"), (15, "dense"), (16, "touching")])
def test_cytoplasmic_staining_is_no_membrane_staining(seed, crowding):
    picture = draw(seed, size_px=400, mpp=0.5, crowding=crowding, tps=60, cytoplasm_only=True, macrophage_share=0.0)
    assert score(picture, mpp=0.5).tps <= 2


@pytest.mark.slow
@pytest.mark.parametrize(("mpp", "coarser"), [(0.25, False), (0.35, False), (0.5, False), (0.5, True), (0.7, True)])
def test_membranes_over_stained_cytoplasm_stay_membranes_at_every_scale(mpp, coarser):
    """A real gland whose cytoplasm is stained too (no pixel size is stored): no scale makes its score fall to none."""
    picture = skimage.data.immunohistochemistry()
    if coarser:
        picture = halved(picture)
    told = score(picture, mpp=mpp)
    assert told.result.row["staining_pattern"] == "membranous"
    assert 50 <= told.tps <= 80


def test_a_picture_out_of_focus_is_not_scored():
    blurred = Image.fromarray(skimage.data.immunohistochemistry()).filter(ImageFilter.GaussianBlur(8))
    told = score(np.asarray(blurred), mpp=0.5).result
    assert told.row["status"] == "not_evaluable"
    assert "out of focus" in told.row["reason"]
    assert told.scores["value"].isna().all()


@pytest.mark.parametrize(
    ("effects", "flag"),
    [
        ({"pen": True}, "pen"),
        ({"pigment": 2.0}, "pigment"),
        ({"defocus_um": 1.2}, "blurred"),
        ({"dab": 3.0}, "over_stained"),
    ],
)
def test_accidents_stand_in_the_row(effects, flag):
    picture = draw(17, size_px=400, mpp=0.5, nuisance=Nuisance(**effects), crowding="dense", tps=70, strength=1.0)
    row = score(picture, mpp=0.5).result.row
    assert row[flag]
    assert row["status"] == "ok_with_warnings"


def test_a_good_tile_has_no_flag():
    row = score(draw(17, size_px=400, mpp=0.5, crowding="dense", tps=70, strength=0.5), mpp=0.5).result.row
    assert not any(row[flag] for flag in ("pen", "pigment", "blurred", "over_stained"))


@pytest.mark.slow
def test_a_classifier_from_five_tiles_scores_fifteen_others(tmp_path):
    from click.testing import CliRunner

    from biomarkers.cli.train import train
    from biomarkers.pheno.classify import load_classifier
    from biomarkers.score import score_slide

    tiles = sorted(str(path) for path in (SAMPLE / "training").glob("*.tif"))
    file = tmp_path / "classes.json"
    asked = [*tiles, "--annotations", str(SAMPLE / "training"), "--out", str(file), "--quiet"]
    assert CliRunner().invoke(train, asked, catch_exceptions=False).exit_code == 0
    classifier = load_classifier(file)
    assert classifier.accuracy >= 0.90
    truth = pd.read_csv(SAMPLE / "simulated_truth.csv").set_index("slide")
    errors = []
    for path in sorted((SAMPLE / "tiles").glob("*baseline_PD-L1.ome.tif"))[::3][:15]:
        scores = score_slide(path, assay="22c3", classifier=classifier).scores.set_index("score")
        errors.append(abs(scores.loc["tps", "value"] - truth.loc[path.name.removesuffix(".ome.tif"), "tps"]))
    assert len(errors) == 15
    assert np.median(errors) <= 4
