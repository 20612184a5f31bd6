"""Ordered levels: IC0 < IC1 < IC2 < IC3, <1% < 1-49% < >=50%, 0 < 1+ < 2+ < 3+, or the order that a map states."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.io.columns.cells import cell_word, missing, refuse_rows
from biomarkers.io.columns.model import LevelColumn

_GRADE = re.compile(r"(?P<prefix>[A-Za-z][A-Za-z /_-]*?)?[ _-]*(?P<grade>\d)(?P<plus>\+)?")
_BELOW = re.compile(r"(<|<=|≤|less than|below)\s*(?P<high>\d+(\.\d+)?)\s*%?", re.IGNORECASE)
_RANGE = re.compile(
    r"(>=|≥)?\s*(?P<low>\d+(\.\d+)?)\s*%?\s*(-|–|—|to|,)\s*(<|<=|≤)?\s*(?P<high>\d+(\.\d+)?)\s*%?", re.IGNORECASE
)
_ABOVE = re.compile(
    r"(>=|≥|>|at least|above)\s*(?P<low>\d+(\.\d+)?)\s*%?|(?P<low2>\d+(\.\d+)?)\s*%?\s*\+", re.IGNORECASE
)
_EXACT = re.compile(r"(?P<low>\d+(\.\d+)?)\s*%")
_LADDERS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("negative", "neg"), ("positive", "pos")),
    (("absent", "none", "no staining"), ("weak", "faint"), ("moderate",), ("strong",)),
    (("none", "negative", "neg"), ("low",), ("medium", "med", "moderate", "intermediate", "mid"), ("high",),
     ("very high",)),
)  # fmt: skip


@dataclass(frozen=True)
class Order:
    """Words of a level, lowest first, and the number that each begins at where it has one (grade, lower bound)."""

    words: tuple[str, ...]
    starts: tuple[float, ...] = ()

    def rank(self, cut: object, *, level: str) -> float:
        """Rank from which a cut-off counts as positive: of its word, or of the class that begins at the number.

        Raises
        ------
        UsageError
            No class begins there.
        """
        names = {cell_word(word): float(i) for i, word in enumerate(self.words)}
        if cell_word(cut) in names:
            return names[cell_word(cut)]
        try:
            number = float(str(cut))
        except ValueError:
            number = float("nan")
        if number in self.starts:
            return float(self.starts.index(number))
        raise UsageError(
            f"a cut-off of {level!r} is none of its classes", seen=cut, allowed=self.words,
            hint=f"Name the lowest class that is positive: {level}={self.words[-1]}.",
        )  # fmt: skip

    def __str__(self) -> str:
        return " < ".join(self.words)


def read_order(values: pd.Series, name: str, said: LevelColumn, *, where: str) -> tuple[pd.Series, Order] | None:
    """Read an ordered level as ranks 0, 1, 2, ... (NaN: an empty cell), or None where the column holds numbers.

    The order is the map's, that of an ordered categorical, or one that the words themselves say (grades, ranges of
    percent, low < high). Words without an order are left to :func:`biomarkers.cohort.tables.numeric_column`.

    Raises
    ------
    DataError
        A cell is none of the words of the stated order; the message names its row.
    """
    categories = _categories(values)
    if categories is None and not said.order and values.dtype.kind in "iufbmM":
        return None
    blank = np.array([missing(cell) for cell in values], dtype=bool)
    cells = ["" if gone else cell_word(cell) for cell, gone in zip(values, blank, strict=True)]
    present = list(dict.fromkeys(cell for cell, gone in zip(cells, blank, strict=True) if not gone))
    if not present:
        return None
    if said.order:
        order = Order(said.order, _starts(said.order))
    elif categories is not None:
        if all(_is_number(word) for word in present):
            return None
        order = Order(categories, _starts(categories))
    else:
        shown = {cell: cell_word(value, fold=False) for cell, value in zip(cells, values, strict=True)}
        found = order_of_words([shown[cell] for cell in present])
        if found is None:
            return None
        order = found
    ranks = {cell_word(word): float(i) for i, word in enumerate(order.words)}
    wrong = np.array([not gone and cell not in ranks for cell, gone in zip(cells, blank, strict=True)], dtype=bool)
    refuse_rows(
        values.astype(object), wrong, f"column {name!r} holds a word that is not in its order",
        where=f"{where} column {name!r}", allowed=order.words,
    )  # fmt: skip
    made = [np.nan if gone else ranks[cell] for cell, gone in zip(cells, blank, strict=True)]
    return pd.Series(made, index=values.index, name=name, dtype=float), order


def order_of_words(words: Sequence[str]) -> Order | None:
    """Order that words say themselves, or None.

    Examples
    --------
    >>> str(order_of_words(["IC2", "IC0", "IC1"])), str(order_of_words([">=50%", "<1%", "1-49%"]))
    ('IC0 < IC1 < IC2', '<1% < 1-49% < >=50%')
    >>> order_of_words(["<1", "4", "34"]) is None
    True
    """
    distinct = list(dict.fromkeys(words))
    for rule in (_grades, _ranges, _ladder):
        starts = rule(distinct)
        if starts is not None and len(set(starts)) == len(distinct) > 1:
            at = np.argsort(starts)
            numbers = () if rule is _ladder else tuple(float(starts[i]) for i in at)
            return Order(tuple(distinct[i] for i in at), numbers)
    return None


def _grades(words: Sequence[str]) -> list[float] | None:
    found = [_GRADE.fullmatch(word.strip()) for word in words]
    if any(match is None for match in found):
        return None
    marks = [match for match in found if match is not None]
    prefixes = {(match["prefix"] or "").strip().casefold() for match in marks}
    grades = [float(match["grade"]) for match in marks]
    plus = [match["plus"] is not None for match in marks]
    if len(prefixes) > 1 or (prefixes == {""} and not any(plus)):
        return None
    if prefixes != {""} and any(plus[i] and grades[i] < max(grades) for i in range(len(grades))):
        return None  # IC1+ beside IC2 holds IC2: the classes overlap
    return grades


def _ranges(words: Sequence[str]) -> list[float] | None:
    spans = []
    for word in words:
        text = word.strip()
        if match := _BELOW.fullmatch(text):
            spans.append((-1e-9, float(match["high"])))
        elif match := _RANGE.fullmatch(text):
            spans.append((float(match["low"]), float(match["high"])))
        elif match := _ABOVE.fullmatch(text):
            spans.append((float(match["low"] or match["low2"]), np.inf))
        elif match := _EXACT.fullmatch(text):
            spans.append((float(match["low"]), float(match["low"])))
        else:
            return None
    spans_sorted = sorted(spans)
    wide = sum(high > low for low, high in spans)
    if wide < 2 or any(low > high for low, high in spans):
        return None
    if any(before[1] > after[0] for before, after in itertools.pairwise(spans_sorted)):
        return None  # classes that overlap have no order
    return [max(low, 0.0) if low >= 0 else 0.0 if spans_sorted[0][0] < 0 and (0.0, 0.0) not in spans else low
            for low, _ in spans]  # fmt: skip


def _ladder(words: Sequence[str]) -> list[float] | None:
    folded = [word.strip().casefold() for word in words]
    for ladder in _LADDERS:
        place = {name: float(i) for i, names in enumerate(ladder) for name in names}
        if all(word in place for word in folded):
            return [place[word] for word in folded]
    return None


def _starts(words: Sequence[str]) -> tuple[float, ...]:
    found = order_of_words(words)
    return found.starts if found is not None and found.words == tuple(words) else ()


def _categories(values: pd.Series) -> tuple[str, ...] | None:
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        return tuple(cell_word(word, fold=False) for word in values.cat.categories)
    return None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
