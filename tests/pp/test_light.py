"""Uneven and clipped light, on pictures painted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance

from biomarkers.pp.light import FieldLight, field_light
from biomarkers.pp.squares import across_of, patches_of
from biomarkers.simulate import render_hdab, simulate_scene
from tests.score.simulated import score

WHITE = (240.0, 240.0, 240.0)


def lit(rgb, *, mpp=0.5, white=WHITE):
    size = rgb.shape[1], rgb.shape[0]
    return field_light(patches_of(rgb), across=across_of(rgb), size=size, white=white, mpp=mpp)


def glass(side=768):
    noise = np.random.default_rng(0).normal(0, 2, (side, side, 3))
    return np.clip(240 + noise, 0, 255).astype(np.uint8)


def dimmed(rgb, by, *, shape="side"):
    down, across = np.meshgrid(*(np.linspace(-1, 1, length) for length in rgb.shape[:2]), indexing="ij")
    away = {"side": (across + 1) / 2, "corner": (down + across + 2) / 4, "corners": (down**2 + across**2) / 2}[shape]
    return np.rint(rgb * (1 - by * away)[..., None]).astype(np.uint8)


@pytest.fixture(scope="module")
def tissue():
    return render_hdab(simulate_scene(rng=3, size_px=768, mpp=0.5, crowding="sparse"), rng=3)


@pytest.mark.parametrize("shape", ["side", "corner", "corners"])
@pytest.mark.parametrize(("by", "flagged"), [(0.0, False), (0.10, False), (0.20, True), (0.30, True)])
def test_a_field_whose_light_falls_off_by_a_fifth_is_flagged(shape, by, flagged):
    told = lit(dimmed(glass(), by, shape=shape))
    assert told.uneven == flagged
    assert told.falloff == pytest.approx(by, rel=0.15, abs=0.01)


@pytest.mark.parametrize("shape", ["side", "corner", "corners"])
def test_so_is_tissue(tissue, shape):
    assert not lit(tissue).uneven
    assert lit(dimmed(tissue, 0.2, shape=shape)).uneven


def test_dense_tissue_in_the_middle_of_glass_is_no_uneven_light():
    down, across = np.mgrid[-1:1:768j, -1:1:768j]
    hill = np.exp(-2 * (down**2 + across**2))
    assert not lit((glass() * (1 - 0.4 * hill[..., None])).astype(np.uint8)).uneven


def test_a_picture_larger_than_a_field_of_a_camera_is_not_told():
    told = lit(dimmed(glass(), 0.3), mpp=2501 / 768)
    assert math.isnan(told.falloff)
    assert not told.uneven
    assert lit(dimmed(glass(), 0.3), mpp=2500 / 768).uneven


def test_too_few_patches_tell_nothing():
    assert math.isnan(lit(dimmed(glass(192), 0.3)).falloff)


@pytest.mark.parametrize(
    ("clipped", "beside", "flagged"),
    [(0.05, 0.015, True), (0.049, 0.5, False), (0.10, 0.03, True), (0.10, 0.0299, False)],
)
def test_clipped_light_is_told_by_what_lies_beside_it(clipped, beside, flagged):
    assert FieldLight(0.0, 0.0, 0.0, clipped, beside).clipped == flagged


@pytest.mark.parametrize(
    ("falloff", "smoothness", "sharpness", "flagged"),
    [(0.14, 0.87, 11.0, True), (0.139, 1.0, 99.0, False), (0.3, 0.869, 99.0, False), (0.3, 1.0, 10.9, False)],
)
def test_the_limits_of_uneven_light(falloff, smoothness, sharpness, flagged):
    assert FieldLight(falloff, smoothness, sharpness, 0.0, 0.0).uneven == flagged


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_photograph_taken_with_too_much_light_says_so_in_each_score():
    picture = skimage.data.immunohistochemistry()
    bright = np.asarray(ImageEnhance.Brightness(Image.fromarray(picture)).enhance(1.2))
    own, clipped = (score(one, mpp=0.35).result for one in (picture, bright))
    assert not own.row["clipped_light"]
    assert not own.scores["reason"].str.contains("in doubt").any()
    assert clipped.row["clipped_light"]
    assert clipped.row["status"] == "ok_with_warnings"
    assert "light too bright for the camera: 1" in clipped.row["reason"]
    tps = clipped.scores.set_index("score").loc["tps"]
    assert tps["value"] > 0
    assert tps["reason"].startswith("in doubt: light too bright")
