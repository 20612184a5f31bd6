"""One proportion: response rates, positive fractions, densities."""

from __future__ import annotations

import math
from typing import Any

from biomarkers.stats._checks import confidence, proportion_counts, whole
from biomarkers.stats.results import Estimate


def clopper_pearson(k: int, n: int, *, level: float = 0.95) -> Estimate:
    """Exact (Clopper-Pearson) interval of a proportion, the one objective response rates are published with.

    Parameters
    ----------
    k, n
        Events and units.
    level
        Two-sided confidence level.

    Raises
    ------
    DataError
        When k > n, n = 0, or a count is not whole.

    References
    ----------
    Clopper CJ, Pearson ES. Biometrika 1934;26:404-413.

    Examples
    --------
    >>> print(clopper_pearson(19, 52))
    0.3654 (95% CI 0.2362 to 0.5104)
    """
    from scipy.special import betaincinv

    k, n = proportion_counts(k, n)
    tail = (1 - confidence(level)) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return Estimate(k / n, low, high, level, n, "proportion, Clopper-Pearson interval", _edge(k, n))


def wilson(k: int, n: int, *, level: float = 0.95) -> Estimate:
    """Score (Wilson) interval of a proportion: closer to its nominal coverage than the exact one.

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209-212.
    """
    k, n = proportion_counts(k, n)
    low, high = wilson_limits(k / n, n, z=_z(level))
    return Estimate(k / n, low, high, level, n, "proportion, Wilson score interval", _edge(k, n))


def wilson_limits(p: float, n: float, *, z: float) -> tuple[float, float]:
    """Wilson limits of proportion ``p`` of ``n`` units at normal quantile ``z``."""
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if p == 0 else max(0.0, centre - half)
    high = 1.0 if p == 1 else min(1.0, centre + half)
    return low, high


def jeffreys(k: int, n: int, *, level: float = 0.95) -> Estimate:
    """Equal-tailed interval of the Beta(k + 1/2, n - k + 1/2) posterior, with 0 and 1 as limits at k = 0 and k = n.

    References
    ----------
    Brown LD, Cai TT, DasGupta A. Stat Sci 2001;16:101-133.
    """
    from scipy.special import betaincinv

    k, n = proportion_counts(k, n)
    tail = (1 - confidence(level)) / 2
    low = 0.0 if k == 0 else float(betaincinv(k + 0.5, n - k + 0.5, tail))
    high = 1.0 if k == n else float(betaincinv(k + 0.5, n - k + 0.5, 1 - tail))
    return Estimate(k / n, low, high, level, n, "proportion, Jeffreys interval", _edge(k, n))


def agresti_coull(k: int, n: int, *, level: float = 0.95) -> Estimate:
    """Bound a proportion by the adjusted Wald interval, cut at 0 and 1.

    References
    ----------
    Agresti A, Coull BA. Am Stat 1998;52:119-126.
    """
    k, n = proportion_counts(k, n)
    z = _z(level)
    total = n + z * z
    centre = (k + z * z / 2) / total
    half = z * math.sqrt(centre * (1 - centre) / total)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(k / n, low, high, level, n, "proportion, Agresti-Coull interval", _edge(k, n))


def poisson_rate(count: int, exposure: float, *, level: float = 0.95) -> Estimate:
    """Exact (Garwood) interval of a rate: cells per mm2 counted over an area.

    A count of zero has rate 0 and a finite upper bound: 3.69 / exposure at 95% two-sided.

    References
    ----------
    Garwood F. Biometrika 1936;28:437-442.
    """
    from scipy.special import gammaincinv

    from biomarkers.core.errors import DataError

    count = whole(count, name="count")
    if not exposure > 0 or not math.isfinite(exposure):
        raise DataError("a rate needs an exposure", where="exposure", seen=exposure, allowed="a positive number")
    tail = (1 - confidence(level)) / 2
    low = 0.0 if count == 0 else float(gammaincinv(count, tail)) / exposure
    high = float(gammaincinv(count + 1, 1 - tail)) / exposure
    note = "no event seen: only the upper bound is informative" if count == 0 else ""
    return Estimate(count / exposure, low, high, level, count, "rate, Garwood exact Poisson interval", note)


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence(level) / 2))


def _edge(k: Any, n: Any) -> str:
    if 0 < k < n:
        return ""
    return f"{k} of {n}: the interval is one-sided in effect"
