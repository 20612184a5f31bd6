"""From a rendered scene to scores: planted fractions and densities come back; counting says how sure they are."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from biomarkers.core.errors import UsageError
from biomarkers.core.panel import Panel, PanelScore
from biomarkers.score.gate_page import gate_page
from biomarkers.score.multiplex import panel_scores, ratio_interval, score_multiplex_cells
from biomarkers.score.multiplex_slide import phenotyped, reapply_gates, score_multiplex
from biomarkers.score.regions import regions_from_cells
from biomarkers.simulate import plant_multiplex, render_if, scene_truth, simulate_scene, write_if

MARKERS = ("PD-L1", "CK", "CD8", "PD-1", "CD3", "FOXP3")
PLACES = {"CK": "cytoplasm", "FOXP3": "nucleus"}
CHANNELS = {
    "DAPI": {"marker": "DAPI", "role": "nuclei"},
    "AF": {"marker": "AF", "role": "autofluorescence"},
    **{name: {"marker": name, "compartment": PLACES.get(name, "membrane")} for name in MARKERS},
}
SCORES = [
    {"name": "CTL", "kind": "density", "cells": "CTL", "cutoff": 5},
    {"name": "PD-1 in T cells", "kind": "fraction", "cells": "PD-1+", "of": "CD3+"},
    {"name": "PD-L1", "kind": "tps", "marker": "PD-L1", "of": "tumor", "cutoff": 1},
    {"name": "PD-L1", "kind": "cps", "marker": "PD-L1", "of": "tumor", "cells": "CD3+"},
    {"name": "PD-L1", "kind": "h_score", "marker": "PD-L1", "of": "tumor"},
    {"name": "Treg:CTL", "kind": "ratio", "cells": "Treg", "of": "CTL", "cutoff": 1, "sign": "<"},
]
PANEL = Panel(
    name="sim",
    channels=CHANNELS,
    phenotypes={"Treg": "CD3+ FOXP3+", "CTL": "CD3+ CD8+", "other T": "CD3+", "tumor": "CK+"},
    classes={"lymphocyte": "CD3+", "tumor": "CK+"},
    scores=SCORES,
)


def called(**columns):
    """Cells that were called by hand, in a row 10 um apart."""
    n = len(next(iter(columns.values())))
    obs = pd.DataFrame({f"{name}_positive": np.array(flags, bool) for name, flags in columns.items()})
    obs["x_um"], obs["y_um"], obs["area_um2"] = 10.0 * np.arange(n) + 5, 50.0, 80.0
    obs.index = obs.index.astype(str)
    return ad.AnnData(np.zeros((n, 0)), obs=obs, obsm={"spatial": obs[["x_um", "y_um"]].to_numpy()})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    scene = plant_multiplex(
        simulate_scene(rng=12, size_px=512, mpp=0.5, tps=40, lymphocytes_per_mm2=1200, pd1_share=0.4), rng=12
    )
    path = tmp_path_factory.mktemp("if") / "simulated.ome.tif"
    image = render_if(scene, markers=MARKERS, rng=12)
    write_if(path, image)
    panel = PANEL.model_copy(update={"bleed_through": image.bleed_through})
    return scene, path, panel, score_multiplex(path, panel=panel)


@pytest.mark.slow
def test_planted_levels_come_back(made):
    scene, _, _, result = made
    whole = result.scores[result.scores["region"] == "all"].set_index(["marker", "score"])["value"]
    cells = scene.cells
    assert whole["PD-L1", "tps"] == pytest.approx(scene_truth(scene, marker="PD-L1")["tps"], abs=5)
    t_cells = cells["CD3"].to_numpy()
    assert whole["PD-1 in T cells", "positive_fraction"] == pytest.approx(
        (cells["PD-1_bin"] > 0).to_numpy()[t_cells].mean(), abs=0.05
    )
    ctl = (cells["CD8"] & ~cells["FOXP3"]).sum()
    assert whole["CTL", "density_per_mm2"] == pytest.approx(ctl / scene.area_mm2, rel=0.12)
    assert whole["PD-L1", "cps"] >= whole["PD-L1", "tps"]
    assert result.regions.area_mm2("all") == pytest.approx(scene.area_mm2, rel=0.03)
    assert result.regions.area_mm2("tumor") == pytest.approx(scene.tumor_mask.mean() * scene.area_mm2, rel=0.15)


@pytest.mark.slow
def test_a_result_has_the_shape_of_a_brightfield_one(made):
    _, _, _, result = made
    assert {"raw_mean", "nucleus_mean", "membrane_upper"} <= set(result.cells.layers)
    assert set(result.cells.obs["cell_class"].unique()) <= {"tumor", "lymphocyte", "unknown"}
    assert set(result.cells.obs["region"]) == {"tumor", "stroma"}
    regions = result.scores.set_index(["score", "marker", "region"])["numerator"]
    parts = regions["density_per_mm2", "CTL", "tumor"] + regions["density_per_mm2", "CTL", "stroma"]
    assert parts == regions["density_per_mm2", "CTL", "all"]
    assert result.overlay().size[0] >= 512
    assert len(result.geojson()["features"]) == result.cells.n_obs == len(result.cells_table())
    assert result.row["PD-L1 present"] == "positive"


@pytest.mark.slow
def test_a_page_shows_the_cells_beside_each_gate(made):
    *_, result = made
    page = gate_page(result)
    assert page.count("<section>") == page.count("<svg") == len(MARKERS)
    assert page.count("data:image/png;base64,") == 2 * len(MARKERS)
    assert "Research use only" in page
    gate = result.gates.set_index("marker").loc["PD-L1"]
    assert f"PD-L1: {100 * gate['fraction']:.1f}% positive" in page
    hostile = result.gates.assign(flags="<script>alert(1)</script>", gate_low=np.nan, gate_high=np.nan)
    lifted = hostile.assign(gate=1e6, gate_2=2e6, gate_3=3e6)  # nobody is positive
    page = gate_page(reapply_gates(result, gates=lifted))
    assert "<script>" not in page
    assert page.count("data:image/png;base64,") == len(MARKERS)


@pytest.mark.slow
def test_gates_of_a_table_hold(made):
    _, path, panel, result = made
    gates = result.gates.copy()
    gates.loc[gates["marker"] == "PD-L1", ["gate", "gate_2", "gate_3"]] = [1e6, 2e6, 3e6]
    again = score_multiplex(path, panel=panel, gates=gates)
    tps = again.scores[(again.scores["score"] == "tps") & (again.scores["region"] == "all")].iloc[0]
    assert (tps["value"], tps["numerator"]) == (0, 0)
    assert 0 < tps["ci_high"] < 2
    assert again.row["PD-L1 present"] == "negative"


def test_no_cell_seen_has_an_upper_bound():
    cells = called(CD8=[0] * 100)
    panel = Panel(name="p", channels={"D": {"marker": "DAPI", "role": "nuclei"}},
                  scores=[{"name": "CD8", "kind": "density", "cells": "CD8+", "cutoff": 1}])  # fmt: skip
    scores, components = score_multiplex_cells(cells, panel=panel, slide="s", tissue_mm2=1.0)
    assert scores.loc[0, ["value", "ci_low"]].tolist() == [0, 0]
    assert scores.loc[0, "ci_high"] == pytest.approx(3.689, abs=0.001)
    assert components.loc[0, ["call", "certain"]].tolist() == ["negative", False]
    assert "holds the cut-off" in components.loc[0, "reason"]


def test_shares_of_few_cells_are_not_evaluable_with_their_counts():
    cells = called(CD3=[1] * 49 + [0], PD=[1] * 10 + [0] * 40)
    panel = Panel(name="p", channels={"D": {"marker": "DAPI", "role": "nuclei"}},
                  scores=[{"name": "PD", "kind": "fraction", "cells": "PD+", "of": "CD3+", "cutoff": 0.1}])  # fmt: skip
    scores, components = score_multiplex_cells(cells, panel=panel, slide="s")
    row = scores.iloc[0]
    assert (row["status"], row["numerator"], row["denominator"]) == ("not_evaluable", 10, 49)
    assert np.isnan(row["value"])
    assert "49 CD3+ cells, at least 50 needed" in row["reason"]
    assert components["call"].tolist() == ["not evaluable"]


def test_a_ratio_without_divisor_is_not_evaluable():
    cells = called(A=[1] * 5, B=[0] * 5)
    panel = Panel(name="p", channels={"D": {"marker": "DAPI", "role": "nuclei"}},
                  scores=[{"name": "A:B", "kind": "ratio", "cells": "A+", "of": "B+"}])  # fmt: skip
    row = score_multiplex_cells(cells, panel=panel, slide="s")[0].iloc[0]
    assert row["status"] == "not_evaluable"
    assert "no B+ cells to divide by (5 A+ cells)" in row["reason"]


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_interval_of_a_ratio_is_that_of_a_share(first, second):
    low, high = ratio_interval(first, second)
    share = binomtest(first, first + second).proportion_ci(method="exact")
    assert low == pytest.approx(share.low / (1 - share.low), rel=1e-6, abs=1e-9)
    assert high == pytest.approx(share.high / (1 - share.high), rel=1e-6)
    assert low <= first / second <= high


def test_the_margin_lies_on_both_sides_of_the_border():
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(5, 800, 10.0), np.arange(5, 400, 10.0)))
    obs = pd.DataFrame({"x_um": x, "y_um": y, "area_um2": 100.0})
    obs["cell_class"] = np.where(x < 400, "tumor", "stroma")
    cells = ad.AnnData(np.zeros((len(x), 0)), obs=obs.set_index(obs.index.astype(str)))
    regions = regions_from_cells(cells, size_um=(400, 800), margin_um=60)
    assert regions.area_mm2("all") == pytest.approx(0.32, rel=0.02)
    assert regions.area_mm2("tumor") == pytest.approx(0.16, rel=0.03)
    assert regions.area_mm2("margin") == pytest.approx(0.048, rel=0.08)
    near = regions.members(cells, "margin")
    assert near[np.abs(x - 400) < 50].all()
    assert not near[np.abs(x - 400) > 75].any()


def test_without_tumor_there_is_only_tissue():
    cells = called(CK=[0] * 30)
    cells.obs["cell_class"] = "stroma"
    assert list(regions_from_cells(cells, size_um=(100, 300), margin_um=50).masks) == ["all"]


def test_a_panel_without_scores_gives_densities():
    bare = PANEL.model_copy(update={"scores": ()})
    assert [one.name for one in panel_scores(bare)][:5] == ["Treg", "CTL", "other T", "tumor", "PD-L1+"]
    with pytest.raises(ValueError, match="needs 'of'"):
        PanelScore(name="x", kind="fraction", cells="A+")


def test_conflicts_are_told_and_precedence_decides():
    cells = called(CD3=[1, 1, 0], CK=[1, 0, 1])
    panel = Panel(
        name="p",
        channels={"D": {"marker": "DAPI", "role": "nuclei"}},
        phenotypes={"T": "CD3+", "tumor": "CK+"},
        classes={"tumor": "CK+ CD3-", "lymphocyte": "CD3+"},
    )
    named, notes = phenotyped(cells, panel=panel, gates=None, slide="s")
    assert named.obs["phenotype"].tolist() == ["T", "T", "tumor"]
    assert named.obs["cell_class"].tolist() == ["lymphocyte", "lymphocyte", "tumor"]
    assert notes == ["1 cells fit both T and tumor: the first was taken"]
    refined = panel.model_copy(update={"phenotypes": {"T of nests": "CD3+ CK+", "T": "CD3+"}})
    assert phenotyped(cells, panel=refined, gates=None, slide="s")[1] == []


def test_a_rule_that_names_what_there_is_not():
    panel = Panel(name="p", channels={"D": {"marker": "DAPI", "role": "nuclei"}}, phenotypes={"x": "CD99+"})
    with pytest.raises(UsageError, match="CD99"):
        phenotyped(called(CD3=[1]), panel=panel, gates=None, slide="s")


@pytest.mark.slow
def test_other_gates_need_no_second_reading(made):
    _, path, panel, result = made
    gates = result.gates.copy()
    gates.loc[gates["marker"] == "CD8", ["gate", "gate_2", "gate_3"]] *= 3
    pd.testing.assert_frame_equal(reapply_gates(result, gates=result.gates).scores, result.scores)
    read_again = score_multiplex(path, panel=panel, gates=gates)
    pd.testing.assert_frame_equal(reapply_gates(result, gates=gates).scores, read_again.scores)


@pytest.mark.slow
def test_gates_that_a_table_leaves_out_are_fitted_and_told(made):
    _, path, panel, result = made
    one = result.gates[result.gates["marker"] == "CD8"].assign(marker="CD8a", gate=1e6, gate_2=2e6, gate_3=3e6)
    changed = score_multiplex(path, panel=panel, gates=one)
    assert not changed.cells.obs["CD8_positive"].any()
    assert (changed.cells.obs["CK_positive"] == result.cells.obs["CK_positive"]).all()
    assert "PD-L1, CK, PD-1, CD3, FOXP3: no gate in the table, fitted to this image" in changed.row["reason"]
    assert changed.row["n_cells"] == result.row["n_cells"]
