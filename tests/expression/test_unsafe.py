"""Files that would reach outside, run code, lie about their size or loop: refused with a message before use."""

import json
import os

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from biomarkers.core.errors import DataError
from biomarkers.expression import express

GENES = ["CD274", "PDCD1", "CD8A", "ACTB"]


@pytest.fixture
def zarr(tmp_path):
    counts = csr_matrix(np.arange(24, dtype=np.float32).reshape(6, 4))
    made = ad.AnnData(counts, obs=pd.DataFrame(index=list("abcdef")), var=pd.DataFrame(index=GENES))
    ad.settings.zarr_write_format = 2
    try:
        made.write_zarr(tmp_path / "m.zarr")
    finally:
        ad.settings.reset("zarr_write_format")
    for path in (tmp_path / "m.zarr").rglob(".zmetadata"):
        path.unlink()
    return tmp_path / "m.zarr"


def edit(path, change):
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))


def test_a_zarr_that_would_unpickle_is_refused_and_nothing_ran(zarr, tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    # an array itself, or with newer anndata a group of values and mask
    array = min(path.parent for path in (zarr / "obs" / "_index").rglob(".zarray") if "mask" not in path.parts)
    edit(array / ".zarray", lambda d: d.update(filters=[{"id": "pickle", "protocol": 5}], compressor=None))
    for chunk in array.iterdir():
        if not chunk.name.startswith("."):
            chunk.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="unknown or unsafe codec; found 'pickle'"):
        express(zarr)
    assert not (tmp_path / "ran").exists()


def test_a_zarr_that_points_outside_is_refused(zarr, tmp_path):
    (tmp_path / "secret").mkdir()
    (zarr / "uns").mkdir(exist_ok=True)
    (zarr / "uns" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="points outside itself"):
        express(zarr)


def test_a_zarr_that_claims_too_much_is_refused(zarr):
    edit(zarr / "X" / "data" / ".zarray", lambda d: d.update(shape=[10**12]))
    with pytest.raises(DataError, match="claims more values than it can hold"):
        express(zarr)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("X/indptr", lambda v: v + 1, "row pointer is not rising"),
        ("X/indices", lambda v: np.where(np.arange(len(v)) == 3, 10**8, v), "index is out of range"),
    ],
)
def test_a_broken_sparse_zarr_ends_in_a_message(zarr, name, change, message):
    import zarr as library

    group = library.open_group(zarr, mode="r+")
    group[name][:] = change(group[name][:])
    with pytest.raises(DataError, match=message):
        express(zarr)


def test_a_zarr_whose_chunks_are_broken(zarr):
    for path in (zarr / "X" / "data").iterdir():
        if not path.name.startswith("."):
            path.write_bytes(b"\x00" * 7)
    with pytest.raises(DataError, match="zarr folder is broken"):
        express(zarr)


def test_json_that_is_none(zarr):
    (zarr / "X" / "data" / ".zarray").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        express(zarr)


@pytest.fixture
def h5ad(tmp_path):
    counts = csr_matrix(np.arange(24, dtype=np.float32).reshape(6, 4))
    made = ad.AnnData(counts, obs=pd.DataFrame(index=list("abcdef")), var=pd.DataFrame(index=GENES))
    made.write_h5ad(tmp_path / "m.h5ad")
    return tmp_path / "m.h5ad"


def test_an_h5ad_that_claims_too_much_is_refused_at_once(h5ad):
    with h5py.File(h5ad, "r+") as file:
        file.create_dataset("uns/bomb", shape=(10**13,), dtype="f4", chunks=(10**6,), compression="gzip")
    with pytest.raises(DataError, match="uns/bomb: the file claims more values than it can hold"):
        express(h5ad)


def test_groups_that_contain_each_other_do_not_loop(h5ad):
    with h5py.File(h5ad, "r+") as file:
        file.create_group("uns/a")
        file["uns/a/again"] = file["uns"]
    with pytest.raises(DataError, match="contain each other"):
        express(h5ad)


def test_a_soft_link_inside_is_harmless_and_a_matrix_behind_an_external_one_is_refused(h5ad, tmp_path):
    with h5py.File(h5ad, "r+") as file:
        file["uns/soft"] = h5py.SoftLink("/X/data")
    assert express(h5ad).scale == "counts"
    with h5py.File(h5ad, "r+") as file:
        del file["X"]
        file["X"] = h5py.ExternalLink("elsewhere.h5", "/X")
    with pytest.raises(DataError, match="points to another file"):
        express(h5ad)


@pytest.mark.parametrize("name", ["data", "indices", "indptr"])
def test_a_part_of_a_sparse_matrix_is_missing(h5ad, name):
    with h5py.File(h5ad, "r+") as file:
        del file["X"][name]
    with pytest.raises(DataError, match="lacks a part"):
        express(h5ad)


def test_positions_that_are_fractions(h5ad):
    with h5py.File(h5ad, "r+") as file:
        values = file["X/indices"][:].astype(float)
        del file["X/indices"]
        file["X/indices"] = values
    with pytest.raises(DataError, match="positions are not whole numbers"):
        express(h5ad)


def test_values_that_are_text(h5ad):
    with h5py.File(h5ad, "r+") as file:
        n = len(file["X/data"])
        del file["X/data"]
        file["X/data"] = np.array([b"x"] * n)
    with pytest.raises(DataError, match="values are not numbers"):
        express(h5ad)


def test_an_index_as_unsigned_is_checked_too(h5ad):
    with h5py.File(h5ad, "r+") as file:
        values = file["X/indices"][:].astype(np.uint32)
        values[2] = 2**32 - 1
        del file["X/indices"]
        file["X/indices"] = values
    with pytest.raises(DataError, match="index is out of range"):
        express(h5ad)


def test_a_table_that_is_broken(h5ad):
    with h5py.File(h5ad, "r+") as file:
        del file["obs/_index"]
    with pytest.raises(DataError, match="table of the file cannot be read"):
        express(h5ad)


def test_a_file_cut_in_half(h5ad):
    body = h5ad.read_bytes()
    h5ad.write_bytes(body[: len(body) // 2])
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        express(h5ad)


def test_a_dense_matrix_with_nan_is_named(tmp_path):
    values = np.ones((3, 4))
    values[1, 2] = np.nan
    ad.AnnData(values, var=pd.DataFrame(index=GENES)).write_h5ad(tmp_path / "m.h5ad")
    with pytest.raises(DataError, match="gene CD8A, sample 1: a value is missing or infinite"):
        express(tmp_path / "m.h5ad")
