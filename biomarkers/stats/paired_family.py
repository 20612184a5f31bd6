"""Several paired changes at once: signs flipped jointly, a patient at a time, and the maximum over the family.

Under the null no patient's changes have a preferred direction, so all of a patient's signs may flip together. Nothing
moves from one patient to another: who has a pair of which level may differ without harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats._checks import Array
from biomarkers.stats.paired import signed_ranks

FLIPS = 9_999
_MOST_COUNTED = 13  # patients whose 2^13 sign patterns are all tried
_ROWS = 2048
_TIE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class SignedRankFamily:
    """Results of every biomarker, (m,) each; NaN where no difference is left.

    Attributes
    ----------
    z
        Standardised signed-rank sums, positive when levels rose.
    p
        Two-sided p of each alone, by the same flips.
    p_step_down
        Adjusted over the family by the step-down maximum.
    n_flips
        Sign patterns tried.
    exact
        Whether these were all there are.
    """

    z: Array
    p: Array
    p_step_down: Array
    n_flips: int
    exact: bool


def signed_rank_family(
    differences: Any, *, zeros: str = "drop", n_flips: int = FLIPS, rng: int | np.random.Generator = 0
) -> SignedRankFamily:
    """Signed-rank tests of several biomarkers, adjusted by the step-down maximum of their statistics.

    Parameters
    ----------
    differences
        Patients x biomarkers, (n, m); NaN where a patient has no pair.
    zeros
        As for :func:`biomarkers.stats.paired.signed_rank`.
    n_flips, rng
        Random sign patterns and their seed; up to 13 patients all patterns are tried.

    Raises
    ------
    DataError
        The differences are no table, or infinite.

    References
    ----------
    Westfall PH, Young SS. Resampling-based multiple testing. Wiley 1993.

    Examples
    --------
    >>> d = np.column_stack([[1.0, 2, 3, 4, 5, 6, 7], [1.0, -2, 3, -4, 5, np.nan, 7]])
    >>> signed_rank_family(d).p_step_down.round(4).tolist()
    [0.0156, 0.4375]
    """
    if n_flips < 1:
        raise UsageError("the number of sign patterns is not positive", seen=n_flips)
    d = np.array(differences, dtype=np.float64)
    if d.ndim != 2 or np.isinf(d).any():
        raise DataError("differences must be patients x biomarkers without infinities", seen=d.shape, allowed="(n, m)")
    scores = np.column_stack([_scores(column, zeros) for column in d.T]) if d.shape[1] else d
    usable = np.flatnonzero((scores != 0).any(axis=0))
    z, p, stepped = (np.full(d.shape[1], np.nan) for _ in range(3))
    exact = len(d) <= _MOST_COUNTED
    if not len(usable):
        return SignedRankFamily(z, p, stepped, 0, exact)
    unit = scores[:, usable] / np.sqrt((scores[:, usable] ** 2).sum(axis=0))
    z[usable] = unit.sum(axis=0)
    rising = np.argsort(np.abs(z[usable]), kind="stable")
    unit, seen = np.ascontiguousarray(unit[:, rising]), np.abs(z[usable])[rising]
    hits, tried = np.zeros((2, len(rising))), 0
    for signs in _signs(len(d), n_flips=n_flips, rng=rng, exact=exact):
        size = np.abs(signs @ unit)
        hits[0] += (size >= seen - _TIE).sum(axis=0)
        hits[1] += (np.maximum.accumulate(size, axis=1) >= seen - _TIE).sum(axis=0)
        tried += len(signs)
    found = hits / tried if exact else (hits + 1) / (tried + 1)
    found[1] = np.maximum.accumulate(found[1][::-1])[::-1]  # a weaker one is never more significant than a stronger
    p[usable[rising]], stepped[usable[rising]] = found
    return SignedRankFamily(z, p, stepped, tried, exact)


def _scores(column: Array, zeros: str) -> Array:
    """Signed ranks of one biomarker, 0 where there is no pair or no change."""
    scores = np.zeros(len(column))
    known = np.flatnonzero(~np.isnan(column))
    if len(known):
        ranks, positive = signed_ranks(column[known], zeros=zeros)
        scores[known[column[known] != 0]] = np.where(positive, ranks, -ranks)
    return scores


def _signs(n: int, *, n_flips: int, rng: int | np.random.Generator, exact: bool) -> Any:
    """Sign patterns, (rows, n) of -1 and 1, some thousand at a time."""
    if exact:
        yield 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return
    draw = np.random.default_rng(rng)
    for start in range(0, n_flips, _ROWS):
        yield 1.0 - 2.0 * draw.integers(0, 2, size=(min(_ROWS, n_flips - start), n))
