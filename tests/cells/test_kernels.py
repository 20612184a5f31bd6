"""Every kernel gives exactly what its plain version gives."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.cells import tools
from biomarkers.cells.contrast import _weighted_densities, amounts
from biomarkers.cells.kernels import notice
from biomarkers.cells.kernels.distance import exact
from biomarkers.cells.measure import middles
from biomarkers.cells.pieces import sixteenths
from biomarkers.cells.pipeline import Plan, find_rows
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.table import Rows
from biomarkers.stain.vectors import StainVectors

PLAIN, FAST = tools.plain(), tools.fast()
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
MASKS = hnp.arrays(bool, SHAPES)
LEVELS = hnp.arrays(np.int32, SHAPES, elements=st.integers(-2000, 3000))
check = settings(max_examples=60, deadline=None)


@st.composite
def blobs(draw: st.DrawFn, most: int = 5) -> np.ndarray:
    """Labels in patches of a few pixels, as nuclei are, with holes and touching borders."""
    shape = draw(SHAPES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grain = draw(st.integers(1, 5))
    coarse = rng.integers(0, most + 1, (-(-shape[0] // grain), -(-shape[1] // grain)))
    coarse[rng.random(coarse.shape) < draw(st.floats(0, 0.9))] = 0
    labels = np.repeat(np.repeat(coarse, grain, axis=0), grain, axis=1)[: shape[0], : shape[1]]
    labels[rng.random(shape) < draw(st.sampled_from([0, 0.05, 0.3]))] = 0
    return labels.astype(np.int32)


@st.composite
def with_levels(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and whole numbers with many ties over the same pixels."""
    labels = draw(blobs())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return labels, rng.integers(0, draw(st.sampled_from([2, 5, 400])), labels.shape).astype(np.int32)


def _equal(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one, other)


@check
@given(LEVELS, st.sampled_from([0.7, 1.0, 2.5, 5.0]))
def test_filters(image: np.ndarray, sigma: float) -> None:
    _equal(FAST.smooth(image, sigma_px=sigma), PLAIN.smooth(image, sigma_px=sigma))
    _equal(FAST.blobness(image, sigma_px=sigma), PLAIN.blobness(image, sigma_px=sigma))


@check
@given(LEVELS, st.integers(0, 7))
def test_octagons(image: np.ndarray, steps: int) -> None:
    _equal(FAST.erode(image, steps=steps), PLAIN.erode(image, steps=steps))
    _equal(FAST.dilate(image, steps=steps), PLAIN.dilate(image, steps=steps))


@check
@given(MASKS)
def test_distance(mask: np.ndarray) -> None:
    _equal(FAST.sixteenths(mask), PLAIN.sixteenths(mask))


@pytest.mark.parametrize("share", [0.5, 0.02, 0.0005])
def test_distance_in_long_runs(share: float) -> None:
    mask = np.random.default_rng(3).random((150, 400)) > share
    _equal(exact(mask, short=9), sixteenths(mask))
    _equal(exact(mask), sixteenths(mask))


@check
@given(MASKS, st.integers(1, 40))
def test_seeds_of_distances(mask: np.ndarray, depth: int) -> None:
    distance = PLAIN.sixteenths(mask)
    fast, plain = FAST.dome_seeds(distance, depth=depth), PLAIN.dome_seeds(distance, depth=depth)
    _equal(_in_order(fast), plain)


@check
@given(with_levels(), st.integers(1, 60))
def test_seeds_of_any_surface(both: tuple[np.ndarray, np.ndarray], depth: int) -> None:
    surface = np.where(both[0] > 0, both[1], 0).astype(np.int32)
    _equal(_in_order(FAST.dome_seeds(surface, depth=depth)), PLAIN.dome_seeds(surface, depth=depth))


@check
@given(with_levels(), st.floats(0, 1))
def test_flood(both: tuple[np.ndarray, np.ndarray], share: float) -> None:
    seeds, height = both
    mask = np.random.default_rng(1).random(seeds.shape) < share
    _equal(FAST.flood(seeds, height=height, mask=mask), PLAIN.flood(seeds, height=height, mask=mask))


@check
@given(blobs(), st.integers(0, 9))
def test_expansion_and_closing(labels: np.ndarray, steps: int) -> None:
    _equal(FAST.expand(labels, steps=steps), PLAIN.expand(labels, steps=steps))
    _equal(FAST.close_labels(labels, steps=steps), PLAIN.close_labels(labels, steps=steps))


@check
@given(MASKS, st.floats(0, 12))
def test_solid(mask: np.ndarray, hole: float) -> None:
    _equal(FAST.solid(mask, hole_px=hole), PLAIN.solid(mask, hole_px=hole))


@check
@given(blobs(most=2), st.floats(0.1, 2), st.floats(0, 10), st.floats(5, 100))
def test_pieces_and_holes(labels: np.ndarray, pixel: float, least: float, most: float) -> None:
    limits = {"pixel_um2": pixel, "least_um2": least, "most_um2": most}
    _equal(FAST.largest_pieces(labels, **limits), PLAIN.largest_pieces(labels, **limits))
    _equal(FAST.fill_holes(labels), PLAIN.fill_holes(labels))


@check
@given(with_levels(), st.sampled_from([(1, 2), (1, 4), (1, 1), (0, 1), (9, 10)]), st.integers(0, 3))
def test_quantiles(both: tuple[np.ndarray, np.ndarray], share: tuple[int, int], more: int) -> None:
    labels, values = both
    size = int(labels.max()) + 1 + more
    asked = {"numerator": share[0], "denominator": share[1], "size": size}
    _equal(FAST.quantile(values - 7, labels, **asked), PLAIN.quantile(values - 7, labels, **asked))

    skirts = (tools_.without_skirt(labels, values, percent=30) for tools_ in (FAST, PLAIN))
    _equal(*skirts)


@check
@given(blobs(), blobs())
def test_ellipses_and_parents(fine: np.ndarray, coarse: np.ndarray) -> None:
    fast, plain = FAST.ellipse_fit(fine), PLAIN.ellipse_fit(fine)
    _equal(fast[0], plain[0])
    _equal(fast[1], plain[1])
    rows, columns = (min(one, other) for one, other in zip(fine.shape, coarse.shape, strict=True))
    fine, coarse = fine[:rows, :columns], coarse[:rows, :columns]
    area = PLAIN.ellipse_fit(fine)[1]
    _equal(FAST.parents(coarse, fine, area), PLAIN.parents(coarse, fine, area))


def _in_order(labels: np.ndarray) -> np.ndarray:
    """Number labels by their first pixel in reading order."""
    names, first = np.unique(labels, return_index=True)
    order = names[np.argsort(first)]
    new = np.zeros(int(labels.max()) + 1, np.int64)
    new[order[order > 0]] = np.arange(1, (order > 0).sum() + 1)
    return new[labels]


@check
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 13), st.integers(1, 13), st.just(3))),
    st.integers(1, 4),
    st.tuples(*[st.floats(120, 255)] * 3),
)
def test_light(rgb: np.ndarray, factor: int, white: tuple[float, float, float]) -> None:
    sums = PLAIN.block_sums(rgb, factor=factor)
    _equal(FAST.block_sums(rgb, factor=factor), sums)
    tables = _weighted_densities(white, StainVectors(), factor)
    for fast, plain in zip(FAST.separated(sums, tables), PLAIN.separated(sums, tables), strict=True):
        _equal(fast, plain)
    both = (amounts(rgb, white=white, vectors=StainVectors(), tools=tools) for tools in (FAST, PLAIN))
    for fast, plain in zip(*both, strict=True):
        _equal(fast, plain)


@check
@given(with_levels(), st.integers(0, 3))
def test_totals(both: tuple[np.ndarray, np.ndarray], more: int) -> None:
    labels, values = both
    count = int(labels.max()) + more
    for fast, plain in zip(
        FAST.totals(values - 100, labels, count), PLAIN.totals(values - 100, labels, count), strict=True
    ):
        _equal(fast, plain)
    _equal(FAST.edge_pixels(labels, count), PLAIN.edge_pixels(labels, count))
    _equal(FAST.label_moments(labels, count), PLAIN.label_moments(labels, count))


@check
@given(blobs(), st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.25, 0.4, 0.5, 0.9]), st.integers(1, 8))
def test_outline_stain(labels: np.ndarray, seed: int, mpp: float, steps: int) -> None:
    numbers = np.unique(labels)
    nuclei = np.searchsorted(numbers, labels).astype(np.int32) if numbers[0] == 0 else np.zeros_like(labels)
    count = int(nuclei.max())
    soft = np.random.default_rng(seed).integers(-50, 500, labels.shape).astype(np.int32)
    asked = {
        "nuclei": nuclei,
        "cells": PLAIN.expand(nuclei, steps=steps),
        "middle": middles(PLAIN.label_moments(nuclei, count)[:, 1:]),
        "mpp": mpp,
        "settings": CellSettings(),
    }
    fast, plain = FAST.outline_stain(soft, **asked), PLAIN.outline_stain(soft, **asked)
    for name in vars(plain):
        _equal(getattr(fast, name), getattr(plain, name))


def test_whole_recipe_on_a_photograph() -> None:
    """Every measurement of every cell of scikit-image's H-DAB picture, plain and fast."""
    from skimage.data import immunohistochemistry

    rgb = immunohistochemistry()[:220, :260]
    tissue = np.ones(rgb.shape[:2], bool)
    plan = Plan(mpp=0.5, white=(230.0, 228.0, 232.0), vectors=StainVectors(), settings=CellSettings())
    plain, *plain_labels = find_rows(rgb, tissue, plan=replace(plan, tools=tools.plain), progress=False)
    fast, *fast_labels = find_rows(rgb, tissue, plan=plan, progress=False)
    assert plain.count > 40
    _equal(fast_labels, plain_labels)
    for one, other in zip(_columns(fast), _columns(plain), strict=True):
        _equal(one, other)


def _columns(rows: Rows) -> list[np.ndarray]:
    return [rows.middle, rows.area, rows.nucleus_area, rows.mean, *rows.shape.values(), *rows.layers.values()]


def test_compiling_is_announced_once(capsys: pytest.CaptureFixture[str]) -> None:
    listener = notice._Notice()
    for function in (np.sort, FAST.smooth, FAST.blobness):
        listener.on_start(SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)}))
    assert capsys.readouterr().err.count("compiling kernels") == 1
