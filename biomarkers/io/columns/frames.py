"""Whatever holds a table in memory (pandas, Polars, Arrow, a dict of columns) -> the rows that its map chooses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.io.columns.cells import choose_rows
from biomarkers.io.columns.model import ColumnMap
from biomarkers.io.columns.spread import spread_endpoints

NOTES = "notes"  # attrs: what was done to read the table


def as_frame(data: Any) -> pd.DataFrame:
    """Return a pandas table of a pandas, Polars or Arrow table, or of a dict of columns.

    Raises
    ------
    UsageError
        It is none of them, or the columns of the dict differ in length.

    Examples
    --------
    >>> as_frame({"id": ["a", "b"], "level": [1.0, 2.0]}).shape
    (2, 2)
    """
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        try:
            return pd.DataFrame(dict(data))
        except ValueError as error:
            raise UsageError(f"these columns make no table ({error})", seen=f"a dict of {len(data)}") from error
    if hasattr(data, "to_pandas"):
        made = data.to_pandas()
        if isinstance(made, pd.DataFrame):
            return made
    raise UsageError(
        "this is no table",
        seen=str(data) if isinstance(data, str | Path) else type(data).__name__,
        allowed="a pandas, Polars or Arrow table, a dict of columns, or a cohort (AnnData)",
        hint="biomarkers.read_table(path) reads a file." if isinstance(data, str | Path) else None,
    )


def fit_table(table: pd.DataFrame, columns: ColumnMap, *, where: str) -> tuple[pd.DataFrame, ColumnMap]:
    """Choose the rows that a map asks for, and spread end points that stand in rows of their own.

    Returns
    -------
    The table, with notes of what was done in ``.attrs["notes"]``, and the map as it fits this table, without what was
    dealt with here.

    Raises
    ------
    UsageError, DataError
        As :func:`biomarkers.io.columns.cells.choose_rows` and :func:`biomarkers.io.columns.spread.spread_endpoints`.
    """
    fitted = columns.fitted(table)
    done = {"optional": False, "sheet": None, "rows": ()}
    if not fitted.rows and not any(end.rows for end in fitted.endpoints.values()):
        return table, fitted.model_copy(update=done)
    kept, notes = choose_rows(table, fitted.rows, where=where)
    made, fitted, more = spread_endpoints(kept, fitted, where=where)
    made.attrs = {**table.attrs, NOTES: [*table.attrs.get(NOTES, []), *notes, *more]}
    return made, fitted.model_copy(update=done)
