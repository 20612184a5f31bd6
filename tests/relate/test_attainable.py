"""Levels with too many ties cannot show independence, whoever had responded."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biomarkers import relate_counts
from biomarkers.relate.precision import attainable_auc
from biomarkers.stats.roc import auc_delong


def test_one_negative_patient_of_sixteen_shows_nothing():
    """PD-L1 of the published trial: 6 of 15 positive patients responded, 0 of 1 negative."""
    result = relate_counts(6, 15, 0, 1, biomarker="PD-L1")
    row = result.verdicts.iloc[0]
    assert row["verdict"] == "inconclusive"
    assert "equal levels" in row["reason"]
    assert row["auc_high90"] < 0.65, "the interval alone would have called it independent"
    assert pd.isna(row["n_needed"]), "more such patients would not help"
    assert "equal levels" in result.explain()
    assert "None of 1 negative patients responded" in result.explain()


def test_two_by_two_by_hand():
    positive = np.r_[np.ones(15), 0]
    low, high = attainable_auc(positive, 6)
    assert high == pytest.approx(0.5 + 0.5 / 10)  # the negative patient among the ten others
    assert low == pytest.approx(0.5 - 0.5 / 6)  # ... among the six responders


def test_without_ties_everything_is_attainable():
    assert attainable_auc(np.arange(52), 19) == (0, 1)


@given(st.lists(st.integers(0, 4), min_size=4, max_size=30), st.data())
def test_no_allocation_of_responses_leaves_the_range(levels, data):
    n = data.draw(st.integers(1, len(levels) - 1))
    order = np.array(data.draw(st.permutations(range(len(levels)))))
    x = np.array(levels, dtype=float)
    low, high = attainable_auc(x, n)
    assert low <= 0.5 <= high
    if n >= 2 and len(levels) - n >= 2:
        value = auc_delong(x[order[:n]], x[order[n:]]).value
        assert low - 1e-12 <= value <= high + 1e-12
