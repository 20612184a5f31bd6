"""One biomarker, responders against the rest: interval, gates and verdict, without the rows of the statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.relate.binary import Row, group_problem
from biomarkers.relate.folded import folded_auc, folded_tie_factor
from biomarkers.relate.interval import gate_interval
from biomarkers.relate.missing import Missing
from biomarkers.relate.permuted import BinaryTests
from biomarkers.relate.precision import (
    attainable_auc,
    attainable_within,
    min_detectable_auc,
    patients_needed,
    tie_factor,
)
from biomarkers.relate.strata import Pooled, pool_strata
from biomarkers.relate.verdict import Verdict, decide, margin_is_testable
from biomarkers.stats.results import Estimate, Test
from biomarkers.stats.roc import auc_logit_delong
from biomarkers.stats.spread import spread_test


@dataclass(frozen=True)
class Judgement:
    """What the verdict rests on.

    ``ci95`` and ``ci90`` are the intervals in force (pooled over strata where there are any), ``span`` the least and
    greatest AUC that the levels allow, ``spread`` the test of spread, ``folded`` the AUC of the distance from the
    middle with its 90% interval (None where no pattern can bend), ``pooled`` the strata.
    """

    verdict: Verdict
    ci95: Estimate
    ci90: Estimate
    span: tuple[float, float]
    spread: Test
    folded: Estimate | None
    pooled: Pooled | None


def judge(
    level: np.ndarray,
    responder: np.ndarray,
    strata: np.ndarray | None,
    tests: BinaryTests,
    *,
    margin: float,
    alpha: float,
    missing: Missing,
    names: tuple[str, str] = ("", ""),
) -> Judgement | str:
    """Decide on one biomarker, or say why it cannot be tested.

    Parameters
    ----------
    level, responder, strata
        Patients with a level: (n,) finite levels, bool, labels or None.
    tests
        The permutation tests of this biomarker in its family.
    margin, alpha
        Margin of independence and level.
    missing
        Patients without a level.
    names
        Biomarker and end point, for the rows of the strata.
    """
    yes, no = level[responder], level[~responder]
    problem = group_problem(yes, no)
    if problem is not None:
        return problem
    pooled: Pooled | None = None
    if strata is not None:
        found = pool_strata(*names, level, responder, strata)
        if isinstance(found, str):
            return found
        pooled = found
    if math.isnan(tests.p):
        return "every stratum holds one kind of patient or one level only"
    ci95, ci90 = _intervals(yes, no, pooled, alpha)
    span = attainable_auc(level, len(yes)) if strata is None else attainable_within(level, responder, strata)
    spread = spread_test(level, responder, strata=strata)
    folded = folded_auc(level, responder, strata, confidence=1 - 2 * alpha)
    doubts = missing.doubts(margin=margin)
    if pooled is not None and pooled.unlike:
        doubts.append("the strata do not tell one story")
    verdict = decide(
        p_dependence=tests.p, p_adjusted=tests.p_adjusted, p_omnibus=tests.p_energy, p_spread=spread.p,
        ci90=ci90 if pooled is not None else gate_interval(yes, no, ci90), folded90=folded, margin=margin, alpha=alpha,
        attainable=span, doubts=doubts,
    )  # fmt: skip
    if pooled is not None and pooled.warning:
        verdict = Verdict(verdict.verdict, f"{verdict.reason}; {pooled.warning}")
    if missing.goes_with_response:
        verdict = Verdict(verdict.verdict, f"{missing.warning()}; {verdict.reason}")
    return Judgement(verdict, ci95, ci90, span, spread, folded, pooled)


def _intervals(yes: np.ndarray, no: np.ndarray, pooled: Pooled | None, alpha: float) -> tuple[Estimate, Estimate]:
    if pooled is not None:
        return pooled.ci95, pooled.at(1 - 2 * alpha)
    return auc_logit_delong(yes, no, level=0.95), auc_logit_delong(yes, no, level=1 - 2 * alpha)


def could_have_shown(
    level: np.ndarray, responder: np.ndarray, strata: np.ndarray | None, span: tuple[float, float], *, margin: float,
    alpha: float,
) -> Row:  # fmt: skip
    """State the least AUC that would be found and the patients needed; nothing where ties forbid such an AUC.

    With strata both are those of the pooled AUC.
    """
    blocks = [np.ones(len(level), dtype=bool)] if strata is None else [strata == s for s in np.unique(strata)]
    sizes = [
        (int(responder[b].sum()), int((~responder[b]).sum()), tie_factor(level[b]), folded_tie_factor(level[b]))
        for b in blocks
    ]
    yes, no, ties, folded = (np.array(column, dtype=float) for column in zip(*_telling(sizes), strict=True))
    found = min_detectable_auc(yes, no, alpha=alpha, ties=ties)
    row: Row = {"min_detectable_auc": found if found <= span[1] else math.nan}
    if not margin_is_testable(span, margin=margin):
        return {**row, "n_needed": math.nan, "smallest_margin": math.nan}
    counted = yes + no
    needed: Any = patients_needed(
        margin, responder_share=yes / counted, alpha=alpha, ties=ties, folded_ties=folded,
        stratum_share=counted / counted.sum(),
    )  # fmt: skip
    return {**row, "n_needed": needed}


def _telling(sizes: Sequence[tuple[int, int, float, float]]) -> list[tuple[int, int, float, float]]:
    """Strata that hold both groups."""
    return [one for one in sizes if one[0] and one[1]]
