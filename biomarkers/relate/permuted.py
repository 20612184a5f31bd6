"""The permutation tests of a yes/no end point, for every biomarker at once, with or without strata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from biomarkers.relate.strata import aligned_ranks
from biomarkers.stats.permutation import canonical_order, joint_permutation
from biomarkers.stats.permutation_marginal import marginal_permutation
from biomarkers.stats.step_down import max_t


@dataclass(frozen=True)
class BinaryTests:
    """The tests of one biomarker; NaN where it cannot be tested.

    ``statistic`` is the studentised (Brunner-Munzel) statistic, with strata van Elteren's z; ``p`` its two-sided
    permutation p, ``p_adjusted`` the step-down max-T p over the family; ``energy`` and ``p_energy`` the omnibus test.
    """

    statistic: float
    p: float
    p_adjusted: float
    energy: float
    p_energy: float
    n_permutations: int
    family: int
    stratified: bool

    def described(self) -> list[tuple[str, str, float, float]]:
        """List method, statistic's name, value and p of each test."""
        name = "van Elteren, permuted within strata" if self.stratified else "studentised (Brunner-Munzel) permutation"
        where = ", within strata" if self.stratified else ""
        b = f"B = {self.n_permutations:,}"
        family = f"step-down max-T over {self.family} biomarkers"
        return [
            (f"{name}, {b}", "t", self.statistic, self.p),
            (f"{name}, {family}, {b}", "t", self.statistic, self.p_adjusted),
            (f"energy distance of mid-ranks, permutation{where}, {b}", "energy", self.energy, self.p_energy),
        ]


@dataclass(frozen=True)
class FamilyTests:
    """The tests of all biomarkers, (m,) each."""

    statistic: np.ndarray
    p: np.ndarray
    p_adjusted: np.ndarray
    energy: np.ndarray
    p_energy: np.ndarray
    n_permutations: int
    stratified: bool

    def of(self, at: int) -> BinaryTests:
        """Return the tests of one biomarker."""
        return BinaryTests(
            statistic=float(self.statistic[at]),
            p=float(self.p[at]),
            p_adjusted=float(self.p_adjusted[at]),
            energy=float(self.energy[at]),
            p_energy=float(self.p_energy[at]),
            n_permutations=self.n_permutations,
            family=int((~np.isnan(self.p)).sum()),
            stratified=self.stratified,
        )


def binary_tests(
    levels: np.ndarray,
    responder: np.ndarray,
    *,
    strata: np.ndarray | None,
    n_permutations: int,
    seed: int,
    progress: bool = False,
) -> FamilyTests:
    """Test every biomarker, alone and over the family.

    Parameters
    ----------
    levels
        (n, m), NaN where a patient has none.
    responder
        (n,) bool.
    strata
        (n,) labels or None. With strata, ranks are taken within them and patients change places within them.
    n_permutations, seed, progress
        As for :func:`biomarkers.relate`.

    A patient without a biomarker's level takes no part in its test, nor in its share of the family's relabellings.
    """
    if responder.all() or not responder.any():
        nothing = np.full(levels.shape[1], np.nan)
        return FamilyTests(nothing, nothing, nothing, nothing, nothing, n_permutations, strata is not None)
    if strata is not None:
        return _stratified(levels, responder, strata, n_permutations, seed, progress=progress)
    alone = marginal_permutation(levels, responder, n_permutations=n_permutations, rng=seed, progress=progress)
    adjusted = alone.p
    testable = ~np.isnan(alone.p)
    if testable.sum() > 1:
        family = joint_permutation(
            levels[:, testable], responder, n_permutations=n_permutations, rng=seed, progress=progress
        )
        adjusted = alone.p.copy()
        # two runs of random relabellings: the family's p is never below the marker's own
        adjusted[testable] = np.fmax(alone.p[testable], family.p_adjusted)
    return FamilyTests(
        alone.studentised, alone.p, adjusted, alone.energy, alone.p_energy, n_permutations, stratified=False
    )


def _stratified(
    levels: np.ndarray, responder: np.ndarray, strata: np.ndarray, n_permutations: int, seed: int, *, progress: bool
) -> FamilyTests:
    ranks = aligned_ranks(levels, strata)
    codes = np.unique(strata, return_inverse=True)[1].reshape(-1)
    omnibus = marginal_permutation(
        ranks, responder, strata=codes, n_permutations=n_permutations, rng=seed, progress=progress
    )
    rows, columns = canonical_order(ranks, responder, codes)
    found = max_t(ranks[rows][:, columns], responder[rows], strata=codes[rows], n_permutations=n_permutations, rng=seed)
    back = np.argsort(columns, kind="stable")
    untested = np.isnan(omnibus.p)
    z, p, adjusted = (values[back] for values in (found.z, found.p, found.p_step_down))
    for values in (z, p, adjusted):
        values[untested] = np.nan
    return FamilyTests(z, p, np.fmax(p, adjusted), omnibus.energy, omnibus.p_energy, n_permutations, stratified=True)
