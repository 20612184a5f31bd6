"""The decision rule: dependent, independent within a margin fixed beforehand, or inconclusive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from biomarkers.core.keys import (
    DEPENDENT,
    DEPENDENT_WITHIN_MARGIN,
    INCONCLUSIVE,
    INDEPENDENT_WITHIN_MARGIN,
    NOT_TESTABLE,
)
from biomarkers.relate.precision import SPREAD_LEVELS
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
    p_spread: float = math.nan,
    folded90: Estimate | None = None,
    doubts: Sequence[str] = (),
) -> Verdict:
    """Apply the rule.

    Dependence when the permutation test says so, over the family of biomarkers. Otherwise independence within the
    margin when the 90% intervals of the AUC and of the AUC of the distance from the middle both lie inside it, the
    biomarker's own p is above alpha, the omnibus test saw no other pattern at alpha and the test of spread none at
    2 alpha, the levels could have left the margin had others responded, and nothing else speaks against it; those gates
    can only take the verdict away, so they cost no error. Otherwise the data do not decide.

    The same margin so holds for a level that rises or falls with response and for a pattern that bends: not to have
    found a bend shows as little as not to have found an association. Spread is judged at 2 alpha because a pattern
    that is missed gives a wrong independence, a false alarm only an inconclusive answer.

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
    p_spread
        P-value of the test of spread (an upright or an inverted U), NaN where it is not defined.
    folded90
        90% interval of the AUC of the distance from the middle (:func:`biomarkers.relate.folded.folded_auc`); None
        where no pattern can bend.
    doubts
        What else speaks against independence, in words.
    """
    inside = _within(ci90, margin)
    interval = f"AUC {_interval(ci90)}"
    family = p_dependence if p_adjusted is None else p_adjusted
    if family <= alpha:
        tail = f"{interval}; p {_p(family)}"
        if inside:
            return Verdict(DEPENDENT_WITHIN_MARGIN, f"associated with response, but weaker than the margin: {tail}")
        return Verdict(DEPENDENT, f"associated with response: {tail}")
    if p_dependence <= alpha:
        alone = f"p {_p(p_dependence)} alone, but {_p(family)} over all biomarkers tested"
        return Verdict(INCONCLUSIVE, f"{alone}: {interval}")
    if not margin_is_testable(attainable, margin=margin):
        span = f"{_two(attainable[0])} to {_two(attainable[1])}"
        return Verdict(
            INCONCLUSIVE,
            f"too many equal levels: whoever had responded, the AUC would lie in {span}, so being within "
            f"{margin:g} of one half says nothing: {interval}",
        )
    pattern = _pattern(p_omnibus, p_spread, alpha)
    if pattern:
        return Verdict(INCONCLUSIVE, f"possible non-monotone pattern ({pattern}): {interval}")
    if not inside:
        return Verdict(INCONCLUSIVE, f"neither dependence nor independence within {margin:g} is shown: {interval}")
    if folded90 is not None and not _within(folded90, margin):
        return Verdict(
            INCONCLUSIVE,
            f"AUC within {margin:g} of one half, but a pattern that bends is not excluded: AUC of the distance from "
            f"the middle {_interval(folded90)}, not within {margin:g}: {interval}",
        )
    if doubts:
        return Verdict(INCONCLUSIVE, f"{'; '.join(doubts)}, so no independence is claimed: {interval}")
    return Verdict(
        INDEPENDENT_WITHIN_MARGIN, f"AUC within {margin:g} of one half, no other pattern detected: {interval}"
    )


def _within(interval: Estimate, margin: float) -> bool:
    return 0.5 - margin < interval.low and interval.high < 0.5 + margin


def _interval(found: Estimate) -> str:
    return f"{_two(found.value)}, {100 * found.level:g}% interval {_two(found.low)} to {_two(found.high)}"


def _pattern(p_omnibus: float, p_spread: float, alpha: float) -> str:
    seen = []
    if p_omnibus <= alpha:
        seen.append(f"omnibus p {_p(p_omnibus)}")
    if p_spread <= SPREAD_LEVELS * alpha:
        seen.append(f"spread p {_p(p_spread)}")
    return ", ".join(seen)


def decide_without_margin(
    *, p_dependence: float, ci95: Estimate, alpha: float, p_omnibus: float = math.nan, too_few: str = ""
) -> Verdict:
    """Apply the rule to an end point for which no margin was fixed: dependence can be shown, independence cannot.

    The margin is meant for the AUC of responders against the rest; a concordance with a graded or censored outcome is
    closer to one half for the same strength of association, so the same margin would be too easy to meet.

    Parameters
    ----------
    p_dependence, p_omnibus
        P-values of the test of dependence (over the family) and of any dependence at all.
    ci95
        95% interval of the concordance.
    alpha
        Level.
    too_few
        Why so few patients had the outcome that nothing is concluded; empty where they are enough.
    """
    interval = f"concordance {_two(ci95.value)}"
    if not math.isnan(ci95.low):
        interval += f", 95% interval {_two(ci95.low)} to {_two(ci95.high)}"
    if too_few:
        return Verdict(INCONCLUSIVE, f"{too_few} (p {_p(p_dependence)}): {interval}")
    if p_dependence <= alpha:
        return Verdict(DEPENDENT, f"associated with the outcome: {interval}; p {_p(p_dependence)}")
    other = f"; possible non-monotone pattern (omnibus p {_p(p_omnibus)})" if p_omnibus <= alpha else ""
    return Verdict(
        INCONCLUSIVE,
        f"no association shown (p {_p(p_dependence)}), and no margin is fixed for this outcome: {interval}{other}",
    )


def margin_is_testable(attainable: tuple[float, float], *, margin: float) -> bool:
    """Tell whether the levels could have left the margin on both sides, had others responded."""
    return attainable[0] < 0.5 - margin and attainable[1] > 0.5 + margin


def not_testable(reason: str) -> Verdict:
    """Return the verdict of a biomarker that cannot be tested, with the reason."""
    return Verdict(NOT_TESTABLE, reason)


def smallest_margin(ci90: Estimate, folded90: Estimate | None = None) -> float:
    """Least margin that holds the 90% interval of the AUC and, where one is given, that of the folded AUC."""
    return max(abs(at - 0.5) for one in (ci90, folded90) if one is not None for at in (one.low, one.high))


def _two(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1) if not math.isnan(value) else "undefined"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1e}"
