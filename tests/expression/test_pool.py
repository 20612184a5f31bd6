"""Single cells become samples: sums, shares and means among expressing cells, each held to a plain loop."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression import express

GENES = ["CD274", "PDCD1", "ACTB", "GAPDH"]


@pytest.fixture
def cells():
    rng = np.random.default_rng(5)
    n = 120
    counts = np.column_stack([rng.poisson(0.6, n), rng.poisson(1.5, n), rng.poisson(30, n), rng.poisson(20, n)])
    obs = pd.DataFrame(
        {
            "patient": rng.choice(["p1", "p2", "p3"], n),
            "timepoint": "baseline",
            "type": rng.choice(["T", "tumor", "rare"], n, p=[0.6, 0.38, 0.02]),
        },
        index=[f"c{i:03d}" for i in range(n)],
    )
    return ad.AnnData(csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=GENES))


def value(found, score, sample="p1", marker="PDCD1"):
    rows = found.levels[(found.levels["marker"] == marker) & (found.levels["score"] == score)]
    return rows.set_index("sample").loc[sample]


def test_pseudobulk_fraction_and_mean_by_cell_type(cells):
    found = express(cells, sample="patient", cell_type="type")
    counts = cells.X.toarray().astype(float)
    for kind, suffix in ((None, ""), ("T", " in T"), ("tumor", " in tumor")):
        here = (cells.obs["patient"] == "p1").to_numpy()
        if kind:
            here = here & (cells.obs["type"] == kind).to_numpy()
        part = counts[here]
        pdcd1, total = part[:, 1], part.sum(axis=1)
        assert value(found, f"log2_cpm{suffix}")["value"] == pytest.approx(
            np.log2(pdcd1.sum() / part.sum() * 1e6 + 1), rel=1e-9
        )
        share = value(found, f"expressing_fraction{suffix}")
        assert share["value"] == pytest.approx((pdcd1 > 0).mean())
        assert (share["n_cells"], share["n_expressing"]) == (here.sum(), (pdcd1 > 0).sum())
        logs = np.log2(pdcd1[pdcd1 > 0] / total[pdcd1 > 0] * 1e4 + 1)
        assert value(found, f"mean_in_expressing{suffix}")["value"] == pytest.approx(logs.mean(), rel=1e-9)


def test_logarithms_are_undone_before_cells_are_averaged(cells):
    counts = cells.X.toarray().astype(float)
    scaled = counts / counts.sum(axis=1, keepdims=True) * 1e4
    for log, undone in ((np.log1p, "e"), (lambda x: np.log2(x + 1), "2")):
        made = ad.AnnData(log(scaled), obs=cells.obs, var=cells.var)
        found = express(made, sample="patient")
        here = (cells.obs["patient"] == "p1").to_numpy()
        assert value(found, "log2_mean")["value"] == pytest.approx(np.log2(scaled[here, 1].mean() + 1), rel=1e-6)
        words = "natural" if undone == "e" else "base 2"
        assert words in found.scale_reason


def test_scanpys_own_note_tells_the_base(cells):
    import scanpy as sc

    part = cells.copy()
    sc.pp.normalize_total(part, target_sum=1e4)
    sc.pp.log1p(part)
    found = express(part[:, ["CD274", "PDCD1", "ACTB"]].copy())  # without all genes, totals tell nothing
    assert found.scale == "log1p"
    assert "the file says so" in found.scale_reason


def test_few_cells_are_not_evaluable_and_the_reason_counts_them(cells):
    found = express(cells, sample="patient", cell_type="type", min_cells=10)
    rare = value(found, "log2_cpm in rare")
    assert rare["status"] == "not_evaluable"
    n = ((cells.obs["patient"] == "p1") & (cells.obs["type"] == "rare")).sum()
    assert rare["reason"] == f"{n} cells, 10 are needed"
    assert np.isnan(rare["value"])


def test_few_expressing_cells_have_no_mean(cells):
    counts = cells.X.toarray()
    counts[:, 0] = 0
    counts[np.flatnonzero(cells.obs["patient"] == "p1")[:2], 0] = 3
    found = express(ad.AnnData(counts, obs=cells.obs, var=cells.var), sample="patient")
    mean = value(found, "mean_in_expressing", marker="CD274")
    assert mean["reason"] == "2 expressing cells, 3 are needed"
    assert value(found, "expressing_fraction", marker="CD274")["status"] == "ok"


def test_order_of_cells_changes_nothing(cells):
    order = np.random.default_rng(0).permutation(cells.n_obs)
    logs = ad.AnnData(np.log1p(cells.X.toarray() / 7), obs=cells.obs, var=cells.var)
    for made in (cells, logs):
        one = express(made, sample="patient", cell_type="type").levels
        two = express(made[order][:, [3, 2, 1, 0]].copy(), sample="patient", cell_type="type").levels
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_cells_without_a_sample_are_left_out_and_said(cells):
    cells.obs["donor"] = cells.obs["patient"].where(np.arange(cells.n_obs) > 4)
    found = express(cells, sample="donor")
    assert "5 cells without a sample were left out" in found.warnings
    assert set(found.levels["sample"]) == {"p1", "p2", "p3"}


def test_a_sample_of_two_time_points_is_refused_and_two_columns_part_it(cells):
    cells.obs["timepoint"] = np.where(np.arange(cells.n_obs) % 2, "baseline", "on_treatment")
    with pytest.raises(DataError, match="cells of several timepoints"):
        express(cells, sample="patient")
    found = express(cells, sample=["patient", "timepoint"])
    rows = found.levels.drop_duplicates("sample").set_index("sample")
    assert rows.loc["p1_on_treatment", ["patient", "timepoint"]].tolist() == ["p1", "on_treatment"]


def test_z_scores_are_not_pooled(cells):
    made = ad.AnnData(np.random.default_rng(0).normal(size=cells.shape), obs=cells.obs, var=cells.var)
    with pytest.raises(DataError, match="zscore values cannot be pooled"):
        express(made, sample="patient")


def test_a_cell_type_needs_a_sample_and_columns_have_to_exist(cells):
    with pytest.raises(UsageError, match="needs the column that names the sample"):
        express(cells, cell_type="type")
    with pytest.raises(UsageError, match="Did you mean 'patient'"):
        express(cells, sample="patients")


def test_real_single_cells_aggregate_as_pandas_does(shared_data):
    path = shared_data / "cohorts" / "singlecell" / "sade_feldman_550.h5ad"
    data = ad.read_h5ad(path)
    found = express(path, sample="patient", genes=["PDCD1", "CD8A", "CD274"], min_cells=1, min_expressing=1)
    assert found.scale == "log2"
    assert "logarithms" in found.scale_reason
    assert any("CD274 is not in the matrix" in text for text in found.warnings)
    patients = data.obs["patient"].astype(str)
    table = data[:, ["PDCD1", "CD8A"]].to_df().astype(float)
    for gene in ("PDCD1", "CD8A"):
        rows = found.levels[found.levels["marker"] == gene]
        score = {name: part.set_index("sample")["value"] for name, part in rows.groupby("score")}
        mean = (np.exp2(table[gene]) - 1).groupby(patients).mean()
        share = (table[gene] > 0).groupby(patients).mean()
        high = table[gene].where(table[gene] > 0).groupby(patients).mean()
        np.testing.assert_allclose(score["log2_mean"].loc[mean.index], np.log2(mean + 1), rtol=1e-9)
        np.testing.assert_allclose(score["expressing_fraction"].loc[mean.index], share, rtol=1e-12)
        np.testing.assert_allclose(score["mean_in_expressing"].loc[mean.index], high, rtol=1e-6)
