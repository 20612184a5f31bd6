"""Verdicts when biopsies are missing, levels tie, patterns bend, events are few and plans are asked in part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.relate import relate
from biomarkers.relate.permuted import binary_tests
from biomarkers.relate.sensitivity import sensitivity
from biomarkers.stats.permutation import coupled_relabellings

ROUTES = ("single", "family", "strata", "recist", "best_change", "os", "cut-off", "search")


@pytest.fixture
def faults(shared_data: Path) -> Path:
    return shared_data / "faults" / "stats"


def table(seed: int, n: int = 44) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    made = pd.DataFrame({
        "bor": generator.choice(["CR", "PR", "SD", "PD"], n), "site": generator.choice(["x", "y"], n),
        "change": np.round(generator.normal(size=n) * 30),
        "months": np.round(generator.exponential(size=n) * 9 + 0.1, 1),
        "dead": (generator.random(n) < 0.7).astype(int),
        **{name: np.round(generator.normal(size=n), 1) for name in "abc"},
    })  # fmt: skip
    made.loc[generator.random(n) < 0.2, "b"] = np.nan
    made.loc[generator.random(n) < 0.4, "c"] = np.nan
    return made


def without_levels(seed: int, n: int) -> pd.DataFrame:
    """Patients with a response and every outcome, and no level at all; most of them responders."""
    made = table(seed + 1000, n)
    made[list("abc")] = np.nan
    made["bor"] = np.where(np.arange(n) % 5, "PR", "PD")
    return made


def ask(data: pd.DataFrame, route: str, **options: Any) -> Any:
    asked: dict[str, Any] = {"levels": list("abc"), "response": "bor", "n_permutations": 499, **options}
    if route in ("single", "cut-off", "search"):
        asked["levels"] = ["a"]
    if route == "strata":
        asked["strata"] = "site"
    if route == "cut-off":
        asked["cutoffs"] = {"a": 0.0}
    if route == "search":
        asked["search_cuts"] = True
    if route in ("recist", "best_change", "os"):
        asked |= {"endpoint": route, "best_change": "change"}
    if route == "os":
        asked |= {"time": "months", "event": "dead"}
    return relate(data, **asked)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("seed", [1, 2])
def test_patients_without_any_level_change_no_p(route: str, seed: int) -> None:
    data = table(seed)
    one = ask(data, route)
    two = ask(pd.concat([data, without_levels(seed, 25)], ignore_index=True), route)
    for column in ("p_dependence", "p_adjusted", "p_omnibus", "p_spread", "n"):
        np.testing.assert_array_equal(
            one.verdicts[column].to_numpy(dtype=float), two.verdicts[column].to_numpy(dtype=float)
        )
    tests = [
        found.table[found.table["p"].notna() & ~found.table["method"].str.contains("having a level")]
        for found in (one, two)
    ]
    pd.testing.assert_series_equal(*(rows.set_index("method")["p"] for rows in tests))


def test_strata_with_missing_levels(faults: Path) -> None:
    data = pd.read_csv(faults / "strata_missing_levels.csv")
    asked = {"levels": ["x"], "response": "response", "strata": "site"}
    row, known = (relate(one, **asked).verdicts.iloc[0] for one in (data, data.dropna(subset=["x"])))  # type: ignore[arg-type]
    assert row["verdict"] == "inconclusive"
    assert row["p_adjusted"] == known["p_adjusted"] == pytest.approx(0.168, abs=0.005)


def test_family_with_missing_levels(faults: Path) -> None:
    data = pd.read_csv(faults / "family_missing_levels.csv")
    found = relate(data, levels=list("abcde"), response="response").verdicts
    assert set(found["verdict"]) == {"inconclusive"}
    assert found["p_adjusted"].min() == pytest.approx(0.191, abs=0.005)


def test_labels_of_markers_measured_in_other_patients_are_relabellings_of_each() -> None:
    """Sizes of groups are held in every marker and stratum; equal patients get equal labels; none is preferred."""
    generator = np.random.default_rng(3)
    known = generator.random((9, 3)) < 0.7
    known[:, 2] = known[:, 0]
    first, strata = np.arange(9) % 3 == 0, np.arange(9) % 2
    labels = np.concatenate(list(coupled_relabellings(known, first, n_permutations=4000, rng=1, strata=strata)), axis=1)
    for j in range(3):
        for s in (0, 1):
            inside = known[:, j] & (strata == s)
            assert (labels[j][:, inside].sum(axis=1) == (first & inside).sum()).all()
            share = (first & inside).sum() / max(inside.sum(), 1)
            assert np.abs(labels[j][:, inside].mean(axis=0) - share).max(initial=0) < 4 * np.sqrt(0.25 / 4000)
        assert not labels[j][:, ~known[:, j]].any()
    np.testing.assert_array_equal(labels[0], labels[2])


def test_the_family_with_gaps_holds_its_error() -> None:
    """Three responders in five have no level, markers failed on their own besides: no more errors than allowed."""
    runs, errors = 300, 0
    for run in range(runs):
        generator = np.random.default_rng(run)
        levels, yes = generator.normal(size=(50, 4)), np.arange(50) < 20
        levels[yes & (generator.random(50) < 0.6)] = np.nan
        levels[generator.random((50, 4)) < [0.4, 0.1, 0.4, 0.1]] = np.nan
        found = binary_tests(levels, yes, strata=None, n_permutations=99, seed=run)
        errors += bool((found.p_adjusted <= 0.05).any())
    assert errors / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_levels_missing_by_response_are_told_and_the_bounds_lead() -> None:
    data = table(5)
    yes = data["bor"].isin(["CR", "PR"]).to_numpy()
    data.loc[np.flatnonzero(yes)[:12], "a"] = np.nan
    row = relate(data, levels=["a"], response="bor", n_permutations=199).verdicts.iloc[0]
    assert row["p_missing"] < 0.01
    assert row["reason"].startswith("whatever the missing levels were, the AUC lies in")
    assert "no adjustment can repair" in row["reason"]
    assert row["auc_low_missing"] < row["auc"] < row["auc_high_missing"]
    assert row["verdict"] != "independent_within_margin"


def test_attainable_within_strata(faults: Path) -> None:
    data = pd.read_csv(faults / "strata_attainable_40.csv")
    row = relate(data, levels=["X"], response="BOR", strata="S", n_permutations=999).verdicts.iloc[0]
    assert row["verdict"] == "inconclusive"
    assert "too many equal levels" in row["reason"]
    assert pd.isna(row["n_needed"])


def test_an_inverted_u_is_no_independence(faults: Path) -> None:
    data = pd.read_csv(faults / "inverted_u_independent.csv")
    row = relate(
        data, levels=["X"], response="R", responders=["y"], non_responders=["n"], n_permutations=999
    ).verdicts.iloc[0]
    assert row["verdict"] == "inconclusive"
    assert "non-monotone pattern (spread p" in row["reason"]
    assert row["p_spread"] < 0.01


def test_each_end_point_has_its_own_columns_or_stops(faults: Path) -> None:
    data, other = (pd.read_csv(faults / f"pfs_os_time{end}.csv") for end in ("", "_b"))
    asked = {"levels": ["X"], "response": "BOR", "endpoint": ["pfs", "os"], "n_permutations": 199}
    with pytest.raises(UsageError, match="one pair of columns was named for several end points"):
        relate(data, time="PFS_m", event="PFS_e", **asked)  # type: ignore[arg-type]
    named = relate(
        data, time={"pfs": "PFS_m", "os": "OS_m"}, event={"pfs": "PFS_e", "os": "OS_e"}, **asked  # type: ignore[arg-type]
    ).verdicts  # fmt: skip
    own = relate(other, time="PFS_m", event="PFS_e", **asked).verdicts  # type: ignore[arg-type]
    for found in (named, own):
        assert list(found["n_responders"]) == [24, 12]
        assert found["concordance"].nunique() == 2
    both = other.rename(columns={"PFS_m": "pfs_months", "PFS_e": "pfs_event"})
    with pytest.raises(UsageError, match="not clear whose"):
        relate(both, time="pfs_months", event="pfs_event", **asked)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not asked for"):
        relate(data, time={"dor": "PFS_m"}, event={"dor": "PFS_e"}, **asked)  # type: ignore[arg-type]


def test_part_of_a_plan_stays_in_its_family(faults: Path) -> None:
    data = pd.read_csv(faults / "tipping_family.csv")
    whole = relate(data, plan=faults / "plan2.toml", response="BOR", n_permutations=9_999).verdicts.set_index(
        "biomarker"
    )
    part = relate(data, plan=faults / "plan2.toml", response="BOR", levels=["A"], n_permutations=9_999)
    row = part.verdicts.iloc[0]
    assert list(part.verdicts["biomarker"]) == ["A"]
    assert row["verdict"] == "inconclusive"
    assert row["p_adjusted"] == whole.loc["A", "p_adjusted"] == pytest.approx(0.095, abs=0.01)
    with pytest.raises(UsageError, match="stays whole"):
        relate(data.drop(columns="E"), plan=faults / "plan2.toml", response="BOR", levels=["A"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"response": "R2"}, "response column 'R2' where the plan has 'BOR'"),
        ({"response": "BOR", "filters": ["site=s0"]}, "rows chosen by site=s0"),
        ({"response": "BOR", "censored": {"X": "F"}}, "censoring flags X=F"),
    ],
)
def test_departures_from_a_plan_are_named_and_labelled(faults: Path, options: dict[str, Any], words: str) -> None:
    data = pd.read_csv(faults / "plan.csv")
    found = relate(data, plan=faults / "plan.toml", n_permutations=199, **options)
    assert found.verdicts["reason"].str.startswith("exploratory, not as planned").all()
    assert words in found.verdicts["reason"].iloc[0]
    assert words in " ".join(found.notes)
    assert "exploratory" in found.explain()
    as_planned = relate(data, plan=faults / "plan.toml", n_permutations=199, response="BOR")
    assert not as_planned.verdicts["reason"].str.startswith("exploratory").any()


def test_a_margin_that_is_said_is_never_silently_the_plan_s(faults: Path) -> None:
    data = pd.read_csv(faults / "plan.csv")
    with pytest.raises(UsageError, match="margin contradicts the plan"):
        relate(data, plan=faults / "plan.toml", response="BOR", margin=0.15)


def test_what_stands_beside_a_stratified_verdict(faults: Path) -> None:
    data = pd.read_csv(faults / "strata_bf_search.csv")
    asked = {"levels": ["X"], "response": "BOR", "n_permutations": 999, "search_cuts": True}
    crude, found = relate(data, **asked), relate(data, strata="S", **asked)  # type: ignore[arg-type]
    rows = found.table.set_index("method")
    assert pd.isna(found.verdicts["bf01"].item())
    assert rows.loc["JZS Bayes factor on normal scores", "note"].startswith("strata ignored")
    for start in ("Firth", "Wilcoxon", "logit-DeLong", "Hodges"):
        assert rows[rows.index.str.startswith(start)]["note"].str.startswith("strata ignored").all()
    searched = rows[rows.index.str.startswith("searched cut")]
    assert searched.index.str.contains("within strata").all()
    assert searched["p"].item() > 0.2
    assert crude.table.set_index("method")["p"][lambda p: p.index.str.startswith("searched cut")].item() < 0.01
    assert found.verdicts["min_detectable_auc"].item() != crude.verdicts["min_detectable_auc"].item()
    timed = relate(
        pd.read_csv(faults / "strata_cut_time.csv"), levels=["X"], endpoint="pfs", strata="site", cutoffs={"X": 3},
        n_permutations=199,
    ).table  # fmt: skip
    at_cut = timed[timed["note"].str.contains("fixed beforehand")].set_index("method")
    assert at_cut.loc[at_cut.index.str.startswith("median"), "note"].str.startswith("strata ignored").all()
    assert at_cut.index.str.contains("log-rank test, 2 strata").any()
    assert at_cut.index.str.contains("hazard ratio.*within strata").any()


def test_cuts_and_limits(faults: Path) -> None:
    def positive(file: str, **options: Any) -> tuple[float, str]:
        found = relate(pd.read_csv(faults / file), levels=["X"], response="BOR", n_permutations=99, **options)
        row = found.table[found.table["method"].str.contains("rate, marker negative")].iloc[0]
        return float(found.verdicts["negatives"].item()), str(row["note"])

    assert positive("lloq_cut.csv", lloq={"X": 1}, cutoffs={"X": 1})[0] == 13  # 7 of 20 positive
    negative, note = positive("censored_cut.csv", censored={"X": "F"}, cutoffs={"X": 5})
    assert "4 below a limit above the cut: unknown" in note
    assert negative == 12


def test_one_event_or_a_handful_concludes_nothing(faults: Path) -> None:
    data = pd.read_csv(faults / "one_event.csv")
    for events in range(1, 6):
        data["pfs_event"] = (np.arange(len(data)) < events).astype(int)
        data["pfs_months"] = np.where(data["pfs_event"] == 1, 1 + data.index / 10, 10.0)
        row = relate(data, levels=["X"], endpoint="pfs", n_permutations=199).verdicts.iloc[0]
        assert row["verdict"] == "inconclusive"
        assert "6 are needed" in row["reason"]
        assert pd.isna(row["concordance_low95"])
    data["bor"] = np.where(data.index < 5, "PD", "SD")
    row = relate(data, levels=["X"], response="bor", endpoint="recist", n_permutations=199).verdicts.iloc[0]
    assert row["verdict"] == "inconclusive"


def test_a_complete_concordance_has_a_width() -> None:
    data = pd.DataFrame({"x": np.arange(12.0), "os_months": np.arange(12.0) + 1, "os_event": 1})
    row = relate(data, levels=["x"], endpoint="os", n_permutations=199).verdicts.iloc[0]
    assert row["concordance"] == 1
    assert row["concordance_low95"] < 0.95


def test_the_panel_starts_from_the_verdict_and_changes_one_thing(faults: Path) -> None:
    data = pd.read_csv(faults / "panel_bounds_lloq.csv")
    found = sensitivity(data, levels=["X"], response="BOR", lloq={"X": 1}, n_permutations=199).table
    bounds = found[found["setting"] == "worst and best case"].iloc[0]
    theta = relate(data, levels=["X"], response="BOR", lloq={"X": 1}, n_permutations=199).verdicts["auc"].item()
    assert (bounds["auc_low95"], bounds["auc_high95"]) == pytest.approx(
        (theta * 30 / 36, theta * 30 / 36 + 1 - 30 / 36)
    )
    family = pd.read_csv(faults / "tipping_family.csv")
    panel = sensitivity(family, levels=list("ABCDE"), response="BOR", cutoffs={"B": [0.5]}, n_permutations=999)
    tipping = panel.table[panel.table["setting"] == "tipping point"].iloc[0]
    assert tipping["verdict"] == "inconclusive"  # as the family says; alone it would be dependent
    assert "quantile 0.5" not in tipping["note"]  # nothing changes before the levels are moved
    cut = panel.table[panel.table["choice"] == "cut-off"].iloc[0]
    positive = family.assign(B=(family["B"] >= 0.5).astype(float))
    again = relate(positive, levels=list("ABCDE"), response="BOR", n_permutations=999).verdicts.set_index("biomarker")
    assert cut["p_adjusted"] == again.loc["B", "p_adjusted"]


def test_the_panel_asks_the_end_point_that_was_asked(faults: Path) -> None:
    data = pd.read_csv(faults / "strata_cut_time.csv")
    panel = sensitivity(data, levels=["X"], endpoint="pfs", site="site", cutoffs={"X": [3]}, n_permutations=199)
    assert set(panel.table["choice"]) == {"left out", "cut-off"}
    without = relate(data[data["site"] != "s0"], levels=["X"], endpoint="pfs", n_permutations=199).verdicts
    row = panel.table[panel.table["setting"] == "site s0"].iloc[0]
    assert (row["auc"], row["n_responders"]) == (without["concordance"].item(), without["n_responders"].item())


def test_words_of_time_end_points() -> None:
    found = relate(
        table(1), levels=["a"], endpoint="os", time="months", event="dead", n_permutations=199
    )  # fmt: skip
    words = found.explain()
    assert "events" in words
    assert "concordance" in words
    assert not any(word in words for word in ("responder", "AUC", "excluded", "Responders"))
    assert found.verdicts[["auc", "largest_effect_excluded", "smallest_margin"]].isna().all(axis=None)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_decimals_that_are_equal_tie(scale: float) -> None:
    """0.1 + 0.2 and 0.3 are one level, whatever the doubles say."""
    level = np.array([1, 2, 3, 3, 4, 5, 6, 7, 3, 8, 9, 2.0]) * scale
    noisy = level.copy()
    noisy[2], noisy[8] = (0.1 + 0.2) * 10 * scale, np.nextafter(3 * scale, 9)
    change = np.array([3, 1, 2, 2, 5, 4, 6, 7, 2, 9, 8, 3.0]) * 10
    base = {"bor": np.repeat(["PR", "PD", "SD", "CR"], 3), "os_months": change / 10, "os_event": 1}
    asked = {"levels": ["x"], "response": "bor", "endpoint": ["orr", "recist", "best_change", "os"], "best_change": "c",
             "n_permutations": 499}  # fmt: skip
    one, two = (
        relate(pd.DataFrame({**base, "x": x, "c": c}), **asked).verdicts  # type: ignore[arg-type]
        for x, c in ((np.round(level, 6), change), (noisy, change * 1.1 / 1.1))
    )
    for column in ("auc", "concordance", "p_dependence", "p_omnibus"):
        np.testing.assert_array_equal(one[column].to_numpy(), two[column].to_numpy())


def test_durations_are_times() -> None:
    data = table(2)
    days = np.round(data["months"] * 30.4375)
    asked = {"levels": ["a"], "endpoint": "os", "time": "t", "event": "dead", "n_permutations": 99}
    one = relate(data.assign(t=days / 30.4375), **asked)  # type: ignore[arg-type]
    two = relate(data.assign(t=pd.to_timedelta(days, unit="D")), **asked)  # type: ignore[arg-type]
    assert one.verdicts["concordance"].item() == two.verdicts["concordance"].item()
    medians = [found.table.set_index("method").loc["median, all patients", "value"] for found in (one, two)]
    assert medians[0] == pytest.approx(medians[1])
    assert "t holds durations: read in months" in " ".join(two.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a": np.nan}, "no patient has both"),
        ({"bor": "PD"}, "0 responders"),
        ({"a": 0.0}, "same level"),
        ({"a": 0.5, "_lloq": 1.0}, "at or below its limit of quantification"),
    ],
)
def test_nothing_to_test_has_a_reason(change: dict[str, Any], words: str) -> None:
    options = {"lloq": {"a": change.pop("_lloq")}} if "_lloq" in change else {}
    for endpoint in ("orr", "recist", "best_change", "os"):
        data = table(1).assign(**change)
        row = relate(
            data, levels=["a"], response="bor", endpoint=endpoint, best_change="change", n_permutations=99,
            **({"time": "months", "event": "dead"} if endpoint == "os" else {}), **options,
        ).verdicts.iloc[0]  # fmt: skip
        if "bor" in change and endpoint in ("best_change", "os"):
            continue
        assert row["verdict"] == "not_testable"
        assert row["reason"]
        if endpoint == "orr":
            assert words in row["reason"]
