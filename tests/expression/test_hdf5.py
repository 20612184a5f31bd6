"""A file is checked before anything in it is used."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from biomarkers.core.errors import DataError
from biomarkers.expression import express
from biomarkers.expression.chunks import quick
from biomarkers.expression.scan import NO_GENE, WANTED_NOT, Sparse, scan_sparse

GENES = ["CD274", "PDCD1", "CD8A", "ACTB"]


@pytest.fixture
def path(tmp_path):
    counts = csr_matrix(np.arange(24, dtype=np.float32).reshape(6, 4))
    made = ad.AnnData(counts, obs=pd.DataFrame(index=list("abcdef")), var=pd.DataFrame(index=GENES))
    made.write_h5ad(tmp_path / "m.h5ad")
    return tmp_path / "m.h5ad"


def spoil(path, name, change):
    with h5py.File(path, "r+") as file:
        values = file[name][:]
        file[name][:] = change(values)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("X/indptr", lambda v: np.where(v == v[2], 10**6, v), "row pointer is not rising"),
        ("X/indptr", lambda v: v + 1, "row pointer is not rising"),
        ("X/indices", lambda v: np.where(np.arange(len(v)) == 3, 10**8, v), "index is out of range"),
        ("X/indices", lambda v: np.where(np.arange(len(v)) == 3, -1, v), "index is out of range"),
        ("X/data", lambda v: np.where(np.arange(len(v)) == 3, np.nan, v), "gene CD274, sample b: a value is missing"),
    ],
)
def test_a_broken_sparse_matrix_ends_in_a_message(path, name, change, message):
    spoil(path, name, change)
    with pytest.raises(DataError, match=message):
        express(path)


def test_lengths_that_do_not_fit(path):
    with h5py.File(path, "r+") as file:
        indices = file["X/indices"][:]
        del file["X/indices"]
        file["X/indices"] = indices[:-1]
    with pytest.raises(DataError, match="lengths do not fit"):
        express(path)


def test_a_matrix_of_another_shape(path):
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = [7, 4]
    with pytest.raises(DataError, match="does not fit obs and var"):
        express(path)


def test_links_to_other_files_are_refused_at_every_depth(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = [1]
    with h5py.File(path, "r+") as file:
        file["uns/deep/link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
    with pytest.raises(DataError, match=r"uns/deep/link: the file points to another file"):
        express(path)


def test_external_storage_and_virtual_data_are_refused(path, tmp_path):
    (tmp_path / "raw.bin").write_bytes(bytes(80))
    with h5py.File(path, "r+") as file:
        file.create_dataset("uns/outside", (10,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 80)])
    with pytest.raises(DataError, match="keeps data in another file"):
        express(path)


def test_a_file_that_is_no_hdf5(tmp_path):
    (tmp_path / "m.h5ad").write_text("<html>not found</html>")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        express(tmp_path / "m.h5ad")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 300), st.sampled_from(["f4", "f8", "i8"]))
def test_one_pass_equals_scipy(seed, rows, columns, kind):
    rng = np.random.default_rng(seed)
    matrix = csr_matrix(rng.poisson(0.7, (rows, columns)).astype(kind))
    if seed % 2:  # columns of a row in any order, one of them twice
        for row in range(rows):
            part = slice(*matrix.indptr[row : row + 2])
            order = rng.permutation(part.stop - part.start)
            matrix.indices[part], matrix.data[part] = matrix.indices[part][order], matrix.data[part][order]
        if len(matrix.indices) > 1 and matrix.indptr[1] > 1:
            matrix.indices[0] = matrix.indices[1]
    wanted = rng.permutation(columns)[: max(1, columns // 40)]
    slot = np.full(columns, WANTED_NOT, dtype=np.int32)
    slot[wanted] = np.arange(len(wanted))
    hidden = rng.integers(columns)
    if slot[hidden] == WANTED_NOT:
        slot[hidden] = NO_GENE
    parts = Sparse(matrix.data, matrix.indices, matrix.indptr, (rows, columns), by_rows=True, where="x")
    values, seen = scan_sparse(parts, slot, [str(i) for i in range(rows)])
    dense = matrix.toarray()
    np.testing.assert_allclose(seen.totals, dense[:, slot != NO_GENE].sum(axis=1))
    np.testing.assert_allclose(values, dense[:, wanted])
    stored = matrix.data if matrix.nnz == rows * columns else np.append(matrix.data, 0)
    assert (seen.low, seen.high) == (stored.min(), stored.max())
    assert seen.whole
    by_columns = csr_matrix.tocsc(matrix)
    other = Sparse(by_columns.data, by_columns.indices, by_columns.indptr, (rows, columns), by_rows=False, where="x")
    again, _ = scan_sparse(other, slot, [])
    np.testing.assert_allclose(again, values)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("value", [0.5, -3, -0.25, 1e9 + 0.5, 3e30, 2**40, 16777217])
def test_extremes_and_wholeness_of_any_value(kind, value):
    data = np.array([1, 2, value], dtype=kind)
    parts = Sparse(data, np.arange(3), np.array([0, 3]), (1, 3), by_rows=True, where="x")
    _, seen = scan_sparse(parts, np.full(3, WANTED_NOT, np.int32), ["r"])
    assert (seen.low, seen.high) == (data.min(), data.max())
    assert seen.whole == bool((np.floor(data) == data).all())


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
@pytest.mark.parametrize("kind", ["f4", "i4", "f8"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_chunks_read_directly_are_what_h5py_reads(tmp_path, compression, kind, shuffle):
    values = np.random.default_rng(0).poisson(9, 1000).astype(kind)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        item = file.create_dataset("x", data=values, chunks=(64,), compression=compression, shuffle=shuffle)
        read = quick(item, tmp_path / "f.h5")
        assert (type(read).__name__ == "_Chunked") == (compression != "lzf" and not shuffle)
        for low, high in ((0, 1000), (0, 0), (63, 65), (64, 128), (100, 999), (990, 1000), (5, 6)):
            np.testing.assert_array_equal(read[low:high], values[low:high])


def test_a_broken_chunk_ends_in_a_message(tmp_path):
    made = ad.AnnData(csr_matrix(np.arange(24, dtype=np.float32).reshape(6, 4)), var=pd.DataFrame(index=GENES))
    made.write_h5ad(tmp_path / "m.h5ad", compression="gzip")
    with h5py.File(tmp_path / "m.h5ad") as file:
        place = file["X/data"].id.get_chunk_info(0)
    with (tmp_path / "m.h5ad").open("r+b") as stream:
        stream.seek(place.byte_offset + 8)
        stream.write(b"\xff" * 8)
    with pytest.raises(DataError, match=r"compressed stretch of the file is (broken|cut short)"):
        express(tmp_path / "m.h5ad")


def test_no_gene_names(tmp_path):
    made = ad.AnnData(np.ones((2, 3)), var=pd.DataFrame(index=["0", "1", "2"]))
    made.write_h5ad(tmp_path / "m.h5ad")
    with pytest.raises(DataError, match="no gene names"):
        express(tmp_path / "m.h5ad")
