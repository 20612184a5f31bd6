"""One level column: numbers in their unit, or ranks of its ordered words; and what the table was read as, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.io.columns.cells import cell_word, missing
from biomarkers.io.columns.model import ColumnMap, LevelColumn
from biomarkers.io.columns.order import Order, read_order
from biomarkers.io.columns.units import check_level, without_codes

OPENING = "This is how I read your table: "


@dataclass
class Reading:
    """What every column was read as, to be printed back in one paragraph.

    Examples
    --------
    >>> reading = Reading()
    >>> reading.say("patient", "ID, one row a patient")
    >>> reading.paragraph()
    'This is how I read your table: patient = ID, one row a patient.'
    """

    parts: dict[str, str] = field(default_factory=dict)

    def say(self, what: str, how: str) -> None:
        """Keep what one column was read as; said again it replaces what was said."""
        self.parts[what] = how

    def paragraph(self) -> str:
        """Return the whole paragraph; empty when nothing was read."""
        if not self.parts:
            return ""
        return OPENING + "; ".join(f"{what} = {how}" for what, how in self.parts.items()) + "."


def read_words(values: pd.Series, name: str, said: LevelColumn, *, where: str) -> tuple[pd.Series, Order | None]:
    """Take away cells that mean "no value", and turn ordered words into ranks where the column holds such.

    Returns
    -------
    The cells, or ranks 0, 1, 2, ... beside their :class:`biomarkers.io.columns.order.Order`.
    """
    cells = without_codes(values, said)
    found = read_order(cells, name, said, where=where)
    return (cells, None) if found is None else found


def describe_level(
    numbers: pd.Series, name: str, said: LevelColumn, order: Order | None, *, where: str, reading: Reading, cut: bool
) -> str | None:
    """Hold a level to its unit (see :func:`biomarkers.io.columns.units.check_level`) and say what it was read as.

    Returns
    -------
    The unit; ``rank`` for ordered words.
    """
    gone = f"; {', '.join(said.missing)} = no value" if said.missing else ""
    if order is not None:
        reading.say(f"level {name}", f"ordered words {order}, related as ranks{gone}")
        return "rank"
    unit, told = check_level(numbers, name, said, where=where, cut=cut)
    reading.say(f"level {name}", f"{told}{gone}")
    return unit


def own_words(values: pd.Series, words: Mapping[str, str]) -> pd.Series:
    """Put the map's response words for a table's own, letter for letter but for blanks and case; ``""`` is missing.

    Examples
    --------
    >>> own_words(pd.Series(["部分缓解", "PD"]), {"部分缓解": "PR"}).tolist()
    ['PR', 'PD']
    """
    if not words:
        return values
    known: dict[str, Any] = {cell_word(old): (new if str(new).strip() else float("nan")) for old, new in words.items()}
    made = [value if missing(value) else known.get(cell_word(value), value) for value in values]
    return pd.Series(made, index=values.index, name=values.name, dtype=object)


def level_names(levels: str | Sequence[str] | None, columns: ColumnMap) -> list[str] | None:
    """Names of the level columns: those of the call, else the map's; one name alone is a level, not its letters.

    Raises
    ------
    UsageError
        Something else than names was given.
    """
    if levels is None:
        return list(columns.levels) or None
    if isinstance(levels, str):
        return [levels]
    names = list(levels)
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise UsageError("levels are named by their columns", seen=odd[0], allowed="a name, or a list of names")
    return names or (list(columns.levels) or None)
