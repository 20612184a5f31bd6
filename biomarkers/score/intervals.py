"""Intervals for counting error: what another draw of as many cells from the same tissue could have shown.

They say nothing about staining, tissue sampling or segmentation error. scipy.special is used, not scipy.stats:
worker processes pay for imports.
"""

from __future__ import annotations

import math

Z95 = 1.959963984540054
_TAIL = 0.025


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Wilson 95% interval of a proportion.

    Parameters
    ----------
    successes
        0 to ``n``; need not be whole (a mean of values between 0 and 1 is never more variable than a proportion).
    n
        How many were counted, above 0.

    References
    ----------
    Wilson 1927, J Am Stat Assoc 22:209.

    Examples
    --------
    >>> [round(edge, 4) for edge in wilson(10, 100)]
    [0.0552, 0.1744]
    """
    p = successes / n
    z2 = Z95 * Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # rounding must not put an edge on the wrong side of the estimate
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def poisson(count: float) -> tuple[float, float]:
    """Exact 95% interval of a Poisson mean (Garwood); a count of 0 gives 0 to 3.69.

    References
    ----------
    Garwood 1936, Biometrika 28:437.

    Examples
    --------
    >>> [round(edge, 2) for edge in poisson(0)]
    [0.0, 3.69]
    """
    from scipy.special import gammaincinv

    low = 0.0 if count <= 0 else float(gammaincinv(count, _TAIL))
    return low, float(gammaincinv(count + 1, 1 - _TAIL))


def weighted_poisson(total: float, squares: float, largest: float) -> tuple[float, float]:
    """Give the 95% gamma interval of a weighted sum of Poisson counts, such as an area summed over counted cells.

    Parameters
    ----------
    total, squares
        Sum of the weights, and of their squares, over what was counted.
    largest
        The largest weight one more count could have brought; above 0.

    References
    ----------
    Fay and Feuer 1997, Stat Med 16:791.
    """
    from scipy.special import gammaincinv

    low = 0.0
    if total > 0:
        low = squares / total * float(gammaincinv(total * total / squares, _TAIL))
    top, spread = total + largest, squares + largest * largest
    return low, spread / top * float(gammaincinv(top * top / spread, 1 - _TAIL))


def sum_interval(*parts: tuple[float, float, float]) -> tuple[float, float]:
    """Interval of a sum of independent estimates from the intervals of its parts (MOVER).

    Parameters
    ----------
    *parts
        ``(estimate, low, high)`` of each.

    References
    ----------
    Zou and Donner 2008, Stat Med 27:1693.
    """
    total = math.fsum(value for value, _, _ in parts)
    below = math.sqrt(math.fsum((value - low) ** 2 for value, low, _ in parts))
    above = math.sqrt(math.fsum((high - value) ** 2 for value, _, high in parts))
    return total - below, total + above
