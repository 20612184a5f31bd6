"""Pooling is sum over sum."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.core.errors import DataError
from biomarkers.score import compute_scores, pool_scores
from tests.score.cells_by_hand import with_bins


def rows(slide, classes, bins, *, assay="22c3", patient="p1", region=None, tumor_mm2=0.5, **more):
    frame = compute_scores(
        with_bins(classes, bins, **more),
        assay=assay,
        slide=slide,
        tissue_mm2=1.0,
        tumor_mm2=tumor_mm2,
        region=region,
        stained_mm2=0.1,
    )
    return frame.assign(patient=patient)


def pooled(*frames, by="patient", **more):
    return pool_scores(pd.concat(frames), by=by, **more).set_index("score")


def test_patient_is_not_the_mean_of_regions():
    small = rows("a", ["tumor"] * 100, [1] * 90 + [0] * 10)
    large = rows("b", ["tumor"] * 900, [1] * 10 + [0] * 890)
    table = pooled(small, large)
    assert table.loc["tps", "value"] == 10
    assert table.loc["tps", ["numerator", "denominator", "n_rows"]].tolist() == [100, 1000, 2]
    assert table.loc["density_per_mm2", "value"] == 50


bins_of_two = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(bins_of_two)
def test_pooling_regions_is_scoring_all_cells_at_once(parts):
    frames = [
        rows(f"s{i}", ["tumor"] * len(part), part, assay="h-dab-membrane", marker="DAB") for i, part in enumerate(parts)
    ]
    together = [level for part in parts for level in part]
    once = rows("all", ["tumor"] * len(together), together, assay="h-dab-membrane", marker="DAB").set_index("score")
    table = pooled(*frames)
    for name in ("positive_fraction", "h_score", "allred", "irs"):
        assert table.loc[name, "value"] == pytest.approx(once.loc[name, "value"]), name
        assert table.loc[name, "ci_low"] == pytest.approx(once.loc[name, "ci_low"], nan_ok=True), name


def test_cps_pools_with_its_interval():
    classes = ["tumor"] * 100 + ["lymphocyte"] * 30
    once = rows("c", classes * 2, ([1] * 20 + [0] * 80 + [1] * 10 + [0] * 20) * 2).set_index("score")
    part = [rows(name, classes, [1] * 20 + [0] * 80 + [1] * 10 + [0] * 20) for name in "ab"]
    table = pooled(*part)
    for column in ("value", "ci_low", "ci_high"):
        assert table.loc["cps", column] == pytest.approx(once.loc["cps", column])


def test_immune_area_pools_areas():
    one = rows("a", ["tumor"] * 60 + ["lymphocyte"] * 40, [0] * 60 + [1] * 40, assay="sp142", tumor_mm2=0.1)
    two = rows("b", ["tumor"] * 60, [0] * 60, assay="sp142", tumor_mm2=0.3)
    table = pooled(one, two)
    assert table.loc["ic_percent", "value"] == pytest.approx(100 * 40 * 150e-6 / 0.4)
    assert table.loc["ic_percent", "ci_low"] < table.loc["ic_percent", "value"] < table.loc["ic_percent", "ci_high"]


def test_regions_too_small_alone_are_enough_together():
    parts = [rows(name, ["tumor"] * 60, [1] * 30 + [0] * 30) for name in "ab"]
    assert (pd.concat(parts).query("score == 'tps'")["status"] == "not_evaluable").all()
    assert pooled(*parts).loc["tps", ["value", "status"]].tolist() == [50, "ok"]
    alone = pooled(parts[0]).loc["tps"]
    assert alone["status"] == "not_evaluable"
    assert math.isnan(alone["value"])
    assert alone["denominator"] == 60


def test_regions_without_classes_are_left_out_and_said():
    known = rows("a", ["tumor"] * 200, [1] * 100 + [0] * 100)
    table = pooled(known, rows("b", ["unknown"] * 200, [1] * 200))
    assert table.loc["tps", "value"] == 50
    assert "1 of 2 regions not counted: cell classes unknown" in table.loc["tps", "reason"]


def test_a_slide_with_a_whole_row_is_not_counted_twice():
    cells = ["tumor"] * 200
    whole = rows("a", cells, [1] * 50 + [0] * 150)
    nest = whole.assign(region="tumor")
    assert pooled(whole, nest).loc["tps", "denominator"] == 200
    by_region = pool_scores(pd.concat([whole, nest]), by=["patient", "region"])
    assert by_region.query("score == 'tps'")["denominator"].tolist() == [200, 200]


def test_bad_tables():
    frame = rows("a", ["tumor"] * 100, [1] * 100)
    with pytest.raises(DataError, match="occurs twice"):
        pooled(frame, frame)
    with pytest.raises(DataError, match="Did you mean 'patient'"):
        pool_scores(frame, by="patien")
    with pytest.raises(DataError, match="empty cells"):
        pool_scores(frame.assign(patient=None), by="patient")


def test_the_urothelial_rule_is_made_anew_from_the_sums():
    def slide(name, tc, lymphocytes, stained):
        classes = ["tumor"] * 200 + ["lymphocyte"] * lymphocytes
        bins = [1] * tc + [0] * (200 - tc) + [1] * stained + [0] * (lymphocytes - stained)
        cells = with_bins(classes, bins, area=100.0)
        return compute_scores(cells, assay="sp263", slide=name, tissue_mm2=0.1, tumor_mm2=0.1).assign(patient="p")

    # 30 % and 10 % of the tumor cells are 20 %; no immune cell is stained
    both = pd.concat([slide("a", 60, 20, 0), slide("b", 20, 20, 0)])
    assert both.query("score == 'urothelial_high'")["value"].tolist() == [1, 0]
    pooled = pool_scores(both, by="patient", assay="sp263").set_index("score")
    assert pooled.loc["tc_percent", "value"] == 20
    assert pooled.loc["urothelial_high", "value"] == 0
    alone = pool_scores(both[both["score"] == "urothelial_high"], by="patient").set_index("score")
    assert "needs tc_percent" in alone.loc["urothelial_high", "reason"]
