"""The arithmetic of scores: hand-worked values, published tables, and what must always hold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.score import formulas, intervals


@pytest.mark.parametrize(
    ("bins", "h"),
    [((0, 50, 50, 0), 150), ((20, 0, 0, 80), 240), ((100, 0, 0, 0), 0), ((0, 0, 0, 7), 300)],
)
def test_h_score_by_hand(bins, h):
    weighted = sum(level * count for level, count in enumerate(bins))
    assert formulas.percent(weighted, sum(bins)) == h


@pytest.mark.parametrize(
    ("positive", "n", "weighted", "expected"),
    [
        (0, 500, 0, 0),
        (1, 200, 1, 2),  # 0.5 %: proportion 1, weak 1
        (1, 100, 1, 3),  # 1/100 is no longer below it
        (10, 100, 20, 5),  # 1/10 is 3, moderate 2
        (1, 3, 3, 7),  # 1/3 is 4, strong 3
        (2, 3, 6, 7),  # 2/3 is still 4
        (67, 100, 201, 8),
    ],
)
def test_allred_at_its_edges(positive, n, weighted, expected):
    assert formulas.allred(positive, n, weighted) == expected


@pytest.mark.parametrize(
    ("positive", "n", "weighted", "expected"),
    [
        (0, 9, 0, 0),
        (9, 100, 9, 1),
        (10, 100, 10, 2),
        (50, 100, 100, 4),
        (51, 100, 51, 3),
        (80, 100, 240, 9),
        (81, 100, 243, 12),
    ],
)
def test_irs_at_its_edges(positive, n, weighted, expected):
    assert formulas.irs(positive, n, weighted) == expected


@settings(max_examples=60)
@given(st.lists(st.integers(0, 500), min_size=4, max_size=4).filter(lambda bins: sum(bins) > 0))
def test_ordinal_scores_take_only_their_values(bins):
    n, positive = sum(bins), sum(bins[1:])
    weighted = sum(level * count for level, count in enumerate(bins))
    assert formulas.allred(positive, n, weighted) in {0, 2, 3, 4, 5, 6, 7, 8}
    assert formulas.irs(positive, n, weighted) in {0, 1, 2, 3, 4, 6, 8, 9, 12}


@settings(max_examples=60)
@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 1000))
def test_cps_is_capped_and_never_below_tps(tumor, immune, n):
    tumor = min(tumor, n)
    tps, cps = formulas.percent(tumor, n), formulas.combined_positive(tumor + immune, n)
    assert tps <= cps <= 100
    assert cps == min(100, formulas.percent(tumor + immune, n))


def test_exact_poisson_interval_against_published_values():
    # Garwood's table: 0 gives 3.689, 5 gives 1.623 to 11.668, 10 gives 4.795 to 18.390
    assert intervals.poisson(0) == pytest.approx((0, 3.688879), abs=1e-6)
    assert intervals.poisson(5) == pytest.approx((1.623486, 11.668332), abs=1e-6)
    assert intervals.poisson(10) == pytest.approx((4.795389, 18.390356), abs=1e-6)


def test_wilson_is_the_same_as_the_statistics_room():
    from biomarkers.stats.proportions import wilson

    for k, n in [(0, 20), (19, 52), (20, 20), (1, 1000)]:
        other = wilson(k, n)
        assert intervals.wilson(k, n) == pytest.approx((other.low, other.high), abs=1e-12)


def test_weighted_poisson_with_equal_weights_is_garwood_scaled():
    low, high = intervals.weighted_poisson(5 * 7.0, 5 * 49.0, 7.0)
    assert (low / 7, high / 7) == pytest.approx(intervals.poisson(5))
    assert intervals.weighted_poisson(0.0, 0.0, 7.0) == pytest.approx((0, 7 * 3.688879), rel=1e-6)


@settings(max_examples=60)
@given(st.integers(1, 3000), st.data())
def test_intervals_hold_their_estimate(n, data):
    k = data.draw(st.integers(0, n))
    low, high = formulas.percent_interval(k, n)
    assert 0 <= low <= formulas.percent(k, n) <= high <= 100
    weighted = data.draw(st.integers(0, 3 * n))
    low, high = formulas.h_score_interval(weighted, n)
    assert 0 <= low <= formulas.percent(weighted, n) <= high <= 300 + 1e-9
    low, high = formulas.density_interval(k, 0.7)
    assert low <= k / 0.7 <= high
    assert math.isfinite(high)


def test_mover_of_two_normal_intervals_adds_variances():
    assert intervals.sum_interval((1, 0, 2), (5, 2, 9)) == pytest.approx((6 - math.sqrt(10), 6 + math.sqrt(17)))
