"""Exact sums: those of fsum, in any order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biomarkers.score.sums import exact_sum

_SHAPES = st.integers(0, 60)


@given(arrays(np.float32, _SHAPES, elements=st.floats(-4, 4, width=32)))
def test_measured_intensities_add_up_as_fsum_has_it(values: np.ndarray) -> None:
    assert exact_sum(values) == math.fsum(values.tolist())


@given(arrays(np.float64, _SHAPES, elements=st.floats(-1e12, 1e12)))
def test_other_numbers_do_too(values: np.ndarray) -> None:
    assert exact_sum(values) == math.fsum(values.tolist())


def test_of_many_cells_the_order_does_not_tell() -> None:
    values = np.random.default_rng(0).lognormal(-2, 1, 100_000).astype(np.float32).astype(np.float64)
    assert exact_sum(values) == exact_sum(values[::-1]) == math.fsum(values.tolist())


def test_what_is_not_a_number_stays_so() -> None:
    assert math.isnan(exact_sum(np.array([0.5, np.nan])))
    assert exact_sum(np.array([0.5, np.inf])) == math.inf
    with pytest.raises(ValueError, match="inf"):
        exact_sum(np.array([-np.inf, np.inf]))
