"""Area scores are cut above the slide's own background of DAB."""

from __future__ import annotations

import numpy as np
import pytest

from biomarkers.pp import StainVectors
from biomarkers.pp.area_cut import ABOVE_BACKGROUND_OD, FLOOR_OD, area_cut_od, dab_background_od
from biomarkers.pp.squares import Squares

DAB = np.array(StainVectors().dab, np.float32)


def squares(*amounts: tuple[float, int]) -> Squares:
    """Squares of DAB alone: each amount (OD) so many times."""
    values = np.concatenate([np.full(count, amount, np.float32) for amount, count in amounts])
    return Squares(DAB[:, None] * values, np.zeros(values.size, np.intp))


@pytest.mark.parametrize(("blush", "cut"), [(0.055, 0.205), (0.165, 0.315)])
def test_a_blush_lifts_the_cut(blush, cut):
    found = dab_background_od(squares((blush, 3000), (0.9, 1000)), vectors=StainVectors())
    assert found == pytest.approx(blush, abs=0.021)
    assert area_cut_od(found) == pytest.approx(cut, abs=0.021)


def test_a_slide_stained_all_over_is_no_blush():
    assert dab_background_od(squares((0.8, 3000), (0.1, 600)), vectors=StainVectors()) == 0.20


def test_glass_and_too_little_tissue_tell_no_background():
    assert dab_background_od(squares((0.01, 5000)), vectors=StainVectors()) == 0.0
    assert dab_background_od(squares((0.15, 499)), vectors=StainVectors()) == 0.0


def test_the_cut_has_a_floor():
    assert (FLOOR_OD, ABOVE_BACKGROUND_OD) == (0.20, 0.15)
    assert area_cut_od(0.0) == area_cut_od(0.05) == 0.20
    assert area_cut_od(0.06) == 0.21
