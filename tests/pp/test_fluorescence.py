"""What is no marker is taken off, what is doubtful is flagged, and the raw image stays."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.io.channels import make_channels
from biomarkers.pp.fluorescence import clean_channels
from biomarkers.simulate import FluorescenceNuisance, plant_multiplex, render_if, simulate_scene

SCENE = plant_multiplex(simulate_scene(rng=2, size_px=320, mpp=0.5, lymphocytes_per_mm2=900), rng=2)


def tile_of(image):
    tile = make_channels(image.pixels, names=image.channels, mpp=image.mpp)
    tile.attrs["exposure_ms"] = dict(image.exposure_ms)
    return tile


def rendered(markers=("CD8", "PD-L1"), seed=1, **effects):
    nuisance = FluorescenceNuisance(**{"uneven_light": 0.0, **effects})
    return tile_of(render_if(SCENE, markers=markers, rng=seed, nuisance=nuisance))


def test_raw_pixels_are_kept_and_the_reference_channel_leaves():
    tile = rendered()
    before = tile.to_numpy().copy()
    done = clean_channels(tile, autofluorescence="AF")
    np.testing.assert_array_equal(done.raw.to_numpy(), before)
    assert done.tile.coords["c"].to_numpy().tolist() == ["DAPI", "CD8", "PD-L1"]
    assert done.tile.attrs["mpp"] == 0.5


def test_the_share_of_autofluorescence_is_found_where_markers_are_absent():
    glow = np.abs(np.random.default_rng(0).normal(0, 1, (200, 200))) ** 6  # grains
    pixels = np.stack([glow, 0.4 * glow, 0.0 * glow]) * 20 + 100
    pixels = pixels + np.random.default_rng(1).normal(0, 1, pixels.shape)
    tile = make_channels(pixels.astype(np.float32), names=["AF", "a", "b"], mpp=0.5)
    done = clean_channels(tile, autofluorescence="AF").channels.set_index("marker")
    assert done.loc["a", "af_share"] == pytest.approx(0.4, abs=0.02)
    assert done.loc["b", "af_share"] == pytest.approx(0.0, abs=0.02)


def test_autofluorescence_of_a_rendered_scene_falls():
    tile = rendered(autofluorescence=0.1, spots=0.8, bleed_through=0.0)
    empty = SCENE.cell_labels == 0
    with_af = clean_channels(tile, autofluorescence="AF").tile.sel(c="CD8").to_numpy()[empty]
    without = clean_channels(tile).tile.sel(c="CD8").to_numpy()[empty]
    assert np.percentile(with_af, 99) < 0.5 * np.percentile(without, 99)


def test_declared_bleed_through_is_taken_off():
    clean = clean_channels(rendered(bleed_through=0.3), autofluorescence="AF", bleed_through=[("CD8", "PD-L1", 0.3)])
    none = clean_channels(rendered(bleed_through=0.0), autofluorescence="AF")
    here = (SCENE.cells["CD8"] & (SCENE.cells["PD-L1_bin"] == 0)).to_numpy()
    inside = np.isin(SCENE.cell_labels, SCENE.cells["label"].to_numpy()[here])
    left = clean.tile.sel(c="PD-L1").to_numpy()[inside].mean() - none.tile.sel(c="PD-L1").to_numpy()[inside].mean()
    assert abs(left) < 0.1 * 0.3 * none.tile.sel(c="CD8").to_numpy()[inside].mean()
    assert clean.bleed["corrected"].tolist()[0]


def test_bleed_through_that_nobody_declared_is_flagged():
    pixels = np.zeros((2, 200, 200), np.float32)
    pixels[0, 20:60, 20:60] = 1000
    pixels[1] = 0.1 * pixels[0]
    pixels += np.random.default_rng(0).normal(50, 2, pixels.shape).astype(np.float32)
    done = clean_channels(make_channels(pixels, names=["a", "b"], mpp=0.5))
    assert any("b: possible bleed-through from a: about 10%" in text for text in done.warnings)
    np.testing.assert_allclose(done.tile.sel(c="b").to_numpy()[30:50, 30:50].mean(), 100, rtol=0.1)  # not corrected


def test_exposures_are_made_alike():
    short, long = rendered(exposure=(0.5,)), rendered(exposure=(2.0,))
    bright = np.isin(SCENE.cell_labels, SCENE.cells["label"].to_numpy()[SCENE.cells["CD8"].to_numpy()])
    levels = [clean_channels(one).tile.sel(c="CD8").to_numpy()[bright].mean() for one in (short, long)]
    assert levels[0] == pytest.approx(levels[1], rel=0.03)
    raw = [one.sel(c="CD8").to_numpy()[bright].mean() for one in (short, long)]
    assert raw[1] > 2.5 * raw[0]


def test_saturation_and_few_levels_are_flagged():
    done = clean_channels(rendered(full_well=65535.0, exposure=(80.0,)))
    assert any("PD-L1: saturated" in text for text in done.warnings)
    dim = rendered()
    dim = dim.copy(data=(dim.to_numpy() // 256).astype(np.uint8))
    assert any("CD8: low signal: only" in text for text in clean_channels(dim).warnings)


def test_a_channel_that_is_not_there():
    with pytest.raises(UsageError, match="Did you mean 'CD8'"):
        clean_channels(rendered(), autofluorescence="CD9")
