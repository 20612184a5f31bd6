"""Relative risk and sample odds ratio of a 2 x 2 table with large-sample intervals.

Rows are groups (marker positive first), columns are response yes, no: ``[[k1, n1 - k1], [k2, n2 - k2]]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import choice, confidence, counts_table
from biomarkers.stats.results import Estimate, undefined_estimate


def relative_risk(table: Any, *, level: float = 0.95, method: str = "log") -> Estimate:
    """Relative risk ``(k1/n1) / (k2/n2)`` with a log interval.

    Parameters
    ----------
    table
        2 x 2 counts.
    level
        Two-sided confidence level.
    method
        ``"log"`` (Katz) or ``"log-adjusted"`` (Walter's halves added for the interval; finite with zero cells).

    References
    ----------
    Katz D et al. Biometrics 1978;34:469-474. Walter SD. Biometrics 1975;31:371-374.
    """
    choice(method, ("log", "log-adjusted"), name="method")
    k1, n1, k2, n2 = _groups(table)
    name = f"relative risk, {'Katz log' if method == 'log' else 'Walter adjusted log'} interval"
    value = _ratio(k1 / n1, k2 / n2)
    half = 0.5 if method == "log-adjusted" else 0.0
    if k1 == 0 and k2 == 0:
        note = "nobody responded in either group: the relative risk is undefined"
        return undefined_estimate(level=level, n=n1 + n2, method=name, note=note)
    if half == 0 and (k1 == 0 or k2 == 0):
        return Estimate(value, 0.0, math.inf, level, n1 + n2, name, "a zero cell: this interval has no finite bounds")
    variance = 1 / (k1 + half) - 1 / (n1 + half) + 1 / (k2 + half) - 1 / (n2 + half)
    centre = math.log((k1 + half) / (n1 + half)) - math.log((k2 + half) / (n2 + half))
    reach = _z(level) * math.sqrt(max(variance, 0.0))
    note = "a zero cell: the interval is the adjusted one and need not hold the raw ratio" if k1 == 0 or k2 == 0 else ""
    if variance <= 0:
        note = "everybody responded: the interval has no width, use the score interval"
    low, high = math.exp(centre - reach), math.exp(centre + reach)
    return Estimate(value, low, high, level, n1 + n2, name, note)


def relative_risk_score(table: Any, *, level: float = 0.95) -> Estimate:
    """Relative risk with the score interval (Miettinen-Nurminen with the N / (N - 1) factor)."""
    k1, n1, k2, n2 = _groups(table)
    name = "relative risk, Miettinen-Nurminen score interval"
    if k1 == 0 and k2 == 0:
        note = "nobody responded in either group: the relative risk is undefined"
        return undefined_estimate(level=level, n=n1 + n2, method=name, note=note)
    z = _z(level)

    def distance(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        p2 = _constrained_p2_ratio(k1, n1, k2, n2, ratio)
        p1 = p2 * ratio
        total = n1 + n2
        variance = (p1 * (1 - p1) / n1 + ratio * ratio * p2 * (1 - p2) / n2) * total / (total - 1)
        gap = k1 / n1 - ratio * k2 / n2
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

    low = 0.0 if k1 == 0 else math.exp(_crossing(lambda b: z - distance(b)))
    high = math.inf if k2 == 0 else math.exp(_crossing(lambda b: -z - distance(b)))
    note = "a zero cell: the relative risk has one finite bound only" if k1 == 0 or k2 == 0 else ""
    return Estimate(_ratio(k1 / n1, k2 / n2), low, high, level, n1 + n2, name, note)


def odds_ratio(table: Any, *, level: float = 0.95, method: str = "logit") -> Estimate:
    """Sample odds ratio with a logit interval.

    Parameters
    ----------
    table
        2 x 2 counts.
    level
        Two-sided confidence level.
    method
        ``"logit"`` (Woolf), ``"logit-adjusted"`` (Gart: one half in every cell of the interval) or ``"logit-smoothed"``
        (Agresti: one pseudo-patient shared out by the table's own margins).

    References
    ----------
    Woolf B. Ann Hum Genet 1955;19:251-253. Gart JJ. Biometrika 1966;53:471-475. Agresti A. Biometrics 1999;55:597-602.
    """
    choice(method, ("logit", "logit-adjusted", "logit-smoothed"), name="method")
    counts = counts_table(table, shape=(2, 2)).astype(float)
    (a, b), (c, d) = counts
    n = int(counts.sum())
    name = f"odds ratio, {_OR_NAMES[method]} interval"
    value = math.nan if a * d == 0 and b * c == 0 else _ratio(a * d, b * c)
    if math.isnan(value):
        note = "a margin is empty: the odds ratio is undefined"
        return undefined_estimate(level=level, n=n, method=name, note=note)
    if method == "logit":
        if counts.min() == 0:
            return Estimate(value, 0.0, math.inf, level, n, name, "a zero cell: this interval has no finite bounds")
        used = counts
    elif method == "logit-adjusted":
        used = counts + 0.5
    else:
        expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / n**2
        used = counts + 2 * expected
    (a, b), (c, d) = used
    centre = math.log(a) + math.log(d) - math.log(b) - math.log(c)
    reach = _z(level) * math.sqrt(float((1 / used).sum()))
    note = "a zero cell: the interval is the adjusted one and need not hold the raw ratio" if counts.min() == 0 else ""
    return Estimate(value, math.exp(centre - reach), math.exp(centre + reach), level, n, name, note)


def odds_ratio_score(table: Any, *, level: float = 0.95) -> Estimate:
    """Sample odds ratio with the score interval (Cornfield's without continuity correction, N / (N - 1) factor).

    References
    ----------
    Miettinen O, Nurminen M. Stat Med 1985;4:213-226.
    """
    k1, n1, k2, n2 = _groups(table)
    name = "odds ratio, score interval"
    if k1 + k2 in (0, n1 + n2):
        note = "a margin is empty: the odds ratio is undefined"
        return undefined_estimate(level=level, n=n1 + n2, method=name, note=note)
    z = _z(level)
    total = n1 + n2

    def distance(log_or: float) -> float:
        p1, p2 = _constrained_odds(n1, n2, k1 + k2, math.exp(log_or))
        spread = (1 / (n1 * p1 * (1 - p1)) + 1 / (n2 * p2 * (1 - p2))) * total / (total - 1)
        return (k1 - n1 * p1) / (n1 * p1 * (1 - p1)) / math.sqrt(spread) + (n2 * p2 - k2) / (
            n2 * p2 * (1 - p2)
        ) / math.sqrt(spread)

    at_low, at_high = k1 == 0 or k2 == n2, k2 == 0 or k1 == n1
    low = 0.0 if at_low else math.exp(_crossing(lambda b: z - distance(b)))
    high = math.inf if at_high else math.exp(_crossing(lambda b: -z - distance(b)))
    note = "a zero cell: the odds ratio has one finite bound only" if at_low or at_high else ""
    return Estimate(_ratio(k1 * (n2 - k2), (n1 - k1) * k2), low, high, level, total, name, note)


def _groups(table: Any) -> tuple[int, int, int, int]:
    counts = counts_table(table, shape=(2, 2))
    n1, n2 = int(counts[0].sum()), int(counts[1].sum())
    if n1 == 0 or n2 == 0:
        raise DataError("a group is empty", where="table rows", seen=counts.tolist(), hint="Rows are groups.")
    return int(counts[0, 0]), n1, int(counts[1, 0]), n2


def _ratio(above: float, below: float) -> float:
    return math.inf if below == 0 else above / below


def _constrained_p2_ratio(k1: int, n1: int, k2: int, n2: int, ratio: float) -> float:
    """Maximum-likelihood p2 under p1 = ratio * p2."""
    a = (n1 + n2) * ratio
    b = -(n1 * ratio + k1 + n2 + k2 * ratio)
    c = float(k1 + k2)
    root = (-b - math.sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)
    return min(max(root, 0.0), 1.0, 1.0 / ratio)


def _constrained_odds(n1: int, n2: int, events: int, ratio: float) -> tuple[float, float]:
    """Maximum-likelihood (p1, p2) under odds(p1) = ratio * odds(p2): margins are matched."""
    a = n2 * (ratio - 1)
    b = n1 * ratio + n2 - events * (ratio - 1)
    c = -float(events)
    if abs(ratio - 1) < 1e-10:
        p2 = events / (n1 + n2)
    else:
        root = math.sqrt(max(b * b - 4 * a * c, 0.0))
        p2 = -2 * c / (b + root)  # the stable form of the root inside (0, 1)
    p2 = min(max(p2, 1e-300), 1 - 1e-16)
    odds = ratio * p2 / (1 - p2)
    return min(max(odds / (1 + odds), 1e-300), 1 - 1e-16), p2


def _crossing(increasing: Callable[[float], float]) -> float:
    from scipy.optimize import brentq

    reach = 2.0
    while (increasing(-reach) > 0 or increasing(reach) < 0) and reach < 300:
        reach *= 2
    if increasing(-reach) > 0:
        return -math.inf
    if increasing(reach) < 0:
        return 700.0
    return float(brentq(increasing, -reach, reach, xtol=1e-13, rtol=1e-14, maxiter=500))


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence(level) / 2))


_OR_NAMES = {
    "logit": "Woolf logit",
    "logit-adjusted": "Gart adjusted logit",
    "logit-smoothed": "Agresti smoothed logit",
}
