"""obs and var of an AnnData file: plain columns straight from HDF5, everything else by anndata.

Importing anndata costs more than reading two genes of a large matrix; a table of numbers, texts and categories needs
none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError


def read_frame(file: Any, name: str, path: Path) -> pd.DataFrame:
    """Read a table of an open h5ad file or zarr group.

    Parameters
    ----------
    file
        The open root group, already checked.
    name
        ``obs``, ``var`` or ``raw/var``.
    path
        The file's path, for messages.

    Raises
    ------
    DataError
        The table is broken.
    """
    try:
        item = file[name]
        table = _old(file, item, name) if getattr(item, "dtype", None) is not None else _plain(item)
        if table is None:
            from anndata.io import read_elem

            table = read_elem(item)
    except Exception as error:  # whatever a broken table makes h5py, pandas or anndata raise
        raise DataError("a table of the file cannot be read", where=f"{path}:{name}", seen=str(error)[:120]) from error
    if not isinstance(table, pd.DataFrame):
        raise DataError("this is no table", where=f"{path}:{name}", seen=type(table).__name__)
    return table


def _old(file: Any, item: Any, name: str) -> pd.DataFrame | None:
    """Read a table as anndata 0.6 and older wrote it: one array of records, categories by number in ``uns``."""
    fields = item.dtype.names
    if fields is None:
        return None
    records = item[:]
    columns = {field: [_text(cell) for cell in records[field]] if records[field].dtype.kind in "SO" else records[field]
               for field in fields}  # fmt: skip
    index = columns.pop("index" if "index" in columns else fields[0])
    uns = file["uns"] if "uns" in file and "/" not in name else {}
    for field in list(columns):
        if f"{field}_categories" in uns:
            categories = [_text(cell) for cell in np.atleast_1d(uns[f"{field}_categories"][()])]
            words = [categories[int(code)] if code >= 0 else None for code in columns[field]]
            columns[field] = pd.Categorical(words, categories)
    return pd.DataFrame(columns, index=pd.Index([str(label) for label in index], dtype=object))


def _text(cell: Any) -> Any:
    return cell.decode("utf-8") if isinstance(cell, bytes) else cell


def _plain(item: Any) -> pd.DataFrame | None:
    """Read a table whose columns are all numbers, texts or categories; None when there is anything else."""
    import h5py

    if not isinstance(item, h5py.Group) or item.attrs.get("encoding-type") != "dataframe":
        return None
    index = _column(item[item.attrs["_index"]])
    if index is None:
        return None
    columns = {}
    for name in item.attrs["column-order"]:
        column = _column(item[str(name)])
        if column is None:
            return None
        if len(column) != len(index):
            message = f"the column {name} has {len(column)} rows, the index {len(index)}"
            raise ValueError(message)
        columns[str(name)] = column
    return pd.DataFrame(columns, index=pd.Index(index, name=None))


def _column(item: Any) -> Any:
    import h5py

    if isinstance(item, h5py.Dataset):
        if item.ndim != 1:
            return None
        if h5py.check_string_dtype(item.dtype) is not None:
            return np.asarray(item.asstr()[:], dtype=object)
        return item[:] if item.dtype.kind in "iufb" else None
    kind = item.attrs.get("encoding-type")
    if kind == "categorical":
        categories, codes = _column(item["categories"]), _column(item["codes"])
        ordered = bool(item.attrs.get("ordered", False))
        return None if categories is None else pd.Categorical.from_codes(codes, categories, ordered=ordered)
    if kind == "nullable-string-array":
        values = _column(item["values"]).copy()
        values[item["mask"][:]] = None
        return values
    return None
