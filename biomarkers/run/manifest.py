"""Manifests: tables that name the images to score, as spreadsheets of all countries and systems write them."""

from __future__ import annotations

import csv
from pathlib import Path, PureWindowsPath

from biomarkers.core.errors import DataError, did_you_mean
from biomarkers.core.sources import is_url

MANIFEST_COLUMNS = ("path", "patient", "timepoint", "assay", "mpp", "annotations")
_HEAD_CHARACTERS = 65_536


def read_manifest(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Read a manifest's rows.

    Comma, semicolon or tab as separator, told by the header; UTF-8 with or without a byte order mark, UTF-16, or
    Windows' own encoding. Blanks around names and values are taken off, empty rows left out.

    Returns
    -------
    Where each row stands (as a spreadsheet counts: the header is row 1) and its values by column.

    Raises
    ------
    DataError
        It has no column ``path``, an unknown one, one twice, or no rows.
    """
    text = _decoded(path)
    first = next((line for line in text[:_HEAD_CHARACTERS].splitlines() if line.strip()), "")
    separator = max("\t;,", key=first.count)
    rows = [[value.strip() for value in row] for row in csv.reader(text.splitlines(), delimiter=separator)]
    header = [name.casefold() for name in rows[0]] if rows else []
    while header and not header[-1]:
        header.pop()
    for column in header:
        if column not in MANIFEST_COLUMNS:
            hint = did_you_mean(column, MANIFEST_COLUMNS)
            raise DataError(f"unknown manifest column {column!r}", where=path, allowed=MANIFEST_COLUMNS, hint=hint)
    if "path" not in header:
        raise DataError("the manifest has no column 'path'", where=path, seen=header)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError("the manifest has two columns of one name", where=path, seen=twice)
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) > len(header) and any(row[len(header) :]):
            hint = f"Put values with a {separator!r} in quotes."
            raise DataError("a row has more values than the header", where=f"{path}, row {number}", seen=row, hint=hint)
        padded = [*row, *[""] * len(header)]
        found.append((f"{path}, row {number}", dict(zip(header, padded, strict=False))))
    if not found:
        raise DataError("the manifest has no rows", where=path)
    return found


def path_in(manifest: Path, written: str) -> Path | str:
    """Return a path of a manifest: relative to it, with the slashes of Windows or of other systems, or an address."""
    if is_url(written):
        return written
    plain = manifest.parent / written
    if "\\" in written and not plain.exists():
        other = PureWindowsPath(written)
        return manifest.parent / other.as_posix() if not other.drive else Path(other.as_posix())
    return plain


def number_in(written: str, *, column: str, where: str) -> float | None:
    """Read a number with a decimal point or comma; None for an empty cell.

    Raises
    ------
    DataError
        It is no number.
    """
    if not written:
        return None
    try:
        return float(written.replace(",", ".") if written.count(",") == 1 and "." not in written else written)
    except ValueError as error:
        raise DataError(f"{column} is not a number", where=where, seen=written) from error


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
