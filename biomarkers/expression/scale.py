"""What the numbers are: counts, CPM, TPM or already logarithms; found from the values, never guessed silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from biomarkers.core.errors import DataError, UsageError, did_you_mean

COUNTS, CPM, TPM, LINEAR, LOG2, LOG1P, ZSCORE = "counts", "cpm", "tpm", "linear", "log2", "log1p", "zscore"
LOG10, NANOSTRING, MICROARRAY = "log10", "nanostring", "microarray"
SCALES: Final = (COUNTS, CPM, TPM, LINEAR, LOG2, LOG1P, LOG10, ZSCORE, NANOSTRING, MICROARRAY)
LOGARITHMS: Final = (LOG2, LOG1P, LOG10, MICROARRAY)
_BASES: Final = {"e": (LOG1P, "natural logarithms"), "2": (LOG2, "logarithms to base 2"),
                 "10": (LOG10, "logarithms to base 10")}  # fmt: skip
_LARGEST_LOG = 30.0
_MILLION = 1e6
# log2(x + offset) is lowest at log2(offset), where x is 0
_OFFSETS: Final = (1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5)
_FACTOR: Final = {LOG2: 1.0, MICROARRAY: 1.0, LOG1P: 1 / np.log(2), LOG10: np.log2(10)}  # to base 2
_NEAR_OFFSET = 1e-3  # of the lowest value to log2(offset): tables keep four digits or more
_ABOVE_ZERO = 1e-3  # of the offset: what rounded logarithms leave of a 0


@dataclass(frozen=True)
class Values:
    """What a scan of the whole matrix saw.

    Extremes, whether all are whole numbers, row totals; ``base`` is ``"e"``, ``"2"`` or ``"10"`` where one base of
    logarithms makes all rows sum to one total, and empty where none does; ``lowest_at`` names gene and sample of the
    lowest value where it is below 0. ``offset`` is what was added before logarithms were taken (:func:`log_offset`).
    """

    low: float
    high: float
    whole: bool
    totals: np.ndarray
    base: str = ""
    lowest_at: str = ""
    offset: float = 1.0


def log_base(rows: Sequence[np.ndarray]) -> str:
    """Tell the base of normalised logarithms: with the right one, all rows sum to the same total.

    Parameters
    ----------
    rows
        Values of some rows, (k,) each (zeros may be left out).

    Returns
    -------
    ``"e"``, ``"2"``, ``"10"``, or an empty text when the rows do not tell.
    """
    rows = [row for row in rows if row.size and row.max() > 0]
    if not rows or max(row.max() for row in rows) > _LARGEST_LOG:
        return ""
    return base_of_totals(np.array([undone(row) for row in rows]).T)


def undone(values: np.ndarray) -> np.ndarray:
    """Return what values sum to along the last axis, were they logarithms to base e, 2 or 10 of x + 1; (3, ...)."""
    return np.array([np.expm1(values * factor).sum(axis=-1) for factor in (1, np.log(2), np.log(10))])


def base_of_totals(totals: np.ndarray) -> str:
    """Tell the base from what :func:`undone` gave for every row, (3, rows).

    With the right one, all are the same; of one or two rows, they are a usual total, ten thousand or a million.
    """
    for base, sums in zip(_BASES, totals, strict=True):
        known = sums[sums > 0]
        if len(known) > 2 and np.ptp(known) <= 1e-3 * known.max():
            return base
        if len(known) and any((np.abs(known / usual - 1) <= 1e-3).all() for usual in (1e4, 1e6)):
            return base
    return ""


_OTHER_SCALE = 10.0  # log2(TPM + 1) of 20,000 genes sum to some 40,000, not to a million; FPKM sums differ by 3 at most
_FEWEST_SAMPLES = 3
_DIP = 0.25  # of the largest value: z-scores of any cohort of 5 or more samples reach further down
_ABOVE_CENTRE = 3.0  # largest values that a sample adds up to at least, when values are not centred


def detect(values: Values) -> tuple[str, str]:
    """Say what the numbers are and why.

    Returns
    -------
    A name of ``SCALES`` and the reason in words.
    """
    if values.low < 0:
        return _below_zero(values)
    if values.whole:
        return COUNTS, "all values are whole numbers"
    totals = values.totals[values.totals > 0]
    if len(totals) and np.all(np.abs(totals / _MILLION - 1) < 0.01):
        return TPM, "every sample sums to one million (TPM or CPM)"
    if values.base:
        scale, words = _BASES[values.base]
        return scale, f"undone as {words}, every row sums to the same total"
    if values.low > 1 and 10 < values.high <= 17:
        return MICROARRAY, f"values from {values.low:.3g} to {values.high:.3g} and no zero: log2 intensities"
    if values.high <= _LARGEST_LOG:
        return LOG2, f"the largest value is {values.high:.3g}: logarithms"
    return LINEAR, "fractions and large values: linear, not counts"


def _below_zero(values: Values) -> tuple[str, str]:
    offset = _offset_at(values.low)
    if offset is not None and values.high <= _LARGEST_LOG:
        return LOG2, f"the lowest value is log2({offset:g}): logarithms with that offset"
    if values.high <= _LARGEST_LOG and _not_centred(values):
        return LOG2, f"few values below 0 (lowest {values.low:.3g}, largest {values.high:.3g}): corrected logarithms"
    if values.high <= _LARGEST_LOG:
        return ZSCORE, "values below 0 and none large: centred or scaled"
    return LINEAR, "values below 0 and large ones: background-subtracted intensities"


def _not_centred(values: Values) -> bool:
    """Whether values reach far further above 0 than below, and every sample adds up to well above 0.

    Values that are centred by gene add up to 0 over the samples, and z-scores reach as far below 0 as above; logarithms
    after a batch correction (ComBat) dip a little below it.
    """
    totals = values.totals
    return bool(len(totals)) and -values.low < _DIP * values.high and bool((totals > _ABOVE_CENTRE * values.high).all())


def resolve_scale(
    values: Values, *, declared: str | None, where: object, stated: str | None = None
) -> tuple[str, str, list[str]]:
    """Take the declared scale, else what the file states, else the detected one; say where they contradict the values.

    Returns
    -------
    The scale, the reason, and warnings.

    Raises
    ------
    UsageError
        The declared scale is unknown.
    DataError
        Counts below 0, only zeros, or logarithms that are too large.
    """
    if values.low == values.high == 0:
        raise DataError("all values of the matrix are 0", where=where)
    found, reason = detect(values)
    if declared is None and stated is not None:
        contrary = _contrary(values, stated)
        if not contrary:
            return stated, f"the file says so; the values say: {reason}", []
        return *_undeclared(values, where)[:2], [f"the file says {stated}, but {contrary}: taken as {found} ({reason})"]
    if declared is None:
        return _undeclared(values, where)
    if declared not in SCALES:
        raise UsageError("unknown scale", seen=declared, allowed=SCALES, hint=did_you_mean(declared, SCALES))
    place = f"{where}, {values.lowest_at}" if values.lowest_at else where
    if declared in (COUNTS, CPM, TPM, NANOSTRING) and values.low < 0:
        raise DataError(f"values below 0 cannot be {declared}", where=place, seen=values.low)
    if declared in LOGARITHMS and values.high > 2 * _LARGEST_LOG:
        raise DataError("these values are too large to be logarithms", where=where, seen=values.high)
    warnings = []
    if declared in (COUNTS, NANOSTRING) and not values.whole:
        warnings.append(f"declared as {declared}, but not all values are whole numbers ({reason})")
    if declared in (CPM, TPM, LINEAR) and found in LOGARITHMS:
        warnings.append(f"declared as {declared}, but {reason}")
    if declared in (LOG2, LOG1P, LOG10) and values.base and found != declared:
        warnings.append(f"declared as {declared}, but {reason}")
    if declared in LOGARITHMS and found == COUNTS:
        warnings.append(f"declared as {declared}, but all values are whole numbers: counts?")
    if declared in (LOG1P, LOG10) and values.low < 0:
        warnings.append(f"declared as {declared}, but there are values below 0 ({values.low:.3g}, {values.lowest_at})")
    return declared, f"declared; the values say: {reason}", warnings


def _undeclared(values: Values, where: object) -> tuple[str, str, list[str]]:
    found, reason = detect(values)
    if values.whole and values.low < 0:
        raise DataError(
            "counts below 0",
            where=f"{where}, {values.lowest_at}" if values.lowest_at else where,
            seen=values.low,
            hint="If these are no counts, say what they are: --scale.",
        )
    return found, reason, _doubts(values, found)


def refuse_other_scale(values: Values, scale: str, samples: Sequence[str], *, where: object) -> None:
    """Refuse linear values of which a few samples sum to another order of magnitude: logarithms, or not divided yet.

    Counts are left alone: they are divided by their sums, and a shallow sample is no mistake.

    Raises
    ------
    DataError
        A sample's sum is ``_OTHER_SCALE`` times the median of all, or that much below it.
    """
    totals = values.totals
    if scale != LINEAR or len(totals) < _FEWEST_SAMPLES or float(np.median(totals)) <= 0:
        return
    ratio = totals / np.median(totals)  # a sample of zeros is not evaluable, which is said elsewhere
    odd = np.flatnonzero((ratio > _OTHER_SCALE) | ((ratio < 1 / _OTHER_SCALE) & (totals > 0)))
    if 0 < len(odd) <= len(totals) / 3:
        first = int(odd[0])
        raise DataError(
            "a sample seems to be on another scale than the others", where=f"{where}, sample {samples[first]}",
            seen=f"its values sum to {totals[first]:.3g}, those of the others to about {np.median(totals):.3g}",
            hint="Bring all samples to one scale, or leave it out; --scale linear (scale=) takes them as they are.",
        )  # fmt: skip


def _contrary(values: Values, stated: str) -> str:
    """Say what of the values speaks against the scale that a file states; what wrote the note may have been undone."""
    if stated in LOGARITHMS and values.low < 0:
        return "there are values below 0"
    if stated in LOGARITHMS and values.whole:
        return "all values are whole numbers"
    if stated in LOGARITHMS and values.high > 2 * _LARGEST_LOG:
        return f"the largest value is {values.high:.3g}"
    return ""


def _doubts(values: Values, found: str) -> list[str]:
    """Say what the values leave open."""
    if found == COUNTS and values.high <= 1:
        return ["the matrix holds only 0 and 1: presence calls, perhaps, not counts"]
    if found == LOG2 and not values.base and values.low >= 0:
        return ["the base of these logarithms cannot be told and is taken as 2; declare log1p if they are natural ones"]
    if found == TPM:
        return ["CPM and TPM cannot be told apart by their values; declare one if it matters"]
    if found == LINEAR and values.low < 0:
        return [f"values below 0 ({values.low:.3g}, {values.lowest_at}) are set to 0 before the logarithm"]
    totals = values.totals[values.totals > 0]
    if found == LINEAR and len(totals) > 1 and np.ptp(totals) > 0.01 * totals.max():
        told = "the samples sum to different totals and were not scaled to one: right for FPKM and normalised values"
        return [f"{told}; declare --scale counts if these are estimated counts (RSEM, Salmon, tximport)"]
    return []


def log_offset(values: Values, scale: str, *, declared: float | None = None) -> tuple[float, list[str]]:
    """Tell what was added before logarithms were taken: declared, told by the lowest value, or the usual 1.

    Parameters
    ----------
    values
        What a scan of the matrix saw.
    scale
        Of ``SCALES``; 1 for what is not a logarithm, since 1 is added where logarithms are taken here.
    declared
        The offset as the user states it.

    Returns
    -------
    The offset, and warnings.

    Raises
    ------
    UsageError
        An offset was declared for values that are no logarithms, or is below 0.
    DataError
        Values lie below the logarithm of the declared offset.
    """
    if scale not in LOGARITHMS:
        if declared is not None:
            raise UsageError("an offset belongs to logarithms", seen=scale, hint="Leave --log-offset out.")
        return 1.0, []
    low = values.low * _FACTOR[scale]
    if declared is not None:
        if not 0 <= declared < np.inf:
            raise UsageError("an offset of logarithms is 0 or more", seen=declared)
        if declared > 0 and low < np.log2(declared) - _NEAR_OFFSET:
            raise DataError(
                f"values lie below the logarithm of the offset {declared:g}", where=values.lowest_at or None,
                seen=values.low,
            )  # fmt: skip
        return declared, []
    if scale == MICROARRAY:
        return 0.0, []  # intensities are above 0: nothing is added
    if low >= 0:
        return 1.0, []
    told = _offset_at(low)
    if told is not None:
        return told, []
    why = f"values below 0 ({values.low:.3g}) are no logarithms of x + 1, and no usual offset fits"
    return 0.0, [f"{why}: undone as those of x alone; state what was added with --log-offset"]


def _offset_at(low: float) -> float | None:
    """Find the usual offset whose binary logarithm is the lowest value."""
    return next((one for one in _OFFSETS if abs(low - np.log2(one)) < _NEAR_OFFSET), None)


def expressed(values: np.ndarray, scale: str, *, offset: float) -> np.ndarray:
    """Say which values are above 0 once logarithms are undone."""
    if scale not in LOGARITHMS or offset == 1:
        return np.asarray(values > 0)
    return np.asarray(to_linear(values, scale, offset=offset) > _ABOVE_ZERO * offset)


def to_log2(values: np.ndarray, scale: str, totals: np.ndarray, *, offset: float = 1.0) -> tuple[np.ndarray, str, str]:
    """Bring values to log2(x + 1) once, and only once.

    Parameters
    ----------
    values
        (samples, genes) in ``scale``.
    scale
        One of ``SCALES`` but nanostring, which needs its housekeeping genes.
    totals
        (samples,) sum over all genes, used for counts.
    offset
        What was added before the logarithms of ``values`` were taken; they are kept, and the unit says it.

    Returns
    -------
    The levels, their score name and their unit.
    """
    if scale == COUNTS:
        return np.log2(per(values, totals, _MILLION) + 1), "log2_cpm", "log2(CPM + 1)"
    if scale in (CPM, TPM):
        return np.log2(values + 1), f"log2_{scale}", f"log2({scale.upper()} + 1)"
    if scale == LINEAR:
        return np.log2(np.maximum(values, 0) + 1), "log2_linear", "log2(x + 1)"
    given = "log2, as given" if offset == 1 else f"log2(x + {offset:g}), as given" if offset else "log2(x), as given"
    if scale == LOG1P:
        return values / np.log(2), "log2_given", f"{given} (from ln)"
    if scale == LOG10:
        return values * np.log2(10), "log2_given", f"{given} (from log10)"
    if scale == MICROARRAY:
        return values, "log2_intensity", "log2 intensity, as given"
    if scale == LOG2:
        return values, "log2_given", given
    return values, "zscore", "z, as given"


def to_linear(values: np.ndarray, scale: str, *, offset: float = 1.0) -> np.ndarray:
    """Undo the logarithm of ``scale`` and its offset; linear values stay as they are.

    Examples
    --------
    >>> float(to_linear(np.log2(np.array([3.001])), "log2", offset=0.001)[0].round(9))
    3.0
    """
    if scale not in LOGARITHMS:
        return values
    if offset == 1 and scale == LOG1P:
        return np.expm1(values)
    if offset == 1 and scale == LOG10:
        return np.expm1(values * np.log(10))
    return np.exp2(values * _FACTOR[scale]) - offset


def from_linear(values: np.ndarray, scale: str, *, offset: float = 1.0) -> np.ndarray:
    """Take the logarithm of ``scale`` again, with its offset; linear values stay as they are."""
    factor = {LOG1P: 1.0, LOG10: np.log(10), LOG2: np.log(2), MICROARRAY: np.log(2)}.get(scale)
    if factor is None:
        return values
    return np.log1p(values) / factor if offset == 1 else np.log(values + offset) / factor


def per(values: np.ndarray, totals: np.ndarray, size: float) -> np.ndarray:
    """Scale each row to a total of ``size``; NaN where its total is 0. (samples, genes)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(totals[:, None] > 0, values / totals[:, None] * size, np.nan)
