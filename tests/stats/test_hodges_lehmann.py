"""Exact limits of the Hodges-Lehmann estimates: finite where R's are, and those of a brute-force reading."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.stats.paired import hodges_lehmann_paired, signed_rank
from biomarkers.stats.shift import hodges_lehmann
from tests.oracles.hodges_lehmann import one_sample, two_samples


def _texts(rng: np.random.Generator, n: int) -> list[str]:
    decimals = int(rng.integers(0, 3))
    reach = int(rng.choice([3, 12, 40])) * 10**decimals
    return [f"{value / 10**decimals:.{decimals}f}" for value in rng.integers(-reach // 2, reach, n)]


def _floats(texts: list[str]) -> list[float]:
    return [float(text) for text in texts]


def test_limits_are_finite_where_r_has_them() -> None:
    # R exactRankTests: wilcox.exact(c(-10, -6, 37, 6, 2, -10, 1), conf.int = TRUE)
    found = hodges_lehmann_paired([-10, -6, 37, 6, 2, -10, 1])
    assert (found.low, found.high) == (-10.0, 19.5)
    assert found.note == ""
    assert one_sample(["-10", "-6", "37", "6", "2", "-10", "1"]) == (-10.0, 19.5)


@pytest.mark.parametrize("seed", range(40))
def test_limits_of_one_sample_are_those_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = _texts(rng, int(rng.integers(6, 9)))
    found = hodges_lehmann_paired(_floats(texts))
    np.testing.assert_allclose((found.low, found.high), one_sample(texts), atol=1e-9, err_msg=str(texts))


@pytest.mark.parametrize("seed", range(40))
def test_limits_of_two_samples_are_those_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    x, y = _texts(rng, int(rng.integers(4, 6))), _texts(rng, int(rng.integers(4, 7)))
    found = hodges_lehmann(_floats(x), _floats(y))
    np.testing.assert_allclose((found.low, found.high), two_samples(x, y), atol=1e-9, err_msg=f"{x} {y}")


@pytest.mark.parametrize("zeros", [1, 3, 6])
def test_zeros_keep_limits_finite(zeros: int) -> None:
    texts = ["0"] * zeros + ["1.5", "2", "-0.5", "3", "4.5"]
    found = hodges_lehmann_paired(_floats(texts))
    assert np.isfinite([found.low, found.high]).all()
    np.testing.assert_allclose((found.low, found.high), one_sample(texts))


def test_too_few_values_still_bound_nothing() -> None:
    assert signed_rank([1, 2, 3, 4, 5]).p > 0.05, "five pairs cannot reject, whatever they are"
    few = hodges_lehmann_paired([1, 2, 3, 4, 5])
    assert np.isinf([few.low, few.high]).all()
    assert "5 pairs cannot bound the change" in few.note
    apart = hodges_lehmann([1, 2, 3], [4, 5, 6])
    assert np.isinf([apart.low, apart.high]).all()
    assert "cannot bound the shift" in apart.note
