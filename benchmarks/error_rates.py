"""How often the family of biomarkers is called dependent when nothing is going on, by what is missing, as Markdown.

    python benchmarks/error_rates.py [--trials 2000] [--permutations 199] [--only SIZE]

Every trial is simulated: correlated levels (r = .3), every third with 40% tied at the bottom, response unrelated to
them; with strata, three of them that differ in level and in response rate. A trial errs when any biomarker's p, adjusted
over the family, is at or below .05, which is so when the strongest one's is. The statistics and the relabellings are
those of `biomarkers.relate.permuted.binary_tests`, and the first trials of every cell are asked of it too; here they
stop as soon as the p of the strongest is known to lie above .05, and no other p is counted. p = (b + 1) / (B + 1) holds its
level at any B for which .05 (B + 1) is whole, so 199 relabellings say as much about the error as 99,999.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import numba

from biomarkers.relate.permuted import binary_tests
from biomarkers.relate.strata import aligned_ranks
from biomarkers.stats.kernels import _statistics, coupled_labels
from biomarkers.stats.permutation import linear_moments, prepare

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


@numba.njit(cache=True, nogil=True)
def studentised_exceeds(
    known: np.ndarray, order: np.ndarray, last: np.ndarray, position: np.ndarray, length: np.ndarray, block: np.ndarray,
    need: np.ndarray, rare: int, reach: float, most: int, permutations: int, seed: int,
) -> int:  # fmt: skip
    """Count relabellings whose largest studentised statistic reaches the observed one, up to ``most``."""
    np.random.seed(seed)  # noqa: NPY002  (numba's own generator)
    n, m = known.shape[1], known.shape[0]
    labels = np.zeros((m, 1, n), dtype=np.uint8)
    orders = np.empty((1, n), dtype=np.int32)
    hits = 0
    for _ in range(permutations):
        orders[0] = np.random.permutation(n)  # noqa: NPY002
        coupled_labels(orders, known, block, need, rare, labels)
        for j in range(m):
            t, _energy = _statistics(labels[j, 0], order[j], last[j], position[j], length[j])
            if abs(t) >= reach - 1e-9:
                hits += 1
                break
        if hits >= most:
            break
    return hits


@numba.njit(cache=True, nogil=True)
def linear_exceeds(
    known: np.ndarray, scaled: np.ndarray, centre: np.ndarray, block: np.ndarray, need: np.ndarray, rare: int,
    reach: float, most: int, permutations: int, seed: int,
) -> int:  # fmt: skip
    """Do the same with standardised sums of scores: (m, n) scores, (m,) their standardised means."""
    np.random.seed(seed)  # noqa: NPY002
    n, m = known.shape[1], known.shape[0]
    labels = np.zeros((m, 1, n), dtype=np.uint8)
    orders = np.empty((1, n), dtype=np.int32)
    hits = 0
    for _ in range(permutations):
        orders[0] = np.random.permutation(n)  # noqa: NPY002
        coupled_labels(orders, known, block, need, rare, labels)
        for j in range(m):
            total = -centre[j]
            for i in range(n):
                total += labels[j, 0, i] * scaled[j, i]
            if abs(total) >= reach - 1e-9:
                hits += 1
                break
        if hits >= most:
            break
    return hits


def errs(
    levels: np.ndarray, responder: np.ndarray, strata: np.ndarray | None, permutations: int, seed: int
) -> bool:
    """Say whether the strongest biomarker's p, adjusted over the family, is at or below .05."""
    some = ~np.isnan(levels).all(axis=1)
    levels, responder = levels[some], responder[some]
    block = np.zeros(len(levels), dtype=np.int64) if strata is None else np.unique(strata[some], return_inverse=True)[1]
    known = ~np.isnan(levels)
    rare = 2 * responder.sum() <= len(responder)
    group = responder if rare else ~responder
    need = np.stack([np.bincount(block, column & group, minlength=int(block.max()) + 1) for column in known.T])
    need, has = need.astype(np.int64), np.ascontiguousarray(known.T, dtype=np.uint8)
    most = int(np.floor(ALPHA * (permutations + 1)))
    if strata is None:
        ready = prepare(levels)
        label = responder.astype(np.uint8)
        seen = [
            abs(_statistics(label, ready.order[j], ready.last[j], ready.position[j], ready.length[j])[0])
            for j in range(levels.shape[1])
        ]
        if np.isnan(seen).all():
            return False
        hits = studentised_exceeds(
            has, ready.order, ready.last, ready.position, ready.length, block, need, int(rare), np.nanmax(seen), most,
            permutations, seed,
        )  # fmt: skip
    else:
        scores = aligned_ranks(levels, block)
        mean, variance = linear_moments(scores, responder, block)
        usable = variance > 0
        if not usable.any():
            return False
        spread = np.sqrt(variance[usable])
        scaled = np.ascontiguousarray((np.nan_to_num(scores[:, usable]) / spread).T)
        centre = mean[usable] / spread
        reach = np.abs(scaled @ responder.astype(float) - centre).max()
        hits = linear_exceeds(
            has[usable], scaled, centre, block, need[usable], int(rare), reach, most, permutations, seed
        )
    return hits + 1 <= most


def rate(n: int, responders: int, markers: int, drop: Drop, *, stratified: bool, trials: int, permutations: int) -> float:
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
    print(f"{options.trials:,} trials a cell, B = {options.permutations}; .05 + 2 Monte Carlo errors: {ALPHA + 2 * error:.4f}\n")
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
