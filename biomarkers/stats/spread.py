"""Do two groups spread differently about a common middle? Ansari and Bradley's rank test, and its scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.stats._checks import binary, labels, same_length, sample
from biomarkers.stats.results import Test, undefined_test

_NAME = "Ansari-Bradley test of spread"


def ansari_bradley(level: Any, group: Any, *, strata: Any = None) -> Test:
    """Test whether one group lies nearer the middle of all levels than the other (an inverted or an upright U).

    Parameters
    ----------
    level, group
        (n,) levels, and yes/no a patient.
    strata
        (n,) labels: ranks are taken, and patients are exchanged, within strata only.

    Returns
    -------
    The statistic is z by the permutation moments, positive when the group lies nearer the middle; two-sided normal p.

    References
    ----------
    Ansari AR, Bradley RA. Ann Math Stat 1960;31:1174-1189.

    Examples
    --------
    >>> round(ansari_bradley([1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 1, 1, 1, 1, 0, 0]).p, 3)
    0.008
    """
    values, yes = sample(level, name="level"), binary(group)
    same_length(values, yes, names=("level", "group"))
    block = None if strata is None else labels(strata)
    z = spread_z(values[:, None], yes, strata=block)[0]
    method = _NAME if block is None else f"{_NAME}, {block.max() + 1} strata"
    if math.isnan(z):
        return undefined_test(n=values.size, method=method, note="one group is empty, or all levels are equally far out")
    return Test(float(z), math.erfc(abs(z) / math.sqrt(2)), values.size, f"{method}, asymptotic two-sided")


def spread_z(levels: np.ndarray, group: np.ndarray, *, strata: np.ndarray | None = None) -> np.ndarray:
    """Ansari-Bradley z of every column: (k,), NaN where it is undefined.

    Parameters
    ----------
    levels, group
        (n, k) finite levels; (n,) bool.
    strata
        (n,) stratum numbers, or None.
    """
    from biomarkers.stats.permutation import linear_moments

    scores = np.empty(levels.shape)
    for block in [np.arange(len(levels))] if strata is None else [strata == s for s in np.unique(strata)]:
        scores[block] = folded_ranks(levels[block])
    mean, variance = linear_moments(scores, group, strata)
    with np.errstate(divide="ignore", invalid="ignore"):
        z: np.ndarray = (scores[group].sum(axis=0) - mean) / np.sqrt(np.where(variance > 1e-12, variance, np.nan))
    return z


def folded_ranks(levels: np.ndarray) -> np.ndarray:
    """Distance of every mid-rank from the nearer end, over the number of patients plus one: (n, k)."""
    from scipy.stats import rankdata

    ranks = rankdata(levels, axis=0)
    folded: np.ndarray = np.minimum(ranks, len(levels) + 1 - ranks) / (len(levels) + 1)
    return folded
