"""Padding is read as glass and its share is told; what is no padding is left as it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biomarkers.io import open_slide, read_tile, tile_rgb
from biomarkers.io.padding import padding_of
from tests.io.pictures import tissue


def bordered(picture: np.ndarray, side: int, level: int) -> np.ndarray:
    return np.pad(picture, ((side, side), (side, side), (0, 0)), constant_values=level)


@pytest.mark.parametrize("level", [0, 1, 40, 128, 200])
@pytest.mark.parametrize("side", [24, 60, 61])
def test_a_border_of_black_or_grey_becomes_glass(tmp_path: Path, level: int, side: int) -> None:
    inner = tissue(300, 340)
    whole = bordered(inner, side, level)
    Image.fromarray(whole).save(tmp_path / "a.png")
    tile = read_tile(tmp_path / "a.png", mpp=0.5)
    found = np.asarray(tile_rgb(tile))
    np.testing.assert_array_equal(found[side:-side, side:-side], inner)
    outside = np.ones(found.shape[:2], bool)
    outside[side:-side, side:-side] = False
    assert (found[outside] == 255).all()
    assert tile.attrs["padding_share"] == pytest.approx(1 - inner.size / whole.size, abs=0.06)


@pytest.mark.parametrize("angle", [5, 30, 45])
@pytest.mark.parametrize("quality", [None, 90])
def test_the_corners_of_a_turned_picture_become_glass(tmp_path: Path, angle: float, quality: int | None) -> None:
    inner = Image.fromarray(tissue(400, 400))
    turned = inner.rotate(angle, Image.Resampling.BILINEAR, expand=True, fillcolor=(0, 0, 0))
    truth = np.asarray(
        Image.new("L", inner.size, 255).rotate(angle, Image.Resampling.BILINEAR, expand=True, fillcolor=0)
    )
    if quality is not None:
        held = io.BytesIO()
        turned.save(held, "JPEG", quality=quality, subsampling=0)
        turned = Image.open(held)
    turned.save(tmp_path / "a.png")
    found = np.asarray(tile_rgb(read_tile(tmp_path / "a.png", mpp=0.5)))
    before = np.asarray(turned.convert("RGB"))
    assert (found[truth == 0] == 255).all(axis=-1).mean() > 0.97
    changed = (found != before).any(axis=-1)
    assert changed[truth == 255].mean() < 0.002


def test_any_region_is_the_same_as_in_the_whole(tmp_path: Path) -> None:
    Image.fromarray(bordered(tissue(300, 340), 61, 0)).save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png", mpp=0.5) as opened:
        slide = opened.without_padding()
        whole = slide.read_region(0, 0, *slide.size)
        rng = np.random.default_rng(1)
        for _ in range(40):
            x, y = int(rng.integers(0, slide.size[0] - 40)), int(rng.integers(0, slide.size[1] - 40))
            np.testing.assert_array_equal(slide.read_region(x, y, 40, 40), whole[y : y + 40, x : x + 40])
        assert (opened.read_region(0, 0, 20, 20) == 0).all()  # asked for as it is stored, it is as it is stored


def test_what_is_no_padding_is_left_alone() -> None:
    glass = np.full((256, 256, 3), (241, 240, 243), np.uint8)  # JPEG's even glass
    glass[64:192, 64:192] = tissue(128, 128)
    assert padding_of([glass]).colours == ()
    fluorescence = np.zeros((256, 256, 3), np.uint8)
    fluorescence[::9, ::9] = 200
    assert padding_of([fluorescence]).colours == ()
    assert padding_of([np.zeros((64, 64, 3), np.uint8)]).colours == ()
    white = bordered(tissue(256, 256), 64, 255)
    assert padding_of([white]).colours == ()
    assert padding_of([white]).share > 0.3


def test_jpeg_glass_stays_glass(tmp_path: Path) -> None:
    picture = tissue(256, 256)
    picture[:128] = (242, 241, 243)
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=80)
    with open_slide(tmp_path / "a.jpg", mpp=0.5) as opened:
        before = opened.read_region(0, 0, 256, 256)
    np.testing.assert_array_equal(np.asarray(tile_rgb(read_tile(tmp_path / "a.jpg", mpp=0.5))), before)
