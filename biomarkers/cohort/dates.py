"""Dates: ISO or a spreadsheet's own are read; serial numbers and ambiguous ones stop."""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np
import pandas as pd

from biomarkers.cohort.tables import require_columns, row_names
from biomarkers.core.errors import DataError

_ISO = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})([T ][\d:.]+Z?)?")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_NAMED = re.compile(r"(\d{1,2})[-/. ]?([A-Za-z]{3,9})[-/., ]{0,2}(\d{4})")
_NAMED_FIRST = re.compile(r"([A-Za-z]{3,9})[-/. ]?(\d{1,2})[-/., ]{1,2}(\d{4})")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_EXCEL_EPOCH = date(1899, 12, 30)
_SERIALS = (18264, 73051)  # 1950 to 2100


def date_column(table: pd.DataFrame, column: str, *, where: object, order: str = "iso") -> pd.Series:
    """One column as dates (datetime64, NaT where empty).

    Parameters
    ----------
    table
        The table.
    column
        Its column: a spreadsheet's dates, ISO text (2024-03-31), a named month (31-Mar-2024), dotted text (31.03.2024,
        day first by convention) or slashed text, which needs ``order``.
    where
        The table's name.
    order
        ``iso``, ``day_first`` or ``month_first``: how ``03/04/2024`` is to be read.

    Raises
    ------
    DataError
        Serial numbers, an ambiguous or impossible date, or text that is no date; the message names rows.
    """
    require_columns(table, [column], where=where)
    values = table[column]
    if values.dtype.kind == "M":
        return values
    if values.dtype.kind in "iuf":
        if values.isna().all():
            return pd.Series(pd.NaT, index=values.index, name=column, dtype="datetime64[ns]")
        _refuse_numbers(values, column, where)
    parsed: list[object] = []
    for i, value in enumerate(values):
        parsed.append(pd.NaT if pd.isna(value) else _parse(str(value), order, values, i, f"{where}", column))
    return pd.Series(pd.to_datetime(pd.Series(parsed, dtype=object)).to_numpy(), index=values.index, name=column)


def _parse(text: str, order: str, values: pd.Series, i: int, where: str, column: str) -> pd.Timestamp:
    text = text.strip()
    place = f"{where} {row_names(values, [i])}"
    try:
        if match := _ISO.fullmatch(text):
            return pd.Timestamp(int(match[1]), int(match[3]), int(match[4]))
        if (named := _named_month(text)) is not None:
            return pd.Timestamp(*named)
        if match := _DOTTED.fullmatch(text):
            return pd.Timestamp(int(match[3]), int(match[2]), int(match[1]))
        if match := _SLASHED.fullmatch(text):
            first, second, year = int(match[1]), int(match[2]), int(match[3])
            if order == "iso":
                raise DataError(
                    f"column {column!r} holds a date that can be read two ways"
                    if max(first, second) <= 12
                    else f"column {column!r} holds a date without a stated order",
                    where=place,
                    seen=text,
                    hint="Write 2024-03-31, or say --date-order day_first or month_first (date_order in the map).",
                )
            day, month = (first, second) if order == "day_first" else (second, first)
            return pd.Timestamp(year, month, day)
    except ValueError as error:
        raise DataError(f"column {column!r}: there is no such date", where=place, seen=text) from error
    if text.isdigit() and _SERIALS[0] <= int(text) <= _SERIALS[1]:
        _refuse_serial(int(text), column, place)
    raise DataError(
        f"column {column!r} holds something that is no date",
        where=place,
        seen=text,
        allowed="2024-03-31, 31-Mar-2024",
        hint="A year of two digits, or a date without its day, is not guessed."
        if any(map(str.isdigit, text))
        else None,
    )


def _named_month(text: str) -> tuple[int, int, int] | None:
    """Year, month and day of a date whose month is written out or shortened in English: it reads one way only."""
    match = _NAMED.fullmatch(text)
    day, word, year = (match[1], match[2], match[3]) if match else ("", "", "")
    if match is None and (match := _NAMED_FIRST.fullmatch(text)):
        word, day, year = match[1], match[2], match[3]
    months = [i for i, name in enumerate(_MONTHS, start=1) if len(word) >= 3 and name.startswith(word.casefold())]
    return (int(year), months[0], int(day)) if months else None


def _refuse_numbers(values: pd.Series, column: str, where: object) -> None:
    filled = np.flatnonzero(values.notna().to_numpy())
    first = float(values.iloc[filled[0]])
    place = f"{where} {row_names(values, [int(i) for i in filled])}"
    if _SERIALS[0] <= first <= _SERIALS[1]:
        _refuse_serial(int(first), column, place)
    raise DataError(f"column {column!r} holds numbers, not dates", where=place, seen=first)


def _refuse_serial(serial: int, column: str, place: str) -> None:
    day = _EXCEL_EPOCH + timedelta(days=serial)
    raise DataError(
        f"column {column!r} holds a date as a spreadsheet's serial number",
        where=place,
        seen=serial,
        hint=f"It would be {day.isoformat()} counted from 1900 and {(day + timedelta(days=1462)).isoformat()} counted "
        "from 1904: format the column as a date (2024-03-31) and export again.",
    )
