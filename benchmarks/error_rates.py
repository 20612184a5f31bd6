"""How often the family of biomarkers is called dependent when nothing is going on, by what is missing, as Markdown.

    python benchmarks/error_rates.py [--trials 2000] [--permutations 199] [--only SIZE]

Every trial is simulated: correlated levels (r = .3), every third with 40% tied at the bottom, response unrelated to
them; with strata, three of them that differ in level and in response rate. A trial errs when any biomarker's p,
adjusted over the family, is at or below .05, which is so when the strongest one's is. The statistics and the
relabellings are those of `biomarkers.relate.permuted.binary_tests`, and the first trials of every cell are asked of it
too; here they stop as soon as the p of the strongest is known to lie above .05, and no other p is counted.
p = (b + 1) / (B + 1) holds its level at any B for which .05 (B + 1) is whole, so 199 relabellings say as much about the
error as 99,999.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np

from biomarkers.relate.permuted import binary_tests
from biomarkers.stats.kernels import _statistics, coupled_labels

SIZES = {"52/19": (52, 19), "80/10": (80, 10), "200/60": (200, 60)}
FAMILIES = (1, 5, 20, 50)
ALPHA, CORRELATION, AT_BOTTOM, CHECKED = 0.05, 0.3, 0.4, 3
Drop = Callable[[np.random.Generator, np.ndarray, np.ndarray], None]


def complete(generator: np.random.Generator, levels: np.ndarray, responder: np.ndarray) -> None:
    """Leave everything."""


def at_random(generator: np.random.Generator, levels: np.ndarray, responder: np.ndarray) -> None:
    """A fifth of the patients has no biopsy."""
    levels[generator.random(len(levels)) < 0.2] = np.nan


def by_response(generator: np.random.Generator, levels: np.ndarray, responder: np.ndarray) -> None:
    """Three responders in five have no biopsy."""
    levels[responder & (generator.random(len(levels)) < 0.6)] = np.nan


def by_marker(generator: np.random.Generator, levels: np.ndarray, responder: np.ndarray) -> None:
    """Every other marker failed in two patients of five, the others in one of ten, each on its own."""
    share = np.where(np.arange(levels.shape[1]) % 2 == 0, 0.4, 0.1)
    levels[generator.random(levels.shape) < share] = np.nan


def by_level_and_response(generator: np.random.Generator, levels: np.ndarray, responder: np.ndarray) -> None:
    """Responders with a low first level have no biopsy half the time: what nothing can repair."""
    low = levels[:, 0] < np.median(levels[:, 0])
    levels[responder & low & (generator.random(len(levels)) < 0.5)] = np.nan


MISSING: dict[str, Drop] = {
    "complete": complete,
    "20% at random": at_random,
    "60% of responders": by_response,
    "marker by marker, 40% and 10%": by_marker,
    "by level and response": by_level_and_response,
}


def trial(
    generator: np.random.Generator, n: int, responders: int, markers: int, drop: Drop, *, stratified: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Draw levels, response and strata of one trial in which response has nothing to do with any level."""
    common = generator.normal(size=(n, 1))
    levels = np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * generator.normal(size=(n, markers))
    strata, weight = None, np.ones(n)
    if stratified:
        strata = generator.integers(0, 3, n)
        levels += strata[:, None]
        weight = np.array([0.5, 1.0, 2.0])[strata]
    levels[:, 2::3] = np.maximum(levels[:, 2::3], np.quantile(levels[:, 2::3], AT_BOTTOM) if markers > 2 else 0.0)
    responder = np.zeros(n, dtype=bool)
    responder[generator.choice(n, responders, replace=False, p=weight / weight.sum())] = True
    drop(generator, levels, responder)
    return levels, responder, strata


@numba.njit(cache=True)
def sort_markers(levels: np.ndarray, order: np.ndarray, last: np.ndarray, length: np.ndarray) -> None:
    """Sort the patients of each marker by level, as `biomarkers.stats.permutation.prepare` does."""
    m = levels.shape[1]
    for j in range(m):
        k = 0
        for i in np.argsort(levels[:, j], kind="mergesort"):  # NaN comes last
            if not np.isnan(levels[i, j]):
                order[j, k] = i
                k += 1
        length[j] = k
        for i in range(k):
            last[j, i] = 1 if i == k - 1 or levels[order[j, i + 1], j] != levels[order[j, i], j] else 0


@numba.njit(cache=True)
def aligned(levels: np.ndarray, block: np.ndarray, strata: int, scores: np.ndarray) -> None:
    """Fill van Elteren's scores, (m, n), as `biomarkers.relate.strata.aligned_ranks` does; 0 without a level."""
    n, m = levels.shape
    for j in range(m):
        for s in range(strata):
            size = 0
            for i in range(n):
                size += block[i] == s and not np.isnan(levels[i, j])
            for i in range(n):
                if block[i] != s or np.isnan(levels[i, j]):
                    continue
                rank = 0.5
                for other in range(n):
                    if block[other] == s and not np.isnan(levels[other, j]):
                        rank += 1.0 if levels[other, j] < levels[i, j] else 0.5 * (levels[other, j] == levels[i, j])
                scores[j, i] = rank / (size + 1) - 0.5


@numba.njit(cache=True)
def standardise(
    scores: np.ndarray, known: np.ndarray, block: np.ndarray, responder: np.ndarray, strata: int, centre: np.ndarray
) -> None:
    """Divide each marker's scores by the permutation deviation of their sum; fill the standardised means."""
    m, n = scores.shape
    for j in range(m):
        mean = variance = 0.0
        for s in range(strata):
            size = first = 0
            total = square = 0.0
            for i in range(n):
                if block[i] == s and known[j, i]:
                    size += 1
                    first += responder[i]
                    total += scores[j, i]
                    square += scores[j, i] ** 2
            if size > 0:
                mean += first * total / size
            if size > 1:
                variance += first * (size - first) / (size * (size - 1)) * (square - total * total / size)
        spread = np.sqrt(variance) if variance > 1e-12 else np.inf
        centre[j] = mean / spread
        for i in range(n):
            scores[j, i] /= spread


@numba.njit(cache=True)
def statistic(
    j: int, labels: np.ndarray, order: np.ndarray, last: np.ndarray, position: np.ndarray, length: np.ndarray,
    scores: np.ndarray, centre: np.ndarray, linear: int,
) -> float:  # fmt: skip
    """Size of one marker's statistic: studentised, or with strata the standardised sum of scores; 0 if undefined."""
    if linear:
        total = -centre[j]
        for i in range(len(labels)):
            total += labels[i] * scores[j, i]
        return abs(total)
    t, _energy = _statistics(labels, order[j], last[j], position[j], length[j])
    return 0.0 if np.isnan(t) else abs(t)


@numba.njit(cache=True)
def exceeds(
    levels: np.ndarray, responder: np.ndarray, block: np.ndarray, strata: int, linear: int, most: int,
    permutations: int, seed: int,
) -> int:  # fmt: skip
    """Count relabellings whose largest statistic reaches the observed one, up to ``most``."""
    np.random.seed(seed)  # noqa: NPY002  (what numba has)
    n, m = levels.shape
    order, last = np.zeros((m, n), dtype=np.int32), np.zeros((m, n), dtype=np.uint8)
    position, length = np.zeros((m, n)), np.zeros(m, dtype=np.int32)
    known = np.zeros((m, n), dtype=np.uint8)
    for j in range(m):
        for i in range(n):
            known[j, i] = not np.isnan(levels[i, j])
    scores, centre = np.zeros((m, n)), np.zeros(m)
    if linear:
        aligned(levels, block, strata, scores)
        standardise(scores, known, block, responder, strata, centre)
    else:
        sort_markers(levels, order, last, length)
    rare = 1 if 2 * responder.sum() <= n else 0
    need = np.zeros((m, strata), dtype=np.int64)
    for j in range(m):
        for i in range(n):
            if known[j, i] and responder[i] == rare:
                need[j, block[i]] += 1
    reach = 0.0
    for j in range(m):
        reach = max(reach, statistic(j, responder, order, last, position, length, scores, centre, linear))
    if reach == 0.0:
        return most
    labels, orders = np.zeros((m, 1, n), dtype=np.uint8), np.empty((1, n), dtype=np.int32)
    hits = 0
    for _ in range(permutations):
        orders[0] = np.random.permutation(n)  # noqa: NPY002
        coupled_labels(orders, known, block, need, rare, labels)
        for j in range(m):
            size = statistic(j, labels[j, 0], order, last, position, length, scores, centre, linear)
            if size >= reach - 1e-9:
                hits += 1
                break
        if hits >= most:
            break
    return hits


def errs(levels: np.ndarray, responder: np.ndarray, strata: np.ndarray | None, permutations: int, seed: int) -> bool:
    """Say whether the strongest biomarker's p, adjusted over the family, is at or below .05."""
    some = ~np.isnan(levels).all(axis=1)
    block = np.zeros(some.sum(), dtype=np.int64) if strata is None else strata[some].astype(np.int64)
    most = int(np.floor(ALPHA * (permutations + 1)))
    hits = exceeds(
        levels[some], responder[some].astype(np.uint8), block, int(block.max()) + 1, int(strata is not None), most,
        permutations, seed,
    )  # fmt: skip
    return hits + 1 <= most


def rate(
    n: int, responders: int, markers: int, drop: Drop, *, stratified: bool, trials: int, permutations: int
) -> float:
    """Share of trials with an error, and a look at the shipped tests in the first ones."""
    generator = np.random.default_rng([n, markers, stratified, len(drop.__name__)])
    errors = 0
    for run in range(trials):
        levels, responder, strata = trial(generator, n, responders, markers, drop, stratified=stratified)
        found = errs(levels, responder, strata, permutations, run)
        errors += found
        if run < CHECKED:
            p = np.nanmin(binary_tests(levels, responder, strata=strata, n_permutations=999, seed=run).p_adjusted)
            assert found == (p <= ALPHA) or abs(p - ALPHA) < 0.03, (p, found)
    return errors / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--permutations", type=int, default=199)
    parser.add_argument("--only", choices=SIZES, help="one size")
    options = parser.parse_args()
    start = time.process_time()
    error = np.sqrt(ALPHA * (1 - ALPHA) / options.trials)
    print(
        f"{options.trials:,} trials a cell, B = {options.permutations}; "
        f".05 + 2 Monte Carlo errors: {ALPHA + 2 * error:.4f}\n"
    )
    print("| patients/responders | missing | strata | " + " | ".join(f"{m} biomarkers" for m in FAMILIES) + " |")
    print("|---|---|---|" + "---|" * len(FAMILIES))
    for size, (n, responders) in SIZES.items():
        if options.only not in (None, size):
            continue
        for name, drop in MISSING.items():
            for stratified in (False, True):
                rates = [
                    rate(n, responders, m, drop, stratified=stratified, trials=options.trials,
                         permutations=options.permutations)
                    for m in (FAMILIES if drop is not by_level_and_response else FAMILIES[:1])
                ]  # fmt: skip
                cells = " | ".join(f"{value:.3f}" for value in rates)
                print(f"| {size} | {name} | {'three' if stratified else 'none'} | {cells} |", flush=True)
    print(f"\n{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
