"""Outlines enclose exactly their pixels."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from shapely.geometry import Polygon

from biomarkers.score.outlines import outlines


def test_a_square_and_an_l():
    labels = np.array([[1, 1, 0], [1, 1, 2], [0, 2, 2]])
    found = outlines(labels)
    assert found[1].tolist() == [[0, 0], [2, 0], [2, 2], [0, 2]]
    assert Polygon(found[2]).area == 3


def test_nothing():
    assert outlines(np.zeros((4, 5), dtype=np.int32)) == {}
    assert outlines(np.zeros((0, 5), dtype=np.int32)) == {}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 24), st.integers(3, 24))
def test_each_outline_holds_its_connected_pixels_and_no_others(seed, height, width):
    seeds = np.random.default_rng(seed).random((height, width)) > 0.5
    labels, count = ndimage.label(seeds)
    found = outlines(labels)
    assert set(found) == set(range(1, count + 1))
    y, x = np.mgrid[:height, :width] + 0.5
    for label, corners in found.items():
        polygon = Polygon(corners)
        filled = ndimage.binary_fill_holes(labels == label, np.ones((3, 3)))
        assert polygon.area == filled.sum()
        assert np.array_equal(shapely.contains_xy(polygon, x, y), filled)
        steps = np.diff(np.vstack([corners, corners[:1]]), axis=0)
        assert ((steps == 0).sum(axis=1) == 1).all()  # along pixel edges
        assert (np.sign(steps[1:]) != np.sign(steps[:-1])).any(axis=1).all()  # a corner is a corner
