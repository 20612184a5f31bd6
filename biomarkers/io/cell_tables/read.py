"""Read a cell table made by inForm, HALO, QuPath, MCMICRO / scimap, CODEX or CellProfiler."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.io.cell_tables.build import MISSING_WORDS, CellTable, spelled, to_cells
from biomarkers.io.cell_tables.halo import is_halo, read_halo
from biomarkers.io.cell_tables.inform import is_inform, read_inform
from biomarkers.io.cell_tables.number_format import has_marks, with_plain_numbers
from biomarkers.io.cell_tables.others import (
    is_cellprofiler,
    is_codex,
    is_mcmicro,
    read_cellprofiler,
    read_codex,
    read_mcmicro,
)
from biomarkers.io.cell_tables.qupath import is_qupath, read_qupath

if TYPE_CHECKING:
    from anndata import AnnData

_VENDORS: Final[Mapping[str, tuple[Callable[[Iterable[str]], bool], Callable[[pd.DataFrame, Path], CellTable]]]] = {
    "inform": (is_inform, read_inform),
    "halo": (is_halo, read_halo),
    "qupath": (is_qupath, read_qupath),
    "mcmicro": (is_mcmicro, read_mcmicro),
    "codex": (is_codex, read_codex),
    "cellprofiler": (is_cellprofiler, read_cellprofiler),
}
_HEAD_BYTES = 1 << 20
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def import_cells(path: str | Path, *, vendor: str | None = None, mpp: float | None = None) -> AnnData:
    r"""Read a per-cell table made elsewhere into the schema of this package's own cells.

    Parameters
    ----------
    path
        A text table (tab, comma or semicolon; ``.gz`` too) of inForm (also decimal-comma, merged and consolidated
        ones), HALO, QuPath, MCMICRO / scimap, CODEX or CellProfiler.
    vendor
        ``inform, halo, qupath, mcmicro, codex, cellprofiler``; by default told by the columns.
    mpp
        Pixel size in um/px, needed when the table's positions are in pixels.

    Returns
    -------
    AnnData: obs = cells (``slide, cell_id, x_um, y_um, area_um2, nucleus_area_um2, cell_class, region``, ``phenotype``
    and ``<marker>_positive`` where the table had them), var = markers, X = mean over the whole cell (NaN where the
    vendor gives none), layers ``nucleus_mean`` and the like, in the vendor's own intensity scale.

    Raises
    ------
    UsageError
        No such file or vendor, or no pixel size where one is needed.
    DataError
        The table is none of these, holds a cell twice, or text where a number is needed (row and column are named).

    Examples
    --------
    >>> from pathlib import Path
    >>> import biomarkers as bm
    >>> head = "Image\tCentroid X µm\tCentroid Y µm\tCell: CD8 mean\n"
    >>> text = head + "a.tif\t10.5\t20.0\t300\na.tif\t30.0\t40.0\t12\n"
    >>> written = Path("cells.tsv").write_text(text, encoding="utf-8")
    >>> bm.import_cells("cells.tsv").obsm["spatial"].tolist()
    [[10.5, 20.0], [30.0, 40.0]]
    """
    where = Path(path)
    frame = _read_text(where)
    if vendor is None:
        vendor = next((name for name, (fits, _) in _VENDORS.items() if fits(frame.columns)), None)
        if vendor is None:
            raise DataError(
                "this table's columns are none of the known programs'",
                where=where,
                seen=list(frame.columns[:8]),
                allowed=tuple(_VENDORS),
            )
    if vendor.casefold() not in _VENDORS:
        raise UsageError("unknown vendor", seen=vendor, allowed=tuple(_VENDORS), hint=did_you_mean(vendor, _VENDORS))
    fits, read = _VENDORS[vendor.casefold()]
    if not fits(frame.columns):
        raise DataError(f"these are not the columns of {vendor}", where=where, seen=list(frame.columns[:8]))
    cells = to_cells(read(frame, where), where=where, mpp=mpp)
    cells.uns["imported"]["empty"] = _empty_columns(frame)
    return cells


def _empty_columns(frame: pd.DataFrame) -> list[str]:
    """Columns without a single value: a marker among them was not measured, which is said when it is asked for."""
    from biomarkers.io.cell_tables.build import MISSING_WORDS

    found = []
    for name in frame.columns:
        first = frame[name].iloc[0]
        if pd.isna(first) or (isinstance(first, str) and first.strip() in MISSING_WORDS):
            text = frame[name].astype(str).str.strip()
            found += [str(name)] if (text.isin(MISSING_WORDS) | frame[name].isna()).all() else []
    return found


def _read_text(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UsageError("no such file", where=path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        encoding = _encoding(head)
        if encoding != "utf-16" and b"\0" in head:
            raise DataError("this is no table of text", where=path, hint="Export it as CSV or tab-separated text.")
        first = next(iter(head.decode(encoding, errors="replace").splitlines()), "")
        separator = max("\t;,", key=first.count)
        frame = _fast(path, separator) if encoding == "utf-8-sig" else None
        if frame is not None and separator != "," and has_marks(frame, missing=MISSING_WORDS):
            frame = None  # where commas are decimal signs, a point may stand between thousands
        if frame is None:
            frame = pd.read_csv(
                path,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                encoding=encoding,
                encoding_errors="replace",
                quoting=csv.QUOTE_MINIMAL,
            )
    except (OSError, EOFError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        raise DataError(f"cannot be read as a table ({str(error).strip()})", where=path) from error
    if frame.empty:
        raise DataError("the table holds no cells", where=path)
    _refuse_doubled_columns(first, separator, path)
    frame.columns = [spelled(str(name)) for name in frame.columns]
    kept = frame.drop(columns=[name for name in frame.columns if re.fullmatch(r"|Unnamed: \d+", name)])
    return with_plain_numbers(kept, separator=separator, where=path, missing=MISSING_WORDS)


def _fast(path: Path, separator: str) -> pd.DataFrame | None:
    """Read a plain table with Arrow, many times as fast; None where it is not plain, for pandas to read or refuse.

    Columns of decimal fractions become numbers at once; all others stay text, so that no name loses its zeros.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    from biomarkers.io.cell_tables.build import MISSING_WORDS, as_floats

    try:
        with arrow.open_csv(path, parse_options=arrow.ParseOptions(delimiter=separator)) as stream:
            names = stream.schema.names
        if len(set(names)) < len(names) or names[-1] == "":
            return None
        text = arrow.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        table = arrow.read_csv(
            path, parse_options=arrow.ParseOptions(delimiter=separator), convert_options=text
        ).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError):
        return None
    columns: dict[str, object] = {}
    for name in names:
        column = table.column(name)
        found = as_floats(column) if _has_fractions(column.slice(0, 1000).to_pylist(), MISSING_WORDS) else None
        columns[name] = column.to_pandas(deduplicate_objects=True) if found is None else found
    return pd.DataFrame(columns)


def _has_fractions(values: list[str], missing: frozenset[str]) -> bool:
    """Tell measurements from names and counts: all read as numbers, and one of them has a decimal point."""
    known = [value for value in values if value.strip() not in missing]
    return any("." in value for value in known) and all(_NUMBER.fullmatch(value.strip()) for value in known)


def _encoding(head: bytes) -> str:
    """Tell Windows' own encoding, in which a micro sign is one byte, from Unicode."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        head[:-4].decode("utf-8")  # a character may be cut at the end of what was read
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _refuse_doubled_columns(header: str, separator: str, path: Path) -> None:
    """Refuse a header that names a column twice, which pandas would number silently."""
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError("the table has two columns of one name", where=path, seen=twice)
