"""A table file -> rows of raw cells, whatever wrote it: encodings, separators, worksheets, stored formula results."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from biomarkers.cohort.geo import is_series_matrix, sample_rows
from biomarkers.core.errors import DataError, UsageError

SEPARATORS = (",", ";", "\t", "|")
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_SHEET_SUFFIXES = (".xlsx", ".xlsm")
_OLD_SUFFIXES = {
    ".xls": "Save it as .xlsx (the old binary format is not read).",
    ".ods": "Save it as .xlsx or .csv.",
    ".h5ad": "That is a cohort or a matrix, not a table: read_cohort() or the verb's own argument takes it.",
    ".gz": "Unpack it first.",
    ".zip": "Unpack it first.",
    ".rds": "Write it from R with write.csv(x, 'table.csv', row.names = FALSE).",
}
_SNIFFED_LINES = 50
_MAX_UNPACKED_BYTES = 2 << 30


@dataclass
class Grid:
    """Raw cells as they stand in the file, before any of them is given a meaning.

    ``rows[i]`` is file row ``i + 1``, so messages can name the row that a spreadsheet shows. ``notes`` says what
    was done to read the file, ``sheets`` the worksheets of a workbook, the one that was read first.
    """

    rows: list[list[object]]
    notes: list[str] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)


def check_is_table(path: Path) -> None:
    """Refuse a name behind which there is no file."""
    if path.is_dir():
        raise UsageError("this is a folder, not a table", where=path, hint="Name the table in it.")
    if not path.is_file():
        raise UsageError("no such table", where=path)


def read_grid(path: Path, *, sheet: str | None = None) -> Grid:
    """Read a CSV, TSV or XLSX file as raw cells.

    Parameters
    ----------
    path
        The file; its suffix says what it is.
    sheet
        Name of the worksheet (XLSX only). By default the first one.

    Raises
    ------
    UsageError
        There is no such file or sheet, or the suffix is not a table's.
    DataError
        The file is not what its suffix says, or holds a formula without a stored result.
    """
    check_is_table(path)
    suffix = path.suffix.lower()
    if suffix in _TEXT_SUFFIXES:
        if sheet is not None:
            raise UsageError("only an .xlsx file has sheets", where=path, seen=sheet)
        return _read_text(path)
    if suffix in _SHEET_SUFFIXES:
        return _read_sheet(path, sheet)
    raise UsageError(
        "not a table that can be read",
        where=path,
        seen=suffix or "no suffix",
        allowed=(*_TEXT_SUFFIXES, *_SHEET_SUFFIXES, ".parquet"),
        hint=_OLD_SUFFIXES.get(suffix),
    )


def _read_text(path: Path) -> Grid:
    notes: list[str] = []
    text = _decode(path, notes)
    lines = text.splitlines(keepends=True)
    if is_series_matrix(lines):
        notes.append(
            "a GEO series matrix: its samples and their characteristics were read ('express' reads its values)"
        )
        return Grid(sample_rows(lines), notes)
    skipped = 0
    separator = "\t" if path.suffix.lower() == ".tsv" else None
    if lines and lines[0].strip().strip('"').lower().startswith("sep=") and len(lines[0].strip().strip('"')) == 5:
        separator = lines[0].strip().strip('"')[4]
        skipped = 1
    if separator is None:
        separator = _sniff_separator(lines)
    if separator != "," and not (separator == "\t" and path.suffix.lower() == ".tsv"):
        notes.append(f"cells are separated by {_SEPARATOR_WORDS.get(separator, repr(separator))}")
    return Grid(list(_split(lines, separator, skipped, path)), notes)


_SEPARATOR_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def _decode(path: Path, notes: list[str]) -> str:
    data = path.read_bytes()
    if not data.strip():
        raise DataError("the file is empty", where=path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        notes.append("read as UTF-16")
        return data.decode("utf-16")
    if data.startswith(b"PK\x03\x04"):
        raise DataError("this is a zipped workbook, not text", where=path, hint="Rename it to .xlsx.")
    if b"\x00" in data[:4096]:
        raise DataError("this is not a text file (it holds zero bytes)", where=path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        notes.append("not valid UTF-8: read as Windows-1252 (check accented letters)")
        return data.decode("cp1252", errors="replace")


def _sniff_separator(lines: list[str]) -> str:
    """Choose the separator that splits most lines alike; a comma that only occurs inside numbers loses to ';'."""
    sample = [line for line in lines if line.strip() and not line.startswith("#")][:_SNIFFED_LINES]
    best, best_key = ",", (0.0, 0)
    for separator in SEPARATORS:
        widths = [len(row) for row in csv.reader(sample, delimiter=separator)]
        usual = max(set(widths), key=lambda width: (widths.count(width), width), default=1)
        if usual < 2:
            continue
        key = (round(widths.count(usual) / len(widths), 2), usual)
        if key > best_key:
            best, best_key = separator, key
    return best


def _split(lines: list[str], separator: str, skipped: int, path: Path) -> Iterator[list[object]]:
    for _ in range(skipped):
        yield []
    reader = csv.reader(io.StringIO("".join(lines[skipped:]), newline=""), delimiter=separator)
    try:
        for row in reader:
            yield list(row)
    except csv.Error as error:
        raise DataError(f"broken text table: {error}", where=f"{path} line {reader.line_num + skipped}") from error


def _read_sheet(path: Path, sheet: str | None) -> Grid:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > _MAX_UNPACKED_BYTES:
            raise DataError(
                "the workbook unpacks to too much", where=path, seen=f"{unpacked:,} bytes", hint="Save it as .csv."
            )
        values = openpyxl.load_workbook(path, read_only=True, data_only=True)
        formulas = openpyxl.load_workbook(path, read_only=True, data_only=False)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise DataError(f"not a readable .xlsx workbook ({error})", where=path) from error
    try:
        name = _choose_sheet(values.sheetnames, sheet, path)
        notes = [] if len(values.sheetnames) == 1 or sheet else [_sheet_note(values.sheetnames, name)]
        rows: list[list[object]] = [list(row) for row in values[name].iter_rows(values_only=True)]
        _check_formulas(rows, formulas[name], f"{path.name} sheet {name!r}", notes)
    finally:
        values.close()
        formulas.close()
    return Grid(rows, notes=notes, sheets=[name, *(other for other in values.sheetnames if other != name)])


def _choose_sheet(names: list[str], sheet: str | None, path: Path) -> str:
    if sheet is None:
        return names[0]
    if sheet not in names:
        raise UsageError("no such sheet", where=path, seen=sheet, allowed=names)
    return sheet


def _sheet_note(names: list[str], name: str) -> str:
    others = ", ".join(repr(other) for other in names if other != name)
    return f"sheet {name!r} was read; not read: {others}"


def _check_formulas(rows: list[list[object]], sheet: object, where: str, notes: list[str]) -> None:
    """Take the results a spreadsheet stored beside its formulas; a formula nobody has computed is refused.

    Cells that are shown in per cent hold fractions: their column is noted.
    """
    from openpyxl.utils import get_column_letter

    found = 0
    shares: dict[int, int] = {}
    for index, row in enumerate(sheet.iter_rows()):  # type: ignore[attr-defined]
        for column, one in enumerate(row):
            cell = one.value
            if isinstance(cell, int | float) and "%" in str(one.number_format):
                shares[column] = shares.get(column, 0) + 1
            if not (isinstance(cell, str) and cell.startswith("=")) and type(cell).__name__ != "ArrayFormula":
                continue
            found += 1
            if column >= len(rows[index]) or rows[index][column] is None:
                raise DataError(
                    "a formula without a stored result",
                    where=f"{where} row {index + 1}, cell {get_column_letter(column + 1)}{index + 1}",
                    seen=str(cell),
                    hint="Open the workbook in a spreadsheet program and save it, or paste the values.",
                )
    if found:
        notes.append(f"{found} formula cells were read at their stored results")
    for column, count in shares.items():
        notes.append(
            f"column {get_column_letter(column + 1)} is shown in per cent in {count} cells and read as it is stored: "
            "35% is 0.35, a fraction"
        )
