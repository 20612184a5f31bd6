"""How often a pattern that is not monotone is called independent, and what the gates cost when nothing is going on.

    python benchmarks/u_shapes.py [--trials 2000] [--permutations 399]

Every cohort is simulated. Inverted and upright U twice: responders vary a third (strong) or half (mild) as much as
others, three times or twice as much; and response rates by third of the levels. The rule is
`biomarkers.relate.power.simulated_verdicts`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from biomarkers.relate.families import Family
from biomarkers.relate.power import simulated_verdicts

SIZES = ((52, 19), (200, 73))
MARGINS = (0.15, 0.20)
Draw = Callable[[np.random.Generator, int, int, int], np.ndarray]


def spread(ratio: float) -> Draw:
    family = Family("unequal-variance", spread=ratio)
    return lambda generator, yes, no, size: family.draw(generator, n_yes=yes, n_no=no, size=size, shift=0.0)


def thirds(low: float, middle: float, high: float) -> Draw:
    """Give response rates by third of the levels; cohorts with another number of responders are drawn again."""

    def draw(generator: np.random.Generator, yes: int, no: int, size: int) -> np.ndarray:
        n, made = yes + no, np.empty((yes + no, size))
        for j in range(size):
            level = generator.normal(size=n)
            place = np.minimum((rankdata(level) - 0.5) / n * 3, 2.999).astype(int)
            rate = np.array([low, middle, high])[place]
            responder = np.zeros(n, dtype=bool)
            while responder.sum() != yes:
                responder = generator.random(n) < rate * yes / (n * np.mean([low, middle, high]))
            made[:, j] = np.concatenate([level[responder], level[~responder]])
        return made

    return draw


SHAPES: dict[str, Draw] = {
    "none": spread(1.0),
    "inverted, strong: responders vary a third as much": spread(1 / 3),
    "upright, strong: three times": spread(3.0),
    "inverted, mild: half as much": spread(0.5),
    "upright, mild: twice": spread(2.0),
    "inverted by third: .25, .60, .25": thirds(0.25, 0.60, 0.25),
    "upright by third: .50, .12, .50": thirds(0.50, 0.12, 0.50),
    "inverted by third: .30, .50, .30": thirds(0.30, 0.50, 0.30),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--permutations", type=int, default=399)
    options = parser.parse_args()
    heads = [f"n {n}, within {margin:.2f}" for n, _ in SIZES for margin in MARGINS]
    print(f"{options.trials:,} cohorts a cell, B = {options.permutations}: share called independent\n")
    print("| pattern | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * len(heads))
    for seed, (name, draw) in enumerate(SHAPES.items()):
        cells = []
        for n, yes in SIZES:
            generator = np.random.default_rng([seed, n])
            drawn = draw(generator, yes, n - yes, options.trials)
            found = simulated_verdicts(
                drawn, yes, margins=MARGINS, n_permutations=options.permutations, rng=int(generator.integers(2**31))
            )
            cells += [f"{np.mean(np.array(found[margin]) == 'independent_within_margin'):.3f}" for margin in MARGINS]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
