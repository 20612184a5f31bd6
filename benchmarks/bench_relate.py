"""Speed of relate on simulated levels: one marker, 50 markers, and a screen of 20,000 genes.

    python benchmarks/bench_relate.py

Each line gives wall and CPU seconds, after imports and compilation.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from biomarkers.relate import relate
from biomarkers.relate.screen import screen

N, RESPONDERS = 52, 19


def timed(name: str, run: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    print(f"{name:60s} {time.perf_counter() - wall:7.2f} s wall {time.process_time() - cpu:7.2f} s CPU", flush=True)


def main() -> None:
    generator = np.random.default_rng(0)
    words = np.repeat(["PR", "SD"], [RESPONDERS, N - RESPONDERS])
    names = [f"simulated_{i}" for i in range(50)]
    table = pd.DataFrame(np.round(generator.normal(size=(N, 50)), 2), columns=names).assign(response=words)
    relate(table, levels=names[:2], response="response", n_permutations=99)  # compile and import
    timed("one marker, 99,999 permutations, full verdict", lambda: relate(table, levels=names[:1], response="response"))
    timed("50 markers, 99,999 permutations, full verdicts", lambda: relate(table, levels=names, response="response"))
    genes = pd.DataFrame(generator.normal(size=(N, 20_000)))
    timed("20,000 genes, 9,999 permutations, step-down max-T", lambda: screen(genes, words == "PR"))


if __name__ == "__main__":
    main()
