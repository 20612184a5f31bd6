"""Speed of relate on simulated levels: one marker, 50 markers, and a screen of 20,000 genes.

    python benchmarks/bench_relate.py

Each line gives wall and CPU seconds, after imports and compilation. Where R and its package ``coin`` are on the machine
the same test of one marker runs there too, and the ratio is given.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from biomarkers.relate import relate
from biomarkers.relate.screen import screen
from biomarkers.stats.linear import midranks
from biomarkers.stats.permutation import linear_permutation, permutation_test

N, RESPONDERS = 52, 19
B, REPEATS = 99_999, 10
# Wilcoxon's statistic by so many random relabellings; the time of one call once the package is loaded
IN_COIN = """
suppressMessages(library(coin)); set.seed(1)
x <- c({values}); g <- factor(rep(c("yes", "no"), c({yes}, {no})), levels = c("yes", "no"))
one <- function() pvalue(wilcox_test(x ~ g, distribution = approximate(nresample = {b})))
p <- one(); t <- system.time(for (i in 1:{repeats}) p <- one())
cat(p, (t[["user.self"]] + t[["sys.self"]]) / {repeats})
"""


def timed(name: str, run: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    print(f"{name:60s} {time.perf_counter() - wall:7.2f} s wall {time.process_time() - cpu:7.2f} s CPU", flush=True)


def cpu_of(run: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(REPEATS):
        run()
    return (time.process_time() - start) / REPEATS


def against_coin(level: np.ndarray) -> None:
    """Time one marker's permutation test here and in R's coin, when R is there."""
    if shutil.which("Rscript") is None:
        print("R is not on this machine: no ratio to coin")
        return
    code = IN_COIN.format(values=", ".join(map(str, level)), yes=RESPONDERS, no=N - RESPONDERS, b=B, repeats=REPEATS)
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"R's coin did not run: {done.stderr.strip().splitlines()[-1:]}")
        return
    p, theirs = (float(word) for word in done.stdout.split())
    group = np.arange(N) < RESPONDERS
    print(f"{'R coin, Wilcoxon, one marker, 99,999 permutations':60s} {theirs:7.3f} s CPU, p {p:.3f}")
    for name, test in {
        "here, the same statistic": lambda: linear_permutation(midranks(level), group, n_permutations=B),
        "here, the studentised statistic of the verdict": lambda: permutation_test(
            level[group], level[~group], n_permutations=B
        ),
    }.items():
        ours = cpu_of(test)
        print(f"{name:60s} {ours:7.3f} s CPU, p {test().p:.3f}: {ours / theirs:.1f} times coin's time")


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
    against_coin(table[names[0]].to_numpy())


if __name__ == "__main__":
    main()
