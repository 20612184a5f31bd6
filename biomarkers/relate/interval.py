"""The interval that has to lie inside the margin."""

from __future__ import annotations

import numpy as np

from biomarkers.stats.differences import miettinen_nurminen
from biomarkers.stats.results import Estimate


def gate_interval(yes: np.ndarray, no: np.ndarray, ci90: Estimate) -> Estimate:
    """Interval that has to lie inside the margin: the one given, and of a level with two values the wider of two.

    The AUC of a level with two values is one half plus half the difference of the shares with the higher one, so
    Miettinen and Nurminen's interval of that difference serves as well. DeLong's is too narrow where one of the values
    is rare: with 5% positive among 300 patients and an AUC at the margin it lay inside in .069, not .05.
    """
    values = np.unique(np.concatenate([yes, no]))
    if len(values) != 2:
        return ci90
    found = miettinen_nurminen(
        int((yes == values[1]).sum()), len(yes), int((no == values[1]).sum()), len(no), level=ci90.level
    )
    low, high = min(ci90.low, 0.5 + found.low / 2), max(ci90.high, 0.5 + found.high / 2)
    return Estimate(ci90.value, low, high, ci90.level, ci90.n, ci90.method)
