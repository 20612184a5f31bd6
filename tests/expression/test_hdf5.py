"""A file is checked before anything in it is used."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from biomarkers.errors import DataError
from biomarkers.expression import express
from biomarkers.expression.kernels import scan_rows

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
        ("X/data", lambda v: np.where(np.arange(len(v)) == 3, np.nan, v), "value is not finite"),
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


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 9))
def test_one_pass_equals_scipy(seed, rows, columns):
    rng = np.random.default_rng(seed)
    matrix = csr_matrix(rng.poisson(0.7, (rows, columns)).astype(np.float32))
    wanted = rng.permutation(columns)[: max(1, columns // 2)]
    slot = np.full(columns, -1, dtype=np.int32)
    slot[wanted] = np.arange(len(wanted))
    totals, values, special = np.zeros(rows), np.zeros((rows, len(wanted))), (slot != -1).astype(np.uint8)
    scan_rows(matrix.data, matrix.indices, matrix.indptr.astype(np.int64), slot, special, totals, values)
    dense = matrix.toarray()
    np.testing.assert_allclose(totals, dense.sum(axis=1))
    np.testing.assert_allclose(values, dense[:, wanted])


def test_no_gene_names(tmp_path):
    made = ad.AnnData(np.ones((2, 3)), var=pd.DataFrame(index=["0", "1", "2"]))
    made.write_h5ad(tmp_path / "m.h5ad")
    with pytest.raises(DataError, match="no gene names"):
        express(tmp_path / "m.h5ad")
