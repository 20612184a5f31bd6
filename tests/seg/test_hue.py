"""Nuclei by hue and cells that grow to membranes: by hand, and kernels held to the plain steps."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biomarkers.io import make_tile
from biomarkers.pp import StainVectors, estimate_white
from biomarkers.seg import hue
from biomarkers.seg.kernels import hue as fast
from biomarkers.seg.pipeline import SegmentationConfig, find_rows
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.tools import fast as fast_tools
from biomarkers.seg.tools import plain as plain_tools
from biomarkers.simulate import render_hdab, simulate_scene
from tests.score.painted import paint

LEVELS = hnp.arrays(
    np.int16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20), elements=st.integers(-300, 3000)
)


def test_hue_is_half_of_red_less_blue_and_dab_counts_against_it():
    # 250 + (186 x 400 - 260 x 100) / 1024 = 297.2, 250 - 260 x 500 / 1024 = 123.04, and what lies outside is cut
    amounts = np.array([[400, 0, 0, 2000]], np.int16), np.array([[100, 500, 1200, 0]], np.int16)
    assert hue.signal(*amounts, finer=1).tolist() == [[297, 123, 0, 349]]
    assert hue.signal(*amounts, finer=64).tolist() == [[64 * 250 + 64 * 48400 // 1024, 64 * 250 - 8125, 0, 64 * 349]]


def test_cells_wait_in_proportion_to_the_line():
    line = np.array([[0, 49, 50, 120, 240, 900]], np.int16)
    assert hue.waits(line, most=6).tolist() == [[0, 0, 1, 3, 6, 6]]


def test_two_cells_share_the_membrane_between_them():
    """Seeds 3 and 8 pixels from a line: without it they would meet beside it, nearer to the far one."""
    labels = np.zeros((5, 12), np.int32)
    labels[:, 0], labels[:, 11] = 1, 2
    wait = np.zeros((5, 12), np.uint8)
    assert hue.grow_to_membranes(labels, wait, steps=12, last=0)[2].tolist() == [1] * 6 + [2] * 6
    wait[:, 3] = 9
    grown = hue.grow_to_membranes(labels, wait, steps=7, last=0)[2]
    assert grown.tolist() == [1, 1, 1, 0] + [2] * 8
    taken = hue.grow_to_membranes(labels, wait, steps=9, last=2)[2]
    assert taken[:3].tolist() == [1, 1, 1]
    assert taken[4:].tolist() == [2] * 8


@settings(max_examples=40, deadline=None)
@given(LEVELS, st.integers(0, 2**31), st.sampled_from([1, 64]))
def test_kernels_say_what_the_plain_steps_say(hematoxylin, seed, finer):
    rng = np.random.default_rng(seed)
    dab = rng.integers(-200, 2500, hematoxylin.shape).astype(np.int16)
    np.testing.assert_array_equal(fast.signal(hematoxylin, dab, finer=finer), hue.signal(hematoxylin, dab, finer=finer))
    near, wide = (rng.integers(0, 22_000, hematoxylin.shape).astype(np.int16) for _ in range(2))
    stain = rng.integers(0, 200, hematoxylin.shape).astype(np.int16)
    np.testing.assert_array_equal(fast.heights(near, wide, stain), hue.heights(near, wide, stain))
    np.testing.assert_array_equal(fast.waits(dab, most=5), hue.waits(dab, most=5))
    labels = np.where(rng.random(dab.shape) < 0.1, rng.integers(1, 9, dab.shape), 0).astype(np.int32)
    wait = rng.integers(0, 4, dab.shape).astype(np.uint8)
    grown = (tool.grow_to_membranes(labels, wait, steps=6, last=2) for tool in (fast, hue))
    np.testing.assert_array_equal(*grown)


def _cells(rgb, *, mpp, tools, **given):
    white = estimate_white(make_tile(rgb, mpp=mpp))
    plan = SegmentationConfig(
        mpp=mpp, white=white, vectors=StainVectors(), settings=CellSettings(nuclei_by="hue", **given), tools=tools
    )
    return find_rows(rgb, np.ones(rgb.shape[:2], bool), plan=plan, progress=False)


@pytest.mark.parametrize("name", ["simulated", "photograph", "painted"])
def test_both_sets_of_steps_find_and_measure_the_same_cells(name):
    rgb, mpp = {
        "simulated": lambda: (
            render_hdab(simulate_scene(rng=5, size_px=260, mpp=0.5, crowding="dense", tps=50), rng=5),
            0.5,
        ),
        "photograph": lambda: (np.ascontiguousarray(skimage.data.immunohistochemistry()[:231, :245]), 0.35),
        "painted": lambda: (paint(side=240, ringed=lambda row, column: column < 3)[0], 0.25),
    }[name]()
    one, other = _cells(rgb, mpp=mpp, tools=fast_tools), _cells(rgb, mpp=mpp, tools=plain_tools)
    assert one[0].count > 10
    np.testing.assert_array_equal(one[0].numbers, other[0].numbers)
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(one[2], other[2])


def test_a_stained_ring_is_measured_up_to_the_border():
    rgb, _ = paint(side=336, ringed=lambda row, column: column < 3)
    rows, _, _ = _cells(rgb, mpp=0.25, tools=fast_tools)
    ringed = rows.middle[:, 0] < 3.5 * 48
    half, line = (rows.layers[name][:, 0] for name in ("membrane_half", "membrane_line"))
    assert half[ringed].min() > 0.4  # planted at 0.6 OD, smoothed over 0.35 um
    assert (line[ringed] > 0.4 * half[ringed]).all()
    assert half[~ringed & (rows.middle[:, 0] > 4.5 * 48)].max() < 0.05


def test_glass_among_dark_stain_is_no_nucleus():
    """A vacuole is as high in hue as a pale nucleus, but holds no stain."""
    rgb, _ = paint(side=240, ringed=lambda row, column: True)
    rgb[100:140, 100:140] = (240, 238, 236)
    rows, _, _ = _cells(rgb, mpp=0.25, tools=fast_tools)
    inside = (np.abs(rows.middle - 120) < 15).all(axis=1)
    assert not inside.any()
