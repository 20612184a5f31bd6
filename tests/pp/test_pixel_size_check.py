"""A wrong pixel size shows in the size of detail."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from biomarkers.pp.pixel_size_check import DOUBTED_UM, REFUSED_UM, detail_um, doubt_about_scale
from biomarkers.pp.squares import patches_of, stacked
from biomarkers.score import score_slide

WHITE = (240.0, 240.0, 240.0)


def test_stripes_lie_where_they_were_drawn():
    """Stripes 4 px wide: all variance is lost between squares of 4 and of 8 px, the third octave."""
    stripes = np.where(np.arange(64) // 4 % 2, 240, 120).astype(np.uint8)
    stack = np.repeat(np.repeat(stripes[None, None, :, None], 64, axis=1), 3, axis=3)
    assert detail_um(stack, white=WHITE, mpp=0.5) == pytest.approx(2**3 * 0.5)
    assert detail_um(stack, white=WHITE, mpp=0.25) == pytest.approx(2**3 * 0.25)


def test_an_empty_field_has_no_detail():
    assert math.isnan(detail_um(np.full((4, 64, 64, 3), 239, np.uint8), white=WHITE, mpp=0.5))
    assert doubt_about_scale(math.nan, mpp=0.5) == ("", "")


def test_limits_stand_where_they_were_set():
    assert (DOUBTED_UM, REFUSED_UM) == ((1.2, 11.0), (0.7, 16.0))
    assert [tuple(map(bool, doubt_about_scale(um, mpp=0.5))) for um in (0.6, 1.0, 3.0, 12.0, 17.0)] == [
        (True, False),
        (False, True),
        (False, False),
        (False, True),
        (True, False),
    ]


@pytest.mark.parametrize("mpp", [0.25, 0.35, 0.5])
def test_a_real_picture_at_a_believable_size(mpp):
    stack = stacked(patches_of(skimage.data.immunohistochemistry()))
    assert doubt_about_scale(detail_um(stack, white=WHITE, mpp=mpp), mpp=mpp) == ("", "")


@pytest.mark.parametrize("mpp", [0.05, 5.0])
def test_a_real_picture_at_a_tenth_and_ten_times_its_size(mpp):
    stack = stacked(patches_of(skimage.data.immunohistochemistry()))
    assert doubt_about_scale(detail_um(stack, white=WHITE, mpp=mpp), mpp=mpp)[0]


def test_a_resolution_ten_times_too_fine_is_not_scored(shared_data: Path) -> None:
    path = shared_data / "faults/slides/x10small_cm200000.tif"
    result = score_slide(path, assay="22c3", assume_tumor=True)
    assert result.row["status"] == "not_evaluable"
    assert "pixel size" in result.row["reason"]
    assert result.scores["value"].isna().all()
    right = score_slide(path, assay="22c3", assume_tumor=True, mpp=0.5)
    assert right.row["status"] in ("ok", "ok_with_warnings")
