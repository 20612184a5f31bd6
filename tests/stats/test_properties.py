"""What must hold for any data: intervals hold their estimate, p is a probability, mirror images mirror."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.stats import differences, distributions, exact, paired, proportions, ratios, roc, rxc, shift, survival
from biomarkers.stats.linear import midranks, score_test
from biomarkers.stats.multiplicity import METHODS, adjust
from biomarkers.stats.ranks import brunner_munzel, mean_permutation, van_der_waerden, wilcoxon_rank_sum
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.tables import conditional_odds_ratio, fisher
from biomarkers.stats.trend import jonckheere, kendall, spearman
from biomarkers.stats.unconditional import barnard, boschloo

COUNTS = st.tuples(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15), st.integers(0, 15)).filter(
    lambda c: c[0] + c[1] > 0 and c[2] + c[3] > 0
)
LEVELS = st.lists(st.integers(0, 8), min_size=1, max_size=9)
FINE = st.lists(st.integers(-4000, 4000).map(lambda v: v / 100), min_size=2, max_size=12)
QUICK = settings(max_examples=40, deadline=None)


def sound(e: Estimate) -> None:
    if math.isnan(e.value):
        assert e.note
        return
    assert e.low <= e.high
    assert math.isnan(e.low) or e.low - 1e-9 <= e.value <= e.high + 1e-9 or "need not hold" in e.note


def probable(t: Test) -> None:
    assert (math.isnan(t.p) and t.note) or 0 < t.p <= 1


@given(st.integers(0, 60), st.integers(1, 60))
@QUICK
def test_proportions_hold_their_estimate_and_mirror(k: int, n: int) -> None:
    k = min(k, n)
    for function in (proportions.clopper_pearson, proportions.wilson, proportions.jeffreys, proportions.agresti_coull):
        one, other = function(k, n), function(n - k, n)
        if function is not proportions.agresti_coull:
            sound(one)
        assert 0 <= one.low <= one.high <= 1
        assert one.low == pytest.approx(1 - other.high, abs=1e-9)
        assert function(k, n, level=0.8).low >= one.low - 1e-12


@given(COUNTS)
@QUICK
def test_differences_mirror_and_hold_their_estimate(c: tuple[int, int, int, int]) -> None:
    a, b, x, y = c
    first, second = (a, a + b), (x, x + y)
    functions = (differences.newcombe_difference, differences.miettinen_nurminen, differences.agresti_caffo_difference)
    for function in functions:
        one, swapped = function(*first, *second), function(*second, *first)
        sound(one)
        assert -1 <= one.low <= one.high <= 1
        assert one.value == pytest.approx(-swapped.value, abs=1e-12)
        assert one.low == pytest.approx(-swapped.high, abs=1e-7)
    if min(first[1], second[1]) > 1:
        narrow = differences.score_difference(*first, *second, level=0.9)
        assert narrow.high - narrow.low <= functions[1](*first, *second).high - functions[1](*first, *second).low + 1e-9


@given(COUNTS)
@QUICK
def test_tables_mirror(c: tuple[int, int, int, int]) -> None:
    table = [[c[0], c[1]], [c[2], c[3]]]
    swapped, turned = table[::-1], [list(row) for row in zip(*table, strict=True)]
    p = fisher(table)
    probable(p)
    assert p.p == pytest.approx(fisher(swapped).p, rel=1e-9)
    assert p.p == pytest.approx(fisher(turned).p, rel=1e-9)
    for midp in (False, True):
        one, other = conditional_odds_ratio(table, midp=midp), conditional_odds_ratio(swapped, midp=midp)
        sound(one)
        if not math.isnan(one.value) and 0 < one.value < math.inf:
            assert one.value == pytest.approx(1 / other.value, rel=1e-6)
            assert one.low == pytest.approx(1 / other.high, rel=1e-6)
    for estimate in (ratios.odds_ratio(table), ratios.odds_ratio_score(table), ratios.relative_risk(table)):
        sound(estimate)
    sound(ratios.relative_risk_score(table))


@given(COUNTS)
@settings(max_examples=15, deadline=None)
def test_unconditional_tests(c: tuple[int, int, int, int]) -> None:
    table = [[c[0], c[1]], [c[2], c[3]]]
    boss = boschloo(table)
    probable(boss)
    assert boss.p <= fisher(table).p + 1e-9  # Boschloo is uniformly more powerful than Fisher
    assert boss.p == pytest.approx(boschloo(table[::-1]).p, rel=1e-6)
    assert barnard(table).p == pytest.approx(barnard(table[::-1]).p, rel=1e-6)
    transposed = [list(row) for row in zip(*table, strict=True)]
    if all(sum(row) for row in transposed):
        assert boss.p == pytest.approx(boschloo(transposed, groups="columns").p, rel=1e-9)


@given(COUNTS)
@settings(max_examples=25, deadline=None)
def test_rxc_agrees_with_fisher_on_two_by_two(c: tuple[int, int, int, int]) -> None:
    table = np.array([[c[0], c[1]], [c[2], c[3]]])
    found = rxc.fisher_rxc(table)
    if (table.sum(axis=0) == 0).any():
        assert math.isnan(found.p)
        assert found.note
    else:
        assert found.p == pytest.approx(fisher(table).p, rel=1e-7)


@given(LEVELS, LEVELS)
@QUICK
def test_rank_tests_are_symmetric_and_see_ranks_only(x: list[int], y: list[int]) -> None:
    one = wilcoxon_rank_sum(x, y)
    probable(one)
    swapped, stretched = wilcoxon_rank_sum(y, x), wilcoxon_rank_sum(np.exp(x), np.exp(y))
    assert one.statistic == len(x) * len(y) - swapped.statistic
    assert one.statistic == stretched.statistic
    if not math.isnan(one.p):
        assert one.p == pytest.approx(swapped.p, rel=1e-9)
        assert one.p == stretched.p
        assert van_der_waerden(x, y).p == pytest.approx(van_der_waerden(y, x).p, rel=1e-9)
    theta = roc.auc(x, y)
    assert theta == roc.auc(np.exp(x), np.exp(y))
    assert theta == pytest.approx(1 - roc.auc(y, x))
    assert one.statistic == pytest.approx(theta * len(x) * len(y))
    for function in (roc.auc_delong, roc.auc_logit_delong, roc.auc_newcombe):
        found = function(x, y)
        sound(found)
        assert 0 <= found.low <= found.high <= 1
        assert found.low == pytest.approx(1 - function(y, x).high, abs=1e-8)


@given(LEVELS, LEVELS)
@QUICK
def test_exact_distribution_is_that_of_every_split(x: list[int], y: list[int]) -> None:
    from itertools import combinations

    x, y = x[:5], y[:5]
    ranks = midranks(np.array([*x, *y], dtype=float))
    sums = np.array([sum(chosen) for chosen in combinations(ranks, len(x))])
    found = exact.split_distribution(ranks, len(x))
    assert found.probability.sum() == pytest.approx(1)
    seen = ranks[: len(x)].sum()
    brute = np.mean(np.abs(sums - sums.mean()) >= abs(seen - sums.mean()) - 1e-9)
    assert found.two_sided(seen) == pytest.approx(brute, abs=1e-12)


@given(st.lists(st.floats(-5, 5, allow_nan=False), min_size=2, max_size=9))
@QUICK
def test_off_grid_scores_give_the_same_distribution(scores: list[float]) -> None:
    from itertools import combinations

    values = np.round(np.array(scores), 6) + np.pi * 1e-7  # no decimal grid of 0.001 holds these
    size = len(values) // 2
    found = exact.split_distribution(values, size)
    sums = np.array([sum(chosen) for chosen in combinations(values, size)])
    for at in (np.min(sums), np.median(sums), np.max(sums)):
        assert found.at_least(float(at)) == pytest.approx(np.mean(sums >= at - 1e-8), abs=1e-9)
        below, above = exact.split_tails(values, size, float(at))
        assert above == pytest.approx(found.at_least(float(at)), abs=1e-9)
        assert below == pytest.approx(found.at_most(float(at)), abs=1e-9)


@given(FINE)
@QUICK
def test_sign_distribution_is_that_of_every_sign(values: list[float]) -> None:
    from itertools import product

    d = np.array(values[:8])
    ranks, positive = paired.signed_ranks(d, zeros="drop")
    if ranks.size == 0:
        assert paired.signed_rank(d).note
        return
    v = ranks[positive].sum()
    sums = np.array(
        [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in product((0, 1), repeat=ranks.size)]
    )
    brute = min(1.0, 2 * min(np.mean(sums >= v - 1e-9), np.mean(sums <= v + 1e-9)))
    assert paired.signed_rank(d).p == pytest.approx(brute, abs=1e-12)
    assert paired.signed_rank(-d).p == pytest.approx(brute, abs=1e-12)
    assert paired.sign_flip(d).p == pytest.approx(paired.sign_flip(-d).p, rel=1e-9)
    found, mirrored = paired.hodges_lehmann_paired(d), paired.hodges_lehmann_paired(-d)
    sound(found)
    steps, _ = paired._walsh_steps(d)
    for i, point in enumerate(steps.points[:: max(1, steps.points.size // 7)]):
        moved = np.round(d - point, 9)
        ranked = midranks(np.abs(moved))
        assert steps.at[i * max(1, steps.points.size // 7)] == pytest.approx(ranked[moved > 0].sum())
    assert found.value == pytest.approx(-mirrored.value, abs=1e-9)


@given(FINE, FINE)
@QUICK
def test_shift_moves_with_the_data(x: list[float], y: list[float]) -> None:
    one, two = np.array(x), np.array(y)
    found = shift.hodges_lehmann(one, two)
    sound(found)
    moved, mirrored = shift.hodges_lehmann(one + 3, two), shift.hodges_lehmann(two, one)
    assert moved.value == pytest.approx(found.value + 3, abs=1e-8)
    assert mirrored.value == pytest.approx(-found.value, abs=1e-9)
    probable(mean_permutation(one, two))
    probable(distributions.kolmogorov_smirnov(one, two))
    probable(brunner_munzel(one, two))


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 1)), min_size=2, max_size=15))
@QUICK
def test_survival_is_sound(rows: list[tuple[int, bool, int]]) -> None:
    time, event, arm = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    for transform in survival.TRANSFORMS:
        curve = survival.kaplan_meier(time, event, transform=transform)
        assert (np.diff(curve.survival) <= 1e-12).all()
        known = ~np.isnan(curve.low)
        assert (curve.low[known] <= curve.survival[known] + 1e-12).all()
        assert (curve.survival[known] <= curve.high[known] + 1e-12).all()
        sound(curve.quantile(0.5))
    sound(survival.follow_up(time, event))
    test = survival.log_rank(time, event, arm)
    probable(test)
    other = survival.log_rank(time * 7, event, 1 - arm)
    if not math.isnan(test.p):
        assert test.p == pytest.approx(other.p, rel=1e-7)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=3, max_size=20))
@QUICK
def test_trend_tests_agree_on_direction(rows: list[tuple[int, int]]) -> None:
    x, g = (np.array(column) for column in zip(*rows, strict=True))
    tests = (jonckheere(x, g), kendall(x, g), spearman(x, g), score_test(x, g > 1))
    for test in tests:
        probable(test)
    if not math.isnan(tests[0].p):
        assert tests[0].p == pytest.approx(tests[1].p, rel=1e-6)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=12))
@QUICK
def test_adjusted_p_values_keep_order_and_grow(raw: list[float]) -> None:
    for method in METHODS:
        adjusted = adjust(raw, method=method)
        assert (adjusted >= np.array(raw) - 1e-12).all()
        assert (adjusted <= 1).all()
        order = np.argsort(raw, kind="stable")
        assert (np.diff(adjusted[order]) >= -1e-12).all()
        shuffled = adjust(raw[::-1], method=method)[::-1]
        assert shuffled == pytest.approx(adjusted)
    assert (adjust(raw, method="holm") <= adjust(raw, method="bonferroni") + 1e-12).all()
    assert (adjust(raw, method="hochberg") <= adjust(raw, method="holm") + 1e-12).all()
