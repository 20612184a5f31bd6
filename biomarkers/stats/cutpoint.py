"""Searched cut-points: the maximally selected statistic and the approximations of its p-value.

A cut chosen because it separates best has a type I error of about .35 at a nominal .05. The published approximations
disagree with each other by a factor of three on one data set: verdicts use the permutation p, these are here to
reproduce papers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, IntArray, choice, labels, same_length, sample
from biomarkers.stats.results import Test

APPROXIMATIONS = ("lausen-1992", "lausen-1994", "gauss", "hothorn-lausen")
_NODES = 400


@dataclass(frozen=True, slots=True, eq=False)
class CutSearch:
    """Every admissible cut ("level <= cut") with its standardised statistic, (k,) each, and the best of them."""

    cuts: Array
    below: IntArray
    z: Array
    best_cut: float
    statistic: float
    n: int


def search_cuts(level: Any, scores: Any, *, low: float = 0.1, high: float = 0.9, strata: Any = None) -> CutSearch:
    """Standardise the score sum below each cut and find the largest.

    Parameters
    ----------
    level
        Levels a patient, (n,).
    scores
        What is compared, (n,): response 0/1, ranks, log-rank scores.
    low, high
        Least and largest share of patients below an admissible cut.
    strata
        (n,) labels: the sum below each cut is compared with its mean and variance when scores change places within
        strata.

    References
    ----------
    Miller R, Siegmund D. Biometrics 1982;38:1011-1016. Lausen B, Schumacher M. Biometrics 1992;48:73-85.
    """
    x, y = sample(level, name="level"), sample(scores, name="scores")
    same_length(x, y, names=("level", "scores"))
    n = x.size
    if np.ptp(y) == 0:
        raise DataError("the scores are constant", where="scores", seen=float(y[0]))
    order = np.argsort(x, kind="stable")
    block = _blocks(strata, n)[order]
    x, y = x[order], y[order]
    below = np.flatnonzero(np.diff(x) > 0) + 1
    below = below[(below >= math.floor(n * low)) & (below <= math.floor(n * high))]
    if below.size == 0:
        raise DataError(
            "no cut leaves enough patients on both sides", where="level", seen=f"{np.unique(x).size} distinct levels"
        )
    mean, variance = _moments(np.arange(n)[None, :] < below[:, None], y, block)
    if (variance <= 0).all():
        raise DataError("no cut divides the patients of a stratum", where="strata", seen=f"{block.max() + 1} strata")
    gap = np.cumsum(y)[below - 1] - mean
    z = np.where(variance > 0, gap / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)
    best = int(np.flatnonzero(np.abs(z) >= np.abs(z).max() * (1 - 1e-12))[0])
    return CutSearch(x[below - 1], below.astype(np.int64), z, float(x[below[best] - 1]), float(np.abs(z[best])), n)


def max_selected(level: Any, scores: Any, *, approximation: str = "gauss", low: float = 0.1, high: float = 0.9) -> Test:
    """Test the best of all cuts by a published approximation.

    Parameters
    ----------
    level, scores, low, high
        As in `search_cuts`.
    approximation
        ``"gauss"`` (normal vector with the true correlations, integrated), ``"lausen-1992"`` (continuous bridge),
        ``"lausen-1994"`` (improved Bonferroni) or ``"hothorn-lausen"`` (bound on the exact distribution, P(M > m), as
        R's maxstat computes it: score sums of zero are left out there).

    Returns
    -------
    The statistic is the largest absolute z.

    References
    ----------
    Lausen B, Schumacher M. Biometrics 1992;48:73-85. Lausen B, Sauerbrei W, Schumacher M. In: Computational Statistics,
    1994. Hothorn T, Lausen B. Comput Stat Data Anal 2003;43:121-137.
    """
    choice(approximation, APPROXIMATIONS, name="approximation")
    found = search_cuts(level, scores, low=low, high=high)
    b, m, n = found.statistic, found.below, found.n
    if approximation == "lausen-1992":
        p = _lausen_1992(b, low, high)
    elif approximation == "lausen-1994":
        p = _lausen_1994(b, m, n)
    elif approximation == "gauss":
        p = _gauss(b, m, n)
    else:
        p = _hothorn_lausen(b, m, sample(scores, name="scores"))
    note = f"best cut at {found.best_cut:g} of {m.size}; an approximation, verdicts use the permutation p"
    if p <= 0:
        note = f"{note}; the bound is zero here: no p-value"
        return Test(b, math.nan, n, f"maximally selected statistic, {approximation} approximation", note)
    return Test(b, min(p, 1.0), n, f"maximally selected statistic, {approximation} approximation", note)


def max_selected_permutation(
    level: Any,
    scores: Any,
    *,
    n_permutations: int = 99_999,
    rng: int | np.random.Generator = 0,
    low: float = 0.1,
    high: float = 0.9,
    strata: Any = None,
) -> Test:
    """Test the best of all cuts by permuting the scores and searching every cut again, p = (b + 1) / (B + 1).

    Parameters
    ----------
    level, scores, low, high
        As in `search_cuts`.
    n_permutations, rng
        B and the seed.
    strata
        (n,) labels; scores change places within strata only.

    Returns
    -------
    The statistic is the largest absolute z.

    References
    ----------
    Hothorn T, Zeileis A. Biometrics 2008;64:1263-1269.
    """
    found = search_cuts(level, scores, low=low, high=high, strata=strata)
    if n_permutations < 1:
        raise DataError("too few permutations", where="n_permutations", seen=n_permutations, allowed="1 or more")
    x, y = sample(level, name="level"), sample(scores, name="scores")
    block = _blocks(strata, x.size)
    # the scores are shuffled in their own order, so the p depends on the data's content and not on the patients' order
    order = np.lexsort((y, x, block))
    x, y, block = x[order], y[order], block[order]
    below = x[None, :] <= found.cuts[:, None]
    variance = _moments(below, y, block)[1]
    usable = variance > 0
    share = np.stack([below[:, block == s].mean(axis=1) for s in range(int(block.max()) + 1)], axis=1)
    weights = ((below - share[:, block]) / np.sqrt(np.where(usable, variance, 1.0))[:, None])[usable]
    generator = np.random.default_rng(rng)
    parts, hits = [np.sort(y[block == s]) for s in range(int(block.max()) + 1)], 0
    for start in range(0, n_permutations, 2000):
        rows = min(2000, n_permutations - start)
        drawn = [generator.permuted(np.repeat(part[None, :], rows, axis=0), axis=1) for part in parts]
        shuffled = drawn[0] if len(drawn) == 1 else np.concatenate(drawn, axis=1)
        hits += int((np.abs(shuffled @ weights.T).max(axis=1) >= found.statistic - 1e-9).sum())
    note = f"best cut at {found.best_cut:g} of {found.cuts.size}"
    where = "" if strata is None else " within strata"
    method = f"maximally selected statistic, permutation test{where}, B = {n_permutations:,}"
    return Test(found.statistic, (hits + 1) / (n_permutations + 1), found.n, method, note)


def _blocks(strata: Any, n: int) -> IntArray:
    block: IntArray = np.zeros(n, dtype=np.int64) if strata is None else labels(strata)
    same_length(np.empty(n), block, names=("level", "strata"))
    return block


def _moments(below: np.ndarray, y: Array, block: IntArray) -> tuple[Array, Array]:
    """Mean and variance of the score sum below each cut, (k,), when scores change places within blocks."""
    mean, variance = np.zeros(len(below)), np.zeros(len(below))
    for stratum in range(int(block.max()) + 1):
        inside = block == stratum
        part, n = y[inside], int(inside.sum())
        m = below[:, inside].sum(axis=1)
        mean += m / n * part.sum()
        if n > 1:
            variance += m * (n - m) / (n * (n - 1)) * float(((part - part.mean()) ** 2).sum())
    return mean, variance


def _lausen_1992(b: float, low: float, high: float) -> float:
    if b <= 0:
        return 1.0
    density = math.exp(-b * b / 2) / math.sqrt(2 * math.pi)
    return 4 * density / b + density * (b - 1 / b) * math.log(high * (1 - low) / ((1 - high) * low))


def _lausen_1994(b: float, m: IntArray, n: int) -> float:
    tail = math.erfc(b / math.sqrt(2))
    one, two = m[:-1].astype(float), m[1:].astype(float)
    t = np.sqrt(1 - one * (n - two) / ((n - one) * two))
    steps = math.exp(-b * b / 2) / math.pi * (t - (b * b / 4 - 1) * t**3 / 6)
    return tail + float(steps.sum())


def _gauss(b: float, m: IntArray, n: int) -> float:
    """P(max |Z| >= b) of the bridge at these cuts: neighbours suffice (a Markov chain), so one integral a step."""
    from scipy.special import ndtr

    if m.size == 1:
        return math.erfc(b / math.sqrt(2))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    z, w = nodes * b, weights * b
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    for one, two in zip(m[:-2].astype(float), m[1:-1].astype(float), strict=True):
        rho = math.sqrt(one * (n - two) / ((n - one) * two))
        spread = math.sqrt(1 - rho * rho)
        step = np.exp(-(((z[:, None] - rho * z[None, :]) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi))
        density = step @ (w * density)
    one, two = float(m[-2]), float(m[-1])
    rho = math.sqrt(one * (n - two) / ((n - one) * two))
    spread = math.sqrt(1 - rho * rho)
    inside = ndtr((b - rho * z) / spread) - ndtr((-b - rho * z) / spread)
    return 1 - float((w * density * inside).sum())


def _hothorn_lausen(b: float, m: IntArray, scores: Array) -> float:
    """Bound P(max |Z| > b): each cut's exceedance, less paths that exceeded one patient earlier and cannot return.

    Sums of zero are left out and b itself does not count, as in R's maxstat: this exists to reproduce its values.
    """
    whole = whole_scores(scores)
    n, top = whole.size, int(whole.sum())
    if float(n) * n * (top + 1) > 2e9:
        raise DataError("the scores are too fine for this bound", where="scores", seen=top)
    chance = _subset_chances(whole)
    size = np.arange(n + 1)
    mean = size / n * top
    variance = size * (n - size) / (n**2 * (n - 1)) * (n * float((whole.astype(float) ** 2).sum()) - top**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(np.arange(top + 1)[None, :] - mean[:, None]) / np.sqrt(variance)[:, None]
    chance[:, 0] = 0.0
    far[chance == 0] = 0.0
    far[[0, n]] = 0.0
    exceeds = far > b * (1 + 1e-9)
    mass = (chance * exceeds).sum(axis=1)
    largest = int(whole.max())
    for i in range(int(m.min()), n - 1):
        states = np.flatnonzero(exceeds[i])
        low = states[states < mean[i]]
        low = low[low + largest <= top]
        stay = low[exceeds[i + 1, low + largest]]
        high = states[states > mean[i]]
        stay_high = high[exceeds[i + 1, high]]
        mass[i + 1] -= float(chance[i, stay].sum() + chance[i, stay_high].sum())
    return float(mass[m].sum())


def whole_scores(scores: Array) -> IntArray:
    """Whole-number scores as the authors make them: doubled mid-ranks, or real scores spread over 0..n."""
    fraction = scores - np.floor(scores)
    if (fraction == 0).all():
        made = scores
    elif (fraction[fraction != 0] == 0.5).all():
        made = 2 * scores
    else:
        made = np.round((scores - scores.min()) * scores.size / (scores - scores.min()).max())
    return np.asarray(made - made.min(), dtype=np.int64)


def _subset_chances(whole: IntArray) -> Array:
    """P(sum of a random subset of each size = s), (n + 1, total + 1)."""
    from scipy.special import gammaln

    n, top = whole.size, int(whole.sum())
    counts = np.zeros((n + 1, top + 1))
    counts[0, 0] = 1.0
    for taken, score in enumerate(np.sort(whole)):
        counts[1 : taken + 2, score:] += counts[: taken + 1, : top + 1 - score].copy()
    size = np.arange(n + 1)
    log_ways = gammaln(n + 1) - gammaln(size + 1) - gammaln(n - size + 1)
    return np.asarray(counts * np.exp(-log_ways)[:, None], dtype=np.float64)
