"""Sections, tables and figures become one self-contained HTML file; every name in it is escaped."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from biomarkers.core.files import write_text

if TYPE_CHECKING:
    import pandas as pd

_LONG: Final = ("reason", "note", "method", "definition", "text")
_TAGGED: Final = ("verdict",)
_P_COLUMNS: Final = re.compile(r"^p($|_)")


@dataclass(frozen=True)
class Figure:
    """A PNG with what it shows in words."""

    path: Path
    caption: str

    @classmethod
    def named(cls, path: Path) -> Self:
        """Take the caption from the file's name, without the number that sorts it."""
        return cls(path, re.sub(r"^\d+ ", "", path.stem.replace("_", " ")))

    @property
    def data(self) -> str:
        """The file's bytes in base64."""
        return base64.b64encode(self.path.read_bytes()).decode("ascii")


@dataclass(frozen=True)
class Cell:
    """One cell as text; ``kind`` is ``num``, ``long`` or ``text``, ``tag`` the verdict that colours it."""

    text: str
    kind: str = "text"
    tag: str = ""


@dataclass(frozen=True)
class Column:
    """A column's heading."""

    name: str
    kind: str


@dataclass(frozen=True)
class Table:
    """A table ready to print."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, tables, figures, and a folded block of code.

    ``fitted``: figures in two columns of one size, and tables that break their cells rather than leave the page.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    code: str = ""
    code_caption: str = ""
    fitted: bool = False


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section] = field(default=())
    simulated: bool = False


def write_page(page: Page, path: Path) -> Path:
    """Write a page, complete or not at all."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("biomarkers.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    write_text(path, environment.get_template("page.html").render(vars(page)))
    return path


def as_table(
    frame: pd.DataFrame, *, caption: str = "", folded: bool = False, names: Mapping[str, str] | None = None
) -> Table:
    """Lay a frame out for reading: numbers short and right-aligned, missing values empty, verdicts coloured.

    Parameters
    ----------
    frame
        The table.
    caption
        Heading above it; the handle to unfold it when ``folded``.
    folded
        Show it only when asked for.
    names
        Column -> heading; the others keep theirs with blanks for underscores.
    """
    words = dict(names or {})
    kinds = {str(column): _kind(str(column), frame[column]) for column in frame.columns}
    columns = tuple(Column(words.get(c, c.replace("_", " ")), kinds[c]) for c in kinds)
    rows = tuple(
        tuple(_cell(str(column), value, kinds[str(column)]) for column, value in row.items())
        for row in frame.to_dict("records")
    )
    return Table(columns, rows, caption, folded)


def number(value: float, *, p: bool = False) -> str:
    """Write a number for reading: few digits, aligned in a column, p-values never as 0.

    Examples
    --------
    >>> number(0.55963), number(1234.5), number(0.00001, p=True)
    ('0.560', '1234', '1.0e-05')
    """
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if p and value < 0.001:
        return f"{value:.1e}"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{int(value)}"
    if abs(value) < 10:
        return f"{value:.3f}"
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def _kind(name: str, values: pd.Series) -> str:
    if values.dtype.kind in "iuf" or str(values.dtype) in ("Int64", "Float64"):
        return "num"
    return "long" if name in _LONG else "text"


def _cell(column: str, value: Any, kind: str) -> Cell:
    if value is None or value != value or str(value) == "<NA>":  # NaN is not itself
        return Cell("", kind)
    if kind == "num":
        return Cell(number(float(value), p=bool(_P_COLUMNS.match(column))), kind)
    if column in _TAGGED:
        slug = re.sub(r"[^a-z_]", "", str(value).replace(" ", "_"))
        return Cell(str(value).replace("_", " "), "text", slug or "other")
    return Cell(str(value), kind)
