"""What is measured in fluorescence equals plain definitions, and the table of the program that made the maps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from biomarkers.core.errors import DataError
from biomarkers.io.channels import make_channels, read_channels
from biomarkers.io.label_maps import LabelMaps, read_labels
from biomarkers.seg.channels import measure_channels, upper_stretch
from biomarkers.simulate import simulate_scene

SCENE = simulate_scene(rng=5, size_px=160, mpp=0.5)
MAPS = LabelMaps(SCENE.nucleus_labels, SCENE.cell_labels)


def channels(seed=0, n=3):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60000, (n, *SCENE.cell_labels.shape)).astype(np.uint16)
    return make_channels(pixels, names=[f"m{i}" for i in range(n)], mpp=0.5)


def test_nucleus_means_of_fihc4_equal_the_table_of_inform(shared_data):
    stem = shared_data / "images" / "phenoptr" / "FIHC4" / "test_data" / "FIHC4__0929309_HP_IM3_2"
    tile = read_channels(f"{stem}_component_data.tif")
    maps = read_labels(f"{stem}_binary_seg_maps.tif", shape=tile.shape[1:])
    cells = measure_channels(tile, maps)
    table = pd.read_csv(f"{stem}_cell_seg_data.txt", sep="\t").set_index("Cell ID").loc[cells.obs["label"]]
    assert len(table) == 270
    # the maps overlap: 8 cells lost cytoplasm to a neighbour's nucleus, as the areas say; the other 262 are equal
    there = np.bincount(maps.cytoplasm.ravel(), minlength=int(table.index.max()) + 1)[table.index]
    whole_cytoplasm = (there == table["Cytoplasm Area (pixels)"]).to_numpy()
    assert whole_cytoplasm.sum() == 262
    for name in cells.var_names:
        column = f"{{}} {name} Mean (Normalized Counts, Total Weighting)"
        found = cells[:, name]
        np.testing.assert_allclose(found.layers["nucleus_mean"][:, 0], table[column.format("Nucleus")], atol=0.001)
        cytoplasm = found.layers["cytoplasm_mean"][whole_cytoplasm, 0]
        np.testing.assert_allclose(cytoplasm, table[column.format("Cytoplasm")][whole_cytoplasm], atol=0.001)
        whole = found.X[:, 0] / table[column.format("Entire Cell")] - 1
        assert np.nanmedian(np.abs(whole)) < 0.06


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99))
def test_sums_equal_the_plain_definition(seed):
    tile = channels(seed)
    cells = measure_channels(tile, MAPS)
    index = cells.obs["label"].to_numpy()
    for number, plane in enumerate(tile.to_numpy().astype(float)):
        for labels, found in (
            (SCENE.cell_labels, cells.X),
            (SCENE.nucleus_labels, cells.layers["nucleus_mean"]),
        ):
            np.testing.assert_allclose(found[:, number], ndimage.mean(plane, labels, index), rtol=1e-6)
        np.testing.assert_array_equal(
            cells.layers["cell_max"][:, number], ndimage.maximum(plane, SCENE.cell_labels, index)
        )


def test_quarter_turns_and_flips_change_nothing():
    tile = channels()
    whole = measure_channels(tile, MAPS)
    turned = measure_channels(
        make_channels(np.rot90(tile.to_numpy(), axes=(1, 2)), names=["m0", "m1", "m2"], mpp=0.5),
        LabelMaps(np.rot90(SCENE.nucleus_labels), np.rot90(SCENE.cell_labels)),
    )
    np.testing.assert_array_equal(whole.X, turned.X)
    np.testing.assert_allclose(whole.layers["membrane_mean"], turned.layers["membrane_mean"], rtol=0.02)


def test_one_thread_or_four_and_any_order_of_channels():
    tile = channels(n=4)
    one, four = measure_channels(tile, MAPS, threads=1), measure_channels(tile, MAPS, threads=4)
    back = measure_channels(tile[::-1], MAPS)[:, list(tile.coords["c"].to_numpy())]
    for name in one.layers:
        np.testing.assert_array_equal(one.layers[name], four.layers[name])
        np.testing.assert_array_equal(one.layers[name], back.layers[name])


def test_the_place_of_a_cell_is_that_of_its_nucleus():
    cells = measure_channels(channels(n=1), MAPS)
    truth = SCENE.cells.set_index("label").loc[cells.obs["label"]]
    np.testing.assert_allclose(cells.obsm["spatial"], truth[["x_um", "y_um"]])
    np.testing.assert_allclose(cells.obs["area_um2"], truth["area_um2"])
    np.testing.assert_allclose(cells.obs["nucleus_area_um2"], truth["nucleus_area_um2"])


def test_labels_may_have_gaps_and_nuclei_may_be_all_there_is():
    far = np.where(SCENE.nucleus_labels > 0, SCENE.nucleus_labels * 7, 0).astype(np.int32)
    cells = measure_channels(channels(n=1), LabelMaps(far, None))
    assert cells.obs["label"].tolist() == (SCENE.cells["label"] * 7).tolist()
    np.testing.assert_allclose(cells.obs["area_um2"], cells.obs["nucleus_area_um2"])
    assert np.isnan(cells.layers["cytoplasm_mean"]).all()


def test_an_outline_is_read_where_a_third_of_it_is_stained():
    stained = np.zeros((3, 16))
    stained[0, :5], stained[1, :6] = 9, 9
    stained[2, 4:] = -np.inf  # four stretches left
    stained[2, :2] = 9
    assert upper_stretch(stained).tolist() == [0, 9, 9]
    assert np.isnan(upper_stretch(np.full((1, 16), -np.inf)))[0]


def test_labels_of_another_size_are_refused():
    with pytest.raises(DataError, match="another size"):
        measure_channels(channels(), LabelMaps(SCENE.nucleus_labels[:-1], None))
