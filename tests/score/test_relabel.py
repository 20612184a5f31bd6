"""Labels move over the cells that can bear them, and what both kinds share by place is no attraction."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.score.cross import cross_functions
from biomarkers.score.kernels.within import counts_within, lists_within
from biomarkers.score.relabel import _in_blocks, _moved_sums, label_can_be_on, strata_of, two_sided
from biomarkers.score.space import count_within, nearest_distances, proximity_test


def cells_of(xy, source, target, **columns):
    index = [str(number) for number in range(len(xy))]
    obs = pd.DataFrame({"S_positive": source, "T_positive": target, **columns}, index=index)
    return ad.AnnData(np.zeros((len(xy), 0)), obs=obs, obsm={"spatial": np.asarray(xy, dtype=float)})


def rejected(make, *, trials=60, moves=99, radius=25):
    """Share of null patterns with p at 5% or below."""
    p = []
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        cells = cells_of(*make(rng))
        found = proximity_test(cells, source="S+", target="T+", radius_um=radius, n_permutations=moves, rng=seed)
        p.append(found.p)
    return np.mean(np.array(p) <= 0.05)


def by_gradient(rng, n=800):
    xy = rng.uniform(0, 1000, (n, 2))
    return xy, rng.uniform(size=n) < xy[:, 0] / 1000, rng.uniform(size=n) < xy[:, 0] / 1000


def identical_by_gradient(rng):
    xy, source, _ = by_gradient(rng)
    return xy, source, source


def in_pieces(rng, n=800):
    which = rng.integers(2, size=n)
    xy = rng.uniform(0, 500, (n, 2)) + 800 * which[:, None]
    share = np.array([0.1, 0.7])[which]
    return xy, rng.uniform(size=n) < share, rng.uniform(size=n) < share


def on_clustered_cells(rng, n=800):
    """PD-1 on a share of T cells, which stand in clusters."""
    t_cell = rng.uniform(size=n) < 0.4
    xy = np.where(t_cell[:, None], 1000 * rng.uniform(size=(8, 2))[rng.integers(8, size=n)], 0)
    xy = np.where(t_cell[:, None], xy + rng.normal(0, 60, (n, 2)), rng.uniform(0, 1000, (n, 2)))
    return xy, t_cell, t_cell & (rng.uniform(size=n) < 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("make", [by_gradient, identical_by_gradient, in_pieces, on_clustered_cells])
def test_nothing_is_attracted_by_construction(make):
    # 60 trials of a true 5%: 9 or more rejections (.15) have a probability of .003; labels moved over all: .6 to 1
    assert rejected(make) < 0.15


def test_attraction_is_found_beside_a_gradient():
    rng = np.random.default_rng(0)
    xy, source, target = by_gradient(rng, 1500)
    source &= rng.uniform(size=1500) < 0.4
    target &= ~source & (rng.uniform(size=1500) < 0.4)
    drawn = np.flatnonzero(target & (rng.uniform(size=1500) < 0.5))
    xy[drawn] = xy[rng.choice(np.flatnonzero(source), len(drawn))] + rng.normal(0, 8, (len(drawn), 2))
    found = proximity_test(cells_of(xy, source, target), source="S+", target="T+", radius_um=25)
    assert (found.null, found.p) == ("local", 0.001)
    assert found.mean_within > found.high


def test_the_row_of_the_faults(shared_data):
    table = pd.read_csv(shared_data / "faults" / "panels" / "proximity_overlap.csv")
    table.index = table.index.astype(str)
    cells = ad.AnnData(np.zeros((len(table), 0)), obs=table, obsm={"spatial": table[["x_um", "y_um"]].to_numpy()})
    found = proximity_test(cells, source="CD3+", target="X+", radius_um=40)
    assert found.expected == pytest.approx(0.571, abs=0.01)
    assert found.mean_within < found.low
    assert found.p == pytest.approx(0.018, abs=0.01)
    assert found.null == "regions"
    assert "in doubt" in found.note  # within squares, or with as many double-positive cells as there are, it is not so


def test_a_label_moves_over_all_cells_where_both_kinds_bear_it():
    """The expectation is the mean count times the number of labels, to the last digit."""
    rng = np.random.default_rng(11)
    xy, source, target = rng.uniform(0, 400, (200, 2)), rng.uniform(size=200) < 0.4, rng.uniform(size=200) < 0.4
    found = proximity_test(cells_of(xy, source, target), source="S+", target="T+", radius_um=40)
    far = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    near = ((far <= 40) & source[None] & ~np.eye(200, dtype=bool)).sum(axis=1)
    assert found.null == "regions"
    assert found.mean_within == pytest.approx(near[target].sum() / source.sum())
    assert found.expected == pytest.approx(near.mean() * target.sum() / source.sum())


def test_identical_kinds_move_together():
    rng = np.random.default_rng(12)
    xy, source = rng.uniform(0, 400, (200, 2)), rng.uniform(size=200) < 0.4
    found = proximity_test(cells_of(xy, source, source), source="S+", target="S+", radius_um=40, n_permutations=1999)
    far = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    pairs = ((far <= 40) & ~np.eye(200, dtype=bool)).astype(float)
    n = source.sum()
    assert found.mean_within == pytest.approx(source @ pairs @ source / n)
    assert found.expected == pytest.approx(pairs.sum() * (n - 1) / (200 * 199), rel=0.02)
    one_by_one = [(one := rng.permutation(source)) @ pairs @ one / n for _ in range(1999)]
    assert found.low == pytest.approx(np.quantile(one_by_one, 0.025), rel=0.03)
    assert found.high == pytest.approx(np.quantile(one_by_one, 0.975), rel=0.03)


@pytest.mark.parametrize(
    ("on_source", "elsewhere", "able"),
    [(0, 9, (False, True)), (9, 0, (True, False)), (1, 9, (False, True)), (2, 9, (True, True)), (9, 2, (True, True))],
)
def test_who_can_bear_a_label(on_source, elsewhere, able):
    source = np.repeat([True, False], 20)
    target = np.r_[np.arange(20) < on_source, np.arange(20) < elsewhere]
    found = label_can_be_on(source, target)
    assert (found[0], found[-1]) == able
    assert len(set(found[:20])) == len(set(found[20:])) == 1


def test_labels_of_cells_that_cannot_bear_them_stay():
    rng = np.random.default_rng(3)
    xy, source = rng.uniform(0, 400, (300, 2)), np.arange(300) < 100
    target = np.arange(300) % 3 == 0
    cells = cells_of(xy, source, target, A_positive=np.arange(300) >= 200)
    found = proximity_test(cells, source="S+", target="T+", radius_um=30, among="A+")
    far = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    near = ((far <= 30) & source[None] & ~np.eye(300, dtype=bool)).sum(axis=1)
    moved = near[200:].mean() * target[200:].sum()
    assert found.null == "regions"
    assert found.expected == pytest.approx((near[:200][target[:200]].sum() + moved) / 100)


def test_a_plane_and_a_curved_surface_are_taken_off_to_nothing():
    rng = np.random.default_rng(4)
    xy = rng.uniform(0, 100, (90, 2))
    for degree, surface in ((1, xy @ [2, -1] + 7), (2, (xy[:, 0] - 3) * xy[:, 1] + xy[:, 0] ** 2)):
        strata = strata_of(xy, np.ones(90, dtype=bool), np.zeros(90, dtype=np.int64), degree=degree)
        assert np.abs(strata.residual(surface)).max() < 1e-6 * np.abs(surface).max()
    few = strata_of(xy[:11], np.ones(11, dtype=bool), np.zeros(11, dtype=np.int64), degree=2)
    np.testing.assert_allclose(few.residual(xy[:11, 0]), xy[:11, 0] - xy[:11, 0].mean())


def test_p_counts_the_observed_labelling_and_both_tails():
    assert two_sided(2.0, np.array([-3.0, 1.0, 2.0, 0.0])) == 3 / 5
    assert np.isnan(two_sided(0.0, np.zeros(9)))


def test_labels_that_cannot_move_are_not_tested():
    xy = np.random.default_rng(5).uniform(0, 100, (30, 2))
    found = proximity_test(cells_of(xy, np.arange(30) < 10, np.arange(30) >= 10), source="S+", target="T+", radius_um=9)
    assert np.isnan(found.p)
    assert found.note.startswith("not testable: the target label cannot move")


def test_no_cell_that_could_bear_the_label_is_not_tested():
    xy = np.random.default_rng(5).uniform(0, 100, (30, 2))
    cells = cells_of(xy, np.arange(30) < 10, np.arange(30) < 15, A_positive=[False] * 30)
    found = proximity_test(cells, source="S+", target="T+", radius_um=9, among="A+")
    assert found.note == "not testable: no A+ cells that the target label could move over"


def test_excluded_cells_are_in_no_statistic():
    rng = np.random.default_rng(6)
    xy, source, target = rng.uniform(0, 400, (300, 2)), rng.uniform(size=300) < 0.4, rng.uniform(size=300) < 0.4
    out = rng.uniform(size=300) < 0.3
    cells, kept = cells_of(xy, source, target, excluded=out), cells_of(xy[~out], source[~out], target[~out])
    words = {"source": "S+", "target": "T+"}
    assert proximity_test(cells, radius_um=30, **words) == proximity_test(kept, radius_um=30, **words)
    pair = [("S+", "T+")]
    pd.testing.assert_frame_equal(nearest_distances(cells, pairs=pair), nearest_distances(kept, pairs=pair))
    near = [count_within(one, pairs=pair, radius_um=[20]) for one in (cells, kept)]
    pd.testing.assert_frame_equal(*near)
    window = (0, 0, 400, 400)
    both = [cross_functions(one, radius_um=[20], window=window, n_permutations=99, **words) for one in (cells, kept)]
    pd.testing.assert_frame_equal(*both)


@pytest.mark.parametrize("column", ["slide", "imageid", "library_id"])
def test_two_images_are_never_merged(column):
    cells = cells_of([[0, 0], [1, 1]], [True, False], [False, True], **{column: ["a", "b"]})
    pair = [("S+", "T+")]
    for ask in (
        lambda: nearest_distances(cells, pairs=pair),
        lambda: count_within(cells, pairs=pair, radius_um=[5]),
        lambda: proximity_test(cells, source="S+", target="T+", radius_um=5),
        lambda: cross_functions(cells, source="S+", target="T+", radius_um=[5]),
    ):
        with pytest.raises(UsageError, match=rf"several images.*\['a', 'b'\].*obs\['{column}'\] == 'a'"):
            ask()


def test_one_cell_and_none_and_no_position():
    one = cells_of([[5, 5]], [True], [True])
    assert np.isnan(nearest_distances(one, pairs=[("S+", "T+")])["mean_um"]).all()
    assert count_within(one, pairs=[("S+", "T+")], radius_um=[5])["mean_within"].tolist() == [0]
    assert proximity_test(one, source="S+", target="T+", radius_um=5).note.startswith("not testable")
    with pytest.raises(UsageError, match=r"no area.*span no area"):
        cross_functions(one, source="S+", target="T+", radius_um=[5])
    none = one[:0].copy()
    assert proximity_test(none, source="S+", target="T+", radius_um=5).note == "not testable: no S+ cells"
    assert cross_functions(none, source="S+", target="T+", radius_um=[5])["note"].str.startswith("not testable").all()
    lost = cells_of([[5, 5], [np.nan, 1]], [True, False], [False, True])
    with pytest.raises(DataError, match=r"cell 1: 1 cells have no position"):
        count_within(lost, pairs=[("S+", "T+")], radius_um=[5])


def test_cells_outside_the_window_are_in_no_function():
    rng = np.random.default_rng(7)
    xy, source, target = rng.uniform(0, 400, (300, 2)), rng.uniform(size=300) < 0.4, rng.uniform(size=300) < 0.4
    far = np.vstack([xy, [[900, 900], [-5, 20]]])
    words = {"source": "S+", "target": "T+", "radius_um": [20], "window": (0, 0, 400, 400), "n_permutations": 99}
    outside = cells_of(far, np.r_[source, True, True], np.r_[target, True, True])
    pd.testing.assert_frame_equal(
        cross_functions(outside, **words), cross_functions(cells_of(xy, source, target), **words)
    )


def test_a_window_moves_one_kind_with_itself():
    rng = np.random.default_rng(8)
    xy, source = rng.uniform(0, 400, (400, 2)), rng.uniform(size=400) < 0.4
    found = cross_functions(
        cells_of(xy, source, source), source="S+", target="S+", radius_um=[20], window=(0, 0, 400, 400),
        n_permutations=499,
    ).iloc[0]  # fmt: skip
    assert found["k_low"] < found["k_um2"] < found["k_high"]
    assert found["k_expected"] == pytest.approx(found["k_random"], rel=0.1)
    assert found["p"] > 0.05


def test_sums_through_counts_are_those_of_moved_labels():
    """Mean and variance of a sum without replacement, worked out by hand's formula, on both ways of drawing it."""
    rng = np.random.default_rng(0)
    near, target = rng.integers(0, 4, 12_000), rng.uniform(size=12_000) < 0.4
    xy, everyone = rng.uniform(0, 100, (12_000, 2)), np.ones(12_000, dtype=bool)
    strata = strata_of(xy, everyone, np.zeros(12_000, dtype=np.int64), degree=0)
    k, n = int(target.sum()), 12_000
    sd = np.sqrt(k * (n - k) / (n - 1) * near.var())
    for counted in (True, False):
        excess, moved = _moved_sums(strata, near, target, 1999, np.random.default_rng(1), counted=counted)
        assert excess == pytest.approx(near[target].sum() - k * near.mean())
        assert moved.mean() == pytest.approx(0, abs=4 * sd / np.sqrt(1999))
        assert moved.std() == pytest.approx(sd, rel=0.07)


def test_labels_in_blocks_are_as_many_as_in_the_stratum():
    start, k = np.array([0, 10, 10_010]), np.array([4, 3000])
    starts, moved = _in_blocks(start, k, 500, np.random.default_rng(0))
    assert starts.tolist() == [0, 10, 4106, 8202, 10_010]
    assert (moved[:, 0] == 4).all()
    assert (moved[:, 1:].sum(axis=1) == 3000).all()
    np.testing.assert_allclose(moved[:, 1:].mean(axis=0), 3000 * np.diff(starts)[1:] / 10_000, rtol=0.01)


def test_neighbours_by_rows_are_all_of_them():
    """A lattice at exactly the radius, cells on one place, empty rows, and one cell far away."""
    grid = np.stack(np.meshgrid(np.arange(12) * 0.1, np.arange(9) * 0.1), axis=-1).reshape(-1, 2) + 40.3
    rng = np.random.default_rng(2)
    for xy, radius in ((np.vstack([grid, grid[:5], [[900, -7]]]), 0.3), (rng.uniform(0, 50, (400, 2)), 7.0)):
        counted = rng.uniform(size=len(xy)) < 0.6
        dx, dy = (xy[:, None, axis] - xy[None, :, axis] for axis in (0, 1))
        close = (dx * dx + dy * dy <= radius * radius) & ~np.eye(len(xy), dtype=bool) & counted
        assert counts_within(xy, counted, radius).tolist() == close.sum(axis=1).tolist()
        first, other = lists_within(xy, counted, radius)
        for i in range(len(xy)):
            assert sorted(other[first[i] : first[i + 1]].tolist()) == np.flatnonzero(close[i]).tolist()


def test_fewer_moves_of_many_cells_are_told(monkeypatch):
    rng = np.random.default_rng(9)
    xy, source = rng.uniform(0, 400, (400, 2)), rng.uniform(size=400) < 0.4
    cells = cells_of(xy, source, rng.uniform(size=400) < 0.4)
    monkeypatch.setattr("biomarkers.score.relabel._WORK", 1.0)
    for target in ("T+", "S+"):
        found = proximity_test(cells, source="S+", target=target, radius_um=30)
        assert found.n_permutations == 199
        assert (found.p * 200) % 1 == pytest.approx(0, abs=1e-9)
