"""How much of an outline is stained, asked at any cut from one kept level."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.cells.outline_stain import ABSENT, PARTIAL_SHARE, SECTORS, Band, Bands, OutlineStain, stretches, summary

LEVEL = st.one_of(st.just(ABSENT), st.integers(-200, 2500))
NOTHING = Band(*np.zeros((3, 1), np.int64))


def summed(top: np.ndarray, stained: np.ndarray) -> OutlineStain:
    return summary(stretches(top, stained), bands=Bands(NOTHING, NOTHING, NOTHING), highest=np.zeros((1, 2), np.int64))


@given(st.lists(LEVEL, min_size=SECTORS, max_size=SECTORS), st.integers(1, 2400))
def test_two_fifths_are_stained_where_the_kept_level_lies_above_the_cut(levels, cut):
    # row 0 is the background's
    top = np.concatenate([np.full(SECTORS, ABSENT), levels]).astype(np.int64)
    found = summed(top, top > cut)
    assert (found.completeness[0] >= PARTIAL_SHARE) == (np.rint(1000 * found.partial[0]) > cut)


def test_no_cells_and_a_cell_without_an_outline():
    alone = summed(np.full(2 * SECTORS, ABSENT), np.zeros(2 * SECTORS, bool))
    assert alone.partial.tolist() == [0]
    none = summed(np.full(SECTORS, ABSENT), np.zeros(SECTORS, bool))
    assert none.partial.size == 0
