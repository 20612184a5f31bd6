"""What could this cohort show? Figures from its size, and the very decision rule run on simulated cohorts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.core.result import Overview, Result
from biomarkers.relate.families import Family
from biomarkers.relate.interval import gate_interval
from biomarkers.relate.power_reliability import through_measurement
from biomarkers.relate.power_search import detectable, needed, out_of_reach, smallest_margin
from biomarkers.relate.power_statistics import RankStatistics, permuted_p, rank_statistics
from biomarkers.relate.precision import attainable_auc, check_margin
from biomarkers.relate.verdict import SHOWN_MARGINS, decide
from biomarkers.stats.results import Estimate

DEFAULT_THETAS: Final = (0.50, 0.60, 0.70, 0.80)
_PER_BIOMARKER: Final = 100  # relabellings for each biomarker of a family, so that an adjusted p can be small
_TIES: Final = "too many equal levels: whoever had responded, the AUC could not have left the margin on both sides"
_COUNTED: Final = ("dependent", "dependent_within_margin", "independent_within_margin", "inconclusive", "not_testable")


@dataclass(frozen=True, repr=False)
class Power(Result):
    """What a cohort of one size can show.

    Attributes
    ----------
    characteristics
        One row a true AUC and margin: the share of simulated cohorts with each verdict, ``mc_error`` (the largest
        Monte-Carlo standard error among them).
    table
        One row a margin: the ``power`` of this cohort, the share of the simulated cohorts of ``characteristics`` with
        AUC 1/2 that show independence within it; ``n_needed`` patients for 80% (NaN: at no size); and ``note``, why.
    min_detectable_auc
        Least AUC above 1/2 found with 80% power in a family of ``n_biomarkers``.
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
            _detectable(self.min_detectable_auc, s["n_biomarkers"]),
            _provable(self.smallest_margin),
        ]
        if "reliability" in s:
            lines.insert(1, f"AUCs and margins are those of the level in the tumour, measured with a reliability of "
                            f"{s['reliability']:g}.")  # fmt: skip
        lines += [_within(row) for row in self.table.to_dict("records")]
        lines.append(f"The Bayes factor for independence cannot exceed {self.best_bf01:.2f}.")
        lines.append(
            f"Simulated: {s['n_simulations']:,} cohorts a row, {s['n_permutations']:,} permutations each, others in "
            "every 20 cohorts."
        )
        return "\n".join(lines)

    def _overview(self) -> Overview:
        return Overview("Simulated cohorts", self.characteristics, tuple(self.explain().splitlines()))


def power(
    n: int,
    *,
    n_responders: int,
    thetas: Sequence[float] = DEFAULT_THETAS,
    margins: Sequence[float] = SHOWN_MARGINS,
    alpha: float = 0.05,
    levels: Family | str = "normal",
    missing_share: float = 0.0,
    n_biomarkers: int = 1,
    n_simulations: int = 2000,
    n_permutations: int = 1999,
    rng: int = 0,
    reliability: float | None = None,
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
    n_biomarkers
        Size of the family that p is adjusted over; the other biomarkers are taken as unrelated to this one and to
        response, which asks most of it.
    n_simulations, n_permutations, rng
        Simulated cohorts for each true AUC, permutations of each, seed.
    reliability
        Of the measured level: AUCs and margins, given and found, are then those of the level in the tumour
        (:func:`biomarkers.relate.power_reliability.through_measurement`).
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Power

    Raises
    ------
    UsageError
        A number is out of range, or fewer than two responders or others would have a level.

    Examples
    --------
    >>> import biomarkers as bm
    >>> found = bm.power(52, n_responders=19, n_simulations=200, n_permutations=199)
    >>> 0.6 < found.min_detectable_auc < 0.85
    True
    """
    if reliability is not None:
        return through_measurement(
            power, n=n, n_responders=n_responders, reliability=reliability, thetas=thetas, margins=margins,
            alpha=alpha, levels=levels, missing_share=missing_share, n_biomarkers=n_biomarkers,
            n_simulations=n_simulations, n_permutations=n_permutations, rng=rng, progress=progress,
        )  # fmt: skip
    family = Family(levels) if isinstance(levels, str) else levels
    yes, no = _evaluable(n, n_responders, missing_share)
    _check(margins, alpha, n_simulations, n_biomarkers)
    from tqdm import tqdm

    from biomarkers.stats.bayes import jzs_ceiling

    whole = np.random.SeedSequence(rng)
    simulated = [*thetas, *([] if 0.5 in thetas else [0.5])]
    seeds = whole.spawn(len(simulated) + len(margins) + 2)
    n_permutations = max(n_permutations, _PER_BIOMARKER * n_biomarkers - 1)
    rows: dict[float, list[dict[str, Any]]] = {}
    for theta, seed in tqdm(list(zip(simulated, seeds, strict=False)), desc="true AUCs", disable=not progress):
        generator = np.random.default_rng(seed)
        drawn = family.draw(generator, n_yes=yes, n_no=no, size=n_simulations, shift=family.shift(theta))
        verdicts = simulated_verdicts(
            drawn, yes, margins=margins, alpha=alpha, n_permutations=n_permutations, n_biomarkers=n_biomarkers,
            rng=int(generator.integers(2**62)),
        )  # fmt: skip
        rows[theta] = [_shares(theta, margin, found) for margin, found in verdicts.items()]
    single = 1 - (1 - alpha) ** (1 / n_biomarkers)
    found_from = detectable(family, yes, no, alpha=single, seed=seeds[-1])
    if found_from > _reach(family, yes, no):
        found_from = math.nan
    share = yes / (yes + no)
    table = [
        {"margin": margin, "power": row["independent_within_margin"],
         "n_needed": needed(family, share, margin=margin, alpha=alpha, seed=seed),
         "note": _TIES if out_of_reach(family, share, margin=margin) else ""}
        for margin, row, seed in zip(margins, rows[0.5], seeds[len(simulated) :], strict=False)
    ]  # fmt: skip
    return Power(
        characteristics=pd.DataFrame([row for theta in thetas for row in rows[theta]]),
        table=pd.DataFrame(table),
        min_detectable_auc=found_from,
        smallest_margin=smallest_margin(family, yes, no, alpha=alpha, rng=np.random.default_rng(seeds[-2])),
        best_bf01=jzs_ceiling(yes, no),
        settings={
            "n": n, "n_responders": n_responders, "n_evaluable": yes + no, "responders_evaluable": yes,
            "missing_share": missing_share, "levels": f"{family.name} ({family.label})", "alpha": alpha,
            "thetas": list(thetas), "margins": list(margins), "n_biomarkers": n_biomarkers,
            "n_simulations": n_simulations, "n_permutations": n_permutations, "seed": rng,
        },
    )  # fmt: skip


def simulated_verdicts(
    levels: np.ndarray,
    n_responders: int,
    *,
    margins: Sequence[float],
    alpha: float = 0.05,
    n_permutations: int = 1999,
    n_biomarkers: int = 1,
    rng: int = 0,
) -> dict[float, list[str]]:
    """Run the shipped decision rule on many cohorts of one size.

    Every 20 cohorts have relabellings of their own: shared ones would err together, and the Monte Carlo error of a
    share would be larger than its binomial one.

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
    n_biomarkers
        Size of the family; p is adjusted as by the maximum over so many unrelated biomarkers.

    Returns
    -------
    Margin -> k verdicts.
    """
    from biomarkers.stats.spread import folded_ranks, spread_p

    p, p_energy = permuted_p(levels, n_responders, n_permutations=n_permutations, alpha=alpha, rng=rng)
    family = 1 - (1 - p) ** n_biomarkers
    p_spread = spread_p(levels, np.arange(len(levels)) < n_responders)[1]
    folded = folded_ranks(levels)
    seen, bends = rank_statistics(levels, n_responders), rank_statistics(folded, n_responders)
    ci90, folded90 = (_intervals(*one, n_responders, 1 - 2 * alpha) for one in ((levels, seen), (folded, bends)))
    found: dict[float, list[str]] = {margin: [] for margin in margins}
    for j in range(levels.shape[1]):
        if math.isnan(p[j]):
            for verdicts in found.values():
                verdicts.append("not_testable")
            continue
        tied = seen.distinct[j] < len(levels)
        attainable = attainable_auc(levels[:, j], n_responders) if tied else (0.0, 1.0)
        for margin, verdicts in found.items():
            verdict = decide(
                p_dependence=float(p[j]),
                p_adjusted=float(family[j]),
                p_omnibus=float(p_energy[j]),
                p_spread=float(p_spread[j]),
                ci90=ci90[j],
                folded90=folded90[j] if seen.distinct[j] > 2 else None,
                margin=margin,
                alpha=alpha,
                attainable=attainable,
            )
            verdicts.append(verdict.verdict)
    return found


def _reach(family: Family, yes: int, no: int) -> float:
    """Greatest AUC that levels of this shape allow."""
    scale = max(1, 20_000 // (yes + no))
    drawn = family.draw(np.random.default_rng(0), n_yes=yes * scale, n_no=no * scale, size=1, shift=0.0)
    return attainable_auc(drawn[:, 0], yes * scale)[1]


def _intervals(levels: np.ndarray, seen: RankStatistics, n_responders: int, confidence: float) -> list[Estimate]:
    """Give the interval of each cohort that has to lie inside the margin."""
    from scipy.special import ndtri

    from biomarkers.stats.roc import auc_logit_delong

    low, high = seen.limits(float(ndtri(0.5 + confidence / 2)))
    plain = seen.usable & (seen.distinct > 2)
    found = []
    for j, theta in enumerate(seen.theta):
        if plain[j]:
            found.append(Estimate(theta, low[j], high[j], confidence, len(levels), "AUC, logit DeLong interval"))
        else:
            yes, no = levels[:n_responders, j], levels[n_responders:, j]
            found.append(gate_interval(yes, no, auc_logit_delong(yes, no, level=confidence)))
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


def _check(margins: Sequence[float], alpha: float, n_simulations: int, n_biomarkers: int) -> None:
    if n_biomarkers < 1:
        raise UsageError("the number of biomarkers is below 1", seen=n_biomarkers)
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


def _detectable(theta: float, n_biomarkers: int) -> str:
    family = "" if n_biomarkers == 1 else f" in a family of {n_biomarkers} biomarkers"
    if math.isnan(theta):
        return f"No AUC that these levels allow would be found with 80% power{family}."
    return f"An AUC of {theta:.2f} or more (or {1 - theta:.2f} or less) would be found with 80% power{family}."


def _within(row: Mapping[Any, Any]) -> str:
    share = f"{100 * row['power']:.0f}% of simulated cohorts with AUC one half"
    shown = f"Independence within {row['margin']:.2f}: shown in {share}"
    if row["note"]:
        return f"{shown}; 80% is out of reach at any size: {row['note']}."
    if math.isnan(row["n_needed"]):
        return f"{shown}; 80% is not reached at any size."
    return f"{shown}; 80% power takes about {int(row['n_needed'])} patients with a level."


def _provable(margin: float) -> str:
    if math.isnan(margin):
        return "No margin below one half can be proven with 80% power."
    return f"The smallest margin within which independence can be shown with 80% power is {margin:.2f}."
