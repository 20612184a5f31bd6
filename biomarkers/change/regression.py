"""Regression to the mean: what patients chosen by a baseline cut-off would change by although nothing happened."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.change.pairs import BIOMARKER
from biomarkers.change.result import Change
from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.stats.reliability import check_reliability

_LEAST = 3  # pairs in a group below which no interval is given


def regression_to_the_mean(
    change: Change, level: str, *, cut: float, reliability: float, confidence: float = 0.95
) -> pd.DataFrame:
    """Compare the change of patients above and below a baseline cut-off with that from measurement error alone.

    A patient far from the mean at baseline lies there by error in part, and the next measurement is expected nearer to
    it by (1 - reliability) times the distance, though nothing happened. With normal levels this is exact; otherwise it
    is the linear approximation.

    Parameters
    ----------
    change
        The result of :func:`biomarkers.measure_change`.
    level
        One of its biomarkers.
    cut
        Cut-off of the baseline level, in its unit; at or above it is positive.
    reliability
        Of one measurement, on the scale of change, between patients: above 0, at most 1.
    confidence
        Level of the t interval.

    Returns
    -------
    One row a group (``at or above``, ``below``, ``all``), on the scale of change: ``n, mean_change``, ``expected`` from
    regression to the mean, ``beyond`` (the difference) with ``beyond_low, beyond_high``, and ``note``.

    Raises
    ------
    UsageError
        There is no such level, or the reliability is out of range.

    References
    ----------
    Davis CE. Am J Epidemiol 1976;104:493-498. Barnett AG, et al. Int J Epidemiol 2005;34:215-220.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> names, visits = [f"P{i}" for i in range(20)], ["baseline"] * 20 + ["on_treatment"] * 20
    >>> level = np.random.default_rng(0).normal(5, 1, 40)
    >>> table = pd.DataFrame({"patient": names * 2, "timepoint": visits, "x": level})
    >>> change = bm.measure_change(table, levels=["x"], scale="log2")
    >>> len(bm.regression_to_the_mean(change, "x", cut=5.0, reliability=0.7)) > 0
    True
    """
    from scipy.special import stdtrit

    check_reliability(reliability)
    names = list(dict.fromkeys(change.pairs[BIOMARKER]))
    if level not in names:
        raise UsageError("no such level", seen=level, allowed=names, hint=did_you_mean(level, names))
    pairs = change.pairs[(change.pairs[BIOMARKER] == level) & change.pairs["change"].notna()]
    start = pairs["baseline_scaled"].to_numpy(dtype=float)
    moved = pairs["change"].to_numpy(dtype=float)
    expected = -(1 - reliability) * (start - start.mean()) if start.size else start
    above = pairs["baseline"].to_numpy(dtype=float) >= cut
    rows: list[dict[str, Any]] = []
    for group, here in (("at or above", above), ("below", ~above), ("all", np.ones(start.size, dtype=bool))):
        n = int(here.sum())
        row: dict[str, Any] = {"group": group, "n": n, **dict.fromkeys(_COLUMNS, math.nan), "note": ""}
        if n:
            beyond = moved[here] - expected[here]
            row |= {"mean_change": moved[here].mean(), "expected": expected[here].mean(), "beyond": beyond.mean()}
        if n >= _LEAST:
            half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * beyond.std(ddof=1) / math.sqrt(n)
            row |= {"beyond_low": row["beyond"] - half, "beyond_high": row["beyond"] + half}
        else:
            row["note"] = f"{n} pairs: no interval"
        rows.append(row)
    return pd.DataFrame(rows)


_COLUMNS = ("mean_change", "expected", "beyond", "beyond_low", "beyond_high")
