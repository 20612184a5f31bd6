"""Many markers at once by linear statistics: one matrix product a chunk of relabellings, then maxima over markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import binary, labels
from biomarkers.stats.permutation import (
    DEFAULT_PERMUTATIONS,
    Rng,
    coupled_relabellings,
    linear_moments,
    relabellings,
)

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
        (n, m) scores, for example mid-ranks a column; NaN where a patient has none (see
        :func:`biomarkers.stats.permutation.coupled_relabellings` for what is then permuted).
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
    blocks = None if strata is None else labels(strata)
    some = ~np.isnan(matrix).all(axis=1)  # a patient without any score takes no part
    matrix, first, blocks = matrix[some], first[some], None if blocks is None else blocks[some]
    known = ~np.isnan(matrix)
    mean, variance = linear_moments(matrix, first, blocks)
    usable = variance > 0
    n_first = known[first][:, usable].sum(axis=0)
    centred = (matrix[:, usable] - mean[usable] / np.maximum(n_first, 1)) / np.sqrt(variance[usable])
    # what was seen in double precision: sums of ranks are exact, so z does not depend on the order of patients
    seen = (np.nansum(matrix[first][:, usable], axis=0) - mean[usable]) / np.sqrt(variance[usable])
    rising = np.argsort(np.abs(seen), kind="stable")
    scaled, ordered = np.ascontiguousarray(np.nan_to_num(centred)[:, rising].astype(np.float32)), np.abs(seen[rising])
    hits = np.zeros((3, len(rising)))
    draws = (
        relabellings(first, n_permutations=n_permutations, rng=rng, strata=blocks)
        if known.all()
        else coupled_relabellings(
            known[:, usable][:, rising], first, n_permutations=n_permutations, rng=rng, strata=blocks
        )
    )
    for chunk in draws:
        for start in range(0, chunk.shape[-2], _ROWS):
            size = np.abs(_sums(chunk[..., start : start + _ROWS, :], scaled))
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


def _sums(labelled: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Add up the scores of the first group, (b, m); labels are shared, (b, n), or each marker's own, (m, b, n)."""
    if labelled.ndim == 2:
        shared: np.ndarray = labelled.astype(np.float32) @ scores
        return shared
    own: np.ndarray = np.einsum("mbn,nm->bm", labelled.astype(np.float32), scores, optimize=False)
    return own
