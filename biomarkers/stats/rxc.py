"""r x c tables: the Freeman-Halton extension of Fisher's test, by enumeration.

Columns are filled one after the other; tables that agree in what is left to fill and in probability so far are carried
together, so the exact p comes without visiting every table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.stats._checks import Array, IntArray, choice, counts_table
from biomarkers.stats.exact import TooLargeError
from biomarkers.stats.results import Test, undefined_test

_RELATIVE_TIE = 1e-7
_QUICK = 1_000_000  # partial tables "auto" carries at once: a few seconds
_MOST = 20_000_000  # and method="exact": a minute, some gigabytes


def fisher_rxc(
    table: Any, *, method: str = "auto", n_resamples: int = 99_999, rng: int | np.random.Generator = 0
) -> Test:
    """Fisher-Freeman-Halton exact test of an r x c table, two-sided.

    Parameters
    ----------
    table
        r x c counts; empty rows and columns are left out.
    method
        ``"exact"``, ``"monte-carlo"`` (random tables with these margins, p = (b + 1) / (B + 1)), or ``"auto"``: exact
        unless too large, which the method's name says.
    n_resamples, rng
        Size and seed of the Monte Carlo.

    Returns
    -------
    The statistic is the probability of the observed table.

    References
    ----------
    Freeman GH, Halton JH. Biometrika 1951;38:141-149. Mehta CR, Patel NR. J Am Stat Assoc 1983;78:427-434.
    """
    choice(method, ("auto", "exact", "monte-carlo"), name="method")
    counts = counts_table(table)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    n = int(counts.sum())
    if min(counts.shape) < 2:
        return undefined_test(n=n, method="Fisher-Freeman-Halton test", note="one row or column only: nothing to test")
    if counts.shape[0] > counts.shape[1]:
        counts = counts.T
    if method != "monte-carlo":
        try:
            return Test(
                _probability(counts),
                _exact(counts, _QUICK if method == "auto" else _MOST),
                n,
                "Fisher-Freeman-Halton test, exact two-sided",
            )
        except TooLargeError:
            if method == "exact":
                raise
    p = _monte_carlo(counts, n_resamples, np.random.default_rng(rng))
    return Test(_probability(counts), p, n, f"Fisher-Freeman-Halton test, Monte Carlo, {n_resamples} tables")


def _log_factorials(values: np.ndarray) -> Array:
    from scipy.special import gammaln

    return np.asarray(gammaln(np.asarray(values) + 1.0), dtype=np.float64)


def _constant(counts: IntArray) -> float:
    margins = _log_factorials(counts.sum(axis=0)).sum() + _log_factorials(counts.sum(axis=1)).sum()
    return float(margins - _log_factorials(np.array([counts.sum()])).sum())


def _probability(counts: IntArray) -> float:
    return float(np.exp(_constant(counts) - _log_factorials(counts).sum()))


def _exact(counts: IntArray, most: int) -> float:
    """Sum of the probabilities of all tables no more probable than the observed one."""
    rows = counts.sum(axis=1)
    columns = np.sort(counts.sum(axis=0))[::-1]
    # everything below is a log probability: starting from the margins' constant keeps it from over- and underflowing
    constant = _constant(counts)
    limit = constant - float(_log_factorials(counts).sum()) + np.log1p(_RELATIVE_TIE)
    base = np.cumprod(np.append(1, rows[:-1] + 1)).astype(np.int64)
    left, past, weight = rows[None, :], np.array([constant]), np.ones(1)
    for column in columns[:-2]:
        left, past, weight = _fill(left, past, weight, int(column), base, most)
    total = 0.0
    order = np.lexsort(left.T)
    left, past, weight = left[order], past[order], weight[order]
    starts = np.flatnonzero(np.append(True, (np.diff(left, axis=0) != 0).any(axis=1)))
    for start, stop in zip(starts, np.append(starts[1:], len(left)), strict=True):
        pick = _columns(left[start], int(columns[-2]))
        rest = np.sort(-(_log_factorials(pick) + _log_factorials(left[start] - pick)).sum(axis=1))
        mass = np.append(0.0, np.cumsum(np.exp(rest - rest[-1])))
        reach = np.searchsorted(rest, limit - past[start:stop], side="right")
        total += float((weight[start:stop] * np.exp(past[start:stop] + rest[-1]) * mass[reach]).sum())
    return float(min(total, 1.0))


def _fill(
    left: IntArray, past: Array, weight: Array, column: int, base: IntArray, most: int
) -> tuple[IntArray, Array, Array]:
    """Fill one column in every way and merge partial tables that agree."""
    keys, logs, weights = [], [], []
    held = 0
    order = np.lexsort(left.T)
    left, past, weight = left[order], past[order], weight[order]
    starts = np.flatnonzero(np.append(True, (np.diff(left, axis=0) != 0).any(axis=1)))
    for start, stop in zip(starts, np.append(starts[1:], len(left)), strict=True):
        pick = _columns(left[start], column)
        key = (left[start] - pick) @ base
        step = -_log_factorials(pick).sum(axis=1)
        keys.append(np.repeat(key, stop - start))
        logs.append((step[:, None] + past[None, start:stop]).ravel())
        weights.append(np.tile(weight[start:stop], key.size))
        held += keys[-1].size
        if held > most:
            raise TooLargeError("the table has too many possible fillings for an exact test", seen=held)
    key, log, mass = np.concatenate(keys), np.concatenate(logs), np.concatenate(weights)
    order = np.lexsort((log, key))
    key, log, mass = key[order], log[order], mass[order]
    fresh = np.append(True, (np.diff(key) != 0) | (np.diff(log) > 1e-10))
    first = np.flatnonzero(fresh)
    unpacked = np.empty((first.size, base.size), dtype=np.int64)
    rest = key[first]
    for i in range(base.size - 1, -1, -1):
        unpacked[:, i], rest = rest // base[i], rest % base[i]
    return unpacked, log[first], np.add.reduceat(mass, first)


def _columns(left: IntArray, total: int) -> IntArray:
    """All columns with this total that fit into what is left of the rows, (k, rows)."""
    found = np.zeros((1, 0), dtype=np.int64)
    used = np.zeros(1, dtype=np.int64)
    for i, room in enumerate(left):
        after = int(left[i + 1 :].sum())
        grown = np.arange(int(room) + 1)
        sums = used[:, None] + grown[None, :]
        which, value = np.nonzero((sums <= total) & (sums + after >= total))
        found = np.column_stack([found[which], grown[value]])
        used = sums[which, value]
        if found.shape[0] > _MOST:
            raise TooLargeError("the table has too many possible fillings for an exact test", seen=found.shape[0])
    return found


def _monte_carlo(counts: IntArray, n_resamples: int, rng: np.random.Generator) -> float:
    from scipy.stats import random_table

    if n_resamples < 99:
        raise UsageError("too few resamples", where="n_resamples", seen=n_resamples, allowed="99 or more")
    limit = float(_log_factorials(counts).sum()) - _RELATIVE_TIE
    table = random_table(counts.sum(axis=1), counts.sum(axis=0))
    hits, done = 0, 0
    while done < n_resamples:
        size = min(5000, n_resamples - done)
        drawn = table.rvs(size=size, random_state=rng)
        hits += int((_log_factorials(drawn).sum(axis=(1, 2)) >= limit).sum())
        done += size
    return (hits + 1) / (n_resamples + 1)
