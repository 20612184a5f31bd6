"""Loom files: HDF5 with genes in rows, read in stretches (anndata needs a package for them that is no longer kept)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.matrix import Matrix
from biomarkers.expression.stored import Reopen, from_parts, refuse_large

# in lower case
_GENE_NAMES: Final = ("gene", "genes", "gene_names", "gene_name", "genename", "gene_symbol", "genesymbol", "symbol",
                      "var_names", "feature_name", "index", "_index", "accession", "gene_id", "ensembl_id")  # fmt: skip
_CELL_NAMES: Final = ("cellid", "cell_id", "cell_names", "cell_name", "cellname", "cell", "barcode", "barcodes",
                      "obs_names", "sampleid", "sample_id", "sample", "index", "_index")  # fmt: skip


def read_loom(file: Any, path: Path, *, genes: Sequence[str], reopen: Reopen, layer: str | None = None) -> Matrix:
    """Read wanted genes and totals of a loom file.

    Parameters
    ----------
    file
        The open HDF5 file, already checked.
    path
        Its path.
    genes
        Wanted genes, by any name.
    reopen
        Opens the file again, for methods that need every gene.
    layer
        A layer's name; the main matrix when None or ``X``.

    Raises
    ------
    DataError
        Genes or cells have no names, or sizes do not fit.
    UsageError
        There is no such layer.

    References
    ----------
    Loom file format 3.0.
    """
    layers = list(file["layers"]) if "layers" in file else []
    if layer not in (None, "X", *layers):
        known = ["X", *layers]
        raise UsageError("no such layer", where=path, seen=layer, allowed=known, hint=did_you_mean(str(layer), known))
    place = "matrix" if layer in (None, "X") else f"layers/{layer}"
    item = file[place]
    obs = _attributes(file["col_attrs"], item.shape[1], _CELL_NAMES, path, "cells")
    var = _attributes(file["row_attrs"], item.shape[0], _GENE_NAMES, path, "genes")

    def whole() -> np.ndarray:
        with reopen() as again:
            refuse_large(again[place], path)
            return np.asarray(again[place][:]).T

    return from_parts(
        Turned(item), obs, var, genes, where=f"{path}:{place}", used=place, notes=[],
        whole=whole,
    )  # fmt: skip


class Turned:
    """A stored (genes, cells) array seen as (cells, genes); stretches are read along the file's own rows."""

    def __init__(self, item: Any) -> None:
        self.stored = item
        self.shape = item.shape[::-1]
        self.chunks = item.chunks[::-1] if item.chunks else None

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self.stored[:, key]).T


def _attributes(group: Any, n: int, names: tuple[str, ...], path: Path, what: str) -> pd.DataFrame:
    table = {}
    for column in group:
        item = group[column]
        if getattr(item, "shape", None) != (n,):
            continue
        values = item[:]
        table[column] = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()]
    by_lower = {column.lower(): column for column in table}
    known = next((by_lower[name] for name in names if name in by_lower), None)
    if known is None:
        raise DataError(f"the {what} have no names", where=path, seen=sorted(table), allowed=names)
    return pd.DataFrame(table, index=pd.Index([str(name) for name in table[known]]))
