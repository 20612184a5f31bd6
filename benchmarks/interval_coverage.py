"""How often 95% intervals of the concordance hold the true value: graded, continuous and time outcomes, few patients.

    python benchmarks/interval_coverage.py [--trials 2000]

Every cohort is simulated: a level, continuous or with 40% tied at the bottom; an outcome that follows it not at all,
some or much, in four ordered classes (40, 25, 25, 10%), continuous, or a time of which about 30 or 60% is censored. The
true value is that of 60,000 patients drawn the same way.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import ndtri

from biomarkers.relate.outcomes import intervals
from biomarkers.stats.rank_concordance import concordance_interval

SIZES = (15, 20, 52)
SLOPES = (0.0, 0.4, 1.0)
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def draw(generator: np.random.Generator, n: int, kind: str, slope: float, *, tied: bool) -> Drawn:
    x = generator.normal(size=n)
    shown = np.maximum(x, ndtri(0.4)) if tied else x
    if kind.startswith("time"):
        time = generator.exponential(size=n) * np.exp(slope * x)
        limit = generator.exponential(size=n) * (2.3 if kind == "time, 30% censored" else 0.67)
        return shown, np.minimum(time, limit), time <= limit
    y = slope * x + generator.normal(size=n)
    if kind == "ordered":
        y = np.searchsorted(np.sqrt(1 + slope**2) * ndtri([0.4, 0.65, 0.9]), y).astype(float)
    return shown, y, None


def truth(kind: str, slope: float, *, tied: bool) -> float:
    parts = [draw(np.random.default_rng([7, at]), 3000, kind, slope, tied=tied) for at in range(20)]
    return float(np.mean([concordance_interval(x, y, event).value for x, y, event in parts]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--only", default="", help="Outcomes whose name begins so.")
    options = parser.parse_args()
    error = np.sqrt(0.95 * 0.05 / options.trials)
    print(f"{options.trials:,} cohorts a cell; Monte Carlo error {error:.4f}\n")
    print("| outcome | level | concordance | " + " | ".join(f"n {n}" for n in SIZES) + " |")
    print("|---|---|---|" + "---|" * len(SIZES))
    for kind in ("ordered", "continuous", "time, 30% censored", "time, 60% censored"):
        if not kind.startswith(options.only):
            continue
        for slope in SLOPES:
            for tied in (False, True):
                true, cells = truth(kind, slope, tied=tied), []
                for n in SIZES:
                    generator = np.random.default_rng([n, int(10 * slope), tied])
                    held = [intervals(*draw(generator, n, kind, slope, tied=tied))[0] for _ in range(options.trials)]
                    made = [one for one in held if not np.isnan(one.low)]  # none where fewer than six tell
                    cells.append(f"{np.mean([one.low <= true <= one.high for one in made]):.3f}")
                print(
                    f"| {kind} | {'40% tied' if tied else 'no ties'} | {true:.3f} | " + " | ".join(cells) + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
