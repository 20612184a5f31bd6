"""Levels of a matrix whose rows are samples, or cells that are pooled to samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError
from biomarkers.expression.annotate import annotated
from biomarkers.expression.levels import Part, combined, level_rows, log2_levels, usable
from biomarkers.expression.matrix import Matrix
from biomarkers.expression.normalise import CPM, SET_UNIT, gene_set_scores, library_sizes, whole_counts
from biomarkers.expression.pool import Group, Pooled, pool
from biomarkers.expression.scale import COUNTS, NANOSTRING, ZSCORE, to_linear, to_log2
from biomarkers.expression.signatures import SIGNATURES, Signature

_RELATIVE = (
    "score_genes chooses its control genes by their mean over all samples: a sample's score changes with the others,"
    " and scores of two runs cannot be compared"
)
_DEEP = 50  # times the reads of the shallowest sample


@dataclass(frozen=True)
class ExpressionSettings:
    """What is wanted, checked."""

    genes: list[str]
    signatures: list[Signature]
    normalise: str
    score_genes: bool
    min_cells: int
    min_expressing: int

    @property
    def needed(self) -> list[str]:
        """Every gene that has to be read."""
        of_signatures = (gene for item in self.signatures for gene in item.genes)
        return list(dict.fromkeys([*self.genes, *of_signatures]))


def from_samples(
    matrix: Matrix, plan: ExpressionSettings, scale: str, where: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Levels of a matrix whose rows are samples."""
    if len(set(matrix.samples)) < len(matrix.samples):
        twice = next(name for name in matrix.samples if matrix.samples.count(name) > 1)
        raise DataError("two samples have one name", where=where, seen=twice, hint="Cells? Pool them: --sample COLUMN.")
    totals, place = matrix.seen.totals, {gene: i for i, gene in enumerate(matrix.genes)}
    notes = _depth_notes(totals) if scale == COUNTS else []
    if plan.normalise != CPM:
        totals = library_sizes(_whole(matrix, None, len(totals)), method=plan.normalise, samples=matrix.samples)
    log2, score, unit = log2_levels(
        matrix.level, scale, totals, place, normalise=plan.normalise, offset=matrix.seen.offset
    )
    empty = (matrix.seen.totals == 0) & (scale != ZSCORE) & (matrix.seen.low >= 0)
    reasons = np.full(len(empty), "", dtype=object)
    reasons[empty] = "all values of the sample are 0"
    parts = [Part(gene, score, unit, log2[:, place[gene]], reasons) for gene in plan.genes if gene in place]
    sets, more = usable(plan.signatures, list(place))
    for name, have in sets.items():
        signature = SIGNATURES[name]
        made = combined(signature, log2[:, [place[gene] for gene in have]], scale, unit, offset=matrix.seen.offset)
        parts.append(Part(name, made.score, made.unit, made.level, reasons))
    if plan.score_genes:
        whole = _log2_whole(_whole(matrix, None, len(totals)), scale, totals)
        scored, lacking = gene_set_scores(whole, sets)
        parts += [Part(name, "score_genes", SET_UNIT, values, reasons) for name, values in scored.items()]
        more += [*lacking, _RELATIVE]
    return _rows(parts, matrix.samples, matrix.obs, matrix), matrix.obs, [*notes, *more]


def from_cells(
    matrix: Matrix, plan: ExpressionSettings, columns: Sequence[str], cell_type: str | None, scale: str, where: str,
    sheet: pd.DataFrame | None, names: Mapping[str, str | None],
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:  # fmt: skip
    """Levels of a matrix whose rows are cells."""
    early = {key: names[key] for key in ("patient", "timepoint") if names[key] in matrix.obs}
    matrix, _ = annotated(matrix, None, early, where)
    pooled = pool(matrix, columns, cell_type=cell_type, scale=scale, where=where)
    late = {key: name for key, name in names.items() if key not in early}
    obs, notes = annotated(replace(matrix, samples=pooled.samples, obs=pooled.obs), sheet, late, where)
    pooled = replace(pooled, obs=obs.obs)
    sets, more = usable(plan.signatures, list(matrix.genes))
    whole = None
    if plan.normalise != CPM or plan.score_genes:
        linear = replace(matrix, whole=_linear(matrix, scale))
        whole = _whole(linear, pooled.codes, len(pooled.samples))
    parts: list[Part] = []
    for cells in pooled.groups:
        totals = cells.totals
        if plan.normalise != CPM and not cells.cell_type and whole is not None:
            totals = library_sizes(whole, method=plan.normalise, samples=pooled.samples)
        normalise = plan.normalise if not cells.cell_type else CPM
        parts += _group_parts(matrix, plan, pooled, cells, sets, (totals, normalise))
    if plan.score_genes and whole is not None:
        sizes = library_sizes(whole, method=plan.normalise, samples=pooled.samples)
        counted = whole if scale == COUNTS else whole / np.maximum(pooled.groups[0].n_cells, 1)[:, None]
        scored, lacking = gene_set_scores(_log2_whole(counted, pooled.scale, sizes), sets)
        few = _few(pooled.groups[0].n_cells, plan.min_cells)
        parts += [Part(name, "score_genes", SET_UNIT, values, few) for name, values in scored.items()]
        more += [*lacking, _RELATIVE]
    return _rows(parts, pooled.samples, pooled.obs, matrix), pooled.obs, [*notes, *pooled.notes, *more]


def _group_parts(
    matrix: Matrix, plan: ExpressionSettings, pooled: Pooled, cells: Group, sets: Mapping[str, Sequence[str]],
    sizes: tuple[np.ndarray, str],
) -> list[Part]:  # fmt: skip
    """Pseudobulk, fraction and mean among expressing cells of one group of cells."""
    place = {gene: i for i, gene in enumerate(matrix.genes)}
    log2, score, unit = log2_levels(cells.level, pooled.scale, sizes[0], place, normalise=sizes[1])
    if pooled.scale != COUNTS:
        score, unit = "log2_mean", "log2(mean over cells + 1)"
    suffix = f" in {cells.cell_type}" if cells.cell_type else ""
    few = _few(cells.n_cells, plan.min_cells)
    parts = []
    for gene in (gene for gene in plan.genes if gene in place):
        at = place[gene]
        expressing = cells.n_expressing[:, at].astype(int)
        rare = _few(expressing, plan.min_expressing, what="expressing cells")
        extra = {"cell_type": cells.cell_type, "n_cells": cells.n_cells, "n_expressing": expressing}
        share = expressing / np.maximum(cells.n_cells, 1)
        for name, words, values, reasons in (
            (score, unit, log2[:, at], few),
            ("expressing_fraction", "fraction", share, few),
            ("mean_in_expressing", pooled.cell_unit, cells.mean_expressing[:, at], np.where(few != "", few, rare)),
        ):
            parts.append(Part(gene, name + suffix, words, values, reasons, extra))
    for name, have in sets.items():
        signature = SIGNATURES[name]
        made = combined(signature, log2[:, [place[gene] for gene in have]], pooled.scale, unit)
        extra = {"cell_type": cells.cell_type, "n_cells": cells.n_cells}
        parts.append(Part(name, made.score + suffix, made.unit, made.level, few, extra))
    return parts


def _few(n_cells: np.ndarray, least: int, *, what: str = "cells") -> np.ndarray:
    return np.array([f"{n} {what}, {least} are needed" if n < least else "" for n in n_cells], dtype=object)


def _whole(matrix: Matrix, codes: np.ndarray | None, n: int) -> pd.DataFrame:
    return whole_counts(matrix, codes, n)


def _linear(matrix: Matrix, scale: str) -> Any:
    """Read the whole matrix with its logarithms undone, so that cells can be added up."""
    assert matrix.whole is not None
    read = matrix.whole

    def undone() -> Any:
        whole = read()
        values: Any = whole.values  # noqa: PD011
        if hasattr(values, "tocsr"):
            values = values.tocsr().astype(float)
            values.data = to_linear(values.data, scale, offset=matrix.seen.offset)
        else:
            values = to_linear(np.asarray(values, dtype=float), scale, offset=matrix.seen.offset)
        return replace(whole, values=values)

    return undone


def _log2_whole(table: pd.DataFrame, scale: str, sizes: np.ndarray) -> pd.DataFrame:
    if scale == NANOSTRING:
        raise UsageError("score_genes needs a whole transcriptome, not a panel", seen=scale)
    log2, _, _ = to_log2(table.to_numpy(), scale, sizes)
    return pd.DataFrame(np.nan_to_num(log2), columns=table.columns)


def _depth_notes(totals: np.ndarray) -> list[str]:
    known = totals[totals > 0]
    if len(known) < 2 or known.max() < _DEEP * known.min():
        return []
    return [f"the deepest sample has {known.max() / known.min():.0f} times the counts of the shallowest"]


def _rows(parts: Sequence[Part], samples: Sequence[str], obs: pd.DataFrame, matrix: Matrix) -> pd.DataFrame:
    if not parts:
        raise DataError("none of the wanted genes or signatures is in the matrix", seen="; ".join(matrix.missing[:3]))
    rows = level_rows(parts, samples, obs)
    return rows.astype({"n_expressing": "Int64"}) if "n_expressing" in rows else rows
