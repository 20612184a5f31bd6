"""Tissue at a coarse grain, and the description of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from biomarkers.cli.main import run
from biomarkers.core.errors import UsageError
from biomarkers.io import make_tile, open_slide, read_tile, tile_rgb
from biomarkers.pp import tissue
from biomarkers.pp.kernels import components as kernels
from biomarkers.pp.tissue import tissue_mask

WHITE = (240.0, 240.0, 240.0)


def _field(level: tuple[int, int, int], *, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 2, (200, 200, 3))
    pixels = np.full((200, 200, 3), 240.0) + noise
    pixels[60:140, 40:160] = np.array(level) + noise[60:140, 40:160]
    return pixels.clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("level", [(120, 120, 190), (226, 226, 232), (90, 60, 30)])
def test_tissue_is_found_even_when_pale(level: tuple[int, int, int]) -> None:
    mask = tissue_mask(make_tile(_field(level), mpp=0.5), white=WHITE)
    # tissue is judged in squares of 4 um (8 px), so its edge is known to one of them (corners to two)
    assert mask[68:132, 56:144].all()
    mask[52:148, 32:168] = False
    assert not mask.any()


def test_glass_has_no_tissue() -> None:
    assert not tissue_mask(make_tile(_field((240, 240, 240)), mpp=0.5), white=WHITE).any()


def test_real_slide_tissue_is_between_glass_and_all(shared_data: Path) -> None:
    tile = read_tile(shared_data / "images" / "slides" / "CMU-1-Small-Region.svs")
    share = tissue_mask(tile, white=(249.0, 247.0, 247.0)).mean()
    assert 0.3 < share < 0.8


def test_tiles_are_views_with_checked_shape() -> None:
    rgb = _field((100, 100, 100))
    tile = make_tile(rgb, mpp=0.5)
    assert np.shares_memory(tile.values, rgb)
    np.testing.assert_array_equal(tile_rgb(tile), rgb)
    with pytest.raises(UsageError, match="not an RGB image"):
        make_tile(rgb.astype(np.float64), mpp=0.5)
    with pytest.raises(UsageError, match="not an RGB tile"):
        tile_rgb(tile.astype(float))
    with pytest.raises(UsageError, match="not an RGB tile"):
        tile_rgb(tile.transpose("y", "x", "c"))


def test_wrong_pyramid_levels_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    rgb = _field((100, 100, 100))
    with tifffile.TiffWriter(path) as writer:
        writer.write(rgb, photometric="rgb", tile=(64, 64), subifds=2)
        writer.write(rgb[::2, ::2], photometric="rgb", tile=(64, 64), subfiletype=1)
        writer.write(rgb[::4, ::2][:, :90], photometric="rgb", tile=(64, 64), subfiletype=1)
    with open_slide(path, mpp=0.5) as slide:
        assert [(level.width, level.height) for level in slide.levels] == [(200, 200), (100, 100)]
        assert "does not match" in slide.problems[0]
        assert slide.read_region(10, 20, 30, 40, level=1).shape == (40, 30, 3)
        with pytest.raises(UsageError, match="no such level"):
            slide.read_region(0, 0, 5, 5, level=2)


def test_info_tells_and_exits_by_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(_field((100, 100, 100))).save(good, dpi=(50_800, 50_800))
    bad.write_text("no image")
    assert run(["info", str(good)]) == 0
    assert "0.5 um/px (PNG pHYs)" in capsys.readouterr().out
    assert run(["info", str(good), str(bad), "--json"]) == 1
    described = json.loads(capsys.readouterr().out)
    assert described[0]["scenes"][0]["width"] == 200
    assert "text file" in described[1]["error"]
    assert run(["info", str(bad)]) == 3
    capsys.readouterr()


def test_info_and_score_agree_on_a_file_that_is_not_there(tmp_path, capsys):
    for command in (["info", "--json"], ["score", "--assay", "22c3", "--out", str(tmp_path / "out")]):
        assert run([*command, str(tmp_path / "missing.png")]) == 2
        said = capsys.readouterr()
        assert "missing.png: no such file" in said.err
        assert said.out == ""
    assert not (tmp_path / "out").exists()


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    share=st.sampled_from([0.0, 0.2, 0.5, 0.6, 0.9, 1.0]),
    grain=st.integers(1, 3),
    least=st.sampled_from([1, 2, 5, 40]),
)
def test_the_compiled_step_drops_the_same_pieces(
    seed: int, rows: int, columns: int, share: float, grain: int, least: int
) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    mask = np.repeat(np.repeat(mask, grain, axis=0), grain, axis=1)
    before = mask.copy()
    assert np.array_equal(kernels.without_small(mask, least), tissue.without_small(mask, least))
    assert np.array_equal(mask, before)


def test_a_spiral_is_one_piece() -> None:
    mask = np.ones((41, 41), bool)
    for k in range(1, 20, 2):
        mask[k : 41 - k, k] = mask[k, k : 41 - k] = mask[41 - k - 1, k : 41 - k] = mask[k : 41 - k, 40 - k] = False
        mask[k + 1, k] = True
    for step in (kernels.without_small, tissue.without_small):
        assert np.array_equal(step(mask, int(mask.sum())), mask)
        assert not step(mask, int(mask.sum()) + 1).any()
