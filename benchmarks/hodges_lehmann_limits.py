"""Hodges-Lehmann limits against the definition by brute force: small whole and decimal numbers, ties and zeros.

    python benchmarks/hodges_lehmann_limits.py [--sets 2000]

Half of the sets are one sample of 6 to 10 differences, half two samples of 3 to 7 values; each value is whole, or has
one or two decimals, so that many are tied and many are zero. Prints how many limits differ from tests/oracles.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from biomarkers.stats.paired import hodges_lehmann_paired
from biomarkers.stats.shift import hodges_lehmann
from tests.oracles.hodges_lehmann import one_sample, two_samples


def texts(rng: np.random.Generator, n: int) -> list[str]:
    """Draw decimal numbers as text."""
    decimals = int(rng.integers(0, 3))
    reach = int(rng.choice([3, 12, 60])) * 10**decimals
    return [f"{value / 10**decimals:.{decimals}f}" for value in rng.integers(-reach // 2, reach, n)]


def compare(sets: int, *, seed: int = 0) -> dict[str, int]:
    """Count sets whose limits differ, and how many had ties, zeros and an outermost limit."""
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(("sets", "with ties", "wrong", "infinite"), 0)
    for k in range(sets):
        if k % 2:
            x = texts(rng, int(rng.integers(6, 11)))
            made, wanted = hodges_lehmann_paired(list(map(float, x))), one_sample(x)
            tied = len({abs(float(text)) for text in x}) < len(x)
        else:
            x, y = texts(rng, int(rng.integers(4, 8))), texts(rng, int(rng.integers(4, 8)))
            made, wanted = hodges_lehmann(list(map(float, x)), list(map(float, y))), two_samples(x, y)
            tied = len(set(x) | set(y)) < len(x) + len(y)
        found["sets"] += 1
        found["with ties"] += tied
        found["infinite"] += not np.isfinite([made.low, made.high]).all()
        found["wrong"] += not np.allclose((made.low, made.high), wanted, atol=1e-9)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000)
    print(compare(parser.parse_args().sets))
