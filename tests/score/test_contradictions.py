"""What a slide's numbers say against each other, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from biomarkers.core.config import load_assay
from biomarkers.score.classes import ASSUMED_TUMOR, status_of
from biomarkers.score.contradictions import contradictions, staining_pattern
from biomarkers.score.tally import Counts

ASSAY = load_assay("22c3")


def counts(bins=(50, 25, 15, 10), stainings=(50, 50, 0, 0, 0)):
    return Counts(bins={"tumor": bins}, od_sum={}, stainings={"tumor": stainings})


def curve(shares=(0.55, 0.5, 0.45), score="tps"):
    cut = ASSAY.thresholds.dab_od[0]
    return pd.DataFrame(
        {
            "score": score,
            "dab_od": [0.9 * cut, cut, 1.1 * cut],
            "in_force": [False, True, False],
            "status": "ok",
            "numerator": [1000 * share for share in shares],
            "denominator": 1000.0,
            "value": [100 * share for share in shares],
        }
    )


def said(of=None, *, line=None, stained=0.1, tissue=1.0, assay=ASSAY):
    return contradictions(
        counts() if of is None else of,
        assay=assay,
        thresholds=assay.thresholds,
        curve=curve() if line is None else line,
        stained_mm2=stained,
        tissue_mm2=tissue,
    )


def test_a_slide_that_agrees_with_itself_has_nothing_said_of_it():
    assert said() == []


@pytest.mark.parametrize(
    ("bins", "stained", "words"),
    [
        ((1000, 4, 0, 0), 0.05, "yet 4 of 1004 cells"),
        ((1000, 6, 0, 0), 0.05, None),
        ((1000, 4, 0, 0), 0.049, None),
        ((95, 5, 0, 0), 0.0019, "only 0.19 % of the tissue is stained"),
        ((95, 5, 0, 0), 0.002, None),
        ((96, 4, 0, 0), 0.0019, None),
        ((2, 97, 1, 0), 0.5, "a blush over the whole field"),
        ((2, 90, 8, 0), 0.5, None),
        ((6, 94, 0, 0), 0.5, None),
    ],
)
def test_brown_and_positive_cells_go_together(bins, stained, words):
    told = said(counts(bins, (bins[0], sum(bins[1:]), 0, 0, 0)), stained=stained)
    assert told == [] if words is None else words in told[0]


def test_both_readings_are_pointed_at_where_most_stained_cells_do_not_count():
    told = said(counts((80, 20, 0, 0), (59, 20, 15, 6, 0)))
    assert told[0].startswith(
        "41 % of the tumor cells are stained (20 % membranous, 15 % cytoplasmic, 6 % nuclear), 20 % were called"
    )
    assert "what is not on the membrane does not count" in told[0]
    assert said(counts((80, 20, 0, 0), (60, 20, 15, 5, 0))) == []  # half of the stained cells count, at any cut-off
    assert said(counts((97, 3, 0, 0), (88, 3, 9, 0, 0))) == []  # fewer than ten points apart
    granular = said(counts((80, 20, 0, 0), (55, 10, 25, 0, 10)), assay=load_assay("sp142"))
    assert "what is not membrane or granules does not count" in granular[0]
    nuclear = load_assay("h-dab-nuclear")
    assert said(counts((80, 20, 0, 0), (20, 0, 60, 20, 0)), assay=nuclear) == []


@pytest.mark.parametrize(
    ("positive", "stained", "words"),
    [(40, 49, None), (39, 49, None), (40, 50, "the cut-off of 50 % lies between"), (50, 60, None), (51, 90, None)],
)
def test_both_readings_are_pointed_at_where_a_cut_off_lies_between(positive, stained, words):
    told = said(counts((100 - positive, positive, 0, 0), (100 - stained, positive, stained - positive, 0, 0)))
    assert told == [] if words is None else words in told[0]


def test_both_readings_are_pointed_at_where_they_lie_far_apart():
    membrane = load_assay("h-dab-membrane")  # has no cut-offs
    for stained, said_so in ((94, False), (95, True)):
        of = counts((45, 55, 0, 0), (100 - stained, 55, stained - 55, 0, 0))
        assert bool(said(of, assay=membrane)) == said_so


def test_a_score_that_jumps_with_its_cut_is_said_to_be_the_cuts_doing():
    assert said(line=curve((0.58, 0.5, 0.44))) == []
    assert "tps goes from 61 to 45 while" in said(line=curve((0.61, 0.5, 0.45)))[0]
    assert said(line=curve((0.60, 0.5, 0.45)).assign(status="not_evaluable")) == []
    assert said(line=curve((700.0, 600.0, 500.0), score="density_per_mm2")) == []


@pytest.mark.parametrize(
    ("stainings", "name"),
    [
        ((10, 0, 0, 0, 0), "not stained"),
        ((0, 4, 2, 0, 0), "membranous"),
        ((0, 3, 2, 0, 0), "mixed"),
        ((0, 0, 7, 1, 0), "cytoplasmic"),
        ((0, 0, 0, 2, 1), "nuclear"),
        ((0, 0, 0, 0, 3), "granular"),
    ],
)
def test_two_thirds_of_the_stained_cells_name_the_pattern(stainings, name):
    assert staining_pattern(counts(stainings=stainings)) == name


def test_nothing_to_say_of_no_cells():
    assert said(counts((0, 0, 0, 0), (0, 0, 0, 0, 0))) == []
    assert staining_pattern(Counts(bins={}, od_sum={})) == "not stained"


def test_what_was_asked_for_is_a_note_and_no_warning():
    assert status_of([]) == status_of([ASSUMED_TUMOR]) == "ok"
    assert status_of([ASSUMED_TUMOR, "blurred"]) == "ok_with_warnings"
