"""Does the 90% interval of the AUC corrected for measurement error hold the AUC of the level in the tumour?

    python benchmarks/measurement_error.py [--cohorts 2000] [--out FILE.csv]

Every cohort is simulated: a true level with a planted AUC, and one measurement of it, with a reliability within
response groups of .4, .6 or .8 that is known, or estimated from second measurements of 20 patients or of all. Shapes:

- normal, error even on that scale. A log-normal level whose error is even on the log scale is the same by construction:
  the AUC and the reliability on normal scores do not change under increasing transformations.
- log-normal, additive: the error is even on the raw scale, where the level is log-normal. The assumption fails.
- pile at 0: true and measured level are cut off at the bottom with 40% of the patients there (as TPS). It fails, too.

Coverage: share of cohorts with a corrected AUC whose 90% interval holds the true one. "stands": the corrected
interval lies inside the margin of .15, which is false when the true AUC is .65, on the margin. The intervals are those
of the package, worked out for all cohorts at once; three of each cell are held to the package's own functions.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import fdtri, ndtr, ndtri
from scipy.stats import rankdata
from tqdm import tqdm

from biomarkers.relate.power_search import rank_statistics
from biomarkers.stats.measurement_error import corrected_auc
from biomarkers.stats.reliability import one_way_reliability
from biomarkers.stats.results import Estimate

SIZES = ((52, 19), (200, 70))
RELIABILITIES, AUCS, MARGIN = (0.4, 0.6, 0.8), (0.5, 0.65, 0.8), 0.15
SHAPES = ("normal", "log-normal, additive error", "pile at 0")
KNOWN, TWENTY, ALL = "known", "duplicates of 20", "duplicates of all"
Z90, NODES = float(ndtri(0.95)), 401


class Cohorts(NamedTuple):
    """Two measurements of each patient, (n, k) each, responders first."""

    one: np.ndarray
    two: np.ndarray


def planted_shift(shape: str, theta: float) -> float:
    """Shift of the responders' latent level at which the true level has the AUC."""
    if shape != "pile at 0" or theta == 0.5:
        return math.sqrt(2) * float(ndtri(theta))
    cut, grid = float(ndtri(0.4)), np.linspace(-9, 14, 40_001)
    edges = grid[grid > cut]

    def auc(shift: float) -> float:
        no = np.diff(np.concatenate([[0.0], ndtr(edges), [1.0]]))
        yes = np.diff(np.concatenate([[0.0], ndtr(edges - shift), [1.0]]))
        return float(yes @ (np.cumsum(no) - no / 2))

    return float(brentq(lambda s: auc(s) - theta, -8, 8))


def draw(
    rng: np.random.Generator, shape: str, n: int, yes: int, size: int, reliability: float, theta: float
) -> Cohorts:
    true = rng.standard_normal((n, size))
    true[:yes] += planted_shift(shape, theta)
    if shape.startswith("log-normal"):
        true = np.exp(true)
        within = (np.exp(1.0) - 1) * np.exp(1.0) * (1 + np.exp(2 * planted_shift(shape, theta))) / 2
    else:
        within = 1.0
    error = math.sqrt(within * (1 - reliability) / reliability)
    seen = [true + error * rng.standard_normal((n, size)) for _ in range(2)]
    if shape == "pile at 0":
        bottom = np.quantile(seen[0], 0.4, axis=0)
        seen = [np.maximum(one, bottom) for one in seen]
    return Cohorts(*seen)


def one_way(cohorts: Cohorts, yes: int, twice: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate and nodes of the reliability of each cohort, as `one_way_reliability` on normal scores: (k,), (m, k)."""
    n, _size = cohorts.one.shape
    both = np.concatenate([cohorts.one, cohorts.two[twice]])
    scores = ndtri(rankdata(both, axis=0) / (len(both) + 1))
    one, two = scores[:n], scores[n:]
    means = one.copy()
    means[twice] = (one[twice] + two) / 2
    df_error = int(twice.sum())
    error = ((one[twice] - two) ** 2).sum(axis=0) / 2 / df_error
    groups = [slice(0, yes), slice(yes, n)]
    variances = np.stack([means[g].var(axis=0, ddof=1) for g in groups])
    dfs = np.array([yes - 1, n - yes - 1])[:, None]
    df = variances.sum(axis=0) ** 2 / (variances**2 / dfs).sum(axis=0)
    harmonic = 1 / np.mean([(1 / (1 + twice[g])).mean() for g in groups])
    f = harmonic * variances.mean(axis=0) / error
    p = (np.arange(NODES) + 0.5) / NODES
    quotient = f / f_quantiles(1 - p, df, df_error)
    return (f - 1) / (f + harmonic - 1), (quotient - 1) / (quotient + harmonic - 1), scores


def f_quantiles(p: np.ndarray, df: np.ndarray, df_error: int) -> np.ndarray:
    """Quantiles of F for every cohort's degrees of freedom, (m, k), between 80 tabulated ones."""
    grid = np.linspace(1 / df.max(), 1 / df.min() + 1e-9, 80)
    table = fdtri(1 / grid[None, :], df_error, p[:, None])
    place = np.clip(((1 / df - grid[0]) / (grid[1] - grid[0])).astype(int), 0, 78)
    part = (1 / df - grid[place]) / (grid[1] - grid[0])
    return np.asarray(table[:, place] * (1 - part) + table[:, place + 1] * part)


def chances(centre: np.ndarray, falls: np.ndarray, rises: np.ndarray, nodes: np.ndarray, at: float) -> np.ndarray:
    """Confidence that the true probit lies at or below ``at``, each cohort."""
    off = at * np.sqrt(np.maximum(nodes, 0)) - centre
    return np.asarray(ndtr(off / np.where(off < 0, falls, rises)).mean(axis=0))


def cell(rng: np.random.Generator, shape: str, n: int, yes: int, size: int, r: float, theta: float) -> list[dict]:
    cohorts = draw(rng, shape, n, yes, size, r, theta)
    seen = rank_statistics(cohorts.one, yes)
    usable = (seen.theta > 0) & (seen.theta < 1) & (seen.error > 1e-9)
    auc, error = seen.theta[usable], seen.error[usable]
    half = Z90 * error / (auc * (1 - auc))
    low, high = (1 / (1 + np.exp(-(np.log(auc / (1 - auc)) + side * half))) for side in (-1, 1))
    centre = ndtri(auc)
    falls, rises = (centre - ndtri(low)) / Z90, (ndtri(high) - centre) / Z90
    edges = [float(ndtri(0.5 - MARGIN)), float(ndtri(0.5 + MARGIN))]
    rows = []
    for source in (KNOWN, TWENTY, ALL):
        if source == KNOWN:
            value, nodes = np.full(auc.size, r), np.full((1, auc.size), r)
        else:
            twice = np.zeros(n, dtype=bool)
            twice[: n if source == ALL else 20] = True
            if source == TWENTY:
                twice = rng.permutation(twice)
            value, nodes, scores = one_way(cohorts, yes, twice)
            value, nodes = value[usable], nodes[:, usable]
            held_to_the_package(scores[:, usable], yes, n, twice, auc, low, high, value, nodes)
        given = value > 0
        parts = (centre[given], falls[given], rises[given], nodes[:, given])
        at = chances(*parts, float(ndtri(theta)))
        inside = (chances(*parts, edges[0]) < 0.05) & (chances(*parts, edges[1]) > 0.95)
        rows.append({
            "shape": shape, "n": n, "responders": yes, "reliability": r, "auc_true": theta, "source": source,
            "cohorts": int(usable.sum()), "no_corrected_auc": float((~given).mean()),
            "coverage": float(((at > 0.05) & (at < 0.95)).mean()), "stands": float(inside.sum() / auc.size),
            "measured_inside": float(((low > 0.5 - MARGIN) & (high < 0.5 + MARGIN)).mean()),
            "median_reliability": float(np.median(value)),
        })  # fmt: skip
    return rows


def held_to_the_package(
    scores: np.ndarray, yes: int, n: int, twice: np.ndarray, auc: np.ndarray, low: np.ndarray, high: np.ndarray,
    value: np.ndarray, nodes: np.ndarray,
) -> None:  # fmt: skip
    at = np.flatnonzero(twice)
    for j in range(min(3, auc.size)):
        lists = [[scores[i, j]] for i in range(n)]
        for k, i in enumerate(at):
            lists[i].append(scores[n + k, j])
        found = one_way_reliability(lists, groups=np.arange(n) < yes)
        assert abs(found.value - max(value[j], 0)) < 1e-9
        if found.value <= 0:
            continue
        true = corrected_auc(Estimate(auc[j], low[j], high[j], 0.90, n, ""), reliability=found)
        centre = ndtri(auc[j])
        sides = [np.array([abs(ndtri(limit) - centre) / Z90]) for limit in (low[j], high[j])]
        for limit, p in ((true.low, 0.05), (true.high, 0.95)):
            if 1e-6 < limit < 1 - 1e-6 and limit != true.value:
                got = chances(np.array([centre]), sides[0], sides[1], nodes[:, [j]], float(ndtri(limit)))
                assert abs(got[0] - p) < 0.01, (got, p)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cohorts", type=int, default=2000)
    parser.add_argument("--out")
    asked = parser.parse_args()
    cells = [(s, n, y, r, t) for s in SHAPES for n, y in SIZES for r in RELIABILITIES for t in AUCS]
    rows = []
    for at, (shape, n, yes, r, theta) in enumerate(tqdm(cells)):
        rows += cell(np.random.default_rng([25, at]), shape, n, yes, asked.cohorts, r, theta)
        if asked.out:  # after every cell: what was measured is kept
            pd.DataFrame(rows).to_csv(asked.out, index=False)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
