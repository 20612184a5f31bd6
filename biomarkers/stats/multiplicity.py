"""Several tests at once: adjusted p-values."""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, choice, sample

METHODS = ("holm", "hochberg", "bonferroni", "bh", "by")


def adjust(p_values: Any, *, method: str = "holm", family: int | None = None) -> Array:
    """Adjust p-values for their number, in the order given, as R's ``p.adjust`` does.

    Parameters
    ----------
    p_values
        p-values in (0, 1], (k,). NaN (a test that was undefined) stays NaN and does not count.
    method
        ``"holm"``, ``"hochberg"``, ``"bonferroni"`` (family-wise), ``"bh"``, ``"by"`` (false discovery rate).
    family
        Tests in the declared family when some of them are not in ``p_values``.

    Raises
    ------
    DataError
        When a p-value is no probability, or the family is smaller than the tests given.

    References
    ----------
    Holm S. Scand J Stat 1979;6:65-70. Hochberg Y. Biometrika 1988;75:800-802. Benjamini Y, Hochberg Y. J R Stat Soc B
    1995;57:289-300. Benjamini Y, Yekutieli D. Ann Stat 2001;29:1165-1188.
    """
    choice(method, METHODS, name="method")
    raw = np.array(p_values, dtype=np.float64)
    out = np.full(raw.shape, np.nan)
    if raw.ndim != 1:
        raise DataError("p-values are not one-dimensional", where="p_values", seen=raw.shape, allowed="(k,)")
    defined = np.flatnonzero(~np.isnan(raw))
    if defined.size == 0:
        return out
    p = sample(raw[defined], name="p_values")
    if (p < 0).any() or (p > 1).any():
        raise DataError("a p-value is no probability", where="p_values", seen=float(p[(p < 0) | (p > 1)][0]))
    m = defined.size if family is None else int(family)
    if m < defined.size:
        raise DataError(
            "the family is smaller than the tests given", where="family", seen=m, allowed=f">= {defined.size}"
        )
    order = np.argsort(p, kind="stable")
    rank = np.arange(1, p.size + 1)
    if method == "bonferroni":
        steps = m * p[order]
    elif method == "holm":
        steps = np.maximum.accumulate((m - rank + 1) * p[order])
    else:
        factor = {"hochberg": m - rank + 1.0, "bh": m / rank, "by": m / rank * (1 / np.arange(1, m + 1)).sum()}[method]
        steps = np.minimum.accumulate((factor * p[order])[::-1])[::-1]
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(steps, 1.0)
    out[defined] = adjusted
    return out


def intersection_union(p_values: Any) -> float:
    """P of "all of these hold": the largest one (each claim is tested at alpha, no adjustment is due).

    References
    ----------
    Berger RL. Technometrics 1982;24:295-300.
    """
    return float(sample(p_values, name="p_values").max())
