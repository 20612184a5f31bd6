"""Matrices laid out as AnnData lays them out, in HDF5, in zarr or in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from biomarkers.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.chunks import quick
from biomarkers.expression.genes import (
    HOUSEKEEPING,
    GeneNames,
    has_control_probes,
    is_gene,
    mangled_note,
    probe_hint,
    refuse_nameless,
)
from biomarkers.expression.matrix import Matrix, Whole
from biomarkers.expression.scale import LOG1P, LOG2, NANOSTRING
from biomarkers.expression.scan import Sparse, places, scan_dense, scan_sparse

if TYPE_CHECKING:
    from anndata import AnnData

_NAME_COLUMNS: Final = ("gene_symbols", "gene_symbol", "gene_name", "gene_names", "feature_name", "symbol", "gene_ids",
                        "gene_id", "ensembl_id")  # fmt: skip
Reopen = Callable[[], AbstractContextManager[Any]]
_KINDS: Final = ("feature_types", "feature_type")  # of 10x: antibodies stand beside genes
_GENE_KIND: Final = "Gene Expression"


def read_stored(file: Any, path: Path, *, genes: Sequence[str], reopen: Reopen, layer: str | None = None) -> Matrix:
    """Read wanted genes and row totals from an open h5ad file or AnnData zarr group.

    Parameters
    ----------
    file
        The open root group, already checked.
    path
        Its path.
    genes
        Wanted genes, by any name.
    reopen
        Opens the root group again, for methods that need every gene.
    layer
        ``X``, ``raw`` or a layer's name; by default a layer called ``counts`` when there is one, else ``X``.

    Raises
    ------
    DataError
        A part is absent or broken, or genes have no names.
    UsageError
        There is no such layer.
    """
    from anndata.io import read_elem

    for name in ("obs", "var"):
        if name not in file:
            raise DataError(
                "this is no AnnData file: a part is missing", where=path, seen=f"no {name!r}", allowed="obs, var, X"
            )
    layers = list(file["layers"]) if "layers" in file else []
    has = [name for name in ("X", "raw") if name in file]
    place, notes = _place(has, layers, path, layer)
    obs, var = _table(read_elem, file, "obs", path), _table(read_elem, file, _var_of(place), path)
    item = file[place]

    def whole() -> Whole:
        with reopen() as again:
            refuse_large(again[place], path)
            return Whole(read_elem(again[place]), [str(name) for name in var.index])

    return from_parts(
        item, obs, var, genes, where=f"{path}:{item.name}", used=place, notes=notes, whole=whole,
        declared=_declared(file, place),
    )  # fmt: skip


def read_memory(data: AnnData, *, genes: Sequence[str], layer: str | None = None) -> Matrix:
    """Read wanted genes and row totals from an AnnData in memory; see :func:`read_stored`."""
    has = [name for name, there in (("X", data.X is not None), ("raw", data.raw is not None)) if there]
    place, notes = _place(has, [name for name in data.layers if name is not None], "AnnData", layer)
    var = data.raw.var if place == "raw/X" else data.var
    item = data.raw.X if place == "raw/X" else data.X if place == "X" else data.layers[place.removeprefix("layers/")]
    declared = _base_of(data.uns.get("log1p")) if place == "X" else None
    return from_parts(
        item, data.obs, var, genes, where=f"AnnData:{place}", used=place, notes=notes, declared=declared,
        whole=lambda: Whole(item, [str(name) for name in var.index]),
    )  # fmt: skip


def from_parts(
    item: Any, obs: pd.DataFrame, var: pd.DataFrame, genes: Sequence[str], *, where: str, used: str, notes: list[str],
    whole: Callable[[], Whole], declared: str | None = None,
) -> Matrix:  # fmt: skip
    """Scan one matrix whose rows are ``obs`` and whose columns are ``var``.

    Parameters
    ----------
    item
        Dense array, scipy matrix, or a stored group with ``data``, ``indices`` and ``indptr``.
    obs, var
        Its rows and columns.
    genes
        Wanted genes.
    where, used, notes, whole, declared
        See :class:`Matrix`.
    """
    names, samples = [str(name) for name in var.index], [str(name) for name in obs.index]
    refuse_nameless(names, where)
    kind = next((column for column in _KINDS if column in var), None)
    other = np.zeros(len(names), bool) if kind is None else (var[kind].astype(str) != _GENE_KIND).to_numpy(copy=True)
    if other.any() and not other.all():
        notes = [
            *notes,
            f"{int(other.sum())} columns are no genes ({', '.join(sorted(set(var[kind][other])))}): left out",
        ]
    else:
        other[:] = False
    other |= np.array([not is_gene(name) for name in names], dtype=bool)
    known = [f"\0{i}" if hidden else name for i, (name, hidden) in enumerate(zip(names, other, strict=True))]
    also = {column: var[column].astype(str).where(~other, "").tolist() for column in _NAME_COLUMNS if column in var}
    index = GeneNames(known, also=also)
    panel = has_control_probes(names)
    found, missing = index.find([*genes, *HOUSEKEEPING] if panel else genes)
    notes = [*notes, *mangled_note(names), *index.beside(found), *doubled_note(found, "columns")]
    slot = places(found, len(names), np.flatnonzero(other))
    values, seen = _scan(item, slot, samples, where)
    return Matrix(
        samples=samples, obs=obs, genes=found, missing=missing, level=values, seen=seen, n_genes=len(names), used=used,
        notes=notes, declared=NANOSTRING if panel and seen.whole else declared, whole=whole,
        hint=probe_hint(names),
    )  # fmt: skip


def doubled_note(found: Mapping[str, Any], what: str) -> list[str]:
    """Say which genes stand several times, and that they were summed."""
    doubled = {symbol: match for symbol, match in found.items() if len(match.columns) > 1}
    return [f"{symbol} stands in {len(match.columns)} {what}, which were summed" for symbol, match in doubled.items()]


def _scan(item: Any, slot: np.ndarray, samples: list[str], where: str) -> Any:
    if isinstance(item, np.ndarray) or (hasattr(item, "shape") and not hasattr(item, "indptr")):
        return scan_dense(item, slot, samples, where=where)
    shape = (len(samples), len(slot))
    if hasattr(item, "indptr"):
        stated, by_rows, parts = item.shape, item.format == "csr", (item.data, item.indices, item.indptr)
    else:
        stated, by_rows, parts = _stored_sparse(item, shape, where)
    if tuple(int(edge) for edge in stated) != shape:
        raise DataError("the matrix does not fit obs and var", where=where, seen=tuple(stated), allowed=shape)
    return scan_sparse(Sparse(*parts, shape=shape, by_rows=by_rows, where=where), slot, samples)


def _stored_sparse(item: Any, shape: tuple[int, int], where: str) -> tuple[Any, bool, tuple[Any, ...]]:
    kind = str(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", "")))
    if kind.removesuffix("_matrix") not in ("csr", "csc"):
        raise DataError("this kind of matrix is not known", where=where, seen=kind, allowed="dense, CSR, CSC")
    for name in ("data", "indices", "indptr"):
        if name not in item:
            raise DataError("a sparse matrix lacks a part", where=where, seen=name)
    stated = item.attrs.get("shape", item.attrs.get("h5sparse_shape", shape))
    return stated, kind.startswith("csr"), tuple(sliceable(item[name]) for name in ("data", "indices", "indptr"))


def sliceable(array: Any) -> Any:
    """Read an HDF5 array directly where that is possible; zarr arrays stay as they are."""
    import h5py

    return quick(array, Path(array.file.filename)) if isinstance(array, h5py.Dataset) else array


def _place(has: list[str], layers: list[str], where: object, layer: str | None) -> tuple[str, list[str]]:
    known = [*has, *layers]
    if layer is None:
        if "counts" in layers:
            return "layers/counts", ["the layer 'counts' was used, not X"]
        if "X" not in has:
            raise DataError("the file has no X", where=where, allowed=known, hint="Name one with --layer.")
        return "X", []
    if layer in has:
        return ("X", []) if layer == "X" else ("raw/X", [])
    if layer not in layers:
        raise UsageError("no such layer", where=where, seen=layer, allowed=known, hint=did_you_mean(layer, known))
    return f"layers/{layer}", []


def _var_of(place: str) -> str:
    return "raw/var" if place == "raw/X" else "var"


def _table(read: Callable[[Any], Any], file: Any, name: str, path: Path) -> pd.DataFrame:
    try:
        table = read(file[name])
    except Exception as error:  # whatever a broken table makes anndata raise
        raise DataError("a table of the file cannot be read", where=f"{path}:{name}", seen=str(error)[:120]) from error
    if not isinstance(table, pd.DataFrame):
        raise DataError("this is no table", where=f"{path}:{name}", seen=type(table).__name__)
    return table


def _declared(file: Any, place: str) -> str | None:
    """Read what scanpy's log1p notes about itself; it speaks of X."""
    if place != "X" or "uns" not in file or "log1p" not in file["uns"]:
        return None
    note = file["uns"]["log1p"]
    base = note.get("base")
    return _base_of({"base": None if base is None or base.shape != () else base[()]})


def _base_of(note: Any) -> str | None:
    if not isinstance(note, Mapping):
        return None
    base = note.get("base")
    if base is None or not np.isfinite(float(base)):
        return LOG1P
    return LOG2 if abs(float(base) - 2) < 1e-9 else LOG1P if abs(float(base) - math.e) < 1e-6 else None


def refuse_large(item: Any, path: Path) -> None:
    """Refuse to hold a matrix that does not fit into the free memory.

    Raises
    ------
    DataError
        So it is.
    """
    import psutil

    size = int(item.nbytes) if hasattr(item, "shape") else sum(int(item[name].nbytes) for name in ("data", "indices"))
    free = int(psutil.virtual_memory().available)
    if 3 * size > free:
        raise DataError(
            "this needs the whole matrix in memory, and it does not fit", where=path,
            seen=f"{3 * size:,} bytes needed, {free:,} free", hint="Use --normalise cpm, which reads in stretches.",
        )  # fmt: skip
