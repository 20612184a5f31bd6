"""Tables as researchers have them: read with Excel's habits, and refused, row named, where reading would be a guess."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.cohort.grid import check_is_table, read_grid
from biomarkers.cohort.header import find_table
from biomarkers.cohort.typed import text_column, type_column, uses_decimal_comma
from biomarkers.core.errors import DataError
from biomarkers.io.columns.cells import ROW, SHEETS, require_columns, row_name, row_names

NOTES = "notes"  # attrs: what was done to read the file
_BELOW_LIMIT = re.compile(r"^\s*(<|>|≤|≥|<=|>=)\s*(lod|loq|lloq|[\d.,]+)", re.IGNORECASE)


def read_table(path: str | Path, *, text: Collection[str] = (), sheet: str | None = None) -> pd.DataFrame:
    r"""Read a CSV, TSV, XLSX or Parquet table.

    Handled with a note in ``.attrs["notes"]``: a byte-order mark, UTF-16 or Windows-1252 text, semicolons or tabs,
    decimal commas, title and comment rows, blank rows, formula cells with a stored result, further worksheets.
    Refused, naming the row: two header rows, two columns of one name, cells without a column, footnotes, formulas
    without a result. Cells are never repaired: a column with one text among numbers stays text, and
    :func:`numeric_column` says which row it is.

    Parameters
    ----------
    path
        The file.
    text
        Columns to keep letter for letter, such as identifiers (``007`` stays ``007`` in any case). A name that is
        not in the table is ignored.
    sheet
        Worksheet of an XLSX file; by default the first.

    Returns
    -------
    The table. Its index is named ``row`` and holds the row of the file (the header is row 1 when nothing stands
    above it); use ``reset_index(drop=True)`` to lose it.

    Raises
    ------
    UsageError
        There is no such file, or it is no table.
    DataError
        The table cannot be read without guessing.

    Examples
    --------
    >>> from pathlib import Path
    >>> import biomarkers as bm
    >>> written = Path("table.csv").write_text("patient,CD274\nP1,5.5\nP2,\n")
    >>> bm.read_table("table.csv")["CD274"].tolist()
    [5.5, nan]
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    grid = read_grid(path, sheet=sheet)
    body = find_table(grid, where=path.name)
    _refuse_formula_text(body.rows, body.row_numbers, body.names, path.name)
    comma = uses_decimal_comma(body.rows)
    columns: dict[str, pd.Series] = {}
    converted: list[str] = []
    for i, name in enumerate(body.names):
        cells = [row[i] for row in body.rows]
        columns[name] = text_column(cells) if name in text else type_column(cells, decimal_comma=comma)
        if comma and columns[name].dtype.kind == "f" and any(isinstance(c, str) and "," in c for c in cells):
            converted.append(name)
    if converted:
        grid.notes.append(f"decimal commas were read as points in: {', '.join(converted)}")
    table = pd.DataFrame(columns)
    table.index = pd.Index(body.row_numbers, name=ROW)
    table.attrs[NOTES] = list(grid.notes)
    table.attrs[SHEETS] = list(grid.sheets)
    return table


def table_notes(table: pd.DataFrame) -> list[str]:
    """List what was done to read a table (see :func:`read_table`); empty for a table made in memory."""
    return list(table.attrs.get(NOTES, []))


def numeric_column(table: pd.DataFrame, column: str, *, where: object) -> pd.Series:
    """One column as float64 with the table's index; missing cells are NaN, anything else that is no number is refused.

    Raises
    ------
    UsageError
        There is no such column.
    DataError
        A cell is text, a date or infinite; the message names its row and value.
    """
    require_columns(table, [column], where=where)
    values = table[column]
    if values.dtype.kind in "mM":
        kind = "dates" if values.dtype.kind == "M" else "durations"
        raise DataError(f"column {column!r} holds {kind}, not numbers", where=where, seen=str(values.iloc[0]))
    if values.dtype.kind in "iufb":
        numbers = values.astype(float)
    else:
        numbers = pd.to_numeric(values.where(values.notna(), np.nan), errors="coerce").astype(float)
        _refuse_text_cells(values, numbers, column, where)
    infinite = np.isinf(numbers.to_numpy())
    if infinite.any():
        first = int(np.flatnonzero(infinite)[0])
        raise DataError(
            f"column {column!r} is infinite",
            where=f"{where} {row_name(table, first)}",
            seen=float(numbers.iloc[first]),
            hint="A ratio with zero below? Leave the cell empty.",
        )
    return numbers


def _refuse_text_cells(values: pd.Series, numbers: pd.Series, column: str, where: object) -> None:
    bad = np.flatnonzero(values.notna().to_numpy() & numbers.isna().to_numpy())
    if not len(bad):
        return
    seen = str(values.iloc[bad[0]])
    raise DataError(
        f"column {column!r} must hold numbers",
        where=f"{where} {row_names(values, [int(i) for i in bad])}",
        seen=seen,
        hint=_number_hint(seen),
    )


def _number_hint(seen: str) -> str:
    if _BELOW_LIMIT.match(seen):
        return (
            "For a level below its limit write the limit and mark the row in a column of its own "
            "(--censored LEVEL=COLUMN); 'biomarkers change' reads the cell as it stands beside --lloq LEVEL=LIMIT."
        )
    if seen.startswith("#"):
        return "A spreadsheet formula failed in this cell: repair it or leave it empty."
    if re.fullmatch(r"[-+]?[\d.]*,[\d,.]+", seen.strip()):
        return "A decimal comma or a thousands separator? Write 1234.5."
    if seen.strip().endswith("%"):
        return "Leave the percent sign out and name the unit in the header."
    return "Leave the cell empty when there is no value."


def _refuse_formula_text(rows: list[list[object]], numbers: list[int], names: list[str], where: str) -> None:
    for row, number in zip(rows, numbers, strict=True):
        for name, cell in zip(names, row, strict=True):
            if isinstance(cell, str) and cell.startswith("=") and len(cell) > 1:
                raise DataError(
                    f"column {name!r} holds a formula, not its result",
                    where=f"{where} row {number}",
                    seen=cell,
                    hint="Paste the values, or export the table again from the spreadsheet.",
                )


def _read_parquet(path: Path) -> pd.DataFrame:
    check_is_table(path)
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=path) from error
    table.columns = table.columns.map(str)
    if isinstance(table.index, pd.RangeIndex):
        # a Parquet file has no header row: its first row is row 1
        table.index = pd.Index(np.arange(1, len(table) + 1), name=ROW)
    table.attrs[NOTES] = []
    return table


__all__ = ["NOTES", "ROW", "numeric_column", "read_table", "require_columns", "row_name", "row_names", "table_notes"]
