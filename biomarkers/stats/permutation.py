"""Permutation tests: patients change places between groups (within strata), and everything else stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats._checks import binary, choice, labels, same_length, sample
from biomarkers.stats.results import Test, undefined_test

STATISTICS = ("studentised", "rank-sum", "energy")
DEFAULT_PERMUTATIONS = 99_999
_CHUNK = 4096
_BYTES = 2**26  # of labels held at a time where each marker has its own
_TIE = 1e-9  # statistics this close to the observed one count as equal to it

Rng = np.random.Generator | int


@dataclass(frozen=True, slots=True, eq=False)
class JointPermutation:
    """Several markers under the same relabellings, (m,) each.

    ``studentised`` and ``energy`` are the observed statistics, ``p`` and ``p_energy`` their two-sided permutation
    p-values, ``p_adjusted`` the step-down max-T p-values over all testable markers. A marker that cannot be tested
    (fewer than two in a group, constant) is NaN throughout.
    """

    studentised: np.ndarray
    p: np.ndarray
    p_adjusted: np.ndarray
    energy: np.ndarray
    p_energy: np.ndarray
    n_permutations: int


def permutation_test(
    x: Any,
    y: Any,
    *,
    statistic: str = "studentised",
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: Rng = 0,
) -> Test:
    """Two-sided two-sample permutation test, p = (b + 1) / (B + 1).

    Parameters
    ----------
    x, y
        Levels of the two groups.
    statistic
        ``"studentised"`` (Brunner-Munzel; valid where spreads differ), ``"rank-sum"``, or ``"energy"`` (any difference
        of the two distributions, on mid-ranks).
    n_permutations
        B, the number of random relabellings.
    rng
        Generator or seed.

    Returns
    -------
    The statistic of the observed labelling and its p-value.

    References
    ----------
    Neubert K, Brunner E. Comput Stat Data Anal 2007;51:5192-5204. Phipson B, Smyth GK. Stat Appl Genet 2010;9:39.
    """
    choice(statistic, STATISTICS, name="statistic")
    one, two = sample(x, name="x"), sample(y, name="y")
    group = np.repeat([True, False], [one.size, two.size])
    values = np.concatenate([one, two])
    method = f"{statistic} permutation test, two-sided, B = {n_permutations:,}"
    if statistic == "rank-sum":
        from scipy.stats import rankdata

        return linear_permutation(rankdata(values), group, n_permutations=n_permutations, rng=rng, method=method)
    found = joint_permutation(values[:, None], group, n_permutations=n_permutations, rng=rng)
    value, p = (found.studentised, found.p) if statistic == "studentised" else (found.energy, found.p_energy)
    if np.isnan(p[0]):
        return undefined_test(n=values.size, method=method, note="fewer than two in a group, or all levels equal")
    return Test(value[0], p[0], values.size, method)


def joint_permutation(
    levels: Any,
    group: Any,
    *,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: Rng = 0,
    strata: Any = None,
    progress: bool = False,
) -> JointPermutation:
    """Test every column of ``levels`` between two groups under the same relabellings of patients.

    A patient without any level takes no part. Where markers were measured in different patients, each marker's labels
    change places among its own patients, with as many of the first group as were seen there, and one random order of
    all patients decides them for every marker (:func:`coupled_relabellings`).

    Parameters
    ----------
    levels
        (n, m) levels, NaN where a patient has none.
    group
        (n,) bool, the first group.
    n_permutations
        B.
    rng
        Generator or seed.
    strata
        (n,) labels; patients change places only within a stratum.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    JointPermutation

    Raises
    ------
    UsageError
        B is below 1.
    """
    matrix = np.asarray(levels, dtype=float)
    first = binary(group, name="group")
    if matrix.ndim != 2 or len(matrix) != len(first):
        raise DataError("levels must be patients x markers", seen=matrix.shape, allowed=f"({len(first)}, m)")
    blocks = None if strata is None else labels(strata)
    rows, columns = canonical_order(matrix, first, blocks)
    rows = rows[~np.isnan(matrix[rows]).all(axis=1)]
    matrix, first, blocks = matrix[rows][:, columns], first[rows], None if blocks is None else blocks[rows]
    prepared = prepare(matrix)
    seen = _run(prepared, first[None, :].astype(np.uint8))
    gaps = np.isnan(matrix)
    varies = np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in matrix.T])
    tally = _Tally(seen, varies=varies)
    draws = (
        coupled_relabellings(~gaps, first, n_permutations=n_permutations, rng=rng, strata=blocks)
        if gaps.any()
        else relabellings(first, n_permutations=n_permutations, rng=rng, strata=blocks)
    )
    steps = _with_progress(draws, n_permutations, wanted=progress)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for studentised, energy in threads.map(lambda chunk: _run(prepared, chunk), _pieces(steps)):
            tally.add(studentised, energy)
    return tally.result(n_permutations, columns=columns)


def linear_permutation(
    scores: Any,
    group: Any,
    *,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: Rng = 0,
    strata: Any = None,
    method: str = "linear permutation test",
) -> Test:
    """Permutation test of the sum of scores in the first group, two-sided about its mean.

    Scores decide what is tested: ranks (Wilcoxon), normal scores, log-rank scores, responses 0/1.

    Parameters
    ----------
    scores
        (n,) scores.
    group
        (n,) bool.
    n_permutations, rng, strata
        As for :func:`joint_permutation`.
    method
        What the result is called.

    Returns
    -------
    The statistic is the sum, standardised by its permutation mean and variance.
    """
    values = sample(scores, name="scores")
    first = binary(group, name="group")
    same_length(values, first, names=("scores", "group"))
    if first.all() or not first.any() or np.ptp(values) == 0:
        return undefined_test(n=values.size, method=method, note="one group only, or all scores equal")
    blocks = None if strata is None else labels(strata)
    mean, variance = linear_moments(values[:, None], first, blocks)
    if variance[0] <= 0:
        return undefined_test(n=values.size, method=method, note="no stratum holds both groups and different scores")
    observed = abs((values[first].sum() - mean[0]) / np.sqrt(variance[0]))
    hits = 0
    for chunk in relabellings(first, n_permutations=n_permutations, rng=rng, strata=blocks):
        sums = chunk.astype(float) @ values
        hits += int((np.abs(sums - mean[0]) / np.sqrt(variance[0]) >= observed - _TIE).sum())
    z = (values[first].sum() - mean[0]) / np.sqrt(variance[0])
    return Test(z, (hits + 1) / (n_permutations + 1), values.size, method)


def categories_permutation(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    level: Any,
    category: Any,
    *,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: Rng = 0,
    centre: float = 0.0,
    method: str,
) -> Test:
    """Permutation test of any statistic of levels and categories; extreme is far from ``centre``.

    Parameters
    ----------
    statistic
        ``statistic(level, category) -> float``.
    level, category
        (n,) each; categories change places.
    n_permutations, rng
        As for :func:`joint_permutation`.
    centre
        The value under independence (0 for statistics that are only large one way).
    method
        What the result is called.
    """
    values, kinds = sample(level, name="level"), sample(category, name="category")
    same_length(values, kinds, names=("level", "category"))
    generator = np.random.default_rng(rng)
    observed = statistic(values, kinds)
    far = abs(observed - centre) - _TIE
    hits = sum(abs(statistic(values, generator.permutation(kinds)) - centre) >= far for _ in range(n_permutations))
    return Test(observed, (hits + 1) / (n_permutations + 1), values.size, method)


def relabellings(
    first: np.ndarray, *, n_permutations: int, rng: Rng, strata: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Draw labellings in chunks: (b, n) uint8, each with as many of the first group in every stratum as observed."""
    if n_permutations < 1:
        raise UsageError("the number of permutations is below 1", seen=n_permutations)
    generator = np.random.default_rng(rng)
    blocks = [np.arange(len(first))] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    swapped = 2 * first.sum() > len(first)
    starts = [_start(first[members], swapped=bool(swapped)) for members in blocks]
    for begin in range(0, n_permutations, _CHUNK):
        rows = min(_CHUNK, n_permutations - begin)
        chunk = np.empty((rows, len(first)), dtype=np.uint8)
        for members, (start, flip) in zip(blocks, starts, strict=True):
            drawn = generator.permuted(np.repeat(start[None, :], rows, axis=0), axis=1)
            chunk[:, members] = 1 - drawn if flip else drawn
        yield chunk


def coupled_relabellings(
    known: np.ndarray, first: np.ndarray, *, n_permutations: int, rng: Rng, strata: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Draw labellings of markers that were measured in different patients, in chunks: (m, b, n) uint8.

    One random order of all patients serves every marker: the first of a marker's own patients in that order, as many
    as the rarer group has among them (in each stratum), get that group's label. For each marker alone this is a random
    relabelling of its own patients with the sizes of the groups held, which is valid whenever a missing level does not
    depend on what the level would have been, however much it depends on response. Markers of the same patients get the
    same labels; the more two markers' patients differ, the less alike their labels, and the nearer the maximum
    comes to that of independent markers, which is the larger one (Sidak 1967).

    Parameters
    ----------
    known
        (n, m) bool, who has which level.
    first
        (n,) bool.
    n_permutations, rng, strata
        As for :func:`joint_permutation`.

    References
    ----------
    Sidak Z. J Am Stat Assoc 1967;62:626-633.
    """
    from biomarkers.stats.kernels import coupled_labels

    if n_permutations < 1:
        raise UsageError("the number of permutations is below 1", seen=n_permutations)
    generator = np.random.default_rng(rng)
    n, m = known.shape
    block = np.zeros(n, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1].reshape(-1)
    rare = 2 * first.sum() <= n
    group = first if rare else ~first
    need = np.stack([np.bincount(block, (known[:, j] & group), minlength=int(block.max()) + 1) for j in range(m)])
    numbers, has = np.arange(n, dtype=np.int32), np.ascontiguousarray(known.T, dtype=np.uint8)
    most = max(16, min(_CHUNK, _BYTES // max(1, n * m)))
    for begin in range(0, n_permutations, most):
        size = min(most, n_permutations - begin)
        orders = generator.permuted(np.repeat(numbers[None, :], size, axis=0), axis=1)
        chunk = np.empty((m, size, n), dtype=np.uint8)
        coupled_labels(orders, has, block, need.astype(np.int64), int(rare), chunk)
        yield chunk


def _start(first: np.ndarray, *, swapped: bool) -> tuple[np.ndarray, bool]:
    """Return the labelling that shuffling starts from, and whether its result is turned over.

    It depends on the sizes of the groups alone, and the rarer group is the one that is drawn, so that the same seed
    gives the same p whatever the order of patients and whichever group comes first.
    """
    n, n1 = len(first), int(first.sum())
    flip = 2 * n1 > n or (2 * n1 == n and swapped)
    return np.repeat([1, 0], [min(n1, n - n1), max(n1, n - n1)]).astype(np.uint8), flip


def linear_moments(scores: np.ndarray, first: np.ndarray, strata: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Permutation mean and variance of the sum of each column's scores in the first group: (m,) each; NaN: no score."""
    if np.isnan(scores).any():  # each column has patients of its own
        found = []
        for column in scores.T:
            known = ~np.isnan(column)
            block = None if strata is None else strata[known]
            found.append(linear_moments(column[known, None], first[known], block))
        means, variances = zip(*found, strict=True)
        return np.concatenate(means), np.concatenate(variances)
    blocks = np.zeros(len(first), dtype=int) if strata is None else strata
    mean, variance = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for stratum in np.unique(blocks):
        here = blocks == stratum
        n, n1 = int(here.sum()), int(first[here].sum())
        part = scores[here]
        mean += n1 * part.mean(axis=0)
        if n > 1:
            variance += n1 * (n - n1) / (n * (n - 1)) * ((part - part.mean(axis=0)) ** 2).sum(axis=0)
    return mean, variance


def canonical_order(
    matrix: np.ndarray, first: np.ndarray, blocks: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Order of patients and of markers that depends on their content alone.

    Shuffled in this order, the same seed gives the same p-values however the table was sorted, and a second copy of a
    marker or an increasing transform changes nothing.
    """
    seen = _run(prepare(matrix), first[None, :].astype(np.uint8))
    columns = np.lexsort((np.nan_to_num(seen[1][0]), np.nan_to_num(np.abs(seen[0][0]))))
    keys = [] if blocks is None else [blocks]
    for j in columns[::-1]:
        values = np.unique(matrix[:, j], return_inverse=True)[1].reshape(-1)
        keys.append(np.where(np.isnan(matrix[:, j]), -1, values))
    return np.lexsort(keys[::-1]), columns


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Markers sorted once: the arguments of the compiled kernels (see `biomarkers.stats.kernels.two_sample`).

    Attributes
    ----------
    order, last, position, length
        (m, n), (m, n), (m, n) and (m,).
    """

    order: np.ndarray
    last: np.ndarray
    position: np.ndarray
    length: np.ndarray


def prepare(matrix: np.ndarray) -> Prepared:
    """Sort each marker once; every relabelling then needs one pass."""
    from scipy.stats import rankdata

    n, m = matrix.shape
    order, last = np.zeros((m, n), dtype=np.int32), np.zeros((m, n), dtype=np.uint8)
    position, length = np.zeros((m, n)), np.zeros(m, dtype=np.int32)
    for j in range(m):
        known = np.flatnonzero(~np.isnan(matrix[:, j]))
        by_level = known[np.argsort(matrix[known, j], kind="stable")]
        ordered, k = matrix[by_level, j], len(by_level)
        order[j, :k], length[j] = by_level, k
        if k:
            last[j, :k] = np.append(ordered[1:] != ordered[:-1], True)
            position[j, :k] = rankdata(ordered)
    return Prepared(order, last, position, length)


def _run(prepared: Prepared, chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both statistics of every labelling, (b, m) each; labels are shared, (b, n), or each marker's own, (m, b, n)."""
    from biomarkers.stats.kernels import two_sample

    shape = (chunk.shape[-2], len(prepared.length))
    studentised, energy = np.empty(shape), np.empty(shape)
    if chunk.ndim == 2:
        two_sample(chunk, prepared.order, prepared.last, prepared.position, prepared.length, studentised, energy)
        return studentised, energy
    for j, own in enumerate(chunk):
        here = slice(j, j + 1)
        one = np.empty((2, len(own), 1))
        two_sample(own, prepared.order[here], prepared.last[here], prepared.position[here], prepared.length[here], *one)
        studentised[:, j], energy[:, j] = one[0, :, 0], one[1, :, 0]
    return studentised, energy


def _pieces(chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for chunk in chunks:
        parts = np.array_split(chunk, max(1, os.cpu_count() or 1), axis=-2)
        yield from (np.ascontiguousarray(part) for part in parts)


def _with_progress(chunks: Iterator[np.ndarray], n: int, *, wanted: bool) -> Iterator[np.ndarray]:
    from tqdm import tqdm

    with tqdm(total=n, desc="permutations", unit="", disable=not wanted, leave=False) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(chunk.shape[-2])


class _Tally:
    """Counts how often relabellings reach the observed statistics; keeps nothing else, so memory stays flat."""

    def __init__(self, seen: tuple[np.ndarray, np.ndarray], *, varies: np.ndarray) -> None:
        self.observed, self.energy = np.abs(seen[0][0]), seen[1][0]
        self.signed = seen[0][0]
        self.usable = ~np.isnan(self.observed) & varies
        # step-down max-T: markers by rising statistic, so that a running maximum covers "this one and all weaker ones"
        self.rising = np.flatnonzero(self.usable)[np.argsort(self.observed[self.usable], kind="stable")]
        m = len(self.observed)
        self.hits, self.hits_energy, self.hits_max = np.zeros(m), np.zeros(m), np.zeros(m)

    def add(self, studentised: np.ndarray, energy: np.ndarray) -> None:
        size = np.nan_to_num(np.abs(studentised), nan=0.0, posinf=np.inf)
        self.hits += (size >= self.observed - _TIE).sum(axis=0)
        self.hits_energy += (np.nan_to_num(energy) >= self.energy - _TIE).sum(axis=0)
        running = np.maximum.accumulate(size[:, self.rising], axis=1)
        self.hits_max[self.rising] += (running >= self.observed[self.rising] - _TIE).sum(axis=0)

    def result(self, n: int, *, columns: np.ndarray) -> JointPermutation:
        p, p_energy, p_max = ((hits + 1) / (n + 1) for hits in (self.hits, self.hits_energy, self.hits_max))
        # a weaker marker is never more significant than a stronger one
        falling = self.rising[::-1]
        p_max[falling] = np.maximum.accumulate(p_max[falling])
        for values in (p, p_energy, p_max):
            values[~self.usable] = np.nan
        back = np.argsort(columns, kind="stable")
        return JointPermutation(self.signed[back], p[back], p_max[back], self.energy[back], p_energy[back], n)
