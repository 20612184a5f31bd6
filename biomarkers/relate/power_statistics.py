"""The rule's statistics of many simulated cohorts at once: AUCs with their intervals, permutation p-values."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from biomarkers.stats.permutation import prepare, relabellings

_FLAT: Final = 1e-9
_TIE: Final = 1e-9  # statistics this close to the observed one count as equal to it
_BLOCK: Final = 20  # cohorts that share their relabellings
_STAGES: Final = (200, 600)  # relabellings after which cohorts that are decided are left


@dataclass(frozen=True)
class RankStatistics:
    """AUC, its DeLong standard error, the studentised statistic and the distinct levels of each cohort, (k,) each."""

    theta: np.ndarray
    error: np.ndarray
    t: np.ndarray
    distinct: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Where DeLong's interval is defined, (k,) bool."""
        found: np.ndarray = (self.error > _FLAT) & (self.theta > 0) & (self.theta < 1)
        return found

    def limits(self, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Logit-DeLong limits, (k,) each, z standard errors off; 0 and 1 where they are not defined."""
        usable = self.usable
        theta, error = np.where(usable, self.theta, 0.5), np.where(usable, self.error, 1.0)
        centre, half = np.log(theta / (1 - theta)), z * error / (theta * (1 - theta))
        low, high = 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))
        return np.where(usable, low, 0.0), np.where(usable, high, 1.0)


def rank_statistics(levels: np.ndarray, n_responders: int) -> RankStatistics:
    """Return the statistics of many cohorts: (n, k) levels, responders in the first rows."""
    n, n1 = len(levels), n_responders
    n2 = n - n1
    rows = np.ascontiguousarray(levels.T)
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    first = order < n1
    responders_below = _below(ordered, np.cumsum(first, axis=1, dtype=np.int64))
    others_below = _below(ordered, np.cumsum(~first, axis=1, dtype=np.int64))
    one, one_squared = _sums(others_below, first)  # twice the placements of responders among the others
    two, two_squared = _sums(responders_below, ~first)
    theta = one / (2 * n1 * n2)
    variance = (n1 * one_squared - one**2) / (4 * n2**2 * n1 * n1 * (n1 - 1)) + (n2 * two_squared - two**2) / (
        4 * n1**2 * n2 * n2 * (n2 - 1)
    )
    error = np.sqrt(variance)
    gap, flat = theta - 0.5, error <= _FLAT
    t = np.where(flat, np.where(gap == 0, 0.0, np.inf), np.abs(gap) / np.where(flat, 1.0, error))
    return RankStatistics(theta, error, t, 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1))


def _below(ordered: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Twice how many of a group lie below each sorted level, ties counted half: (k, n) whole numbers.

    ``counted`` is how many of the group stand at or before each place.
    """
    n = ordered.shape[1]
    new = ordered[:, 1:] != ordered[:, :-1]
    before = np.concatenate([np.zeros((len(ordered), 1), dtype=counted.dtype), counted[:, :-1]], axis=1)
    if new.all():
        return before + counted
    place = np.arange(n)
    edge = np.ones((len(ordered), 1), dtype=bool)
    start = np.maximum.accumulate(np.where(np.concatenate([edge, new], axis=1), place, 0), axis=1)
    end = np.where(np.concatenate([new, edge], axis=1), place, n)
    end = np.minimum.accumulate(end[:, ::-1], axis=1)[:, ::-1]
    found: np.ndarray = np.take_along_axis(before, start, axis=1) + np.take_along_axis(counted, end, axis=1)
    return found


def _sums(twice: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and sum of squares over a group, (k,) whole numbers each."""
    here = np.where(group, twice, 0)
    return here.sum(axis=1), (here**2).sum(axis=1)


def permuted_p(
    levels: np.ndarray, n_responders: int, *, n_permutations: int, alpha: float, rng: int
) -> tuple[np.ndarray, np.ndarray]:
    """P-values of dependence and of the omnibus test, (k,) each, of which those above alpha may be too small.

    Every 20 cohorts have relabellings of their own. A cohort is left when both its p-values are known to lie above
    alpha whatever the other relabellings would bring; p is then the least that it could have become, above alpha too.

    Parameters
    ----------
    levels
        (n, k) levels of k cohorts, responders in the first rows.
    n_responders
        Number of responders.
    n_permutations, alpha, rng
        Relabellings of each cohort; level that p-values are compared with; seed.
    """
    k = levels.shape[1]
    seeds = np.random.SeedSequence(rng).generate_state(-(-k // _BLOCK), dtype=np.uint64)

    def ask(block: tuple[int, np.uint64]) -> np.ndarray:
        start, seed = block
        some = levels[:, start : start + _BLOCK]
        return _hits(some, n_responders, n_permutations=n_permutations, alpha=alpha, seed=int(seed) // 2)

    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as threads:
        hits = np.concatenate(list(threads.map(ask, zip(range(0, k, _BLOCK), seeds, strict=True))), axis=1)
    p = (hits + 1) / (n_permutations + 1)
    p[:, (levels == levels[0]).all(axis=0)] = np.nan
    return p[0], p[1]


def _hits(levels: np.ndarray, n_responders: int, *, n_permutations: int, alpha: float, seed: int) -> np.ndarray:
    """How often relabellings reach either statistic, (2, k), counted until both p-values lie above alpha."""
    from biomarkers.stats.kernels import two_sample, two_sample_hits

    n, k = levels.shape
    group = (np.arange(n) < n_responders).astype(np.uint8)
    ready = prepare(levels)
    seen, hits = np.empty((2, 1, k)), np.zeros((2, k), dtype=np.int64)
    two_sample(group[None, :], ready.order, ready.last, ready.position, ready.length, seen[0], seen[1])
    reach, reach_energy = np.abs(seen[0, 0]) - _TIE, seen[1, 0] - _TIE
    left, done = np.arange(k), 0
    for chunk in relabellings(group.astype(bool), n_permutations=n_permutations, rng=seed):
        cuts = [at - done for at in _STAGES if done < at < done + len(chunk)]
        for part in np.split(chunk, cuts):
            some = np.zeros((2, len(left)), dtype=np.int64)
            two_sample_hits(
                part, ready.order[left], ready.last[left], ready.position[left], ready.length[left], reach[left],
                reach_energy[left], some,
            )  # fmt: skip
            hits[:, left] += some
            left = left[(hits[:, left] + 1 <= alpha * (n_permutations + 1)).any(axis=0)]
        done += len(chunk)
    return hits
