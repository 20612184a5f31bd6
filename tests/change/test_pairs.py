"""Properties of pairs: units, logs, complements and limits; and very many of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.change.measure import measure_change
from biomarkers.change.pairs import add_scaled, make_pairs, scales_of
from biomarkers.change.tables import samples_of_table


def _table(before: list[float], after: list[float]) -> pd.DataFrame:
    n = len(before)
    one = pd.DataFrame({"patient": [f"P{i}" for i in range(n)], "timepoint": "baseline", "x": before})
    return pd.concat([one, one.assign(timepoint="on_treatment", x=after)], ignore_index=True)


@pytest.mark.parametrize("spread", [1.0, 1e6])
def test_many_pairs_are_no_obstacle(spread: float) -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(0, spread, 900)
    found = measure_change(
        _table(list(before), list(before + rng.normal(0.5 * spread, spread, 900))), levels=["x"], scale="log2"
    )
    rows = found.statistics.set_index("statistic")
    assert found.table["verdict"].iloc[0] == "increased"
    method = str(rows.loc["sign flip", "method"])
    assert ("to 2 decimals" in method) if spread == 1 else ("too many pairs" in str(rows.loc["sign flip", "note"]))


def _pairs(
    before: list[float] | np.ndarray, after: list[float] | np.ndarray, *, scale: str = "linear",
    offset: float | None = None, limit: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Pairs alone, without the tests that a whole analysis runs."""
    samples = samples_of_table(
        _table(list(before), list(after)), levels=["x"], patient="patient", timepoint="timepoint", response=None,
        scale=scale, lloq={} if limit is None else {"x": limit}, where="t",
    )  # fmt: skip
    rows = add_scaled(samples, scales_of(samples, offset=offset))
    return make_pairs(rows, baseline="baseline", on_treatment="on_treatment")


LEVELS = st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(0.01, 1e4)), min_size=6, max_size=12)


@settings(max_examples=15, deadline=None)
@given(LEVELS, st.sampled_from([0.001, 0.5, 7.0, 1024.0]))
def test_a_change_of_unit_changes_nothing_without_an_offset(levels: list[tuple[float, float]], factor: float) -> None:
    """Ratios have no unit; with an offset the offset must change its unit too."""
    before, after = np.array([one for one, _ in levels]), np.array([two for _, two in levels])
    plain = _pairs(before, after, offset=0.5)["change"]
    np.testing.assert_allclose(_pairs(factor * before, factor * after, offset=0.5 * factor)["change"], plain, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(LEVELS, st.floats(-20, 20))
def test_logs_and_levels_agree_and_shifts_of_logs_cancel(levels: list[tuple[float, float]], shift: float) -> None:
    before, after = np.array([one for one, _ in levels]), np.array([two for _, two in levels])
    linear = _pairs(before, after, offset=0.0)["change"]
    logs = _pairs(np.log2(before) + shift, np.log2(after) + shift, scale="log2")["change"]
    np.testing.assert_allclose(logs, linear, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=6, max_size=12))
def test_the_negative_share_changes_by_the_opposite(levels: list[tuple[float, float]]) -> None:
    before, after = np.array([one for one, _ in levels]), np.array([two for _, two in levels])
    positive = _pairs(before, after, scale="percent")["change"]
    negative = _pairs(100 - before, 100 - after, scale="percent")["change"]
    np.testing.assert_allclose(negative, -positive, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(LEVELS, st.floats(0.01, 1e4))
def test_a_lower_limit_never_invents_change(levels: list[tuple[float, float]], limit: float) -> None:
    """Censoring shrinks changes, and a pair below the limit twice has none."""
    before, after = np.array([one for one, _ in levels]), np.array([two for _, two in levels])
    free = _pairs(before, after)["change"]
    held = _pairs(before, after, limit=limit)
    assert (held["change"].abs() <= free.abs() + 1e-12).all()
    both = (before < limit) & (after < limit)
    assert (held["change"][both] == 0).all()
    assert (held["bound"] == "both below limit").to_numpy().tolist() == both.tolist()
