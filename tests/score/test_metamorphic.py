"""Changes of a picture that are no changes of the tissue: turned, lit otherwise, compressed, seen at another scale."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.io import make_tile
from biomarkers.pp import estimate_white
from biomarkers.score import pipeline
from tests.score.simulated import Told, draw, halved, score, through_jpeg

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def fine():
    """256 um of dense tissue at 0.25 um/px."""
    return draw(3, size_px=1024, mpp=0.25, crowding="dense", tps=40, strength=0.5)


@pytest.fixture(scope="module")
def fine_score(fine):
    return score(fine, mpp=0.25)


@pytest.fixture(scope="module")
def tile():
    return draw(8, size_px=400, mpp=0.5, crowding="dense", tps=50, strength=0.5)


@pytest.fixture(scope="module")
def told(tile):
    return score(tile, mpp=0.5)


def called(one: Told) -> list[tuple[int, float]]:
    """Every cell by what was read in it, whatever its place."""
    obs = one.result.cells.obs
    return sorted(zip(obs["PD-L1_bin"].tolist(), obs["PD-L1_od"].round(9).tolist(), strict=True))


@pytest.mark.parametrize(
    "turn",
    [np.rot90, lambda x: np.rot90(x, 2), np.fliplr, np.flipud, lambda x: x.swapaxes(0, 1)],
    ids=["quarter", "half", "mirrored", "upside down", "transposed"],
)
def test_turned_and_mirrored_pictures_score_exactly_alike(tile, told, turn):
    assert called(score(np.ascontiguousarray(turn(tile)), mpp=0.5)) == called(told)


@pytest.mark.parametrize("side", [256, 300])
def test_blocks_do_not_change_a_cell(tile, told, side, monkeypatch):
    from biomarkers.score import setup

    plain, asked = setup.CellSettings, []

    def small(**given):
        asked.append(plain(block_px=side, **given))
        return asked[-1]

    monkeypatch.setattr(setup, "CellSettings", small)
    assert called(score(tile, mpp=0.5)) == called(told)
    assert asked


def test_the_channels_are_known_by_name_not_by_place(tile, told):
    swapped = make_tile(tile, mpp=0.5).isel(c=[2, 0, 1])
    plan = told.result
    again = pipeline.score_tile(
        swapped,
        assay=plan.assay,
        slide="tile",
        marker=plan.marker,
        thresholds=plan.assay.thresholds,
        classes=pipeline.Classes(assume_tumor=True),
    )
    assert again.row["positive_fraction"] == told.result.row["positive_fraction"]


@pytest.mark.parametrize("light", [0.8, 0.9, 1.02])
def test_brightness_is_the_lamps_not_the_tissues(tile, told, light):
    lit = score(np.clip(tile * light, 0, 255).round().astype(np.uint8), mpp=0.5)
    # grey levels are rounded anew, which moves up to three of 218 cells over the cut
    assert abs(lit.tps - told.tps) <= 1.5
    assert abs(lit.n - told.n) <= 0.02 * told.n


def test_warm_glass_scores_as_neutral_glass_does(tile, told):
    warm = score((tile * np.array([1.0, 0.96, 0.86])).round().astype(np.uint8), mpp=0.5)
    assert abs(warm.tps - told.tps) <= 2


def test_a_margin_of_glass_changes_no_cell_away_from_it(tile, told):
    white = tuple(float(level) for level in estimate_white(make_tile(tile, mpp=0.5)))
    plain = score(tile, mpp=0.5, white=white)
    wide = np.full((480, 480, 3), np.round(white).astype(np.uint8))
    wide[40:440, 40:440] = tile
    padded = score(wide, mpp=0.5, white=white)

    def inner(one: Told, shift: float) -> list[tuple[float, float, int]]:
        obs = one.result.cells.obs
        x, y = obs["x_um"].to_numpy() - shift, obs["y_um"].to_numpy() - shift
        keep = (np.minimum(x, y) > 60) & (np.maximum(x, y) < 140)
        return sorted(zip(x[keep].round(6), y[keep].round(6), obs["PD-L1_bin"][keep].tolist(), strict=True))

    assert inner(plain, 0) == inner(padded, 20)
    assert abs(padded.tps - plain.tps) <= 3  # the quarter of cells that the edge cuts end at glass now


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quality", "subsampling", "count", "points"), [(80, 0, 0.01, 1), (90, 0, 0.01, 1), (80, 2, 0.02, 3)]
)
def test_compression(fine, fine_score, quality, subsampling, count, points):
    """Colour at full resolution loses no cell in a hundred.

    4:2:0 halves the resolution of colour: thin lines of stain are broader then, and faint ones no lines.
    """
    again = score(through_jpeg(fine, quality=quality, subsampling=subsampling), mpp=0.25)
    assert abs(again.tps - fine_score.tps) <= points
    assert abs(again.n - fine_score.n) <= count * fine_score.n


@pytest.mark.slow
def test_half_the_magnification(fine, fine_score):
    coarse = score(halved(fine), mpp=0.5)
    assert abs(coarse.tps - fine_score.tps) <= 2
    assert abs(coarse.n - fine_score.n) <= 0.03 * fine_score.n


@pytest.mark.parametrize("factor", [0.7, 1.5])
def test_the_sensitivity_curve_is_what_scoring_at_that_cut_gives(tile, told, factor):
    """The curve calls cells again; scoring at the cut measures their outlines again."""
    from biomarkers.score import sensitivity_curve
    from biomarkers.score.sensitivity import scaled

    cuts = told.result.assay.thresholds
    cut = factor * cuts.dab_od[0]
    curve = sensitivity_curve(told.result.cells, assay="22c3", score="tps", dab_od=[cut])
    anew = pipeline.score_tile(
        make_tile(tile, mpp=0.5),
        assay=told.result.assay,
        slide="tile",
        marker="PD-L1",
        thresholds=scaled(cuts, to=cut),
        classes=pipeline.Classes(assume_tumor=True),
    )
    called = 100 * anew.row["positive_fraction"]
    assert curve.loc[~curve["in_force"], "value"].item() == pytest.approx(called, abs=1.5)
    assert curve.loc[curve["in_force"], "value"].item() == pytest.approx(told.tps)
