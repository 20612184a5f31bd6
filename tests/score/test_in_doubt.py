"""Doubts about a slide stand in the score rows that hang on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biomarkers.score.in_doubt import in_doubt
from biomarkers.seg.find import ScaleDoubts
from biomarkers.seg.table import COLUMNS, Rows
from tests.score.simulated import score

ROWS = pd.DataFrame(
    {
        "score": ["tps", "cps", "dab_area_percent"],
        "value": [10.0, np.nan, 4.0],
        "ci_low": [8.0, np.nan, np.nan],
        "ci_high": [12.0, np.nan, np.nan],
        "numerator": [10.0, np.nan, 0.04],
        "denominator": [100.0, np.nan, 1.0],
        "status": ["ok", "not_evaluable", "ok"],
        "reason": ["", "immune cells not told apart", "a note"],
    }
)


def test_nothing_in_doubt_changes_nothing():
    assert in_doubt(ROWS, scale=ScaleDoubts(), light=()) is ROWS


def test_a_pixel_size_that_cannot_be_right_leaves_no_score_of_cells():
    rows = in_doubt(ROWS, scale=ScaleDoubts(("is 0.1 right?",), ()), light=()).set_index("score")
    assert rows["status"].tolist() == ["not_evaluable", "not_evaluable", "ok"]
    assert rows.loc["tps", "reason"] == "the pixel size is in doubt: is 0.1 right?"
    assert rows.loc["tps", ["value", "ci_low", "ci_high", "numerator", "denominator"]].isna().all()
    assert rows.loc["cps", "reason"] == "immune cells not told apart; the pixel size is in doubt: is 0.1 right?"
    assert rows.loc["dab_area_percent", ["value", "reason"]].tolist() == [4.0, "a note"]


def test_a_pixel_size_that_may_be_wrong_is_said_beside_the_value():
    rows = in_doubt(ROWS, scale=ScaleDoubts((), ("is 0.4 right?",)), light=()).set_index("score")
    assert rows["status"].tolist() == ROWS["status"].tolist()
    assert rows["value"].tolist()[::2] == [10.0, 4.0]
    assert rows["reason"].tolist() == ["in doubt: is 0.4 right?", "immune cells not told apart", "a note"]


def of_area(um2: float, *, count: int = 30) -> Rows:
    numbers = np.zeros((count, COLUMNS))
    numbers[:, 3] = 4 * um2  # area of the nucleus, px of 0.5 um
    return Rows(numbers)


@pytest.mark.parametrize(
    ("um2", "ruled_out", "doubted"),
    [
        (18.0, 0, 0),
        (17.5, 0, 1),
        (12.0, 0, 1),
        (11.75, 1, 0),
        (110.0, 0, 0),
        (110.5, 0, 1),
        (160.0, 0, 1),
        (160.5, 1, 0),
    ],
)
def test_the_size_of_nuclei_doubts_a_pixel_size_and_rules_it_out(um2, ruled_out, doubted):
    told = ScaleDoubts.of(of_area(um2), 0.5, detail="")
    assert (len(told.ruled_out), len(told.doubted)) == (ruled_out, doubted)


def test_what_detail_says_stands_beside_it():
    assert ScaleDoubts.of(of_area(50.0), 0.5, detail="detail") == ((), ("detail",))
    assert ScaleDoubts.of(of_area(5.0), 0.5, detail="detail").ruled_out[1:] == ("detail",)
    assert ScaleDoubts.of(of_area(5.0, count=29), 0.5, detail="") == ((), ())


def test_light_in_doubt_is_said_beside_the_value():
    rows = in_doubt(ROWS, scale=ScaleDoubts(), light=("uneven",)).set_index("score")
    assert rows["status"].tolist() == ROWS["status"].tolist()
    assert rows["reason"].tolist() == [
        "in doubt: uneven", "immune cells not told apart", "a note; in doubt: uneven",
    ]  # fmt: skip
    assert rows["value"].tolist()[::2] == [10.0, 4.0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("mpp", [0.08, 0.95])
def test_the_scores_of_a_tile_at_a_doubtful_pixel_size_say_so(mpp):
    from biomarkers.simulate import render_hdab, simulate_scene

    rgb = render_hdab(simulate_scene(rng=5, size_px=640, mpp=0.5), rng=5)
    told = score(rgb, mpp=mpp).result
    rows = told.scores.set_index("score").drop("dab_area_percent")
    assert "is the pixel size of" in told.row["reason"]
    fine = rows["status"] == "ok"
    assert rows["reason"][fine].str.contains("in doubt: ").all()
    assert rows["value"][~fine].isna().all()
    assert rows.loc["tps", "reason"].count("is the pixel size of") >= 1 or not fine["tps"]
