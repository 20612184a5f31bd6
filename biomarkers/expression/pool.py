"""Single cells to samples: pseudobulk, the share of cells that express a gene, and the mean among those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.keys import PATIENT, TIMEPOINT
from biomarkers.expression.matrix import Matrix
from biomarkers.expression.scale import COUNTS, LINEAR, LOGARITHMS, NANOSTRING, ZSCORE, expressed, per, to_linear

_CELL = 1e4  # counts per cell are scaled to this, as is usual for single cells


@dataclass(frozen=True)
class Group:
    """All cells, or those of one type, pooled to samples; arrays are (samples, genes), counts of cells (samples,).

    ``level`` is in ``scale``; ``totals`` belong to it. ``mean_expressing`` is log2, NaN where no cell expresses.
    """

    cell_type: str
    level: np.ndarray
    totals: np.ndarray
    n_cells: np.ndarray
    n_expressing: np.ndarray
    mean_expressing: np.ndarray


@dataclass(frozen=True)
class Pooled:
    """Samples, their annotations, a ``Group`` of all cells and one a cell type; ``codes`` is -1 for cells left out."""

    samples: list[str]
    obs: pd.DataFrame
    groups: list[Group]
    scale: str
    cell_unit: str
    codes: np.ndarray
    notes: list[str]


def pool(matrix: Matrix, columns: Sequence[str], *, cell_type: str | None, scale: str, where: object) -> Pooled:
    """Pool cells to samples.

    Counts are summed. Logarithms are undone first and the linear values averaged, which is not what a mean of
    logarithms is. Among expressing cells the mean is of log2(x + 1), x scaled to 10,000 a cell where counts are known.

    Parameters
    ----------
    matrix
        Cells x wanted genes.
    columns
        Columns of ``obs`` that name the sample; several are joined by ``_``.
    cell_type
        Column of ``obs`` with the type, for a group a type beside that of all cells.
    scale
        What ``matrix.level`` is.
    where
        For messages.

    Raises
    ------
    UsageError
        There is no such column.
    DataError
        The values are z-scores, or one sample holds cells of two patients or time points.
    """
    if scale in (ZSCORE, NANOSTRING):
        raise DataError(
            f"{scale} values cannot be pooled over cells", where=where,
            hint="Name a layer with counts or logarithms: --layer.",
        )  # fmt: skip
    for name in (*columns, *((cell_type,) if cell_type else ())):
        if name not in matrix.obs:
            known = [str(column) for column in matrix.obs.columns]
            raise UsageError("obs has no such column", where=where, seen=name, allowed=known,
                             hint=did_you_mean(name, known))  # fmt: skip
    labels, unnamed = _labels(matrix.obs, columns)
    names = sorted(set(labels[~unnamed]))
    if not names:
        raise DataError("no cell has a sample", where=where, seen=list(columns))
    codes = np.where(unnamed, -1, np.searchsorted(names, labels))
    notes = [f"{int(unnamed.sum())} cells without a sample were left out"] if unnamed.any() else []
    types = np.full(len(labels), "") if cell_type is None else _text(matrix.obs[cell_type]).to_numpy()
    kinds = [] if cell_type is None else sorted(set(types) - {""})
    # cells in the order of their names: sums do not depend on the order of the file
    order = np.argsort(np.asarray(matrix.samples), kind="stable")
    groups = [
        _group(
            matrix, kind, codes, order[(codes[order] >= 0) & ((kind == "") | (types[order] == kind))], len(names), scale
        )
        for kind in ("", *kinds)
    ]
    return Pooled(
        samples=[str(name) for name in names],
        obs=_annotations(matrix.obs, labels, unnamed, names, where),
        groups=groups,
        scale=LINEAR if scale in LOGARITHMS else scale,
        cell_unit="log2(x + 1)" if scale != COUNTS else "log2(counts per 10,000 + 1)",
        codes=codes,
        notes=notes,
    )


def _group(matrix: Matrix, kind: str, codes: np.ndarray, chosen: np.ndarray, n: int, scale: str) -> Group:
    def add(values: np.ndarray) -> np.ndarray:
        columns = [np.bincount(codes[chosen], weights=column, minlength=n) for column in values.T]
        return np.column_stack(columns) if columns else np.zeros((n, 0))

    level, totals = matrix.level[chosen], matrix.seen.totals[chosen]
    linear = to_linear(level, scale, offset=matrix.seen.offset)
    above = expressed(level, scale, offset=matrix.seen.offset)
    cells = np.bincount(codes[chosen], minlength=n)
    sums = add(linear)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = sums if scale == COUNTS else sums / cells[:, None]
        scaled = np.nan_to_num(per(level, totals, _CELL)) if scale == COUNTS else linear
        logs = np.where(above, np.log2(np.maximum(scaled, 0) + 1), 0)
        expressing = add(above.astype(float))
        mean = add(logs) / expressing
    return Group(kind, pooled, np.bincount(codes[chosen], weights=totals, minlength=n), cells, expressing, mean)


def _labels(obs: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    texts = [_text(obs[column]) for column in columns]
    unnamed = np.logical_or.reduce([(text == "").to_numpy() for text in texts])
    joined = texts[0]
    for text in texts[1:]:
        joined = joined + "_" + text
    return joined.to_numpy(dtype=str), unnamed


def _text(column: pd.Series) -> pd.Series:
    """Texts of a column, empty where a value is missing; 3.0 is 3."""
    plain = column.astype(object)
    return plain.map(
        lambda v: "" if pd.isna(v) else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v).strip()
    )


def _annotations(
    obs: pd.DataFrame, labels: np.ndarray, unnamed: np.ndarray, names: list[str], where: object
) -> pd.DataFrame:
    """Keep the columns that are the same for all cells of a sample; patient and time point have to be."""
    known = obs.loc[~unnamed].astype(object)
    grouped = known.groupby(labels[~unnamed])
    several = grouped.nunique(dropna=True).max()
    for column in (PATIENT, TIMEPOINT):
        if column in several and several[column] > 1:
            counts = grouped[column].nunique()
            raise DataError(
                f"one sample holds cells of several {column}s", where=where, seen=str(counts.idxmax()),
                hint=f"Name the samples more closely: --sample ... --sample {column}.",
            )  # fmt: skip
    keep = [column for column in known.columns if several.get(column, 0) == 1]
    return grouped[keep].first().reindex(names) if keep else pd.DataFrame(index=names)
