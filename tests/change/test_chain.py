"""The chain of components: states, conversions, and who lacks which link."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.change.chain import Component, chain_table, component_states, conversions, parse_component
from biomarkers.core.errors import UsageError

POINTS = ("baseline", "c3d1")


def _rows(cells: dict[tuple[str, str, str], float]) -> pd.DataFrame:
    made = [(patient, name, point, level, "PR") for (patient, name, point), level in cells.items()]
    return pd.DataFrame(made, columns=["patient", "biomarker", "timepoint", "level", "response"])


LINKS = [Component("PD-L1", 1, name="PD-L1 present"), Component("Treg:CTL", 1, "<")]
ROWS = _rows(
    {
        ("P1", "PD-L1", "baseline"): 0.5,
        ("P1", "PD-L1", "c3d1"): 1.0,
        ("P1", "Treg:CTL", "baseline"): 0.4,
        ("P1", "Treg:CTL", "c3d1"): 1.0,
        ("P2", "PD-L1", "baseline"): 3.0,
        ("P2", "Treg:CTL", "baseline"): 0.2,
    }
)


def test_states_have_every_combination() -> None:
    states = component_states(ROWS, LINKS, points=POINTS)
    assert len(states) == 2 * 2 * 2
    found = states.set_index(["patient", "component", "timepoint"])["state"]
    assert found["P1", "PD-L1 present", "baseline"] == "negative"
    assert found["P1", "PD-L1 present", "c3d1"] == "positive"  # the cut-off itself counts
    assert found["P1", "Treg:CTL < 1", "c3d1"] == "negative"  # a ratio of 1 is not below 1
    assert found["P2", "PD-L1 present", "c3d1"] == "not evaluable"


def test_chain_names_the_first_missing_link() -> None:
    table = chain_table(component_states(ROWS, LINKS, points=POINTS)).set_index(["patient", "timepoint"])
    assert table.loc[("P1", "baseline"), "chain"] == "lacks PD-L1 present"
    assert table.loc[("P1", "c3d1"), "lacking"] == "Treg:CTL < 1"
    assert table.loc[("P2", "baseline"), "chain"] == "complete"
    assert ("P2", "c3d1") not in table.index


def test_conversions_with_mcnemar() -> None:
    # 6 of 10 negatives convert, none of 5 positives is lost: p = 2 / 2**6
    levels = {(f"P{i}", "x", point): value for i in range(15) for point, value in zip(POINTS, _xy(i), strict=True)}
    levels[("P99", "x", "baseline")] = 1.0
    states = component_states(_rows(levels), [Component("x", 1)], points=POINTS)
    row = conversions(states, points=POINTS).iloc[0]
    assert (row["stays positive"], row["becomes positive"], row["becomes negative"], row["stays negative"]) == (
        5,
        6,
        0,
        4,
    )
    assert row["not_evaluable"] == 1
    assert row["p_mcnemar"] == pytest.approx(2 / 2**6)
    assert row["share_change"] == pytest.approx(6 / 15)
    assert row["ci_low"] < 6 / 15 < row["ci_high"]


def _xy(i: int) -> tuple[float, float]:
    return (2.0, 2.0) if i < 5 else ((0.0, 2.0) if i < 11 else (0.0, 0.0))


def test_no_conversion_is_not_testable() -> None:
    levels = {("P1", "x", "baseline"): 2.0, ("P1", "x", "c3d1"): 2.0}
    row = conversions(component_states(_rows(levels), [Component("x", 1)], points=POINTS), points=POINTS).iloc[0]
    assert np.isnan(row["p_mcnemar"])
    assert "no patient converted" in row["note"]


@pytest.mark.parametrize(
    ("text", "level", "sign", "cutoff"),
    [("PD-L1 tps=1", "PD-L1 tps", ">=", 1), ("x >= 50", "x", ">=", 50), ("Treg:CTL<1.5", "Treg:CTL", "<", 1.5)],
)
def test_cut_offs_as_text(text: str, level: str, sign: str, cutoff: float) -> None:
    found = parse_component(text)
    assert (found.level, found.sign, found.cutoff) == (level, sign, cutoff)


def test_bad_cut_offs() -> None:
    for text in ("x", "x=", "=1", "x=1.2.3"):
        with pytest.raises(UsageError, match="a cut-off is not understood"):
            parse_component(text)
    with pytest.raises(UsageError, match="share a name"):
        component_states(ROWS, [Component("PD-L1", 1), Component("PD-L1", 1)], points=POINTS)
