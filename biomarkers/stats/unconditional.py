"""Unconditional exact tests of two proportions: Boschloo and Barnard.

These tests fix the sizes of two groups and let everything else vary, so it matters which margin is the fixed one. Here
rows are the groups unless ``groups="columns"`` says otherwise; scipy takes columns, and gives another p for the same
table. The nuisance parameter (the common rate) is searched over a fine grid, then refined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, IntArray, choice, counts_table
from biomarkers.stats.results import Test

_GRID = 1001
_TIE = 1e-9


def boschloo(table: Any, *, two_sided: str = "fisher", groups: str = "rows") -> Test:
    """Boschloo's test: Fisher's p-value as the statistic of an unconditional test, never less powerful than Fisher's.

    Parameters
    ----------
    table
        2 x 2 counts.
    two_sided
        ``"fisher"`` orders tables by Fisher's two-sided p (as R's ``Exact``); ``"doubled"`` doubles the smaller of two
        one-sided tests (as scipy).
    groups
        Which margin is fixed: ``"rows"`` (groups by marker, the default) or ``"columns"`` (groups by response).

    Returns
    -------
    The statistic is Fisher's p (two-sided, or the smaller one-sided).

    References
    ----------
    Boschloo RD. Stat Neerl 1970;24:1-9.

    Examples
    --------
    >>> round(boschloo([[5, 4], [1, 7]]).p, 3)
    0.089
    >>> round(boschloo([[5, 4], [1, 7]], two_sided="doubled", groups="columns").p, 3)  # what scipy prints
    0.09
    """
    choice(two_sided, ("fisher", "doubled"), name="two-sided definition")
    counts = _oriented(table, groups)
    n1, n2, k1, k2 = _margins(counts)
    if two_sided == "fisher":
        ordering = _fisher_p(n1, n2, "two-sided")
        statistic = float(ordering[k1, k2])
        p = _worst_case(ordering <= statistic * (1 + _TIE), n1, n2)
        method = "Boschloo exact test, two-sided, tables ordered by Fisher's two-sided p"
    else:
        sides = []
        for side in ("greater", "less"):
            ordering = _fisher_p(n1, n2, side)
            seen = float(ordering[k1, k2])
            sides.append((seen, _worst_case(ordering <= seen * (1 + _TIE), n1, n2)))
        statistic, smaller = min(sides, key=lambda side: side[1])
        p = min(2 * smaller, 1.0)
        method = "Boschloo exact test, two-sided, the smaller one-sided p doubled"
    return Test(statistic, p, n1 + n2, f"{method}, {groups} as groups", _empty(counts))


def barnard(table: Any, *, groups: str = "rows") -> Test:
    """Barnard's test with the pooled z statistic, two-sided.

    Parameters
    ----------
    table
        2 x 2 counts.
    groups
        Which margin is fixed: ``"rows"`` (groups by marker, the default) or ``"columns"`` (groups by response).

    Returns
    -------
    The statistic is the pooled z (positive when group 1 responds more).

    References
    ----------
    Barnard GA. Nature 1945;156:177. Suissa S, Shuster JJ. J R Stat Soc A 1985;148:317-327.
    """
    counts = _oriented(table, groups)
    n1, n2, k1, k2 = _margins(counts)
    i, j = np.meshgrid(np.arange(n1 + 1), np.arange(n2 + 1), indexing="ij")
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (i + j) / (n1 + n2)
        z = (i / n1 - j / n2) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    z = np.nan_to_num(z, nan=0.0)
    p = _worst_case(np.abs(z) >= abs(z[k1, k2]) * (1 - _TIE), n1, n2)
    return Test(
        float(z[k1, k2]), p, n1 + n2, f"Barnard exact test, pooled z, two-sided, {groups} as groups", _empty(counts)
    )


def _oriented(table: Any, groups: str) -> IntArray:
    choice(groups, ("rows", "columns"), name="margin")
    counts = counts_table(table, shape=(2, 2))
    return counts if groups == "rows" else counts.T.copy()


def _margins(counts: IntArray) -> tuple[int, int, int, int]:
    from biomarkers.core.errors import DataError

    n1, n2 = int(counts[0].sum()), int(counts[1].sum())
    if n1 == 0 or n2 == 0:
        raise DataError("a group is empty", where="table rows", seen=counts.tolist(), hint="Rows are groups.")
    return n1, n2, int(counts[0, 0]), int(counts[1, 0])


def _empty(counts: IntArray) -> str:
    if (counts.sum(axis=0) == 0).any():
        return "all or none responded: nothing can be tested"
    return ""


def _fisher_p(n1: int, n2: int, side: str) -> Array:
    """Fisher's p of every table with these group sizes, (n1 + 1, n2 + 1)."""
    from scipy.special import gammaln

    out = np.ones((n1 + 1, n2 + 1))
    for total in range(n1 + n2 + 1):
        k1 = np.arange(max(0, total - n2), min(n1, total) + 1)
        logs = -(gammaln(k1 + 1) + gammaln(n1 - k1 + 1) + gammaln(total - k1 + 1) + gammaln(n2 - total + k1 + 1))
        mass = np.exp(logs - logs.max())
        mass /= mass.sum()
        if side == "greater":
            p = np.cumsum(mass[::-1])[::-1]
        elif side == "less":
            p = np.cumsum(mass)
        else:
            order = np.argsort(mass, kind="stable")
            reach = np.searchsorted(mass[order], mass * (1 + 1e-7), side="right")
            p = np.cumsum(mass[order])[reach - 1]
        out[k1, total - k1] = np.minimum(p, 1.0)
    return out


def _worst_case(extreme: np.ndarray[Any, np.dtype[np.bool_]], n1: int, n2: int) -> float:
    """Largest probability of the extreme tables over the common rate."""
    from scipy.optimize import minimize_scalar

    region = extreme.astype(np.float64)

    def probability(rates: Array) -> Array:
        return np.einsum("gi,ij,gj->g", _binomial(n1, rates), region, _binomial(n2, rates), optimize=True)

    rates = np.linspace(0, 1, _GRID)
    values = probability(rates)
    best = float(values.max())
    peaks = np.flatnonzero((values >= np.roll(values, 1)) & (values >= np.roll(values, -1)) & (values > 0.9 * best))
    for peak in peaks[np.argsort(-values[peaks])][:6]:
        low, high = rates[max(peak - 1, 0)], rates[min(peak + 1, _GRID - 1)]
        found = minimize_scalar(
            lambda rate: -float(probability(np.array([rate]))[0]),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-10},
        )
        best = max(best, -float(found.fun))
    return min(best, 1.0)


def _binomial(n: int, rates: Array) -> Array:
    """Binomial probabilities (rates, n + 1)."""
    from scipy.special import gammaln, xlog1py, xlogy

    k = np.arange(n + 1)
    logs = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.exp(logs + xlogy(k, rates[:, None]) + xlog1py(n - k, -rates[:, None]))
