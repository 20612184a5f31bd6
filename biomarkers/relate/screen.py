"""Screening thousands of genes by the rank test, with the family-wise error of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import binary, labels

if TYPE_CHECKING:
    from anndata import AnnData

SCREEN_COLUMNS = ("biomarker", "n", "n_responders", "auc", "z", "p", "p_max_t", "q_bh", "note")


def screen(
    levels: pd.DataFrame | AnnData,
    responder: Any,
    *,
    strata: Any = None,
    n_permutations: int = 9_999,
    rng: int = 0,
) -> pd.DataFrame:
    """Rank-test every column under the same relabellings of patients.

    A screen looks for dependence only: a gene that is not found has not been shown to be independent.

    Parameters
    ----------
    levels
        (n, m) levels without gaps, patients in rows; a frame, or an AnnData (X, genes in columns).
    responder
        (n,) bool or 0/1.
    strata
        (n,) labels: mid-ranks are taken and patients change places within a stratum.
    n_permutations, rng
        Number of relabellings, seed. The smallest p that can be seen is 1 / (B + 1).

    Returns
    -------
    One row a column, strongest first: ``auc`` (over all patients), ``z``, permutation ``p``, ``p_max_t`` (step-down
    max-T over all columns), ``q_bh`` (Benjamini-Hochberg). A constant column has NaN and says so.

    Raises
    ------
    DataError
        A level is missing, the lengths differ, or everybody is in one group.

    References
    ----------
    Westfall PH, Young SS. Resampling-based multiple testing. Wiley 1993.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> rng = np.random.default_rng(0)
    >>> responder = np.arange(40) % 2 == 0
    >>> levels = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    >>> levels["c"] += 2 * responder
    >>> found = bm.screen(levels, responder, n_permutations=999)
    >>> found.columns[:3].tolist(), len(found)
    (['biomarker', 'n', 'n_responders'], 3)
    """
    from biomarkers.stats.multiplicity import adjust
    from biomarkers.stats.permutation import canonical_order
    from biomarkers.stats.step_down import max_t

    names, matrix = _matrix(levels)
    first = binary(responder, name="responder")
    if len(first) != len(matrix):
        raise DataError("levels and responders differ in length", seen=(len(matrix), len(first)))
    if first.all() or not first.any():
        raise DataError("everybody is in one group", where="responder", seen=f"{int(first.sum())} of {len(first)}")
    gaps = np.isnan(matrix).any(axis=0)
    if gaps.any():
        where = names[int(np.flatnonzero(gaps)[0])]
        raise DataError("a level is missing", where=where, hint="Screen complete columns, or relate a few markers.")
    ranks = _midranks(matrix)
    n1, n2 = int(first.sum()), int((~first).sum())
    auc = (ranks[first].sum(axis=0) - n1 * (n1 + 1) / 2) / (n1 * n2)
    scores = ranks if strata is None else _aligned(matrix, np.asarray(strata))
    blocks = None if strata is None else labels(strata)
    rows, columns = canonical_order(scores, first, blocks)  # the same p however patients and genes are sorted
    found = max_t(
        scores[rows][:, columns], first[rows], n_permutations=n_permutations, rng=rng,
        strata=None if blocks is None else blocks[rows],
    )  # fmt: skip
    back = np.argsort(columns, kind="stable")
    z, p, adjusted = (values[back] for values in (found.z, found.p, found.p_step_down))
    constant = np.isnan(z)
    q = np.full(len(names), np.nan)
    if not constant.all():
        q[~constant] = adjust(p[~constant], method="bh")
    note = np.where(constant, "constant: not testable", "")
    table = pd.DataFrame(dict(zip(SCREEN_COLUMNS, (names, n1 + n2, n1, auc, z, p, adjusted, q, note), strict=True)))
    order = np.lexsort((table["biomarker"].to_numpy(dtype=str), -np.nan_to_num(np.abs(z), nan=-1.0)))
    return table.iloc[order].reset_index(drop=True)


def _matrix(levels: pd.DataFrame | AnnData) -> tuple[list[str], np.ndarray]:
    if isinstance(levels, pd.DataFrame):
        try:
            return [str(name) for name in levels.columns], levels.to_numpy(dtype=float)
        except (ValueError, TypeError) as error:
            raise DataError("levels hold text", where="levels", seen=str(error)) from error
    values = levels.X.toarray() if hasattr(levels.X, "toarray") else np.asarray(levels.X)
    return [str(name) for name in levels.var_names], np.asarray(values, dtype=float)


def _midranks(matrix: np.ndarray) -> np.ndarray:
    """Mid-ranks of every column: (n, m)."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(matrix, axis=0), dtype=float)


def _aligned(matrix: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Van Elteren's scores: mid-ranks within the stratum over its size plus one."""
    made = np.empty(matrix.shape)
    for label in np.unique(strata):
        here = strata == label
        made[here] = _midranks(matrix[here]) / (here.sum() + 1)
    return made
