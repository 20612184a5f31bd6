"""Patients whose response is known but not their level: what they could do to the AUC."""

from __future__ import annotations

import math

import numpy as np

from biomarkers.relate.binary import Row, row
from biomarkers.stats.results import Estimate
from biomarkers.words import both_groups


def auc_bounds(theta: float, *, known: tuple[int, int], missing: tuple[int, int]) -> tuple[float, float]:
    """Least and largest AUC whatever the missing levels were.

    Parameters
    ----------
    theta
        AUC of the known levels.
    known, missing
        Responders and others with and without a level.

    Returns
    -------
    The AUC when every missing responder stands below and every missing other above all known levels, and the reverse.

    Examples
    --------
    >>> auc_bounds(0.5, known=(10, 10), missing=(0, 0))
    (0.5, 0.5)
    """
    (n1, n2), (m1, m2) = known, missing
    pairs = (n1 + m1) * (n2 + m2)
    low = theta * n1 * n2 / pairs
    return low, low + 1 - n1 * n2 / pairs


def missing_rows(
    biomarker: str, endpoint: str, theta: float, *, known: tuple[int, int], missing: tuple[int, int]
) -> list[Row]:
    """State the bounds, and whether having a level goes with response."""
    from biomarkers.stats.tables import fisher

    if not sum(missing):
        return []
    low, high = auc_bounds(theta, known=known, missing=missing)
    n = sum(known) + sum(missing)
    note = f"{both_groups(*missing)} have no level; the limits are no confidence interval"
    bounds = Estimate(theta, min(low, theta), max(high, theta), 1 - 1e-9, n, "bounds")
    rows = [row(biomarker, endpoint, "worst and best case of the missing levels", "auc_bounds", bounds, n=n, note=note)]
    table = np.array([known, missing])
    if (table.sum(axis=0) > 0).all():
        test = fisher(table)
        words = "does having a level go with response? Fisher exact"
        rows.append(row(biomarker, endpoint, words, "odds_ratio", test, n=n))
    return rows


def tipping_point(yes: np.ndarray, no: np.ndarray, *, missing: tuple[int, int], conclude: object) -> float:
    """Least shift of the missing levels that changes a conclusion.

    Missing responders are put at the quantile 1/2 + q of all known levels and missing others at 1/2 - q, q rising
    from 0 to 1/2 in steps of .01, and then the other way round.

    Parameters
    ----------
    yes, no
        Known levels of responders and others.
    missing
        Responders and others without a level.
    conclude
        ``conclude(yes, no) -> str``.

    Returns
    -------
    The signed q of the smallest change (negative: missing responders lower), NaN when no shift changes it.
    """
    pooled = np.concatenate([yes, no])
    assert callable(conclude)
    base = conclude(yes, no)
    for step in range(51):
        for sign in (1, -1) if step else (1,):
            q = sign * step / 100
            high, low = np.quantile(pooled, [0.5 + q, 0.5 - q], method="inverted_cdf")
            if conclude(np.append(yes, [high] * missing[0]), np.append(no, [low] * missing[1])) != base:
                return q
    return math.nan
