"""Are the figures of `biomarkers power` true? Twelve designs against cohorts drawn and judged independently.

    python benchmarks/power_check.py [--cohorts 2000] [--families 1000] [--permutations 1999]

The independent simulation draws its own levels (by scipy's distributions). A biomarker alone is tested by permutations
that stop once p is known to lie above .05; a family by `biomarkers.relate.permuted.binary_tests`, each biomarker with
its own level, in as many cohorts as --families says. Independence is judged by `biomarkers.relate.judgement.judge`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from biomarkers.core.keys import INDEPENDENT_WITHIN_MARGIN
from biomarkers.relate.families import Family
from biomarkers.relate.judgement import judge
from biomarkers.relate.missing import Missing
from biomarkers.relate.permuted import BinaryTests, binary_tests
from biomarkers.relate.power import power
from biomarkers.relate.power_statistics import permuted_p

ALPHA = 0.05
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


def dependent(family: Family, yes: int, no: int, theta: float, k: int, cohorts: int, n: int, seed: int) -> float:
    """Share of cohorts in which the first of k biomarkers is called dependent."""
    generator, draw = np.random.default_rng(seed), own_levels(family, yes, no, theta, k)
    if k == 1:
        levels = np.concatenate([draw(generator) for _ in range(cohorts)], axis=1)
        return float((permuted_p(levels, yes, n_permutations=n, alpha=ALPHA, rng=seed)[0] <= ALPHA).mean())
    group = np.arange(yes + no) < yes
    made = (binary_tests(draw(generator), group, strata=None, n_permutations=n, seed=run) for run in range(cohorts))
    return float(np.mean([found.p_adjusted[0] <= ALPHA for found in made]))


def independent(family: Family, yes: int, no: int, margin: float, cohorts: int, n: int, seed: int) -> float:
    """Share of cohorts without any association that the rule itself calls independent."""
    generator, draw = np.random.default_rng(seed), own_levels(family, yes, no, 0.5, 1)
    levels = np.concatenate([draw(generator) for _ in range(cohorts)], axis=1)
    group, seen = np.arange(yes + no) < yes, []
    p, p_energy = permuted_p(levels, yes, n_permutations=n, alpha=ALPHA, rng=seed)
    for level, one, omnibus in zip(levels.T, p, p_energy, strict=True):
        tests = BinaryTests(np.nan, float(one), float(one), np.nan, float(omnibus), n, 1, stratified=False)
        found = judge(level, group, None, tests, margin=margin, alpha=ALPHA, missing=Missing.of(level, group, None))
        seen.append(not isinstance(found, str) and found.verdict.verdict == INDEPENDENT_WITHIN_MARGIN)
    return float(np.mean(seen))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=2000)
    parser.add_argument("--families", type=int, default=1000, help="Cohorts where p is adjusted over a family.")
    parser.add_argument("--permutations", type=int, default=1999)
    options = parser.parse_args()
    print(f"{options.cohorts:,} cohorts ({options.families:,} of families), B = {options.permutations}\n")
    heads = ("n (responders), levels, biomarkers", "dependent at .70: stated / seen", "apart, in errors")
    print("| " + " | ".join((*heads, "least AUC: its power", "n needed within .20: its power")) + " |")
    print("|---|---|---|---|---|", flush=True)
    for at, (n, yes, family, k) in enumerate(DESIGNS):
        said = power(n, n_responders=yes, thetas=(0.7,), margins=(0.2,), levels=family, n_biomarkers=k, rng=at)
        row, seed = said.characteristics.iloc[0], 1000 + at
        cohorts = options.cohorts if k == 1 else options.families
        stated = float(row["dependent"] + row["dependent_within_margin"])
        seen = dependent(family, yes, n - yes, 0.7, k, cohorts, options.permutations, seed)
        error = np.sqrt(stated * (1 - stated) / said.settings["n_simulations"] + seen * (1 - seen) / cohorts)
        least, found = "none", said.min_detectable_auc
        if not np.isnan(found):
            least = f"{found:.3f}: {dependent(family, yes, n - yes, found, k, cohorts, options.permutations, seed):.3f}"
        needed, least_n = said.table["n_needed"].iloc[0], "none"
        if not np.isnan(needed):
            big = round(needed * yes / n)
            share = independent(family, big, int(needed) - big, 0.2, options.cohorts, options.permutations, seed)
            least_n = f"{needed:.0f}: {share:.3f}"
        apart = f"{(seen - stated) / error:+.1f}"
        design = f"{n} ({yes}), {family.label}, {k}"
        print(f"| {design} | {stated:.3f} / {seen:.3f} | {apart} | {least} | {least_n} |", flush=True)


if __name__ == "__main__":
    main()
