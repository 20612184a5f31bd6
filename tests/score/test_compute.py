"""Called cells to tidy rows: definitions, adequacy, reasons, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.core import keys
from biomarkers.core.config import assay_names, load_assay
from biomarkers.core.errors import DataError, UsageError
from biomarkers.score import SCORES, category, compute_scores, score_table
from biomarkers.score.tally import within_reach
from tests.score.cells_by_hand import make_cells, with_bins


def scored(cells, assay="22c3", **more):
    more = {"tissue_mm2": 2.0, "slide": "s", **more}
    return compute_scores(cells, assay=assay, **more).set_index("score")


def test_tps_and_cps_by_hand():
    # 200 tumor cells, 60 stained; 40 lymphocytes and 10 macrophages of which 30 stained; stained stroma never counts
    classes = ["tumor"] * 200 + ["lymphocyte"] * 40 + ["macrophage"] * 10 + ["stroma"] * 20
    bins = [1] * 30 + [2] * 20 + [3] * 10 + [0] * 140 + [1] * 25 + [0] * 15 + [3] * 5 + [0] * 5 + [2] * 20
    rows = scored(with_bins(classes, bins))
    assert rows.loc["tps", ["value", "numerator", "denominator"]].tolist() == [30, 60, 200]
    assert rows.loc["cps", ["value", "numerator", "denominator"]].tolist() == [45, 90, 200]
    assert rows.loc["h_score", "value"] == (30 + 40 + 30) / 2
    assert rows.loc["density_per_mm2", "value"] == (60 + 30 + 20) / 2
    assert rows.loc["positive_fraction", "value"] == 0.3
    assert rows.loc["cps", "ci_low"] < 45 < rows.loc["cps", "ci_high"]
    assert set(rows["status"]) <= {"ok", "not_evaluable"}


def test_cps_is_capped_and_the_uncapped_is_kept():
    rows = scored(with_bins(["tumor"] * 100 + ["macrophage"] * 100, [3] * 200))
    assert rows.loc["cps", "value"] == 100
    assert rows.loc["cps_uncapped", "value"] == 200
    assert rows.loc["cps", "ci_high"] == 100


def test_fewer_than_100_tumor_cells_is_not_evaluable_with_counts():
    rows = scored(with_bins(["tumor"] * 99, [1] * 99))
    assert rows.loc["tps", "status"] == "not_evaluable"
    assert math.isnan(rows.loc["tps", "value"])
    assert rows.loc["tps", ["numerator", "denominator"]].tolist() == [99, 99]
    assert "99 tumor cells, at least 100" in rows.loc["tps", "reason"]
    assert scored(with_bins(["tumor"] * 100, [1] * 100)).loc["tps", "value"] == 100


def test_sp142_needs_50_tumor_cells_and_a_tumor_area():
    classes, bins = ["tumor"] * 50 + ["lymphocyte"] * 10, [0] * 50 + [1] * 10
    cells = with_bins(classes, bins, area=100.0)
    rows = scored(cells, "sp142", tumor_mm2=0.02)
    assert rows.loc["tc_percent", "value"] == 0
    assert rows.loc["ic_percent", "value"] == pytest.approx(100 * 10 * 100e-6 / 0.02)
    assert rows.loc["ic_percent", "ci_low"] < 5 < rows.loc["ic_percent", "ci_high"]
    assert scored(cells, "sp142").loc["ic_percent", "reason"] == "no tumor area"
    assert scored(with_bins(["tumor"] * 49, [0] * 49), "sp142").loc["tc_percent", "status"] == "not_evaluable"


def test_unknown_classes_give_reasons_not_numbers():
    rows = scored(with_bins(["unknown"] * 300, [1] * 300))
    for name in ("tps", "cps", "cps_uncapped"):
        assert rows.loc[name, "status"] == "not_evaluable"
        assert "cell classes unknown" in rows.loc[name, "reason"]
        assert math.isnan(rows.loc[name, "denominator"])
    assert rows.loc["positive_fraction", "value"] == 1
    assert rows.loc["positive_fraction", "reason"] == "cell classes unknown: cells of any class counted"


def test_classes_that_cannot_tell_immune_cells_give_tps_but_no_cps():
    cells = with_bins(["tumor"] * 120, [1] * 120)
    cells.uns["class_source"] = {"method": "assumed", "classes": ["tumor"]}
    rows = scored(cells)
    assert rows.loc["tps", "value"] == 100
    assert rows.loc["cps", "status"] == "not_evaluable"
    assert "immune cells not told apart" in rows.loc["cps", "reason"]


def test_no_cells_at_all():
    rows = scored(with_bins([], []))
    assert (rows.loc[["tps", "h_score", "positive_fraction"], "reason"] == "no cells").all()
    # zero cells on a known area is a measured zero with an upper bound
    assert rows.loc["density_per_mm2", "value"] == 0
    assert rows.loc["density_per_mm2", "ci_high"] == pytest.approx(3.6889 / 2, abs=1e-4)
    assert scored(with_bins([], []), tissue_mm2=0.0).loc["density_per_mm2", "status"] == "not_evaluable"


def test_excluded_cells_and_regions():
    cells = with_bins(["tumor"] * 300, [1] * 150 + [0] * 150)
    cells.obs["excluded"] = [True] * 100 + [False] * 200
    cells.obs["region"] = ["necrosis"] * 100 + ["tumor"] * 100 + ["stroma"] * 100
    rows = scored(cells)
    assert rows.loc["tps", ["numerator", "denominator"]].tolist() == [50, 200]
    assert scored(cells, region="tumor").loc["tps", "value"] == 50
    assert scored(cells, region="tumor").loc["tps", "region"] == "tumor"
    assert scored(cells, region="stroma").loc["tps", "value"] == 0


def test_immune_cells_far_from_tumor_do_not_count():
    assay = load_assay("22c3")
    x = [*np.zeros(100), 549.0, 551.0]
    cells = with_bins(["tumor"] * 100 + ["lymphocyte"] * 2, [0] * 100 + [1, 1], x=x)
    assert within_reach(cells, assay=assay).tolist() == [True] * 101 + [False]
    rows = scored(cells)
    assert rows.loc["cps", "value"] == 1
    assert "1 stained immune cell farther than 550 um" in rows.loc["cps", "reason"]


def test_pd1_counts_lymphocytes_and_needs_50():
    cells = with_bins(["lymphocyte"] * 49 + ["tumor"] * 200, [1] * 49 + [2] * 200, marker="PD-1")
    rows = scored(cells, "pd-1")
    assert rows.loc["positive_fraction", "status"] == "not_evaluable"
    assert "49 lymphocyte cells" in rows.loc["positive_fraction", "reason"]
    assert rows.loc["density_per_mm2", "value"] == 49 / 2
    unknown = scored(with_bins(["unknown"] * 80, [1] * 20 + [0] * 60, marker="PD-1"), "pd-1")
    assert unknown.loc["density_per_mm2", "value"] == 10
    assert "any class" in unknown.loc["density_per_mm2", "reason"]
    # annotated tissue tells tumor from stroma but not who is a lymphocyte
    drawn = with_bins(["tumor"] * 60 + ["stroma"] * 60, [1] * 30 + [0] * 90, marker="PD-1")
    drawn.uns["class_source"] = {"method": "annotations", "classes": ["tumor", "stroma"]}
    rows = scored(drawn, "pd-1")
    assert rows.loc["density_per_mm2", "value"] == 15
    assert rows.loc["density_per_mm2", "reason"] == "lymphocytes not told apart: cells of any class counted"


def sp263(*, tc, lymphocytes=0, stained=0, tumor_mm2=0.1):
    """1000 tumor cells, ``tc`` of them stained, and lymphocytes of 100 um2 each."""
    classes = ["tumor"] * 1000 + ["lymphocyte"] * lymphocytes
    bins = [1] * tc + [0] * (1000 - tc) + [1] * stained + [0] * (lymphocytes - stained)
    return scored(with_bins(classes, bins, area=100.0), "sp263", tumor_mm2=tumor_mm2)


@pytest.mark.parametrize(
    ("tc", "lymphocytes", "stained", "high"),
    [
        (250, 0, 0, 1),  # 25 % of the tumor cells
        (249, 0, 0, 0),
        (0, 40, 10, 1),  # ICP 4 %, IC+ 25 %
        (0, 40, 9, 0),
        (0, 10, 10, 1),  # ICP 1 %, IC+ 100 %
        (0, 10, 9, 0),
        (0, 11, 3, 1),  # ICP 1.1 %, IC+ 27 %
        (0, 4, 4, 0),  # ICP 0.4 %
    ],
)
def test_the_urothelial_rule_of_sp263(tc, lymphocytes, stained, high):
    rows = sp263(tc=tc, lymphocytes=lymphocytes, stained=stained)
    assert rows.loc["urothelial_high", "value"] == high
    assert rows.loc["urothelial_high", ["numerator", "denominator"]].tolist() == [tc, 1000]
    assert rows.loc["icp_percent", "value"] == pytest.approx(lymphocytes * 100e-6 / 0.1 * 100)
    if lymphocytes:
        assert rows.loc["ic_positive_percent", "value"] == pytest.approx(100 * stained / lymphocytes)
    else:
        assert rows.loc["ic_positive_percent", "reason"] == "no immune cells in or next to tumor"


def test_the_urothelial_rule_without_immune_cells_told_apart():
    def rows(tc):
        cells = with_bins(["tumor"] * 200, [1] * tc + [0] * (200 - tc))
        cells.uns["class_source"] = {"method": "assumed", "classes": ["tumor"]}
        return scored(cells, "sp263", tumor_mm2=0.1)

    assert rows(50).loc["urothelial_high", "value"] == 1  # the tumor cells decide alone
    low = rows(49).loc["urothelial_high"]
    assert low["status"] == "not_evaluable"
    assert "immune cells not told apart" in low["reason"]
    few = scored(with_bins(["tumor"] * 99, [1] * 99), "sp263", tumor_mm2=0.1)
    assert few.loc["urothelial_high", "status"] == "not_evaluable"


def test_tap_like_adds_the_areas_of_both():
    rows = sp263(tc=100, lymphocytes=50, stained=20, tumor_mm2=0.2)
    assert rows.loc["tap_like", "value"] == pytest.approx(100 * (100 + 20) * 100e-6 / 0.2)
    assert rows.loc["tap_like", "denominator"] == 0.2


def test_pd1_high_cells_are_those_of_the_highest_bin():
    cells = with_bins(["lymphocyte"] * 60 + ["tumor"] * 10, [3] * 6 + [1] * 24 + [0] * 30 + [3] * 10, marker="PD-1")
    rows = scored(cells, "pd-1")
    assert rows.loc["high_fraction", ["value", "numerator", "denominator"]].tolist() == [0.1, 6, 60]
    assert rows.loc["high_density_per_mm2", "value"] == 3
    few = scored(with_bins(["lymphocyte"] * 49, [3] * 49, marker="PD-1"), "pd-1")
    assert few.loc["high_fraction", "status"] == "not_evaluable"


def test_stained_area_needs_a_map():
    cells = with_bins(["tumor"] * 100, [0] * 100)
    assert scored(cells, stained_mm2=0.5).loc["dab_area_percent", "value"] == 25
    assert scored(cells).loc["dab_area_percent", "status"] == "not_evaluable"


classes_and_bins = st.lists(
    st.tuples(st.sampled_from(["tumor", "lymphocyte", "macrophage", "stroma"]), st.integers(0, 3)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=30, deadline=None)
@given(classes_and_bins, st.randoms(use_true_random=False))
def test_order_of_cells_and_the_definitions(drawn, shuffle):
    assay = load_assay("22c3").model_copy(update={"min_cells": {}})
    cells = with_bins([name for name, _ in drawn], [level for _, level in drawn])
    order = list(range(len(drawn)))
    shuffle.shuffle(order)
    rows, moved = scored(cells, assay, tumor_mm2=1.0), scored(cells[order].copy(), assay, tumor_mm2=1.0)
    assert rows.equals(moved)
    vtc = [level for name, level in drawn if name == "tumor"]
    mic = sum(level > 0 for name, level in drawn if name in ("lymphocyte", "macrophage"))
    if not vtc:
        assert (rows.loc[["tps", "cps"], "status"] == "not_evaluable").all()
        return
    tc = sum(level > 0 for level in vtc)
    assert rows.loc["tps", "value"] == pytest.approx(100 * tc / len(vtc))
    assert rows.loc["cps", "value"] == pytest.approx(min(100, 100 * (tc + mic) / len(vtc)))
    assert rows.loc["cps", "value"] >= rows.loc["tps", "value"]
    assert rows.loc["h_score", "value"] == pytest.approx(100 * sum(vtc) / len(vtc))


def test_uncalled_cells_and_unknown_scores_are_refused():
    with pytest.raises(DataError, match="PD-L1_bin"):
        scored(make_cells(["tumor"]))
    with pytest.raises(UsageError, match="Did you mean 'tps'"):
        scored(with_bins(["tumor"], [1]), scores=["tpss"])


def test_every_score_of_every_assay_is_registered_and_described():
    table = score_table()
    assert list(table["score"]) == list(SCORES)
    assert (table[["title", "definition", "unit", "range", "source"]] != "").all(axis=None)
    used = {name for assay in assay_names() for name in load_assay(assay).scores}
    assert used == set(SCORES)


def test_rows_have_the_columns_of_the_contract():
    assert (
        tuple(compute_scores(with_bins([], []), assay="22c3", slide="s", tissue_mm2=1.0).columns) == keys.SCORE_COLUMNS
    )


@pytest.mark.parametrize(
    ("score", "value", "assay", "expected"),
    [
        ("tps", 0.99, "22c3", "< 1"),
        ("tps", 1.0, "22c3", "1 to < 50"),
        ("tps", 50.0, "22c3", ">= 50"),
        ("tc_percent", 49.9, "sp142", "TC2"),
        ("ic_percent", 0.2, "sp142", "IC0"),
        ("ic_percent", 10.0, "sp142", "IC3"),
        ("h_score", 100.0, "22c3", ""),
        ("tps", math.nan, "22c3", ""),
    ],
)
def test_category(score, value, assay, expected):
    assert category(score, value, assay=assay) == expected


def test_a_bin_that_does_not_exist_is_refused():
    cells = with_bins(["tumor"] * 3, [0, 1, 4])
    with pytest.raises(DataError, match=r"no such intensity bin") as said:
        scored(cells)
    assert "PD-L1_bin" in str(said.value)
    assert "4" in str(said.value)
