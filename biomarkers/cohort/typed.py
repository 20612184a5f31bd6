"""Columns of raw cells -> numbers, dates, booleans or text, without guessing: what does not convert stays."""

from __future__ import annotations

import re
from datetime import date, datetime

import numpy as np
import pandas as pd

from biomarkers.cohort.header import is_blank, is_missing_word

_POINT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_PADDED_NUMBER = re.compile(r"0\d+")
_MAX_EXACT_DIGITS = 15
_NEUTRALISED = ("'=", "'+", "'-", "'@", "'\t", "'\r")


def type_column(cells: list[object], *, decimal_comma: bool) -> pd.Series:
    """Give one column its type.

    Numbers only if every filled cell is one; text such as ``007`` or a 16-digit number is an identifier and stays
    text, since neither survives as a float. Missing cells become NaN.

    Parameters
    ----------
    cells
        The raw cells, text or what a worksheet held.
    decimal_comma
        Read ``1,5`` as one and a half.
    """
    plain = [_plain(cell) for cell in cells]
    filled = [cell for cell in plain if cell is not None]
    if not filled:
        return pd.Series(np.full(len(cells), np.nan))
    numbers = _numbers(plain, filled, decimal_comma=decimal_comma)
    if numbers is not None:
        return numbers
    if all(isinstance(cell, datetime | date) for cell in filled):
        return pd.Series(pd.to_datetime(pd.Series([pd.NaT if cell is None else cell for cell in plain])))
    truths = [_truth(cell) for cell in filled]
    if len(filled) == len(plain) and all(truth is not None for truth in truths):
        return pd.Series(truths, dtype=bool)
    return pd.Series([np.nan if cell is None else _as_text(cell) for cell in plain])


def text_column(cells: list[object]) -> pd.Series:
    """Keep one column as text, letter for letter, as identifiers need it."""
    plain = [_plain(cell) for cell in cells]
    return pd.Series([np.nan if cell is None else _as_text(cell) for cell in plain], dtype=object)


def uses_decimal_comma(rows: list[list[object]]) -> bool:
    """Say whether a file writes decimals with a comma; one that separates by commas has such cells in quotes.

    ``1,234`` alone could be a thousand; a cell with other than three digits behind its comma, or a leading zero,
    settles it. A file that also writes ``1.5`` has no rule, and nothing is converted.
    """
    settled = False
    for row in rows:
        for cell in row:
            if not isinstance(cell, str):
                continue
            text = cell.strip()
            if _COMMA.fullmatch(text):
                whole, _, behind = text.lstrip("+-").partition(",")
                settled = settled or len(behind) != 3 or whole in ("", "0")
            elif re.fullmatch(r"[-+]?\d+\.\d+", text):
                return False
    return settled


def _plain(cell: object) -> object:
    """Drop missing words, and the apostrophe that a safe writer puts before text a spreadsheet would run."""
    if is_blank(cell) or (isinstance(cell, str) and is_missing_word(cell)):
        return None
    if isinstance(cell, str) and cell.startswith(_NEUTRALISED):
        return cell[1:]
    return cell


def _numbers(plain: list[object], filled: list[object], *, decimal_comma: bool) -> pd.Series | None:
    parsed = [_number(cell, decimal_comma=decimal_comma) for cell in filled]
    if any(number is None for number in parsed):
        return None
    if any(isinstance(cell, str) and _PADDED_NUMBER.fullmatch(cell.strip()) for cell in filled):
        return None
    if len(filled) == len(plain) and all(isinstance(number, int) for number in parsed):
        return pd.Series(parsed, dtype=np.int64)
    values = np.full(len(plain), np.nan)
    values[[i for i, cell in enumerate(plain) if cell is not None]] = [float(n) for n in parsed if n is not None]
    return pd.Series(values)


def _number(cell: object, *, decimal_comma: bool) -> int | float | None:
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | float):
        return cell if abs(cell) < 10**_MAX_EXACT_DIGITS else None
    if not isinstance(cell, str):
        return None
    text = cell.strip()
    if decimal_comma and _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if not _POINT.fullmatch(text) or sum(sign.isdigit() for sign in text) > 2 * _MAX_EXACT_DIGITS:
        return None
    if text.lstrip("+-").isdigit():
        return int(text) if len(text.lstrip("+-")) <= _MAX_EXACT_DIGITS else None
    return float(text)


def _truth(cell: object) -> bool | None:
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and cell.strip().lower() in ("true", "false"):
        return cell.strip().lower() == "true"
    return None


def _as_text(cell: object) -> str:
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat(sep=" ")
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
