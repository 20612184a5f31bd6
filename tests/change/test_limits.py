"""Lower limits: at a cut-off, in counts, in means; equal changes are equal; what a level is when nobody said so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.change.chain import Component
from biomarkers.change.measure import measure_change
from biomarkers.change.pairs import add_scaled, make_pairs, scales_of
from biomarkers.change.result import Change
from biomarkers.change.tables import samples_of_table
from biomarkers.change.told import told_kind
from biomarkers.cohort.tables import read_table
from biomarkers.core.errors import DataError

TURNS = ["stays positive", "becomes positive", "becomes negative", "stays negative", "not_evaluable"]


def _table(before: list[object], after: list[object], **columns: list[object]) -> pd.DataFrame:
    n = len(before)
    one = pd.DataFrame({"patient": [f"P{i}" for i in range(n)], "timepoint": "baseline", "x": before, **columns})
    parts = [one.astype({"x": object}), one.assign(timepoint="on_treatment", x=pd.Series(after, dtype=object))]
    return pd.concat(parts, ignore_index=True)


def _measure(table: pd.DataFrame, **options: object) -> Change:
    return measure_change(table, levels=["x"], **options)  # type: ignore[arg-type]


def _turns(found: Change) -> list[int]:
    return [int(found.conversions[name].iloc[0]) for name in TURNS]


# -- limits and cut-offs ---


def test_below_the_limit_is_negative_at_a_cut_from_it_up(shared_data: Path) -> None:
    table = read_table(shared_data / "faults" / "stats" / "lloq_cutoff.csv")
    found = measure_change(table, levels=["TPS"], lloq={"TPS": 1.0}, components=["TPS=1"])
    assert _turns(found) == [4, 1, 0, 5, 0]
    five = table.assign(TPS=table["TPS"].replace("<1", "<5"))
    open_ = measure_change(five, levels=["TPS"], lloq={"TPS": 5.0}, components=["TPS=1"])
    assert _turns(open_) == [0, 0, 0, 0, 10], "3 and <5 both lie below the limit of 5"
    assert "10 below a limit that is above the cut-off" in open_.conversions["note"].iloc[0]


@pytest.mark.parametrize(
    ("limit", "component", "state"),
    [
        (1.0, "x=1", "negative"),
        (1.0, "x=10", "negative"),
        (5.0, "x=1", "not evaluable"),
        (1.0, "x<1", "positive"),
        (5.0, "x<1", "not evaluable"),
        (0.5, "x<1", "positive"),
    ],
)
def test_state_of_a_level_below_its_limit(limit: float, component: str, state: str) -> None:
    low = f"<{limit:g}"
    found = _measure(_table([low, 20.0], [low, 30.0]), lloq={"x": limit}, components=[component])
    states = found.states.set_index(["patient", "timepoint"])
    assert states.loc[("P0", "baseline"), "state"] == state
    assert bool(states.loc[("P0", "baseline"), "reason"]) == (state == "not evaluable")
    exact = "positive" if ">=" in component or "=" in component else "negative"
    assert states.loc[("P1", "baseline"), "state"] == exact


def test_a_flag_of_the_limit_counts_as_below_it() -> None:
    table = _table([5.0, 5.0], [9.0, 9.0], low=["yes", "no"])
    table.loc[2:, "low"] = "no"
    found = _measure(table, censored={"x": "low"}, components=["x=5", "x=1"])
    states = found.states[found.states["timepoint"] == "baseline"].set_index(["patient", "component"])["state"]
    assert states["P0", "x >= 5"] == "negative"
    assert states["P1", "x >= 5"] == "positive"
    assert states["P0", "x >= 1"] == "not evaluable"


def test_a_mean_of_samples_some_below_the_limit_lies_between() -> None:
    table = pd.concat([_table(["<4"], [9.0]), _table([8.0], [9.0])], ignore_index=True)
    found = _measure(table, lloq={"x": 4.0}, several="mean", scale="linear", components=["x=3", "x=5", "x=7"])
    states = found.states[found.states["timepoint"] == "baseline"].set_index("component")["state"]
    # the mean of (0 to 4) and 8 is 4 to 6
    assert states.to_dict() == {"x >= 3": "positive", "x >= 5": "not evaluable", "x >= 7": "negative"}
    assert found.pairs["bound"].tolist() == ["at least"]


@given(st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0, 0.999))
@settings(max_examples=200, deadline=None)
def test_a_state_never_contradicts_any_value_below_the_limit(limit: float, cutoff: float, share: float) -> None:
    for sign in (">=", "<"):
        component = Component("x", cutoff, sign)  # type: ignore[arg-type]
        state = component.state(0.0, limit, below=True)
        true = component.state(share * limit, share * limit, below=False)
        assert state in (true, "not evaluable")
        assert (state == "not evaluable") == (limit > cutoff)


def test_counts_below_the_limit_stand_at_it(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "faults" / "stats" / "lloq_counts.csv")
    counts = {"dens": ("pos", "area")}
    found = measure_change(table, levels=["dens"], counts=counts, lloq={"dens": 15.0}, scale="linear")
    assert set(found.pairs["bound"]) == {"at least"}
    # (30 x 2 + 1/2) / (15 x 2 + 1/2), not (60 + 1/2) / (1 + 1/2)
    np.testing.assert_allclose(found.pairs["change"], np.log2(60.5 / 30.5), rtol=1e-9)
    assert found.table["in_words"].iloc[0] == "1.98-fold"


def _pairs(table: pd.DataFrame, scale: str, lloq: dict[str, float]) -> pd.DataFrame:
    """Pairs alone, without the tests that a whole analysis runs."""
    samples = samples_of_table(
        table, levels=["x"], patient="patient", timepoint="timepoint", response=None, scale=scale, lloq=lloq,
        counts={"x": ("yes", "all")}, where="t",
    )  # fmt: skip
    rows = add_scaled(samples, scales_of(samples, offset=None))
    return make_pairs(rows, baseline="baseline", on_treatment="on_treatment")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 80)] * 2, *[st.integers(1, 8)] * 2), min_size=2, max_size=8),
    st.sampled_from([2.0, 15.0, 40.0]),
    st.sampled_from(["linear", "percent"]),
)  # fmt: skip
def test_a_limit_never_enlarges_a_change_of_counts(
    rows: list[tuple[int, int, int, int]], limit: float, scale: str
) -> None:
    unit = 100.0 if scale == "percent" else 1.0
    parts = []
    for point, yes, size in (("baseline", 0, 2), ("on_treatment", 1, 3)):
        all_ = [row[size] * (100 if scale == "percent" else 1) for row in rows]
        counted = [row[yes] for row in rows]
        levels = unit * np.array(counted) / np.array(all_)
        ids = [f"P{i}" for i in range(len(rows))]
        parts.append(pd.DataFrame({"patient": ids, "timepoint": point, "x": levels, "yes": counted, "all": all_}))
    table = pd.concat(parts, ignore_index=True)
    free, held = (_pairs(table, scale, lloq) for lloq in ({}, {"x": limit}))
    assert (np.abs(held["change"]) <= np.abs(free["change"]) + 1e-9).all()


def test_a_limit_above_the_other_level_tells_no_direction() -> None:
    table = _table([10.0, 10.0], [5.0, 20.0], low=["yes", "yes"])
    table.loc[2:, "low"] = "no"
    found = _measure(table, censored={"x": "low"}, scale="linear", offset=0.0)
    assert found.pairs["bound"].tolist() == ["direction unknown", "at least"]
    np.testing.assert_allclose(found.pairs["change"], [0.0, 1.0])
    assert "1 changes have no known direction" in found.statistics["note"].iloc[0]


# -- ties ---


def test_equal_decimal_changes_are_ties_by_response(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "faults" / "stats" / "float_ties_by_response.csv")
    found = measure_change(table, levels=["log2"], scale="log2", response="response").table.iloc[0]
    tens = table.assign(log2=(10 * table["log2"]).round())
    whole = measure_change(tens, levels=["log2"], scale="log2", response="response").table.iloc[0]
    assert found["p_by_response"] == pytest.approx(0.1143, abs=5e-5)
    assert found["p_by_response"] == pytest.approx(whole["p_by_response"], rel=1e-12)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([10.0, 100.0]), st.sampled_from([0.0, 5.0, 700.0]))
def test_decimals_and_whole_numbers_give_the_same_tests(seed: int, unit: float, base: float) -> None:
    rng = np.random.default_rng(seed)
    before, step = rng.integers(0, 60, 10) + base * unit, rng.integers(-3, 5, 10)
    words = ["PR"] * 4 + ["SD"] * 6
    whole = _measure(_table(list(before), list(before + step), BOR=words), scale="log2", response="BOR").table.iloc[0]
    tenths = _measure(
        _table(list(before / unit), list((before + step) / unit), BOR=words), scale="log2", response="BOR"
    ).table.iloc[0]
    for name in ("p", "p_pratt", "p_by_response", "rose", "fell", "unchanged"):
        assert tenths[name] == pytest.approx(whole[name], rel=1e-9, nan_ok=True), name


# -- what a level is ---


@pytest.mark.parametrize("name", ["CD274", "x", "TPS"])
def test_logs_are_told_from_values_whatever_the_name(name: str) -> None:
    rng = np.random.default_rng(6)
    before = np.round(rng.uniform(4, 8, 20), 2)
    table = _table(list(before), list(before + 0.72)).rename(columns={"x": name})
    found = measure_change(table, levels=[name])
    assert found.table["median_change"].iloc[0] == pytest.approx(0.72)
    assert found.settings["scale"][name] == "difference of log2 levels as given"
    assert found.settings["scale_told_from_values"] == [name]
    assert any("no scale was stated and it is taken as log2" in note for note in found.notes)
    stated = measure_change(table, levels=[name], scale="linear")
    assert stated.table["median_change"].iloc[0] < 0.3
    assert any(f"--scale '{name}=" in note for note in stated.notes), (
        "what looks like logs and is called linear is asked"
    )
    assert not any("--scale" in note for note in measure_change(table, levels=[name], scale="log2").notes)


@pytest.mark.parametrize(
    ("levels", "kind"),
    [
        ([4.2, 5.1, 6.3, 7.7, 8.9], "log2"),
        ([0.0, 3.3, 5.2, 6.1, 9.4], "log2"),
        ([0.4, 35.0, 812.0], "linear"),
        ([0.1, 0.4, 0.7], "linear"),
        ([1, 2, 4, 8], "linear"),
        ([0.3, 0.6, 1.1, 1.9, 14.2], "linear"),
        # on either side of 0.45 of the maximum, and of 25
        ([0.5, 4.6, 10.0], "log2"),
        ([0.5, 4.4, 10.0], "linear"),
        ([8.5, 20.3, 24.9], "log2"),
        ([8.5, 20.3, 25.1], "linear"),
        ([np.nan, np.nan], "linear"),
        ([], "linear"),
    ],
)
def test_what_is_told_of_values(levels: list[float], kind: str) -> None:
    found, why = told_kind(np.array(levels, dtype=float))
    assert found == kind
    assert why


@pytest.mark.parametrize("spread", [0.7, 1.0, 1.5])
def test_lognormal_levels_and_their_logs_are_told_apart(spread: float) -> None:
    rng = np.random.default_rng(9)
    right = [
        (told_kind(np.exp(draw))[0] == "linear") + (told_kind(draw / np.log(2) + 5)[0] == "log2")
        for draw in rng.normal(1.0, spread, (200, 40))
    ]
    assert np.mean(right) / 2 > 0.9


@pytest.mark.parametrize("low", [-9.97, -0.3])
def test_levels_below_zero_are_asked_for(low: float) -> None:
    table = _table([low, 4.2, 5.5, 6.1, 7.3, 8.8], [4.1, 4.9, 5.9, 6.3, 7.8, 9.0])
    with pytest.raises(DataError, match=r"a linear level outside its range.*say so: --scale log2"):
        _measure(table)
    assert _measure(table, scale="log2").table["n_pairs"].iloc[0] == 6


# -- nothing to test has a reason ---


@pytest.mark.parametrize(
    ("before", "after", "lloq", "reason"),
    [
        ([None] * 8, [None] * 8, None, "no sample has a level"),
        ([1.0, 2.0], [None, None], None, "no patient has both levels"),
        ([1.0, None], [2.0, None], None, "1 pair cannot reach p < 0.05 two-sided: 6 needed"),
        ([0.0] * 8, [0.0] * 8, None, "none of 8 pairs changed: nothing can be tested"),
        (["<1"] * 8, ["<1"] * 8, 1.0, "every pair is below its limit: no quantifiable change"),
    ],
)
def test_not_testable_says_why(before: list[object], after: list[object], lloq: float | None, reason: str) -> None:
    options = {} if lloq is None else {"lloq": {"x": lloq}}
    found = _measure(_table(before, after, BOR=["PR"] * len(before)), response="BOR", components=["x=3"], **options)
    row = found.table.iloc[0]
    assert (row["verdict"], row["reason"]) == ("not_testable", reason)
    assert reason in found.explain()
    unknown = found.states[found.states["state"] == "not evaluable"]
    assert (unknown["reason"] != "").all()


@pytest.mark.parametrize("seed", range(3))
def test_patients_without_any_level_change_no_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = np.round(rng.uniform(1, 80, 12), 1), np.round(rng.uniform(1, 120, 12), 1)
    table = _table(list(before), list(after), BOR=["PR"] * 5 + ["SD"] * 7)
    more = _table([None] * 9, [None] * 9, BOR=["PD"] * 9).assign(patient=lambda t: "X" + t["patient"])
    one = _measure(table, response="BOR", scale="linear")
    other = _measure(pd.concat([table, more], ignore_index=True), response="BOR", scale="linear")
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.statistics, other.statistics)
