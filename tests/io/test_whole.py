"""Whole slides at a coarse grain: the same tissue as on the slide read whole, and a fixed sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import biomarkers.pp.coarse_tissue
import biomarkers.pp.tissue_map
from biomarkers.io import open_slide, read_tile
from biomarkers.pp.coarse_tissue import coarse_bands, coarse_level, thumbnail
from biomarkers.pp.pilot_fields import pick_windows, sample_patches
from biomarkers.pp.tissue import tissue_mask
from biomarkers.pp.tissue_map import TissueMap, map_tissue

WHITE = (240.0, 240.0, 240.0)


def _blotched(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Glass with blotches of tissue of every size, holes in them and specks beside them."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.standard_normal((height // 4 + 1, width // 4 + 1)), 6)
    fine = ndimage.gaussian_filter(rng.standard_normal(rough.shape), 1.5)
    tissue = (rough > 0.02) ^ (fine > 0.25)
    pixels = np.full((height, width, 3), 240.0)
    pixels[np.repeat(np.repeat(tissue, 4, 0), 4, 1)[:height, :width]] = (190, 170, 205)
    return (pixels + rng.normal(0, 1, pixels.shape)).clip(0, 255).round().astype(np.uint8)


def _pyramid(path: Path, rgb: np.ndarray, *, downs: tuple[int, ...] = (2, 4, 8)) -> Path:
    with tifffile.TiffWriter(path) as writer:
        options = {"photometric": "rgb", "tile": (64, 64), "metadata": None}
        writer.write(rgb, subifds=len(downs), **options)  # type: ignore[arg-type]
        for down in downs:
            height, width = (side // down * down for side in rgb.shape[:2])
            small = rgb[:height, :width].reshape(height // down, down, width // down, down, 3).mean((1, 3))
            writer.write(np.rint(small).astype(np.uint8), subfiletype=1, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("size", [(700, 900), (701, 903), (64, 1200)])
@pytest.mark.parametrize("band_pixels", [9_000, 60_000, 10**8])
def test_the_map_is_the_mask_of_the_slide_read_whole(
    tmp_path: Path, size: tuple[int, int], band_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(biomarkers.pp.coarse_tissue, "_BAND_PIXELS", band_pixels)
    monkeypatch.setattr(biomarkers.pp.tissue_map, "_BAND_GRAINS", 23)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _blotched(*size), photometric="rgb", tile=(64, 64))
    with open_slide(path, mpp=1.0) as slide:
        found = map_tissue(slide, mpp=1.0, white=WHITE)
    mask = tissue_mask(read_tile(path, mpp=1.0), white=WHITE)
    np.testing.assert_array_equal(found.window(slice(0, size[0]), slice(0, size[1])), mask)
    assert found.area_px() == mask.sum()
    np.testing.assert_array_equal(found.window(slice(13, 57), slice(101, 333)), mask[13:57, 101:333])


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 9), (31, 32), (32, 31), (33, 257), (1601, 1200)])
@pytest.mark.parametrize("step", [1, 4, 400])
def test_tissue_to_the_border_is_the_area_of_the_slide(width: int, height: int, step: int) -> None:
    rows, columns = -(-height // step), -(-width // step)
    bits = np.packbits(np.ones((rows, columns), bool), axis=1)
    assert TissueMap(step, (rows, columns), (width, height), bits).area_px() == width * height
    bits = np.packbits(np.eye(rows, columns, dtype=bool), axis=1)
    some = TissueMap(step, (rows, columns), (width, height), bits)
    assert some.area_px() == some.window(slice(0, height), slice(0, width)).sum()


def test_a_pyramid_level_is_read_when_it_fits(tmp_path: Path) -> None:
    rgb = _blotched(800, 960)
    with open_slide(_pyramid(tmp_path / "a.tif", rgb), mpp=0.5) as slide:
        assert [round(level.downsample) for level in slide.levels] == [1, 2, 4, 8]
        assert coarse_level(slide, 8) == (3, 1)
        assert coarse_level(slide, 4) == (2, 1)
        assert coarse_level(slide, 5) == (0, 5)
        found = map_tissue(slide, mpp=0.5, white=WHITE)
        mask = tissue_mask(read_tile(slide.path, mpp=0.5), white=WHITE)
        # an 8-bit level rounds the mean colours: squares at the very edge of the cut may fall either way
        assert (found.window(slice(0, 800), slice(0, 960)) != mask).mean() < 0.002
        small, step = thumbnail(slide, longest=200)
        assert max(small.shape[:2]) <= 200
        assert small.shape[1] == -(-960 // step)
        rows = sum(coarse_bands(slide, lambda _, means: means.shape[0], step=8))
        assert rows == 100


def test_windows_lie_in_tissue_and_are_fixed(tmp_path: Path) -> None:
    rgb = np.full((1000, 1000, 3), 240, np.uint8)
    rgb[200:800, 400:1000] = 150
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(256, 256))
    with open_slide(path, mpp=1.0) as slide:
        tissue = map_tissue(slide, mpp=1.0, white=WHITE)
        windows = pick_windows(tissue, side=100, count=9)
        assert len(windows) == 9
        assert (
            windows
            == pick_windows(tissue, side=100, count=9)
            == sorted(windows, key=lambda w: (w[0].start, w[1].start))
        )
        assert all((rgb[window] == 150).mean() > 0.5 for window in windows)
        assert len(pick_windows(tissue, side=2000, count=9)) == 1
        patches = sample_patches(slide)
        share = np.mean([(patch == 150).mean() for patch in patches])
        assert share == pytest.approx(0.36, abs=0.05)


def test_tiny_slides_have_samples_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((5, 300, 3), 200, np.uint8), photometric="rgb")
    with open_slide(path, mpp=1.0) as slide:
        assert {patch.shape for patch in sample_patches(slide)} == {(5, 64, 3)}
        assert map_tissue(slide, mpp=1.0, white=WHITE).shape == (2, 75)
        assert thumbnail(slide)[0].shape == (5, 300, 3)
