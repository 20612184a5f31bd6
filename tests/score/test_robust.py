"""A real picture of stained glands, as other cameras, files and scanners would show it: its TPS moves by 3 points."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import Image

from biomarkers.simulate.copies import changed_copies
from tests.score.simulated import score

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
MPP = 0.35  # no pixel size is stored; nuclei are of usual size at this one
MOST = 3.0  # points of TPS


@pytest.fixture(scope="module")
def picture():
    return skimage.data.immunohistochemistry()


@pytest.fixture(scope="module")
def told(picture):
    return score(picture, mpp=MPP)


def test_the_glands_are_positive_and_the_stroma_is_not(told):
    assert 60 <= told.tps <= 75
    assert told.result.row["staining_pattern"] == "membranous"


# at 1.2 times the light a fifth of the field is clipped at 255: pale stroma is lost, and no score can bring it back
@pytest.mark.parametrize(
    "name", [one for one in changed_copies(np.zeros((8, 8, 3), np.uint8)) if one != "brightness x 1.2"]
)
def test_what_cameras_and_files_do(picture, told, name):
    assert abs(score(changed_copies(picture)[name], mpp=MPP).tps - told.tps) <= MOST


@pytest.mark.parametrize("mpp", [0.25, 0.5, 0.75, 1.0])
def test_other_pixel_sizes(picture, told, mpp):
    side = round(picture.shape[0] * MPP / mpp)
    scaled = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))
    assert abs(score(scaled, mpp=mpp).tps - told.tps) <= MOST


def test_turned_mirrored_and_lit_unevenly(picture, told):
    down, across = np.mgrid[-1:1:512j, -1:1:512j]
    dimmed = picture * (1 - 0.15 * (down**2 + across**2) / 2)[..., None]
    copies = {
        "quarter turn": np.rot90(picture),
        "mirrored": np.fliplr(picture),
        "17 degrees": np.asarray(
            Image.fromarray(picture).rotate(17, Image.Resampling.BICUBIC, expand=True, fillcolor=(241, 240, 241))
        ),
        "warm glass": picture * (1.0, 0.95, 0.85),
        "vignette of 15 %": dimmed,
        "black border": np.pad(picture, ((60, 60), (60, 60), (0, 0))),
    }
    moved = {
        name: score(np.ascontiguousarray(copy.astype(np.uint8)), mpp=MPP).tps - told.tps
        for name, copy in copies.items()
    }
    assert {name: by for name, by in moved.items() if abs(by) > MOST} == {}
