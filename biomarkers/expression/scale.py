"""What the numbers are: counts, CPM, TPM or already logarithms; found from the values, never guessed silently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from biomarkers.errors import DataError, UsageError

COUNTS, CPM, TPM, LINEAR, LOG2, LOG1P, ZSCORE = "counts", "cpm", "tpm", "linear", "log2", "log1p", "zscore"
SCALES: Final = (COUNTS, CPM, TPM, LINEAR, LOG2, LOG1P, ZSCORE)
LOGARITHMS: Final = (LOG2, LOG1P)
_LARGEST_LOG = 30.0
_MILLION = 1e6


@dataclass(frozen=True)
class Values:
    """What a scan of the whole matrix saw: extremes, whether all are whole numbers, row totals."""

    low: float
    high: float
    whole: bool
    totals: np.ndarray


def detect(values: Values) -> tuple[str, str]:
    """Say what the numbers are and why.

    Returns
    -------
    A name of ``SCALES`` and the reason in words.
    """
    if values.low < 0:
        if values.high <= _LARGEST_LOG:
            return ZSCORE, "values below 0 and none large: centred or scaled"
        return LINEAR, "values below 0 and large ones: background-subtracted intensities"
    if values.whole:
        return COUNTS, "all values are whole numbers"
    totals = values.totals[values.totals > 0]
    if len(totals) and np.all(np.abs(totals / _MILLION - 1) < 0.01):
        return TPM, "every sample sums to one million"
    if values.high <= _LARGEST_LOG:
        return LOG2, f"the largest value is {values.high:.3g}: logarithms"
    return LINEAR, "fractions and large values: linear, not counts"


def settle(values: Values, *, declared: str | None, where: object) -> tuple[str, str, list[str]]:
    """Take the declared scale, or the detected one, and warn where the two contradict each other.

    Returns
    -------
    The scale, the reason, and warnings.

    Raises
    ------
    UsageError
        The declared scale is unknown.
    DataError
        Counts with values below 0 or fractions far from whole, or logarithms that are too large.
    """
    found, reason = detect(values)
    if declared is None:
        return found, reason, []
    if declared not in SCALES:
        raise UsageError("unknown scale", seen=declared, allowed=SCALES)
    if declared in (COUNTS, CPM, TPM) and values.low < 0:
        raise DataError(f"values below 0 cannot be {declared}", where=where, seen=values.low)
    if declared in LOGARITHMS and values.high > 2 * _LARGEST_LOG:
        raise DataError("these values are too large to be logarithms", where=where, seen=values.high)
    warnings = []
    if declared == COUNTS and not values.whole:
        warnings.append(f"declared as counts, but not all values are whole numbers ({reason})")
    if declared in (CPM, TPM, LINEAR) and found in LOGARITHMS:
        warnings.append(f"declared as {declared}, but {reason}")
    return declared, f"declared; the values say: {reason}", warnings


def to_log2(values: np.ndarray, scale: str, totals: np.ndarray) -> tuple[np.ndarray, str, str]:
    """Bring values to log2(x + 1) once, and only once.

    Parameters
    ----------
    values
        (samples, genes) in ``scale``.
    scale
        One of ``SCALES``.
    totals
        (samples,) sum over all genes, used for counts.

    Returns
    -------
    The levels, their score name and their unit.
    """
    if scale == COUNTS:
        with np.errstate(divide="ignore", invalid="ignore"):
            cpm = np.where(totals[:, None] > 0, values / totals[:, None] * _MILLION, np.nan)
        return np.log2(cpm + 1), "log2_cpm", "log2(CPM + 1)"
    if scale in (CPM, TPM):
        return np.log2(values + 1), f"log2_{scale}", f"log2({scale.upper()} + 1)"
    if scale == LINEAR:
        return np.log2(np.maximum(values, 0) + 1), "log2_linear", "log2(x + 1)"
    if scale == LOG1P:
        return values / np.log(2), "log2_given", "log2, as given (from ln)"
    if scale == LOG2:
        return values, "log2_given", "log2, as given"
    return values, "zscore", "z, as given"
