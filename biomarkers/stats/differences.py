"""Two independent proportions: the risk difference, its intervals, and equivalence of two rates."""

from __future__ import annotations

import math
from collections.abc import Callable

from biomarkers.core.errors import UsageError
from biomarkers.stats._checks import confidence, proportion_counts
from biomarkers.stats.proportions import wilson_limits
from biomarkers.stats.results import Estimate, Test


def newcombe_difference(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Estimate:
    """Risk difference ``k1/n1 - k2/n2`` with Newcombe's hybrid score interval (his method 10).

    References
    ----------
    Newcombe RG. Stat Med 1998;17:873-890.

    Examples
    --------
    >>> print(newcombe_difference(5, 9, 1, 8))
    0.4306 (95% CI -0.02012 to 0.706)
    """
    (k1, n1), (k2, n2) = proportion_counts(k1, n1, name="group 1"), proportion_counts(k2, n2, name="group 2")
    z = _z(level)
    p1, p2 = k1 / n1, k2 / n2
    (l1, u1), (l2, u2) = wilson_limits(p1, n1, z=z), wilson_limits(p2, n2, z=z)
    low = p1 - p2 - math.hypot(p1 - l1, u2 - p2)
    high = p1 - p2 + math.hypot(u1 - p1, p2 - l2)
    return Estimate(p1 - p2, low, high, level, n1 + n2, "risk difference, Newcombe method 10")


def score_difference(
    k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95, correction: str = "miettinen-nurminen"
) -> Estimate:
    """Risk difference with a score interval: constrained maximum likelihood at each difference tried.

    Parameters
    ----------
    k1, n1, k2, n2
        Events and units of the two groups.
    level
        Two-sided confidence level.
    correction
        ``"miettinen-nurminen"`` multiplies the variance by N / (N - 1); ``"mee"`` (Mee, Farrington-Manning) does not.

    References
    ----------
    Miettinen O, Nurminen M. Stat Med 1985;4:213-226. Farrington CP, Manning G. Stat Med 1990;9:1447-1454.
    """
    (k1, n1), (k2, n2) = proportion_counts(k1, n1, name="group 1"), proportion_counts(k2, n2, name="group 2")
    z = _z(level)
    value = k1 / n1 - k2 / n2

    def distance(delta: float) -> float:
        return difference_z(k1, n1, k2, n2, delta, correction=correction)

    low = _score_limit(lambda d: distance(d) - z, inside=value, edge=-1.0)
    high = _score_limit(lambda d: distance(d) + z, inside=value, edge=1.0)
    return Estimate(value, low, high, level, n1 + n2, f"risk difference, {_NAMES[correction]} score interval")


def miettinen_nurminen(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Estimate:
    """Risk difference with the Miettinen-Nurminen score interval (see `score_difference`)."""
    return score_difference(k1, n1, k2, n2, level=level, correction="miettinen-nurminen")


def wald_difference(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Estimate:
    """Risk difference with the Wald interval: for comparison with old papers only, it is too short in small samples."""
    (k1, n1), (k2, n2) = proportion_counts(k1, n1, name="group 1"), proportion_counts(k2, n2, name="group 2")
    p1, p2 = k1 / n1, k2 / n2
    half = _z(level) * math.sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)
    note = "both rates are 0 or 1: the interval has no width and means nothing" if half == 0 else ""
    return Estimate(p1 - p2, p1 - p2 - half, p1 - p2 + half, level, n1 + n2, "risk difference, Wald interval", note)


def agresti_caffo_difference(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Estimate:
    """Risk difference with the Agresti-Caffo interval: one success and one failure added to each group.

    References
    ----------
    Agresti A, Caffo B. Am Stat 2000;54:280-288.
    """
    (k1, n1), (k2, n2) = proportion_counts(k1, n1, name="group 1"), proportion_counts(k2, n2, name="group 2")
    p1, p2 = (k1 + 1) / (n1 + 2), (k2 + 1) / (n2 + 2)
    half = _z(level) * math.sqrt(p1 * (1 - p1) / (n1 + 2) + p2 * (1 - p2) / (n2 + 2))
    low, high = max(-1.0, p1 - p2 - half), min(1.0, p1 - p2 + half)
    value = k1 / n1 - k2 / n2
    # the interval is centred on the shrunken difference and need not hold the raw one at the very edge
    return Estimate(value, min(low, value), max(high, value), level, n1 + n2, "risk difference, Agresti-Caffo interval")


def tost_difference(
    k1: int, n1: int, k2: int, n2: int, *, margin: float, correction: str = "miettinen-nurminen"
) -> Test:
    """Equivalence of two rates within ``margin``: two one-sided score tests, the larger p.

    The statistic is the z of the larger p-value.

    References
    ----------
    Farrington CP, Manning G. Stat Med 1990;9:1447-1454.
    """
    from scipy.special import ndtr

    (k1, n1), (k2, n2) = proportion_counts(k1, n1, name="group 1"), proportion_counts(k2, n2, name="group 2")
    if not 0 < margin < 1:
        raise UsageError("the margin is no difference of proportions", seen=margin, allowed="between 0 and 1")
    above = difference_z(k1, n1, k2, n2, -margin, correction=correction)  # large: the difference exceeds -margin
    below = -difference_z(k1, n1, k2, n2, margin, correction=correction)
    z = min(above, below)
    method = f"two one-sided {_NAMES[correction]} score tests of the risk difference, margin {margin:g}"
    return Test(z, float(ndtr(-z)), n1 + n2, method)


def difference_z(k1: int, n1: int, k2: int, n2: int, delta: float, *, correction: str) -> float:
    """Score statistic of ``p1 - p2 = delta``: (observed - delta) over its standard error under that difference."""
    if correction not in _NAMES:
        raise UsageError("unknown correction", seen=correction, allowed=tuple(_NAMES))
    p2 = _constrained_p2(k1, n1, k2, n2, delta)
    p1 = min(max(p2 + delta, 0.0), 1.0)
    variance = p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2
    if correction == "miettinen-nurminen":
        variance *= (n1 + n2) / (n1 + n2 - 1)
    gap = k1 / n1 - k2 / n2 - delta
    if variance <= 0:
        return 0.0 if abs(gap) < 1e-12 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _constrained_p2(k1: int, n1: int, k2: int, n2: int, delta: float) -> float:
    """Maximum-likelihood p2 under p1 = p2 + delta: the middle root of a cubic in closed form."""
    total = n1 + n2
    a = float(total)
    b = (n1 + 2 * n2) * delta - total - (k1 + k2)
    c = (n2 * delta - total - 2 * k2) * delta + (k1 + k2)
    d = k2 * delta * (1 - delta)
    q = (b / (3 * a)) ** 3 - b * c / (6 * a * a) + d / (2 * a)
    p = math.copysign(math.sqrt(max((b / (3 * a)) ** 2 - c / (3 * a), 0.0)), q)
    if p == 0:
        root = -b / (3 * a)
    else:
        angle = (math.pi + math.acos(min(max(q / p**3, -1.0), 1.0))) / 3
        root = 2 * p * math.cos(angle) - b / (3 * a)
    return min(max(root, max(0.0, -delta)), min(1.0, 1.0 - delta))


def _score_limit(excess: Callable[[float], float], *, inside: float, edge: float) -> float:
    """Where the score statistic crosses its quantile between the estimate and the edge of the scale."""
    from scipy.optimize import brentq

    if abs(edge - inside) < 1e-12:
        return edge
    last = edge - math.copysign(1e-12, edge)
    at_edge, at_value = excess(last), excess(inside)
    if at_value == 0 or (at_edge > 0) == (at_value > 0):
        return edge if at_value != 0 else inside
    return float(brentq(excess, last, inside, xtol=1e-14, rtol=1e-14, maxiter=500))


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence(level) / 2))


_NAMES = {"miettinen-nurminen": "Miettinen-Nurminen", "mee": "Mee / Farrington-Manning"}
