"""How a text matrix is laid out: encoding, separator, decimal comma, lines above the header, columns that describe."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.expression.genes import known_gene

_FEATURE_COUNTS: Final = ("Chr", "Start", "End", "Strand", "Length")
_DESCRIPTIVE: Final = (
    "description", "gene_name", "gene_symbol", "symbol", "gene_id", "gene_type", "biotype", "length", "entrez_gene_id",
    "hugo_symbol", "gene_biotype", "class name", "code.class", "accession", "entrez", "entrezid", "entrez_id",
    "ncbi_gene_id", "ensembl_id", "chr", "chrom", "chromosome", "start", "end", "strand", "gene_length",
)  # fmt: skip
# words that stand above the column of names; a first line without one and with numbers only is data
_HEADS: Final = ("gene", "symbol", "name", "id", "probe", "feature", "sample", "barcode", "hugo", "hgnc", "ens",
                 "entrez", "index", "row", "target", "transcript", "unnamed", "x", "var", "patient", "cell", "case",
                 "subject", "ref", "accession", "ncbi", "key", "tracking")  # fmt: skip
_LONGEST_LINE: Final = 1 << 26
_LOOKED_AT: Final = 200  # lines
_CELLS: Final = 100_000


@dataclass(frozen=True)
class Layout:
    """Where the columns of a table are and how to read it in stretches of rows.

    ``n_rows`` and ``n_samples`` are as a GCT states them; ``lead`` columns before that of the names only number the
    rows; ``blank`` are columns without name and cells.
    """

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
    lead: int = 0
    blank: tuple[str, ...] = ()
    comment: str | None = None  # a sign that begins lines to leave out, above and below the table

    def is_descriptive(self, name: str) -> bool:
        """Tell columns that describe a gene from columns of samples."""
        return name in _FEATURE_COUNTS or name.lower() in _DESCRIPTIVE or name in self.describing

    def parts(self, rows: int, columns: Sequence[int] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the table in stretches of rows; the first column is text, cells are never repaired."""
        if self.path.suffix.lower() == ".parquet":
            yield from _parquet(self.path, rows, self.columns, columns)
            return
        # with all columns read, a row with a cell too many is an error; with chosen ones pandas would not say so
        names = [f"c{i}" for i in range(-self.lead, len(self.columns))]
        options: dict[str, Any] = {
            "sep": self.separator, "encoding": self.encoding, "skiprows": self.skip, "header": None, "names": names,
            "decimal": self.decimal if self.separator != "," else ".",  # cells in quotes are looked at as text
            "usecols": None if columns is None else [f"c{i}" for i in columns], "chunksize": rows,
            "dtype": {"c0": str}, "keep_default_na": False, "na_values": [], "index_col": False,
            "float_precision": "round_trip", "low_memory": False, "comment": self.comment,
            "compression": "gzip" if _is_gzip(self.path) else None,
        }  # fmt: skip
        try:
            with pd.read_csv(self.path, **options) as reader:
                for part in reader:
                    plain = part.set_axis([int(name[1:]) for name in part.columns], axis=1)
                    yield plain.drop(columns=[i for i in plain.columns if i < 0])
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
    geo = any(
        line.startswith(("!series_matrix_table_begin", "!Series_", "!Sample_", "!dataset_table")) for line in lines
    )
    above = ("#", "!", '"!', "^") if geo else ("#",)
    skip = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(above)), len(lines))
    if geo and skip == len(lines):
        raise DataError(
            "this GEO file holds no table in its first lines: its series matrix is empty, or the values are elsewhere",
            where=path, hint="Series of sequencing keep their values in a supplementary file: give that.",
        )  # fmt: skip
    told = re.fullmatch(r"\"?sep=(.)\"?", lines[skip].strip(), re.IGNORECASE) if skip < len(lines) else None
    skip += told is not None  # Excel's own note
    body = lines[skip:]
    if not body:
        raise DataError("this is no matrix: it is empty", where=path)
    separator = told.group(1) if told else _separator(body[0], path)
    looked_at = max(5, _CELLS // (body[0].count(separator) + 1))
    rows = list(csv.reader(body[: 1 + looked_at], delimiter=separator))
    columns = [name.strip() for name in rows[0]]
    if len(rows) > 1 and len(rows[1]) == len(columns) + 1 and rows[1][-1].strip():
        columns = ["", *columns]  # as R writes it: no name above the rows' names
    columns, blank = _named_blank(columns, rows[1:])
    lead = _numbers_rows(columns, rows[1:])
    columns = columns[lead:]
    _refuse_data(columns, path)
    _refuse_twice(columns, path)
    decimal = _decimal([row[lead:] for row in rows[1:]], columns, separator, path)
    notes = ["a first column that numbers the rows was left out"] if lead else []
    notes += [*(["a GEO series matrix: lines that begin with ! were left out"] if geo else [])]
    return Layout(
        path, columns, skip + 1, separator, decimal, encoding, notes=notes, lead=lead, blank=blank,
        comment="!" if geo else None,
    )  # fmt: skip


def _separator(line: str, path: Path) -> str:
    best = max("\t;,", key=line.count)
    if line.count(best):
        return best
    rare = next((mark for mark in "| " if mark in line.strip()), None)
    if rare is None:
        raise DataError("this is no matrix: no separator in its first line", where=path, seen=line.strip()[:60])
    return rare


def _named_blank(columns: list[str], rows: Sequence[list[str]]) -> tuple[list[str], tuple[str, ...]]:
    """Give columns without a name, whose cells are empty too (a separator too many), a name by which to leave them."""
    named = list(columns)
    for i in range(len(columns) - 1, 0, -1):
        if columns[i] or any(row[i].strip() for row in rows if len(row) > i):
            break
        named[i] = f"(no name, column {i + 1})"
    return named, tuple(name for name, was in zip(named, columns, strict=True) if name != was)


def _numbers_rows(columns: Sequence[str], rows: Sequence[list[str]]) -> int:
    """Tell whether a first column only numbers the rows (pandas, R write it so): 1, else 0."""
    rows = [row for row in rows if len(row) > 2]
    if len(rows) < 2 or columns[0].lower() not in ("", "index", "unnamed: 0", "x", "row", "n", "no", "nr", "#"):
        return 0
    first, second = ([row[i].strip() for row in rows] for i in (0, 1))
    if first[0] not in ("0", "1") or first != [str(int(first[0]) + i) for i in range(len(first))]:
        return 0
    texts = sum(not re.fullmatch(r"[-+.,\deE]*", name) for name in second)
    return int(texts > 0.5 * len(second) and len(set(second)) > 0.5 * len(second))


def _refuse_data(columns: Sequence[str], path: Path) -> None:
    """Refuse a table without names of samples, whose first row would be lost."""
    words = re.findall(r"[a-z]+", columns[0].lower())
    headed = any(word == head or (len(head) > 3 and word.startswith(head)) for word in words for head in _HEADS)
    headed = headed or any(word in ("ids", "rows", "ensg", "ensembl") for word in words)
    if columns[0] and not headed and all(re.fullmatch(r"-?\d+([.,]\d+)?", name) for name in columns[1:]):
        seen, hint = ", ".join(columns[:4]), "Write a first line: gene, then a name for each column."
        raise DataError(
            "the first line holds numbers where names of samples should stand", where=path, seen=seen, hint=hint
        )


def _gct(path: Path, lines: list[str], encoding: str) -> Layout:
    """Read the head of a GCT 1.2 or 1.3 file, which states its own size."""
    edges = lines[1].split() if len(lines) > 1 else []
    if len(lines) < 3 or len(edges) not in (2, 4) or not all(edge.isdigit() for edge in edges):
        raise DataError("the head of this GCT file cannot be read", where=path, seen="".join(lines[:2])[:60])
    sizes = [int(edge) for edge in edges]
    columns = [name.strip() for name in lines[2].rstrip("\r\n").split("\t")]
    columns, blank = _named_blank(columns, [line.rstrip("\r\n").split("\t") for line in lines[3:]])
    _refuse_twice(columns, path)
    n_row_notes, n_column_notes = (sizes[2], sizes[3]) if len(sizes) == 4 else (1, 0)
    describing = tuple(columns[1 : 1 + n_row_notes])
    return Layout(path, columns, 3 + n_column_notes, "\t", ".", encoding, sizes[0], sizes[1], describing,
                  blank=blank)  # fmt: skip


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
    if _is_gzip(path):
        return gzip.open(path, "rt", encoding=encoding)
    return path.open(encoding=encoding)


def _is_gzip(path: Path) -> bool:
    """Tell by what the file holds: names lie."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _starts_with_mark(path: Path) -> bool:
    with gzip.open(path) if _is_gzip(path) else path.open("rb") as stream:
        return stream.read(2) in (b"\xff\xfe", b"\xfe\xff")


def _decimal(rows: list[list[str]], columns: Sequence[str], separator: str, path: Path) -> str:
    """Decimal commas are understood where no cell has a point; what may as well part thousands is refused."""
    cells = [cell.strip() for row in rows for cell in row[1:]]
    commas = [cell for cell in cells if re.fullmatch(r"-?\d+,\d+", cell)]
    points = [cell for cell in cells if re.fullmatch(r"-?\d*\.\d+", cell)]
    # 1.234 beside 56: a table rounded to three places would show a point in nearly every number
    if points and not commas and all(_is_parted(cell, ".") for cell in points):
        plain = [cell for cell in cells if re.fullmatch(r"-?[1-9]\d*", cell)]
        if plain and max(map(len, plain)) <= 3:
            _refuse_parted(points[0], ("point", "decimal point"), rows, columns, path)
    if not commas or points:
        return "."
    if all(_is_parted(cell, ",") for cell in commas):
        if separator == ",":  # in quotes: no number, as the reader will say
            return "."
        _refuse_parted(commas[0], ("comma", "decimal comma"), rows, columns, path)
    return ","


def _refuse_parted(
    cell: str, words: tuple[str, str], rows: list[list[str]], columns: Sequence[str], path: Path
) -> NoReturn:
    row, i = next((row, i) for row in rows for i in range(1, len(row)) if row[i].strip() == cell)
    gene, sample = (row[0], columns[i]) if not known_gene(columns[i]) else (columns[i], row[0])
    raise DataError(
        f"a {words[0]} may be a {words[1]} or part of a thousand",
        where=f"{path}, gene {gene}, sample {sample}",
        seen=cell,
        hint="Write the numbers without separators of thousands.",
    )


def _is_parted(cell: str, mark: str) -> bool:
    return re.fullmatch(rf"-?[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}", cell) is not None


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
    columns = [*index, *(str(name) for name in schema.names if name not in index)]
    texts = [name for name in columns if _is_text(schema.field(name).type)]
    if not index and len(texts) == 1:  # the names may stand anywhere
        columns = [*texts, *(name for name in columns if name not in texts)]
    return columns


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind))


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
