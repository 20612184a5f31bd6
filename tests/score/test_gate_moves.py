"""A gate's uncertainty reaches every score that hangs on it, and no other; no gate means not evaluable."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from biomarkers.core.panel import Panel
from biomarkers.pheno.gates import apply_gates
from biomarkers.score.intervals import wilson
from biomarkers.score.multiplex import positive_counts, score_multiplex_cells
from biomarkers.score.multiplex_slide import phenotyped
from biomarkers.score.regions import regions_from_cells

PANEL = Panel(
    name="p",
    channels={"D": {"marker": "DAPI", "role": "nuclei"}, "A": {"marker": "A"}, "B": {"marker": "B"}},
    phenotypes={"both": "A+ B+", "A only": "A+"},
    scores=[
        {"name": "B in A", "kind": "fraction", "cells": "B+", "of": "A+"},
        {"name": "A", "kind": "density", "cells": "A+"},
        {"name": "both", "kind": "density", "cells": '"both"'},
        {"name": "H", "kind": "h_score", "marker": "B", "of": "A+"},
    ],
)


def measured(n=1000):
    """A runs from 0 to 999 and B from 999 to 0; positions 10 um apart."""
    a = np.arange(n, dtype=float)
    obs = pd.DataFrame({"x_um": 10.0 * a, "y_um": 5.0, "area_um2": 80.0}, index=[str(i) for i in range(n)])
    cells = ad.AnnData(np.column_stack([a, a[::-1]]), obs=obs, obsm={"spatial": obs[["x_um", "y_um"]].to_numpy()})
    cells.var_names = ["A", "B"]
    return cells


def gates(**more):
    table = pd.DataFrame({"slide": "*", "marker": ["A", "B"], "compartment": "cell", "gate": [600.0, 300.0],
                          "gate_2": [800.0, 500.0], "gate_3": [900.0, 700.0], "flags": ""})  # fmt: skip
    for name, values in more.items():
        table[name] = values
    return table


def scored(table, panel=PANEL):
    named, notes = phenotyped(measured(), panel=panel, gates=table, slide="s")
    rows = score_multiplex_cells(named, panel=panel, slide="s", tissue_mm2=2.0)[0].set_index("marker")
    return rows, named, notes


def test_a_gate_without_a_range_leaves_the_interval_of_counting():
    rows, _, _ = scored(gates())
    assert (rows.loc["B in A", "numerator"], rows.loc["B in A", "denominator"]) == (100, 400)
    assert tuple(rows.loc["B in A", ["ci_low", "ci_high"]]) == pytest.approx(wilson(100, 400))


def test_a_range_widens_what_hangs_on_it_by_hand():
    plain, _, _ = scored(gates())
    rows, _, _ = scored(gates(gate_low=[600, 280], gate_high=[600, 340]))
    # B >= 280 in A+ (600..999): B = 999 - a, so a <= 719: 120 of 400; B >= 340: a <= 659: 60 of 400
    low, high = wilson(100, 400)
    assert rows.loc["B in A", "ci_high"] == pytest.approx(0.25 + np.hypot(high - 0.25, 120 / 400 - 0.25))
    assert rows.loc["B in A", "ci_low"] == pytest.approx(0.25 - np.hypot(0.25 - low, 0.25 - 60 / 400))
    assert rows.loc["B in A", "value"] == 0.25
    assert tuple(rows.loc["A", ["ci_low", "ci_high"]]) == tuple(plain.loc["A", ["ci_low", "ci_high"]])
    for name in ("both", "H"):
        assert rows.loc[name, "ci_high"] > plain.loc[name, "ci_high"]
        assert rows.loc[name, "ci_low"] < plain.loc[name, "ci_low"]


def test_the_range_of_another_gate_than_the_one_written_in_counts_for_nothing():
    rows, _, _ = scored(gates(gate_low=[600, 10], gate_high=[600, 20]))
    assert tuple(rows.loc["B in A", ["ci_low", "ci_high"]]) == pytest.approx(wilson(100, 400))


def test_what_hangs_on_a_marker_without_a_gate_is_not_evaluable():
    rows, named, notes = scored(gates(gate=[600.0, np.nan], gate_2=np.nan, gate_3=np.nan, flags=["", "one population"]))
    assert rows.loc["A", ["status", "value"]].tolist() == ["ok", 200.0]
    for name in ("B in A", "both", "H"):
        assert rows.loc[name, "status"] == "not_evaluable"
        assert "no gate of B could be told (one population)" in rows.loc[name, "reason"]
        assert np.isnan(rows.loc[name, "value"])
    assert notes == ["no gate of B: one population"]
    assert positive_counts(named, "B") == (None, None, None)
    assert positive_counts(named, "A")[0] == 400


def test_a_rule_that_no_cell_can_meet_hangs_on_no_gate():
    """Nobody is A+, so whether B has a gate changes nothing: none is both."""
    rows, _, _ = scored(gates(gate=[5000.0, np.nan], gate_2=np.nan, gate_3=np.nan))
    assert rows.loc["both", ["status", "value"]].tolist() == ["ok", 0.0]


def test_phenotypes_of_another_program_are_kept_for_rules_that_ask_them():
    cells = measured(4)
    cells.obs["phenotype"] = ["CK+", "CK+", "T", "T"]
    panel = PANEL.model_copy(update={"phenotypes": {"tumor": "CK+ A+"}, "scores": PANEL.scores[1:2]})
    table = gates(gate=[1.0, 9.0], gate_2=np.nan, gate_3=np.nan, gate_low=[0.0, 9.0], gate_high=[2.0, 9.0])
    named, _ = phenotyped(cells, panel=panel, gates=table, slide="s")
    assert named.obs["phenotype"].astype(str).tolist() == ["other", "tumor", "other", "other"]
    assert score_multiplex_cells(named, panel=panel, slide="s", tissue_mm2=1.0)[0]["status"].tolist() == ["ok"]


def test_cells_that_are_left_out_are_in_no_count():
    cells = apply_gates(measured(), gates())
    cells.obs["excluded"] = np.arange(1000) >= 700
    rows = score_multiplex_cells(cells, panel=PANEL.model_copy(update={"scores": PANEL.scores[:2]}), slide="s",
                                 tissue_mm2=1.0)[0].set_index("marker")  # fmt: skip
    assert rows.loc["A", "numerator"] == positive_counts(cells, "A")[0] == 100


@pytest.mark.parametrize(("reach", "counted"), [(550.0, 2), (50.0, 1), (float("inf"), 3)])
def test_immune_cells_out_of_reach_of_tumour_are_not_in_a_cps(reach, counted):
    """Tumour at 0; stained immune cells at 10, 400 and 2,000 um."""
    obs = pd.DataFrame({"x_um": [0.0, 10, 400, 2000], "y_um": 0.0, "CK_positive": [True, False, False, False],
                        "CD3_positive": [False, True, True, True], "PD-L1_positive": [False, True, True, True]},
                       index=list("abcd"))  # fmt: skip
    score = {"name": "CPS", "kind": "cps", "marker": "PD-L1", "of": "CK+", "cells": "CD3+", "min_cells": 1,
             "reach_um": reach}  # fmt: skip
    panel = Panel(name="p", channels={"D": {"marker": "DAPI", "role": "nuclei"}}, scores=[score])
    row = score_multiplex_cells(ad.AnnData(np.zeros((4, 0)), obs=obs), panel=panel, slide="s")[0].iloc[0]
    assert row["numerator"] == counted
    assert ("not counted" in row["reason"]) == (counted < 3)


@pytest.mark.parametrize(("ungated", "reason"), [(False, "no tumor cells"), (True, "no gate of A could be told")])
def test_a_region_that_an_image_does_not_have_is_not_evaluable_with_the_reason(ungated, reason):
    table = gates(gate=[np.nan if ungated else 5000.0, 300.0], gate_2=np.nan, gate_3=np.nan)
    panel = PANEL.model_copy(update={"classes": {"tumor": "A+"}, "scores": PANEL.scores[1:2]})
    named, _ = phenotyped(measured(), panel=panel, gates=table, slide="s")
    regions = regions_from_cells(named, size_um=(10, 10_000), margin_um=50)
    rows = score_multiplex_cells(named, panel=panel, slide="s", regions=regions)[0].set_index("region")
    assert rows.loc["all", "status"] == ("not_evaluable" if ungated else "ok")
    for region in ("tumor", "stroma", "margin"):
        assert rows.loc[region, ["status", "reason"]].tolist() == ["not_evaluable", f"no {region} region: {reason}"]
