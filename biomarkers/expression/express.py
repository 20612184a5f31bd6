"""``express``: from a matrix to PD-1, PD-L1 and signature levels of every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.result import Overview, Result
from biomarkers.expression.annotate import annotated, check_sheet
from biomarkers.expression.batch import batch_confounding, batch_summary, within_batch
from biomarkers.expression.compute import ExpressionSettings, from_cells, from_samples
from biomarkers.expression.genes import DEFAULT_GENES, HOUSEKEEPING, symbol_of
from biomarkers.expression.matrix import Matrix, one_column_a_gene
from biomarkers.expression.normalise import CPM, METHODS
from biomarkers.expression.read import read_matrix
from biomarkers.expression.scale import COUNTS, NANOSTRING, ZSCORE, refuse_other_scale, resolve_scale
from biomarkers.expression.scale import log_offset as find_offset
from biomarkers.expression.signatures import SIGNATURES
from biomarkers.io.columns.frames import as_frame, fit_table
from biomarkers.io.columns.model import ColumnMap, load_column_map

if TYPE_CHECKING:
    from anndata import AnnData

_FEW_GENES: Final = 200
_MANY, _CELL_COUNTS = 100, 50_000  # rows like cells: many, of few counts although there are many genes
_PLAIN_RULES: Final = ("symbol", "Ensembl", "NCBI Gene")
_EMPTY: Final = pd.DataFrame()


@dataclass(frozen=True, repr=False)
class Expression(Result):
    """Levels of every sample.

    ``levels`` is tidy (``keys.LEVEL_COLUMNS``; ``patient``, ``timepoint``, ``batch``, ``cell_type``, ``n_cells`` where
    known); ``genes`` says how each gene was found, ``batches`` summarises levels by batch, ``scale`` says what the
    numbers are and ``scale_reason`` why, ``warnings`` what a reader must know, ``settings`` what made it.

    Examples
    --------
    >>> import biomarkers as bm
    >>> found = bm.express(bm.sample_trial().expression, genes=["CD274", "PDCD1"])
    >>> found.scale
    'counts'
    >>> found.levels.loc[found.levels["marker"] == "CD274", "value"].head(2).round(2).tolist()
    [5.5, 4.68]
    """

    levels: pd.DataFrame
    genes: pd.DataFrame
    scale: str
    scale_reason: str
    warnings: tuple[str, ...]
    settings: Mapping[str, Any]
    batches: pd.DataFrame = field(default_factory=pd.DataFrame)

    def wide(self) -> pd.DataFrame:
        """Return samples x ``"<marker> <score>"``, for a notebook."""
        named = self.levels.assign(column=self.levels["marker"] + " " + self.levels["score"])
        return named.pivot_table(index="sample", columns="column", values="value", sort=False)

    @property
    def table(self) -> pd.DataFrame:
        """The same as ``levels``."""
        return self.levels

    def _overview(self) -> Overview:
        title = f"{self.levels['sample'].nunique()} samples, scale: {self.scale} ({self.scale_reason})"
        return Overview(title, self.wide().reset_index(), self.warnings)


def express(
    data: str | Path | AnnData,
    *,
    genes: Sequence[str] | None = None,
    signatures: Sequence[str] | None = None,
    scale: str | None = None,
    log_offset: float | None = None,
    layer: str | None = None,
    normalise: str = CPM,
    score_genes: bool = False,
    sample: str | Sequence[str] | None = None,
    cell_type: str | None = None,
    min_cells: int = 10,
    min_expressing: int = 3,
    sheet: pd.DataFrame | None = None,
    annotations: Sequence[str] = (),
    patient: str | None = None,
    timepoint: str | None = None,
    batch: str | None = None,
    group: str | None = None,
    columns: ColumnMap | str | Path | Mapping[str, Any] | None = None,
) -> Expression:
    """Read levels from an expression matrix; only row totals and the wanted genes are held.

    Parameters
    ----------
    data
        h5ad, AnnData zarr folder, 10x h5 or mtx folder, loom, CSV, TSV, GCT, Parquet (genes in rows or columns;
        ``.gz`` too), featureCounts, gene tables of Salmon, kallisto or RSEM (a file, or a folder of one a sample), or
        an AnnData.
    genes
        Genes by any name; CD274, PDCD1, PDCD1LG2 and CD8A when None.
    signatures
        Names of ``SIGNATURES``; all when None.
    scale
        What the numbers are (one of ``scale.SCALES``); found from the values, and said, when None.
    log_offset
        What was added before logarithms were taken: ``log2(x + 0.001)``; told by the values when None.
    layer
        Layer of an h5ad, zarr or loom file (``X``, ``raw``, a layer's name).
    normalise
        Counts only: ``cpm``, ``tmm`` or ``ratio`` (median of ratios). The last two hold the whole matrix in memory.
    score_genes
        Score signatures by ``scanpy.tl.score_genes`` too; holds the whole matrix in memory.
    sample
        Columns of ``obs`` whose cells are pooled to one sample: pseudobulk, the fraction of cells that express a gene,
        and the mean among those. Each row is a sample when None.
    cell_type
        Column of ``obs``: the same for the cells of each type.
    min_cells
        A pooled sample of fewer cells is not evaluable.
    min_expressing
        With fewer expressing cells, the mean among them is not evaluable.
    sheet
        One row a sample (column ``sample``, else the first) with patient, time point, batch and the like.
    annotations
        Columns of a text matrix, genes in columns, that are no genes.
    patient, timepoint
        Columns of ``obs`` or the sheet; ``patient`` and ``timepoint`` where such columns exist.
    batch
        Column with the batch: adds each level's distance from the median of its batch, and ``batches``.
    columns
        What the sheet's columns mean (:class:`biomarkers.ColumnMap`, its TOML file, or the name of a shipped profile).
    group
        Column (response, arm, site) that a batch must not be confounded with: there is a warning when it is.

    Returns
    -------
    Expression

    Raises
    ------
    UsageError
        No such file, layer, scale, signature or column.
    DataError
        The matrix cannot be read safely or holds none of the genes.

    Examples
    --------
    >>> import biomarkers as bm
    >>> found = bm.express(bm.sample_trial().expression, genes=["CD274", "PDCD1"])
    >>> found.scale
    'counts'
    >>> found.levels.loc[found.levels["marker"] == "CD274", "value"].head(2).round(2).tolist()
    [5.5, 4.68]
    """
    contract = load_column_map(columns)
    if sheet is not None:
        sheet, contract = fit_table(as_frame(sheet), contract, where="sample sheet")
        patient, timepoint = patient or contract.patient, timepoint or contract.timepoint
    least = (min_cells, min_expressing)
    plan = _plan(genes, signatures, normalise, score_genes=score_genes, least=least)
    pooled_by = [] if sample is None else [sample] if isinstance(sample, str) else list(sample)
    if cell_type is not None and not pooled_by:
        raise UsageError("a cell type needs the column that names the sample", hint="Give sample (--sample).")
    where = Path(data).name if isinstance(data, str | Path) else "AnnData"
    matrix = read_matrix(
        data, genes=[*plan.needed, *(HOUSEKEEPING if scale == NANOSTRING else ())], layer=layer, annotations=annotations
    )
    if not matrix.samples:
        raise DataError("the matrix has no samples", where=where)
    if not matrix.genes:
        seen = "; ".join(matrix.missing[:3])
        raise DataError("none of the wanted genes is in the matrix", where=where, seen=seen, hint=matrix.hint)
    names = {"patient": patient, "timepoint": timepoint, "batch": batch, "group": group}
    if sheet is not None:
        check_sheet(sheet, patient, contract)
    matrix, notes = annotated(matrix, None if pooled_by else sheet, names if not pooled_by else {}, where)
    found, reason, doubts = resolve_scale(matrix.seen, declared=scale, stated=matrix.declared, where=where)
    if scale is None:
        refuse_other_scale(matrix.seen, found, matrix.samples, where=where)
    offset, unsure = find_offset(matrix.seen, found, declared=log_offset)
    matrix = one_column_a_gene(replace(matrix, seen=replace(matrix.seen, offset=offset)), found)
    notes += [*doubts, *unsure, *matrix.notes, *_wanted_notes(matrix, plan, found)]
    if pooled_by:
        rows, obs, more = from_cells(matrix, plan, pooled_by, cell_type, found, where, sheet, names)
    else:
        rows, obs, more = from_samples(matrix, plan, found, where)
        n = len(matrix.samples)
        if found == COUNTS and n >= _MANY and float(np.median(matrix.seen.totals)) < _CELL_COUNTS < matrix.n_genes * 10:
            more.append(f"each of the {n:,} rows was taken as a sample; if they are cells, pool them: --sample COLUMN")
    rows, batches, about = _with_batch(rows, obs, batch=batch, group=group)
    return Expression(
        levels=rows,
        genes=_gene_table(matrix, plan),
        scale=found,
        scale_reason=reason,
        warnings=tuple(dict.fromkeys([*notes, *more, *about])),
        settings={
            "genes": plan.genes, "signatures": [item.name for item in plan.signatures], "scale": found,
            "scale_reason": reason, "declared_scale": scale, "log_offset": offset, "layer": matrix.used,
            "normalise": normalise,
            "score_genes": score_genes, "sample": pooled_by, "cell_type": cell_type, "min_cells": min_cells,
            "min_expressing": min_expressing, "annotations": list(annotations), **names,
            "columns": contract.model_dump(exclude_defaults=True, mode="json"),
        },
        batches=batches,
    )  # fmt: skip


def _plan(
    genes: Sequence[str] | None,
    signatures: Sequence[str] | None,
    normalise: str,
    *,
    score_genes: bool,
    least: tuple[int, int],
) -> ExpressionSettings:
    if normalise not in METHODS:
        hint = did_you_mean(normalise, METHODS)
        raise UsageError("no such normalisation", seen=normalise, allowed=METHODS, hint=hint)
    for name in signatures or ():
        if name not in SIGNATURES:
            hint = did_you_mean(name, SIGNATURES)
            raise UsageError("no such signature", seen=name, allowed=tuple(SIGNATURES), hint=hint)
    chosen = list(SIGNATURES.values()) if signatures is None else [SIGNATURES[name] for name in signatures]
    wanted = list(dict.fromkeys(symbol_of(name) for name in (genes or DEFAULT_GENES)))
    return ExpressionSettings(wanted, chosen, normalise, score_genes, *least)


def _wanted_notes(matrix: Matrix, plan: ExpressionSettings, scale: str) -> list[str]:
    notes = [text for text in matrix.missing if text.split()[0] in plan.genes]
    by_name = (matrix.genes[gene] for gene in plan.genes if gene in matrix.genes)
    odd = [f"{m.symbol} as {m.names[0]} ({m.rule})" for m in by_name if m.rule not in _PLAIN_RULES]
    notes += [f"found by another name: {'; '.join(odd)}"] if odd else []
    if matrix.used == "layers/counts" and scale != COUNTS:
        notes.append("the layer 'counts' does not hold counts")
    if scale == ZSCORE and matrix.elsewhere:
        notes.append(f"these values are centred or scaled; the file also has {', '.join(matrix.elsewhere)} (--layer)")
    if scale == COUNTS and matrix.n_genes < _FEW_GENES:
        notes.append(f"the matrix has {matrix.n_genes} genes: counts per million are relative to these alone")
    if plan.normalise != CPM and scale != COUNTS:
        raise UsageError(f"{plan.normalise} normalises counts", seen=scale, hint="Leave --normalise out.")
    return notes


def _with_batch(
    rows: pd.DataFrame, obs: pd.DataFrame, *, batch: str | None, group: str | None
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Add levels within the batch, and say where batches differ or are confounded."""
    notes: list[str] = []
    if batch is None:
        if group is not None:
            raise UsageError("a group is held against a batch", hint="Give batch (--batch) too.")
        return rows, _EMPTY, notes
    labels = obs["batch"].astype(object).where(obs["batch"].notna(), "").astype(str)
    rows = rows.assign(batch=rows["sample"].map(dict(zip(obs.index.astype(str), labels, strict=True))))
    if group is not None:
        pair = pd.DataFrame({"batch": obs["batch"], group: obs["group"]})
        warning = batch_confounding(pair, batch="batch", group=group).warning
        notes += [warning] if warning else []
    batches = batch_summary(rows)
    told = batches[batches["p_kruskal_wallis"] < 0.05].drop_duplicates(["marker", "score"])
    if len(told):
        which = (f"{row['marker']} {row['score']} {row['p_kruskal_wallis']:.2g}" for row in told.to_dict("records"))
        notes.append(f"batches differ (Kruskal-Wallis p, uncorrected): {', '.join(which)}")
    return pd.concat([rows, within_batch(rows)], ignore_index=True), batches, notes


def _gene_table(matrix: Matrix, plan: ExpressionSettings) -> pd.DataFrame:
    asked = {*plan.genes, *(gene for item in plan.signatures for gene in item.genes)}
    rows = [
        {"gene": m.symbol, "found_as": ", ".join(dict.fromkeys(m.names)), "rule": m.rule, "columns": len(m.columns)}
        for m in matrix.genes.values()
        if m.symbol in asked
    ]
    return pd.DataFrame(rows, columns=["gene", "found_as", "rule", "columns"])
