"""Limits of the Hodges-Lehmann estimates by brute force: every sign or split counted, every pairwise value tried.

Written from the algorithm of R's ``wilcox.exact`` (exactRankTests 0.8), in exact fractions and without any of the
package's code: the null distribution belongs to the tied ranks of the data as they are; the statistic is ranked afresh
at every pairwise mean (or difference).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations, product

Limits = tuple[float, float]


def midranks(values: Sequence[Fraction]) -> list[Fraction]:
    """Rank from 1, ties sharing their mean rank."""
    return [
        Fraction(sum(other < value for other in values)) + Fraction(sum(other == value for other in values) + 1, 2)
        for value in values
    ]


def one_sample(differences: Sequence[str], *, tail: Fraction = Fraction(1, 40)) -> Limits:
    """Limits of the pseudomedian of decimal numbers given as text."""
    d = [Fraction(text) for text in differences]
    ranks = midranks([abs(value) for value in d])
    null = sorted(sum((r for r, up in zip(ranks, signs, strict=True) if up), Fraction(0)) for signs in _signs(len(d)))
    means = sorted((d[i] + d[j]) / 2 for i in range(len(d)) for j in range(i, len(d)))

    def statistic(shift: Fraction) -> Fraction:
        moved = [value - shift for value in d]
        at = midranks([abs(value) for value in moved])
        return sum((r for r, value in zip(at, moved, strict=True) if value > 0), Fraction(0))

    tied = len(set(ranks)) < len(ranks)
    return _limits(means, statistic, null, tail, tied=tied, top=sum(ranks, Fraction(0)))


def two_samples(x: Sequence[str], y: Sequence[str], *, tail: Fraction = Fraction(1, 40)) -> Limits:
    """Limits of the shift of x against y, decimal numbers given as text."""
    one, two = [Fraction(text) for text in x], [Fraction(text) for text in y]
    ranks = midranks([*one, *two])
    null = sorted(sum(chosen, Fraction(0)) for chosen in combinations(ranks, len(one)))
    differences = sorted(a - b for a in one for b in two)

    def statistic(shift: Fraction) -> Fraction:
        return sum(midranks([*(a - shift for a in one), *two])[: len(one)], Fraction(0))

    tied = len(set(ranks)) < len(ranks)
    base = Fraction(len(one) * (len(one) + 1), 2)
    return _limits(differences, statistic, null, tail, tied=tied, top=base + len(differences))


def _signs(n: int) -> product[tuple[bool, ...]]:
    return product((False, True), repeat=n)


def _limits(
    points: list[Fraction],
    statistic: Callable[[Fraction], Fraction],
    null: list[Fraction],
    tail: Fraction,
    *,
    tied: bool,
    top: Fraction,
) -> Limits:
    """Read both limits off the points; without ties the statistic falls by one from point to point."""
    low, high = _quantile(null, tail), _quantile(null, 1 - tail)
    values = [statistic(point) for point in points] if tied else [top - k for k in range(len(points))]
    above = [point for point, value in zip(points, values, strict=True) if value > high]
    below = [point for point, value in zip(points, values, strict=True) if value <= low]
    return float(max(above, default=points[0])), float(min(below, default=points[-1]))


def _quantile(null: list[Fraction], p: Fraction) -> Fraction:
    """Smallest value that at least a share ``p`` of the null distribution does not exceed."""
    need = p * len(null)
    return null[max(-(-need.numerator // need.denominator) - 1, 0)]
