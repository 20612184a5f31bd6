"""Text matrices: CSV, TSV, GCT, gene tables of featureCounts, Salmon and kallisto; genes in rows or columns."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.errors import DataError
from biomarkers.expression.genes import GENES, find_genes, mangled, refuse_nameless, symbol_of
from biomarkers.expression.matrix import Matrix
from biomarkers.expression.scale import Values

_FEATURE_COUNTS = ("Chr", "Start", "End", "Strand", "Length")
_DESCRIPTIVE = ("description", "gene_name", "gene_symbol", "symbol", "gene_id", "gene_type", "biotype", "length")
_MISSING = ("", "NA", "N/A", "nan", "NaN", "None", "null")


def read_text_matrix(path: Path, *, genes: Sequence[str]) -> Matrix:
    """Read wanted genes of a text matrix (or Parquet), whichever way round it stands.

    Raises
    ------
    DataError
        It is no matrix, a cell is text (gene and sample are named), or genes have no names.
    """
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else _read(path)
    frame, notes = _oriented(frame, path)
    names = [str(name) for name in frame.index]
    refuse_nameless(names, path)
    found, missing = find_genes(genes, names)
    found_mangled = mangled(names)
    if found_mangled:
        notes.append(f"{len(found_mangled)} gene names were turned into dates by a spreadsheet ({found_mangled[0]})")
    numbers = _numbers(frame, path)
    doubled = {symbol: match for symbol, match in found.items() if len(match.columns) > 1}
    notes += [f"{symbol} stands in {len(match.columns)} rows, which were summed" for symbol, match in doubled.items()]
    values = np.column_stack([numbers[list(match.columns)].sum(axis=0) for match in found.values()]) if found else None
    seen = Values(
        float(numbers.min()), float(numbers.max()), bool((numbers == np.floor(numbers)).all()), numbers.sum(axis=0)
    )
    samples = [str(name) for name in frame.columns]
    return Matrix(
        samples=samples,
        obs=pd.DataFrame(index=samples),
        genes=found,
        missing=missing,
        level=np.zeros((len(samples), 0)) if values is None else values,
        seen=seen,
        n_genes=len(names),
        used="table",
        notes=notes,
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as stream
        ):
            head = [stream.readline() for _ in range(4)]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read as text", where=path, seen=str(error)[:100]) from error
    skip = 2 if head[0].startswith("#1.") else sum(line.startswith("#") for line in head)
    first = head[skip] if skip < len(head) else head[-1]
    separator = max("\t;,", key=first.count)
    if first.count(separator) == 0:
        raise DataError("this is no matrix: no separator in its first line", where=path, seen=first.strip()[:60])
    return pd.read_csv(path, sep=separator, skiprows=skip, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _oriented(frame: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return genes x samples; which side the genes are on is told by where known genes stand."""
    if frame.shape[1] < 2 or frame.empty:
        raise DataError("this is no matrix: one column, or no rows", where=path, seen=frame.shape)
    if isinstance(frame.index, pd.RangeIndex):
        frame = frame.set_index(frame.columns[0])
    extra = [c for c in frame.columns if str(c) in _FEATURE_COUNTS or str(c).lower() in _DESCRIPTIVE]
    frame, notes = frame.drop(columns=extra), []
    rows = sum(symbol_of(str(name)) in GENES for name in frame.index)
    columns = sum(symbol_of(str(name)) in GENES for name in frame.columns)
    if columns > rows:
        notes.append("genes stand in columns")
        frame = frame.T
    if {"TPM", "NumReads"} <= set(frame.columns) or {"tpm", "est_counts"} <= set(frame.columns):
        raise DataError(
            "this is one sample's quantification, not a matrix", where=path, seen=list(frame.columns)[:4],
            hint="Join the samples' tables first, one column a sample.",
        )  # fmt: skip
    return frame, notes


def _numbers(frame: pd.DataFrame, path: Path) -> np.ndarray:
    """Read every cell as a number; a decimal comma is understood when no cell has a point."""
    if all(kind.kind in "iuf" for kind in frame.dtypes):
        numbers = frame.to_numpy(dtype=float)
    else:
        text = frame.astype(str)
        joined = text.iloc[: min(len(text), 200)].to_numpy().ravel()
        comma = any("," in cell for cell in joined) and not any("." in cell for cell in joined)
        cells = text.apply(lambda column: column.str.replace(",", ".", regex=False)) if comma else text
        numbers = cells.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        gene, sample = (int(i) for i in np.argwhere(wrong)[0])
        cell = str(frame.iloc[gene, sample])
        what = "a value is missing" if cell.strip() in _MISSING else "a cell is not a number"
        raise DataError(
            what, where=f"{path}, gene {frame.index[gene]}, sample {frame.columns[sample]}", seen=cell,
            hint="Fill or drop it knowingly: nothing is filled with 0 here.",
        )  # fmt: skip
    return numbers
