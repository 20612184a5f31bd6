"""Every kind of file gives the same levels as the matrix it was made from."""

import gzip

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import mmwrite
from scipy.sparse import csc_matrix, csr_matrix

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression import express

GENES = ["ACTB", "CD274", "PDCD1", "CD8A", "PDCD1LG2", "GAPDH", "B2M"]
CELLS = [f"s{i}" for i in range(9)]


@pytest.fixture
def counts():
    rng = np.random.default_rng(3)
    made = rng.poisson(6, (len(CELLS), len(GENES))).astype(np.float32)
    made[:, 0] += 50
    return made


def data(matrix, **parts):
    return ad.AnnData(matrix, obs=pd.DataFrame(index=CELLS), var=pd.DataFrame(index=GENES), **parts)


def same(found, counts):
    assert found.scale == "counts"
    for gene in ("CD274", "PDCD1", "CD8A"):
        level = found.levels[found.levels["marker"] == gene].set_index("sample")["value"].reindex(CELLS)
        expected = np.log2(counts[:, GENES.index(gene)] / counts.sum(axis=1) * 1e6 + 1)
        np.testing.assert_allclose(level, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [csr_matrix, csc_matrix, np.asarray])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr(tmp_path, counts, kind, zarr_format):
    ad.settings.zarr_write_format = zarr_format
    try:
        data(kind(counts)).write_zarr(tmp_path / "m.zarr")
    finally:
        ad.settings.reset("zarr_write_format")
    same(express(tmp_path / "m.zarr"), counts)


@pytest.mark.parametrize("kind", [csr_matrix, csc_matrix, np.asarray])
def test_an_anndata_in_memory(counts, kind):
    same(express(data(kind(counts))), counts)


def test_raw_and_layers(tmp_path, counts):
    made = data(csr_matrix(np.log1p(counts)), layers={"umis": csr_matrix(counts)})
    made.raw = data(csr_matrix(counts * 2))
    made.write_h5ad(tmp_path / "m.h5ad")
    same(express(tmp_path / "m.h5ad", layer="umis"), counts)
    same(express(tmp_path / "m.h5ad", layer="raw"), counts * 2)
    same(express(made, layer="raw"), counts * 2)


def write_tenx(path, counts, kinds, *, version=3):
    columns = csc_matrix(counts.T)  # genes x barcodes
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        group["data"], group["indices"], group["indptr"] = columns.data, columns.indices, columns.indptr
        group["shape"], group["barcodes"] = columns.shape, np.array(CELLS, dtype="S")
        ids = [f"ENSG{i:011d}" for i in range(counts.shape[1])]
        if version == 3:
            group["features/name"], group["features/id"] = np.array(kinds.index, "S"), np.array(ids, "S")
            group["features/feature_type"] = np.array(kinds.tolist(), "S")
            group["features/genome"] = np.array(["GRCh38"] * len(ids), "S")
        else:
            group["gene_names"], group["genes"] = np.array(kinds.index, "S"), np.array(ids, "S")


def test_tenx_h5_as_scanpy_reads_it(tmp_path, counts):
    import scanpy as sc

    kinds = pd.Series("Gene Expression", index=GENES)
    write_tenx(tmp_path / "f.h5", counts, kinds)
    found = express(tmp_path / "f.h5")
    same(found, counts)
    np.testing.assert_array_equal(sc.read_10x_h5(tmp_path / "f.h5").X.toarray(), counts)
    write_tenx(tmp_path / "old.h5", counts, kinds, version=2)
    same(express(tmp_path / "old.h5"), counts)


def test_an_antibody_called_pd_l1_is_not_the_gene(tmp_path, counts):
    names = [*GENES, "PD-L1"]
    kinds = pd.Series(["Gene Expression"] * len(GENES) + ["Antibody Capture"], index=names)
    protein = np.full((len(CELLS), 1), 900, dtype=np.float32)
    write_tenx(tmp_path / "f.h5", np.hstack([counts, protein]), kinds)
    found = express(tmp_path / "f.h5")
    same(found, counts)  # neither taken for CD274 nor part of the total
    assert any("1 columns are no genes (Antibody Capture)" in text for text in found.warnings)


def write_mtx(folder, counts, *, features=None, zipped=True):
    folder.mkdir()
    mmwrite(folder / "matrix.mtx", csc_matrix(counts.T.astype(int)))
    ids = [f"ENSG{i:011d}" for i in range(len(GENES))]
    lines = features or [f"{i}\t{name}\tGene Expression" for i, name in zip(ids, GENES, strict=True)]
    (folder / "features.tsv").write_text("\n".join(lines) + "\n")
    (folder / "barcodes.tsv").write_text("\n".join(CELLS) + "\n")
    if zipped:
        for name in ("matrix.mtx", "features.tsv", "barcodes.tsv"):
            (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
            (folder / name).unlink()


def test_tenx_mtx_as_scanpy_reads_it(tmp_path, counts):
    import scanpy as sc

    write_mtx(tmp_path / "m", counts)
    same(express(tmp_path / "m"), counts)
    np.testing.assert_array_equal(sc.read_10x_mtx(tmp_path / "m").X.toarray(), counts)
    write_mtx(tmp_path / "plain", counts, zipped=False)
    same(express(tmp_path / "plain" / "matrix.mtx"), counts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("7 9 ", "7 8 ", 1), "does not fit its features and barcodes"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "cut short"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n99 1 3\n", "out of range or no number"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n0 1 3\n", "out of range or no number"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n1 1 x\n", "out of range or no number"),
        (lambda text: "%%MatrixMarket matrix array real general\n" + text, "no sparse MatrixMarket"),
    ],
)
def test_a_broken_mtx_ends_in_a_message(tmp_path, counts, change, message):
    write_mtx(tmp_path / "m", counts, zipped=False)
    path = tmp_path / "m" / "matrix.mtx"
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        express(path)


def test_mtx_without_its_features(tmp_path, counts):
    write_mtx(tmp_path / "m", counts)
    (tmp_path / "m" / "features.tsv.gz").unlink()
    with pytest.raises(DataError, match="a file beside the matrix is missing"):
        express(tmp_path / "m")


def test_loom(tmp_path, counts):
    with h5py.File(tmp_path / "m.loom", "w") as file:
        file.create_dataset("matrix", data=counts.T, chunks=(4, 4), compression="gzip")
        file["row_attrs/Gene"], file["col_attrs/CellID"] = np.array(GENES, "S"), np.array(CELLS, "S")
        file["layers/doubled"] = counts.T * 2
    same(express(tmp_path / "m.loom"), counts)
    same(express(tmp_path / "m.loom", layer="doubled"), counts * 2)
    with pytest.raises(UsageError, match="Did you mean 'doubled'"):
        express(tmp_path / "m.loom", layer="double")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("named", [None, "gene"])
def test_parquet_either_way_round(tmp_path, counts, turned, named):
    frame = pd.DataFrame(counts, index=CELLS, columns=GENES)
    frame = frame if turned else frame.T
    frame.rename_axis(named).to_parquet(tmp_path / "m.parquet")
    same(express(tmp_path / "m.parquet"), counts)
    frame.rename_axis("id").reset_index().to_parquet(tmp_path / "plain.parquet", index=False)
    same(express(tmp_path / "plain.parquet"), counts)


def test_parquet_that_is_none(tmp_path):
    (tmp_path / "m.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        express(tmp_path / "m.parquet")


def write_samples(folder, header, name, row, *, names=GENES):
    rng, tpm = np.random.default_rng(1), {}
    for sample in ("a", "b", "c"):
        values = rng.dirichlet(np.ones(len(names))) * 1e6
        tpm[sample] = values
        (folder / sample).mkdir(parents=True)
        lines = [header, *(row(gene, value) for gene, value in zip(names, values, strict=True))]
        (folder / sample / name).write_text("\n".join(lines) + "\n")
    return pd.DataFrame(tpm, index=names).T


@pytest.mark.parametrize(
    ("header", "name", "row"),
    [
        ("Name\tLength\tEffectiveLength\tTPM\tNumReads", "quant.genes.sf", lambda g, v: f"{g}\t900\t800\t{v!r}\t10"),
        ("target_id\tlength\teff_length\test_counts\ttpm", "abundance.tsv", lambda g, v: f"{g}\t900\t800\t10\t{v!r}"),
        (
            "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM",
            "x.genes.results",
            lambda g, v: f"{g}\tT\t900\t800\t10\t{v!r}\t1",
        ),
    ],
)
def test_gene_tables_of_quantifiers(tmp_path, header, name, row):
    tpm = write_samples(tmp_path / "q", header, name, lambda g, v: row(g, float(v)))
    if name.endswith(".results"):
        for sample in "abc":
            path = tmp_path / "q" / sample / name
            path.rename(path.with_name(f"{sample}.genes.results"))
    found = express(tmp_path / "q")
    assert found.scale == "tpm"
    level = found.levels[found.levels["marker"] == "CD274"].set_index("sample")["value"]
    np.testing.assert_allclose(level, np.log2(tpm["CD274"] + 1), rtol=1e-12)


def test_transcripts_are_summed_where_their_names_tell_the_gene(tmp_path):
    names = [f"ENST{i:011d}.1|ENSG{i // 2:011d}.2|-|-|x|{GENES[i // 2]}|900|protein_coding|" for i in range(14)]
    header = "target_id\tlength\teff_length\test_counts\ttpm"
    tpm = write_samples(
        tmp_path / "q", header, "abundance.tsv", lambda g, v: f"{g}\t9\t8\t1\t{float(v)!r}", names=names
    )
    found = express(tmp_path / "q").levels.query("marker == 'CD274'").set_index("sample")["value"]
    both = tpm[[name for name in names if "|CD274|" in name]].sum(axis=1)
    np.testing.assert_allclose(found, np.log2(both + 1), rtol=1e-12)


def test_transcripts_without_genes_are_refused(tmp_path):
    names = [f"ENST{i:011d}.1" for i in range(6)]
    header = "Name\tLength\tEffectiveLength\tTPM\tNumReads"
    write_samples(tmp_path / "q", header, "quant.sf", lambda g, v: f"{g}\t9\t8\t{float(v)!r}\t1", names=names)
    with pytest.raises(DataError, match="transcripts, not genes"):
        express(tmp_path / "q")


def test_samples_with_other_genes_are_not_joined(tmp_path):
    header = "Name\tLength\tEffectiveLength\tTPM\tNumReads"
    write_samples(tmp_path / "q", header, "quant.genes.sf", lambda g, v: f"{g}\t9\t8\t{float(v)!r}\t1")
    path = tmp_path / "q" / "b" / "quant.genes.sf"
    path.write_text(path.read_text().replace("B2M", "OTHER"))
    with pytest.raises(DataError, match="do not have the same genes"):
        express(tmp_path / "q")


@pytest.mark.parametrize("name", ["m.pkl", "m.npz", "m.rds", "m.xlsx", "m.zip", "m.jpg"])
def test_what_is_not_read_is_refused_with_a_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match="kind of"):
        express(tmp_path / name)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(UsageError, match="no matrix in this folder; found 'nothing'"):
        express(tmp_path)
