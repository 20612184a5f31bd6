"""Raw cells -> one header row and a body: titles, blank rows, second header rows, footnotes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from biomarkers.cohort.grid import Grid
from biomarkers.core.errors import DataError

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?%?")
_MARKS = ("*", "†", "‡", "§", "¹", "Note:", "Notes:", "NB:", "Source:", "Abbreviation", "Legend")
_TOTALS = ("total", "totals", "sum", "mean", "average", "median", "sd", "n", "n=", "overall", "all patients", "summe")
_LEFT_EMPTY = ("", "na", "n/a", "nan", "null", "none", "#n/a", ".")


@dataclass
class Body:
    """The table itself: column names, rows of equal width, and for each the row of the file it stands in."""

    names: list[str]
    rows: list[list[object]]
    row_numbers: list[int]


def find_table(grid: Grid, *, where: str) -> Body:
    """Find the header row and the rows below it; add to ``grid.notes`` whatever was left out.

    Parameters
    ----------
    grid
        The raw cells.
    where
        The file's name for messages.

    Raises
    ------
    DataError
        There is no header or no data, two header rows, two columns of one name, a row wider than the header, or
        a footnote below the table; the message names the row.
    """
    filled = [index for index, row in enumerate(grid.rows) if any(not is_blank(cell) for cell in row)]
    if not filled:
        raise DataError("the table is empty", where=where)
    top = _header_row(grid, filled)
    width = max(_last_filled(grid.rows[index]) + 1 for index in filled if index >= top)
    header = _padded(grid.rows[top], width)
    body = [index for index in filled if index > top]
    if not body:
        raise DataError("a header but no rows below it", where=f"{where} row {top + 1}")
    rows = [_padded(grid.rows[index], width) for index in body]
    _refuse_footnote(rows, body, where)
    _refuse_second_header(header, rows, top, body[0], where)
    names, keep = _names(header, rows, grid, where=f"{where} row {top + 1}")
    gaps = body[-1] - top - len(body)
    if gaps:
        grid.notes.append(f"{gaps} blank rows between the rows were left out")
    trailing = len(grid.rows) - 1 - filled[-1]
    if trailing:
        grid.notes.append(f"{trailing} blank rows at the end were left out")
    return Body(names, [[row[i] for i in keep] for row in rows], [index + 1 for index in body])


def is_blank(cell: object) -> bool:
    """Say whether nothing stands in a cell."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def is_missing_word(text: str) -> bool:
    """Say whether a text cell is one of the usual ways to write that there is no value."""
    return text.strip().lower() in _LEFT_EMPTY


def _header_row(grid: Grid, filled: list[int]) -> int:
    """Index of the header: the first row after comment lines and titles (rows with a single filled cell)."""
    widths = {index: sum(not is_blank(cell) for cell in grid.rows[index]) for index in filled}
    several = max(widths.values()) > 1
    for index in filled:
        first = next(str(cell) for cell in grid.rows[index] if not is_blank(cell))
        if first.startswith("#") and not first.startswith("#N"):
            grid.notes.append(f"row {index + 1} is a comment and was left out: {first[:60]!r}")
        elif several and widths[index] == 1:
            grid.notes.append(f"row {index + 1} was taken for a title and left out: {first[:60]!r}")
        else:
            return index
    return filled[-1]


def _last_filled(row: list[object]) -> int:
    return max((i for i, cell in enumerate(row) if not is_blank(cell)), default=-1)


def _padded(row: list[object], width: int) -> list[object]:
    return [*row[:width], *[None] * (width - len(row))]


def _names(header: list[object], rows: list[list[object]], grid: Grid, *, where: str) -> tuple[list[str], list[int]]:
    names: list[str] = []
    keep: list[int] = []
    for i, cell in enumerate(header):
        if is_blank(cell):
            if all(is_blank(row[i]) for row in rows):
                continue
            if i >= 1 and all(is_blank(other) for other in header[i:]):
                row = next(k for k, row in enumerate(rows) if not is_blank(row[i]))
                raise DataError(
                    f"cells without a column name, the first in data row {row + 1}",
                    where=where,
                    seen=rows[row][i],
                    hint="Name the column, or look for a separator inside an unquoted cell.",
                )
            names.append(f"column_{i + 1}")
            grid.notes.append(f"column {i + 1} has no name and is called {names[-1]!r}")
        else:
            names.append(" ".join(str(cell).split()))
        keep.append(i)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError("two columns of one name", where=where, seen=", ".join(twice), hint="Rename one of them.")
    return names, keep


def _refuse_footnote(rows: list[list[object]], body: list[int], where: str) -> None:
    """Refuse a legend or a line of totals below the table: it would become a patient."""
    spaced = [" " in str(row[0]).strip() for row in rows if not is_blank(row[0])]
    for i in range(1, len(rows)):
        filled = [cell for cell in rows[i] if not is_blank(cell)]
        lone = len(rows[i]) > 2 and len(filled) == 1
        first = str(filled[0]).strip()
        sentence = first.startswith(_MARKS) or (" " in first and sum(spaced) == 1)
        if lone and (body[i] - body[i - 1] > 1 or (sentence and not is_blank(rows[i][0]))):
            raise DataError(
                "a single cell below the table looks like a footnote",
                where=f"{where} row {body[i] + 1}",
                seen=first[:60],
                hint="Delete it, or the blank row above it if it belongs to the table.",
            )
    last = str(rows[-1][0]).strip().casefold().rstrip(":")
    if len(rows) > 2 and last in _TOTALS and not any(last == str(row[0]).strip().casefold() for row in rows[:-1]):
        raise DataError(
            "the last row looks like a summary of the others",
            where=f"{where} row {body[-1] + 1}",
            seen=str(rows[-1][0]),
            hint="Delete it: it would count as a patient.",
        )


def _refuse_second_header(header: list[object], rows: list[list[object]], top: int, second: int, where: str) -> None:
    """Group headings or a row of units: joining them to names would be a guess."""
    unnamed = [i for i in range(1, len(header)) if is_blank(header[i]) and isinstance(rows[0][i], str)]
    below = rows[1:]
    numeric = [i for i in range(len(header)) if _mostly_numbers(below, i)]
    texts = [i for i in numeric if isinstance(rows[0][i], str) and _is_word(rows[0][i])]
    headings = bool(unnamed) or (bool(numeric) and texts == numeric and len(below) > 1)
    if headings and _all_words(rows[0]) and not _recurs(rows[0], below):
        raise DataError(
            f"rows {top + 1} and {second + 1} look like two header rows",
            where=where,
            seen=", ".join(str(cell) for cell in rows[0] if not is_blank(cell))[:80],
            hint="Keep one row of column names (units may go into the names) and delete the other.",
        )


def _mostly_numbers(rows: list[list[object]], i: int) -> bool:
    cells = [row[i] for row in rows if not is_blank(row[i]) and not is_missing_word(str(row[i]))]
    numbers = sum(not isinstance(cell, str) or _NUMBER.fullmatch(cell.strip()) is not None for cell in cells)
    return len(cells) > 0 and numbers >= 0.8 * len(cells)


def _recurs(row: list[object], below: list[list[object]]) -> bool:
    """Say whether a word stands again further down in its column: then it is data (a response, a sex), no heading."""
    return any(_is_word(cell) and any(other[i] == cell for other in below) for i, cell in enumerate(row))


def _is_word(cell: object) -> bool:
    return isinstance(cell, str) and not is_missing_word(cell) and _NUMBER.fullmatch(cell.strip()) is None


def _all_words(row: list[object]) -> bool:
    """Say whether a row holds words only; data rows of a clinical table hold a number, a date or an identifier."""
    filled = [cell for cell in row if not is_blank(cell)]
    return all(_is_word(cell) and str(cell).strip()[0] not in "<>" for cell in filled)
