"""Output of Cell Ranger: the h5 file, and the folder of matrix.mtx, features.tsv and barcodes.tsv."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.expression.genes import GeneNames, is_gene, mangled_note, probe_hint, refuse_nameless
from biomarkers.expression.matrix import Matrix, Whole
from biomarkers.expression.scale import base_of_totals, undone
from biomarkers.expression.scan import NO_GENE, MatrixSummary, places
from biomarkers.expression.stored import Reopen, from_parts, refuse_large, sliceable

_FEATURES: Final = ("features.tsv.gz", "genes.tsv.gz", "features.tsv", "genes.tsv")
_BARCODES: Final = ("barcodes.tsv.gz", "barcodes.tsv")
_LINES: Final = 1 << 17
_MATRIX: Final = re.compile(r"^(.*?)matrix\.mtx(\.gz)?$", re.IGNORECASE)


def is_tenx(file: Any) -> bool:
    """Tell whether an open HDF5 file is Cell Ranger's."""
    return _group(file) is not None


def _group(file: Any) -> Any:
    parts = ("barcodes", "data", "indices", "indptr", "shape")
    groups = [file[name] for name in file if hasattr(file[name], "keys")]
    return next((group for group in groups if all(part in group for part in parts)), None)


def read_tenx_h5(file: Any, path: Path, *, genes: Sequence[str], reopen: Reopen) -> Matrix:
    """Read wanted genes and totals of Cell Ranger's h5 (version 2 and 3); antibodies and guides are left out.

    Raises
    ------
    DataError
        A part is absent or broken.
    """
    group = _group(file)
    n_genes, n_cells = (int(edge) for edge in group["shape"][:2])
    features = group["features"] if "features" in group else {"name": group["gene_names"], "id": group["genes"]}
    var = pd.DataFrame({"gene_ids": _texts(features["id"])}, index=pd.Index(_texts(features["name"])))
    if "feature_type" in features:
        var["feature_types"] = _texts(features["feature_type"])
    obs = pd.DataFrame(index=pd.Index(_texts(group["barcodes"])))
    if (len(obs), len(var)) != (n_cells, n_genes):
        raise DataError("the matrix does not fit its barcodes and features", where=path, seen=(n_cells, n_genes),
                        allowed=(len(obs), len(var)))  # fmt: skip
    where = f"{path}:{group.name}"
    # columns of genes x barcodes are rows of barcodes x genes
    parts = _Rows([sliceable(group[name]) for name in ("data", "indices", "indptr")], (n_cells, n_genes))

    def whole() -> Any:
        from scipy.sparse import csr_matrix

        with reopen() as again:
            held = _group(again)
            refuse_large(held, path)
            arrays = (held["data"][:], held["indices"][:], held["indptr"][:])
            return csr_matrix(arrays, shape=(n_cells, n_genes))

    return from_parts(parts, obs, var, genes, where=where, used=str(group.name), notes=[], whole=whole)


class _Rows:
    """CSR parts with the attributes of scipy's matrix."""

    format = "csr"

    def __init__(self, parts: Sequence[Any], shape: tuple[int, int]) -> None:
        self.data, self.indices, self.indptr = parts
        self.shape = shape


def _texts(item: Any) -> list[str]:
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in item[:].tolist()]


def mtx_folder(path: Path) -> Path | None:
    """Return the matrix file when ``path`` is one, or a folder with one and its features and barcodes.

    Names may begin with a sample's (``GSM123_P1_matrix.mtx.gz``).

    Raises
    ------
    DataError
        The folder holds several.
    """
    if not path.is_dir():
        return path if path.name.lower().endswith((".mtx", ".mtx.gz")) else None
    found = {match.group(1): item for item in sorted(path.iterdir()) if (match := _MATRIX.match(item.name))}
    if len(found) > 1 and "" not in found:
        raise DataError("the folder holds several matrices", where=path, seen=[item.name for item in found.values()],
                        hint="Name one of them: the files beside it that begin alike are read with it.")  # fmt: skip
    return found.get("", next(iter(found.values()), None))


def read_tenx_mtx(path: Path, *, genes: Sequence[str]) -> Matrix:
    """Read wanted genes and totals of a matrix.mtx with features.tsv and barcodes.tsv beside it, in stretches.

    Raises
    ------
    DataError
        A file is absent, sizes do not fit, or a line is no entry of the matrix.
    """
    features = _table(path, _FEATURES)
    names = features[1].tolist() if features.shape[1] > 1 else features[0].tolist()
    cells = _table(path, _BARCODES)[0].tolist()
    refuse_nameless(names, path)
    other = np.array([not is_gene(name) for name in names])
    notes = []
    if features.shape[1] > 2 and (features[2] == "Gene Expression").any():
        kinds = sorted(set(features[2]) - {"Gene Expression"})
        strange = (features[2] != "Gene Expression").to_numpy()
        other |= strange
        notes = [f"{int(strange.sum())} columns are no genes ({', '.join(kinds)}): left out"] if kinds else []
    known = [f"\0{i}" if hidden else name for i, (name, hidden) in enumerate(zip(names, other, strict=True))]
    also = {"id": features[0].where(~other, "").tolist()} if features.shape[1] > 1 else None
    index = GeneNames(known, also=also)
    found, missing = index.find(genes)
    slot = places(found, len(names), np.flatnonzero(other))
    level, totals = np.zeros((len(cells), int(slot.max(initial=-1)) + 1)), np.zeros(len(cells))
    seen, sums = MatrixSummary(low=0.0, high=0.0), np.zeros((3, len(cells)))
    for all_genes, all_cells, values in _entries(path, len(names), len(cells)):
        keep = slot[all_genes] != NO_GENE
        gene, cell, value = all_genes[keep], all_cells[keep], values[keep]
        if not value.size:
            continue
        totals += np.bincount(cell, weights=value, minlength=len(cells))
        wanted = slot[gene] >= 0
        np.add.at(level, (cell[wanted], slot[gene[wanted]]), value[wanted])
        at, whole = int(value.argmin()), bool((value == np.floor(value)).all())
        lowest = partial(tuple[int, int], (int(cell[at]), int(gene[at])))
        seen.add(float(value[at]), float(value.max()), whole=whole, lowest=lowest)
        if seen.high <= 30 and not seen.whole:
            sums += [np.bincount(cell, weights=each, minlength=len(cells)) for each in undone(value[:, None])]
    notes = [*notes, *mangled_note(names), *index.beside(found)]
    base = "" if seen.whole or seen.low < 0 or seen.high > 30 else base_of_totals(sums)
    return Matrix(
        samples=cells, obs=pd.DataFrame(index=pd.Index(cells)), genes=found, missing=missing, level=level,
        seen=seen.values(totals, base, cells, names), n_genes=len(names), used="mtx", notes=notes,
        whole=lambda: _whole(path, names, cells), hint=probe_hint(names),
    )  # fmt: skip


def _whole(path: Path, names: list[str], cells: list[str]) -> Whole:
    from scipy.sparse import coo_matrix

    genes, rows, values = (np.concatenate(part) for part in zip(*_entries(path, len(names), len(cells)), strict=True))
    return Whole(coo_matrix((values, (rows, genes)), shape=(len(cells), len(names))).tocsr(), names)


def _entries(path: Path, n_genes: int, n_cells: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield genes, cells (from 0) and values in stretches, every index checked."""
    with _open(path) as stream:
        head = _first_line(stream, path)
        if not head.startswith("%%MatrixMarket matrix coordinate") or head.split()[-1] != "general":
            raise DataError("this is no sparse MatrixMarket file", where=path, seen=head.strip()[:60])
        line = stream.readline(10_000)
        while line.startswith("%"):
            line = stream.readline(10_000)
        edges = line.split()
        if len(edges) != 3 or not all(edge.isdigit() for edge in edges):
            raise DataError("its sizes cannot be read", where=path, seen=line.strip()[:60])
        if (int(edges[0]), int(edges[1])) != (n_genes, n_cells):
            raise DataError("the matrix does not fit its features and barcodes", where=path, seen=line.strip(),
                            allowed=(n_genes, n_cells))  # fmt: skip
        count = 0
        try:
            for part in pd.read_csv(
                stream, sep=r"\s+", header=None, chunksize=_LINES, dtype=str, keep_default_na=False
            ):
                yield _checked(part, path, n_genes, n_cells, count)
                count += len(part)
        except pd.errors.EmptyDataError:
            pass
        except (pd.errors.ParserError, EOFError, OSError, UnicodeDecodeError) as error:
            raise DataError("the matrix cannot be read", where=path, seen=str(error).strip()[:80]) from error
        if count != int(edges[2]):
            raise DataError("the matrix is cut short", where=path, seen=f"{count} entries", allowed=edges[2])


def _checked(
    part: pd.DataFrame, path: Path, n_genes: int, n_cells: int, before: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers = part.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    if numbers.shape[1] != 3:
        raise DataError("an entry needs a row, a column and a value", where=path, seen=" ".join(part.iloc[0]))
    gene, cell, value = numbers.T
    fine = np.isfinite(numbers).all(axis=1) & (gene >= 1) & (gene <= n_genes) & (cell >= 1) & (cell <= n_cells)
    if not fine.all():
        bad = int(np.flatnonzero(~fine)[0])
        raise DataError(
            "an entry is out of range or no number",
            where=f"{path}, entry {before + bad + 1}",
            seen=" ".join(part.iloc[bad]),
        )
    return gene.astype(np.int64) - 1, cell.astype(np.int64) - 1, value


def _table(path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    before = match.group(1) if (match := _MATRIX.match(path.name)) else ""
    found = next(
        (path.parent / f"{before}{name}" for name in names if (path.parent / f"{before}{name}").is_file()), None
    )
    if found is None:
        raise DataError("a file beside the matrix is missing", where=path.parent,
                        allowed=tuple(f"{before}{name}" for name in names))  # fmt: skip
    try:
        return pd.read_csv(found, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, EOFError, OSError, UnicodeDecodeError) as error:
        raise DataError("a file beside the matrix cannot be read", where=found, seen=str(error).strip()[:80]) from error


def _first_line(stream: IO[str], path: Path) -> str:
    try:
        return stream.readline(200)
    except (EOFError, OSError, UnicodeDecodeError) as error:
        raise DataError("the matrix cannot be read", where=path, seen=str(error).strip()[:80]) from error


def _open(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix.lower() == ".gz" else path.open(encoding="utf-8")
