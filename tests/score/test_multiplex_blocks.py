"""Images too large for memory: block by block comes to what the whole comes to."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.core.panel import Panel
from biomarkers.io.channels import read_channels
from biomarkers.io.label_maps import LabelMaps
from biomarkers.score import multiplex_blocks
from biomarkers.score.gate_page import gate_page
from biomarkers.score.multiplex_blocks import is_large, measure_in_blocks
from biomarkers.score.multiplex_slide import score_multiplex
from biomarkers.seg.channels import measure_channels
from biomarkers.simulate import plant_multiplex, render_if, simulate_scene, write_if

PANEL = Panel(
    name="sim",
    channels={
        "DAPI": {"marker": "DAPI", "role": "nuclei"},
        "AF": {"marker": "AF", "role": "autofluorescence"},
        "PD-L1": {"marker": "PD-L1", "compartment": "membrane"},
        "CK": {"marker": "CK", "compartment": "cytoplasm"},
        "CD3": {"marker": "CD3", "compartment": "membrane"},
    },
    phenotypes={"T": "CD3+", "tumor": "CK+"},
    classes={"lymphocyte": "CD3+", "tumor": "CK+"},
    scores=[
        {"name": "PD-L1", "kind": "tps", "marker": "PD-L1", "of": "tumor"},
        {"name": "T", "kind": "density", "cells": "T"},
    ],
)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    scene = simulate_scene(rng=8, size_px=700, mpp=0.5, tps=40, lymphocytes_per_mm2=1200)
    scene = plant_multiplex(scene, rng=8)
    path = tmp_path_factory.mktemp("large") / "large.ome.tif"
    write_if(path, render_if(scene, markers=("PD-L1", "CK", "CD3"), rng=8))
    return scene, path


def test_given_labels_give_every_cell_once_with_the_same_levels(image):
    scene, path = image
    maps = LabelMaps(scene.nucleus_labels, scene.cell_labels)
    blocks = measure_in_blocks(path, panel=PANEL, labels=maps, block_px=256, shown_px=350)
    clean, _ = blocks.cleaned.steps.apply(read_channels(path, panel=PANEL))
    whole = measure_channels(clean, maps)
    found = blocks.cells[blocks.cells.obs["label"].argsort()]
    assert found.obs["label"].tolist() == whole.obs["label"].tolist()
    np.testing.assert_allclose(found.X, whole.X, rtol=1e-5)
    np.testing.assert_allclose(found.layers["membrane_upper"], whole.layers["membrane_upper"], rtol=1e-5)
    np.testing.assert_allclose(found.obsm["spatial"], whole.obsm["spatial"])
    assert blocks.cells.obs_names.is_unique
    np.testing.assert_array_equal(blocks.labels.nuclei, scene.nucleus_labels[::2, ::2])
    raw = read_channels(path, panel=PANEL).to_numpy()
    np.testing.assert_array_equal(blocks.cleaned.raw.to_numpy(), raw[:, ::2, ::2])


def test_the_size_of_blocks_changes_next_to_nothing(image):
    _, path = image
    small, large = (measure_in_blocks(path, panel=PANEL, block_px=side).cells for side in (256, 1024))
    assert abs(small.n_obs - large.n_obs) <= 0.01 * large.n_obs
    np.testing.assert_allclose(small.X.mean(axis=0), large.X.mean(axis=0), rtol=0.02)


@pytest.mark.slow
def test_scores_are_those_of_the_whole(image, monkeypatch):
    _, path = image
    whole = score_multiplex(path, panel=PANEL)
    monkeypatch.setattr(multiplex_blocks, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(multiplex_blocks, "BLOCK_PX", 300)
    monkeypatch.setattr(multiplex_blocks, "SHOWN_PX", 350)
    parts = score_multiplex(path, panel=PANEL)
    assert parts.row["mpp"] == whole.row["mpp"] == 0.5
    assert parts.row["tissue_mm2"] == pytest.approx(whole.row["tissue_mm2"], rel=0.02)
    assert parts.row["n_cells"] == pytest.approx(whole.row["n_cells"], rel=0.02)
    for first, second in zip(whole.scores.to_dict("records"), parts.scores.to_dict("records"), strict=True):
        assert (first["marker"], first["region"]) == (second["marker"], second["region"])
        assert second["status"] == first["status"]
        tolerance = 3 if first["score"] == "tps" else 0.06 * first["value"]
        assert second["value"] == pytest.approx(first["value"], abs=tolerance, nan_ok=True)
    assert parts.tile.shape[1:] == (350, 350)
    outline = np.array(parts.geojson()["features"][-1]["geometry"]["coordinates"][0])
    assert outline.max() > 500  # in pixels of the image, not of the picture
    assert "<svg" in gate_page(parts)


def test_what_is_large_and_an_image_without_cells(tmp_path, monkeypatch):
    import tifffile

    names = ["DAPI", "AF", "PD-L1", "CK", "CD3"]
    with tifffile.TiffWriter(tmp_path / "empty.ome.tif", ome=True) as writer:
        about = {"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        writer.write(np.full((5, 90, 80), 7, np.uint16), photometric="minisblack", metadata=about)
    assert is_large(tmp_path / "empty.ome.tif", panel=PANEL, most=5 * 90 * 80 - 1)
    assert not is_large(tmp_path / "empty.ome.tif", panel=PANEL, most=5 * 90 * 80)
    monkeypatch.setattr(multiplex_blocks, "WHOLE_PIXELS", 1000)
    result = score_multiplex(tmp_path / "empty.ome.tif", panel=PANEL)
    assert result.row["status"] == "not_evaluable"  # nothing but one number in every channel
    assert "constant" in result.row["reason"]
    assert result.cells.n_obs == 0
