"""Normalisation between samples: held to planted truth, to its definition, and to what must not change it."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gmean

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression import express
from biomarkers.expression.normalise import library_sizes

N, G = 10, 400
GENES = ["CD274", "PDCD1", *(f"SIMG{i}" for i in range(G - 3)), "GIANT"]


def planted(giant: float) -> np.ndarray:
    """Counts of equal samples, but that the last gene takes a share ``giant`` of the first sample's reads."""
    rng = np.random.default_rng(2)
    share = rng.lognormal(0, 1, G)
    share[:2] = 2.0
    share[-1] = 1.0
    shares = np.tile(share / share.sum(), (N, 1))
    shares[0] *= 1 - giant
    shares[0, -1] += giant
    return rng.poisson(shares * rng.uniform(2e5, 6e5, N)[:, None])


def levels(counts, method, genes=None, samples=None):
    genes = GENES if genes is None else genes
    samples = [f"s{i}" for i in range(len(counts))] if samples is None else samples
    data = ad.AnnData(counts.astype(float), obs=pd.DataFrame(index=samples), var=pd.DataFrame(index=genes))
    found = express(data, genes=["CD274", "PDCD1"], signatures=[], normalise=method).levels
    return found.pivot_table(index="sample", columns="marker", values="value")


@pytest.mark.parametrize(("method", "shift"), [("cpm", -1.0), ("tmm", 0.0), ("ratio", 0.0)])
def test_one_gene_that_takes_half_the_reads_does_not_lower_the_others(method, shift):
    found = levels(planted(0.5), method)
    others = found.drop("s0").mean()
    assert (found.loc["s0"] - others).mean() == pytest.approx(shift, abs=0.15)


def test_median_of_ratios_is_its_definition():
    counts = planted(0.3)
    kept = counts[:, (counts > 0).all(axis=0)]
    factors = np.median(kept / gmean(kept, axis=0), axis=1)  # Anders and Huber, equation 5
    sizes = library_sizes(pd.DataFrame(counts), method="ratio", samples=[f"s{i}" for i in range(N)])
    np.testing.assert_allclose(sizes / sizes[0], factors / factors[0], rtol=1e-6)


def test_tmm_of_a_worked_example():
    # three samples alike but for one gene, which is trimmed away: sizes differ as the other genes do
    table = pd.DataFrame(
        [
            [200, 300, 500, 2000, 7000],
            [400, 600, 1000, 4000, 14000],
            [200, 300, 500, 2000, 17000],
            [200, 300, 500, 2000, 2000],
        ]
    )
    sizes = library_sizes(table, method="tmm", samples=list("abcd"))
    np.testing.assert_allclose(table[0] / sizes * 1e6, [20000] * 4, rtol=1e-9)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["tmm", "ratio"]))
def test_order_of_genes_and_samples_changes_nothing(seed, method):
    rng = np.random.default_rng(seed)
    counts = planted(0.4)
    genes, samples = rng.permutation(G), rng.permutation(N)
    base = levels(counts, method)
    turned = levels(counts[samples][:, genes], method, [GENES[i] for i in genes], [f"s{i}" for i in samples])
    pd.testing.assert_frame_equal(base, turned.loc[base.index], check_exact=True)


@pytest.mark.parametrize("method", ["cpm", "tmm", "ratio"])
def test_depth_alone_changes_nothing(method):
    counts = planted(0.2)
    deeper = counts * np.arange(1, N + 1)[:, None]
    one, two = levels(counts, method), levels(deeper, method)
    np.testing.assert_allclose(one - one.iloc[0], two - two.iloc[0], atol=0.02)


def test_samples_without_counts_do_not_spoil_the_others():
    counts = planted(0.2)
    counts[4] = 0
    data = ad.AnnData(counts.astype(float), obs=pd.DataFrame(index=list("abcdefghij")), var=pd.DataFrame(index=GENES))
    for method in ("tmm", "ratio"):
        rows = express(data, normalise=method, signatures=[]).levels.query("marker == 'CD274'").set_index("sample")
        assert rows.loc["e", "status"] == "not_evaluable"
        assert rows.drop("e")["value"].notna().all()


def test_it_is_refused_where_it_makes_no_sense():
    counts = planted(0.2)
    with pytest.raises(UsageError, match="tmm normalises counts"):
        levels(np.log1p(counts), "tmm")
    with pytest.raises(UsageError, match="Did you mean 'tmm'"):
        levels(counts, "tmmm")
    with pytest.raises(DataError, match="too few genes are counted in every sample"):
        levels(np.where(np.arange(G) < 5, counts, 0), "ratio")


def test_pooled_cells_are_normalised_as_the_sums_are():
    counts = planted(0.5)
    rng = np.random.default_rng(0)
    cells = np.concatenate(list(_split(counts, rng)))
    obs = pd.DataFrame({"donor": np.repeat([f"s{i}" for i in range(N)], 20)}, index=[f"c{i}" for i in range(N * 20)])
    data = ad.AnnData(cells.astype(float), obs=obs, var=pd.DataFrame(index=GENES))
    found = express(data, genes=["CD274", "PDCD1"], signatures=[], normalise="tmm", sample="donor").levels
    pooled = found[found["score"] == "log2_tmm_cpm"].pivot_table(index="sample", columns="marker", values="value")
    np.testing.assert_allclose(pooled, levels(counts, "tmm"), rtol=1e-9)


def _split(counts, rng):
    """Each sample's counts dealt out to 20 cells."""
    for row in counts:
        yield np.array([rng.multinomial(k, np.full(20, 0.05)) for k in row]).T


def test_score_genes_is_scanpys_and_follows_the_planted_level():
    import scanpy as sc

    from biomarkers.datasets import sample_trial

    path = sample_trial().expression
    found = express(path, signatures=["ifng_10"], score_genes=True).levels
    mine = found[found["score"] == "score_genes"].set_index("sample")["value"]
    data = ad.read_h5ad(path)
    data = data[:, sorted(data.var_names)].copy()
    data.X = data.X.astype(float)
    sc.pp.normalize_total(data, target_sum=1e6)
    sc.pp.log1p(data, base=2)
    genes = ["IFNG", "STAT1", "CCR5", "CXCL9", "CXCL10", "CXCL11", "IDO1", "PRF1", "GZMA", "HLA-DRA"]
    sc.tl.score_genes(data, genes, random_state=0, use_raw=False)
    np.testing.assert_allclose(mine, data.obs["score"].loc[mine.index], atol=1e-4)


def test_score_genes_of_cells_is_that_of_their_mean_sample():
    rng = np.random.default_rng(0)
    genes = ["GZMA", "PRF1", *(f"G{i}" for i in range(150))]
    n_cells = [3, 12, 30, 60]
    cells = rng.lognormal(3, 1, (sum(n_cells), len(genes)))
    cells *= 1e6 / cells.sum(axis=1, keepdims=True)
    names = np.repeat(list("abcd"), n_cells)
    single = ad.AnnData(cells, obs=pd.DataFrame({"sample": names}, index=[str(i) for i in range(len(names))]))
    bulk = ad.AnnData(
        np.array([cells[names == name].mean(axis=0) for name in "abcd"]), obs=pd.DataFrame(index=list("abcd"))
    )
    scored = []
    for data, options in ((single, {"sample": "sample", "min_cells": 1}), (bulk, {})):
        data.var_names = genes
        levels = express(data, signatures=["cytolytic"], score_genes=True, scale="tpm", **options).levels
        scored.append(levels[levels["score"] == "score_genes"].set_index("sample")["value"])
    np.testing.assert_allclose(scored[0].loc[list("abcd")], scored[1].loc[list("abcd")], atol=1e-6)
