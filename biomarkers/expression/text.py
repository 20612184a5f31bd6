"""Text matrices and Parquet: CSV, TSV, GCT, featureCounts; genes in rows or columns, read in stretches of rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.expression.genes import (
    HOUSEKEEPING,
    GeneNames,
    has_control_probes,
    mangled_note,
    no_genes,
    probe_hint,
    refuse_nameless,
    refuse_twins,
)
from biomarkers.expression.layout import Layout, read_layout
from biomarkers.expression.matrix import Matrix, Whole
from biomarkers.expression.scale import NANOSTRING, base_of_totals, undone
from biomarkers.expression.scan import NO_GENE, MatrixSummary, add_block, places
from biomarkers.expression.sides import Side, orient

_MISSING: Final = ("", "NA", "N/A", "nan", "NaN", "None", "null")
_STRETCH: Final = 1 << 21  # cells a stretch


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
    side = orient(layout, path, annotations, genes)
    refuse_nameless(side.genes, path)
    if len(set(side.samples)) < len(side.samples):
        twice = next(name for name in side.samples if side.samples.count(name) > 1)
        raise DataError("two samples have one name", where=path, seen=twice)
    index = GeneNames(side.genes, also=side.also)
    panel = has_control_probes(side.genes)
    found, missing = index.find([*genes, *HOUSEKEEPING] if panel else genes)
    refuse_twins(side.genes, found, str(path))
    notes = ["genes stand in columns"] if side.turned else []
    notes += [*layout.notes, *mangled_note(side.genes), *index.beside(found)]
    no_gene = no_genes(side.genes)
    notes += (
        [f"rows that are no genes were left out: {', '.join(side.genes[i] for i in no_gene[:5])}"] if no_gene else []
    )
    slot = places(found, len(side.genes), no_gene)
    values, totals = np.zeros((len(side.samples), int(slot.max(initial=-1)) + 1)), np.zeros(len(side.samples))
    seen, obs, logs = MatrixSummary(), [], np.zeros((3, len(side.samples)))
    for start, block, beside in _blocks(layout, side, path):
        if side.turned:
            here = slice(start, start + len(block))
            add_block(block, slot, values[here], totals[here], seen, first=(start, 0))
            _undo(block, slot != NO_GENE, logs[:, here])
            obs.append(beside)
        else:
            part = slot[start : start + len(block)]
            add_block(block.T, part, values, totals, seen, first=(0, start))
            _undo(block.T, part != NO_GENE, logs)
    return Matrix(
        samples=side.samples,
        obs=pd.concat(obs).set_axis(side.samples) if obs else pd.DataFrame(index=side.samples),
        genes=found, missing=missing, level=values,
        seen=seen.values(totals, _told(logs, seen), side.samples, side.genes),
        n_genes=len(side.genes), used="table", notes=notes,
        declared=NANOSTRING if panel and seen.whole else None,
        whole=lambda: _whole(layout, side, path), hint=probe_hint(side.genes),
    )  # fmt: skip


def _undo(block: np.ndarray, genes: np.ndarray, logs: np.ndarray) -> None:
    """Add up what the samples would sum to, were these logarithms; (3, samples), one row a base."""
    if logs.size and block.size and block.max() <= 30:
        logs += undone(block[:, genes])


def _told(logs: np.ndarray, seen: MatrixSummary) -> str:
    return "" if seen.whole or seen.low < 0 or seen.high > 30 else base_of_totals(logs)


def _blocks(layout: Layout, side: Side, path: Path) -> Iterator[tuple[int, np.ndarray, pd.DataFrame]]:
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

        numbers = _numbers(part.iloc[:, keep], cell, named, decimal=layout.decimal)
        texts = part.iloc[:, beside].set_axis([layout.columns[i] for i in beside], axis=1)
        yield start, numbers, texts
        start += len(part)


def _hint(column: pd.Series, name: str) -> str:
    texts = column.astype(str)
    if len(column) > 1 and texts.str.contains("[A-Za-z]{2}").all():
        return f"No cell of this column is a number. If it describes something else: --annotation {name!r}."
    return "Fill or drop it knowingly: nothing is filled with 0 here."


def _numbers(frame: pd.DataFrame, cell: Callable[[int, int], str], names: Sequence[str], *, decimal: str) -> np.ndarray:
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
            hint=_hint(frame.iloc[:, column_at], names[column_at]),
        )
    return numbers


def _whole(layout: Layout, side: Side, path: Path) -> Whole:
    table = np.concatenate([block for _, block, _ in _blocks(layout, side, path)])
    return Whole(table if side.turned else table.T, side.genes)


def shortened(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Shorten sample names that are paths of BAM files, as featureCounts writes them, when they stay distinct."""
    parts = [re.split(r"[/\\]", name) for name in names]
    if len(names) > 1 and all(len(part) > 1 for part in parts) and len({part[-1] for part in parts}) == 1:
        parts = [part[:-1] for part in parts]  # one folder a sample: S1/Aligned.out.bam
    short = [re.sub(r"(\.sorted)?\.[bs]am$", "", part[-1], flags=re.IGNORECASE) for part in parts]
    if short == list(names) or len(set(short)) < len(short):
        return list(names), []
    return short, [f"sample names were shortened from file names ({short[0]})"]


def with_samples(matrix: Matrix) -> Matrix:
    """Return the matrix with sample names shortened; see :func:`shortened`."""
    names, notes = shortened(matrix.samples)
    if not notes:
        return matrix
    return replace(matrix, samples=names, obs=matrix.obs.set_axis(names), notes=[*matrix.notes, *notes])
