"""h5ad files, read in stretches: nothing outside the file is followed, nothing is trusted before it is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.genes import find_genes, mangled, refuse_nameless
from biomarkers.expression.matrix import Matrix
from biomarkers.expression.scale import Values

if TYPE_CHECKING:
    import h5py

_STRETCH = 1 << 22  # stored values a stretch
_MOST_ROWS = 1 << 31


def read_h5ad(path: Path, *, genes: Sequence[str], layer: str | None = None) -> Matrix:
    """Read wanted genes and row totals of an h5ad file.

    Parameters
    ----------
    path
        The file.
    genes
        Wanted genes, by any name.
    layer
        ``X``, ``raw`` or a layer's name; by default a layer called ``counts`` when there is one, else ``X``.

    Raises
    ------
    DataError
        The file points outside itself, a sparse matrix is broken, or genes have no names.
    UsageError
        There is no such layer.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            refuse_outside(file, path)
            return _read(file, path, genes, layer)
    except OSError as error:
        raise DataError("cannot be read as HDF5", where=path, seen=str(error)[:120]) from error


def refuse_outside(file: h5py.File, path: Path) -> None:
    """Refuse external links, external storage and virtual datasets at every depth.

    Raises
    ------
    DataError
        There is one; where it stands is named.
    """
    import h5py

    def walk(group: h5py.Group) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            where = f"{path}:{group.name.rstrip('/')}/{name}"
            if isinstance(link, h5py.ExternalLink):
                raise DataError("the file points to another file", where=where, seen=link.filename)
            if isinstance(link, h5py.SoftLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                plist = item.id.get_create_plist()
                if plist.get_external_count() or item.is_virtual:
                    raise DataError("the file keeps data in another file", where=where)
            elif isinstance(item, h5py.Group):
                walk(item)

    walk(file)


def _read(file: h5py.File, path: Path, genes: Sequence[str], layer: str | None) -> Matrix:
    from anndata.io import read_elem

    place, notes = _place(file, path, layer)
    for name in ("obs", "var"):
        if name not in file:
            raise DataError("this is not an h5ad file: a part is missing", where=path, seen=name)
    obs = read_elem(file["obs"])
    var = read_elem(file["raw/var" if place == "raw/X" else "var"])
    names = _gene_names(var)
    refuse_nameless(names, path)
    found, missing = find_genes(genes, names)
    if not found:
        missing = _by_other_column(var, genes, missing)
    notes += _mangled_note(names)
    values, seen = _scan(file[place], path, found, n_rows=len(obs), n_columns=len(names))
    return Matrix(
        samples=[str(name) for name in obs.index], obs=obs, genes=found, missing=missing, level=values, seen=seen,
        n_genes=len(names), used=place, notes=notes,
    )  # fmt: skip


def _place(file: h5py.File, path: Path, layer: str | None) -> tuple[str, list[str]]:
    layers = list(file["layers"]) if "layers" in file else []
    known = ["X", *(["raw"] if "raw" in file else []), *layers]
    if layer is None:
        if "counts" in layers:
            return "layers/counts", ["the layer 'counts' was used, not X"]
        if "X" not in file:
            raise DataError("the file has no X", where=path, allowed=known[1:], hint="Name one with --layer.")
        return "X", []
    if layer == "X" or (layer == "raw" and "raw" in file):
        return ("X", []) if layer == "X" else ("raw/X", [])
    if layer not in layers:
        raise UsageError("no such layer", where=path, seen=layer, allowed=known, hint=did_you_mean(layer, known))
    return f"layers/{layer}", []


def _gene_names(var: pd.DataFrame) -> list[str]:
    """Take the index; where it holds Ensembl numbers and a column holds symbols, both lead to the gene."""
    return [str(name) for name in var.index]


def _by_other_column(var: pd.DataFrame, genes: Sequence[str], missing: list[str]) -> list[str]:
    for column in ("gene_symbols", "gene_name", "feature_name", "symbol"):
        if column in var and find_genes(genes, [str(name) for name in var[column]])[0]:
            return [*missing, f"the column {column!r} of var knows them: make it the index"]
    return missing


def _mangled_note(names: Sequence[str]) -> list[str]:
    found = mangled(names)
    if not found:
        return []
    return [f"{len(found)} gene names were turned into dates by a spreadsheet ({', '.join(found[:3])})"]


def _scan(item: Any, path: Path, found: dict[str, Any], *, n_rows: int, n_columns: int) -> tuple[np.ndarray, Values]:
    import h5py

    slot = np.full(n_columns, -1, dtype=np.int32)
    for position, match in enumerate(found.values()):
        slot[list(match.columns)] = position
    values, totals = np.zeros((n_rows, len(found))), np.zeros(n_rows)
    seen = np.array([np.inf, -np.inf, 1.0])
    if isinstance(item, h5py.Dataset):
        _scan_dense(item, path, slot, values, totals, seen, (n_rows, n_columns))
    else:
        kind = str(item.attrs.get("encoding-type", ""))
        if kind not in ("csr_matrix", "csc_matrix"):
            raise DataError("this kind of matrix is not known", where=f"{path}:{item.name}", seen=kind)
        indptr = check_indptr(item, path, (n_rows, n_columns), by_rows=kind == "csr_matrix")
        scan = _scan_csr if kind == "csr_matrix" else _scan_csc
        scan(item, path, indptr, slot, values, totals, seen)
        if len(item["data"]) < n_rows * n_columns:
            seen[0], seen[1] = min(seen[0], 0.0), max(seen[1], 0.0)
    return values, Values(float(seen[0]), float(seen[1]), bool(seen[2]), totals)


def check_indptr(item: h5py.Group, path: Path, shape: tuple[int, int], *, by_rows: bool) -> np.ndarray:
    """Check the frame of a sparse matrix before anything is looked up in it.

    Raises
    ------
    DataError
        Lengths do not fit, or the row pointer falls; nothing of it has reached compiled code.
    """
    where = f"{path}:{item.name}"
    for name in ("data", "indices", "indptr"):
        if name not in item:
            raise DataError("a sparse matrix lacks a part", where=where, seen=name)
    stated = tuple(int(edge) for edge in item.attrs.get("shape", shape))
    if stated != shape:
        raise DataError("the matrix does not fit obs and var", where=where, seen=stated, allowed=shape)
    indptr = np.asarray(item["indptr"][:], dtype=np.int64)
    n = shape[0] if by_rows else shape[1]
    stored = item["data"].shape[0]
    if len(indptr) != n + 1 or item["indices"].shape[0] != stored:
        raise DataError("a sparse matrix is broken: lengths do not fit", where=where, seen=(len(indptr), stored))
    if indptr[0] != 0 or indptr[-1] != stored or (np.diff(indptr) < 0).any():
        raise DataError("a sparse matrix is broken: its row pointer is not rising", where=where)
    return indptr


def _stretches(indptr: np.ndarray) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(indptr) - 1:
        stop = int(np.searchsorted(indptr, indptr[start] + _STRETCH, side="right")) - 1
        stop = min(max(stop, start + 1), len(indptr) - 1)
        yield start, stop
        start = stop


def _scan_csr(
    item: h5py.Group, path: Path, indptr: np.ndarray, slot: np.ndarray, values: np.ndarray, totals: np.ndarray,
    seen: np.ndarray,
) -> None:  # fmt: skip
    from biomarkers.expression.kernels import scan_rows

    for start, stop in _stretches(indptr):
        low, high = int(indptr[start]), int(indptr[stop])
        bad = scan_rows(
            item["data"][low:high], item["indices"][low:high], indptr[start : stop + 1] - low, slot,
            totals[start:stop], values[start:stop], seen,
        )  # fmt: skip
        if bad >= 0:
            _refuse(item, path, low + bad)


def _scan_csc(
    item: h5py.Group, path: Path, indptr: np.ndarray, slot: np.ndarray, values: np.ndarray, totals: np.ndarray,
    seen: np.ndarray,
) -> None:  # fmt: skip
    for start, stop in _stretches(indptr):
        low, high = int(indptr[start]), int(indptr[stop])
        data, rows = np.asarray(item["data"][low:high], dtype=float), np.asarray(item["indices"][low:high])
        wrong = (rows < 0) | (rows >= len(totals)) | ~np.isfinite(data)
        if wrong.any():
            _refuse(item, path, low + int(np.flatnonzero(wrong)[0]))
        totals += np.bincount(rows, weights=data, minlength=len(totals))
        if len(data):
            seen[0], seen[1] = min(seen[0], data.min()), max(seen[1], data.max())
            seen[2] = min(seen[2], float((data == np.floor(data)).all()))
        for column in (np.flatnonzero(slot[start:stop] >= 0) + start).tolist():
            inside = slice(int(indptr[column]) - low, int(indptr[column + 1]) - low)
            np.add.at(values[:, slot[column]], rows[inside], data[inside])


def _scan_dense(
    item: h5py.Dataset, path: Path, slot: np.ndarray, values: np.ndarray, totals: np.ndarray, seen: np.ndarray,
    shape: tuple[int, int],
) -> None:  # fmt: skip
    if item.shape != shape:
        raise DataError(
            "the matrix does not fit obs and var", where=f"{path}:{item.name}", seen=item.shape, allowed=shape
        )
    wanted = np.flatnonzero(slot >= 0)
    step = max(1, _STRETCH // max(1, shape[1]))
    for start in range(0, shape[0], step):
        part = np.asarray(item[start : start + step], dtype=float)
        if not np.isfinite(part).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
            raise DataError(
                "a value is missing or infinite", where=f"{path}:{item.name}, row {start + row}, column {column}"
            )
        totals[start : start + step] = part.sum(axis=1)
        seen[0], seen[1] = min(seen[0], part.min()), max(seen[1], part.max())
        seen[2] = min(seen[2], float((part == np.floor(part)).all()))
        for column in wanted.tolist():
            values[start : start + step, slot[column]] += part[:, column]


def _refuse(item: h5py.Group, path: Path, at: int) -> None:
    value, index = item["data"][at], item["indices"][at]
    raise DataError(
        "a sparse matrix is broken: an index is out of range, or a value is not finite",
        where=f"{path}:{item.name}, stored value {at}",
        seen=f"index {index}, value {value}",
    )
