"""Distances and counts equal those of others, and chance looks like chance."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from biomarkers.core.errors import UsageError
from biomarkers.io.cell_tables.read import import_cells
from biomarkers.score.space import count_within, nearest_distances, proximity_test


@pytest.fixture(scope="module")
def set4(shared_data):
    return import_cells(shared_data / "images" / "phenoptr" / "sample_cell_seg_data_slim.csv.gz")


RULES = {"CK+ PDL1+": "CK+ PD-L1 > 3", "T cell": "CD8+ or FoxP3+"}


def test_every_count_within_of_phenoptr(set4, shared_data):
    reference = pd.read_csv(shared_data / "images" / "phenoptr" / "reference_count_within.csv")
    assert len(reference) > 5
    for row in reference.to_dict("records"):
        pair = (RULES.get(row["from"], row["from"]), RULES.get(row["to"], row["to"]))
        found = count_within(set4, pairs=[pair], radius_um=[row["radius"]], region=row["category"]).iloc[0]
        counts = [found["n_from"], found["n_to"], found["n_from_with"]]
        assert counts == [row["from_count"], row["to_count"], row["from_with"]]
        assert round(found["mean_within"], 4) == pytest.approx(row["within_mean"], abs=1.1e-4)


def test_every_documented_count_within(set4, shared_data):
    reference = pd.read_csv(shared_data / "images" / "phenoptr" / "reference_docs_count_within.csv")
    for row in reference.to_dict("records"):
        pair = (RULES.get(row["from"], row["from"]), RULES.get(row["to"], row["to"]))
        found = count_within(set4, pairs=[pair], radius_um=[row["radius_um"]]).iloc[0]
        counts = [found["n_from"], found["n_to"], found["n_from_with"]]
        assert counts == [row["from_count"], row["to_count"], row["from_with"]]
        if np.isfinite(row["within_mean_rounded"]):
            assert found["mean_within"] == pytest.approx(row["within_mean_rounded"], rel=0.01)


def test_every_nearest_neighbour_mean(set4, shared_data):
    reference = pd.read_csv(shared_data / "images" / "phenoptr" / "nearest_neighbour_reference.csv")
    pairs = list(zip(reference["from_"], reference["to"], strict=True))
    found = nearest_distances(set4, pairs=pairs)
    np.testing.assert_allclose(found["mean_um"], reference["mean_nn_um"], atol=6e-4)
    np.testing.assert_allclose(found["median_um"], reference["median_nn_um"], atol=6e-4)


def scatter(rng, n=600, *, attracted):
    """B cells fall on A cells, or anywhere."""
    a = rng.uniform(0, 500, (n // 3, 2))
    b = a + rng.normal(0, 3, a.shape) if attracted else rng.uniform(0, 500, a.shape)
    other = rng.uniform(0, 500, a.shape)
    kind = np.repeat(["A", "B", "other"], n // 3)
    obs = pd.DataFrame({"phenotype": kind, "region": "Tumor"}, index=[str(i) for i in range(len(kind))])
    return ad.AnnData(np.zeros((len(kind), 0)), obs=obs, obsm={"spatial": np.vstack([a, b, other])})


def test_attraction_is_found():
    found = proximity_test(scatter(np.random.default_rng(0), attracted=True), source="A", target="B", radius_um=10)
    assert found.p == 1 / 1000
    assert found.mean_within > found.high


@pytest.mark.slow
def test_p_is_uniform_where_there_is_nothing():
    rng = np.random.default_rng(1)
    p = [
        proximity_test(scatter(rng, 300, attracted=False), source="A", target="B", radius_um=15, rng=rng).p
        for _ in range(200)
    ]
    assert kstest(p, "uniform").pvalue > 0.001
    assert np.mean(np.array(p) <= 0.05) <= 0.11


def test_a_preference_for_a_region_is_not_attraction():
    rng = np.random.default_rng(2)
    xy = np.vstack([rng.uniform(0, 300, (900, 2)), rng.uniform(300, 600, (900, 2))])
    region = np.repeat(["Tumor", "Stroma"], 900)
    kind = np.full(1800, "other", dtype=object)
    kind[:300], kind[300:500], kind[900:905], kind[905:910] = "A", "B", "A", "B"
    obs = pd.DataFrame({"phenotype": kind, "region": region}, index=[str(i) for i in range(1800)])
    cells = ad.AnnData(np.zeros((1800, 0)), obs=obs, obsm={"spatial": xy})
    assert proximity_test(cells, source="A", target="B", radius_um=20).p > 0.01


def test_the_shortcut_equals_shuffling_one_by_one():
    cells = scatter(np.random.default_rng(3), 150, attracted=False)
    found = proximity_test(cells, source="A", target="B", radius_um=40, n_permutations=4000)
    kind = cells.obs["phenotype"].to_numpy()
    distance = np.linalg.norm(cells.obsm["spatial"][:, None] - cells.obsm["spatial"][None], axis=-1)
    near = (distance[kind == "A"] <= 40).sum(axis=0)
    rng, free = np.random.default_rng(4), np.flatnonzero(kind != "A")
    sums = [near[rng.choice(free, (kind == "B").sum(), replace=False)].sum() for _ in range(4000)]
    assert found.expected == pytest.approx(np.mean(sums) / 50, rel=0.02)
    assert found.low == pytest.approx(np.quantile(sums, 0.025) / 50, rel=0.05)


def test_nobody_to_be_near_is_said_not_tested():
    cells = scatter(np.random.default_rng(5), 30, attracted=False)
    cells.obs["CD8_positive"] = False
    found = proximity_test(cells, source="A", target="CD8+", radius_um=10)
    assert np.isnan(found.p)
    assert "CD8+" in found.note


def test_a_radius_of_nothing_is_refused():
    with pytest.raises(UsageError, match="radius"):
        count_within(scatter(np.random.default_rng(5), 30, attracted=False), pairs=[("A", "B")], radius_um=[0])
