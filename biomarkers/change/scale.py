"""The scale of change: log2 for levels, logit for proportions, offsets in counts where counts are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from biomarkers.core.errors import DataError, UsageError

Kind = Literal["linear", "log2", "percent", "fraction"]
KINDS: tuple[Kind, ...] = ("linear", "log2", "percent", "fraction")
HALF_COUNT = 0.5
_OFFSET_OF_UNIT = {"OD": 0.01}
_TOP = {"percent": 100.0, "fraction": 1.0}


@dataclass(frozen=True)
class Scale:
    """How a level is brought to the scale on which a change is a difference.

    Attributes
    ----------
    kind
        What the level is: ``linear`` (counts, densities, intensities; changes are log2 ratios), ``log2`` (taken as
        it is), ``percent`` or ``fraction`` (changes are differences of logits).
    offset
        What is added before the logarithm, in the unit of the level; for a proportion, to both sides.
    counts
        Whether half a count is added in count space instead, where numerator and denominator are known.
    """

    kind: Kind
    offset: float
    counts: bool = False

    @property
    def label(self) -> str:
        """The scale in words, to print with every change."""
        if self.kind == "log2":
            return "difference of log2 levels as given"
        added = "1/2 count" if self.counts else f"{self.offset:g}"
        if self.kind == "linear":
            return f"log2 ratio, log2(level + {added})"
        return f"difference of logits, {added} added to both sides"

    def apply(
        self,
        level: np.ndarray,
        numerator: np.ndarray | None = None,
        denominator: np.ndarray | None = None,
        *,
        censored: np.ndarray | None = None,
    ) -> np.ndarray:
        """Bring levels, (n,), to the scale; missing stays missing.

        Where ``censored`` says that a level stands at its lower limit, its count is the one that gives the limit: the
        smaller count that was seen would make a change larger than the limit allows.

        Raises
        ------
        DataError
            A negative level, or a proportion outside its range.
        """
        level = np.asarray(level, dtype=float)
        if self.kind == "log2":
            return level
        if self.counts and numerator is not None and denominator is not None:
            yes, all_ = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
            if censored is not None and np.any(censored):
                low = np.asarray(censored, dtype=bool)
                at_limit = level * all_ / self._unit(level, yes, all_, ~low)
                yes = np.where(low, np.maximum(yes, at_limit), yes)
            if self.kind == "linear":
                return np.asarray(np.log2((yes + HALF_COUNT) / all_), dtype=float)
            return np.asarray(np.log((yes + HALF_COUNT) / (all_ - yes + HALF_COUNT)), dtype=float)
        top = _TOP.get(self.kind, np.inf)
        wrong = np.flatnonzero((level < 0) | (level > top))
        if len(wrong):
            raise DataError(
                f"a {self.kind} level outside its range",
                seen=float(level[wrong[0]]),
                allowed="0 or more" if np.isinf(top) else f"0 to {top:g}",
                hint="If these levels are logarithms, say so: --scale log2 (scale='log2').",
            )
        if self.kind == "linear":
            _refuse_zero(level, self.offset)
            return np.asarray(np.log2(level + self.offset), dtype=float)
        if self.offset == 0 and bool(((level <= 0) | (level >= top)).any()):
            raise DataError("a logit of 0 or 1 needs an offset", seen=0.0, hint="Give an offset above 0.")
        return np.asarray(np.log((level + self.offset) / (top - level + self.offset)), dtype=float)

    def _unit(self, level: np.ndarray, yes: np.ndarray, all_: np.ndarray, exact: np.ndarray) -> float:
        """Level of one count in one unit of its denominator: 100 of a percentage, per area what the levels show."""
        if self.kind in _TOP:
            return _TOP[self.kind]
        known = exact & (yes > 0) & (level > 0)
        return float(np.median(level[known] * all_[known] / yes[known])) if known.any() else 1.0

    def in_words(self, change: float) -> str:
        """Say what a change on this scale means.

        Examples
        --------
        >>> Scale("linear", 1.0).in_words(1.0), Scale("percent", 0.5).in_words(0.0)
        ('2.00-fold', 'odds x1.00')
        """
        with np.errstate(over="ignore"):
            if self.kind in ("linear", "log2"):
                return f"{np.exp2(change):.2f}-fold"
            return f"odds x{np.exp(change):.2f}"


def choose_scale(
    kind: str,
    *,
    offset: float | None,
    numerator: np.ndarray | None = None,
    denominator: np.ndarray | None = None,
    unit: str = "",
) -> Scale:
    """Choose offset and count space for a level.

    Half a count is added in count space when every level has counts behind it and they are whole; otherwise the offset
    given, or 1 for linear levels (log2(x + 1)), half a point for percentages and half a hundredth for fractions.
    Optical densities, which hardly reach 1, take 0.01.

    Raises
    ------
    UsageError
        An unknown kind or a negative offset.
    """
    if kind not in KINDS:
        raise UsageError("unknown scale of a level", seen=kind, allowed=KINDS)
    if offset is not None and (offset < 0 or not np.isfinite(offset)):
        raise UsageError("the offset must be 0 or more", seen=offset)
    if offset is None and kind != "log2" and _whole_counts(kind, numerator, denominator):
        return Scale(kind, HALF_COUNT, counts=True)
    usual = {"linear": _OFFSET_OF_UNIT.get(unit, 1.0), "log2": 0.0, "percent": 0.5, "fraction": 0.005}[kind]
    return Scale(kind, usual if offset is None else offset)


def _whole_counts(kind: str, numerator: np.ndarray | None, denominator: np.ndarray | None) -> bool:
    if numerator is None or denominator is None or not len(numerator):
        return False
    yes, all_ = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    if np.isnan(yes).any() or np.isnan(all_).any() or (all_ <= 0).any() or (yes % 1 != 0).any():
        return False
    # the denominator of a density is an area, that of a proportion a count that holds the numerator
    return kind == "linear" or bool((all_ % 1 == 0).all() and (yes <= all_).all())


def _refuse_zero(level: np.ndarray, offset: float) -> None:
    if offset == 0 and (level == 0).any():
        raise DataError("the logarithm of 0", seen=0.0, hint="Give an offset above 0, or a lower limit (lloq).")
