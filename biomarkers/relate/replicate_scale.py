"""Scales on which the error of a level is about the same at every height."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.relate.measured import normal_scores

SCALES: Final = ("normal-scores", "linear", "log2", "percent", "fraction")
_TOP: Final = {"percent": 100.0, "fraction": 1.0}
_OFFSET: Final = {"linear": 1.0, "percent": 0.5, "fraction": 0.005}  # as for changes (docs/change.md)


def even_scale(values: np.ndarray, scale: str, *, level: str, where: str) -> np.ndarray:
    """Bring measurements, (n,), to a scale.

    Raises
    ------
    DataError
        A value lies outside what the scale allows.
    """
    top = _TOP.get(scale, math.inf)
    if scale in _OFFSET:
        bad = np.flatnonzero((values < 0) | (values > top))
        if bad.size:
            raise DataError(
                f"column {level!r} holds a value outside the scale {scale!r}", where=where, seen=float(values[bad[0]]),
                allowed=f"0 to {top:g}", hint=f"Name another scale: {', '.join(SCALES)}.",
            )  # fmt: skip
    if scale == "normal-scores":
        return normal_scores(values)
    if scale == "log2":
        return values
    offset = _OFFSET[scale]
    found: np.ndarray = np.log2(values + offset)
    return found if scale == "linear" else np.log((values + offset) / (top - values + offset))


def even_errors(values: np.ndarray, errors: np.ndarray, scale: str) -> np.ndarray:
    """Carry standard errors, (n,), to a scale by its slope at each level.

    Raises
    ------
    UsageError
        Normal scores have no slope.
    """
    if scale == "normal-scores":
        raise UsageError(
            "standard errors need a scale with a slope", seen=scale, allowed=SCALES[1:],
            hint="Name the scale of the level.",
        )  # fmt: skip
    if scale == "log2":
        return errors
    offset = _OFFSET[scale]
    slope = 1 / (values + offset)
    if scale == "linear":
        return np.asarray(errors * slope / math.log(2))
    return np.asarray(errors * (slope + 1 / (_TOP[scale] - values + offset)))
