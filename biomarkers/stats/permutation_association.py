"""Permutation tests of a level against an ordered, unordered, continuous or censored outcome."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.stats._checks import IntArray, labels, same_length, sample
from biomarkers.stats.association import hsic, kernels_centred
from biomarkers.stats.linear import midranks
from biomarkers.stats.permutation import DEFAULT_PERMUTATIONS, Rng
from biomarkers.stats.results import Test, undefined_test

_CHUNK = 2048
_FEW = 150  # patients up to which distance matrices are as fast (the same p either way, held by a test)
_TIE = 1e-9


def jonckheere_permutation(
    level: Any, category: Any, *, n_permutations: int = DEFAULT_PERMUTATIONS, rng: Rng = 0, progress: bool = False
) -> Test:
    """Jonckheere's trend test by permutation, two-sided about the statistic's mean; ties count half.

    Parameters
    ----------
    level, category
        (n,) levels and ordered categories as numbers.
    n_permutations, rng
        Number of permutations, generator or seed.
    progress
        Show a progress bar on standard error.

    References
    ----------
    Jonckheere AR. Biometrika 1954;41:133-145.
    """
    x, y, n = _pair(level, category)
    method = f"Jonckheere permutation test, two-sided, B = {n_permutations:,}"
    if _flat(x, y):
        return undefined_test(n=n, method=method, note="all levels or all categories equal")
    kinds, codes = np.unique(y, return_inverse=True)
    ends = np.append(np.diff(x) > 0, True).astype(np.uint8)  # x is sorted: where a run of equal levels ends

    def trend(permuted: np.ndarray) -> np.ndarray:
        from biomarkers.stats.kernels import ordered_pairs

        total = np.empty(len(permuted), dtype=np.int64)
        ordered_pairs(np.ascontiguousarray(permuted, dtype=np.int64), ends, len(kinds), total)
        return total

    observed = int(trend(codes[None, :])[0])
    shuffles = _shuffled(codes, n_permutations, rng, progress="trend" if progress else "")
    hits = sum(int((np.abs(trend(p)) >= abs(observed)).sum()) for p in shuffles)
    sizes = np.bincount(codes)
    pairs = (n * n - (sizes**2).sum()) / 2
    return Test((observed + pairs) / 2, (hits + 1) / (n_permutations + 1), n, method)


def kruskal_permutation(
    level: Any, category: Any, *, n_permutations: int = DEFAULT_PERMUTATIONS, rng: Rng = 0, progress: bool = False
) -> Test:
    """Kruskal-Wallis test by permutation; the statistic is H, corrected for ties."""
    x, y, n = _pair(level, category)
    method = f"Kruskal-Wallis permutation test, B = {n_permutations:,}"
    if _flat(x, y):
        return undefined_test(n=n, method=method, note="all levels or all categories equal")
    ranks = midranks(x)
    kinds, codes = np.unique(y, return_inverse=True)
    sizes = np.bincount(codes)
    scale = (n - 1) / ((ranks - ranks.mean()) ** 2).sum()

    def h(permuted: np.ndarray) -> np.ndarray:
        sums = np.stack([(permuted == kind) @ ranks for kind in range(len(kinds))], axis=1)
        spread: np.ndarray = scale * ((sums**2 / sizes).sum(axis=1) - n * ranks.mean() ** 2)
        return spread

    observed = float(h(codes[None, :])[0])
    shuffles = _shuffled(codes, n_permutations, rng, progress="categories" if progress else "")
    hits = sum(int((h(p) >= observed - _TIE).sum()) for p in shuffles)
    return Test(observed, (hits + 1) / (n_permutations + 1), n, method)


def association_permutation(
    one: Any,
    two: Any,
    *,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: Rng = 0,
    strata: Any = None,
    method: str = "linear association",
    progress: bool = False,
) -> Test:
    """Permutation test of the sum of products of two scores, two-sided about its mean; the statistic is z.

    With mid-ranks on both sides this is Spearman's test; with mid-ranks and log-rank scores, a rank test of survival.
    With strata both scores are centred, and patients change places, within a stratum.

    Parameters
    ----------
    one, two
        Scores a patient, (n,).
    n_permutations, rng
        Number of permutations, generator or seed.
    strata
        Labels a patient, (n,), or None.
    method
        Name of the test.
    progress
        Show a progress bar on standard error.
    """
    x, y, block = _blocks(one, two, strata)
    n, where = x.size, "" if strata is None else " within strata"
    method = f"{method}, permutation test{where}, two-sided, B = {n_permutations:,}"
    variance = 0.0
    for code in range(int(block.max(initial=-1)) + 1):
        here = block == code
        x[here] -= x[here].mean()
        y[here] -= y[here].mean()
        variance += float((x[here] ** 2).sum() * (y[here] ** 2).sum() / max(int(here.sum()) - 1, 1))
    if variance <= 1e-14 * max(1.0, float(x @ x) * float(y @ y)):
        return undefined_test(n=n, method=method, note=f"one side is constant{where}")
    scale = np.sqrt(variance)
    observed = float(x @ y / scale)
    chunks = _shuffled(
        y, n_permutations, rng, block=None if strata is None else block, progress="association" if progress else ""
    )
    hits = sum(int((np.abs(p @ x / scale) >= abs(observed) - _TIE).sum()) for p in chunks)
    return Test(observed, (hits + 1) / (n_permutations + 1), n, method)


def distance_covariance_permutation(
    one: Any, two: Any, *, n_permutations: int = 9_999, rng: Rng = 0, strata: Any = None, progress: bool = False
) -> Test:
    """Test of any dependence at all by the distance covariance; the statistic is n V2.

    With strata patients change places within a stratum only; scores should then be those within strata.

    References
    ----------
    Szekely GJ, Rizzo ML, Bakirov NK. Ann Stat 2007;35:2769-2794.
    """
    x, y, block = _blocks(one, two, strata)
    n, where = x.size, "" if strata is None else " within strata"
    method = f"distance covariance, permutation test{where}, B = {n_permutations:,}"
    if _flat(x, y):
        return undefined_test(n=n, method=method, note="one side is constant")
    within = None if strata is None else block
    if n > _FEW:
        value, p = _distance_covariance_sorted(x, y, block, n_permutations, rng, within=within, progress=progress)
        return Test(value, p, n, method)
    a, b = _centred(x), _centred(y)
    observed = float((a * b).sum())
    # each side sorted on its own: the relabellings then depend on the two sets of values alone
    a, b = a[np.ix_(order := np.lexsort((x, block)), order)], b[np.ix_(order := np.lexsort((y, block)), order)]
    p = _products_p(a, b, observed, n_permutations, rng, block=within)
    return Test(observed / n, p, n, method)


def _distance_covariance_sorted(
    x: np.ndarray, y: np.ndarray, block: IntArray, n_permutations: int, rng: Rng, *, within: IntArray | None,
    progress: bool,
) -> tuple[float, float]:  # fmt: skip
    """Return n V2 and its p without distance matrices: n log n steps a permutation instead of n squared.

    sum a_ij b_ij of the centred distances is sum |x_i - x_j| |y_i - y_j| - 2/n sum a_i b_i + a b / n^2 with the row
    sums of the distances; only the first two change when patients change places (Huo and Szekely 2016).
    """
    from biomarkers.stats.kernels import distance_products

    n = x.size
    rows_x, rows_y = _distance_sums(x), _distance_sums(y)
    constant = float(rows_x.sum()) * float(rows_y.sum()) / n**2
    by_x = np.argsort(x, kind="stable")
    x_sorted, rows_sorted = np.ascontiguousarray(x[by_x]), np.ascontiguousarray(rows_x[by_x])
    values, ranks = np.unique(y, return_inverse=True)
    ranks = ranks.reshape(-1).astype(np.int64)

    def statistic(orders: np.ndarray) -> np.ndarray:
        drawn, sums = np.ascontiguousarray(orders[:, by_x]), np.empty(len(orders))
        distance_products(x_sorted, rows_sorted, values, ranks, rows_y, drawn, sums)
        found: np.ndarray = sums + constant
        return found

    observed = float(statistic(np.arange(n, dtype=np.int64)[None, :])[0])
    # patients of one stratum stand together, by level; who gets whose outcome is drawn over the outcomes by rank
    places = np.lexsort((y, block))
    where = np.arange(n, dtype=np.int64)
    shuffles = _shuffled(where, n_permutations, rng, block=within, progress="any dependence" if progress else "")
    reach = observed - _TIE * max(1.0, abs(observed))
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        parts = (part for orders in shuffles for part in np.array_split(places[orders], threads))
        hits = sum(pool.map(lambda part: int((statistic(part) >= reach).sum()), parts))
    return observed / n, (hits + 1) / (n_permutations + 1)


def _distance_sums(values: np.ndarray) -> np.ndarray:
    """Sum of the distances of each value from all, (n,)."""
    order = np.argsort(values, kind="stable")
    v = values[order]
    below = np.concatenate([[0.0], np.cumsum(v)[:-1]])
    at = np.arange(v.size)
    found = np.empty(v.size)
    found[order] = v * at - below + (v.sum() - below - v) - v * (v.size - 1 - at)
    return found


def hsic_permutation(x: Any, y: Any, *, diagonal: str = "zero", n_permutations: int = 9_999, rng: Rng = 0) -> Test:
    """Test of any dependence at all by the Hilbert-Schmidt criterion; statistic and options as `association.hsic`."""
    one, two, n = _pair(x, y)
    method = f"Hilbert-Schmidt independence criterion, permutation test, B = {n_permutations:,}"
    if _flat(one, two):
        return undefined_test(n=n, method=method, note="one side is constant")
    value = hsic(one, two, diagonal=diagonal)
    a, b = kernels_centred(one, two)
    return Test(value, _products_p(a, b, float((a * b).sum()), n_permutations, rng), n, method)


def _products_p(
    a: np.ndarray, b: np.ndarray, observed: float, n_permutations: int, rng: Rng, *, block: IntArray | None = None
) -> float:
    """One-sided p of the sum of products of two matrices when the patients of the second change places."""
    from biomarkers.stats.kernels import permuted_products

    hits, numbers = 0, np.arange(len(a), dtype=np.int32)
    for orders in _shuffled(numbers, n_permutations, rng, block=block):
        sums = np.empty(len(orders))
        permuted_products(np.ascontiguousarray(a), np.ascontiguousarray(b), orders, sums)
        hits += int((sums >= observed - _TIE * max(1.0, abs(observed))).sum())
    return (hits + 1) / (n_permutations + 1)


def _pair(one: Any, two: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Return both columns, patients by level and then by outcome: the shuffles then depend on the content alone."""
    x, y = sample(one, name="level"), sample(two, name="outcome")
    same_length(x, y, names=("level", "outcome"))
    order = np.lexsort((y, x))
    return x[order], y[order], x.size


def _blocks(one: Any, two: Any, strata: Any) -> tuple[np.ndarray, np.ndarray, IntArray]:
    """Return both columns and the stratum numbers, patients by stratum, then by level, then by outcome."""
    x, y = sample(one, name="level"), sample(two, name="outcome")
    block: IntArray = np.zeros(x.size, dtype=np.int64) if strata is None else labels(strata)
    same_length(x, y, block, names=("level", "outcome", "strata"))
    order = np.lexsort((y, x, block))
    return x[order], y[order], block[order]


def _flat(x: np.ndarray, y: np.ndarray) -> bool:
    return bool(np.ptp(x) == 0 or np.ptp(y) == 0)


def _shuffled(
    values: np.ndarray, n_permutations: int, rng: Rng, *, block: IntArray | None = None, progress: str = ""
) -> Iterator[np.ndarray]:
    """Yield chunks of permuted rows, (B, n); with ``block`` (sorted stratum numbers) within strata only."""
    from tqdm import tqdm

    if n_permutations < 1:
        raise UsageError("the number of permutations is below 1", seen=n_permutations)
    generator = np.random.default_rng(rng)
    edges = [0, len(values)] if block is None else [*np.flatnonzero(np.diff(block, prepend=-1)), len(values)]
    parts = [np.sort(values[low:high]) for low, high in itertools.pairwise(edges)]
    most = _CHUNK if len(values) <= _CHUNK else max(64, _CHUNK * _CHUNK // len(values))  # memory stays flat
    with tqdm(total=n_permutations, desc=f"permutations, {progress}", disable=not progress, leave=False) as bar:
        for start in range(0, n_permutations, most):
            rows = min(most, n_permutations - start)
            shuffled = [generator.permuted(np.repeat(part[None, :], rows, axis=0), axis=1) for part in parts]
            yield shuffled[0] if len(shuffled) == 1 else np.concatenate(shuffled, axis=1)
            bar.update(rows)


def _centred(values: np.ndarray) -> np.ndarray:
    distance = np.abs(values[:, None] - values[None, :])
    centred: np.ndarray = distance - distance.mean(axis=0) - distance.mean(axis=1)[:, None] + distance.mean()
    return centred
