"""Text matrices and Parquet: CSV, TSV, GCT, featureCounts; genes in rows or columns, read in stretches of rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.genes import (
    GENES,
    HOUSEKEEPING,
    GeneNames,
    has_control_probes,
    is_gene,
    mangled_note,
    probe_hint,
    refuse_nameless,
    symbol_of,
)
from biomarkers.expression.layout import Layout, read_layout
from biomarkers.expression.matrix import Matrix, Whole
from biomarkers.expression.scale import NANOSTRING, Values, base_of_totals
from biomarkers.expression.scan import add_block, places
from biomarkers.expression.stored import doubled_note

_MISSING: Final = ("", "NA", "N/A", "nan", "NaN", "None", "null")
_ONE_SAMPLE: Final = ({"TPM", "NumReads"}, {"tpm", "est_counts"}, {"TPM", "FPKM"})
_STRETCH: Final = 1 << 21  # cells a stretch


@dataclass(frozen=True)
class _Side:
    """Which way round a table stands: names of its genes and samples, and the columns beside them."""

    genes: list[str]
    samples: list[str]
    beside: list[str]
    turned: bool  # genes stand in columns


def read_text_matrix(path: Path, *, genes: Sequence[str], annotations: Sequence[str] = ()) -> Matrix:
    """Read wanted genes of a text matrix (or Parquet), whichever way round it stands.

    Parameters
    ----------
    path
        The file.
    genes
        Wanted genes, by any name.
    annotations
        Columns beside the genes that are no genes (patient, batch, age), when genes stand in columns.

    Raises
    ------
    DataError
        It is no matrix, a cell is no number (gene and sample are named), or genes have no names.
    UsageError
        There is no such column.
    """
    layout = read_layout(path)
    side = _orient(layout, path, annotations)
    refuse_nameless(side.genes, path)
    if len(set(side.samples)) < len(side.samples):
        twice = next(name for name in side.samples if side.samples.count(name) > 1)
        raise DataError("two samples have one name", where=path, seen=twice)
    index = GeneNames(side.genes)
    panel = has_control_probes(side.genes)
    found, missing = index.find([*genes, *HOUSEKEEPING] if panel else genes)
    notes = ["genes stand in columns"] if side.turned else []
    notes += [*layout.notes, *mangled_note(side.genes), *index.beside(found)]
    notes += doubled_note(found, "columns" if side.turned else "rows")
    slot = places(found, len(side.genes), [i for i, name in enumerate(side.genes) if not is_gene(name)])
    values, totals = np.zeros((len(side.samples), len(found))), np.zeros(len(side.samples))
    seen, obs = np.array([np.inf, -np.inf, 1.0]), []
    logs = np.zeros((2, len(side.samples)))
    for start, block, beside in _blocks(layout, side, path):
        if side.turned:
            here = slice(start, start + len(block))
            add_block(block, slot, values[here], totals[here], seen)
            _undo(block, logs[:, here])
            obs.append(beside)
        else:
            add_block(block.T, slot[start : start + len(block)], values, totals, seen)
            _undo(block.T, logs)
    return Matrix(
        samples=side.samples,
        obs=pd.concat(obs).set_axis(side.samples) if obs else pd.DataFrame(index=side.samples),
        genes=found, missing=missing, level=values,
        seen=Values(float(seen[0]), float(seen[1]), bool(seen[2]), totals, _told(logs, seen)),
        n_genes=len(side.genes), used="table", notes=notes,
        declared=NANOSTRING if panel and bool(seen[2]) else None,
        whole=lambda: _whole(layout, side, path), hint=probe_hint(side.genes),
    )  # fmt: skip


def _undo(block: np.ndarray, logs: np.ndarray) -> None:
    """Add up what the samples would sum to, were these natural logarithms, or logarithms to base 2."""
    if logs.size and block.size and block.max() <= 30:
        logs[0] += np.expm1(block).sum(axis=1)
        logs[1] += (np.exp2(block) - 1).sum(axis=1)


def _told(logs: np.ndarray, seen: np.ndarray) -> str:
    return "" if seen[2] or seen[0] < 0 or seen[1] > 30 else base_of_totals(*logs)


def _orient(layout: Layout, path: Path, annotations: Sequence[str]) -> _Side:
    """Tell which side the genes are on by where known genes stand."""
    columns = layout.columns[1:]
    first = list(itertools.chain.from_iterable(part.iloc[:, 0].tolist() for part in layout.parts(_STRETCH, [0])))
    if len(columns) < 1 or not first:
        raise DataError("this is no matrix: one column, or no rows", where=path, seen=(len(first), len(columns) + 1))
    if any(mark <= set(columns) for mark in _ONE_SAMPLE):
        raise DataError(
            "this is one sample's quantification, not a matrix",
            where=path,
            seen=columns[:4],
            hint="Give the folder that holds the samples' folders, files unpacked and named as the program names them.",
        )
    for name in annotations:
        if name not in columns:
            raise UsageError("no such column", where=path, seen=name, hint=did_you_mean(name, columns))
    rows = sum(symbol_of(name) in GENES for name in first)
    across = sum(symbol_of(name) in GENES for name in columns)
    if across > rows:
        beside = [name for name in columns if name in annotations]
        return _Side([name for name in columns if name not in annotations], first, beside, turned=True)
    descriptive = [name for name in columns if layout.is_descriptive(name) or name in annotations]
    samples = [name for name in columns if name not in descriptive]
    if not samples:
        raise DataError("this is no matrix: no column of a sample", where=path, seen=layout.columns[:6])
    if layout.n_rows not in (None, len(first)) or layout.n_samples not in (None, len(samples)):
        stated = f"{layout.n_rows} genes, {layout.n_samples} samples"
        raise DataError("the file is not as large as it says: cut short?", where=path,
                        seen=f"{len(first)} genes, {len(samples)} samples", allowed=stated)  # fmt: skip
    return _Side(first, samples, descriptive, turned=False)


def _blocks(layout: Layout, side: _Side, path: Path) -> Iterator[tuple[int, np.ndarray, pd.DataFrame]]:
    """Yield the first row's number, numbers of the table's rows (rows, columns), and the columns beside them."""
    named = side.genes if side.turned else side.samples
    keep = [i for i, name in enumerate(layout.columns) if i > 0 and name not in side.beside]
    beside = [i for i, name in enumerate(layout.columns) if i > 0 and name in side.beside]
    start, step = 0, max(1, _STRETCH // max(1, len(named)))
    for part in layout.parts(step):
        rows = side.samples if side.turned else side.genes

        def cell(row: int, column: int, rows: list[str] = rows, start: int = start) -> str:
            gene, sample = (named[column], rows[start + row]) if side.turned else (rows[start + row], named[column])
            return f"{path}, gene {gene}, sample {sample}"

        numbers = _numbers(part.iloc[:, keep], cell, decimal=layout.decimal)
        texts = part.iloc[:, beside].set_axis([layout.columns[i] for i in beside], axis=1)
        yield start, numbers, texts
        start += len(part)


def _numbers(frame: pd.DataFrame, cell: Callable[[int, int], str], *, decimal: str) -> np.ndarray:
    """Read every cell as a number, or name the first that is none."""
    numbers = np.empty(frame.shape)
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        if column.dtype.kind in "iuf":
            numbers[:, i] = column
            continue
        text = column.astype(str).str.strip()
        if decimal == ",":
            text = text.str.replace(",", ".", regex=False).where(~text.str.contains(".", regex=False), "?")
        numbers[:, i] = pd.to_numeric(text, errors="coerce")
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row, column_at = (int(i) for i in np.argwhere(wrong)[0])
        seen = str(frame.iloc[row, column_at])
        what = "a value is missing" if seen.strip() in _MISSING else "a cell is not a number"
        raise DataError(
            what,
            where=cell(row, column_at),
            seen=seen,
            hint="Fill or drop it knowingly: nothing is filled with 0 here.",
        )
    return numbers


def _whole(layout: Layout, side: _Side, path: Path) -> Whole:
    table = np.concatenate([block for _, block, _ in _blocks(layout, side, path)])
    return Whole(table if side.turned else table.T, side.genes)


def shortened(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Shorten sample names that are paths of BAM files, as featureCounts writes them, when they stay distinct."""
    short = [re.sub(r"(\.sorted)?\.[bs]am$", "", re.split(r"[/\\]", name)[-1], flags=re.IGNORECASE) for name in names]
    if short == list(names) or len(set(short)) < len(short):
        return list(names), []
    return short, [f"sample names were shortened from file names ({short[0]})"]


def with_samples(matrix: Matrix) -> Matrix:
    """Return the matrix with sample names shortened; see :func:`shortened`."""
    names, notes = shortened(matrix.samples)
    if not notes:
        return matrix
    return replace(matrix, samples=names, obs=matrix.obs.set_axis(names), notes=[*matrix.notes, *notes])
