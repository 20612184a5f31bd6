"""How a text matrix is laid out: encoding, separator, decimal comma, lines above the header, columns that describe."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pandas as pd

from biomarkers.errors import DataError

_FEATURE_COUNTS: Final = ("Chr", "Start", "End", "Strand", "Length")
_DESCRIPTIVE: Final = (
    "description", "gene_name", "gene_symbol", "symbol", "gene_id", "gene_type", "biotype", "length", "entrez_gene_id",
    "hugo_symbol", "gene_biotype", "class name", "code.class", "accession",
)  # fmt: skip
_LONGEST_LINE: Final = 1 << 26
_LOOKED_AT: Final = 200  # lines


@dataclass(frozen=True)
class Layout:
    """Where the columns of a table are and how to read it in stretches of rows; ``n_rows`` as a GCT states it."""

    path: Path
    columns: list[str]
    skip: int = 0  # lines before the first row of data
    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    n_rows: int | None = None
    n_samples: int | None = None
    describing: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def is_descriptive(self, name: str) -> bool:
        """Tell columns that describe a gene from columns of samples."""
        return name in _FEATURE_COUNTS or name.lower() in _DESCRIPTIVE or name in self.describing

    def parts(self, rows: int, columns: Sequence[int] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the table in stretches of rows; the first column is text, cells are never repaired."""
        if self.path.suffix.lower() == ".parquet":
            yield from _parquet(self.path, rows, self.columns, columns)
            return
        options: dict[str, Any] = {
            "sep": self.separator, "decimal": self.decimal, "encoding": self.encoding, "skiprows": self.skip,
            "header": None, "names": list(range(len(self.columns))), "usecols": columns, "chunksize": rows,
            "dtype": {0: str}, "keep_default_na": False, "na_values": [], "index_col": False,
            "float_precision": "round_trip", "low_memory": False,
        }  # fmt: skip
        try:
            with pd.read_csv(self.path, **options) as reader:
                yield from reader
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, EOFError, OSError) as error:
            message = "this is no matrix: its rows cannot be read"
            raise DataError(message, where=self.path, seen=str(error).strip()[:100]) from error


def read_layout(path: Path) -> Layout:
    """Look at the first lines of a table.

    Raises
    ------
    DataError
        It is no text, or no matrix.
    """
    if path.suffix.lower() == ".parquet":
        return Layout(path, _parquet_columns(path))
    lines, encoding = _head(path)
    if lines and lines[0].startswith("#1."):
        return _gct(path, lines, encoding)
    skip = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    body = lines[skip:]
    if not body:
        raise DataError("this is no matrix: it is empty", where=path)
    separator = max("\t;,", key=body[0].count)
    if body[0].count(separator) == 0:
        raise DataError("this is no matrix: no separator in its first line", where=path, seen=body[0].strip()[:60])
    rows = list(csv.reader(body, delimiter=separator))
    columns = [name.strip() for name in rows[0]]
    if len(rows) > 1 and len(rows[1]) == len(columns) + 1:
        columns = ["", *columns]  # as R writes it: no name above the rows' names
    _refuse_twice(columns, path)
    return Layout(path, columns, skip + 1, separator, _decimal(rows[1:], separator, path), encoding)


def _gct(path: Path, lines: list[str], encoding: str) -> Layout:
    """Read the head of a GCT 1.2 or 1.3 file, which states its own size."""
    edges = lines[1].split() if len(lines) > 1 else []
    if len(lines) < 3 or len(edges) not in (2, 4) or not all(edge.isdigit() for edge in edges):
        raise DataError("the head of this GCT file cannot be read", where=path, seen="".join(lines[:2])[:60])
    sizes = [int(edge) for edge in edges]
    columns = [name.strip() for name in lines[2].rstrip("\r\n").split("\t")]
    _refuse_twice(columns, path)
    n_row_notes, n_column_notes = (sizes[2], sizes[3]) if len(sizes) == 4 else (1, 0)
    describing = tuple(columns[1 : 1 + n_row_notes])
    return Layout(path, columns, 3 + n_column_notes, "\t", ".", encoding, sizes[0], sizes[1], describing)


def _head(path: Path) -> tuple[list[str], str]:
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        if encoding == "utf-16" and not _starts_with_mark(path):
            continue
        try:
            with _open(path, encoding) as stream:
                lines = [stream.readline(_LONGEST_LINE) for _ in range(_LOOKED_AT)]
        except UnicodeDecodeError:
            continue
        except (OSError, EOFError) as error:
            raise DataError("cannot be read as text", where=path, seen=str(error)[:100]) from error
        if any("\0" in line for line in lines):
            raise DataError("this is no text but binary", where=path)
        if any(len(line) >= _LONGEST_LINE for line in lines):
            raise DataError("this is no matrix: a line without end", where=path)
        return [line for line in lines if line], encoding
    raise DataError("cannot be read as text", where=path, allowed="UTF-8, UTF-16, Windows-1252")


def _open(path: Path, encoding: str) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding)
    return path.open(encoding=encoding)


def _starts_with_mark(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) in (b"\xff\xfe", b"\xfe\xff")


def _decimal(rows: list[list[str]], separator: str, path: Path) -> str:
    """Decimal commas are understood where no cell has a point; 1,234 alone could be either and is refused."""
    if separator == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row[1:]]
    commas = [cell for cell in cells if re.fullmatch(r"-?\d+,\d+", cell)]
    if not commas or any(re.fullmatch(r"-?\d*\.\d+", cell) for cell in cells):
        return "."
    if all(re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", cell) for cell in commas):
        raise DataError(
            "a comma may be a decimal comma or part of a thousand", where=path, seen=commas[0],
            hint="Write the numbers without separators of thousands.",
        )  # fmt: skip
    return ","


def _refuse_twice(columns: list[str], path: Path) -> None:
    twice = (
        sorted({name for name in columns[1:] if columns[1:].count(name) > 1})
        if len(set(columns)) < len(columns)
        else []
    )
    if twice:
        raise DataError("two columns have one name", where=path, seen=twice[0])


def _parquet_columns(path: Path) -> list[str]:
    """Names of the columns; what pandas kept as the index stands first here."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            schema = file.schema_arrow
    except (ArrowException, OSError) as error:
        raise DataError("cannot be read as Parquet", where=path, seen=str(error)[:100]) from error
    index = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    if len(index) > 1:
        raise DataError("this is no matrix: its rows have several names", where=path, seen=index)
    return [*index, *(str(name) for name in schema.names if name not in index)]


def _parquet(path: Path, rows: int, order: list[str], columns: Sequence[int] | None) -> Iterator[pd.DataFrame]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    chosen = order if columns is None else [order[i] for i in columns]
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=max(1, rows), columns=chosen):
                held = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield pd.DataFrame(
                    {i: held[name].to_pandas() if i else held[name].cast("string").to_pandas()
                     for i, name in enumerate(chosen)}
                )  # fmt: skip
    except (ArrowException, OSError) as error:
        raise DataError("cannot be read as Parquet", where=path, seen=str(error)[:100]) from error
