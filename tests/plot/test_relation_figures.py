"""Figures of a relation hold what the result says: the artists' data, not pixels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from biomarkers.core.errors import UsageError
from biomarkers.plot.relation import plot_forest, plot_levels, plot_response_rate, plot_roc
from biomarkers.plot.relation_files import save_relation_figures
from biomarkers.plot.relation_power import plot_power
from biomarkers.plot.relation_reliability import plot_reliability
from biomarkers.plot.relation_resolution import attainable_p, plot_resolution
from biomarkers.plot.relation_sensitivity import plot_sensitivity
from biomarkers.plot.relation_survival import plot_survival
from biomarkers.relate import Relation, relate
from biomarkers.relate.power import power
from biomarkers.relate.sensitivity import sensitivity


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    n = 40
    return pd.DataFrame({
        "bor": np.repeat(["PR", "SD", "NE"], [15, 23, 2]),
        "a": np.round(generator.normal(size=n) + np.repeat([0.8, 0.0], [15, 25]), 2),
        "b": np.maximum(generator.normal(size=n), 0).round(2),
        "flat": 1.0,
        "months": generator.exponential(10, size=n) + 0.1,
        "dead": (generator.random(n) < 0.6).astype(int),
        "site": np.where(np.arange(n) % 2, "x", "y"),
    })  # fmt: skip


@pytest.fixture(scope="module")
def relation(table: pd.DataFrame) -> Relation:
    return relate(
        table, levels=["a", "b", "flat"], response="bor", endpoint=["orr", "os"], time="months", event="dead",
        cutoffs={"a": [0.5]}, n_permutations=199,
    )  # fmt: skip


def test_the_forest_shades_the_margin_of_yes_no_end_points_only(relation: Relation) -> None:
    ax = plot_forest(relation)
    shaded = [c for c in ax.collections if c.get_paths()]
    assert len(shaded) == 3  # three biomarkers, objective response
    x = shaded[0].get_paths()[0].vertices[:, 0]
    assert (x.min(), x.max()) == pytest.approx((0.35, 0.65))
    points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    verdicts = relation.verdicts
    np.testing.assert_allclose(points, verdicts["auc"].fillna(verdicts["concordance"]).dropna())
    words = " ".join(text.get_text() for text in ax.texts)
    assert "not testable: every patient has the same level" in words


def test_every_patient_is_a_point(relation: Relation) -> None:
    ax = plot_levels(relation, "a")
    drawn = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "o"])
    known = relation.data["responder"].notna()
    np.testing.assert_allclose(np.sort(drawn), np.sort(relation.data.loc[known, "a"]))


def test_roc_has_the_area_of_the_estimate(relation: Relation) -> None:
    curve = next(line for line in plot_roc(relation, "b").lines if line.get_linestyle() == "-")
    area = np.trapezoid(curve.get_ydata(), curve.get_xdata())
    rows = relation.verdicts
    assert area == pytest.approx(rows[(rows["biomarker"] == "b") & (rows["endpoint"] == "orr")]["auc"].item())


def test_response_rates_are_the_counts(relation: Relation) -> None:
    counts = [text.get_text() for text in plot_response_rate(relation, "a").texts]
    data = relation.data[relation.data["responder"].notna()]
    low, high = data[data["a"] < 0.5], data[data["a"] >= 0.5]
    assert counts == [f"{int(g['responder'].sum())}/{len(g)}" for g in (low, high)]
    # half the patients of b are tied at the bottom: no group below the bottom
    ax = plot_response_rate(relation, "b")
    assert not any(label.get_text() == "< 0" for label in ax.get_xticklabels())


def test_numbers_at_risk_stay_inside_the_axis(relation: Relation) -> None:
    ax = plot_survival(relation, "a")
    at = [float(text.get_position()[0]) for text in ax.texts]
    assert max(at) <= ax.get_xlim()[1]
    n = [int(text.get_text()) for text in ax.texts if text.get_text().isdigit() and text.get_position()[0] == 0]
    assert sum(n) == relation.data[["a", "time", "event"]].dropna().shape[0]


def test_attainable_p_are_those_of_every_relabelling() -> None:
    import itertools

    level = np.array([0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 5.0])
    found, how = attainable_p(level, 3)
    ranks = pd.Series(level).rank().to_numpy()
    sums = np.array([ranks[list(chosen)].sum() for chosen in itertools.combinations(range(7), 3)])
    distance = np.abs(sums - sums.mean())
    by_hand = sorted({round(float((distance >= d - 1e-9).mean()), 9) for d in distance})
    assert how == "exact"
    np.testing.assert_allclose(found, by_hand, atol=1e-9)
    untied = mannwhitneyu([4, 5, 6], [0, 1, 2, 3], method="exact").pvalue
    assert attainable_p(np.arange(7.0), 3)[0][0] == pytest.approx(untied)


def test_the_resolution_says_its_least_p(relation: Relation) -> None:
    assert "least p" in plot_resolution(relation, "a").get_title(loc="left")
    assert "no test is possible" in plot_resolution(relation, "flat").texts[0].get_text()


def test_few_patients_leave_points_and_the_level_of_the_test_inside() -> None:
    few = pd.DataFrame({"level": [1.0, 2.0, 3.0], "bor": ["PR", "PD", "SD"]})
    relation = relate(few, levels=["level"], response="bor", n_permutations=99)
    ax = plot_resolution(relation, "level")
    assert ax.get_title(loc="left").startswith("level: 1 responder and 2 others")
    assert ax.get_xlim()[0] < relation.settings["alpha"]
    points = [line for line in plot_response_rate(relation, "level").lines if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in points] == [100, 0, 0]
    assert not any(line.get_clip_on() for line in points)


def test_the_panel_draws_each_choice(table: pd.DataFrame) -> None:
    panel = sensitivity(table, levels=["a"], response="bor", site="site", cutoffs={"a": [0.5]}, n_permutations=99)
    names = [label.get_text() for label in plot_sensitivity(panel, "a").get_yticklabels()]
    assert names[0] == "as asked"
    assert len(names) == 1 + len(panel.table)
    assert "left out: site x" in names
    with pytest.raises(UsageError, match="no such biomarker"):
        plot_sensitivity(panel, "other")


def test_power_curves_are_the_shares() -> None:
    found = power(30, n_responders=12, thetas=(0.5, 0.7), n_simulations=20, n_permutations=99)
    ax = plot_power(found, margin=0.2)
    rows = found.characteristics[np.isclose(found.characteristics["margin"], 0.2)]
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(drawn["dependent"], rows["dependent"])
    with pytest.raises(UsageError, match="was not simulated"):
        plot_power(found, margin=0.3)


def test_simulated_patients_are_named_on_every_figure(relation: Relation) -> None:
    simulated = dataclasses.replace(relation, simulated=True)
    for ax in (
        plot_forest(simulated), plot_levels(simulated, "a"), plot_roc(simulated, "a"), plot_resolution(simulated, "a"),
        plot_response_rate(simulated, "a"), plot_survival(simulated, "a"),
    ):  # fmt: skip
        assert "SIMULATED" in [text.get_text() for text in ax.texts]


def test_files_are_numbered_and_complete(relation: Relation, tmp_path: Path) -> None:
    files = save_relation_figures(relation, tmp_path)
    assert files[0].name == "00_forest_of_AUCs.png"
    assert sum("_a_" in file.name for file in files) == 6
    assert any(file.name.endswith("_AUC_by_reliability.png") for file in files)
    assert all(file.stat().st_size > 5_000 for file in files)


def test_unknown_biomarkers_stop(relation: Relation) -> None:
    for draw in (plot_levels, plot_roc, plot_response_rate, plot_survival, plot_resolution, plot_reliability):
        with pytest.raises(UsageError, match="no such biomarker"):
            draw(relation, "aa")
