"""Every compiled step of glass, stains and quality gives exactly what its plain version gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from biomarkers.pp import StainVectors, colours, field, tissue
from biomarkers.pp.background_light import QUANTILE, white_of_samples
from biomarkers.pp.fixed_point import FIXED_POINT_SCALE, UNIT, WEIGHT, parts, stain_weights, whole_densities
from biomarkers.pp.kernels import blocks
from biomarkers.pp.kernels import colours as fast_colours
from biomarkers.pp.kernels import field as fast_field
from biomarkers.pp.quality import _spans
from biomarkers.pp.separate import dab_at_least, dab_at_least_in
from biomarkers.seg.contrast import amounts

LEVELS = np.array([parts(0.3), parts(0.15), parts(1.3)], np.int32)
whites = st.tuples(*[st.floats(100, 255)] * 3)
vectors = st.sampled_from(
    [
        StainVectors(),
        StainVectors((0.7, 0.6, 0.38), (0.3, 0.5, 0.81), "other"),
        StainVectors((0.65, 0.70, 0.29), (0.60, 0.65, 0.46), "nearly one"),
    ]
)


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    """Colour images of any small size: noise, smooth stains, glass and black, whole or cut out of a larger one."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    kind = draw(st.sampled_from(["noise", "smooth", "glass", "dark"]))
    if kind == "noise":
        values = rng.integers(0, 256, (height, width, 3))
    else:
        middle, spread = {"smooth": (150, 90), "glass": (250, 8), "dark": (25, 30)}[kind]
        grain = ndimage.gaussian_filter(rng.standard_normal((height, width, 3)), (1.2, 1.2, 0), mode="wrap")
        values = np.clip(np.rint(middle + spread * grain / max(grain.std(), 1e-9)), 0, 255)
    image = values.astype(np.uint8)
    return image[:, ::-1] if draw(st.booleans()) else image


@settings(max_examples=150, deadline=None)
@given(images(), st.integers(1, 9))
def test_sums_of_squares_of_pixels(rgb: np.ndarray, step: int) -> None:
    assert np.array_equal(blocks.square_sums(rgb, step), tissue.square_sums(rgb, step))


@settings(max_examples=150, deadline=None)
@given(images(), whites)
def test_pairs_and_histograms(rgb: np.ndarray, white: tuple[float, float, float]) -> None:
    pairs = colours.pair_sums(rgb)
    assert np.array_equal(fast_colours.pair_sums(rgb), pairs)
    assert np.array_equal(fast_colours.histograms(pairs, levels=1021), colours.histograms(pairs, levels=1021))
    densities = whole_densities(white, per_grey=4)
    near = {
        module.count_near(pairs, densities, least=parts(0.06), leave_out=1020) for module in (colours, fast_colours)
    }
    assert len(near) == 1


@settings(max_examples=100, deadline=None)
@given(images())
def test_glass_is_the_99th_percentile_of_what_is_not_padding(rgb: np.ndarray) -> None:
    pairs = colours.pair_sums(rgb)
    real = pairs[~(pairs == 1020).all(axis=1)]
    if real.size and (real.shape[0] == pairs.shape[0] or np.quantile(real, QUANTILE, axis=0).min() > 4 * 121):
        expected = np.maximum(np.quantile(real, QUANTILE, axis=0, method="inverted_cdf") / 4, 1)
        assert white_of_samples(pairs) == tuple(expected)


@settings(max_examples=150, deadline=None)
@given(images(), whites, vectors)
def test_tallies_of_colours(rgb: np.ndarray, white: tuple[float, float, float], of: StainVectors) -> None:
    neutral = np.array([parts(float(np.log10(max(white) / one))) for one in white], np.int32)
    levels = np.array([parts(0.3), parts(0.15) * WEIGHT], np.int32)
    options = {"dab": stain_weights(of)[1], "neutral": neutral, "levels": levels}
    flat = rgb.reshape(-1, 3)
    expected = colours.tally_colours(flat, whole_densities(white), **options)
    for given_as in (flat, rgb):
        assert np.array_equal(fast_colours.tally_colours(given_as, whole_densities(white), **options), expected)


@settings(max_examples=150, deadline=None)
@given(images(), whites, vectors, st.floats(0.3, 8), st.floats(0, 2))
def test_amounts_and_detail(
    rgb: np.ndarray, white: tuple[float, float, float], of: StainVectors, sigma: float, cut: float
) -> None:
    densities, weights = whole_densities(white), stain_weights(of)
    smoothing = field.smoothing_weights(sigma)
    assert 2 * smoothing.sum() - smoothing[0] == 256
    assert (np.diff(smoothing) <= 1).all()
    plain, fast = (module.split(rgb, densities, weights[1:], levels=LEVELS) for module in (field, fast_field))
    assert all(np.array_equal(one, other) for one, other in zip(plain, fast, strict=True))
    soft = field.smooth(plain.green, smoothing)
    assert np.array_equal(fast_field.smooth(plain.green, smoothing), soft)
    assert np.array_equal(field.smooth(plain.green.T, smoothing).T, soft)
    for module in (field, fast_field):
        assert module.squares_of_differences(soft, plain.green, plain.stained) == int(
            ((soft.astype(float) - plain.green)[plain.stained] ** 2).sum()
        )
    one, other = (
        module.soft_dab(rgb, densities, weights[1:], smoothing, levels=LEVELS) for module in (field, fast_field)
    )
    assert np.array_equal(one[0], other[0])
    assert one[1:] == other[1:]
    least = parts(cut) * WEIGHT
    assert np.array_equal(
        field.at_least(rgb, densities, weights[1], least=least),
        fast_field.at_least(rgb, densities, weights[1], least=least),
    )


@settings(max_examples=200, deadline=None)
@given(images(), whites, vectors, st.floats(0.01, 2), st.data())
def test_what_is_stained_is_the_same_where_dab_is_known(
    rgb: np.ndarray, white: tuple[float, float, float], of: StainVectors, cut: float, data: st.DataObject
) -> None:
    dab = amounts(rgb, white=white, vectors=of)[1]
    if data.draw(st.booleans()):  # a cut that pixels lie at
        cut = max(0.01, float(data.draw(st.sampled_from(dab.ravel().tolist()))) / 1000)
    part = tuple(
        slice(start, data.draw(st.integers(start, side)))
        for side in dab.shape
        for start in [data.draw(st.integers(0, side))]
    )
    asked = dab_at_least(rgb, cut, white=white, vectors=of)
    np.testing.assert_array_equal(dab_at_least_in(rgb, dab, part, cut, white=white, vectors=of), asked[part])  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(images(), whites, vectors, st.integers(0, 2000), st.integers(0, 60))
def test_only_what_is_near_is_compared(
    rgb: np.ndarray, white: tuple[float, float, float], of: StainVectors, cut: int, doubt: int
) -> None:
    densities, weights = whole_densities(white), stain_weights(of)[1]
    dab = np.random.default_rng(cut).integers(-50, 2100, rgb.shape[:2]).astype(np.int16)
    options: dict[str, Any] = {"least": 4 * cut * WEIGHT, "near": (cut - doubt, cut + doubt)}
    part = slice(1, rgb.shape[0]), slice(0, rgb.shape[1] - 1)
    np.testing.assert_array_equal(
        fast_field.at_least_in(rgb, dab, part, densities, weights, **options),
        field.at_least_in(rgb, dab, part, densities, weights, **options),
    )


@settings(max_examples=150, deadline=None)
@given(images(), st.integers(200, 3000), st.integers(1, 3), st.integers(3, 40), st.integers(0, 2), st.integers(3, 20))
def test_grains(rgb: np.ndarray, dense: int, least: int, most: int, inner: int, outer: int) -> None:
    dab = field.split(rgb, whole_densities((240.0,) * 3), stain_weights(StainVectors())[1:], levels=LEVELS).dab
    options: dict[str, Any] = {"dense": dense, "area": (least, most), "ring": (inner, outer), "around": 900}
    found = field.count_grains(dab, **options)
    assert fast_field.count_grains(dab, **options) == found
    assert fast_field.count_grains(np.ascontiguousarray(np.rot90(dab)), **options) == found


@settings(max_examples=100, deadline=None)
@given(images(), whites, vectors)
def test_colours_of_ink(rgb: np.ndarray, white: tuple[float, float, float], of: StainVectors) -> None:
    means = tissue.block_means(rgb, 2)
    densities, weights = whole_densities(white, per_grey=FIXED_POINT_SCALE), stain_weights(of)
    plain, fast = (
        module.solid_masks(means, densities, weights, pen=parts(0.35), dark=UNIT) for module in (field, fast_field)
    )
    assert np.array_equal(plain[0], fast[0])
    assert np.array_equal(plain[1], fast[1])


@pytest.mark.parametrize("length", [100, 1024, 1025, 1500, 4000, 10_001])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_windows_lie_the_same_from_either_end(length: int, count: int) -> None:
    spans = _spans(length, 128, count)
    assert [(length - one.stop, length - one.start) for one in reversed(spans)] == [
        (one.start, one.stop) for one in spans
    ]
    assert all(0 <= one.start < one.stop <= length for one in spans)


def test_tissue_by_majority_is_the_median_of_nine() -> None:
    rng = np.random.default_rng(3)
    means = 240 - 60 * rng.random((40, 50, 3)) ** 3
    white = (240.0, 238.0, 235.0)
    density = np.log10(np.array(white) / means).clip(min=0).sum(axis=-1)
    expected = ndimage.median_filter(density, size=3, mode="nearest")
    absorbed, least = tissue._absorbed(white), round(tissue.MIN_OD_SUM * tissue._OD_SCALE)
    assert (tissue.dark_blocks(means, white=white) == tissue.darker(means, absorbed, least=least)).all()
    sure = np.abs(expected - tissue.MIN_OD_SUM) > 1e-3  # the steps are in sixteenths of a grey level
    assert (tissue.majority_filter(tissue.dark_blocks(means, white=white)) == (expected > tissue.MIN_OD_SUM))[
        sure
    ].all()
    assert sure.mean() > 0.9
