"""``express``: from a matrix to PD-1, PD-L1 and signature levels of every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.genes import DEFAULT_GENES, symbol_of
from biomarkers.expression.hdf5 import read_h5ad
from biomarkers.expression.matrix import Matrix
from biomarkers.expression.scale import COUNTS, LOG2, ZSCORE, settle, to_log2
from biomarkers.expression.signatures import SIGNATURES, Signature
from biomarkers.expression.text import read_text_matrix
from biomarkers.keys import LEVEL_COLUMNS, PATIENT, TIMEPOINT

_ASSAY: Final = "RNA"
_LEAST_SHARE: Final = 0.8  # of a signature's genes
_OK, _NOT_EVALUABLE = "ok", "not_evaluable"


@dataclass(frozen=True)
class Expression:
    """Levels of every sample.

    ``levels`` is tidy (``keys.LEVEL_COLUMNS``, and ``patient``, ``timepoint`` where the matrix had them); ``genes``
    says how each gene was found, ``scale`` what the numbers are and why, ``warnings`` what a reader must know.
    """

    levels: pd.DataFrame
    genes: pd.DataFrame
    scale: str
    scale_reason: str
    warnings: tuple[str, ...]
    settings: Mapping[str, Any]

    def wide(self) -> pd.DataFrame:
        """Return samples x ``"<marker> <score>"``, for a notebook."""
        named = self.levels.assign(column=self.levels["marker"] + " " + self.levels["score"])
        return named.pivot_table(index="sample", columns="column", values="value", sort=False)

    def _repr_html_(self) -> str:
        return f"<p>{len(self.wide())} samples, scale: {self.scale}</p>{self.wide().head(10).to_html()}"


def express(
    path: str | Path,
    *,
    genes: Sequence[str] | None = None,
    signatures: Sequence[str] | None = None,
    scale: str | None = None,
    layer: str | None = None,
    sample: str | None = None,
    min_cells: int = 10,
) -> Expression:
    """Read levels from an expression matrix; only row totals and the wanted genes are held.

    Parameters
    ----------
    path
        h5ad, or CSV, TSV, GCT, Parquet (``.gz`` too) with genes in rows or columns.
    genes
        Genes by any name; CD274, PDCD1, PDCD1LG2 and CD8A when None.
    signatures
        Names of ``SIGNATURES``; all when None.
    scale
        What the numbers are (``counts, cpm, tpm, linear, log2, log1p, zscore``); found from the values when None.
    layer
        Layer of an h5ad (``X``, ``raw``, a layer's name).
    sample
        Column of ``obs`` whose cells are pooled to one sample (single cells to pseudobulk, with the share of cells
        that express a gene); each row is a sample when None.
    min_cells
        A pooled sample of fewer cells is not evaluable.

    Returns
    -------
    Expression

    Raises
    ------
    UsageError
        No such file, layer, scale, signature or column.
    DataError
        The matrix cannot be read safely or holds none of the genes.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError("no such file", where=file)
    chosen = _signatures(signatures)
    wanted = list(dict.fromkeys(symbol_of(name) for name in (genes or DEFAULT_GENES)))
    needed = list(dict.fromkeys([*wanted, *(gene for item in chosen for gene in item.genes)]))
    matrix = _read(file, needed, layer)
    if not matrix.genes:
        raise DataError("none of the wanted genes is in the matrix", where=file, seen="; ".join(matrix.missing[:3]))
    found_scale, reason, warnings = settle(matrix.seen, declared=scale, where=file)
    warnings += matrix.notes + [text for text in matrix.missing if text.split()[0] in wanted]
    if matrix.used == "layers/counts" and found_scale != COUNTS:
        warnings.append(f"the layer 'counts' does not hold counts: {reason}")
    if sample is not None:
        matrix = _pooled(matrix, sample, found_scale, file)
    rows = _levels(matrix, wanted, chosen, found_scale, warnings, min_cells=min_cells)
    return Expression(
        levels=rows,
        genes=_gene_table(matrix),
        scale=found_scale,
        scale_reason=reason,
        warnings=tuple(dict.fromkeys(warnings)),
        settings={
            "genes": wanted, "signatures": [item.name for item in chosen], "scale": found_scale,
            "scale_reason": reason, "declared_scale": scale, "layer": matrix.used, "sample": sample,
            "min_cells": min_cells,
        },
    )  # fmt: skip


def _read(file: Path, genes: Sequence[str], layer: str | None) -> Matrix:
    if file.suffix == ".h5ad":
        return read_h5ad(file, genes=genes, layer=layer)
    if layer is not None:
        raise UsageError("only h5ad files have layers", where=file, seen=layer)
    kinds = (".csv", ".tsv", ".txt", ".gct", ".gz", ".parquet")
    if file.suffix.lower() not in kinds:
        raise UsageError("unknown kind of matrix", where=file, seen=file.suffix, allowed=(".h5ad", *kinds))
    return read_text_matrix(file, genes=genes)


def _signatures(names: Sequence[str] | None) -> list[Signature]:
    if names is None:
        return list(SIGNATURES.values())
    for name in names:
        if name not in SIGNATURES:
            raise UsageError(
                "no such signature", seen=name, allowed=tuple(SIGNATURES), hint=did_you_mean(name, SIGNATURES)
            )
    return [SIGNATURES[name] for name in names]


def _pooled(matrix: Matrix, column: str, scale: str, where: Path) -> Matrix:
    """Pool cells to samples: sums of counts, or of linear values where the matrix holds logarithms."""
    if column not in matrix.obs:
        raise UsageError("obs has no such column", where=where, seen=column, allowed=list(matrix.obs.columns))
    labels = matrix.obs[column].astype(str)
    codes, names = pd.factorize(labels, sort=True)
    linear = np.exp2(matrix.level) - 1 if scale == LOG2 else matrix.level
    sums = np.column_stack([np.bincount(codes, weights=values, minlength=len(names)) for values in linear.T])
    cells = np.bincount(codes, minlength=len(names))
    pooled = sums if scale == COUNTS else sums / cells[:, None]
    if scale == LOG2:
        pooled = np.log2(pooled + 1)
    share = np.column_stack([np.bincount(codes, weights=v > 0, minlength=len(names)) for v in matrix.level.T])
    keep = [name for name in (PATIENT, TIMEPOINT) if name in matrix.obs]
    obs = matrix.obs[keep].groupby(labels).first().reindex(names)
    obs["n_cells"] = cells
    for position, symbol in enumerate(matrix.genes):
        obs[f"share {symbol}"] = share[:, position] / cells
    totals = np.bincount(codes, weights=matrix.seen.totals, minlength=len(names))
    seen = type(matrix.seen)(matrix.seen.low, matrix.seen.high, matrix.seen.whole, totals)
    return Matrix(
        list(names), obs, matrix.genes, matrix.missing, pooled, seen, matrix.n_genes, matrix.used, matrix.notes
    )


def _levels(
    matrix: Matrix,
    wanted: Sequence[str],
    signatures: Sequence[Signature],
    scale: str,
    warnings: list[str],
    *,
    min_cells: int,
) -> pd.DataFrame:
    log2, score, unit = to_log2(matrix.level, scale, matrix.seen.totals)
    place = {symbol: position for position, symbol in enumerate(matrix.genes)}
    parts = []
    for gene in wanted:
        if gene in place:
            parts.append(_part(matrix, gene, score, unit, log2[:, place[gene]], min_cells))
            if "n_cells" in matrix.obs:
                share = matrix.obs[f"share {gene}"].to_numpy()
                parts.append(_part(matrix, gene, "expressing_fraction", "fraction", share, min_cells))
    for signature in signatures:
        have = [gene for gene in signature.genes if gene in place]
        lack = [gene for gene in signature.genes if gene not in place]
        if len(have) < max(1, _LEAST_SHARE * len(signature.genes)):
            warnings.append(f"{signature.name} is not evaluable: {', '.join(lack)} missing")
            continue
        if lack:
            warnings.append(f"{signature.name} without {', '.join(lack)}")
        values = _combined(signature, log2[:, [place[gene] for gene in have]], scale)
        parts.append(_part(matrix, signature.name, signature.combine, unit, values, min_cells))
    if not parts:
        raise DataError("none of the wanted genes or signatures is in the matrix", seen="; ".join(matrix.missing[:3]))
    return pd.concat(parts, ignore_index=True)


def _combined(signature: Signature, log2: np.ndarray, scale: str) -> np.ndarray:
    if signature.combine == "geometric_mean" and scale != ZSCORE:
        # of linear levels, offset by 0.01 as published, and back to log2
        combined: np.ndarray = np.log2(np.exp2(log2) - 1 + 0.01).mean(axis=1)
        return combined
    mean: np.ndarray = log2.mean(axis=1)
    return mean


def _part(matrix: Matrix, marker: str, score: str, unit: str, values: np.ndarray, min_cells: int) -> pd.DataFrame:
    reason = np.where(np.isfinite(values), "", "the sample has no counts at all")
    if "n_cells" in matrix.obs:
        few = matrix.obs["n_cells"].to_numpy() < min_cells
        counts = matrix.obs["n_cells"].astype(str).to_numpy()
        reason = np.where(few, np.char.add(counts.astype(str), f" cells, {min_cells} are needed"), reason)
    fine = reason == ""
    columns = {
        "sample": matrix.samples,
        "marker": marker,
        "assay": _ASSAY,
        "score": score,
        "value": np.where(fine, values, np.nan),
        "unit": unit,
        "scale": _scale_of(unit),
        "status": np.where(fine, _OK, _NOT_EVALUABLE),
        "reason": reason,
    }
    frame = pd.DataFrame(columns, columns=list(LEVEL_COLUMNS))
    for column in (PATIENT, TIMEPOINT):
        if column in matrix.obs:
            frame[column] = matrix.obs[column].astype(str).to_numpy()
    return frame


def _scale_of(unit: str) -> str:
    """Name the scale that a level stands on, for whoever takes ratios of it later."""
    return "fraction" if unit == "fraction" else "zscore" if unit.startswith("z") else "log2"


def _gene_table(matrix: Matrix) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "gene": match.symbol,
                "found_as": ", ".join(match.names),
                "rule": match.rule,
                "columns": len(match.columns),
            }
            for match in matrix.genes.values()
        ],
        columns=["gene", "found_as", "rule", "columns"],
    )
