"""What a sample of this size can say: the least dependence it would find, the least margin it can prove.

These are large-sample figures for levels without ties; ties make each of them somewhat worse. ``biomarkers power``
simulates.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from biomarkers.errors import UsageError

POWER: Final = 0.80


def null_sd(n_responders: int, n_others: int) -> float:
    """Return the standard deviation of the AUC when nothing is going on: sqrt((n + 1) / (12 n1 n2))."""
    return math.sqrt((n_responders + n_others + 1) / (12 * n_responders * n_others))


def min_detectable_auc(n_responders: int, n_others: int, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Least AUC above one half that a two-sided test finds with the given power.

    Parameters
    ----------
    n_responders, n_others
        Group sizes.
    alpha
        Two-sided level.
    power
        Power wanted.

    Returns
    -------
    The AUC, or NaN when even complete separation would not be found.

    References
    ----------
    Hanley JA, McNeil BJ. Radiology 1982;143:29-36 (variance of an AUC away from one half).
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if min(n_responders, n_others) < 2:
        return math.nan
    need = ndtri(1 - alpha / 2) * null_sd(n_responders, n_others)

    def short(theta: float) -> float:
        return theta - 0.5 - need - ndtri(power) * _sd(theta, n_responders, n_others)

    return float(brentq(short, 0.5, 1 - 1e-9)) if short(1 - 1e-9) > 0 else math.nan


def smallest_provable_margin(n_responders: int, n_others: int, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Least margin within which independence can be shown with the given power when the AUC is exactly one half."""
    from scipy.special import ndtri

    reach = (ndtri(1 - alpha) + ndtri((1 + power) / 2)) * null_sd(n_responders, n_others)
    return float(reach) if reach < 0.5 else math.nan


def patients_needed(margin: float, *, responder_share: float, alpha: float = 0.05, power: float = POWER) -> int:
    """Patients needed to show independence within a margin when the AUC is exactly one half.

    Parameters
    ----------
    margin
        On the AUC scale, between 0 and .5.
    responder_share
        Share of responders among them.
    alpha, power
        Level of each one-sided test, and power wanted.

    Raises
    ------
    UsageError
        The margin or the share is out of range.
    """
    check_margin(margin)
    if not 0 < responder_share < 1:
        raise UsageError("the share of responders is out of range", seen=responder_share, allowed="between 0 and 1")
    low, high = 4, 4
    while _provable(high, responder_share, alpha, power) > margin:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _provable(middle, responder_share, alpha, power) > margin else (low, middle)
    return high


def check_margin(margin: float) -> float:
    """Refuse a margin outside (0, .5).

    Raises
    ------
    UsageError
        It is outside.
    """
    if not 0 < margin < 0.5:
        raise UsageError("the margin is out of range", seen=margin, allowed="above 0 and below 0.5, on the AUC scale")
    return margin


def _provable(n: int, share: float, alpha: float, power: float) -> float:
    n1 = max(1, round(n * share))
    margin = smallest_provable_margin(n1, max(1, n - n1), alpha=alpha, power=power)
    return math.inf if math.isnan(margin) else margin


def _sd(theta: float, n1: int, n2: int) -> float:
    q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
    variance = theta * (1 - theta) + (n1 - 1) * (q1 - theta**2) + (n2 - 1) * (q2 - theta**2)
    return math.sqrt(max(float(np.real(variance)), 0.0) / (n1 * n2))
