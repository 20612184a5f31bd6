"""Sums that do not depend on the order of what is summed."""

from __future__ import annotations

import math

import numpy as np

_PART = 2.0**26  # numbers are cut in two: whole 2^-26, and whole 2^-52 of what is left
_EXACT = 2.0**53  # whole numbers up to here add up without rounding


def exact_sum(values: np.ndarray) -> float:
    """Add numbers up and round once, as :func:`math.fsum` does.

    Numbers that were rounded to 32 bits, as measured intensities are, are added as whole numbers, ten times as fast;
    others, and those that are not finite, are left to ``fsum``.
    """
    scaled = np.asarray(values, dtype=np.float64) * _PART
    if scaled.size and np.abs(scaled).max() * scaled.size < _EXACT:
        high = np.rint(scaled)
        low = (scaled - high) * _PART
        if (low == np.rint(low)).all():
            return (int(high.sum()) * int(_PART) + int(low.sum())) / int(_PART * _PART)
    return math.fsum(np.asarray(values).tolist())
