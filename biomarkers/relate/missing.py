"""Patients whose response is known but not their level: what they could do to the AUC."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from biomarkers.core.words import both_groups
from biomarkers.relate.binary import Row, row
from biomarkers.stats.results import Estimate, Test

_GOES_WITH = 0.05  # having a level goes with response below this p


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


@dataclass(frozen=True)
class Missing:
    """Patients whose response is known, by whether their level is.

    Attributes
    ----------
    known, missing
        Responders and others with and without a level.
    test
        Exact test (within strata, if any) whether having a level goes with response; None where nothing is missing.
    low, high
        Least and largest AUC whatever the missing levels were.
    """

    known: tuple[int, int]
    missing: tuple[int, int]
    test: Test | None
    low: float
    high: float

    @classmethod
    def of(cls, level: np.ndarray, responder: np.ndarray, strata: np.ndarray | None) -> Missing:
        """Count them; (n,) levels with NaN, bool, labels or None."""
        here = ~np.isnan(level)
        known = int((here & responder).sum()), int((here & ~responder).sum())
        missing = int((~here & responder).sum()), int((~here & ~responder).sum())
        low, high = math.nan, math.nan
        if min(known) > 0:
            low, high = _bounds(level, here, responder, strata)
        return cls(known, missing, _goes_with(here, responder, strata), low, high)

    @property
    def p(self) -> float:
        """P-value of the test; NaN without one."""
        return math.nan if self.test is None else self.test.p

    @property
    def goes_with_response(self) -> bool:
        """Whether having a level goes with response, at 5%."""
        return self.p <= _GOES_WITH

    def warning(self) -> str:
        """Say what nothing can repair, the bounds first."""
        (n1, n2), (m1, m2) = self.known, self.missing
        bounds = "" if math.isnan(self.low) else f"whatever the missing levels were, the AUC lies in {_span(self)}; "
        return (
            f"{bounds}having a level goes with response ({n1} of {n1 + m1} responders, {n2} of {n2 + m2} others; "
            f"p {self.p:.2g}): if it goes with the level too, no adjustment can repair this"
        )

    def doubts(self, *, margin: float) -> list[str]:
        """List what speaks against independence: levels that are missing by response and could leave the margin."""
        if not self.goes_with_response or (self.low > 0.5 - margin and self.high < 0.5 + margin):
            return []
        return ["having a level goes with response"]


def _span(missing: Missing) -> str:
    return f"{missing.low:.2f} to {missing.high:.2f}"


def _bounds(
    level: np.ndarray, here: np.ndarray, responder: np.ndarray, strata: np.ndarray | None
) -> tuple[float, float]:
    """Bounds of the AUC; with strata those of the pooled one, its weights those of all patients with a response."""
    from biomarkers.stats.roc import auc

    spans, weights = [], []
    for block in [np.ones(len(level), dtype=bool)] if strata is None else [strata == s for s in np.unique(strata)]:
        yes, no = level[block & here & responder], level[block & here & ~responder]
        lost = int((block & ~here & responder).sum()), int((block & ~here & ~responder).sum())
        n1, n2 = len(yes) + lost[0], len(no) + lost[1]
        if not n1 or not n2:
            continue
        theta = auc(yes, no) if len(yes) and len(no) else 0.5
        spans.append(auc_bounds(theta, known=(len(yes), len(no)), missing=lost))
        weights.append(n1 * n2 / (n1 + n2 + 1))
    if not weights:
        return math.nan, math.nan
    share = np.array(weights) / sum(weights)
    low, high = share @ np.array(spans)
    return float(low), float(high)


def _goes_with(here: np.ndarray, responder: np.ndarray, strata: np.ndarray | None) -> Test | None:
    from biomarkers.stats.tables import fisher, fisher_stratified

    tables = []
    for block in [np.ones(len(here), dtype=bool)] if strata is None else [strata == s for s in np.unique(strata)]:
        cells = [[int((block & a & b).sum()) for b in (responder, ~responder)] for a in (here, ~here)]
        table = np.array(cells)
        if (table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all():
            tables.append(table)
    if not tables:
        return None
    return fisher(tables[0]) if len(tables) == 1 else fisher_stratified(tables)


def missing_rows(biomarker: str, endpoint: str, theta: float, missing: Missing) -> list[Row]:
    """State the bounds, and whether having a level goes with response."""
    if not sum(missing.missing):
        return []
    n = sum(missing.known) + sum(missing.missing)
    note = f"{both_groups(*missing.missing)} have no level; the limits are no confidence interval"
    low, high = np.fmin(missing.low, theta), np.fmax(missing.high, theta)
    bounds = Estimate(theta, low, high, 1 - 1e-9, n, "bounds")
    rows = [row(biomarker, endpoint, "worst and best case of the missing levels", "auc_bounds", bounds, n=n, note=note)]
    if missing.test is not None:
        words = "does having a level go with response? Fisher exact"
        rows.append(row(biomarker, endpoint, words, "odds_ratio", missing.test, n=n))
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
