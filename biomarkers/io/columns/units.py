"""Units of levels and times: what a name or the map says, the range that follows, and values that lie outside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.io.columns.cells import cell_word, missing, refuse_rows, row_names
from biomarkers.io.columns.model import MONTHS_PER, LevelColumn, TimeUnit

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "percent": (0.0, 100.0),
    "fraction": (0.0, 1.0),
    "score_0_300": (0.0, 300.0),
    "score_0_100": (0.0, 100.0),
    "cells_per_mm2": (0.0, np.inf),
}
UNIT_WORDS: Final[Mapping[str, str]] = {
    "percent": "percent (0 to 100)",
    "fraction": "a fraction (0 to 1)",
    "score_0_300": "a score of 0 to 300",
    "score_0_100": "a score of 0 to 100",
    "cells_per_mm2": "cells/mm2",
    "log2": "log2",
    "linear": "linear",
    "zscore": "z-scores",
    "rank": "ranks",
}
# numbers that data bases write for "no value"; one is doubted only where no other value comes near it
SENTINELS: Final = (-1.0, -7.0, -8.0, -9.0, -77.0, -88.0, -99.0, -999.0, -9999.0, 777.0, 888.0, 999.0, 9999.0, 99999.0)
# months between which the median time of a trial lies: 8 days to 10 years
PLAUSIBLE_MEDIAN_MONTHS: Final = (0.25, 120.0)
# PFS, duration of response and time to response of metastatic disease: the longest published medians are below 5 years
PLAUSIBLE_MEDIAN_PROGRESSION_MONTHS: Final = 60.0
_FEWEST_TIMES = 5  # a median of fewer says nothing of the unit
_FAR = 3.0  # a doubted number lies so many times the range of the others away from them
_PROGRESSION = re.compile(r"pfs|dor\b|ttp|ttr|progress", re.IGNORECASE)
_PERCENT = re.compile(
    r"%|(?<![a-z])(tps|tc|ic)[ _.-]*(%|pct|percent)|(?<![a-z])(tps|pct|percent|percentage|perc)(?![a-z])|"
    r"tumou?r[ _.-]*proportion[ _.-]*score|tumou?r[ _.-]*percentage|per[ _.-]cent",
    re.IGNORECASE,
)
_HSCORE = re.compile(r"(?<![a-z])h[ _.-]*score|histo[ _.-]*score", re.IGNORECASE)
_UNCAPPED = re.compile(r"uncapped", re.IGNORECASE)  # more stained immune cells than tumor cells: above 100
_CPS = re.compile(r"(?<![a-z])cps(?![a-z])|combined[ _.-]*positive[ _.-]*score", re.IGNORECASE)
_FRACTION = re.compile(r"fraction(?![a-z])|(?<![a-z])frac(?![a-z])", re.IGNORECASE)
_DENSITY = re.compile(r"(cells)?[ _.-]*(/|per)[ _.-]*mm(2|²|\^2)", re.IGNORECASE)
_LOG = re.compile(r"(?<![a-z])(log|ln|logit|log2|log10|log1p|z|zscore|delta|change|diff|rank)(?![a-z])", re.IGNORECASE)
_TIME_UNITS: Final[tuple[tuple[str, TimeUnit], ...]] = (
    (r"(days?|dys?)$", "days"),
    (r"(weeks?|wks?)$", "weeks"),
    (r"(months?|mnths?|mths?|mos?)$", "months"),
    (r"(years?|yrs?)$", "years"),
)


def unit_of_level(name: str) -> str | None:
    """Return the unit that the name of a level column says, or None.

    Examples
    --------
    >>> unit_of_level("PD-L1 TPS"), unit_of_level("H-score"), unit_of_level("CD274"), unit_of_level("cps_uncapped")
    ('percent', 'score_0_300', None, None)
    """
    if _LOG.search(name) or _UNCAPPED.search(name):
        return None
    for pattern, unit in (
        (_HSCORE, "score_0_300"),
        (_CPS, "score_0_100"),
        (_DENSITY, "cells_per_mm2"),
        (_FRACTION, "fraction"),
        (_PERCENT, "percent"),
    ):
        if pattern.search(name):
            return unit
    return None


def unit_of_time(name: str) -> TimeUnit | None:
    """Return the unit that the name of a time column says, or None.

    Examples
    --------
    >>> unit_of_time("OS_MONTHS"), unit_of_time("PFS (days)"), unit_of_time("AVAL")
    ('months', 'days', None)
    """
    words = [word for word in re.split(r"[^A-Za-z]+", name) if word]
    for word in reversed(words):
        for pattern, unit in _TIME_UNITS:
            if re.fullmatch(pattern, word, re.IGNORECASE):
                return unit
    last = words[-1] if words else ""
    for pattern, unit in _TIME_UNITS[:4]:
        found = re.search(pattern, last, re.IGNORECASE)
        if found and len(found[1]) >= 4:  # OSmonths, pfsDays: written out, since other words end in "mo"
            return unit
    return None


def without_codes(values: pd.Series, said: LevelColumn) -> pd.Series:
    """Cells that the map declares to mean "no value" become missing."""
    if not said.missing:
        return values
    codes = {cell_word(word) for word in said.missing}
    hit = np.array([not missing(cell) and _code(cell) in codes for cell in values], dtype=bool)
    return values.mask(hit, np.nan) if hit.any() else values


def _code(cell: object) -> str:
    word = cell_word(cell)
    try:
        return cell_word(float(word))
    except ValueError:
        return word


def check_level(
    numbers: pd.Series, name: str, said: LevelColumn, *, where: str, cut: bool = False
) -> tuple[str | None, str]:
    """Hold the numbers of a level to its unit.

    Parameters
    ----------
    numbers
        (n,) float, NaN where there is no value; its index names rows.
    name, said
        The column, and what the map says of it.
    where
        Table for messages.
    cut
        A cut-off or a limit in the level's unit is set on it, so that the unit moves a number.

    Returns
    -------
    The unit, or None where neither map nor name says one, and a phrase that tells it.

    Raises
    ------
    DataError
        A value outside its unit's range, percent mixed with fractions, or a number that stands for "no value".
    """
    unit = said.unit or unit_of_level(name)
    by = "as stated" if said.unit else "by its name"
    place = f"{where} column {name!r}"
    values = numbers.to_numpy(dtype=float)
    declare = f'missing = [{{}}] under [levels."{name}"] in the file of --columns when it means "no value"'
    if unit is not None and unit in RANGES:
        low, high = RANGES[unit]
        with np.errstate(invalid="ignore"):
            wrong = (values < low) | (values > high)
        first = float(values[np.flatnonzero(wrong)[0]]) if wrong.any() else 0.0
        refuse_rows(
            numbers, wrong, f"{name!r} is {UNIT_WORDS[unit]} {by}: a value lies outside it", where=place,
            allowed=f"{low:g} to {high:g}" if np.isfinite(high) else "0 or more",
            hint=f"Correct the cell, or write {declare.format(f'{first:g}')}, or unit = ... when this is no "
            f"{unit.replace('_', ' ')}.",
        )  # fmt: skip
    if unit == "percent" and said.unit is None:
        _refuse_mixture(numbers, values, name, place, cut=cut)
    if unit is None:
        _refuse_sentinel(numbers, values, name, place, declare)
    return unit, f"{UNIT_WORDS[unit]} {by}" if unit else "its unit is not stated and moves no rank"


def _refuse_mixture(numbers: pd.Series, values: np.ndarray, name: str, place: str, *, cut: bool) -> None:
    """Refuse a percentage in which some cells are fractions, or, where a cut-off is set on it, all are."""
    between = (values > 0) & (values < 1)
    above = values[values > 1]
    unusual = between & ~np.isin(values, (0.1, 0.5))  # "less than 1%" is often written 0.5 or 0.1
    written = np.allclose(values[between], np.round(values[between], 2))
    hint = f'Bring the column to one unit, or write unit = "percent" under [levels."{name}"] when they are percents.'
    if above.size and np.unique(values[unusual]).size >= 2 and written and np.allclose(above, np.round(above)):
        refuse_rows(numbers, unusual, f"{name!r} seems to mix percent and fractions", where=place, hint=hint)
    if cut and not above.size and np.unique(values[between]).size >= 3:
        hint = f'Write unit = "fraction" (or "percent") under [levels."{name}"] in the file of --columns.'
        refuse_rows(numbers, between, f"{name!r} seems to hold fractions, not percent", where=place, hint=hint)


def _refuse_sentinel(numbers: pd.Series, values: np.ndarray, name: str, place: str, declare: str) -> None:
    """Refuse -9, 999 and the like where every other value lies far from it."""
    known = values[~np.isnan(values)]
    for code in SENTINELS:
        others = known[known != code]
        if others.size == known.size or others.size < 2:
            continue
        low, high = float(others.min()), float(others.max())
        if low <= code <= high:
            continue
        distance = low - code if code < low else code - high
        reach = max(high - low, abs(high), abs(low))
        alone = code < 0 <= low and (code <= -7 or reach >= 5)
        if alone or distance > _FAR * reach:
            refuse_rows(
                numbers, values == code, f"{name!r} holds a number that looks like a code for a missing value",
                where=place, allowed=f"the other values lie between {low:g} and {high:g}",
                hint=f'Write {declare.format(f"{code:g}")}, or unit = "linear" (or another unit) when it is a level.',
            )  # fmt: skip


def check_change(percent: pd.Series, name: str, *, where: str) -> None:
    """Refuse a best change below -100%: no tumor shrinks by more than all of it.

    Raises
    ------
    DataError
        A value lies below -100.
    """
    refuse_rows(
        percent, percent.to_numpy(dtype=float) < -100, f"column {name!r}: a sum of diameters cannot shrink by more "
        "than 100%", where=f"{where} column {name!r}", allowed="-100 or more",
        hint="Correct the cell, or leave it empty.",
    )  # fmt: skip


def check_times(values: pd.Series, name: str, unit: str | None, *, where: str, stated: bool, endpoint: str = "") -> str:
    """Doubt a unit in which the median time is one that no trial has.

    Returns
    -------
    A note where the map states such a unit, else empty.

    Raises
    ------
    DataError
        The column's name says the unit, and the median is out of reach.
    """
    known = values.dropna().to_numpy(dtype=float)
    if unit is None or len(known) < _FEWEST_TIMES:
        return ""
    median = float(np.median(known))
    months = median * MONTHS_PER[unit]
    low, high = PLAUSIBLE_MEDIAN_MONTHS
    if _PROGRESSION.search(f"{name} {endpoint}"):
        high = PLAUSIBLE_MEDIAN_PROGRESSION_MONTHS
    if low <= months <= high:
        return ""
    told = f"the median of {name!r} is {median:g} {unit}: no trial has such a time"
    if stated:
        return f"{told}; taken as stated"
    fitting = [other for other in MONTHS_PER if low <= median * MONTHS_PER[other] <= high]
    bad = [int(np.nanargmax(values.to_numpy(dtype=float)))]
    raise DataError(
        f"column {name!r} says {unit}, but {told}",
        where=f"{where} column {name!r} {row_names(values, bad)}",
        seen=float(values.iloc[bad[0]]),
        hint=f"It may be {' or '.join(fitting) or 'another column'}: say which with --time-unit UNIT (time_unit=), or "
        "unit = ... of the end point in the file of --columns.",
    )
