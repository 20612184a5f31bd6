"""Are two whole distributions alike? Kolmogorov-Smirnov, exact with ties."""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.stats._checks import Array, sample
from biomarkers.stats.results import Test, undefined_test


def kolmogorov_smirnov(x: Any, y: Any) -> Test:
    """Two-sample Kolmogorov-Smirnov test with the exact distribution given the ties.

    scipy's exact p ignores ties and is far too large with many of them.

    Returns
    -------
    The statistic is D, the largest distance between the two distribution functions.

    References
    ----------
    Schroeer G, Trenkler D. Comput Stat Data Anal 1995;20:185-202.
    """
    one, two = sample(x, name="x"), sample(y, name="y")
    pooled = np.sort(np.concatenate([one, two]))
    n = pooled.size
    method = "Kolmogorov-Smirnov test, exact two-sided given the ties"
    if pooled[0] == pooled[-1]:
        return undefined_test(n=n, method=method, note="all values are equal: nothing can be tested")
    last = np.append(np.diff(pooled) > 0, True)
    at = pooled[last]
    share_x = np.searchsorted(np.sort(one), at, side="right") / one.size
    share_y = np.searchsorted(np.sort(two), at, side="right") / two.size
    d = float(np.abs(share_x - share_y).max())
    return Test(d, _reaches(one.size, two.size, d, last), n, method)


def _reaches(m: int, n: int, d: float, last: np.ndarray) -> float:
    """Chance that a random order of m and n values has a distance of at least d where some tie group ends.

    One value at a time: ``mass[i]`` is the chance that i of the first k values came from the first sample without the
    distance having reached d; the next value comes from it with chance (m - i) / (m + n - k).
    """
    mass: Array = np.zeros(m + 1)
    mass[0] = 1.0
    i = np.arange(m + 1)
    reached = 0.0
    for k in range(m + n):
        joins = mass * np.clip((m - i) / (m + n - k), 0.0, 1.0)
        mass = mass - joins
        mass[1:] += joins[:-1]
        if last[k]:
            j = k + 1 - i
            out = (j < 0) | (j > n) | (np.abs(i / m - j / n) >= d - 1e-9)
            reached += float(mass[out].sum())  # summed, not 1 - rest: small p-values keep their digits
            mass[out] = 0.0
    return min(reached, 1.0)
