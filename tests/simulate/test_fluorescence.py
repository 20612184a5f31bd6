"""A rendered fluorescence image carries what was planted, and each nuisance does what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.simulate import (
    TRIAL_PANELS,
    FluorescenceNuisance,
    plant_multiplex,
    render_hdab,
    render_if,
    simulate_scene,
    write_if,
)

SCENE = plant_multiplex(simulate_scene(rng=3, size_px=192, mpp=0.5, lymphocytes_per_mm2=2500), rng=3)
CLEAN = FluorescenceNuisance(autofluorescence=0, spots=0, bleed_through=0, uneven_light=0, read_noise=0)


def test_planting_keeps_the_scene_and_its_hdab_picture():
    bare = simulate_scene(rng=3, size_px=192, mpp=0.5, lymphocytes_per_mm2=2500)
    np.testing.assert_array_equal(render_hdab(bare, rng=1), render_hdab(SCENE, rng=1))
    assert "TFE3" not in bare.cells
    cells = SCENE.cells
    assert not (cells["CD8"] & cells["CD4"]).any()
    assert (cells["CD3"] == (cells["CD8"] | cells["CD4"])).all()
    assert (cells["FOXP3"] <= cells["CD4"]).all()
    assert (cells["CD3zeta-pY142"] <= cells["CD8"]).all()
    assert (cells["TFE3"] == (cells["cell_class"] == "tumor")).all()


@pytest.mark.parametrize("name", TRIAL_PANELS)
def test_every_panel_of_the_trial_shows_its_markers_where_they_were_planted(name):
    image = render_if(SCENE, markers=TRIAL_PANELS[name], rng=1, nuisance=CLEAN)
    assert image.channels == ("DAPI", *TRIAL_PANELS[name], "AF")
    assert image.pixels.dtype == np.uint16
    for marker in TRIAL_PANELS[name]:
        column = f"{marker}_bin" if f"{marker}_bin" in SCENE.cells else marker
        carries = (SCENE.cells[column] > 0).to_numpy()
        plane = image.pixels[image.channels.index(marker)].astype(float)
        inside = np.isin(SCENE.cell_labels, SCENE.cells["label"].to_numpy()[carries])
        assert plane[inside].mean() > 3 * plane[~inside].mean() - 2 * CLEAN.offset


def test_one_seed_one_image():
    first, second = (render_if(SCENE, markers=["CD8"], rng=5).pixels for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_each_nuisance_does_what_it_says():
    def rendered(**effects):
        return render_if(
            SCENE, markers=["CD8", "PD-1"], rng=1, nuisance=FluorescenceNuisance(**{**vars(CLEAN), **effects})
        )

    base, signal = rendered(), SCENE.cell_labels > 0
    glow = rendered(autofluorescence=0.1)
    assert glow.pixels[3][signal].mean() > base.pixels[3][signal].mean() + 100
    bled = rendered(bleed_through=0.3)
    assert bled.bleed_through == (("CD8", "PD-1", 0.3),)
    extra = bled.pixels[2].astype(float) - base.pixels[2]
    light = base.pixels[1].astype(float) - CLEAN.offset
    assert np.polyfit(light.ravel(), extra.ravel(), 1)[0] == pytest.approx(0.3, abs=0.02)
    longer = rendered(exposure=(2.0,))
    assert set(longer.exposure_ms.values()) == {100.0}
    ratio = (longer.pixels[0].astype(float) - 100).sum() / (base.pixels[0].astype(float) - 100).sum()
    assert ratio == pytest.approx(2, rel=0.02)
    assert rendered(full_well=500.0).pixels.max() == 500


def test_a_file_says_its_channels_exposures_and_pixel_size(tmp_path):
    import tifffile

    image = render_if(SCENE, markers=["CD8"], rng=1)
    write_if(tmp_path / "simulated.ome.tif", image)
    with tifffile.TiffFile(tmp_path / "simulated.ome.tif") as file:
        np.testing.assert_array_equal(file.asarray(), image.pixels)
        for word in ('Name="CD8"', 'PhysicalSizeX="0.5"', 'ExposureTimeUnit="ms"', "simulated"):
            assert word in (file.ome_metadata or "")


def test_what_cannot_be_rendered():
    with pytest.raises(UsageError, match="Did you mean 'CD8'"):
        render_if(SCENE, markers=["CD88"], rng=1)
    with pytest.raises(UsageError, match="plant_multiplex"):
        render_if(simulate_scene(rng=1, size_px=64), markers=["TFE3"], rng=1)
    with pytest.raises(UsageError, match="shares"):
        plant_multiplex(SCENE, rng=1, cd8_share=0.9, foxp3_share=0.3)
