"""Who lends a cell what: the compiled step gives the plain one's numbers, and plain cells those of an AnnData."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers import keys
from biomarkers.cells.table import LAYERS, SHAPES, Rows, cell_table
from biomarkers.score.kernels.neighbours import level_around as fast
from biomarkers.score.neighbours import level_around, neighbour_level
from biomarkers.score.plain_cells import PlainCells

RULE = {"share": 0.4, "reach": 24.0, "gap": 2.0}


@settings(deadline=None)  # the first call may compile
@given(seed=st.integers(0, 10_000), count=st.integers(0, 300), side=st.sampled_from([1.0, 30.0, 200.0, 5000.0]))
def test_the_compiled_step_gives_the_plain_numbers(seed: int, count: int, side: float) -> None:
    rng = np.random.default_rng(seed)
    # whole and half steps make ties, and neighbours that lie exactly at the reach
    xy = np.round(rng.uniform(-side, side, (count, 2)) * 2) / 2
    radius, stained = rng.integers(1, 12, count) / 2, rng.integers(0, 5, count) / 10
    np.testing.assert_array_equal(fast(xy, radius, stained, **RULE), level_around(xy, radius, stained, **RULE))


@pytest.mark.parametrize("step", [level_around, fast])
def test_two_fifths_of_the_neighbours_must_be_so_dark(step) -> None:
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [-10.0, 0.0], [0.0, 10.0], [0.0, -10.0], [7.0, 7.0], [100.0, 0.0]])
    stained = np.array([0.0, 0.9, 0.8, 0.7, 0.6, 0.5, 2.0])
    level = step(xy, np.full(7, 4.5), stained, **RULE)
    assert level[0] == 0.8  # the second of five; the far cell is nobody's neighbour
    assert level[6] == 0


def _rows(count: int) -> Rows:
    rng = np.random.default_rng(4)

    def two() -> np.ndarray:
        values = rng.uniform(0, 1, (count, 2))
        values[rng.uniform(size=count) < 0.2] = np.nan
        return values

    return Rows.of(
        middle=rng.uniform(0, 900, (count, 2)),
        area=rng.integers(100, 900, count),
        nucleus_area=rng.integers(50, 100, count),
        shape={name: rng.uniform(0, 1, count) for name in SHAPES},
        mean=rng.uniform(0, 1, (count, 2)),
        layers={name: two() for name in LAYERS},
    )


def test_plain_cells_are_those_of_the_table() -> None:
    rows = _rows(200)
    table = cell_table(rows, mpp=0.5, origin=(0, 0), marker="PD-L1")
    plain, known = PlainCells.of_rows(rows, mpp=0.5, marker="PD-L1"), PlainCells.of(table)
    assert plain.obs.columns == list(table.obs.columns)
    for name in known.obs.columns:
        np.testing.assert_array_equal(plain.obs[name].to_numpy(), known.obs[name].to_numpy())
    np.testing.assert_array_equal(plain.X, known.X)
    assert set(plain.layers) == set(known.layers)
    for name in known.layers:
        np.testing.assert_array_equal(plain.layers[name], known.layers[name])
    np.testing.assert_array_equal(neighbour_level(plain, column=0), neighbour_level(table, column=0))


def test_some_of_the_cells_keep_what_was_told_with_the_others_around() -> None:
    plain = PlainCells.of_rows(_rows(50), mpp=0.5, marker="PD-L1")
    plain.once["told"] = np.arange(50)
    which = slice(7, 24)
    some = plain.taken(which)
    assert some.n_obs == 17
    assert some.once["told"].tolist() == list(range(7, 24))
    np.testing.assert_array_equal(some.obs[keys.X_UM].to_numpy(), plain.obs[keys.X_UM].to_numpy()[which])
    np.testing.assert_array_equal(some.layers["cell_max"], plain.layers["cell_max"][which])
