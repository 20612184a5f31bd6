"""Regression to the mean at a baseline cut-off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import biomarkers
from biomarkers.change.result import Change
from biomarkers.core.errors import UsageError


def measured(n: int = 400, *, r: float = 0.6, shift: float = 0.0) -> Change:
    rng = np.random.default_rng(2)
    own = np.sqrt(r) * rng.normal(size=n)
    rows = [
        (f"P{i}", point, own[i] + np.sqrt(1 - r) * rng.normal() + by)
        for i in range(n)
        for point, by in (("baseline", 0.0), ("on_treatment", shift))
    ]
    table = pd.DataFrame(rows, columns=["patient", "timepoint", "x"])
    return biomarkers.measure_change(table, levels=["x"], scale="log2")


def test_nothing_happened_and_the_expected_change_is_what_is_seen() -> None:
    found = biomarkers.regression_to_the_mean(measured(), "x", cut=0.5, reliability=0.6).set_index("group")
    above = found.loc["at or above"]
    assert above["mean_change"] < -0.25  # what would pass for an effect
    assert above["beyond_low"] < 0 < above["beyond_high"]
    assert found.loc["below", "mean_change"] > 0
    by_hand = measured().pairs
    start = by_hand["baseline_scaled"]
    assert above["expected"] == pytest.approx(-0.4 * (start[start >= 0.5].mean() - start.mean()), abs=1e-12)
    assert found.loc["all", "expected"] == pytest.approx(0, abs=1e-12)


def test_a_true_change_stays_and_a_perfect_measurement_explains_nothing() -> None:
    found = biomarkers.regression_to_the_mean(measured(shift=1.0), "x", cut=0.5, reliability=0.6).set_index("group")
    assert found.loc["at or above", "beyond_low"] > 0.5
    perfect = biomarkers.regression_to_the_mean(measured(), "x", cut=0.5, reliability=1)
    assert (perfect["expected"].abs() < 1e-12).all()


def test_wrong_questions_are_refused_and_small_groups_say_so() -> None:
    change = measured(20)
    with pytest.raises(UsageError, match="out of range"):
        biomarkers.regression_to_the_mean(change, "x", cut=0, reliability=85)
    with pytest.raises(UsageError, match="no such level"):
        biomarkers.regression_to_the_mean(change, "y", cut=0, reliability=0.6)
    assert "no interval" in biomarkers.regression_to_the_mean(change, "x", cut=99, reliability=0.6)["note"].iloc[0]
