"""Reliability in relate: columns, sentence, sources, bad input; from replicates; published values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import biomarkers
from biomarkers.core.errors import BiomarkersError, DataError, UsageError
from biomarkers.core.keys import RELIABILITY_COLUMNS
from biomarkers.relate import Relation, relate
from biomarkers.stats import corrected_auc

N, YES = 300, 105


def cohort() -> pd.DataFrame:
    """``flat`` is unrelated to response, ``up`` related; each with a second measurement of its own error."""
    rng = np.random.default_rng(11)
    yes = np.arange(N) < YES
    true = {"flat": rng.normal(size=N), "up": rng.normal(size=N) + 0.8 * yes}
    table = pd.DataFrame({"id": [f"P{i}" for i in range(N)], "bor": np.where(yes, "PR", "SD")})
    for name, level in true.items():
        for column in (name, f"{name}_b"):
            table[column] = np.exp(level + 0.6 * rng.normal(size=N))
    table["se"] = 0.1 * table["up"]
    table["copy"] = table["flat"]
    table["one"] = np.where(np.arange(N) == 0, 1.5, np.nan)
    return table


def ask(**options: object) -> Relation:
    settings = {"levels": ["flat", "up"], "response": "bor", "patient": "id", "n_permutations": 199, **options}
    return relate(cohort(), **settings)  # type: ignore[arg-type]


def verdict(found: Relation, name: str) -> dict[str, object]:
    return found.verdicts.set_index("biomarker").loc[name].to_dict()


def test_every_row_says_what_reliability_its_claim_needs_and_the_rest_is_blank() -> None:
    found = ask()
    flat, up = verdict(found, "flat"), verdict(found, "up")
    assert flat["verdict"] == "independent_within_margin"
    by_hand = (max(abs(norm.ppf(flat["auc_low90"])), abs(norm.ppf(flat["auc_high90"]))) / norm.ppf(0.65)) ** 2
    assert flat["smallest_reliability"] == pytest.approx(by_hand, abs=1e-9)
    assert up["verdict"] == "dependent"
    assert up["smallest_reliability"] == 0
    for name in RELIABILITY_COLUMNS[:-1]:
        assert (found.verdicts[name].isna() | (found.verdicts[name].astype(str) == "")).all()
    least = math.ceil(by_hand * 100) / 100
    assert str(flat["reason"]).endswith(f"reliability is at least {least:.2f}")
    assert "for the level in the tumour" not in str(up["reason"])
    assert "The verdict is one on the measured level; for the level in the tumour the claim" in found.explain()


def test_known_reliability_is_the_closed_form_and_one_changes_nothing() -> None:
    plain = ask()
    found = ask(reliability={"flat": 0.6, "up": 1})
    for name, r in (("flat", 0.6), ("up", 1.0)):
        row = verdict(found, name)
        for column, true in (("auc", "auc_true"), ("auc_low90", "auc_true_low90"), ("auc_high90", "auc_true_high90")):
            assert row[true] == pytest.approx(norm.cdf(norm.ppf(row[column]) / math.sqrt(r)), abs=1e-9)
    up = verdict(found, "up")
    assert (up["auc_true"], up["auc_true_low90"], up["auc_true_high90"]) == (
        up["auc"],
        up["auc_low90"],
        up["auc_high90"],
    )
    kept = [name for name in plain.verdicts if name not in (*RELIABILITY_COLUMNS, "reason")]
    pd.testing.assert_frame_equal(plain.verdicts[kept], found.verdicts[kept])


def test_claim_stands_or_not_by_the_reliability() -> None:
    least = float(verdict(ask(), "flat")["smallest_reliability"])  # type: ignore[arg-type]
    above = ask(reliability={"flat": min(least + 0.01, 1.0)}, levels=["flat"])
    below = ask(reliability={"flat": least - 0.01}, levels=["flat"])
    assert ": it stands" in str(verdict(above, "flat")["reason"])
    assert ": it does not stand" in str(verdict(below, "flat")["reason"])
    assert verdict(below, "flat")["verdict"] == "independent_within_margin"  # of the measured level, as before


def test_replicates_within_response_groups_find_the_planted_reliability() -> None:
    found = ask(replicates={"flat": "flat_b", "up": ["up_b"]})
    for name in ("flat", "up"):
        row = verdict(found, name)
        assert row["reliability"] == pytest.approx(1 / 1.36, abs=0.09)
        assert row["reliability_low"] < 1 / 1.36 < row["reliability_high"]
        assert row["reliability_source"] == "from your replicates"
    methods = found.table[found.table["biomarker"] == "up"]["method"].str.cat(sep=" ")
    assert "SIMEX" in methods


def test_replicates_change_nothing_under_increasing_transformations() -> None:
    table = cohort()
    logged = table.assign(flat=np.log(table["flat"]), flat_b=np.log(table["flat_b"]))
    settings = {
        "levels": ["flat"],
        "response": "bor",
        "patient": "id",
        "n_permutations": 99,
        "replicates": {"flat": "flat_b"},
    }
    one, two = (verdict(relate(t, **settings), "flat") for t in (table, logged))  # type: ignore[arg-type]
    for column in ("reliability", "reliability_low", "auc_true", "auc_true_low90"):
        assert one[column] == two[column]


def test_several_sources_stand_in_one_sentence_and_own_data_come_first() -> None:
    found = ask(levels=["flat"], reliability={"flat": ["chang-2019-readers", (0.6, 0.45, 0.75)]},
                replicates={"flat": "flat_b"})  # fmt: skip
    reason = str(verdict(found, "flat")["reason"])
    own, published, given = (reason.index(text) for text in ("from your replicates", "published", "given: 0.60"))
    assert own < published < given
    assert "(0.45-0.75)" in reason
    assert len(found.settings["reliability"]["flat (orr)"]) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"reliability": {"flat": 0}}, "out of range"),
        ({"reliability": {"flat": 1.2}}, "out of range"),
        ({"reliability": {"flat": 85}}, "In per cent"),
        ({"reliability": {"flat": (0.6, 0.7, 0.8)}}, "outside its interval"),
        ({"replicates": {"flat": "one"}}, "replicates of one patient only"),
        ({"replicates": {"flat": "copy"}}, "copies of each other"),
        ({"accuracy": {"flat": (0.5, 0.4)}, "cutoffs": {"flat": 1.0}}, "sensitivity \\+ specificity is at most 1"),
    ],
)
def test_what_cannot_be_is_named_and_the_measured_verdict_is_given(options: dict[str, object], says: str) -> None:
    found = ask(levels=["flat"], **options)
    row = verdict(found, "flat")
    assert row["verdict"] == "independent_within_margin"
    assert math.isnan(float(row["auc_true"]))  # type: ignore[arg-type]
    assert pd.Series(" ".join(found.notes)).str.contains(says).item()
    if "accuracy" not in options:
        assert "not used" in str(row["reliability_source"])


def test_more_variance_between_readings_than_patients_corrects_nothing() -> None:
    rng = np.random.default_rng(3)
    table = cohort()
    noise = rng.normal(size=N)
    table["flat"], table["flat_b"] = 10 + noise, 10 - noise + 0.01 * rng.normal(size=N)
    found = relate(
        table, levels=["flat"], response="bor", patient="id", n_permutations=99, replicates={"flat": "flat_b"}
    )
    row = verdict(found, "flat")
    assert row["reliability"] == 0
    assert row["reliability_low"] == 0
    assert row["reliability_high"] > 0
    assert math.isnan(row["auc_true"])


@pytest.mark.parametrize(
    "options",
    [{"reliability": {"other": 0.6}}, {"reliability": {"flat": (0.6, 0.7)}}, {"reliability": {"flat": "chang"}},
     {"reliability": {"flat": "chang-2019-readers-at-1"}}, {"replicates": {"flat": "absent"}},
     {"replicates": {"flat": "flat"}}, {"accuracy": {"flat": 0.9}}],
)  # fmt: skip
def test_wrong_forms_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(BiomarkersError):
        ask(**options)


def test_standard_errors_and_accuracy_reach_the_statistics() -> None:
    found = ask(levels=["up"], standard_errors={"up": "se"}, accuracy={"up": (0.9, 0.8)}, cutoffs={"up": 2.0})
    row = verdict(found, "up")
    table = cohort()
    yes = table["bor"] == "PR"
    within = (table["up"][yes].var() + table["up"][~yes].var()) / 2
    assert row["reliability"] == pytest.approx(1 - float((table["se"] ** 2).mean()) / within, abs=1e-9)
    corrected = found.table[found.table["note"].str.contains("corrected for sensitivity")]
    share = corrected[corrected["statistic"] == "share positive, responders"]["value"].item()
    assert share == pytest.approx((float((table["up"][yes] >= 2).mean()) - 0.2) / 0.7, abs=1e-9)


def test_time_end_points_have_a_corrected_hazard_ratio() -> None:
    rng = np.random.default_rng(0)
    table = cohort()
    table["months"], table["dead"] = rng.exponential(10 / table["up"]), 1
    found = relate(table, levels=["up"], patient="id", endpoint="os", time="months", event="dead", n_permutations=99,
                   reliability={"up": 0.7})  # fmt: skip
    rows = found.table[found.table["statistic"].eq("hazard ratio") & found.table["method"].str.contains("SIMEX")]
    plain = found.table[found.table["statistic"].eq("hazard_ratio")]["value"].iloc[0]
    assert len(rows) == 1
    assert rows["value"].item() > 1
    assert plain > 1


def test_reliability_of_replicate_rows_tells_components_apart() -> None:
    rng = np.random.default_rng(4)
    rows = []
    reader = [0.0, 0.5]
    for i in range(24):
        own = rng.normal()
        for core in range(2):
            place = own + 0.8 * rng.normal()
            rows += [(f"p{i}", core, who, 2.0 ** (place + reader[who] + 0.2 * rng.normal())) for who in range(2)]
    table = pd.DataFrame(rows, columns=["patient", "core", "reader", "cd8"])
    logged = table.assign(cd8=np.log2(table["cd8"]))
    found = biomarkers.reliability(logged, level="cd8", place="core", reader="reader", scale="log2")
    parts = found.components.set_index("component")["variance"]
    assert found.limits == "place"
    assert found.components["share"].sum() == pytest.approx(1)
    assert found.estimate.value == pytest.approx(parts["patient"] / parts.sum(), abs=1e-5)
    best = found.designs.set_index(["places", "readers"])["reliability"]
    assert best[(2, 1)] > best[(1, 2)] > best[(1, 1)]
    assert found.option.startswith("cd8=0.")
    from biomarkers.plot.relation_reliability import plot_components

    assert len(plot_components(found).patches) == len(found.components)


def test_replicate_rows_that_say_nothing_are_refused() -> None:
    table = pd.DataFrame({"patient": list("aabc"), "tps": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(DataError, match="one patient only"):
        biomarkers.reliability(table, level="tps")
    with pytest.raises(UsageError, match="scale"):
        biomarkers.reliability(table, level="tps", scale="cubic")
    with pytest.raises(DataError, match="outside the scale"):
        biomarkers.reliability(table.assign(tps=table["tps"] * 50), level="tps", scale="percent")


def test_every_published_value_has_a_source_and_only_reliabilities_are_usable() -> None:
    table = biomarkers.published_reliability()
    assert table["name"].is_unique
    assert table["source"].str.len().gt(10).all()
    assert table["value"].between(0, 1).all()
    kappas = table.loc[table["statistic"] == "kappa", "name"]
    with pytest.raises(UsageError, match="kappa"):
        ask(reliability={"flat": str(kappas.iloc[0])})


@pytest.mark.slow
def test_command_line_writes_the_columns_and_the_figure(tmp_path: Path) -> None:
    from biomarkers.cli.main import run

    cohort().to_csv(tmp_path / "t.csv", index=False)
    code = run(["relate", str(tmp_path / "t.csv"), "--level", "flat", "--response", "bor", "--patient", "id", "--out",
                str(tmp_path / "out"), "--permutations", "99", "--reliability", "flat=0.6:0.45:0.75", "--replicate",
                "flat=flat_b"])  # fmt: skip
    assert code == 0
    row = pd.read_csv(tmp_path / "out" / "verdicts.csv").iloc[0]
    assert row["reliability_source"] == "from your replicates"
    assert row["auc_true_low90"] < row["auc_low90"]
    assert list((tmp_path / "out" / "figures").glob("*AUC_by_reliability.png"))
    assert "How well the level was measured" in (tmp_path / "out" / "report.html").read_text()
    wrong = run(["relate", str(tmp_path / "t.csv"), "--level", "flat", "--response", "bor", "--out",
                 str(tmp_path / "no"), "--reliability", "flat=0.6:0.4"])  # fmt: skip
    assert wrong == 2
    assert run(["reliability", str(tmp_path / "t.csv"), "--level", "flat", "--patient", "id", "--replicate", "flat_b",
                "--out", str(tmp_path / "rel")]) == 0  # fmt: skip
    written = pd.read_csv(tmp_path / "rel" / "reliability.csv").iloc[0]
    assert 0 < written["reliability_low"] < written["reliability"] < written["reliability_high"] < 1
    assert run(["reliability", "--published"]) == 0


def test_estimate_of_a_result_is_taken_as_it_is() -> None:
    table = cohort()
    measured = biomarkers.reliability(table, level="flat", patient="id", replicates=["flat_b"], response="bor")
    row = verdict(ask(levels=["flat"], reliability={"flat": measured}), "flat")
    own = verdict(ask(levels=["flat"], replicates={"flat": "flat_b"}), "flat")
    assert row["reliability"] == pytest.approx(own["reliability"], abs=1e-12)
    from biomarkers.stats import Estimate

    limits = Estimate(row["auc"], row["auc_low90"], row["auc_high90"], 0.90, N, "AUC")  # type: ignore[arg-type]
    assert row["auc_true_low90"] == corrected_auc(limits, reliability=measured.estimate).low
