"""Permutation kernels against their plain definitions; p-values that depend on content alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.core.errors import DataError
from biomarkers.stats.association import hsic
from biomarkers.stats.kernels import permuted_products, two_sample, two_sample_reference
from biomarkers.stats.permutation import joint_permutation, prepare
from biomarkers.stats.permutation_association import (
    association_permutation,
    distance_covariance_permutation,
    hsic_permutation,
    jonckheere_permutation,
)
from biomarkers.stats.permutation_marginal import marginal_permutation


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=6, max_size=25),
    st.integers(0, 2**32 - 1),
)
def test_kernel_is_its_reference(values: list[int], seed: int) -> None:
    level = np.array(values, dtype=float)[:, None]
    first = np.random.default_rng(seed).random(len(values)) < 0.4
    ready = prepare(level)
    studentised, energy = np.empty((1, 1)), np.empty((1, 1))
    labels = first[None, :].astype(np.uint8)
    two_sample(labels, ready.order, ready.last, ready.position, ready.length, studentised, energy)
    expected = two_sample_reference(level[:, 0], first)
    np.testing.assert_allclose((studentised[0, 0], energy[0, 0]), expected, rtol=1e-9, atol=1e-12)


def test_product_kernel_is_numpy() -> None:
    generator = np.random.default_rng(4)
    one, two = (m + m.T for m in (generator.normal(size=(9, 9)), generator.normal(size=(9, 9))))
    orders = np.stack([generator.permutation(9) for _ in range(5)]).astype(np.int32)
    found = np.empty(5)
    permuted_products(one, two, orders, found)
    np.testing.assert_allclose(found, [(one * two[np.ix_(o, o)]).sum() for o in orders])


def test_small_data_agree_with_all_relabellings() -> None:
    level, first = np.array([0.1, 0.4, 0.5, 0.9, 1.3, 2.0, 2.2, 3.1]), np.array([0, 0, 1, 0, 0, 1, 1, 1], dtype=bool)
    seen = two_sample_reference(level, first)
    every = [
        two_sample_reference(level, np.isin(np.arange(8), chosen)) for chosen in itertools.combinations(range(8), 4)
    ]
    exact = np.mean([abs(t) >= abs(seen[0]) - 1e-9 for t, _ in every])
    exact_energy = np.mean([e >= seen[1] - 1e-9 for _, e in every])
    found = marginal_permutation(level[:, None], first, n_permutations=20_000, rng=1)
    assert found.p[0] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))
    assert found.p_energy[0] == pytest.approx(exact_energy, abs=4 * np.sqrt(0.25 / 20_000))


def _content(found: object, order: np.ndarray | None = None) -> np.ndarray:
    values = [found.p, found.p_energy]  # type: ignore[attr-defined]
    if hasattr(found, "p_adjusted"):
        values.append(found.p_adjusted)
    return np.stack(values)[:, slice(None) if order is None else order]


@pytest.mark.parametrize("engine", [marginal_permutation, joint_permutation])
def test_p_depends_on_content_alone(engine: object) -> None:
    generator = np.random.default_rng(5)
    levels = np.round(generator.normal(size=(30, 4)), 1)
    levels[generator.random((30, 4)) < 0.1] = np.nan
    first = np.arange(30) < 11
    run = lambda x, g: engine(x, g, n_permutations=499, rng=2)  # type: ignore[operator]  # noqa: E731
    base = run(levels, first)
    rows, columns = generator.permutation(30), np.array([2, 0, 3, 1])
    moved = run(levels[rows][:, columns], first[rows])
    np.testing.assert_array_equal(_content(moved, np.argsort(columns)), _content(base))
    np.testing.assert_array_equal(_content(run(np.exp(levels), first)), _content(base))
    np.testing.assert_array_equal(_content(run(levels, ~first)), _content(base))
    doubled = run(np.concatenate([levels, levels[:, :1]], axis=1), first)
    np.testing.assert_array_equal(_content(doubled)[:, :4], _content(base))
    np.testing.assert_array_equal(_content(doubled)[:, 4], _content(base)[:, 0])


def test_a_marker_alone_and_in_company_has_one_p() -> None:
    generator = np.random.default_rng(6)
    levels, first = generator.normal(size=(25, 5)), np.arange(25) < 9
    alone = marginal_permutation(levels[:, [3]], first, n_permutations=499, rng=0)
    assert alone.p[0] == marginal_permutation(levels, first, n_permutations=499, rng=0).p[3]


def test_strata_hold_their_labels() -> None:
    """A level that follows the stratum only, not the response within it, is not found within strata."""
    strata = np.repeat([0, 1], 20)
    generator = np.random.default_rng(8)
    level = strata * 5 + generator.normal(size=40)
    first = np.concatenate([np.arange(20) < 4, np.arange(20) < 16])
    loose = marginal_permutation(level[:, None], first, n_permutations=999, rng=0)
    held = marginal_permutation(level[:, None], first, strata=strata, n_permutations=999, rng=0)
    assert loose.p[0] < 0.01
    assert held.p[0] > 0.05


def test_untestable_markers_are_nan() -> None:
    first = np.array([1, 1, 0, 0, 0], dtype=bool)
    levels = np.array([[1, 1, np.nan], [1, 2, 4], [1, 3, 5], [1, 4, 6], [1, 5, 7]], dtype=float)
    found = marginal_permutation(levels, first, n_permutations=99, rng=0)
    assert np.isnan(found.p[[0, 2]]).all()
    assert 0 < found.p[1] <= 1
    with pytest.raises(DataError, match="patients x markers"):
        marginal_permutation(levels[0], first)


def test_order_of_patients_is_nothing_to_association_tests() -> None:
    generator = np.random.default_rng(9)
    x, y = np.round(generator.normal(size=24), 1), generator.integers(0, 4, 24).astype(float)
    rows = generator.permutation(24)
    for test in (jonckheere_permutation, association_permutation, distance_covariance_permutation):
        assert test(x, y, n_permutations=299).p == test(x[rows], y[rows], n_permutations=299).p


@pytest.mark.parametrize("diagonal", ["zero", "kept"])
def test_kernel_criterion_is_the_enumeration_of_all_orders(diagonal: str) -> None:
    generator = np.random.default_rng(8)
    x, y = np.round(generator.normal(size=7), 1), generator.normal(size=7)
    seen = hsic(x, y, diagonal=diagonal)
    every = [hsic(x, y[list(order)], diagonal=diagonal) for order in itertools.permutations(range(7))]
    exact = np.mean(np.array(every) >= seen - 1e-9)
    found = hsic_permutation(x, y, diagonal=diagonal, n_permutations=19_999)
    assert found.statistic == pytest.approx(seen)
    assert abs(found.p - exact) < 4 * np.sqrt(exact * (1 - exact) / 19_999)


def test_kernel_criterion_is_its_definition() -> None:
    generator = np.random.default_rng(9)
    x = generator.normal(size=12)
    y = x**2 + generator.normal(size=12) / 10
    n, off = 12, ~np.eye(12, dtype=bool)
    apart = np.abs(x[:, None] - x)
    width = np.median(apart[off])
    k, m = (np.exp(-((v[:, None] - v) ** 2) / (2 * width**2)) * off for v in (x, y))

    def unbiased(a: np.ndarray, b: np.ndarray) -> float:  # Song 2012, equation 5
        total = np.trace(a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 * (a @ b).sum() / (n - 2)
        return float(total / (n * (n - 3)))

    expected = unbiased(k, m) / np.sqrt(unbiased(k, k) * unbiased(m, m))
    assert hsic(x, y) == pytest.approx(expected)
    assert abs(np.mean([hsic(x, generator.permutation(y)) for _ in range(400)])) < 0.04 < hsic(x, y)  # no bias
    assert hsic_permutation(x, np.ones(12)).note
