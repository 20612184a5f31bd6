"""Cuts, compartments and the membrane rule, by cells written down by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biomarkers.core.config import Thresholds, load_assay
from biomarkers.core.errors import DataError
from biomarkers.score import call_positivity
from biomarkers.score.membrane import membrane_evidence
from biomarkers.score.own_cut import counterstain_od
from biomarkers.score.positivity import bin_values
from biomarkers.seg.table import DARK_SHARE, MEMBRANE_HALF, MEMBRANE_LINE, MEMBRANE_PARTIAL
from tests.score.cells_by_hand import make_cells

CUTS = Thresholds(dab_od=(0.1, 0.3, 0.5), min_completeness=0.25, source="test")
RULES = Thresholds(
    dab_od=(0.1, 0.3, 0.5),
    own_share=0.5,
    line_share=0.25,
    line_rise=0.0,
    counterstain_ratio=2.0,
    inside_ratio=1.5,
    counterstain_od=0.2,
    min_completeness=0.4,
    source="test",
)


def bins(cells, assay="22c3", thresholds=CUTS, marker="PD-L1"):
    return call_positivity(cells, assay=assay, thresholds=thresholds).obs[f"{marker}_bin"].tolist()


def outlined(outline, *, line=0.0, own=None, nucleus=0.0, classes="tumor"):
    """Cells whose outlines were measured up to the border that neighbours share."""
    outline = np.atleast_1d(np.asarray(outline, dtype=float))
    n = len(outline)
    cells = make_cells([classes] * n, outline, nucleus=nucleus)
    own = outline if own is None else own
    for name, values in ((MEMBRANE_HALF, outline), (MEMBRANE_LINE, line), (MEMBRANE_PARTIAL, own)):
        cells.layers[name] = np.broadcast_to(np.asarray(values, float), (n,)).reshape(n, 1).copy()
    return cells


def test_a_value_at_a_cut_belongs_above_it():
    cells = outlined([0.0, 0.0999, 0.1, 0.3, 0.5, 2.0])
    assert bins(cells) == [0, 0, 1, 2, 3, 3]


def test_bins_of_values_that_are_no_numbers():
    values = np.array([np.nan, -np.inf, np.inf, -0.0, 0.1, np.nextafter(0.5, 0)])
    assert bin_values(values, CUTS).tolist() == [0, 0, 3, 0, 1, 2]
    assert (bin_values(values, CUTS) == np.digitize(np.nan_to_num(values), CUTS.dab_od)).all()


@pytest.mark.parametrize(
    ("outline", "line", "own", "nucleus", "found"),
    [
        (0.2, 0.08, 0.2, 0.0, 1),  # a thin line: 0.084 / 0.21 of the level is more than a quarter
        (0.2, 0.04, 0.2, 0.0, 0),  # a broad blush of the same level: 0.044 / 0.21 is not
        (0.2, 0.08, 0.11, 0.0, 1),  # its own side reaches half of the level
        (0.2, 0.08, 0.09, 0.0, 0),  # a neighbour's membrane: the own side lies below the 1+ cut, and below half
        (0.45, 0.0, 0.45, 0.2, 2),  # no line, but more than twice as dark as the nuclei of the slide
        (0.38, 0.0, 0.38, 0.2, 0),  # less than twice
        (0.45, 0.0, 0.45, 0.4, 0),  # as dark as its own nucleus: a stained nucleus, not a membrane
        (0.09, 0.09, 0.09, 0.0, 0),  # a line below the 1+ cut
    ],
)
def test_a_membrane_is_told_by_level_line_and_side(outline, line, own, nucleus, found):
    assert bins(outlined(outline, line=line, own=own, nucleus=nucleus), thresholds=RULES) == [found]


def test_evidence_is_the_logarithm_of_what_is_met_least():
    cells = outlined([0.2], line=0.08, own=[0.15])
    cuts = RULES.model_copy(update={"counterstain_ratio": 0.0})
    by_hand = min(
        math.log(0.16 / 0.11),  # own side against the 1+ cut, 0.01 added to both
        math.log((0.16 / 0.21) / 0.5),  # own side against half of the level
        math.log((0.084 / 0.21) / 0.25),  # line against a quarter of the level
    )
    assert membrane_evidence(cells, cuts=cuts, column=0)[0] == pytest.approx(by_hand)


def test_a_rising_demand_asks_darker_outlines_for_more_of_a_line():
    rising = RULES.model_copy(update={"counterstain_ratio": 0.0, "line_rise": 0.5})
    cells = outlined([0.09, 0.39], line=[0.026, 0.104])  # 0.30 and 0.27 of the level
    # at 0.1 OD a quarter is asked for, at 0.4 OD twice that: 0.25 x 4^0.5
    assert (membrane_evidence(cells, cuts=rising, column=0) >= 0).tolist() == [False, False]
    assert bins(outlined([0.11, 0.39], line=[0.03, 0.104]), thresholds=rising) == [1, 0]


def test_a_small_change_of_a_cell_changes_its_evidence_a_little():
    levels = np.linspace(0.05, 1.0, 400)
    for line in (0.1, 0.3):
        evidence = membrane_evidence(outlined(levels, line=line * levels, nucleus=0.1), cuts=RULES, column=0)
        assert np.abs(np.diff(evidence)).max() < 0.06


def test_an_outline_that_is_hardly_darker_than_its_cytoplasm_is_no_membrane():
    strict = RULES.model_copy(update={"cytoplasm_ratio": 1.4, "counterstain_ratio": 0.0})
    cells = outlined([0.29, 0.29, 0.29], line=[0.12, 0.12, 0.14])
    # 0.30 / 0.21 is 1.43, 0.30 / 0.22 is 1.36; a line of 0.144 / 0.30 is clear, one of 0.124 / 0.30 is not
    cells.layers["cytoplasm_mean"] = np.array([[0.20], [0.21], [0.21]])
    assert bins(cells, thresholds=strict) == [1, 0, 1]
    assert bins(cells, thresholds=strict.model_copy(update={"cytoplasm_ratio": 0.0})) == [1, 1, 1]


def test_granules_make_immune_and_unknown_cells_positive_but_no_tumor_cell():
    cells = outlined([0.05] * 4)
    cells.obs["cell_class"] = ["tumor", "lymphocyte", "unknown", "macrophage"]
    cells.layers[DARK_SHARE] = np.array([[0.2], [0.2], [0.03], [0.029]])
    cuts = RULES.model_copy(update={"granule_share": 0.03})
    assert bins(cells, thresholds=cuts) == [0, 1, 1, 0]
    called = call_positivity(cells, assay="22c3", thresholds=cuts)
    assert called.obs["PD-L1_staining"].tolist() == ["none", "granules", "granules", "none"]
    assert bins(cells, thresholds=RULES) == [0, 0, 0, 0]


def test_what_of_a_cell_is_stained_is_told_cell_by_cell():
    cells = outlined([0.3, 0.3, 0.05, 0.02], line=[0.15, 0.0, 0.0, 0.0], nucleus=[0.0, 0.0, 0.3, 0.0])
    called = call_positivity(cells, assay="22c3", thresholds=RULES)
    assert called.obs["PD-L1_staining"].tolist() == ["membrane", "cytoplasm", "nucleus", "none"]


def test_the_counterstain_is_the_red_density_that_a_quarter_of_the_nuclei_exceed():
    import anndata as ad

    cells = outlined([0.1] * 40)
    blue = np.linspace(0.1, 0.5, 40)
    two = ad.AnnData(X=np.zeros((40, 2)), obs=cells.obs, var={"unit": ["OD", "OD"]})
    two.var_names = ["PD-L1", "hematoxylin"]
    two.layers["nucleus_mean"] = np.column_stack([np.full(40, 0.1), blue])
    by_hand = float(np.quantile(0.650 * blue + 0.268 * 0.1, 0.75))
    assert counterstain_od(two, column=0) == pytest.approx(by_hand, abs=5e-4)
    assert counterstain_od(two[:10].copy(), column=0) == pytest.approx(math.sqrt(0.08 * 0.35), abs=5e-4)


def test_cytoplasmic_blush_counts_for_immune_cells():
    cells = make_cells(["lymphocyte", "macrophage"], 0.32, cytoplasm=0.4)
    assert bins(cells) == [2, 2]


def test_tables_without_outlines_are_read_by_level_alone():
    cells = make_cells(["tumor"] * 3, [0.4, 0.05, 0.4], completeness=[1.0, 1.0, 0.3])
    assert bins(cells, thresholds=RULES) == [2, 0, 0]


def test_nuclear_assay_reads_nuclei_only():
    cells = make_cells(["unknown"] * 2, [0.9, 0.0], nucleus=[0.0, 0.35], marker="DAB")
    assert bins(cells, "h-dab-nuclear", marker="DAB") == [0, 2]


def test_the_argument_stays_as_it_was_and_the_cuts_are_kept():
    cells = outlined([0.4])
    called = call_positivity(cells, assay="22c3")
    assert "PD-L1_bin" not in cells.obs
    own = load_assay("22c3").thresholds
    assert called.uns["thresholds"]["dab_od"].tolist() == list(own.dab_od)
    assert called.uns["thresholds"]["source"] == own.source


def test_missing_marker_and_layer():
    with pytest.raises(DataError, match=r"no such marker.*PD-L1"):
        call_positivity(make_cells(["tumor"], marker="CD8"), assay="22c3")
    cells = make_cells(["tumor"])
    del cells.layers["membrane_mean"]
    with pytest.raises(DataError, match=r"lack a measurement.*membrane_mean"):
        call_positivity(cells, assay="22c3")


def test_no_cells():
    assert bins(make_cells([])) == []


def test_a_dot_of_stain_does_not_make_an_immune_cell_positive():
    cells = make_cells(["lymphocyte"] * 2, 0.05, completeness=[0.1, 0.6])
    cells.layers["membrane_stained_mean"] = np.full((2, 1), 0.4)
    assert bins(cells) == [0, 2]


@pytest.mark.parametrize(
    ("assay", "edges", "own", "line", "rise", "dark", "inside", "granules"),
    [
        ("22c3", (0.085, 0.19, 0.34), 0.676, 0.219, 0.194, 2.39, 1.1, 0.0),
        ("sp142", (0.085, 0.19, 0.34), 0.676, 0.219, 0.194, 2.39, 1.1, 0.03),
        ("h-dab-membrane", (0.12, 0.4, 0.9), 0.05, 0.267, 0.184, 3.26, 2.14, 0.0),
    ],
)
def test_the_shipped_numbers_decide_where_they_say(assay, edges, own, line, rise, dark, inside, granules):
    """Cells just on both sides of each demand of a shipped assay, worked out from its numbers as they were set."""
    cuts = load_assay(assay).thresholds.model_copy(update={"counterstain_od": 0.2})
    assert cuts.dab_od == edges
    assert cuts.granule_share == granules
    level = 3 * edges[0]
    least_line = line * ((level + 0.01) / 0.1) ** rise * (level + 0.01) - 0.004
    sides = 0.98, 1.02
    by_line = [outlined([level], line=[least_line * side], nucleus=level) for side in sides]
    by_side = [outlined([level], line=[level], own=[max(own * level * side, 0)], nucleus=level) for side in sides]
    limit = dark * 0.2
    by_dark = [outlined([limit * side], nucleus=[0.5 * limit / inside]) for side in sides]
    by_inside = [outlined([3 * limit], nucleus=[3 * limit / (inside * side)]) for side in sides]
    for pair in (by_line, by_dark, by_inside, *([by_side] if own * level > 1.1 * edges[0] else [])):
        told = [float(membrane_evidence(cells, cuts=cuts, column=0)[0]) >= 0 for cells in pair]
        assert told == [False, True]
