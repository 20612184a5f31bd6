"""Operating characteristics of the shipped decision rule on simulated cohorts, as Markdown.

    python benchmarks/operating_characteristics.py [--n 52] [--responders 19] [--simulations 2000] [--permutations 1999]

Every cohort is simulated. The verdicts come from biomarkers.relate itself (the permutation tests, the logit-DeLong
interval and `decide`), one biomarker a family. A last table checks that p is uniform when labels are shuffled.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
from scipy.stats import kstest

from biomarkers.core.keys import DEPENDENT, DEPENDENT_WITHIN_MARGIN, INCONCLUSIVE, INDEPENDENT_WITHIN_MARGIN
from biomarkers.relate.families import FAMILIES, Family
from biomarkers.relate.power import simulated_verdicts
from biomarkers.stats.permutation_marginal import marginal_permutation

SHAPES = (*(Family(name) for name in FAMILIES), Family("unequal-variance", spread=1 / 3))
THETAS = (0.50, 0.60, 0.65, 0.70, 0.80)
MARGINS = (0.10, 0.15, 0.20)


def characteristics(n: int, responders: int, simulations: int, permutations: int) -> None:
    print(f"n = {n}, {responders} responders, {simulations:,} simulated cohorts a row, B = {permutations:,}\n")
    print("| levels | true AUC | dependent | within .10 | within .15 | within .20 | inconclusive at .15 | at .20 |")
    print("|---|---|---|---|---|---|---|---|")
    for seed, family in enumerate(SHAPES):
        generator = np.random.default_rng(seed)
        for theta in THETAS:
            drawn = family.draw(
                generator, n_yes=responders, n_no=n - responders, size=simulations, shift=family.shift(theta)
            )
            found = simulated_verdicts(
                drawn, responders, margins=MARGINS, n_permutations=permutations, rng=int(generator.integers(2**31))
            )
            shares = {margin: Counter(verdicts) for margin, verdicts in found.items()}
            dependent = sum(shares[MARGINS[0]][name] for name in (DEPENDENT, DEPENDENT_WITHIN_MARGIN)) / simulations
            within = " | ".join(f"{shares[m][INDEPENDENT_WITHIN_MARGIN] / simulations:.3f}" for m in MARGINS)
            left = " | ".join(f"{shares[m][INCONCLUSIVE] / simulations:.3f}" for m in (0.15, 0.20))
            print(f"| {family.name}: {family.label} | {theta:.2f} | {dependent:.3f} | {within} | {left} |", flush=True)
    error = np.sqrt(0.05 * 0.95 / simulations)
    print(f"\nMonte-Carlo standard error at .05: {error:.4f}; .05 + 2 of them: {0.05 + 2 * error:.4f}\n")


def uniformity(n: int, responders: int, shuffles: int, permutations: int) -> None:
    """Shuffle the labels of one data set many times: p must be uniform."""
    print(f"Labels shuffled {shuffles:,} times: Kolmogorov-Smirnov p of the dependence p-values against uniform\n")
    print("| levels | KS p, dependence | share p <= .05 | share omnibus p <= .05 |")
    print("|---|---|---|---|")
    group = np.arange(n) < responders
    for family in SHAPES:
        generator = np.random.default_rng(7)
        level = family.draw(generator, n_yes=responders, n_no=n - responders, size=1, shift=0.0)[:, 0]
        shuffled = np.stack([generator.permutation(level) for _ in range(shuffles)], axis=1)
        found = marginal_permutation(shuffled, group, n_permutations=permutations, rng=11)
        # a discrete level repeats p-values: spread each over its own step before comparing with the uniform
        spread = found.p - generator.random(shuffles) * _steps(found.p)
        ks = kstest(spread, "uniform").pvalue
        shares = f"{(found.p <= 0.05).mean():.3f} | {(found.p_energy <= 0.05).mean():.3f}"
        print(f"| {family.name}: {family.label} | {ks:.3f} | {shares} |")


def _steps(p: np.ndarray) -> np.ndarray:
    """Height of the step that each p-value stands on: its distance from the next smaller one."""
    values = np.unique(p)
    below = np.concatenate([[0.0], values[:-1]])
    return np.asarray((values - below)[np.searchsorted(values, p)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=52)
    parser.add_argument("--responders", type=int, default=19)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--permutations", type=int, default=1999)
    options = parser.parse_args()
    start = time.process_time()
    characteristics(options.n, options.responders, options.simulations, options.permutations)
    uniformity(options.n, options.responders, 1000, options.permutations)
    print(f"\n{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
