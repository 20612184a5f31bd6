"""The sensitivity panel, the tipping point, and the screen of many genes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.relate import relate
from biomarkers.relate.missing import auc_bounds, tipping_point
from biomarkers.relate.screen import SCREEN_COLUMNS, screen
from biomarkers.relate.sensitivity import SENSITIVITY_COLUMNS, sensitivity
from biomarkers.stats.ranks import wilcoxon_rank_sum
from biomarkers.stats.roc import auc


def table(n: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(2)
    yes = np.arange(n) < 20
    frame = pd.DataFrame({
        "bor": np.where(yes, np.where(np.arange(n) < 6, "CR", "PR"), np.where(np.arange(n) % 7, "PD", "NE")),
        "a": np.round(generator.normal(size=n) + 1.2 * yes, 2), "site": np.array(["x", "y", "z"])[np.arange(n) % 3],
    })  # fmt: skip
    frame.loc[[4, 9, 30], "a"] = np.nan
    return frame


def test_every_choice_is_the_answer_to_that_question() -> None:
    found = sensitivity(table(), levels=["a"], response="bor", site="site", cutoffs={"a": [0.5]}, n_permutations=199)
    rows = found.table.set_index(["choice", "setting"])
    assert tuple(found.table.columns) == SENSITIVITY_COLUMNS
    without = relate(table().query("site != 'y'"), levels=["a"], response="bor", n_permutations=199).verdicts.iloc[0]
    assert rows.loc[("left out", "site y"), "auc"] == without["auc"]
    assert rows.loc[("left out", "site y"), "p_dependence"] == without["p_dependence"]
    complete = relate(table(), levels=["a"], response="bor", responders=["CR"], n_permutations=199).verdicts.iloc[0]
    assert rows.loc[("response", "CR = response"), "auc"] == complete["auc"]
    assert rows.loc[("cut-off", "a >= 0.5"), "n"] == 51
    assert "as asked" in found.explain() or "under all" in found.explain()
    assert "<table" in found._repr_html_()


def test_the_other_rule_for_ne_is_the_other_one() -> None:
    usual = sensitivity(table(), levels=["a"], response="bor", n_permutations=99).table["setting"]
    turned = sensitivity(table(), levels=["a"], response="bor", not_evaluable="nonresponder", n_permutations=99).table
    assert "NE counts as no response" in set(usual)
    assert "NE is left out" in set(turned["setting"])


def test_the_panel_keeps_its_own_options() -> None:
    with pytest.raises(UsageError, match="one end point"):
        sensitivity(table(), levels=["a"], response="bor", endpoint=["orr", "dcr"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="does not know"):
        sensitivity(table(), levels=["a"], response="bor", colour="red")
    with pytest.raises(UsageError, match="needs levels"):
        sensitivity(table(), response="bor")


def test_a_cohort_gives_the_table_s_panel() -> None:
    anndata = pytest.importorskip("anndata")
    frame = table().dropna(subset=["a"]).reset_index(drop=True)
    obs = pd.DataFrame(
        {"patient": [f"P{i}" for i in frame.index], "timepoint": "baseline", "response": frame["bor"].to_numpy()},
        index=[f"s{i}" for i in frame.index],
    )
    cohort = anndata.AnnData(X=frame[["a"]].to_numpy(), obs=obs, var=pd.DataFrame(index=["a"]))
    one = sensitivity(cohort, n_permutations=99).table.drop(columns="note")
    two = sensitivity(frame, levels=["a"], response="bor", n_permutations=99).table.drop(columns="note")
    pd.testing.assert_frame_equal(one, two)


def test_bounds_hold_for_any_filling() -> None:
    generator = np.random.default_rng(0)
    yes, no = generator.normal(size=8), generator.normal(size=11)
    low, high = auc_bounds(auc(yes, no), known=(8, 11), missing=(2, 3))
    for _ in range(200):
        filled = auc(np.append(yes, 9 * generator.normal(size=2)), np.append(no, 9 * generator.normal(size=3)))
        assert low - 1e-12 <= filled <= high + 1e-12


def test_the_tipping_point_is_the_first_change() -> None:
    yes, no = np.arange(10.0) + 3, np.arange(12.0)

    def conclude(a: np.ndarray, b: np.ndarray) -> str:
        return "high" if auc(a, b) > 0.6 else "low"

    assert conclude(yes, no) == "high"
    tip = tipping_point(yes, no, missing=(4, 4), conclude=conclude)
    assert tip < 0  # missing responders have to stand low
    pooled = np.concatenate([yes, no])

    def at(q: float) -> str:
        up, down = np.quantile(pooled, [0.5 + q, 0.5 - q], method="inverted_cdf")
        return conclude(np.append(yes, [up] * 4), np.append(no, [down] * 4))

    assert at(tip) == "low"
    assert at(tip + 0.01) == "high"
    assert np.isnan(tipping_point(yes, no, missing=(0, 0), conclude=conclude))


def test_a_screen_is_many_rank_tests() -> None:
    generator = np.random.default_rng(1)
    genes = pd.DataFrame(np.round(generator.normal(size=(24, 30)), 1), columns=[f"g{i}" for i in range(30)])
    yes = np.arange(24) < 9
    genes["g3"] += 3.0 * yes
    genes["flat"] = 1.0
    found = screen(genes, yes, n_permutations=4_999)
    assert tuple(found.columns) == SCREEN_COLUMNS
    assert found["biomarker"].iloc[0] == "g3"
    rows = found.set_index("biomarker")
    assert rows.loc["flat", "note"].startswith("constant")
    for name in ("g0", "g7", "g12"):
        exact = wilcoxon_rank_sum(genes.loc[yes, name], genes.loc[~yes, name], method="exact").p
        assert abs(rows.loc[name, "p"] - exact) < 4 * np.sqrt(exact * (1 - exact) / 5_000)
        assert rows.loc[name, "auc"] == pytest.approx(auc(genes.loc[yes, name], genes.loc[~yes, name]))
    tested = found.dropna(subset=["p"])
    assert (tested["p_max_t"] >= tested["p"] - 1e-12).all()
    assert tested["p_max_t"].is_monotonic_increasing


def test_a_screen_is_blind_to_order_and_scale() -> None:
    generator = np.random.default_rng(4)
    genes = pd.DataFrame(generator.normal(size=(20, 12)), columns=list("abcdefghijkl"))
    yes = pd.Series(np.arange(20) % 3 == 0)
    base = screen(genes, yes, n_permutations=199).set_index("biomarker").sort_index()
    order = generator.permutation(20)
    moved = screen(np.exp(genes.iloc[order, ::-1]), yes.iloc[order], n_permutations=199)
    pd.testing.assert_frame_equal(moved.set_index("biomarker").sort_index(), base, rtol=1e-12)


def test_a_screen_refuses_gaps_and_one_class() -> None:
    genes = pd.DataFrame({"a": [1.0, 2, np.nan, 4], "b": [1.0, 2, 3, 4]})
    with pytest.raises(DataError, match="missing"):
        screen(genes, [1, 0, 1, 0])
    with pytest.raises(DataError, match="one group"):
        screen(genes[["b"]], [1, 1, 1, 1])
    with pytest.raises(DataError, match="text"):
        screen(pd.DataFrame({"a": ["x", "y"]}), [0, 1])
