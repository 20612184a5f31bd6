"""A path, or whatever holds a table in memory, read through its column map."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from biomarkers.cohort.tables import read_table
from biomarkers.io.columns.frames import as_frame, fit_table
from biomarkers.io.columns.model import ColumnMap


def table_of(
    data: Any, *, columns: ColumnMap, where: str | None = None, text: Collection[str] = ()
) -> tuple[pd.DataFrame, ColumnMap, str]:
    """Take a table from what a notebook or the command line hands over.

    Parameters
    ----------
    data
        A path (also as text), a pandas, Polars or Arrow table, or a dict of columns.
    columns
        What its columns mean: sheet, rows and end points that stand in rows of their own are dealt with here.
    where
        Its name for messages; by default the file's.
    text
        Columns of a file to keep letter for letter.

    Returns
    -------
    The table, with notes of what was done (see :func:`biomarkers.read_table`); the map as it fits this table, without
    what was dealt with here; its name.

    Raises
    ------
    UsageError
        It is no table.

    Examples
    --------
    >>> table_of({"id": ["a", "b"], "level": [1.0, 2.0]}, columns=ColumnMap())[0].shape
    (2, 2)
    """
    name = "table" if where is None else where
    if isinstance(data, str | Path):
        ids = [column for column in (columns.patient, columns.sample, columns.timepoint) if column]
        table = read_table(data, text=(*ids, *columns.strata, *text), sheet=columns.sheet)
        name = Path(data).name if name == "table" else name
    else:
        table = as_frame(data)
    made, fitted = fit_table(table, columns, where=name)
    return made, fitted, name
