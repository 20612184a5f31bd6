"""An AUC at the level that was meant, from one at the level that was measured with error.

Error that has nothing to do with response pulls an AUC towards one half. Where levels are normal in both groups on some
scale and the error has the same variance in both, Phi^-1(AUC) shrinks by the square root of the reliability: the share
of the variance within the groups (the mean of the two variances) that is not error.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.stats._checks import confidence
from biomarkers.stats.reliability import ReliabilityEstimate, check_reliability
from biomarkers.stats.results import Estimate

_NEAREST: Final = 1e-12  # an AUC of 0 or 1 is taken as so far from it, so that Phi^-1 is a number
_FARTHEST: Final = 60.0  # on the probit scale; beyond it Phi is 0 or 1 in double precision


def true_auc(auc: float, *, reliability: float) -> float:
    """Return the AUC at the true level that gives ``auc`` at a level measured with this reliability.

    Parameters
    ----------
    auc
        AUC of the measured level, 0 to 1.
    reliability
        Share of the variance within response groups that is not error, above 0, at most 1.

    Raises
    ------
    UsageError
        The reliability or the AUC is out of range.

    References
    ----------
    Reiser B. Stat Med 2000;19:2115-2129. Coffin M, Sukhatme S. Biometrics 1997;53:823-837.

    Examples
    --------
    >>> round(true_auc(0.64, reliability=0.6), 3)
    0.678
    """
    from scipy.special import ndtr

    check_reliability(reliability)
    return auc if reliability == 1 else float(ndtr(_probit(auc) / math.sqrt(reliability)))


def attenuated_auc(auc: float, *, reliability: float) -> float:
    """Return the AUC that is seen when a level with this AUC is measured with this reliability.

    The inverse of :func:`true_auc`.

    Examples
    --------
    >>> round(attenuated_auc(true_auc(0.64, reliability=0.6), reliability=0.6), 12)
    0.64
    """
    from scipy.special import ndtr

    check_reliability(reliability)
    return auc if reliability == 1 else float(ndtr(_probit(auc) * math.sqrt(reliability)))


def smallest_reliability(low: float, high: float, *, margin: float) -> float:
    """Least reliability at which an interval of the AUC still lies within the margin for the true level.

    (Phi^-1(farther limit) / Phi^-1(1/2 + margin))^2. Above 1 the interval leaves the margin even for a measurement
    without error.

    Parameters
    ----------
    low, high
        Limits of the AUC of the measured level.
    margin
        On the AUC scale, between 0 and 1/2.

    Raises
    ------
    UsageError
        The margin is out of range.

    Examples
    --------
    >>> round(smallest_reliability(0.38, 0.64, margin=0.15), 3)
    0.865
    """
    if not 0 < margin < 0.5:
        raise UsageError("the margin is no distance from AUC 1/2", seen=margin, allowed="between 0 and 0.5")
    return (max(abs(_probit(low)), abs(_probit(high))) / _probit(0.5 + margin)) ** 2


def corrected_auc(measured: Estimate, *, reliability: ReliabilityEstimate | float) -> Estimate:
    """Correct an AUC and its interval for measurement error, and carry the uncertainty of the reliability.

    The measured AUC is uncertain as two half-normal distributions on the probit scale that meet its limits, the
    reliability as :class:`~biomarkers.stats.reliability.ReliabilityEstimate` says; the limits are the quantiles of
    the quotient of the two (a generalised pivotal quantity), found by quadrature, so that the same input gives the
    same limits. With a known reliability they are the limits themselves, each corrected.

    Parameters
    ----------
    measured
        AUC of the measured level with its interval, of any confidence level.
    reliability
        Known (a number), or estimated.

    Returns
    -------
    Undefined, with a note, where the estimate of the reliability stands at 0.

    References
    ----------
    Reiser B. Stat Med 2000;19:2115-2129. Schisterman EF, Faraggi D, Reiser B, Trevisan M. Am J Epidemiol
    2001;154:174-179. Tosteson TD, et al. Biometrics 2005;61:1006-1016 (the binormal model). Weerahandi S. J Am Stat
    Assoc 1993;88:899-905 (generalised intervals).

    Examples
    --------
    >>> measured = Estimate(0.51, 0.38, 0.64, 0.90, 52, "AUC")
    >>> print(corrected_auc(measured, reliability=0.6))
    0.5129 (90% CI 0.3467 to 0.6782)
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    known = reliability if isinstance(reliability, ReliabilityEstimate) else ReliabilityEstimate.known(reliability)
    method = "AUC corrected for measurement error, binormal"
    if known.value <= 0:
        note = "the reliability is estimated at 0: nothing of the measured variation is shown to be the patients' own"
        return Estimate(math.nan, 0.0, 1.0, measured.level, measured.n, method, note)
    value = true_auc(measured.value, reliability=known.value)
    if known.is_known:
        low, high = (true_auc(limit, reliability=known.value) for limit in (measured.low, measured.high))
        return Estimate(value, low, high, measured.level, measured.n, f"{method}, reliability known")
    tail = (1 - confidence(measured.level)) / 2
    z = float(ndtri(1 - tail))
    centre, below, above = (_probit(at) for at in (measured.value, measured.low, measured.high))
    falls, rises = max(centre - below, 1e-9) / z, max(above - centre, 1e-9) / z
    shrink = np.sqrt(np.maximum(known.nodes, 0.0))

    def chance(at: float) -> float:
        """Chance that the true probit lies at or below ``at``."""
        off = at * shrink - centre
        return float(ndtr(off / np.where(off < 0, falls, rises)).mean())

    def quantile(p: float) -> float:
        if chance(-_FARTHEST) >= p:
            return -_FARTHEST
        return _FARTHEST if chance(_FARTHEST) <= p else float(brentq(lambda at: chance(at) - p, -_FARTHEST, _FARTHEST))

    low, high = (float(ndtr(quantile(p))) for p in (tail, 1 - tail))
    return Estimate(
        value, min(low, value), max(high, value), measured.level, measured.n, f"{method}, reliability estimated"
    )


def _probit(auc: float) -> float:
    from scipy.special import ndtri

    if not 0 <= auc <= 1:
        raise UsageError("an AUC is out of range", seen=auc, allowed="0 to 1")
    return float(ndtri(min(max(auc, _NEAREST), 1 - _NEAREST)))
