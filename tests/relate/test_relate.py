"""relate: invariances, end points, strata, limits, missing levels, plans."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.core.keys import STATISTIC_COLUMNS, VERDICT_COLUMNS
from biomarkers.relate import Relation, relate, relate_counts

N = 99


def trial(n: int = 60, n_yes: int = 22, *, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    words = np.where(
        np.arange(n) < n_yes, np.where(np.arange(n) < 3, "CR", "PR"), np.where(np.arange(n) % 4, "SD", "PD")
    )
    yes = np.arange(n) < n_yes
    return pd.DataFrame({
        "id": [f"P{i:03d}" for i in range(n)],
        "bor": words,
        "a": np.round(generator.normal(size=n) + shift * yes, 2),
        "b": np.round(np.exp(generator.normal(size=n)), 2),
        "site": np.where(np.arange(n) % 3 == 0, "north", "south"),
        "change": np.where(yes, -50.0, 10.0) + generator.normal(size=n),
        "months": generator.exponential(10, size=n) + 0.1,
        "dead": (generator.random(n) < 0.7).astype(int),
    })  # fmt: skip


def ask(table: pd.DataFrame, **options: object) -> Relation:
    settings = {"levels": ["a", "b"], "response": "bor", "patient": "id", "n_permutations": N, **options}
    return relate(table, **settings)  # type: ignore[arg-type]


def test_tables_have_the_agreed_columns() -> None:
    found = ask(trial())
    assert tuple(found.verdicts.columns) == VERDICT_COLUMNS
    assert tuple(found.table.columns) == STATISTIC_COLUMNS
    assert not found.table["method"].eq("").any()
    undefined = found.table[found.table["value"].isna() & found.table["p"].isna()]
    assert undefined["note"].ne("").all()


def _comparable(found: Relation) -> pd.DataFrame:
    return found.verdicts.set_index("biomarker").drop(columns=["reason"])


def _exactly_alike(one: pd.DataFrame, two: pd.DataFrame) -> None:
    for column in ("verdict", "auc", "p_dependence", "p_adjusted", "p_omnibus"):
        assert one[column].tolist() == two[column].tolist()


def test_order_of_patients_and_markers_is_nothing() -> None:
    table = trial()
    base = _comparable(ask(table))
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(_comparable(ask(shuffled)), base, rtol=1e-12)
    _exactly_alike(_comparable(ask(shuffled)), base)
    pd.testing.assert_frame_equal(_comparable(ask(table, levels=["b", "a"])).loc[["a", "b"]], base, rtol=1e-12)


def test_increasing_transform_is_nothing() -> None:
    table = trial(shift=0.4)
    grown = table.assign(a=np.exp(3 * table["a"]), b=table["b"] ** 0.5)
    one, two = _comparable(ask(grown)), _comparable(ask(table))
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)
    _exactly_alike(one, two)


def test_swapped_responders_turn_the_auc_over() -> None:
    table = trial(shift=0.6)
    binary = {"responders": ["yes"], "non_responders": ["no"]}
    table["bor"] = np.where(np.arange(60) < 22, "yes", "no")
    one = ask(table, **binary).verdicts
    two = ask(table, responders=["no"], non_responders=["yes"]).verdicts
    np.testing.assert_allclose(two["auc"], 1 - one["auc"])
    np.testing.assert_allclose(two["auc_low95"], 1 - one["auc_high95"])
    np.testing.assert_array_equal(two["p_dependence"], one["p_dependence"])
    np.testing.assert_array_equal(two["p_omnibus"], one["p_omnibus"])


def test_a_second_copy_of_a_marker_changes_nothing_of_the_first() -> None:
    table = trial(shift=0.5)
    table["copy"] = table["a"]
    one, two = _comparable(ask(table)), _comparable(ask(table, levels=["a", "b", "copy"]))
    pd.testing.assert_frame_equal(two.loc[["a", "b"]], one, rtol=1e-12)
    _exactly_alike(two.loc[["a", "b"]], one)
    pd.testing.assert_series_equal(two.loc["copy"], two.loc["a"], check_names=False)


def test_three_trials_three_verdicts() -> None:
    dependent = ask(trial(200, 80, shift=1.2), levels=["a"]).verdicts.iloc[0]
    independent = ask(trial(600, 240, seed=3), levels=["b"]).verdicts.iloc[0]
    small = ask(trial(20, 7, seed=5), levels=["a"]).verdicts.iloc[0]
    assert dependent["verdict"] == "dependent"
    assert independent["verdict"] == "independent_within_margin"
    assert small["verdict"] == "inconclusive"
    assert small["n_needed"] > 100
    assert small["min_detectable_auc"] > 0.8


def test_an_inconclusive_verdict_says_what_could_have_been_shown() -> None:
    found = ask(trial(20, 7, seed=5), levels=["a"])
    text = found.explain()
    assert "finds an AUC of" in text
    assert "patients are needed to show independence within 0.15" in text
    assert "predict" not in text
    assert "Responders: response = CR" in text
    assert "<table" in found._repr_html_()


def test_html_escapes_names() -> None:
    table = trial().rename(columns={"a": "<script>"})
    assert "<script>" not in ask(table, levels=["<script>"])._repr_html_()


def test_end_points_of_every_kind() -> None:
    found = ask(
        trial(shift=0.8), levels=["a"], endpoint=["orr", "dcr", "clinical_benefit", "recist", "best_change", "os"],
        best_change="change", time={"os": "months", "pfs": "months"}, event={"os": "dead", "pfs": "dead"},
    )  # fmt: skip
    rows = found.verdicts.set_index("endpoint")
    assert list(rows.index) == ["orr", "dcr", "clinical_benefit", "recist", "best_change", "os"]
    assert rows.loc["recist", "concordance"] > 0.6  # shrinkage and a better response count up
    assert rows.loc["best_change", "concordance"] > 0.55
    assert rows.loc[["recist", "best_change", "os"], "auc"].isna().all()
    assert rows.loc[["orr", "dcr"], "concordance"].isna().all()
    assert rows.loc["os", "n_responders"] == trial()["dead"].sum()
    assert rows["verdict"].isin(["dependent", "inconclusive", "independent_within_margin"]).all()
    assert "primary end point orr" in " ".join(found.notes)
    benefit = found.settings["definitions"]["clinical_benefit"]
    assert "censored" in benefit or "nobody" in benefit or "shorter SD" in benefit


def test_responders_only_for_duration() -> None:
    found = ask(trial(), levels=["a"], endpoint="dor", time="months", event="dead").verdicts.iloc[0]
    assert found["n"] == 22


def test_ne_is_counted_and_its_rule_matters() -> None:
    table = trial()
    table.loc[50:55, "bor"] = "NE"
    out, counted = ask(table, levels=["a"]), ask(table, levels=["a"], not_evaluable="nonresponder")
    assert out.verdicts["n"].item() == 54
    assert counted.verdicts["n"].item() == 60
    assert "NE 6" in out.definition
    assert out.flow.query("reason == 'response NE'")["n"].item() == 6


def test_confounding_by_stratum_is_told() -> None:
    """The level follows the site, and so does response; within sites there is nothing."""
    generator = np.random.default_rng(2)
    site = np.repeat(["one", "two"], 60)
    yes = np.concatenate([np.arange(60) < 12, np.arange(60) < 48])
    level = np.where(site == "two", 3.0, 0.0) + generator.normal(size=120)
    table = pd.DataFrame({"bor": np.where(yes, "PR", "PD"), "site": site, "level": level})
    crude = relate(table, levels=["level"], response="bor", n_permutations=999)
    held = relate(table, levels=["level"], response="bor", strata="site", n_permutations=999)
    assert crude.verdicts["verdict"].item() == "dependent"
    assert held.verdicts["verdict"].item() != "dependent"
    assert "confounding by stratum" in " ".join(held.notes)
    assert "confounding" in held.verdicts["reason"].item()
    assert held.table["method"].str.contains("Cochran's Q").sum() == 1


def test_levels_at_a_limit_are_tied() -> None:
    table = trial()
    table["a"] = table["a"].abs()
    limited = ask(table, levels=["a"], lloq={"a": 0.5})
    by_hand = ask(table.assign(a=table["a"].clip(lower=0.5)), levels=["a"], lloq={"a": 0.5})
    assert limited.verdicts["auc"].item() == by_hand.verdicts["auc"].item()
    assert "tied at the bottom" in " ".join(limited.notes)


def test_several_limits_use_gehan_scores() -> None:
    """1.5 was measured, another patient stands at "below 2": nobody knows which of the two is higher."""
    table = trial(8, 4)
    table["a"] = [5.0, 2.0, 3.0, 9.0, 1.0, 1.5, 2.5, 0.5]
    table["low"] = [0, 1, 0, 0, 1, 0, 0, 1]
    found = ask(table, levels=["a"], censored={"a": "low"})
    assert "Gehan" in " ".join(found.notes)
    assert 0.5 < found.verdicts["auc"].item() < 1


def test_limits_below_everything_measured_are_ties() -> None:
    """Every measured level is at or above every limit: Gehan's scores and ties at the bottom order patients alike."""
    table = trial(8, 4)
    table["a"] = [5.0, 2.0, 3.0, 9.0, 1.0, 2.0, 2.5, 0.5]
    table["low"] = [0, 1, 0, 0, 1, 0, 0, 1]
    found = ask(table, levels=["a"], censored={"a": "low"})
    tied = ask(table.assign(a=table["a"].where(table["low"] == 0, 0.0)), levels=["a"])
    assert "tied at the bottom" in " ".join(found.notes)
    assert found.verdicts["auc"].item() == tied.verdicts["auc"].item()
    assert found.verdicts["p_dependence"].item() == tied.verdicts["p_dependence"].item()


def test_missing_levels_are_bounded() -> None:
    table = trial()
    table.loc[[0, 1, 2, 40, 41], "a"] = np.nan
    found = ask(table, levels=["a"]).table
    bounds = found[found["statistic"] == "auc_bounds"].iloc[0]
    filled = []
    for extreme in (100.0, -100.0):
        other = table.copy()
        other.loc[[0, 1, 2], "a"], other.loc[[40, 41], "a"] = extreme, -extreme
        filled.append(ask(other, levels=["a"]).verdicts["auc"].item())
    assert bounds["ci_high"] == pytest.approx(filled[0])
    assert bounds["ci_low"] == pytest.approx(filled[1])


def test_searched_cut_is_corrected() -> None:
    found = ask(trial(), levels=["b"], search_cuts=True).table
    rows = found[found["method"].str.contains("searched cut")]
    assert len(rows) == 2
    assert rows["note"].str.startswith("exploratory").all()
    risk = rows.iloc[1]
    apparent = float(risk["note"].split("apparent ")[1].split(",")[0])
    assert abs(risk["value"]) < abs(apparent)


def test_covariates_adjust_an_estimate() -> None:
    methods = ask(trial(), levels=["a"], covariates=["b"]).table["method"]
    assert methods.str.contains("Firth logistic adjusted for b").sum() == 1


def test_intersection_union_needs_each() -> None:
    table = trial(600, 240, seed=3)
    found = ask(table, n_permutations=299, margin=0.2)
    told = "intersection-union" in " ".join(found.notes)
    assert told == (found.verdicts["verdict"] == "independent_within_margin").all()
    assert told


def test_a_plan_is_hashed_and_held(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('margin = 0.2\nlevels = ["a"]\n[cutoffs]\na = [0.0]\n', encoding="utf-8")
    found = ask(trial(), levels=["a", "b"], plan=plan)
    assert found.settings["plan_sha256"] == hashlib.sha256(plan.read_bytes()).hexdigest()
    reasons = found.verdicts.set_index("biomarker")["reason"]
    assert reasons["b"].startswith("exploratory")
    assert not reasons["a"].startswith("exploratory")
    assert found.settings["margin"] == 0.2
    assert found.verdicts["negatives"].notna().iloc[0]
    with pytest.raises(UsageError, match="contradicts the plan"):
        ask(trial(), plan=plan, margin=0.1)


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((5, 9, 1, 8), "inconclusive"),
        ((16, 74, 41, 186), "independent_within_margin"),
        ((41, 80, 42, 185), "dependent"),
    ],
)
def test_published_counts(counts: tuple[int, int, int, int], verdict: str) -> None:
    found = relate_counts(*counts, n_permutations=9_999)
    assert found.verdicts["verdict"].item() == verdict


def test_the_published_trial() -> None:
    found = relate_counts(5, 9, 1, 8, biomarker="PD-1", n_permutations=9_999).table.set_index("method")
    assert found.loc["Fisher exact, two-sided", "p"] == pytest.approx(0.1312, abs=5e-5)
    odds = found.loc["conditional odds ratio, exact interval"]
    assert (odds["value"], odds["ci_low"], odds["ci_high"]) == pytest.approx((7.63, 0.56, 470), rel=0.01)
    risk = found.loc["risk difference, Newcombe"]
    assert (risk["value"], risk["ci_low"], risk["ci_high"]) == pytest.approx((0.431, -0.020, 0.706), abs=6e-4)
    assert found.loc["Boschloo, two-sided ordered by Fisher's p", "p"] == pytest.approx(0.090, abs=1e-3)


def test_a_cohort_brings_its_own_columns() -> None:
    anndata = pytest.importorskip("anndata")
    table = trial()
    obs = pd.DataFrame(
        {"patient": table["id"].to_numpy(), "timepoint": "baseline", "response": table["bor"].to_numpy()},
        index=[f"s{i}" for i in range(len(table))],
    )
    later = obs.iloc[:5].assign(timepoint="on_treatment")
    later.index = [f"t{i}" for i in range(5)]
    x = np.concatenate([table[["a", "b"]].to_numpy(), np.full((5, 2), 99.0)])
    cohort = anndata.AnnData(X=x, obs=pd.concat([obs, later]), var=pd.DataFrame(index=["a", "b"]))
    cohort.uns["patients"] = pd.DataFrame({"patient": [*table["id"], "P999"], "response": [*table["bor"], "PD"]})
    found = relate(cohort, n_permutations=N)
    assert found.verdicts["auc"].tolist() == ask(table).verdicts["auc"].tolist()
    assert "1 patients of the cohort have no sample" in " ".join(found.notes)
    assert found.table["statistic"].eq("auc_bounds").sum() == 2


@pytest.mark.parametrize("first", ["power", "relate", "relate.strata"])
def test_the_verb_is_callable_whatever_was_imported_first(first: str) -> None:
    told = {"power": "from biomarkers import power, relate", "relate": "from biomarkers import relate, power"}
    lines = told.get(first, "import biomarkers.relate.strata\nfrom biomarkers import relate")
    code = f"{lines}\nimport inspect\nassert callable(relate)\nassert 'margin' in inspect.signature(relate).parameters"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_four_patients_exclude_nothing() -> None:
    table = pd.DataFrame({"bor": ["PR", "PR", "PD", "PD"], "a": [3.5, 4.0, 2.1, 1.0]})
    text = relate(table, levels=["a"], response="bor", n_permutations=N).explain()
    assert "No AUC is excluded" in text
    assert "finds no AUC below 1" in text
    assert "1.00 or more" not in text
