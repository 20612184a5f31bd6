"""Permutation tests of many markers one by one: each p depends on its own marker's patients and on nothing else."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import binary, labels
from biomarkers.stats.permutation import DEFAULT_PERMUTATIONS, Prepared, Rng, prepare, relabellings

_TIE = 1e-9  # statistics this close to the observed one count as equal to it
_COLUMNS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class MarginalPermutation:
    """Observed statistics and two-sided permutation p-values of every marker, (m,) each; NaN where undefined."""

    studentised: np.ndarray
    p: np.ndarray
    energy: np.ndarray
    p_energy: np.ndarray
    n_permutations: int


def marginal_permutation(
    levels: Any,
    group: Any,
    *,
    n_permutations: int = DEFAULT_PERMUTATIONS,
    rng: Rng = 0,
    strata: Any = None,
    progress: bool = False,
) -> MarginalPermutation:
    """Test each column of ``levels`` between two groups, among the patients who have that level.

    The relabellings are laid over the patients sorted by the marker's own level, so the same seed gives the same p
    whatever the order of patients, whichever markers stand beside it, and after any increasing transform.

    Parameters
    ----------
    levels
        (n, m) levels, NaN where a patient has none.
    group
        (n,) bool, the first group.
    n_permutations
        B; p = (b + 1) / (B + 1).
    rng
        Generator or seed.
    strata
        (n,) labels; patients change places only within a stratum.
    progress
        Show a progress bar on standard error.
    """
    matrix, first = np.asarray(levels, dtype=float), binary(group, name="group")
    if matrix.ndim != 2 or len(matrix) != len(first):
        raise DataError("levels must be patients x markers", seen=matrix.shape, allowed=f"({len(first)}, m)")
    blocks = np.zeros(len(first), dtype=np.int64) if strata is None else labels(strata)
    seed = rng if isinstance(rng, int) else int(rng.integers(2**63))
    m = matrix.shape[1]
    out = np.full((4, m), np.nan)
    groups: dict[bytes, list[int]] = {}
    for j in range(m):
        known = ~np.isnan(matrix[:, j])
        if len(np.unique(matrix[known, j])) > 1 and min(first[known].sum(), (~first[known]).sum()) > 1:
            shape = np.bincount(2 * blocks[known] + first[known], minlength=2 * int(blocks.max()) + 2)
            groups.setdefault(shape.tobytes(), []).append(j)
    for members in groups.values():
        for start in range(0, len(members), _COLUMNS):
            some = members[start : start + _COLUMNS]
            out[:, some] = _alike(
                matrix[:, some], first, blocks, n_permutations=n_permutations, seed=seed, progress=progress
            )
    return MarginalPermutation(out[0], out[1], out[2], out[3], n_permutations)


def _alike(
    matrix: np.ndarray, first: np.ndarray, blocks: np.ndarray, *, n_permutations: int, seed: int, progress: bool
) -> np.ndarray:
    """Markers with equally many patients of either group in every stratum share their relabellings: (4, m)."""
    from tqdm import tqdm

    from biomarkers.stats.kernels import two_sample, two_sample_hits

    m = matrix.shape[1]
    seen = np.empty((2, 1, m))
    whole = prepare(matrix)
    two_sample(first[None, :].astype(np.uint8), whole.order, whole.last, whole.position, whole.length, seen[0], seen[1])
    sorted_levels, label, block = _sorted(matrix, first, blocks)
    ready: Prepared = prepare(sorted_levels)
    reach, reach_energy = np.abs(seen[0, 0]) - _TIE, seen[1, 0] - _TIE
    pieces = max(1, os.cpu_count() or 1)

    def count(chunk: np.ndarray) -> np.ndarray:
        hits = np.zeros((2, m), dtype=np.int64)
        two_sample_hits(chunk, ready.order, ready.last, ready.position, ready.length, reach, reach_energy, hits)
        return hits

    total = np.zeros((2, m), dtype=np.int64)
    draws = relabellings(label, n_permutations=n_permutations, rng=seed, strata=block)
    steps = tqdm(draws, desc="permutations", unit="chunk", disable=not progress, leave=False)
    with ThreadPoolExecutor(pieces) as threads:
        for hits in threads.map(count, (part for chunk in steps for part in np.array_split(chunk, pieces))):
            total += hits
    p = (total + 1) / (n_permutations + 1)
    return np.stack([seen[0, 0], p[0], seen[1, 0], p[1]])


def _sorted(matrix: np.ndarray, first: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each marker's known levels by stratum, then level; with the strata and as many first-group labels in each."""
    columns = []
    for values in matrix.T:
        known = np.flatnonzero(~np.isnan(values))
        columns.append(values[known][np.lexsort((values[known], blocks[known]))])
    known = np.flatnonzero(~np.isnan(matrix[:, 0]))
    order = known[np.lexsort((first[known], blocks[known]))]
    return np.stack(columns, axis=1), first[order], blocks[order]
