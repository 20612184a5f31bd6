"""Exact null distributions: sums of scores over every split of the patients, or over every choice of signs.

Scores on a grid (mid-ranks, categories, values with one decimal) go through the shift algorithm of Streitberg and
Roehmel; scores off any grid (normal scores) are held as distinct sums, merged where they agree to rounding, and where
these are too many the tails are counted from two halves of the sample.

References
----------
Streitberg B, Roehmel J. Stat Software Newsletter 1986;12:10-17. van de Wiel MA. Comput Stat 2001;16:507-531.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array

QUICK_WORK = 4e8  # additions of the shift algorithm: about half a second; what "auto" spends
MAX_WORK = 2e10  # what method="exact" spends: about half a minute
_MAX_SUMS = 2_000_000  # distinct sums held off the grid
_TIE = 1e-9


class TooLargeError(DataError):
    """The exact distribution would take too long; the caller may use an approximation and say so."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A discrete null distribution: ascending support and its probabilities."""

    support: Array
    probability: Array

    @property
    def mean(self) -> float:
        """Expected value."""
        return float(self.support @ self.probability)

    def _slack(self) -> float:
        return _TIE * max(1.0, float(np.abs(self.support).max()))

    def at_least(self, value: float) -> float:
        """P(T >= value), ties to rounding included."""
        return float(self.probability[self.support >= value - self._slack()].sum())

    def at_most(self, value: float) -> float:
        """P(T <= value), ties to rounding included."""
        return float(self.probability[self.support <= value + self._slack()].sum())

    def two_sided(self, value: float, *, how: str = "distance") -> float:
        """Two-sided p: every T at least as far from the mean, or twice the smaller tail."""
        if how == "doubled":
            return min(1.0, 2 * min(self.at_least(value), self.at_most(value)))
        far = np.abs(self.support - self.mean) >= abs(value - self.mean) - self._slack()
        return min(1.0, float(self.probability[far].sum()))

    def quantile(self, p: float) -> float:
        """Smallest support value with P(T <= value) >= p."""
        reached = np.searchsorted(np.cumsum(self.probability), p - 1e-12)
        return float(self.support[min(int(reached), self.support.size - 1)])


def split_distribution(scores: Array, size: int, *, work: float = MAX_WORK) -> Distribution:
    """Null distribution of the sum of ``size`` of the scores, every choice equally likely.

    Parameters
    ----------
    scores
        One score a patient, (n,).
    size
        Patients in the group.
    work
        Additions to spend before giving up.

    Raises
    ------
    TooLargeError
        When the scores lie on no grid and have too many distinct sums, or the grid is too fine.
    """
    total = scores.size
    if not 0 <= size <= total:
        raise DataError("the group is larger than the sample", where="size", seen=size, allowed=f"0 to {total}")
    few = min(size, total - size)  # the sum of the rest mirrors the sum of the group
    grid = _on_grid(scores)
    if grid is None:
        support, probability = _split_sums(scores, few)
    else:
        start, step, whole = grid
        support, probability = _split_shift(whole, few, work)
        support = support * step + few * start
    if few != size:
        support, probability = (scores.sum() - support)[::-1], probability[::-1]
    return Distribution(support, probability)


def split_tails(scores: Array, size: int, value: float, *, most: float = 2.0**21) -> tuple[float, float]:
    """Chances that the sum of ``size`` of the scores is at most, and at least, ``value``; for scores off any grid.

    Every subset of either half of the patients is summed, then the halves are matched by counting, so the work grows
    with the square root of the number of splits. ``most`` sums are held for a half before giving up (`TooLargeError`).
    """
    from scipy.special import gammaln

    values, counts = np.unique(np.round(scores, 12), return_counts=True)
    halves = _two_halves(counts)
    one, two = (_subset_sums(values[half], counts[half], size, most) for half in halves)
    slack = _TIE * max(1.0, float(np.abs(scores).sum()))
    below = above = 0.0
    for taken, (sums, weights) in one.items():
        if size - taken not in two:
            continue
        others, other_weights = two[size - taken]
        cumulative = np.append(0.0, np.cumsum(other_weights))
        low = cumulative[np.searchsorted(others, value + slack - sums, side="right")]
        high = cumulative[-1] - cumulative[np.searchsorted(others, value - slack - sums, side="left")]
        below += float(weights @ low)
        above += float(weights @ high)
    ways = math.exp(gammaln(scores.size + 1) - gammaln(size + 1) - gammaln(scores.size - size + 1))
    return min(below / ways, 1.0), min(above / ways, 1.0)


def _two_halves(counts: np.ndarray) -> tuple[list[int], list[int]]:
    """Share distinct values out so that both halves have about as many subsets."""
    halves: tuple[list[int], list[int]] = ([], [])
    loads = [0.0, 0.0]
    for index in np.argsort(-counts, kind="stable"):
        lighter = int(loads[1] < loads[0])
        halves[lighter].append(int(index))
        loads[lighter] += math.log(counts[index] + 1)
    return halves


def _subset_sums(values: Array, counts: np.ndarray, size: int, most: float) -> dict[int, tuple[Array, Array]]:
    """Sum all subsets of up to ``size`` patients: sorted sums and their numbers of ways, by subset size."""
    if float(np.log2(counts + 1.0).sum()) > math.log2(most):
        raise TooLargeError("too many subsets for an exact distribution", seen=f"{values.size} in a half")
    held: dict[int, tuple[Array, Array]] = {0: (np.zeros(1), np.ones(1))}
    for value, count in zip(values, counts, strict=True):
        grown: dict[int, list[tuple[Array, Array]]] = {}
        for used, (sums, weights) in held.items():
            for take in range(min(int(count), size - used) + 1):
                grown.setdefault(used + take, []).append((sums + take * value, weights * math.comb(int(count), take)))
        held = {
            used: (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
            for used, parts in grown.items()
        }
    out = {}
    for used, (sums, weights) in held.items():
        order = np.argsort(sums, kind="stable")
        out[used] = (sums[order], weights[order])
    return out


def sign_distribution(scores: Array) -> Distribution:
    """Null distribution of the sum of the positively signed scores, every sign equally likely."""
    if (scores < 0).any():
        raise DataError("sign scores are negative", where="scores", allowed="absolute values or their ranks")
    grid = _on_grid(np.append(scores, 0.0))
    if grid is None:
        support, probability = np.zeros(1), np.ones(1)
        for score in scores:
            support, probability = _merge(
                np.concatenate([support, support + score]), np.concatenate([probability, probability]) / 2
            )
        return Distribution(support, probability)
    _, step, whole = grid
    whole = whole[:-1]
    if float(whole.sum()) * whole.size > MAX_WORK:
        raise TooLargeError("the exact sign distribution is too large", seen=int(whole.sum()))
    weights = np.zeros(int(whole.sum()) + 1)
    weights[0] = 1.0
    reach = 0
    for score in np.sort(whole):
        moved = weights[: reach + 1] / 2
        weights[: reach + 1] = moved
        reach += int(score)
        weights[int(score) : reach + 1] += moved
    keep = weights > 0
    return Distribution(np.asarray(np.flatnonzero(keep) * step, dtype=np.float64), weights[keep])


def convolve(parts: list[Distribution]) -> Distribution:
    """Distribution of the sum of independent parts (strata)."""
    support, probability = np.zeros(1), np.ones(1)
    for part in parts:
        if support.size * part.support.size > 5e7:
            raise TooLargeError("the exact distribution over strata is too large", seen=len(parts))
        sums = (support[:, None] + part.support[None, :]).ravel()
        support, probability = _merge(sums, (probability[:, None] * part.probability[None, :]).ravel())
    return Distribution(support, probability)


def _on_grid(scores: Array) -> tuple[float, float, np.ndarray] | None:
    """``(start, step, whole numbers)`` with scores = start + step * whole, or None when no decimal grid holds them."""
    shifted = scores - scores.min()
    for unit in (1.0, 0.5, 0.1, 0.05, 0.01, 0.001):
        whole = shifted / unit
        rounded = np.round(whole)
        if np.abs(whole - rounded).max(initial=0.0) < 1e-7:
            numbers = rounded.astype(np.int64)
            divisor = int(np.gcd.reduce(numbers)) or 1
            return float(scores.min()), unit * divisor, numbers // divisor
    return None


def _split_shift(whole: np.ndarray, size: int, work: float) -> tuple[Array, Array]:
    """Give sums of ``size`` of the whole numbers with probabilities: one row a group size, one column a sum."""
    ordered = np.sort(whole)
    top = int(ordered[ordered.size - size :].sum())
    if float(whole.size) * (size + 1) * (top + 1) > work or (size + 1) * (top + 1) > 1e8:
        raise TooLargeError("the exact split distribution is too large", seen=f"{whole.size} values, sums up to {top}")
    weights = np.zeros((size + 1, top + 1))
    weights[0, 0] = 1.0
    for taken, score in enumerate(ordered):
        rows = min(taken, size - 1) + 1
        reach = min(int(ordered[max(taken + 1 - size, 0) : taken + 1].sum()), top)  # no sum lies beyond it yet
        weights[1 : rows + 1, score : reach + 1] += weights[:rows, : reach + 1 - score].copy()
        if taken % 32 == 31:  # subset counts would overflow a double beyond about 1000 patients
            weights /= weights.max()
    last = weights[size]
    keep = last > 0
    return np.flatnonzero(keep).astype(np.float64), last[keep] / last.sum()


def _split_sums(scores: Array, size: int) -> tuple[Array, Array]:
    """Do the same for scores off the grid: tied values enter together, equal sums are merged."""
    from scipy.special import gammaln

    values, counts = np.unique(np.round(scores, 10), return_counts=True)
    held: dict[int, tuple[Array, Array]] = {0: (np.zeros(1), np.ones(1))}
    left = scores.size
    for value, count in zip(values, counts, strict=True):
        left -= int(count)
        grown: dict[int, list[tuple[Array, Array]]] = {}
        for used, (sums, weights) in held.items():
            for take in range(max(0, size - used - left), min(int(count), size - used) + 1):
                ways = math.exp(gammaln(count + 1) - gammaln(take + 1) - gammaln(count - take + 1))
                grown.setdefault(used + take, []).append((sums + take * value, weights * ways))
        held = {
            used: _merge(*(np.concatenate(side) for side in zip(*parts, strict=True))) for used, parts in grown.items()
        }
        if sum(sums.size for sums, _ in held.values()) > _MAX_SUMS:
            raise TooLargeError(
                "too many distinct sums for an exact distribution", seen=f"{values.size} distinct values"
            )
    sums, weights = held[size]
    return sums, weights / weights.sum()


def _merge(sums: Array, weights: Array) -> tuple[Array, Array]:
    """Add up the weights of sums that agree to rounding."""
    order = np.argsort(sums, kind="stable")
    sums, weights = sums[order], weights[order]
    fresh = np.append(True, np.diff(sums) > _TIE)
    start = np.flatnonzero(fresh)
    return sums[start], np.add.reduceat(weights, start)
