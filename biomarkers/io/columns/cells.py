"""What stands in a cell, as a word that can be compared; and how rows are named in messages."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean

ROW = "row"  # name of the index: the row of the file, as a spreadsheet numbers it
SHEETS = "sheets"  # attrs: names of the workbook's worksheets, the one that was read first
_SHOWN = 5
_CONDITION = re.compile(r"^\s*(?P<column>.+?)\s*(?:==|=)\s*(?P<value>.*?)\s*$")


def cell_word(value: object, *, fold: bool = True) -> str:
    """One cell as a word: ``1.0`` and ``1`` are alike, ``True`` is ``true``, blanks around do not count.

    Examples
    --------
    >>> cell_word(1.0), cell_word(" Dead "), cell_word(True)
    ('1', 'dead', 'true')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | float | np.number) and np.isfinite(value) and float(value).is_integer():
        return str(int(value))
    text = " ".join(str(value).split())
    return text.casefold() if fold else text


def cell_text(value: object) -> str:
    """One cell letter for letter, blanks around it too; whole numbers lose their ``.0``.

    Examples
    --------
    >>> cell_text("P1 "), cell_text(7.0)
    ('P1 ', '7')
    """
    return value if isinstance(value, str) else cell_word(value, fold=False)


def cell_words(values: pd.Series) -> pd.Series:
    """Cells of a column as words, missing and blank ones NaN (dtype object on every pandas)."""
    made = [np.nan if missing(value) else cell_word(value) for value in values]
    return pd.Series(made, index=values.index, name=values.name, dtype=object)


def missing(value: object) -> bool:
    """Whether nothing stands in a cell."""
    if isinstance(value, str):
        return not value.strip()
    return bool(pd.isna(value))  # type: ignore[call-overload]


def same(value: object, word: str) -> bool:
    """Whether a cell holds what a word says; numbers are compared as numbers.

    Examples
    --------
    >>> same(1.0, "1"), same("01", "1"), same("F", "F"), same(" A ", "A")
    (True, False, True, True)
    """
    if missing(value):
        return False
    if not isinstance(value, str) and not isinstance(value, bool | np.bool_):
        try:
            return bool(float(value) == float(word))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            pass
    return cell_word(value, fold=isinstance(value, bool | np.bool_)) == cell_word(
        word, fold=isinstance(value, bool | np.bool_)
    )


def choose_rows(
    table: pd.DataFrame, conditions: Sequence[str], *, where: str, required: bool = True
) -> tuple[pd.DataFrame, list[str]]:
    """Keep the rows that all conditions ask for, and say how many each left.

    Parameters
    ----------
    table
        The table.
    conditions
        ``COLUMN=VALUE`` (or ``COLUMN == "VALUE"``); numbers are compared as numbers.
    where
        Its name for messages.
    required
        Refuse a condition that no row meets.

    Raises
    ------
    UsageError
        A condition is not understood, a column is absent, or no row has the value.
    """
    notes = []
    for condition in conditions:
        found = _CONDITION.match(condition)
        if found is None:
            raise UsageError("--where is not understood", seen=condition, allowed="COLUMN=VALUE")
        column, value = found["column"], found["value"].strip("\"'")
        require_columns(table, [column], where=where)
        kept = table[[same(cell, value) for cell in table[column]]]
        if kept.empty and required:
            known = sorted({cell_word(cell, fold=False) for cell in table[column] if not missing(cell)})[:20]
            raise UsageError("no row has this value", where=f"{where} column {column!r}", seen=value, allowed=known)
        table = kept
        notes.append(f"only rows with {condition}: {len(table)}")
    return table, notes


def require_columns(table: pd.DataFrame, columns: Iterable[str], *, where: object) -> None:
    """Refuse a table that lacks one of ``columns``, naming the nearest column it has, or that has one twice.

    Raises
    ------
    UsageError
        A column is absent, or two columns have its name.
    """
    have = [str(name) for name in table.columns]
    for column in columns:
        if column not in table.columns:
            sheets = table.attrs.get(SHEETS, ())
            hint = did_you_mean(str(column), have)
            if len(sheets) > 1:
                others = ", ".join(repr(name) for name in sheets[1:])
                more = f"Sheet {sheets[0]!r} was read; the workbook also has {others}: name one with --sheet."
                hint = more if hint is None else f"{hint} {more}"
            raise UsageError(
                f"no column {column!r}",
                where=where,
                allowed=have if len(have) <= 25 else f"{', '.join(have[:25])} ... ({len(have)} columns)",
                hint=hint,
            )
        if isinstance(table[column], pd.DataFrame):
            raise UsageError(
                f"two columns are called {column!r}",
                where=where,
                seen=f"{table[column].shape[1]} columns of this name",
                hint="Rename or drop one of them: which is meant is not guessed.",
            )


def row_name(table: pd.DataFrame | pd.Series, position: int) -> str:
    """Name a row for a message: the file's row for a table that was read, else the index label.

    Examples
    --------
    >>> import pandas as pd
    >>> row_name(pd.DataFrame({"a": [1, 2]}), 1)
    'row 1 (counted from 0)'
    """
    label: Hashable = table.index[position]
    if table.index.name == ROW:
        return f"row {label}"
    return f"row {label} (counted from 0)" if isinstance(table.index, pd.RangeIndex) else f"row {label!r}"


def row_names(table: pd.DataFrame | pd.Series, positions: Iterable[int]) -> str:
    """Name several rows, the first few of many.

    Examples
    --------
    >>> import pandas as pd
    >>> row_names(pd.Series([1, 2, 3], index=["a", "b", "c"]), [0, 2])
    "rows 'a', 'c'"
    """
    chosen = list(positions)
    if len(chosen) == 1:
        return row_name(table, chosen[0])
    plain = isinstance(table.index, pd.RangeIndex) or table.index.name == ROW
    shown = [table.index[i] for i in chosen[:_SHOWN]]
    labels = [repr(label) if isinstance(label, str) and not plain else str(label) for label in shown]
    more = f" and {len(chosen) - _SHOWN} more" if len(chosen) > _SHOWN else ""
    counted = " (counted from 0)" if plain and table.index.name != ROW else ""
    return f"rows {', '.join(labels)}{more}{counted}"


def refuse_rows(values: pd.Series, wrong: np.ndarray, what: str, *, where: object, **parts: object) -> None:
    """Refuse the cells marked ``wrong`` ((n,) bool), naming the rows and the first value.

    Raises
    ------
    DataError
        A cell is marked.
    """
    bad = [int(i) for i in np.flatnonzero(wrong)]
    if bad:
        seen = values.iloc[bad[0]]
        seen = seen.item() if isinstance(seen, np.generic) else seen
        raise DataError(what, where=f"{where} {row_names(values, bad)}", seen=seen, **parts)  # type: ignore[arg-type]
