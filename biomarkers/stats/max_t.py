"""Many markers at once by linear statistics: one matrix product a chunk of relabellings, then maxima over markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.errors import DataError
from biomarkers.stats._checks import binary, labels
from biomarkers.stats.permutation import DEFAULT_PERMUTATIONS, Rng, linear_moments, relabellings

_TIE = 2e-5  # single-precision sums err by less; neighbouring rank sums of 1,000 patients differ by more
_ROWS = 512


@dataclass(frozen=True, slots=True, eq=False)
class MaxT:
    """Standardised statistics and p-values of every marker, (m,) each; NaN where a marker is constant.

    ``p`` is marginal, ``p_single_step`` compares with the maximum over all markers, ``p_step_down`` with the maximum
    over those no stronger (Westfall and Young).
    """

    z: np.ndarray
    p: np.ndarray
    p_single_step: np.ndarray
    p_step_down: np.ndarray
    n_permutations: int


def max_t(
    scores: Any,
    group: Any,
    *,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: Rng = 0,
    strata: Any = None,
) -> MaxT:
    """Permute patients jointly and compare every marker with the largest statistic.

    Parameters
    ----------
    scores
        (n, m) scores without gaps, for example mid-ranks a column.
    group
        (n,) bool.
    n_permutations, rng
        Number of relabellings, generator or seed.
    strata
        (n,) labels; patients change places only within a stratum.

    Returns
    -------
    MaxT

    References
    ----------
    Westfall PH, Young SS. Resampling-based multiple testing. Wiley 1993.
    """
    matrix = np.asarray(scores, dtype=float)
    first = binary(group, name="group")
    if matrix.ndim != 2 or len(matrix) != len(first):
        raise DataError("scores must be patients x markers", seen=matrix.shape, allowed=f"({len(first)}, m)")
    if np.isnan(matrix).any():
        raise DataError("scores hold gaps", hint="Rank complete markers only, or use joint_permutation.")
    blocks = None if strata is None else labels(strata)
    mean, variance = linear_moments(matrix, first, blocks)
    usable = variance > 0
    scaled = ((matrix[:, usable] - mean[usable] / first.sum()) / np.sqrt(variance[usable])).astype(np.float32)
    # what was seen in double precision: sums of ranks are exact, so z does not depend on the order of patients
    seen = (matrix[first][:, usable].sum(axis=0) - mean[usable]) / np.sqrt(variance[usable])
    rising = np.argsort(np.abs(seen), kind="stable")
    scaled, ordered = np.ascontiguousarray(scaled[:, rising]), np.abs(seen[rising])
    hits = np.zeros((3, len(rising)))
    for chunk in relabellings(first, n_permutations=n_permutations, rng=rng, strata=blocks):
        for start in range(0, len(chunk), _ROWS):
            size = np.abs(chunk[start : start + _ROWS].astype(np.float32) @ scaled)
            hits[0] += (size >= ordered - _TIE).sum(axis=0)
            np.maximum.accumulate(size, axis=1, out=size)
            hits[1] += (size[:, -1:] >= ordered - _TIE).sum(axis=0)
            hits[2] += (size >= ordered - _TIE).sum(axis=0)
    p = (hits + 1) / (n_permutations + 1)
    p[2] = np.maximum.accumulate(p[2][::-1])[::-1]  # a weaker marker is never more significant than a stronger one
    z, result = np.full(len(mean), np.nan), np.full((3, len(mean)), np.nan)
    where = np.flatnonzero(usable)
    z[where] = seen
    result[:, where[rising]] = p
    return MaxT(z, result[0], result[1], result[2], n_permutations)
