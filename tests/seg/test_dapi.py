"""Nuclei in fluorescence: others' masks, simulated scenes, and results that hang on nothing but the picture."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from biomarkers.core.errors import UsageError
from biomarkers.io.channels import make_channels
from biomarkers.seg.dapi import label_nuclei, segment_dapi
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.tools import plain
from biomarkers.simulate import render_if, simulate_scene


def f1(found, truth):
    shared = np.zeros((int(found.max()) + 1, int(truth.max()) + 1))
    np.add.at(shared, (found.ravel(), truth.ravel().astype(int)), 1)
    area, true_area = shared.sum(axis=1)[1:], shared.sum(axis=0)[1:]
    union = area[:, None] + true_area[None] - shared[1:, 1:]
    hits = (shared[1:, 1:] >= 0.5 * np.maximum(union, 1)).sum()
    return 2 * hits / ((area > 0).sum() + (true_area > 0).sum())


def dapi(size=256, seed=1, **settings):
    scene = simulate_scene(rng=seed, size_px=size, mpp=0.5, **settings)
    image = render_if(scene, markers=(), rng=seed, af_channel=False)
    return scene, make_channels(image.pixels, names=image.channels, mpp=0.5)


@pytest.mark.parametrize(("part", "width", "least"), [("", 23.7, 0.90), ("tests", 9.0, 0.82)])
def test_nuclei_of_stardist_tiles(shared_data, part, width, least):
    folder = shared_data / "images" / "stardist" / part
    plane, truth = tifffile.imread(folder / "img2d.tif"), tifffile.imread(folder / "mask2d.tif")
    tile = make_channels(plane[None], names=["DAPI"], mpp=0.5)
    assert f1(segment_dapi(tile, nucleus_px=width).nuclei, truth) >= least


@pytest.mark.parametrize("crowding", ["sparse", "dense", "touching"])
def test_nuclei_of_simulated_tissue(crowding):
    scene, tile = dapi(crowding=crowding)
    found = segment_dapi(tile)
    assert f1(found.nuclei, scene.nucleus_labels) > 0.9
    assert (found.cells[found.nuclei > 0] == found.nuclei[found.nuclei > 0]).all()


def test_the_scale_of_the_camera_and_one_dead_pixel_change_nothing():
    _, tile = dapi()
    first = segment_dapi(tile).nuclei
    np.testing.assert_array_equal(first, segment_dapi(tile * 2).nuclei)
    spoilt = tile.copy()
    spoilt[0, 0, 0] = 65535
    assert f1(segment_dapi(spoilt).nuclei, first) > 0.98


def test_blocks_and_threads_change_nothing():
    _, tile = dapi(size=600)
    plane = tile.to_numpy()[0]
    whole = label_nuclei(plane, mpp=0.5, settings=CellSettings())
    parts = label_nuclei(plane, mpp=0.5, settings=CellSettings(block_px=256), threads=1)
    assert abs(int(whole.nuclei.max()) - int(parts.nuclei.max())) <= 1
    assert f1(whole.nuclei, parts.nuclei) > 0.99


@pytest.mark.slow
def test_plain_and_compiled_steps_give_the_same_nuclei():
    _, tile = dapi(size=160)
    plane = tile.to_numpy()[0]
    fast, slow = (label_nuclei(plane, mpp=0.5, settings=CellSettings(), tools=one) for one in (None, plain()))
    np.testing.assert_array_equal(fast.nuclei, slow.nuclei)
    np.testing.assert_array_equal(fast.cells, slow.cells)


def test_numbers_follow_reading_order_and_an_empty_plane_has_none():
    _, tile = dapi()
    labels = segment_dapi(tile).nuclei
    rows = [np.nonzero(labels == one)[0].mean() for one in range(1, int(labels.max()) + 1)]
    assert (np.diff(rows) >= -1e-9).all()
    empty = make_channels(np.full((1, 64, 64), 7, np.uint16), names=["DAPI"], mpp=0.5)
    assert segment_dapi(empty).nuclei.max() == 0


def test_what_cannot_be_segmented():
    _, tile = dapi(size=64)
    with pytest.raises(UsageError, match="no such channel of nuclei"):
        segment_dapi(tile, nuclei="Hoechst")
    with pytest.raises(UsageError, match="width of a nucleus"):
        segment_dapi(tile, nucleus_px=2)
