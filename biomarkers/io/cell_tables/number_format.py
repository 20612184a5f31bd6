"""How a text table writes numbers: decimal point or comma, and marks between thousands; told by the whole table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from biomarkers.core.errors import DataError

_SPACES: Final = "\u00a0\u202f\u2009 "  # between thousands in French, Swedish and others; apostrophes in Switzerland
_NUMBER: Final = re.compile(rf"[-+]?[0-9][0-9.,'\u2019{_SPACES}]*(?:[eE][-+]?[0-9]+)?\s*%?|[-+]?[.,][0-9]+")
_MARKED: Final = re.compile(rf"[,'\u2019{_SPACES}]|\.[0-9]+\.")
_GROUPS: Final = re.compile(r"[-+]?[0-9]{1,3}(?:[.,][0-9]{3})+")
_NAME: Final = re.compile(r"\b(id|name|image|class|classification|parent|phenotype|location|tag)$", re.IGNORECASE)
_MOST_LOOKED_AT = 2_000  # values of a column that decide what kind of column it is


@dataclass(frozen=True)
class NumberFormat:
    """The sign before decimals, and those between thousands (empty where there are none)."""

    decimal: str
    thousands: str


def with_plain_numbers(frame: pd.DataFrame, *, separator: str, where: Path, missing: frozenset[str]) -> pd.DataFrame:
    """Rewrite columns of numbers with a decimal point and nothing between thousands.

    Parameters
    ----------
    frame
        A table; columns of text are looked at, others are left as they are.
    separator
        Between the table's columns: where it is a comma, a comma within a value is no decimal sign.
    where
        The file, for errors.
    missing
        Words for values that are missing.

    Raises
    ------
    DataError
        Nothing in the table tells whether commas stand before decimals or between thousands.
    """
    columns = {
        name: values for name in frame.columns if (values := _marked_numbers(name, frame[name], missing)) is not None
    }
    if not columns:
        return frame
    points = any(frame[name].dtype.kind == "f" for name in frame.columns)
    form = number_format((value for values in columns.values() for value in values), separator=separator, points=points)
    if form is None:
        column = next(iter(columns))
        seen = next(value for value in columns[column] if "," in value)
        hint = "Export it with decimal points, or without marks between thousands."
        message = "commas may stand before decimals or between thousands, and nothing in the table tells which"
        raise DataError(message, where=f"{where}, column {column!r}", seen=seen, hint=hint)
    found = frame.copy()
    for name in columns:
        text = frame[name].astype(str).str.strip().str.replace(f"[{re.escape(_SPACES)}'\u2019]", "", regex=True)
        if form.thousands:
            text = text.str.replace(form.thousands, "", regex=False)
        found[name] = text.str.replace(form.decimal, ".", regex=False) if form.decimal != "." else text
        found[name] = found[name].where(~frame[name].astype(str).str.strip().isin(missing), "")
    return found


def has_marks(frame: pd.DataFrame, *, missing: frozenset[str]) -> bool:
    """Whether a column of numbers is kept as text for a comma, or a mark between thousands, in it."""
    return any(_marked_numbers(name, frame[name], missing) is not None for name in frame.columns)


def number_format(values: Iterable[str], *, separator: str, points: bool = False) -> NumberFormat | None:
    """Tell how numbers are written; None where that cannot be told.

    Parameters
    ----------
    values
        Numbers as text, of the whole table.
    separator
        Between the columns.
    points
        Other columns have decimal points.

    Examples
    --------
    >>> number_format(["2,023", "1,548"], separator=",")
    NumberFormat(decimal='.', thousands=',')
    >>> number_format(["2,023", "15,5"], separator=";")
    NumberFormat(decimal=',', thousands='.')
    >>> number_format(["2.023,64"], separator=";"), number_format(["2,023"], separator=";")
    (NumberFormat(decimal=',', thousands='.'), None)
    """
    comma_decimal = comma_thousands = point_decimal = ambiguous = False
    for value in values:
        text = re.sub(rf"[{re.escape(_SPACES)}'\u2019%]|[eE][-+]?[0-9]+$", "", value)
        comma, point = text.rfind(","), text.rfind(".")
        if comma >= 0 and point >= 0:
            comma_decimal |= comma > point
            point_decimal |= point > comma
        elif comma >= 0:
            grouped = _GROUPS.fullmatch(text) is not None
            comma_thousands |= grouped and text.count(",") > 1
            comma_decimal |= not grouped
            ambiguous |= grouped and text.count(",") == 1
        elif point >= 0 and text.count(".") == 1:
            point_decimal |= _GROUPS.fullmatch(text) is None
    if comma_decimal and not comma_thousands and not point_decimal:
        return NumberFormat(",", ".")
    if comma_decimal:
        return None  # both ways in one table
    if ambiguous and not (comma_thousands or point_decimal or points or separator == ","):
        return None
    return NumberFormat(".", ",")


def _marked_numbers(name: str, column: pd.Series, missing: frozenset[str]) -> list[str] | None:
    """Return the values of a text column that is all numbers, some with marks in them; None for any other column."""
    if column.dtype.kind in "iufb" or _NAME.search(name):
        return None
    values = [text for value in column.dropna().unique() if (text := str(value).strip()) not in missing]
    if not values or not all(_NUMBER.fullmatch(value) for value in values[:_MOST_LOOKED_AT]):
        return None
    if not any(_MARKED.search(value) for value in values):
        return None
    return values if all(_NUMBER.fullmatch(value) for value in values) else None
