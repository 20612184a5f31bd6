"""Levels come out right, or not at all."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix
from scipy.stats import spearmanr

from biomarkers.core.errors import DataError, UsageError
from biomarkers.datasets import sample_trial
from biomarkers.expression import express

GENES = ["ACTB", "CD274", "PDCD1", "CD8A", "PDCD1LG2", "GAPDH"]


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(40, (8, len(GENES))).astype(np.float32)


def save(tmp_path, matrix, *, genes=GENES, obs=None, layers=None, name="m.h5ad"):
    n = matrix.shape[0]
    obs = pd.DataFrame(index=[f"s{i}" for i in range(n)]) if obs is None else obs
    made = ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=genes), layers=layers)
    made.write_h5ad(tmp_path / name)
    return tmp_path / name


def level(found, gene):
    return found.levels[found.levels["marker"] == gene].set_index("sample")["value"]


def expected(counts, gene):
    column = GENES.index(gene)
    return np.log2(counts[:, column] / counts.sum(axis=1) * 1e6 + 1)


@pytest.mark.parametrize("kind", [csr_matrix, csc_matrix, np.asarray])
def test_counts_become_log2_cpm_whatever_the_storage(tmp_path, counts, kind):
    found = express(save(tmp_path, kind(counts)))
    assert found.scale == "counts"
    for gene in ("CD274", "PDCD1"):
        np.testing.assert_allclose(level(found, gene), expected(counts, gene), rtol=1e-6)


def test_scanpy_gives_the_same(tmp_path, counts):
    import scanpy as sc

    path = save(tmp_path, csr_matrix(counts))
    made = ad.read_h5ad(path)
    sc.pp.normalize_total(made, target_sum=1e6)
    sc.pp.log1p(made, base=2)
    found = express(path)
    np.testing.assert_allclose(level(found, "CD274"), made[:, "CD274"].X.toarray()[:, 0], rtol=1e-5)


def test_order_of_genes_and_samples_changes_nothing(tmp_path, counts):
    base = express(save(tmp_path, csr_matrix(counts)))
    genes, samples = np.array([5, 3, 1, 0, 2, 4]), np.array([7, 2, 0, 1, 3, 6, 4, 5])
    obs = pd.DataFrame(index=[f"s{i}" for i in samples])
    turned = save(
        tmp_path, csr_matrix(counts[samples][:, genes]), genes=[GENES[i] for i in genes], obs=obs, name="t.h5ad"
    )
    assert (level(express(turned), "CD8A").reindex(level(base, "CD8A").index) == level(base, "CD8A")).all()


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("PD-L1", "alias"),
        ("B7-H1", "alias"),
        ("cd274", "symbol, other case"),
        ("ENSG00000120217.14", "Ensembl"),
        ("29126", "NCBI Gene"),
    ],
)
def test_a_gene_is_found_under_any_of_its_names_and_the_rule_is_said(tmp_path, counts, name, rule):
    found = express(save(tmp_path, csr_matrix(counts), genes=[name if g == "CD274" else g for g in GENES]))
    np.testing.assert_allclose(level(found, "CD274"), expected(counts, "CD274"), rtol=1e-6)
    assert found.genes.set_index("gene").loc["CD274", "rule"] == rule


def test_logarithms_are_not_taken_twice(tmp_path, counts):
    log = np.log2(counts / counts.sum(axis=1, keepdims=True) * 1e6 + 1)
    found = express(save(tmp_path, log))
    assert found.scale == "log2"
    np.testing.assert_allclose(level(found, "CD274"), log[:, 1], rtol=1e-6)
    declared = express(save(tmp_path, np.log1p(counts), name="ln.h5ad"), scale="log1p")
    np.testing.assert_allclose(level(declared, "CD274"), np.log2(counts[:, 1] + 1), rtol=1e-5)


def test_the_counts_layer_is_used_and_said(tmp_path, counts):
    path = save(tmp_path, np.log1p(counts), layers={"counts": counts})
    found = express(path)
    assert found.scale == "counts"
    assert any("layer 'counts'" in warning for warning in found.warnings)
    assert express(path, layer="X").scale == "log2"


def test_tpm_is_recognised_by_its_sum(tmp_path, counts):
    tpm = counts / counts.sum(axis=1, keepdims=True) * 1e6
    found = express(save(tmp_path, tpm))
    assert found.scale == "tpm"


def test_a_declaration_that_contradicts_the_values_warns(tmp_path, counts):
    found = express(save(tmp_path, np.log1p(counts)), scale="counts")
    assert any("declared as counts" in warning for warning in found.warnings)


def test_missing_genes_are_reported_and_never_filled(tmp_path, counts):
    found = express(save(tmp_path, csr_matrix(counts), genes=["CD247" if g == "CD274" else g for g in GENES]))
    assert "CD274" not in set(found.levels["marker"])
    assert any(
        "CD274 is not in the matrix" in warning and "did you mean CD247" in warning for warning in found.warnings
    )
    assert any("ifng_10 is not evaluable" in warning for warning in found.warnings)


def test_a_sample_without_counts_is_not_evaluable(tmp_path, counts):
    counts[3] = 0
    rows = express(save(tmp_path, csr_matrix(counts))).levels.query("marker == 'CD274'").set_index("sample")
    assert rows.loc["s3", "status"] == "not_evaluable"
    assert np.isnan(rows.loc["s3", "value"])
    assert rows.drop("s3")["value"].notna().all()


def test_cells_are_pooled_and_few_cells_are_not_evaluable(tmp_path):
    rng = np.random.default_rng(1)
    counts = rng.poisson(3, (30, len(GENES))).astype(float)
    obs = pd.DataFrame({"donor": ["a"] * 25 + ["b"] * 5}, index=[f"c{i}" for i in range(30)])
    found = express(save(tmp_path, csr_matrix(counts), obs=obs), sample="donor")
    rows = found.levels.query("marker == 'CD274' and score == 'log2_cpm'").set_index("sample")
    pooled = counts[:25].sum(axis=0)
    assert rows.loc["a", "value"] == pytest.approx(np.log2(pooled[1] / pooled.sum() * 1e6 + 1))
    assert rows.loc["b", "status"] == "not_evaluable"
    assert "5 cells" in rows.loc["b", "reason"]
    share = found.levels.query("marker == 'CD274' and score == 'expressing_fraction'").set_index("sample")
    assert share.loc["a", "value"] == pytest.approx((counts[:25, 1] > 0).mean())


def test_planted_levels_come_back_from_simulated_counts():
    from biomarkers.simulate.trial import simulate_trial

    found = express(sample_trial().expression).levels.query("marker == 'CD8A'")
    both = found.merge(simulate_trial(rng=52).biopsies, on=["patient", "timepoint"])
    assert len(both) == 71
    assert spearmanr(both["value"], both["cd8_level"]).statistic >= 0.95


def test_imvigor_cd274_agrees_with_the_immune_cell_level(shared_data):
    table = pd.read_csv(shared_data / "cohorts" / "imvigor210" / "imvigor210_IHC_plus_RNA.csv")
    column = next(name for name in table.columns if name.lower() in ("ic.level", "ic_level", "ic"))
    known = table.dropna(subset=[column, "CD274"])
    order = {"IC0": 0, "IC1": 1, "IC2": 2, "IC2+": 2, "IC3": 3}
    levels = known[column].map(order) if known[column].dtype.kind not in "if" else known[column]
    assert spearmanr(levels, known["CD274"]).statistic == pytest.approx(0.531, abs=0.001)


def test_single_cells_with_log_values_called_counts(shared_data):
    found = express(shared_data / "cohorts" / "singlecell" / "sade_feldman_550.h5ad", sample="patient")
    assert found.scale == "log2"
    assert any("CD274 is not in the matrix" in warning for warning in found.warnings)


def test_unknown_names_suggest_the_nearest(tmp_path, counts):
    path = save(tmp_path, csr_matrix(counts), layers={"raw_counts": csr_matrix(counts)})
    with pytest.raises(UsageError, match="Did you mean 'raw_counts'"):
        express(path, layer="raw_count")
    with pytest.raises(UsageError, match="Did you mean 'cytolytic'"):
        express(path, signatures=["cytolitic"])
    with pytest.raises(UsageError, match="unknown scale"):
        express(path, scale="count")
    with pytest.raises(UsageError, match="no such column"):
        express(path, sample="donor")
    with pytest.raises(UsageError, match="no such file"):
        express(tmp_path / "absent.h5ad")
    with pytest.raises(DataError, match="none of the wanted"):
        express(save(tmp_path, csr_matrix(counts), genes=list("abcdef"), name="x.h5ad"))


@pytest.mark.parametrize("normalise", ["cpm", "tmm", "ratio"])
def test_planted_abundance_of_every_marker_comes_back(tmp_path, normalise):
    """Negative-binomial counts of planted abundances, libraries of 1 to 4 million reads."""
    rng = np.random.default_rng(11)
    n, markers = 80, ["CD274", "PDCD1", "PDCD1LG2", "CD8A"]
    others = rng.normal(7.5, 2, 400) + rng.normal(0, 0.3, (n, 400))
    planted = rng.normal(4.5, 1, (n, len(markers)))
    share = 2 ** np.hstack([planted, others])
    share /= share.sum(axis=1, keepdims=True)
    mean = share * rng.uniform(1e6, 4e6, n)[:, None]
    counts = rng.negative_binomial(50, 50 / (50 + mean))
    path = save(tmp_path, csr_matrix(counts), genes=[*markers, *(f"SIMG{i}" for i in range(400))])
    found = express(path, normalise=normalise, signatures=[])
    for column, gene in enumerate(markers):
        assert spearmanr(level(found, gene), planted[:, column]).statistic >= 0.95
