"""Batches: levels within a batch, levels that differ between batches, and batches confounded with a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.keys import NOT_EVALUABLE, OK
from biomarkers.core.result import Overview, Result

_LEAST: Final = 3  # evaluable samples of a batch
_KEY: Final = ["marker", "score"]
WITHIN: Final = "within batch"
_STRONG: Final = 0.5  # Cramer's V


@dataclass(frozen=True, repr=False)
class Confounding(Result):
    """How far batch and group say the same: the table of counts, Cramer's V, the exact p, and a warning or nothing."""

    table: pd.DataFrame
    cramers_v: float
    p: float
    warning: str

    def _overview(self) -> Overview:
        title = f"Batch and group: Cramer's V {self.cramers_v:.2f}, exact p {self.p:.2g}"
        return Overview(title, self.table.reset_index(), (self.warning,) if self.warning else ())


def within_batch(levels: pd.DataFrame, *, batch: str = "batch") -> pd.DataFrame:
    """Return one more row a level: its distance from the median of its batch.

    A batch of fewer than three evaluable samples has no median worth the name: not evaluable. What differs between
    batches for biology is removed together with what differs for the laboratory; tests within strata keep the levels.

    Parameters
    ----------
    levels
        Tidy levels with a column ``batch``.
    batch
        Name of that column.

    Raises
    ------
    UsageError
        There is no such column.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> levels = pd.DataFrame(
    ...     {
    ...         "sample": list("abc"),
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [1.0, 2.0, 4.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...         "batch": "1",
    ...     }
    ... )
    >>> bm.within_batch(levels)["value"].tolist()
    [-1.0, 0.0, 2.0]
    """
    _need(levels, batch)
    made = levels.assign(score=levels["score"] + f" {WITHIN}", unit=levels["unit"] + ", minus the batch's median")
    grouped = levels.groupby([*_KEY, batch], sort=False, observed=True)["value"]
    made["value"] = levels["value"] - grouped.transform("median")
    few = grouped.transform("count") < _LEAST
    unknown = levels[batch].astype(str).isin(["", "nan"])
    fine = levels["status"] == OK
    for bad, reason in (
        (few, f"fewer than {_LEAST} evaluable samples in the batch"),
        (unknown, "the batch is not known"),
    ):
        made.loc[fine & bad, "reason"] = reason
        made.loc[bad, "value"] = np.nan
        made.loc[bad, "status"] = NOT_EVALUABLE
    return made


def batch_summary(levels: pd.DataFrame, *, batch: str = "batch") -> pd.DataFrame:
    """Summarise each level by batch: n, median, quartiles, and whether batches differ (Kruskal-Wallis).

    Raises
    ------
    UsageError
        There is no such column.
    """
    from biomarkers.stats.trend import kruskal

    _need(levels, batch)
    rows = []
    for (marker, score), part in levels[levels["status"] == OK].groupby(_KEY, sort=False):
        several = len(part[batch].unique()) > 1 and np.ptp(part["value"]) > 0
        p = kruskal(part["value"], part[batch].astype(str)).p if several else np.nan
        for label, values in part.groupby(batch, observed=True)["value"]:
            quartiles = values.quantile([0.25, 0.5, 0.75]).tolist()
            rows.append((marker, score, label, len(values), *quartiles, p))
    return pd.DataFrame(rows, columns=[*_KEY, "batch", "n", "quartile_1", "median", "quartile_3", "p_kruskal_wallis"])


def batch_confounding(table: pd.DataFrame, *, batch: str, group: str) -> Confounding:
    """Tell whether a batch and a group (response, arm, site) can be told apart.

    Parameters
    ----------
    table
        One row a sample.
    batch, group
        Columns; rows without either are left out.

    Returns
    -------
    Confounding. It warns when every batch holds one group only, when p < .05 (Freeman-Halton), or when Cramer's V is at
    least 0.5 although the cohort is too small for a small p.

    Raises
    ------
    UsageError
        There is no such column.
    DataError
        No row has both.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"batch": ["1"] * 6 + ["2"] * 6, "response": ["PR"] * 6 + ["PD"] * 6})
    >>> found = bm.batch_confounding(table, batch="batch", group="response")
    >>> round(found.cramers_v, 2), round(found.p, 4)
    (1.0, 0.0022)
    """
    from biomarkers.stats.rxc import fisher_rxc

    for name in (batch, group):
        _need(table, name)
    pair = table[[batch, group]].astype(object)
    pair = pair[pair.notna().all(axis=1) & (pair.astype(str) != "").all(axis=1)].astype(str)
    if pair.empty:
        raise DataError("no sample has both a batch and a group", where=f"{batch}, {group}")
    counts = pd.crosstab(pair[batch], pair[group])
    if min(counts.shape) < 2:
        return Confounding(counts, np.nan, np.nan, "")
    observed = counts.to_numpy(dtype=float)
    n = observed.sum()
    expected = observed.sum(axis=1, keepdims=True) @ observed.sum(axis=0, keepdims=True) / n
    v = float(np.sqrt(((observed - expected) ** 2 / expected).sum() / n / (min(observed.shape) - 1)))
    p = fisher_rxc(counts.to_numpy()).p
    return Confounding(counts, v, p, _warning(counts, v, p, batch, group))


def _warning(counts: pd.DataFrame, v: float, p: float, batch: str, group: str) -> str:
    measured = f"Cramer's V {v:.2f}, p = {p:.2g}"
    if ((counts > 0).sum(axis=1) == 1).all():
        return f"{batch} and {group} are confounded: every {batch} holds one {group} only ({measured})"
    if p < 0.05 or v >= _STRONG:
        return f"{batch} and {group} go together ({measured}): compare within {batch} (relate --strata {batch})"
    return ""


def _need(table: pd.DataFrame, column: str) -> None:
    if column not in table:
        known = [str(name) for name in table.columns]
        raise UsageError("no such column", seen=column, allowed=known, hint=did_you_mean(column, known))
