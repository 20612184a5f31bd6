"""Cross-type functions equal spatstat's, see no attraction where there is none, and mind borders."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from biomarkers.core.errors import UsageError
from biomarkers.score.cross import COLUMNS, cross_functions
from biomarkers.score.regions import regions_from_masks

RADII = [5, 10, 20, 40]
# spatstat.explore 3.0-6, R 4.2.2, r in steps of 0.01: Kcross(correction = "border")$border and
# Gcross(correction = "rs")$rs of points()
SPATSTAT = {
    ("a", "b"): ([367.613271, 1367.521368, 1994.301994, 5263.871931], [0.204301, 0.655556, 0.782051, 0.936508]),
    ("b", "a"): ([370.370370, 1320.388350, 2021.739130, 5352.112676], [0.175926, 0.524272, 0.652174, 0.943662]),
}
# the same in owin(poly = list(x = c(0, 500, 500, 240, 240, 0), y = c(0, 0, 400, 400, 200, 200)))
SPATSTAT_L = ([330.537434, 1304.192974, 2096.551724, 5613.108339], [0.189189, 0.647887, 0.800000, 0.957447])


def points(n=300):
    """Places and kinds from a generator that no library changes; half of the b were put near an a."""
    state, draws = 1, []
    for _ in range(5 * n):
        state = state * 16807 % 2147483647
        draws.append(state / 2147483647)
    u = np.array(draws).reshape(n, 5)
    xy, kind = u[:, :2] * [500, 400], np.array(["a", "b", "c"])[(u[:, 2] * 3).astype(int)]
    first, second = np.flatnonzero(kind == "a"), np.flatnonzero(kind == "b")
    for k, cell in enumerate(second[::2]):
        xy[cell] = xy[first[k]] + 16 * (u[cell, 3:] - 0.5)
    return np.clip(xy, 1, [499, 399]).round(1) + 0.03, kind


def cells_of(xy, kind, region="tumor"):
    obs = pd.DataFrame({f"{name}_positive": kind == name for name in ("a", "b", "c")})
    obs["x_um"], obs["y_um"], obs["region"] = xy[:, 0], xy[:, 1], region
    obs.index = obs.index.astype(str)
    return ad.AnnData(np.zeros((len(xy), 0)), obs=obs, obsm={"spatial": xy})


@pytest.mark.parametrize(("source", "target"), list(SPATSTAT))
def test_k_and_g_equal_spatstat(source, target):
    found = cross_functions(
        cells_of(*points()), source=f"{source}+", target=f"{target}+", radius_um=RADII, window=(0, 0, 500, 400)
    )
    k, g = SPATSTAT[source, target]
    assert tuple(found.columns) == COLUMNS
    np.testing.assert_allclose(found["k_um2"], k, atol=1e-6)
    np.testing.assert_allclose(found["g"], g, atol=1e-6)
    np.testing.assert_allclose(found["l_um"], np.sqrt(np.array(k) / np.pi))
    assert found["n_inner"].is_monotonic_decreasing


def test_in_a_bent_region_they_are_near_spatstat():
    tissue = np.zeros((400, 500), bool)
    tissue[:200] = True
    tissue[:, 240:] = True
    regions = regions_from_masks(tissue, tissue, mpp=1.0, origin_um=(0, 0), margin_um=50, source="drawn")
    cells = cells_of(*points())
    found = cross_functions(cells, source="a+", target="b+", radius_um=RADII, window=regions)
    np.testing.assert_allclose(found["k_um2"], SPATSTAT_L[0], rtol=0.08)  # borders are known to half of 4 um
    np.testing.assert_allclose(found["g"], SPATSTAT_L[1], atol=0.03)
    with pytest.raises(UsageError, match="no such region"):
        cross_functions(cells, source="a+", target="b+", radius_um=[5], window=regions, region="tumour")


def test_strewn_cells_look_strewn_and_attracted_ones_do_not():
    rng = np.random.default_rng(3)
    kind = rng.choice(["a", "b", "c"], 6000)
    xy = rng.uniform(0, 1500, (6000, 2))
    even = cross_functions(cells_of(xy, kind), source="a+", target="b+", radius_um=[20, 50], n_permutations=499)
    np.testing.assert_allclose(even["k_um2"], even["k_random"], rtol=0.08)
    np.testing.assert_allclose(even["g"], even["g_random"], atol=0.03)
    np.testing.assert_allclose(even["k_expected"], even["k_random"], rtol=0.05)
    assert even["p"].min() > 0.01
    near = xy.copy()
    near[kind == "b"] = near[rng.choice(np.flatnonzero(kind == "a"), (kind == "b").sum())] + rng.normal(
        0, 10, ((kind == "b").sum(), 2)
    )
    drawn = cross_functions(cells_of(near, kind), source="a+", target="b+", radius_um=[20, 50], n_permutations=499)
    assert (drawn["k_um2"] > drawn["k_high"]).all()
    assert drawn["p"].max() == pytest.approx(1 / 500)


def test_one_kind_with_itself_and_nobody_at_all():
    cells = cells_of(*points())
    window = (0, 0, 500, 400)
    same = cross_functions(cells, source="a+", target="a+", radius_um=RADII, window=window)
    np.testing.assert_allclose(same["k_um2"], [129.032258, 355.555556, 1358.974359, 4190.476190], atol=1e-6)
    np.testing.assert_allclose(same["g"], [0.064516, 0.177778, 0.538462, 0.920635], atol=1e-6)
    cells.obs["c_positive"] = False
    none = cross_functions(cells, source="a+", target="c+", radius_um=[5], window=window, n_permutations=9)
    assert none["n_to"].tolist() == [0]
    assert none[["k_um2", "g", "p"]].isna().all(axis=None)
    far = cross_functions(cells, source="a+", target="b+", radius_um=[1000], window=window)
    assert far["n_inner"].tolist() == [0]
    assert np.isnan(far["k_um2"]).all()


def test_what_cannot_be_asked():
    cells = cells_of(*points())
    for words, message in (
        ({"radius_um": [0]}, "above 0"),
        ({"radius_um": [5], "region": "tumor"}, "needs the regions"),
        ({"radius_um": [5], "window": (0, 0, 0, 9)}, "no area"),
    ):
        with pytest.raises(UsageError, match=message):
            cross_functions(cells, source="a+", target="b+", **words)
