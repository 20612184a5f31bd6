"""What a camera does to a simulated field: more light than it can tell, and sharpening."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from biomarkers.simulate import render_hdab, simulate_scene
from biomarkers.simulate.nuisance import Nuisance

PLAIN = Nuisance(shot_noise=0.0, jpeg_quality=0)


@pytest.fixture(scope="module")
def scene():
    return simulate_scene(rng=4, size_px=160, mpp=0.5, crowding="sparse")


def rendered(scene, **effects):
    return render_hdab(scene, rng=4, nuisance=replace(PLAIN, **effects)).astype(int)


def test_both_are_off_by_default(scene):
    assert np.array_equal(rendered(scene), rendered(scene, exposure=1.0, sharpening=0.0))


def test_more_light_than_the_camera_can_tell_is_clipped(scene):
    own, bright = rendered(scene), rendered(scene, exposure=1.2)
    assert own.max() < 255
    assert (bright[own >= 213] == 255).all()  # 212.5 x 1.2 = 255
    below = own <= 200
    assert np.abs(bright[below] - 1.2 * own[below]).max() <= 1.2


def test_sharpening_keeps_the_mean_and_steepens_edges(scene):
    own, sharp = rendered(scene), rendered(scene, sharpening=0.6)
    assert sharp.mean() == pytest.approx(own.mean(), abs=0.3)
    steps = [np.abs(np.diff(one[..., 1], axis=1)).mean() for one in (own, sharp)]
    assert steps[1] > 1.2 * steps[0]


def test_light_that_clips_pale_tissue_is_flagged(scene):
    from biomarkers.pp.light import field_light
    from biomarkers.pp.squares import across_of, patches_of

    for exposure, flagged in ((1.0, False), (1.25, True)):
        rgb = render_hdab(
            simulate_scene(rng=4, size_px=384, mpp=0.5, crowding="sparse"), rng=4,
            nuisance=Nuisance(exposure=exposure),
        )  # fmt: skip
        lit = field_light(patches_of(rgb), across=across_of(rgb), size=(384, 384), white=(255.0,) * 3, mpp=0.5)
        assert lit.clipped == flagged
