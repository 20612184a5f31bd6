"""The AUC of the distance from the middle: an association that bends, on the scale of the margin."""

from __future__ import annotations

import numpy as np

from biomarkers.relate.interval import gate_interval
from biomarkers.relate.precision import tie_factor
from biomarkers.relate.strata import pool_strata
from biomarkers.stats.results import Estimate
from biomarkers.stats.roc import auc_logit_delong
from biomarkers.stats.spread import folded_ranks

_BENDS = 3  # distinct levels that a pattern needs to bend


def can_bend(level: np.ndarray) -> bool:
    """Whether a level takes three values or more: with two, the AUC says all there is."""
    return len(np.unique(level)) >= _BENDS


def folded_auc(
    level: np.ndarray, responder: np.ndarray, strata: np.ndarray | None, *, confidence: float
) -> Estimate | None:
    """Estimate the AUC of the distance from the middle level, with its logit-DeLong interval.

    Responders who lie nearer the middle than the others (an inverted U) give an AUC below one half, responders further
    out (an upright U) one above; an association that rises or falls gives one half. Middle and distance are those of
    the ranks, so no increasing transformation of the level changes anything.

    Parameters
    ----------
    level, responder
        (n,) finite levels, bool.
    strata
        (n,) labels or None: middle, distance and AUC are those within each stratum, pooled as the AUC itself is.
    confidence
        Of the interval, .90 for two one-sided tests at .05.

    Returns
    -------
    The estimate; None where nothing can bend (no stratum with both groups takes three values).

    References
    ----------
    Ansari AR, Bradley RA. Ann Math Stat 1960;31:1174-1189 (the test of the same statistic).

    Examples
    --------
    >>> inside = np.array([4.0, 5, 6, 7]), np.array([1.0, 2, 3, 8, 9, 10])
    >>> level, responder = np.concatenate(inside), np.arange(10) < 4
    >>> folded_auc(level, responder, None, confidence=0.9).value
    0.0
    >>> folded_auc(level > 5, responder, None, confidence=0.9) is None
    True
    """
    if strata is not None:
        return _pooled(level, responder, strata, confidence)
    if not can_bend(level):
        return None
    distance = folded_ranks(level)
    yes, no = distance[responder], distance[~responder]
    return gate_interval(yes, no, auc_logit_delong(yes, no, level=confidence))


def folded_tie_factor(level: np.ndarray) -> float:
    """Share of the variance of folded ranks that ties leave; 0 for a level that cannot bend."""
    return tie_factor(folded_ranks(level)) if can_bend(level) else 0.0


def _pooled(level: np.ndarray, responder: np.ndarray, strata: np.ndarray, confidence: float) -> Estimate | None:
    bending = [label for label in np.unique(strata) if can_bend(level[strata == label])]
    here = np.isin(strata, bending)
    if not here.any():
        return None
    found = pool_strata("", "", folded_ranks(level[here], strata=strata[here]), responder[here], strata[here])
    return None if isinstance(found, str) else found.at(confidence)
