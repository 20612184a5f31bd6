"""What tables get wrong: refused with row and column, or not testable with the reason; never a p without a word."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import BiomarkersError, DataError, UsageError
from biomarkers.relate import relate, relate_counts


def table(**changed: object) -> pd.DataFrame:
    base = {
        "id": [f"P{i}" for i in range(8)],
        "bor": ["PR", "PR", "CR", "SD", "SD", "PD", "PD", "NE"],
        "level": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "months": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "dead": [1, 0, 1, 1, 1, 0, 1, 1],
    }
    return pd.DataFrame({**base, **changed})


def ask(frame: pd.DataFrame, **options: object) -> pd.Series:
    settings = {"levels": ["level"], "response": "bor", "patient": "id", "n_permutations": 99, **options}
    return relate(frame, **settings).verdicts.iloc[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"bor": ["PR"] * 8}, "two of each"),
        ({"bor": ["SD"] * 8}, "two of each"),
        ({"bor": ["PR", *["SD"] * 7]}, "1 responder and 7 others"),
        ({"level": [3.0] * 8}, "same level"),
        ({"level": [np.nan] * 8}, "no patient has both"),
        ({"bor": ["NE"] * 8}, "no patient has both"),
    ],
)
def test_not_testable_with_a_reason(changed: dict[str, object], reason: str) -> None:
    found = ask(table(**changed))
    assert found["verdict"] == "not_testable"
    assert reason in found["reason"]
    assert np.isnan(found["p_dependence"])
    assert np.isnan(found["auc"])


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({"id": ["P0", "P0", *[f"P{i}" for i in range(6)]]}, {}, "one patient stands in several rows"),
        ({"id": [None, *[f"P{i}" for i in range(7)]]}, {}, "an identifier is missing"),
        ({"bor": ["PR", "PR", "CR", "SD", "SD", "PD", "PD", "respnse"]}, {}, "not a response word"),
        ({"level": [1, 2, 3, "high", 5, 6, 7, 8]}, {}, "'high'"),
        ({"level": [1, 2, 3, "5%", 5, 6, 7, 8]}, {}, "percent sign"),
        ({"level": [1, 2, 3, np.inf, 5, 6, 7, 8]}, {}, "inf"),
        ({"level": [1, 2, 3, 1e200, 5, 6, 7, 8]}, {}, "too large"),
        ({"level_unit": ["%", "%", "%", "ng/ml", "%", "%", "%", "%"]}, {}, "mixes units"),
        ({"unit": ["%", "%", "%", "ng/ml", "%", "%", "%", "%"]}, {}, "row 3 "),
        ({"months": [-1.0, *range(1, 8)]}, {"time": "months", "event": "dead"}, "negative time"),
        ({"dead": [2, 0, 1, 1, 1, 0, 1, 1]}, {"time": "months", "event": "dead"}, r"1 \(the event was seen\)"),
    ],
)
def test_refused_naming_row_or_column(changed: dict[str, object], options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        ask(table(**changed), **options)
    assert caught.value.exit_code == 2
    assert caught.value.where is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 0.0}, "margin"),
        ({"margin": 0.5}, "margin"),
        ({"margin": -0.1}, "margin"),
        ({"alpha": 0.0}, "alpha"),
        ({"levels": ["lvel"]}, "Did you mean 'level'"),
        ({"levels": ["level", "level"]}, "named twice"),
        ({"levels": None}, "no level column"),
        ({"endpoint": "orrr"}, "Did you mean 'orr'"),
        ({"time": "months"}, "both columns"),
        ({"cutoffs": {"other": 1}}, "names no level"),
        ({"cutoffs": {"level": float("nan")}}, "no number"),
        ({"lloq": {"other": 1}}, "no level"),
        ({"n_permutations": 0}, "cannot reach alpha"),
        ({"response": None}, "needs the column of the response"),
        ({"endpoint": "pfs"}, "needs times"),
        ({"responders": ["good"]}, "responders"),
    ],
)
def test_wrong_calls_stop(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(table(), **options)


@pytest.mark.parametrize("counts", [(3, 2, 1, 4), (-1, 4, 1, 4), (0, 0, 0, 0)])
def test_impossible_counts_stop(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(BiomarkersError):
        relate_counts(*counts, n_permutations=99)


@pytest.mark.parametrize("counts", [(0, 5, 0, 5), (5, 5, 5, 5), (3, 6, 0, 0)])
def test_degenerate_counts_are_not_testable(counts: tuple[int, int, int, int]) -> None:
    found = relate_counts(*counts, n_permutations=99).verdicts.iloc[0]
    assert found["verdict"] == "not_testable"
    assert found["reason"]


def test_complete_separation_has_finite_answers() -> None:
    frame = table(bor=["PR"] * 4 + ["SD"] * 4)
    found = ask(frame, n_permutations=9_999)
    assert found["auc"] == 0
    assert 0 < found["p_dependence"] < 0.06
    assert 0 <= found["auc_low95"] < found["auc_high95"] < 1
    assert "Newcombe" in " ".join(relate(frame, levels=["level"], response="bor", n_permutations=99).table["note"])


def test_a_stratum_of_one_kind_says_so() -> None:
    frame = table(site=list("aaabbbbb"))
    found = relate(frame, levels=["level"], response="bor", strata="site", n_permutations=99)
    assert found.verdicts["verdict"].item() == "not_testable"
    assert "no stratum holds both" in found.verdicts["reason"].item()


def test_rows_of_a_filtered_table_are_named_plainly() -> None:
    frame = table(id=["P0", "P1", "P2", "P3", "P4", "P5", "P6", "P6"])
    frame = frame[frame["level"] > 2]
    with pytest.raises(DataError, match=r"rows 6, 7( \(counted|: )"):
        ask(frame)


def test_a_patient_under_two_names_is_told() -> None:
    frame = pd.concat([table(), table(id=[f"Q{i}" for i in range(8)]).iloc[[2]]], ignore_index=True)
    notes = relate(frame, levels=["level"], response="bor", patient="id", n_permutations=99).notes
    assert any("rows 2, 8" in note and "twice" in note for note in notes)
    assert not any("twice" in note for note in relate(table(), levels=["level"], response="bor").notes)


def test_joined_tables_and_other_column_types_are_read() -> None:
    usual = ask(table())
    joined = pd.concat([table().iloc[:4], table().iloc[4:].set_axis([0, 1, 2, 3])])
    assert ask(joined)["p_dependence"] == usual["p_dependence"]
    typed = table().astype({"level": "Int64", "bor": "category", "id": "string"})
    assert ask(typed)["auc"] == usual["auc"]
    assert ask(table().astype({"level": "string"}))["auc"] == usual["auc"]
    yes = table(bor=[True, True, True, False, False, False, False, False])
    assert ask(yes, responders=["True"], non_responders=["False"])["n_responders"] == 3
    nobody = ask(table().iloc[:0])
    assert nobody["verdict"] == "not_testable"
    assert nobody["reason"]


ROUTES: dict[str, dict[str, object]] = {
    "orr": {},
    "strata": {"strata": "site"},
    "recist": {"endpoint": "recist"},
    "best change": {"endpoint": "best_change", "best_change": "change"},
    "time": {"endpoint": "os", "time": "months", "event": "dead"},
    "cut-off": {"cutoffs": {"level": 1.0}, "search_cuts": True},
    "family": {"levels": ["level", "other"]},
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"level": [np.nan] * 8}, "no patient has both"),
        ({"level": [0.0] * 8}, "every patient has the same level (0)"),
        ({"level": [*range(1, 9)]}, "at or below its limit"),  # all below a limit of 9
        ({"level": [5.0] * 2 + [np.nan] * 6}, ""),
    ],
)
def test_levels_that_tell_nothing_are_not_testable_in_any_route(
    route: str, changed: dict[str, object], reason: str
) -> None:
    frame = table(
        **{"site": list("xyxyxyxy"), "change": [-40.0, -35, -90, 0, 5, 30, 40, 1], "other": range(8)} | changed
    )
    options = dict(ROUTES[route]) | ({"lloq": {"level": 9.0}} if "limit" in reason else {})
    found = ask(frame, **options)
    assert found["verdict"] == "not_testable"
    assert found["reason"]
    assert reason in found["reason"]
    assert np.isnan(found["p_dependence"])


@pytest.mark.parametrize("route", ["orr", "strata", "recist", "best change", "time", "cut-off", "family"])
def test_one_responder_or_event_left_concludes_nothing(route: str) -> None:
    frame = table(
        site=list("xyxyxyxy"), change=[-40.0, *[0.0] * 7], other=range(8), bor=["PR", *["SD"] * 7],
        dead=[1, *[0] * 7],
    )  # fmt: skip
    found = ask(frame, **ROUTES[route])
    assert found["verdict"] in ("not_testable", "inconclusive")
    assert "1 responder" in found["reason"] or "no stratum" in found["reason"] or "are needed" in found["reason"]
    assert found[["auc_low95", "concordance_low95"]].isna().all(), "no interval without width"


@pytest.mark.parametrize(("positive", "negative"), [(15, 35), (12, 20), (25, 25), (30, 30), (10, 10)])
def test_a_marker_that_equals_response_is_dependent_and_stops_nothing(positive, negative):
    table = pd.DataFrame({"bor": ["PR"] * positive + ["PD"] * negative, "x": [1.0] * positive + [0.0] * negative})
    row = relate(table, levels=["x"], response="bor", n_permutations=999).verdicts.iloc[0]
    assert row["verdict"] == "dependent"
    assert row["bf01"] < 1e-3


def test_relabellings_that_cannot_reach_alpha_are_refused():
    table = pd.DataFrame({"bor": ["PR"] * 10 + ["PD"] * 10, "x": np.arange(20.0)})
    with pytest.raises(UsageError, match="200 or more"):
        relate(table, levels=["x"], response="bor", n_permutations=99, alpha=0.005)
