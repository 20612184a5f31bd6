"""Matrices laid out as AnnData lays them out, in HDF5, in zarr or in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.chunks import quick
from biomarkers.expression.frames import read_frame
from biomarkers.expression.genes import (
    GENES,
    HOUSEKEEPING,
    GeneNames,
    has_control_probes,
    mangled_note,
    no_genes,
    probe_hint,
    refuse_nameless,
    refuse_twins,
    symbol_of,
)
from biomarkers.expression.matrix import Matrix, Whole
from biomarkers.expression.scale import LOG1P, LOG2, LOG10, NANOSTRING
from biomarkers.expression.scan import Sparse, places, scan_dense, scan_sparse

if TYPE_CHECKING:
    from anndata import AnnData

# columns of var that name genes, in lower case: symbols first
_NAME_COLUMNS: Final = ("gene_symbols", "gene_symbol", "gene_name", "gene_names", "feature_name", "symbol", "symbols",
                        "gene_short_name", "genesymbol", "genename", "hgnc_symbol", "external_gene_name", "gene",
                        "genes", "feature", "features", "name", "gene_ids", "gene_id", "geneid", "ensembl_id",
                        "ensembl", "ensembl_gene_id", "accession", "entrez_id", "entrezgene",
                        "ncbi_gene_id")  # fmt: skip
Reopen = Callable[[], AbstractContextManager[Any]]
# columns of var that tell antibodies from genes, and what they call genes
_KINDS: Final = ("feature_types", "feature_type", "modality", "assay", "feature_modality")
_GENE_KINDS: Final = frozenset({"gene expression", "gene", "genes", "rna", "mrna", "gex", "expression", "scrna"})


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
    for name in ("obs", "var"):
        if name not in file:
            raise DataError(
                "this is no AnnData file: a part is missing", where=path, seen=f"no {name!r}", allowed="obs, var, X"
            )
    layers = list(file["layers"]) if "layers" in file else []
    has = [name for name, where in (("X", "X"), ("raw", "raw/X")) if where in file]
    place, notes = _place(has, layers, path, layer)
    obs, var = read_frame(file, "obs", path), read_frame(file, _var_of(place), path)
    item = file[place]

    def whole() -> Any:
        from anndata.io import read_elem

        with reopen() as again:
            refuse_large(again[place], path)
            return read_elem(again[place])

    matrix = from_parts(
        item, obs, var, genes, where=f"{path}:{item.name}", used=place, notes=notes, whole=whole,
        declared=_declared(file, place),
    )  # fmt: skip
    raw_names = (
        list(read_frame(file, "raw/var", path).index) if place == "X" and matrix.missing and "raw" in has else ()
    )
    return _with_others(matrix, [name for name in (*has, *layers) if name != place], genes, raw_names)


def read_memory(data: AnnData, *, genes: Sequence[str], layer: str | None = None) -> Matrix:
    """Read wanted genes and row totals from an AnnData in memory; see :func:`read_stored`."""
    has = [name for name, there in (("X", data.X is not None), ("raw", data.raw is not None)) if there]
    place, notes = _place(has, [name for name in data.layers if name is not None], "AnnData", layer)
    var = data.raw.var if place == "raw/X" else data.var
    item = data.raw.X if place == "raw/X" else data.X if place == "X" else data.layers[place.removeprefix("layers/")]
    declared = _base_of(data.uns.get("log1p")) if place == "X" else None
    held = getattr(item, "group", item)  # a backed file's sparse matrix: the group it stands in
    matrix = from_parts(
        held, data.obs, var, genes, where=f"AnnData:{place}", used=place, notes=notes, declared=declared,
        whole=lambda: item[:] if held is not item or data.isbacked else item,
    )  # fmt: skip
    raw_names = list(data.raw.var_names) if place == "X" and matrix.missing and data.raw is not None else ()
    others = [name for name in (*has, *data.layers) if name is not None and name != place]
    return _with_others(matrix, others, genes, raw_names)


def _with_others(matrix: Matrix, others: Sequence[str], genes: Sequence[str], raw_names: Sequence[str]) -> Matrix:
    """Say what other matrices the file holds, and which of the missing genes stand in ``raw``."""
    lacking = [symbol_of(name) for name in genes if symbol_of(name) not in matrix.genes]
    there = list(GeneNames([str(name) for name in raw_names]).find(lacking)[0]) if lacking and len(raw_names) else []
    if there:
        hint = f"{', '.join(there[:4])}{' ...' if len(there) > 4 else ''} not in X but in raw: --layer raw reads it"
        return replace(matrix, elsewhere=tuple(others), notes=[*matrix.notes, hint], hint=matrix.hint or f"{hint}.")
    return replace(matrix, elsewhere=tuple(others))


def from_parts(
    item: Any, obs: pd.DataFrame, var: pd.DataFrame, genes: Sequence[str], *, where: str, used: str, notes: list[str],
    whole: Callable[[], Any], declared: str | None = None,
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
    where, used, notes, declared
        See :class:`Matrix`.
    whole
        Reads all values, (samples, genes).
    """
    samples = list(map(str, obs.index))
    names, also, named = _gene_names(var, where)
    notes = [*notes, *named]
    kind = next((column for column in _KINDS if column in var), None)
    other = np.zeros(len(names), bool)
    if kind is not None:
        other = ~var[kind].astype(str).str.casefold().isin(_GENE_KINDS).to_numpy(dtype=bool)
    if other.any() and not other.all():
        notes = [
            *notes,
            f"{int(other.sum())} columns are no genes ({', '.join(sorted(set(var[kind][other])))}): left out",
        ]
    else:
        other[:] = False
    other[no_genes(names)] = True
    known = list(names)
    for i in np.flatnonzero(other).tolist():
        known[i] = f"\0{i}"  # hidden from the search
    hidden = {names[i] for i in np.flatnonzero(other)}
    for i, name in enumerate(names):  # the antibody took the gene's name first: the gene is CD274-1
        if not other[i] and name.endswith("-1") and name[:-2] in hidden:
            known[i] = name[:-2]
    shown = {column: ["" if hidden else name for name, hidden in zip(column_names, other, strict=True)]
             for column, column_names in also.items()}  # fmt: skip
    index = GeneNames(known, also=shown)
    panel = has_control_probes(names)
    found, missing = index.find([*genes, *HOUSEKEEPING] if panel else genes)
    refuse_twins(known, found, where)
    notes = [*notes, *mangled_note(names), *index.beside(found)]
    slot = places(found, len(names), np.flatnonzero(other))
    values, seen = _scan(item, slot, samples, names, where)
    return Matrix(
        samples=samples, obs=obs, genes=found, missing=missing, level=values, seen=seen, n_genes=len(names), used=used,
        notes=notes, declared=NANOSTRING if panel and seen.whole else declared, whole=lambda: Whole(whole(), names),
        hint=probe_hint(names) or _turned_hint(samples, found),
    )  # fmt: skip


def _gene_names(var: pd.DataFrame, where: str) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Return the genes' names, the columns with other names of them, and a note when the index names none."""
    names = list(map(str, var.index))
    by_lower = {str(column).lower(): column for column in reversed(var.columns)}
    chosen = [by_lower[column] for column in _NAME_COLUMNS if column in by_lower]
    also = {str(column): var[column].astype(object).where(var[column].notna(), "").astype(str).tolist()
            for column in chosen}  # fmt: skip
    try:
        refuse_nameless(names, where)
    except DataError:
        column = next((column for column in also if any(also[column])), None)
        if column is None:
            raise
        return also.pop(column), also, [f"genes are named by the column {column!r}: the index of var holds positions"]
    return names, also, []


def _turned_hint(samples: Sequence[str], found: Mapping[str, Any]) -> str | None:
    if found or not any(symbol_of(name) in GENES for name in samples):
        return None
    return "Genes stand in the rows (obs): turn the matrix (adata.T)."


def _scan(item: Any, slot: np.ndarray, samples: list[str], genes: list[str], where: str) -> Any:
    if isinstance(item, np.ndarray) or (hasattr(item, "shape") and not hasattr(item, "indptr")):
        return scan_dense(item, slot, samples, where=where, genes=genes)
    shape = (len(samples), len(slot))
    if hasattr(item, "indptr"):
        stated, by_rows, parts = item.shape, item.format == "csr", (item.data, item.indices, item.indptr)
    else:
        stated, by_rows, parts = _stored_sparse(item, shape, where)
    if tuple(int(edge) for edge in stated) != shape:
        raise DataError("the matrix does not fit obs and var", where=where, seen=tuple(map(int, stated)), allowed=shape)
    return scan_sparse(Sparse(*parts, shape=shape, by_rows=by_rows, where=where), slot, samples, genes=genes)


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
            hint = "Name one with --layer." if known else "It holds no matrix at all."
            raise DataError("the file has no X", where=where, seen=", ".join(known) or None, hint=hint)
        return "X", []
    if layer in has:
        return ("X", []) if layer == "X" else ("raw/X", [])
    if layer not in layers:
        raise UsageError("no such layer", where=where, seen=layer, allowed=known, hint=did_you_mean(layer, known))
    return f"layers/{layer}", []


def _var_of(place: str) -> str:
    return "raw/var" if place == "raw/X" else "var"


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
    known = ((2, LOG2), (10, LOG10), (math.e, LOG1P))
    return next((scale for number, scale in known if abs(float(base) - number) < 1e-6), None)


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
