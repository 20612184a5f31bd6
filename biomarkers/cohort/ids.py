"""Identifiers: matched letter for letter; what differs only by case, padding or zeros is listed, never joined."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from biomarkers.cohort.tables import row_names
from biomarkers.core.errors import DataError


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


def near_misses(left: Iterable[str], right: Iterable[str]) -> dict[str, str]:
    """Pairs of identifiers that differ only by case, padding, punctuation or leading zeros.

    Parameters
    ----------
    left, right
        Identifiers without a partner on the other side.

    Returns
    -------
    Left identifier -> the right one it resembles.

    Examples
    --------
    >>> near_misses(["P-01", "x"], ["p1 ", "y"])
    {'P-01': 'p1 '}
    """
    known = {_loose(name): name for name in right}
    return {name: known[_loose(name)] for name in left if _loose(name) in known}


def look_alikes(names: Iterable[str], *, shown: int = 4) -> str:
    """Say which identifiers of one table differ only by case, padding, punctuation or zeros; empty when none do.

    Examples
    --------
    >>> look_alikes(["P01", "p1", "P02"])
    "identifiers that differ only by case, padding or zeros count as different patients: 'P01' and 'p1'"
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(_loose(name), []).append(name)
    alike = [" and ".join(map(repr, same)) for same in groups.values() if len(same) > 1]
    if not alike:
        return ""
    more = f" and {len(alike) - shown} more" if len(alike) > shown else ""
    return (
        "identifiers that differ only by case, padding or zeros count as different patients: "
        f"{'; '.join(alike[:shown])}{more}"
    )


def _as_id(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _loose(name: str) -> str:
    parts = re.findall(r"[a-z]+|\d+", name.casefold())
    return "".join(part.lstrip("0") or "0" if part.isdigit() else part for part in parts)
