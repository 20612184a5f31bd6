"""Are the figures of `biomarkers power` true? Twelve designs against cohorts drawn and judged independently.

    python benchmarks/power_check.py [--cohorts 2000] [--permutations 999]

The independent simulation draws its own levels (by scipy's distributions), runs
`biomarkers.relate.permuted.binary_tests` on the whole family, each biomarker with its own level, and
`biomarkers.relate.judgement.judge`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from biomarkers.relate.families import Family
from biomarkers.relate.judgement import judge
from biomarkers.relate.missing import Missing
from biomarkers.relate.permuted import binary_tests
from biomarkers.relate.power import power

DESIGNS = (
    (52, 19, Family(), 1), (52, 19, Family("zero-inflated"), 1), (52, 19, Family("ordinal"), 1),
    (52, 19, Family("unequal-variance"), 1), (80, 10, Family(), 1),
    (80, 10, Family("zero-inflated", zero_share=0.5), 1),
    (200, 20, Family("ordinal", n_levels=3), 1), (120, 60, Family(), 1), (30, 12, Family(), 1), (52, 19, Family(), 20),
    (100, 30, Family("ordinal"), 5), (60, 8, Family("ordinal", n_levels=5), 1),
)  # fmt: skip


def own_levels(family: Family, yes: int, no: int, theta: float, k: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Return what draws (n, k) levels whose first column has the AUC asked for, the others one half."""
    sd = family.spread if family.name == "unequal-variance" else 1.0
    cuts = {
        "zero-inflated": [norm.ppf(family.zero_share)],
        "ordinal": norm.ppf(np.arange(1, family.n_levels) / family.n_levels),
    }

    def shown(latent: np.ndarray) -> np.ndarray:
        if family.name == "zero-inflated":
            return np.where(latent > cuts["zero-inflated"][0], latent, -9.0)
        return np.digitize(latent, cuts["ordinal"]).astype(float) if family.name == "ordinal" else latent

    def auc(shift: float) -> float:
        grid = (np.arange(20_000) + 0.5) / 20_000
        one, two = shown(shift + sd * norm.ppf(grid)), np.sort(shown(norm.ppf(grid)))
        return float((np.searchsorted(two, one, "left") + np.searchsorted(two, one, "right")).mean() / 2 / len(grid))

    shift = 0.0 if theta == 0.5 else brentq(lambda by: auc(by) - theta, -6, 6, xtol=1e-4)

    def draw(generator: np.random.Generator) -> np.ndarray:
        latent = generator.standard_normal((yes + no, k))
        latent[:yes] *= sd
        latent[:yes, 0] += shift
        return shown(latent)

    return draw


def shares(
    family: Family, yes: int, no: int, theta: float, k: int, margin: float, cohorts: int, n: int, seed: int
) -> tuple[float, float]:
    """Share of cohorts in which the first biomarker is called dependent, and independent."""
    generator = np.random.default_rng(seed)
    group, seen = np.arange(yes + no) < yes, []
    draw = own_levels(family, yes, no, theta, k)
    for run in range(cohorts):
        levels = draw(generator)
        tests = binary_tests(levels, group, strata=None, n_permutations=n, seed=run).of(0)
        level = levels[:, 0]
        found = judge(level, group, None, tests, margin=margin, alpha=0.05, missing=Missing.of(level, group, None))
        seen.append("not_testable" if isinstance(found, str) else found.verdict.verdict)
    kinds = np.array(seen)
    return float(np.char.startswith(kinds, "dependent").mean()), float((kinds == "independent_within_margin").mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=1000)
    parser.add_argument("--permutations", type=int, default=999)
    options = parser.parse_args()
    print(f"{options.cohorts:,} cohorts, B = {options.permutations}\n")
    heads = ("n (responders), levels, biomarkers", "dependent at .70: power / independent", "apart, in errors")
    print("| " + " | ".join((*heads, "least AUC: its power", "n needed within .20: its power")) + " |")
    print("|---|---|---|---|---|")
    for seed, (n, yes, family, k) in enumerate(DESIGNS):
        said = power(n, n_responders=yes, thetas=(0.7,), margins=(0.2,), levels=family, n_biomarkers=k, rng=seed)
        row = said.characteristics.iloc[0]
        stated = float(row["dependent"] + row["dependent_within_margin"])
        settings = {"cohorts": options.cohorts, "n": max(options.permutations, 100 * k - 1), "seed": 1000 + seed}
        seen = shares(family, yes, n - yes, 0.7, k, 0.2, **settings)[0]
        error = np.sqrt(stated * (1 - stated) / 2000 + seen * (1 - seen) / options.cohorts)
        found = said.min_detectable_auc
        least = (
            "none"
            if np.isnan(found)
            else f"{found:.3f}: {shares(family, yes, n - yes, found, k, 0.2, **settings)[0]:.3f}"
        )
        needed = said.table["n_needed"].iloc[0]
        least_n = "none"
        if not np.isnan(needed):
            big = round(needed * yes / n)
            least_n = f"{needed:.0f}: {shares(family, big, int(needed) - big, 0.5, 1, 0.2, **settings)[1]:.3f}"
        apart = (seen - stated) / error
        design = f"{n} ({yes}), {family.label}, {k}"
        print(f"| {design} | {stated:.3f} / {seen:.3f} | {apart:+.1f} | {least} | {least_n} |", flush=True)


if __name__ == "__main__":
    main()
