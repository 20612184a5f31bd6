"""Every kernel gives exactly what its plain version gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.pp.vectors import StainVectors
from biomarkers.seg import tools
from biomarkers.seg.blocks import Block
from biomarkers.seg.contrast import CAP, MOST_ABOVE, _weighted_densities, amounts
from biomarkers.seg.grow import CYTOPLASM, FEW
from biomarkers.seg.kernels.wanted import bounds_of
from biomarkers.seg.moments import centroids, middles
from biomarkers.seg.outline import BINS, NOWHERE, STEP
from biomarkers.seg.pieces import Limits
from biomarkers.seg.pipeline import SegmentationConfig, find_rows
from biomarkers.seg.regions import MergeRule
from biomarkers.seg.settings import CellSettings

PLAIN, FAST = tools.plain(), tools.fast()
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
MASKS = hnp.arrays(bool, SHAPES)
LEVELS = hnp.arrays(np.int16, SHAPES, elements=st.integers(-2000, 3000))
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
    return labels, rng.integers(0, draw(st.sampled_from([2, 5, 400])), labels.shape).astype(np.int16)


def _equal(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one, other)


def _all_equal(ones: Iterable[Any], others: Iterable[Any]) -> None:
    for one, other in zip(ones, others, strict=True):
        _equal(one, other)


@check
@given(LEVELS, st.sampled_from([0.7, 1.0, 2.25, 3.0, 5.0]), st.integers(0, 40))
def test_filters(image: np.ndarray, sigma: float, half: int) -> None:
    _equal(FAST.smooth(image, sigma_px=sigma), PLAIN.smooth(image, sigma_px=sigma))
    _equal(FAST.negative_log(image, sigma_px=sigma), PLAIN.negative_log(image, sigma_px=sigma))
    _equal(FAST.grey_opening(image, half=half), PLAIN.grey_opening(image, half=half))


@check
@given(LEVELS, st.integers(0, 7))
def test_octagons(image: np.ndarray, steps: int) -> None:
    for one in (image, image > 0):
        _equal(FAST.erode(one, steps=steps), PLAIN.erode(one, steps=steps))
        _equal(FAST.dilate(one, steps=steps), PLAIN.dilate(one, steps=steps))


def test_octagons_and_growth_in_bands() -> None:
    """Images higher than a band."""
    rng = np.random.default_rng(5)
    image = rng.integers(-300, 300, (301, 40)).astype(np.int16)
    labels = (np.arange(1, 301 * 40 + 1).reshape(301, 40) * (rng.random((301, 40)) < 0.01)).astype(np.int32)
    many = np.where(labels > 0, labels + 2**15, 0).astype(np.int32)  # more than 16 bits hold
    for steps in (1, 4, 9):
        _equal(FAST.erode(image, steps=steps), PLAIN.erode(image, steps=steps))
        _equal(FAST.dilate(image, steps=steps), PLAIN.dilate(image, steps=steps))
        for one in (labels, many):
            _equal(FAST.expand(one, steps=steps), PLAIN.expand(one, steps=steps))
            _all_equal(FAST.bodies(one, steps=steps), PLAIN.bodies(one, steps=steps))


@check
@given(MASKS, st.integers(1, 9))
def test_distances(mask: np.ndarray, reach: int) -> None:
    _equal(FAST.squared_edt(mask, reach=reach), PLAIN.squared_edt(mask, reach=reach))


@check
@given(
    hnp.arrays(
        np.int16,
        st.tuples(st.just(4), st.integers(1, 24), st.integers(1, 24)),
        elements=st.integers(-50, 1200) | st.integers(-5000, 5000),
    ),
    st.integers(1, 4),
)
def test_contrast_and_masks(planes: np.ndarray, factor: int) -> None:
    blue, brown, compact, soft = planes
    _equal(FAST.means(blue, factor=factor), PLAIN.means(blue, factor=factor))
    large = [PLAIN.means(one, factor=factor) for one in (compact, soft)]
    _equal(
        FAST.smoothed_nuclear_signal(blue, brown, *large, factor=factor),
        PLAIN.smoothed_nuclear_signal(blue, brown, *large, factor=factor),
    )
    both = PLAIN.total_stain(blue, brown)
    _equal(FAST.total_stain(blue, brown), both)
    _equal(FAST.nuclear_signal(blue, brown, compact, both), PLAIN.nuclear_signal(blue, brown, compact, both))
    masks = (one.threshold_masks(blue, brown, soft, levels=(50, 250, 100)) for one in (FAST, PLAIN))
    for fast, plain in zip(*masks, strict=True):
        _equal(fast, plain)


@check
@given(with_levels(), st.integers(0, 2**32 - 1), st.sampled_from([(3, 1), (1, 3), (4, 0)]))
def test_basins_and_their_merging(both: tuple[np.ndarray, np.ndarray], seed: int, weights: tuple[int, int]) -> None:
    labels, soft = both
    mask = labels > 0
    core = mask & (np.random.default_rng(seed).random(mask.shape) < 0.9)
    fine, coarse = (PLAIN.squared_edt(one, reach=7) for one in (core, mask))
    bend = np.random.default_rng(seed).integers(-200, 200, mask.shape).astype(np.int16)
    height = PLAIN.surface(fine, coarse, soft, bend, weights=weights)
    _equal(FAST.surface(fine, coarse, soft, bend, weights=weights), height)
    found, tops = PLAIN.basins(height)
    _equal(FAST.basins(height)[0], found)
    _equal(FAST.basins(height)[1], tops)
    highest = np.zeros(tops.size, np.int32)
    np.maximum.at(highest, found.ravel(), height.ravel())
    _equal(height.ravel()[tops], highest)
    fast, plain = (one.describe(found, height, core, tops=tops) for one in (FAST, PLAIN))
    for one, other in zip(fast[:3], plain[:3], strict=True):
        _equal(one, other)
    for one, other in zip(fast.borders, plain.borders, strict=True):
        _equal(one, other)
    rule = MergeRule(60.0, 20.0, 3.0, 0.65, 0.5, 0.4, 4.0, 0.3)
    into = PLAIN.merge(plain, rule=rule)
    assert np.unique(into).size <= tops.size
    _equal(FAST.merge(fast, rule=rule), into)


@check
@given(blobs(), st.integers(0, 9))
def test_growth_and_numbers(labels: np.ndarray, steps: int) -> None:
    _equal(FAST.expand(labels, steps=steps), PLAIN.expand(labels, steps=steps))
    number = np.array([9, 3, 0, 7, 1, 2], np.int32)
    _equal(FAST.renumbered(labels, number), PLAIN.renumbered(labels, number))
    bodies = PLAIN.bodies(labels, steps=steps)
    _all_equal(FAST.bodies(labels, steps=steps), bodies)
    _all_equal(FAST.bodies(labels.astype(np.int16), steps=steps), bodies)
    _equal(bodies.cells, PLAIN.expand(labels, steps=steps))
    _all_equal(FAST.relabel(FAST.bodies(labels, steps=steps), number), PLAIN.relabel(bodies, number))


def test_pieces_of_a_chequered_image() -> None:
    """Every pixel is a run: more than room is set aside for at first."""
    rows, columns = 60, 61
    soft = (np.indices((rows, columns)).sum(axis=0) % 2 * 200).astype(np.int16)
    reach, cuts = np.ones((rows, columns), np.int32), np.array([NOWHERE, 100], np.int16)
    soft[20:25, 20:40] = 200
    asked = {"factor": 1, "limits": Limits(0.25, 5.0, 400.0)}
    (fast, kept), (plain, known) = (one.outlines(reach, soft, cuts, **asked) for one in (FAST, PLAIN))
    assert (plain > 0).sum() > 100
    _equal(fast, plain)
    _equal(kept, known)


@pytest.mark.parametrize("count", [FEW - 1, FEW])
def test_pieces_of_more_labels_than_16_bits_hold(count: int) -> None:
    reach = np.zeros((4, -(-count // 2)), np.int32)
    reach[1:3].ravel()[:count] = np.arange(1, count + 1)
    soft, cuts = np.full(reach.shape, 200, np.int16), np.full(count + 1, 100, np.int16)
    asked = {"factor": 1, "limits": Limits(1.0, 0.0, 400.0)}
    (fast, kept), (plain, known) = (one.outlines(reach, soft, cuts, **asked) for one in (FAST, PLAIN))
    assert fast.dtype == (np.int16 if count < FEW else np.int32)
    assert plain.max() == count
    _equal(fast, plain)
    _equal(kept, known)
    _all_equal(FAST.bodies(fast, steps=1), PLAIN.bodies(plain, steps=1))


@check
@given(
    blobs(most=2), st.integers(1, 3), st.integers(0, 2**32 - 1), st.floats(0.1, 2), st.floats(0, 10), st.floats(5, 100)
)
def test_pieces_and_holes(reach: np.ndarray, factor: int, seed: int, pixel: float, least: float, most: float) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (side * factor - rng.integers(0, factor) for side in reach.shape)
    soft = rng.choice(np.array([0, 100, 200], np.int16), (rows, columns), p=[0.2, 0.2, 0.6])
    cuts = rng.choice(np.array([0, 50, 150, NOWHERE], np.int16), 4)
    cuts[0] = NOWHERE
    asked = {"factor": factor, "limits": Limits(pixel, least, most)}
    fast, plain = (one.outlines(reach, soft, cuts, **asked) for one in (FAST, PLAIN))
    _equal(fast[0], plain[0])
    _equal(fast[1], plain[1])


@check
@given(with_levels(), st.integers(1, 3), st.floats(0, 9), st.integers(0, 2**32 - 1))
def test_outlines_of_nuclei(both: tuple[np.ndarray, np.ndarray], steps: int, least: float, seed: int) -> None:
    objects, soft = both
    core = (objects > 0) & (np.random.default_rng(seed).random(objects.shape) < 0.8)
    reach, count = PLAIN.expand(objects, steps=steps), int(objects.max())
    fast, plain = (one.histograms(reach, objects, core, soft, count=count) for one in (FAST, PLAIN))
    _equal(fast.inside, plain.inside)
    _equal(fast.around, plain.around)
    (cuts, contrast), (adaptive_thresholds, own_contrast) = (one.cuts(plain, least_px=least) for one in (PLAIN, FAST))
    _equal(adaptive_thresholds, cuts)
    _equal(own_contrast, contrast)


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
@given(
    blobs(),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.2, 0.25, 0.4, 0.5, 0.9]),
    st.integers(1, 12),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.2, 1.0]),
)
def test_measurements(labels: np.ndarray, seed: int, mpp: float, steps: int, more: int, share: float) -> None:
    count = int(labels.max()) + more
    rng = np.random.default_rng(seed)
    soft, *stains = (rng.integers(-50, 500, labels.shape).astype(np.int16) for _ in range(3))
    fast, plain = (
        one.sums(tuple(stains), bodies=one.bodies(labels, steps=steps), count=count) for one in (FAST, PLAIN)
    )
    _all_equal(fast, plain)
    asked = {"middle": middles(plain.moments), "highest": plain.highest, "mpp": mpp, "grown_px": steps}
    asked["settings"] = CellSettings()
    wanted = rng.random(count + 1) < share
    own = np.flatnonzero(wanted[1:])
    contrast = rng.integers(-300, 900, count + 1)
    found, kept = [], []
    for one, whole in ((FAST, fast), (PLAIN, plain)):
        bodies = one.bodies(labels, steps=steps)
        found.append(one.outline_stain(soft, tuple(stains), bodies=bodies, wanted=wanted, **asked))
        kept.append(one.numbers(whole, found[-1], contrast).numbers[own])
    _all_equal(*([one[own] for one in each.stretches] for each in found))
    _equal(*(each.highest[own] for each in found))
    for mine, theirs in zip(found[0].bands, found[1].bands, strict=True):
        _all_equal(*([one[own] for one in band] for band in (mine, theirs)))
    _equal(*kept)


@check
@given(blobs(most=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_wanted_cells_are_bounded(labels: np.ndarray, some: list[bool]) -> None:
    wanted = np.array([False, *some])
    bodies = PLAIN.bodies(labels, steps=2)
    top, bottom, left, right, size = bounds_of(bodies, wanted)
    there = wanted[bodies.cells]
    if not there.any():
        assert top >= bottom or left >= right
        return
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    assert (top, bottom, left, right) == (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
    assert size == np.count_nonzero(bodies.parts[top:bottom, left:right] == CYTOPLASM)


@pytest.mark.parametrize("seed", [12, 127])
def test_outlines_of_one_cell_at_a_time(seed: int) -> None:
    """What lies beyond the wanted cells has a say in them: a nucleus that is nearer than a pixel's own."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((90, 110), np.int32)
    for number, (y, x) in enumerate(rng.integers(0, (84, 104), (40, 2)), start=1):
        labels[y : y + rng.integers(2, 7), x : x + rng.integers(2, 7)] = number
    soft, *stains = (rng.integers(-50, 500, labels.shape).astype(np.int16) for _ in range(3))
    bodies = PLAIN.bodies(labels, steps=9)
    sums = PLAIN.sums(tuple(stains), bodies=bodies, count=40)
    asked = {"bodies": bodies, "middle": middles(sums.moments), "highest": sums.highest, "mpp": 0.25, "grown_px": 9}
    asked["settings"] = CellSettings()
    plain = PLAIN.outline_stain(soft, tuple(stains), wanted=np.ones(41, bool), **asked)
    for own in range(40):
        fast = FAST.outline_stain(soft, tuple(stains), wanted=np.arange(41) == own + 1, **asked)
        _equal(fast.highest[own], plain.highest[own])
        _equal([one[own] for one in fast.stretches], [one[own] for one in plain.stretches])
        for mine, theirs in zip(fast.bands, plain.bands, strict=True):
            _equal([one[own] for one in mine], [one[own] for one in theirs])


def test_every_level_of_contrast_has_a_bin_of_its_own() -> None:
    most = np.full((9, 9), 30_000, np.int16)
    soft = PLAIN.smoothed_nuclear_signal(most, most, most, 0 * most, factor=1)
    assert soft.max() == CAP + MOST_ABOVE < BINS * STEP


def test_whole_recipe_on_a_photograph() -> None:
    """Every measurement of every cell of scikit-image's H-DAB picture, plain and fast."""
    from skimage.data import immunohistochemistry

    rgb = immunohistochemistry()[:220, :260]
    tissue = np.ones(rgb.shape[:2], bool)
    plan = SegmentationConfig(mpp=0.5, white=(230.0, 228.0, 232.0), vectors=StainVectors(), settings=CellSettings())
    plain, *plain_labels = find_rows(rgb, tissue, plan=replace(plan, tools=tools.plain), progress=False)
    fast, *fast_labels = find_rows(rgb, tissue, plan=plan, progress=False)
    assert plain.count > 40
    _equal(fast_labels, plain_labels)
    _equal(fast.numbers, plain.numbers)


@check
@given(blobs(most=9), st.integers(0, 2**32 - 1), st.tuples(st.integers(0, 50), st.integers(0, 50)))
def test_whom_a_block_owns(labels: np.ndarray, seed: int, corner: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    window, core = [], []
    for first, length in zip(corner, labels.shape, strict=True):
        start, stop = sorted(rng.integers(0, length + 1, 2).tolist())
        window.append(slice(first, first + length))
        core.append(slice(first + start, first + stop))
    block = Block(core=(core[0], core[1]), window=(window[0], window[1]))
    middle = centroids(labels, int(labels.max()) + 2)  # two labels without a pixel
    tissue = rng.random(labels.shape) < 0.7
    _equal(FAST.owned(middle, tissue, block), PLAIN.owned(middle, tissue, block))
