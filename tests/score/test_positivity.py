"""Cuts, compartments and the membrane rule."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.config import Thresholds, load_assay
from biomarkers.errors import DataError
from biomarkers.score import call_positivity
from biomarkers.score.positivity import bin_values
from tests.score.cells_by_hand import make_cells

CUTS = Thresholds(
    dab_od=(0.1, 0.3, 0.5), min_completeness=0.25, min_ratio=1.2, pattern_ratio=1.3, strict_ratio=2.0, source="test"
)


def bins(cells, assay="22c3", thresholds=CUTS, marker="PD-L1"):
    return call_positivity(cells, assay=assay, thresholds=thresholds).obs[f"{marker}_bin"].tolist()


def test_a_value_at_a_cut_belongs_above_it():
    assert bins(make_cells(["tumor"] * 6, [0.0, 0.0999, 0.1, 0.3, 0.5, 2.0])) == [0, 0, 1, 2, 3, 3]


def test_bins_of_values_that_are_no_numbers():
    values = np.array([np.nan, -np.inf, np.inf, -0.0, 0.1, np.nextafter(0.5, 0)])
    assert bin_values(values, CUTS).tolist() == [0, 0, 3, 0, 1, 2]
    assert (bin_values(values, CUTS) == np.digitize(np.nan_to_num(values), CUTS.dab_od)).all()


def test_cytoplasmic_blush_is_not_membrane_for_tumor_but_counts_for_immune_cells():
    cells = make_cells(["tumor", "lymphocyte", "macrophage", "stroma"], 0.32, cytoplasm=0.4)
    assert bins(cells) == [0, 2, 2, 0]


def test_a_dot_on_the_outline_is_not_partial_staining():
    cells = make_cells(["tumor"] * 3, 0.4, completeness=[0.1, 0.25, 0.9])
    assert bins(cells) == [0, 2, 2]


def test_cells_without_cytoplasm_pixels_keep_their_membrane():
    cells = make_cells(["tumor"], 0.4, cytoplasm=np.nan)
    assert bins(cells) == [2]


def test_nuclear_assay_reads_nuclei_only():
    cells = make_cells(["unknown"] * 2, [0.9, 0.0], nucleus=[0.0, 0.35], marker="DAB")
    assert bins(cells, "h-dab-nuclear", marker="DAB") == [0, 2]


def test_the_argument_stays_as_it_was_and_the_cuts_are_kept():
    cells = make_cells(["tumor"], 0.4)
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


def test_a_slide_of_blush_is_cytoplasmic_as_a_whole_and_a_few_cells_are_not_judged():
    # each cell alone might pass (1.25 > 1.2), but their median says that the slide is not membranous
    blush = make_cells(["tumor"] * 30, 0.48, cytoplasm=0.38)
    called = call_positivity(blush, assay="22c3", thresholds=CUTS)
    assert called.uns["thresholds"]["pattern"] == "cytoplasmic"
    assert not called.obs["PD-L1_positive"].any()
    few = call_positivity(blush[:9].copy(), assay="22c3", thresholds=CUTS)
    assert few.uns["thresholds"]["pattern"] == "not judged"
    assert few.obs["PD-L1_positive"].all()


@pytest.mark.parametrize(
    ("outline", "inside", "pattern"),
    [
        (0.75, 0.58, "membranous"),  # strong membranes over stained cytoplasm: ratio 1.28, but a step of 0.17
        (0.33, 0.26, "cytoplasmic"),  # the same ratio of a blush, whose outline exceeds it by noise alone
        (0.16, 0.09, "membranous"),  # weak membranes on clear cytoplasm: a small step, but a large ratio
        (0.90, 0.75, "cytoplasmic"),  # a dense blush: noise grows with density, and so does the step
    ],
)
def test_ratio_and_step_together_tell_a_membrane_over_cytoplasm_from_blush(outline, inside, pattern):
    cells = make_cells(["tumor"] * 30, outline, cytoplasm=inside)
    assert call_positivity(cells, assay="22c3").uns["thresholds"]["pattern"] == pattern


def test_a_clear_membrane_stays_positive_on_a_slide_of_blush():
    cells = make_cells(["tumor"] * 31, [0.48] * 30 + [0.6], cytoplasm=[0.38] * 30 + [0.1])
    assert bins(cells) == [0] * 30 + [3]


def test_part_of_an_outline_does_not_convince_on_a_slide_of_blush():
    # what is stained there may be a neighbour's cytoplasm
    cells = make_cells(["tumor"] * 32, [0.48] * 30 + [0.6] * 2, cytoplasm=[0.38] * 30 + [0.1] * 2,
                       completeness=[1.0] * 30 + [0.6, 0.8])  # fmt: skip
    assert bins(cells)[30:] == [0, 3]


def crowd(around, *, own, share=0.35):
    """Seven cells in a ring of six and its middle, with the levels of their outlines."""
    angle = np.linspace(0, 2 * np.pi, 7)[:6]
    levels = np.array([own, *around], dtype=float)
    cells = make_cells(
        ["tumor"] * 7, levels, x=[50.0, *(50 + 13 * np.cos(angle))], y=[50.0, *(50 + 13 * np.sin(angle))]
    )
    cells.layers["membrane_stained_mean"] = levels[:, None]
    cells.layers["membrane_partial"] = levels[:, None]
    return bins(cells, thresholds=CUTS.model_copy(update={"neighbour_share": share}))[0]


@pytest.mark.parametrize(
    ("around", "own", "found"),
    [
        ([0.9] * 6, 0.2, 0),  # 0.35 x 0.9 is more
        ([0.9] * 6, 0.4, 2),
        ([0.9] * 3 + [0.0] * 3, 0.2, 0),  # half of its neighbours are enough to colour two fifths of it
        ([0.9] * 2 + [0.0] * 4, 0.2, 1),  # a third is not
        ([0.0] * 6, 0.2, 1),
    ],
)
def test_what_neighbours_lend_is_not_a_cells_own(around, own, found):
    assert crowd(around, own=own) == found
    assert crowd(around, own=own, share=0.0) == (2 if own == 0.4 else 1)


def test_a_membranous_slide_keeps_its_blushing_cells():
    cells = make_cells(["tumor"] * 31, [0.48] * 31, cytoplasm=[0.38] * 5 + [0.1] * 26)
    assert all(bins(cells))


def test_intensity_is_read_where_the_outline_is_stained():
    cells = make_cells(["tumor"] * 2, 0.2, completeness=0.5)
    cells.layers["membrane_stained_mean"] = np.array([[0.4], [np.nan]])
    assert bins(cells) == [2, 1]


def test_a_dot_of_stain_does_not_make_an_immune_cell_positive():
    cells = make_cells(["lymphocyte"] * 2, 0.05, completeness=[0.1, 0.6])
    cells.layers["membrane_stained_mean"] = np.full((2, 1), 0.4)
    assert bins(cells) == [0, 2]
