"""What could this cohort show? Figures from its size, and the very decision rule run on simulated cohorts."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.errors import UsageError
from biomarkers.relate.families import Family
from biomarkers.relate.precision import (
    attainable_auc,
    check_margin,
    independence_power,
    min_detectable_auc,
    patients_needed,
    smallest_provable_margin,
)
from biomarkers.relate.verdict import SHOWN_MARGINS, decide

DEFAULT_THETAS: Final = (0.50, 0.60, 0.70, 0.80)
_COUNTED: Final = ("dependent", "dependent_within_margin", "independent_within_margin", "inconclusive", "not_testable")


@dataclass(frozen=True)
class Power:
    """What a cohort of one size can show.

    Attributes
    ----------
    characteristics
        One row a true AUC and margin: the share of simulated cohorts with each verdict, ``mc_error`` (the largest
        Monte-Carlo standard error among them).
    table
        One row a margin: ``n_needed`` patients to show independence within it with 80% power when the AUC is 1/2,
        and the ``power`` of this cohort.
    min_detectable_auc
        Least AUC above 1/2 found with 80% power.
    smallest_margin
        Least margin provable with 80% power when the AUC is 1/2; NaN when none below 1/2 is.
    best_bf01
        Largest Bayes factor for independence that this size can give.
    settings
        Everything in force.
    """

    characteristics: pd.DataFrame
    table: pd.DataFrame
    min_detectable_auc: float
    smallest_margin: float
    best_bf01: float
    settings: Mapping[str, Any]

    def explain(self) -> str:
        """Say it in plain sentences."""
        s = self.settings
        lines = [
            f"{s['n_evaluable']} patients with a level, {s['responders_evaluable']} responders; levels: {s['levels']}.",
            _detectable(self.min_detectable_auc),
            _provable(self.smallest_margin),
        ]
        lines += [
            f"Independence within {row['margin']:.2f}: shown with {100 * row['power']:.0f}% power when the AUC is "
            f"one half; 80% power takes about {row['n_needed']} patients with a level."
            for row in self.table.to_dict("records")
        ]
        lines.append(f"The Bayes factor for independence cannot exceed {self.best_bf01:.2f}.")
        lines.append(f"Simulated: {s['n_simulations']:,} cohorts a row, {s['n_permutations']:,} permutations each.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        shown = self.characteristics.to_html(index=False, float_format="{:.3f}".format)
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.explain().splitlines())
        return f"<ul>{lines}</ul>{shown}<p>Simulated cohorts. Research use only.</p>"


def power(
    n: int,
    *,
    n_responders: int,
    thetas: Sequence[float] = DEFAULT_THETAS,
    margins: Sequence[float] = SHOWN_MARGINS,
    alpha: float = 0.05,
    levels: Family | str = "normal",
    missing_share: float = 0.0,
    n_simulations: int = 2000,
    n_permutations: int = 1999,
    rng: int = 0,
    progress: bool = False,
) -> Power:
    """Say what a cohort could show, before or beside its data: no post-hoc power enters.

    Parameters
    ----------
    n, n_responders
        Patients whose response is known, and the responders among them.
    thetas
        True AUCs to simulate, between 0 and 1.
    margins
        Margins of independence on the AUC scale.
    alpha
        Level of the test of dependence, and of each one-sided test of independence.
    levels
        How levels look: a :class:`biomarkers.relate.families.Family`, or the name of one with its defaults.
    missing_share
        Share of patients without a level, missing at random.
    n_simulations, n_permutations, rng
        Simulated cohorts for each true AUC, permutations of each, seed.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Power

    Raises
    ------
    UsageError
        A number is out of range, or fewer than two responders or others would have a level.
    """
    family = Family(levels) if isinstance(levels, str) else levels
    yes, no = _evaluable(n, n_responders, missing_share)
    _check(margins, alpha, n_simulations)
    from tqdm import tqdm

    from biomarkers.stats.bayes import jzs_ceiling

    seeds = np.random.SeedSequence(rng).spawn(len(thetas))
    rows: list[dict[str, Any]] = []
    for theta, seed in tqdm(list(zip(thetas, seeds, strict=True)), desc="true AUCs", disable=not progress):
        generator = np.random.default_rng(seed)
        drawn = family.draw(generator, n_yes=yes, n_no=no, size=n_simulations, shift=family.shift(theta))
        verdicts = simulated_verdicts(
            drawn, yes, margins=margins, alpha=alpha, n_permutations=n_permutations, rng=int(generator.integers(2**62))
        )
        rows += [_shares(theta, margin, found) for margin, found in verdicts.items()]
    ties = family.ties()
    needed = [patients_needed(m, responder_share=yes / (yes + no), alpha=alpha, ties=ties) for m in margins]
    reached = [independence_power(yes, no, margin=m, alpha=alpha, ties=ties) for m in margins]
    return Power(
        characteristics=pd.DataFrame(rows),
        table=pd.DataFrame({"margin": list(margins), "power": reached, "n_needed": needed}),
        min_detectable_auc=min_detectable_auc(yes, no, alpha=alpha, ties=ties),
        smallest_margin=smallest_provable_margin(yes, no, alpha=alpha, ties=ties),
        best_bf01=jzs_ceiling(yes, no),
        settings={
            "n": n, "n_responders": n_responders, "n_evaluable": yes + no, "responders_evaluable": yes,
            "missing_share": missing_share, "levels": f"{family.name} ({family.label})", "alpha": alpha,
            "thetas": list(thetas), "margins": list(margins), "n_simulations": n_simulations,
            "n_permutations": n_permutations, "seed": rng,
        },
    )  # fmt: skip


def simulated_verdicts(
    levels: np.ndarray,
    n_responders: int,
    *,
    margins: Sequence[float],
    alpha: float = 0.05,
    n_permutations: int = 1999,
    rng: int = 0,
) -> dict[float, list[str]]:
    """Run the shipped decision rule on many cohorts of one size, each a family of one biomarker.

    Parameters
    ----------
    levels
        (n, k) levels of k cohorts, responders in the first ``n_responders`` rows.
    n_responders
        Number of responders.
    margins
        Margins to judge by.
    alpha, n_permutations, rng
        As for :func:`biomarkers.relate`.

    Returns
    -------
    Margin -> k verdicts.
    """
    from biomarkers.stats.auc import auc_logit_delong
    from biomarkers.stats.permutation_marginal import marginal_permutation

    group = np.arange(len(levels)) < n_responders
    tests = marginal_permutation(levels, group, n_permutations=n_permutations, rng=rng)
    found: dict[float, list[str]] = {margin: [] for margin in margins}
    for j in range(levels.shape[1]):
        if math.isnan(tests.p[j]):
            for verdicts in found.values():
                verdicts.append("not_testable")
            continue
        attainable = attainable_auc(levels[:, j], n_responders)
        ci90 = auc_logit_delong(levels[group, j], levels[~group, j], level=1 - 2 * alpha)
        for margin, verdicts in found.items():
            verdict = decide(
                p_dependence=float(tests.p[j]),
                p_omnibus=float(tests.p_energy[j]),
                ci90=ci90,
                margin=margin,
                alpha=alpha,
                attainable=attainable,
            )
            verdicts.append(verdict.verdict)
    return found


def _evaluable(n: int, n_responders: int, missing_share: float) -> tuple[int, int]:
    if not 0 < n_responders < n:
        raise UsageError("the number of responders is out of range", seen=n_responders, allowed=f"1 to {n - 1}")
    if not 0 <= missing_share < 1:
        raise UsageError("the share without a level is out of range", seen=missing_share, allowed="0 to below 1")
    yes, no = round(n_responders * (1 - missing_share)), round((n - n_responders) * (1 - missing_share))
    if min(yes, no) < 2:
        raise UsageError("fewer than two responders or others would have a level", seen=(yes, no), allowed="2 and 2")
    return yes, no


def _check(margins: Sequence[float], alpha: float, n_simulations: int) -> None:
    for margin in margins:
        check_margin(margin)
    if not 0 < alpha < 0.5:
        raise UsageError("alpha is out of range", seen=alpha, allowed="above 0 and below 0.5")
    if n_simulations < 10:
        raise UsageError("too few simulated cohorts", seen=n_simulations, allowed="10 or more")


def _shares(theta: float, margin: float, verdicts: Sequence[str]) -> dict[str, Any]:
    n = len(verdicts)
    shares = {name: sum(found == name for found in verdicts) / n for name in _COUNTED}
    return {
        "theta": theta,
        "margin": margin,
        **shares,
        "mc_error": max(math.sqrt(s * (1 - s) / n) for s in shares.values()),
    }


def _detectable(theta: float) -> str:
    if math.isnan(theta):
        return "No AUC below 1 would be found with 80% power."
    return f"An AUC of {theta:.2f} or more (or {1 - theta:.2f} or less) would be found with 80% power."


def _provable(margin: float) -> str:
    if math.isnan(margin):
        return "No margin below one half can be proven with 80% power."
    return f"The smallest margin within which independence can be shown with 80% power is {margin:.2f}."
