"""Do two groups spread differently about a common middle? Folded ranks, Ansari-Bradley's and Mood's tests."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from biomarkers.stats._checks import binary, labels, same_length, sample
from biomarkers.stats.results import Test, undefined_test

_FLAT = 1e-12
_NODES = 200
_SAME = 1 - 1e-9  # two statistics correlated more than this are one


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
    0.018
    """
    values, yes, block = _checked(level, group, strata)
    z = -spread_statistics(values[:, None], yes, strata=block)[0][0]
    method = _named("Ansari-Bradley test of spread", block)
    if math.isnan(z):
        return undefined_test(n=values.size, method=method, note=_UNDEFINED)
    return Test(float(z), math.erfc(abs(z) / math.sqrt(2)), values.size, f"{method}, asymptotic two-sided")


def folded_ranks(levels: np.ndarray, *, strata: np.ndarray | None = None) -> np.ndarray:
    """Fold mid-ranks about their middle: how far each patient lies from it, |rank - (n + 1) / 2|.

    Whether a group lies nearer the middle or further out shows in the folded ranks as a shift does in the ranks: their
    AUC is Ansari and Bradley's statistic on the scale of an AUC.

    Parameters
    ----------
    levels
        (n,) or (n, k) finite levels.
    strata
        (n,) labels: ranks and middle are those of the stratum.

    Returns
    -------
    Multiples of a half, in the shape of ``levels``; equal distances are equal numbers.

    Examples
    --------
    >>> folded_ranks(np.array([7.0, 1.0, 3.0, 3.0])).tolist()
    [1.5, 1.5, 0.0, 0.0]
    """
    from scipy.stats import rankdata

    if strata is None:
        return np.asarray(np.abs(rankdata(levels, axis=0) - (len(levels) + 1) / 2))
    folded = np.empty(levels.shape)
    for label in np.unique(strata):
        here = strata == label
        folded[here] = folded_ranks(levels[here])
    return folded


def spread_test(level: Any, group: Any, *, strata: Any = None) -> Test:
    """Test of spread with power for steps and for tails: the larger of Ansari-Bradley's and Mood's statistics.

    Parameters
    ----------
    level, group, strata
        As for :func:`ansari_bradley`.

    Returns
    -------
    The statistic is the larger absolute z; p is that of the larger of two correlated normal variables.

    References
    ----------
    Ansari AR, Bradley RA. Ann Math Stat 1960;31:1174-1189. Mood AM. Ann Math Stat 1954;25:514-522.
    """
    values, yes, block = _checked(level, group, strata)
    size, p = spread_p(values[:, None], yes, strata=block)
    method = _named("spread, larger of Ansari-Bradley's and Mood's statistics", block)
    if math.isnan(p[0]):
        return undefined_test(n=values.size, method=method, note=_UNDEFINED)
    return Test(float(size[0]), float(p[0]), values.size, f"{method}, asymptotic two-sided")


_UNDEFINED = "one group is empty, or all levels are equally far out"


def spread_p(
    levels: np.ndarray, group: np.ndarray, *, strata: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return statistic and p of :func:`spread_test` for every column: (k,) each, NaN where they are undefined.

    Parameters
    ----------
    levels, group
        (n, k) finite levels; (n,) bool.
    strata
        (n,) stratum numbers, or None.
    """
    one, two, correlation = spread_statistics(levels, group, strata=strata)
    size = np.fmax(np.abs(one), np.abs(two))
    return size, _larger_of_two(size, correlation)


def spread_statistics(
    levels: np.ndarray, group: np.ndarray, *, strata: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ansari-Bradley's and Mood's z of every column, positive when the group lies further out, and their correlation.

    Parameters
    ----------
    levels, group, strata
        As for :func:`spread_p`.
    """
    k = levels.shape[1]
    gap, moments = np.zeros((2, k)), np.zeros((3, k))
    for block in [np.ones(len(levels), dtype=bool)] if strata is None else [strata == s for s in np.unique(strata)]:
        n, n1 = int(block.sum()), int(group[block].sum())
        if n < 2:
            continue
        out = folded_ranks(levels[block]) / (n + 1)
        scores = out, out**2
        centred = [score - score.mean(axis=0) for score in scores]
        gap += [part[group[block]].sum(axis=0) for part in centred]
        pairs = ((0, 0), (1, 1), (0, 1))
        moments += n1 * (n - n1) / (n * (n - 1)) * np.array([(centred[a] * centred[b]).sum(axis=0) for a, b in pairs])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.where(moments[:2] > _FLAT, moments[:2], np.nan))
        z = gap / spread
        return z[0], z[1], np.clip(moments[2] / (spread[0] * spread[1]), -1, 1)


def _larger_of_two(size: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Chance that the larger of two standard normal variables with this correlation is, in absolute value, so large."""
    from scipy.special import erfc, ndtr

    alone = erfc(size / math.sqrt(2))
    nodes, weights = _quadrature()
    z = size[:, None] * nodes[None, :]
    rho = np.where(np.abs(correlation) < _SAME, correlation, 0.0)[:, None]
    wide = np.sqrt(1 - rho**2)
    inside = ndtr((size[:, None] - rho * z) / wide) - ndtr((-size[:, None] - rho * z) / wide)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    both = 1 - size * (weights[None, :] * density * inside).sum(axis=1)
    found: np.ndarray = np.where(np.abs(correlation) < _SAME, np.clip(both, alone, 1.0), alone)
    return found


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre's rule, (200,) each; finding them takes far longer than using them."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def _checked(level: Any, group: Any, strata: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    values, yes = sample(level, name="level"), binary(group)
    same_length(values, yes, names=("level", "group"))
    return values, yes, None if strata is None else labels(strata)


def _named(name: str, block: np.ndarray | None) -> str:
    return name if block is None else f"{name}, {block.max() + 1} strata"
