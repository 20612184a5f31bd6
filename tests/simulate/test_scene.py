"""A scene's truth is what was asked for, and adds up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.core.errors import UsageError
from biomarkers.simulate import Nuisance, render_hdab, scene_truth, simulate_scene
from biomarkers.simulate.tissue import CROWDINGS, NUCLEUS_AREA_UM2


def scene(seed=1, **settings):
    return simulate_scene(rng=seed, **{"size_px": 256, **settings})


@settings(max_examples=8, deadline=None)
@given(st.floats(0, 100), st.sampled_from(CROWDINGS), st.integers(0, 99))
def test_tps_is_planted_to_the_nearest_cell(tps, crowding, seed):
    made = scene(seed, tps=tps, crowding=crowding)
    truth = scene_truth(made, marker="PD-L1")
    assert truth["n_tumor_positive"] == round(tps / 100 * truth["n_tumor"])
    assert truth["n_cells"] == len(made.cells) == made.nucleus_labels.max() == made.cell_labels.max()


def test_labels_and_table_say_the_same():
    made = scene()
    areas = np.bincount(made.nucleus_labels.ravel())[1:] * made.mpp**2
    np.testing.assert_allclose(areas, made.cells["nucleus_area_um2"])
    inside = made.nucleus_labels > 0
    assert (made.nucleus_labels[inside] == made.cell_labels[inside]).all(), "a nucleus lies in its own cell"
    assert (made.cells["area_um2"] >= made.cells["nucleus_area_um2"]).all()
    rows, columns = (made.cells["y_um"] / made.mpp).astype(int), (made.cells["x_um"] / made.mpp).astype(int)
    assert (made.nucleus_labels[rows, columns] == made.cells["label"]).mean() > 0.97


def test_whole_nuclei_have_the_areas_of_their_class():
    made = scene(size_px=768, crowding="sparse")
    whole = made.cells[~made.cells["cut"]]
    for kind, (low, high) in NUCLEUS_AREA_UM2.items():
        areas = whole.loc[whole["cell_class"] == kind, "nucleus_area_um2"]
        assert areas.median() == pytest.approx((low + high) / 2, rel=0.15)
        assert areas.between(low * 0.8, high * 1.1).mean() > 0.97


def test_crowding_makes_neighbours_touch():
    def touching(crowding):
        labels = scene(crowding=crowding, tumor_share=1.0).nucleus_labels
        left, right = labels[:, :-1], labels[:, 1:]
        return ((left != right) & (left > 0) & (right > 0)).sum() / (labels > 0).sum()

    values = [touching(crowding) for crowding in CROWDINGS]
    assert values[0] < values[1] < values[2]


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others():
    first, again, other = (render_hdab(scene(seed), rng=seed) for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()


def test_rendering_is_brown_where_stained_and_not_elsewhere():
    plain = Nuisance(shot_noise=0, jpeg_quality=0)
    stained, empty = (render_hdab(scene(2, tps=tps, macrophage_share=0), rng=1, nuisance=plain) for tps in (100, 0))
    brown = [(tile[..., 0].astype(int) - tile[..., 2]).max() for tile in (stained, empty)]
    assert brown[0] > 60
    assert brown[1] < 25


def test_cytoplasm_only_tiles_have_no_membrane():
    truth = scene_truth(scene(tps=60, cytoplasm_only=True), marker="PD-L1")
    assert truth["tps"] == 0


def test_nuisance_does_what_it_says():
    made = scene()
    base = render_hdab(made, rng=1, nuisance=Nuisance(shot_noise=0, jpeg_quality=0)).astype(float)
    warm = render_hdab(made, rng=1, nuisance=Nuisance(shot_noise=0, jpeg_quality=0, glass=(240, 225, 190)))
    assert warm[..., 2].max() < base[..., 2].max()
    soft = render_hdab(made, rng=1, nuisance=Nuisance(shot_noise=0, jpeg_quality=0, defocus_um=3))
    assert np.abs(np.diff(soft.astype(float), axis=0)).mean() < np.abs(np.diff(base, axis=0)).mean() / 2
    pen = render_hdab(made, rng=1, nuisance=Nuisance(pen=True))
    assert ((pen[..., 2].astype(int) - pen[..., 0]) > 80).mean() > 0.05
    assert (render_hdab(made, rng=1, nuisance=Nuisance(pigment=0.3)).max(axis=2) < 25).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"size_px": 8}, "32 px"), ({"mpp": 9}, "mpp"), ({"crowding": "full"}, "crowding"), ({"tps": 101}, "tps")],
)
def test_what_is_out_of_range_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        scene(**wrong)


def test_a_tile_without_tumour_has_no_tps():
    assert np.isnan(scene_truth(scene(tumor_share=0.0), marker="PD-L1")["tps"])
