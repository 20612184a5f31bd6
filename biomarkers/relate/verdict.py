"""The decision rule: dependent, independent within a margin fixed beforehand, or inconclusive."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from biomarkers.keys import (
    DEPENDENT,
    DEPENDENT_WITHIN_MARGIN,
    INCONCLUSIVE,
    INDEPENDENT_WITHIN_MARGIN,
    NOT_TESTABLE,
)
from biomarkers.stats.results import Estimate

SHOWN_MARGINS: Final = (0.10, 0.15, 0.20)


@dataclass(frozen=True)
class Verdict:
    """One verdict and the reason in words."""

    verdict: str
    reason: str


def decide(
    *,
    p_dependence: float,
    p_omnibus: float,
    ci90: Estimate,
    margin: float,
    alpha: float,
    p_adjusted: float | None = None,
    attainable: tuple[float, float] = (0.0, 1.0),
    scale: str = "AUC",
) -> Verdict:
    """Apply the rule.

    Dependence when the permutation test says so, over the family of biomarkers. Otherwise independence within the
    margin when the 90% interval lies inside it, the biomarker's own p is above alpha, the omnibus test saw no other
    pattern, and the levels could have left the margin had others responded; those gates can only take the verdict away,
    so they cost no error. Otherwise the data do not decide.

    Parameters
    ----------
    p_dependence, p_omnibus
        P-values of the test of dependence and of any dependence at all (NaN where the second is not defined).
    p_adjusted
        ``p_dependence`` over the family of biomarkers; the same when None.
    ci90
        90% interval of the AUC.
    margin, alpha
        Margin on the AUC scale, and level.
    attainable
        Least and greatest AUC that the levels allow (:func:`biomarkers.relate.precision.attainable_auc`).
    scale
        What the scale is called in the reason.
    """
    low, high = 0.5 - margin, 0.5 + margin
    inside = low < ci90.low and ci90.high < high
    interval = f"{scale} {_two(ci90.value)}, 90% interval {_two(ci90.low)} to {_two(ci90.high)}"
    family = p_dependence if p_adjusted is None else p_adjusted
    if family <= alpha:
        tail = f"{interval}; p {_p(family)}"
        if inside:
            return Verdict(DEPENDENT_WITHIN_MARGIN, f"associated with response, but weaker than the margin: {tail}")
        return Verdict(DEPENDENT, f"associated with response: {tail}")
    if p_dependence <= alpha:
        alone = f"p {_p(p_dependence)} alone, but {_p(family)} over all biomarkers tested"
        return Verdict(INCONCLUSIVE, f"{alone}: {interval}")
    if not leaves_margin(attainable, margin=margin):
        span = f"{_two(attainable[0])} to {_two(attainable[1])}"
        return Verdict(
            INCONCLUSIVE,
            f"too many equal levels: whoever had responded, the {scale} would lie in {span}, so being within "
            f"{margin:g} of one half says nothing: {interval}",
        )
    if inside and not p_omnibus <= alpha:
        return Verdict(
            INDEPENDENT_WITHIN_MARGIN, f"{scale} within {margin:g} of one half, no other pattern detected: {interval}"
        )
    if p_omnibus <= alpha:
        return Verdict(INCONCLUSIVE, f"possible non-monotone pattern (omnibus p {_p(p_omnibus)}): {interval}")
    return Verdict(INCONCLUSIVE, f"neither dependence nor independence within {margin:g} is shown: {interval}")


def decide_without_margin(*, p_dependence: float, ci95: Estimate, alpha: float) -> Verdict:
    """Apply the rule to an end point for which no margin was fixed: dependence can be shown, independence cannot.

    The margin is meant for the AUC of responders against the rest; a concordance with a graded or censored outcome is
    closer to one half for the same strength of association, so the same margin would be too easy to meet.
    """
    interval = f"concordance {_two(ci95.value)}, 95% interval {_two(ci95.low)} to {_two(ci95.high)}"
    if p_dependence <= alpha:
        return Verdict(DEPENDENT, f"associated with the outcome: {interval}; p {_p(p_dependence)}")
    return Verdict(
        INCONCLUSIVE,
        f"no association shown (p {_p(p_dependence)}), and no margin is fixed for this outcome: {interval}",
    )


def leaves_margin(attainable: tuple[float, float], *, margin: float) -> bool:
    """Tell whether the levels could have left the margin on both sides, had others responded."""
    return attainable[0] < 0.5 - margin and attainable[1] > 0.5 + margin


def not_testable(reason: str) -> Verdict:
    """Return the verdict of a biomarker that cannot be tested, with the reason."""
    return Verdict(NOT_TESTABLE, reason)


def smallest_margin(ci90: Estimate) -> float:
    """Least margin within which these data would have shown independence (before the omnibus gate)."""
    return max(abs(ci90.low - 0.5), abs(ci90.high - 0.5))


def _two(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1) if not math.isnan(value) else "undefined"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1e}"
