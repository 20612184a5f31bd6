"""Identifiers: matched letter for letter; what differs only by case, padding or zeros is listed, never joined."""

from __future__ import annotations

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.io.columns.cells import row_names
from biomarkers.io.columns.identity import look_alikes, near_misses, refuse_look_alikes


def identifiers(values: pd.Series, *, where: object) -> pd.Series:
    """Return identifiers as text, letter for letter; whole numbers lose their ``.0``.

    Raises
    ------
    DataError
        A cell is empty, or a date (a spreadsheet may have turned an identifier into one).
    """
    empty = np.flatnonzero(values.isna().to_numpy())
    if len(empty):
        raise DataError(
            "an identifier is missing",
            where=f"{where} {row_names(values, [int(i) for i in empty])}",
            seen="(empty)",
            hint="Fill it in, or leave these rows out.",
        )
    if values.dtype.kind == "M":
        raise DataError(
            "identifiers are dates",
            where=f"{where} {row_names(values, [0])}",
            seen=str(values.iloc[0]),
            hint="A spreadsheet may have changed them: format the column as text.",
        )
    return pd.Series([_as_id(value) for value in values], index=values.index, name=values.name, dtype=object)


def _as_id(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


__all__ = ["identifiers", "look_alikes", "near_misses", "refuse_look_alikes"]
