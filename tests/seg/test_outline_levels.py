"""How much of an outline is stained, asked at any cut from one kept level."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.seg.outline_stain import ABSENT, PARTIAL_SHARE, SECTORS, away_from_border, stretches

LEVEL = st.one_of(st.just(ABSENT), st.integers(-200, 2500))


@given(st.lists(LEVEL, min_size=SECTORS, max_size=SECTORS), st.integers(1, 2400))
def test_two_fifths_are_stained_where_the_kept_level_lies_above_the_cut(levels, cut):
    # row 0 is the background's
    top = np.concatenate([np.full(SECTORS, ABSENT), levels]).astype(np.int64)
    found = stretches(top, top > cut)
    share = found.stained[0] / max(found.present[0], 1)
    assert (share >= PARTIAL_SHARE) == (found.partial[0] > cut)


def test_no_cells_and_a_cell_without_an_outline():
    alone = stretches(np.full(2 * SECTORS, ABSENT), np.zeros(2 * SECTORS, bool))
    assert alone.partial.tolist() == [0]
    none = stretches(np.full(SECTORS, ABSENT), np.zeros(SECTORS, bool))
    assert none.partial.size == 0


def test_a_neighbours_membrane_reaches_half_a_micrometre():
    # squared distances in pixels: at 0.25 um/px one pixel is 0.25 um, two are 0.5 um and clear of it
    assert away_from_border(np.array([0, 1, 2, 3, 4, 5]), 0.25).tolist() == [False, False, False, False, True, True]
    assert away_from_border(np.array([0, 1]), 0.5).tolist() == [False, True]
