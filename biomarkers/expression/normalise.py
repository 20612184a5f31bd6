"""Methods that need every gene: TMM and median-of-ratios size factors, and scanpy's gene-set score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.expression.genes import find_genes, is_gene
from biomarkers.expression.matrix import Matrix

CPM, TMM, RATIO = "cpm", "tmm", "ratio"
METHODS: Final = (CPM, TMM, RATIO)
SET_UNIT: Final = "difference of mean log2, to control genes chosen by these samples"
_LEAST_GENES: Final = 10


def whole_counts(matrix: Matrix, codes: np.ndarray | None, n: int) -> pd.DataFrame:
    """Read the whole matrix and pool it: (samples, genes), genes in the order of their names.

    Parameters
    ----------
    matrix
        What a reader returned.
    codes
        Sample of each row, -1 for rows that are left out; None when rows are samples.
    n
        Number of samples.
    """
    from scipy.sparse import csr_matrix

    if matrix.whole is None:
        raise DataError("this reader cannot give the whole matrix", where=matrix.used)
    whole = matrix.whole()
    values: Any = whole.values  # noqa: PD011
    if codes is not None:
        rows = np.flatnonzero(codes >= 0)
        which = csr_matrix((np.ones(len(rows)), (codes[rows], rows)), shape=(n, len(codes)))
        values = which @ values
    dense = np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=float)
    genes = np.array([i for i, name in enumerate(whole.genes) if is_gene(name)])
    order = genes[np.argsort(np.asarray(whole.genes)[genes], kind="stable")]
    return pd.DataFrame(dense[:, order], columns=[whole.genes[i] for i in order])


def library_sizes(counts: pd.DataFrame, *, method: str, samples: Sequence[str]) -> np.ndarray:
    """Return the size each sample's counts are divided by to be counts per million; (samples,).

    Parameters
    ----------
    counts
        (samples, genes), whole numbers.
    method
        ``cpm``: the total. ``tmm``: the total times the trimmed mean of M-values. ``ratio``: the median of ratios to
        the genes' geometric means, brought to the mean total so that levels stay on the scale of counts per million.
    samples
        Names of the rows; they settle ties of the reference sample, whatever the order.

    Returns
    -------
    Sizes; NaN for a sample without counts.

    Raises
    ------
    UsageError
        There is no such method.
    DataError
        Too few genes are counted in every sample.

    References
    ----------
    Robinson MD, Oshlack A. Genome Biol 2010;11:R25. Anders S, Huber W. Genome Biol 2010;11:R106.
    """
    if method not in METHODS:
        raise UsageError("no such normalisation", seen=method, allowed=METHODS, hint=did_you_mean(method, METHODS))
    table = counts.to_numpy(dtype=float)
    totals = table.sum(axis=1)
    sizes = np.where(totals > 0, totals, np.nan)
    if method == CPM:
        return sizes
    order = np.argsort(np.asarray(samples, dtype=str), kind="stable")
    order = order[totals[order] > 0]
    if len(order) < 2:
        raise DataError("normalisation between samples needs two with counts", seen=len(order))
    sizes[order] = _tmm(table[order]) if method == TMM else _ratio(table[order])
    return sizes


def _tmm(table: np.ndarray) -> np.ndarray:
    import rnanorm

    factors = rnanorm.TMM().fit(table).get_norm_factors(table)
    if not np.isfinite(factors).all():
        raise DataError("too few genes are counted in all samples for TMM", seen=table.shape[1])
    return np.asarray(table.sum(axis=1) * factors)


def _ratio(table: np.ndarray) -> np.ndarray:
    """Median of ratios over genes counted in every sample."""
    kept = table[:, (table > 0).all(axis=0)]
    if kept.shape[1] < _LEAST_GENES:
        raise DataError(
            "too few genes are counted in every sample for median-of-ratios",
            seen=kept.shape[1],
            allowed=f">= {_LEAST_GENES}",
            hint="Use --normalise tmm, or pool more cells.",
        )
    logs = np.log(kept)
    factors = np.exp(np.median(logs - logs.mean(axis=0), axis=1))
    # factors have no unit: their geometric mean is set to that of the totals
    return np.asarray(factors / np.exp(np.log(factors).mean()) * np.exp(np.log(table.sum(axis=1)).mean()))


def gene_set_scores(
    log2: pd.DataFrame, signatures: Mapping[str, Sequence[str]], *, rng: int = 0
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Score gene sets by scanpy: the mean of the set minus the mean of random genes of like expression.

    Parameters
    ----------
    log2
        (samples, genes) of log2 levels, every gene.
    signatures
        Name -> genes that are there.
    rng
        Seed of the random genes.

    Returns
    -------
    Name -> (samples,) scores, and notes on what could not be scored.

    References
    ----------
    Tirosh I et al. Science 2016;352:189-196; as `scanpy.tl.score_genes` computes it.
    """
    import scanpy as sc
    from anndata import AnnData

    data = AnnData(log2.to_numpy(), var=pd.DataFrame(index=pd.Index([str(name) for name in log2.columns])))
    data.var_names_make_unique()
    made, notes = {}, []
    for name, wanted in signatures.items():
        found, _ = find_genes(wanted, list(data.var_names))
        genes = [match.names[0] for match in found.values()]
        try:
            sc.tl.score_genes(data, genes, score_name="score", random_state=rng, use_raw=False)
        except (ValueError, RuntimeError) as error:  # no gene of the set, or too few others to compare with
            notes.append(f"{name} has no gene-set score: {str(error)[:80]}")
            continue
        made[name] = data.obs["score"].to_numpy(dtype=float)
    return made, notes
