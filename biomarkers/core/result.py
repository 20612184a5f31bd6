"""How results show themselves: in a terminal, in a notebook, in a manuscript, to another program."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

RESEARCH_USE = "Research use only."
_MOST_ROWS = 20


class Overview(NamedTuple):
    """What is shown of a result first: a line above, a table, notes below."""

    title: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()


class Result:
    """A result that can be printed, pasted and kept.

    ``print(result)`` and a notebook show the overview, ``explain()`` says it in sentences, ``to_markdown()`` is the
    overview for a document, ``to_dict()`` everything for a program (plain numbers, text, lists; NaN is None).
    """

    def _overview(self) -> Overview:
        raise NotImplementedError

    def explain(self) -> str:
        """Say in plain words what was found."""
        overview = self._overview()
        return "\n".join([overview.title, *(f"Note: {note}" for note in overview.notes), RESEARCH_USE])

    def __str__(self) -> str:
        title, table, notes = self._overview()
        text = as_text(table.head(_MOST_ROWS)).to_string(index=False, max_colwidth=60)
        return "\n".join([title, text, *_more(table), *(f"Note: {note}" for note in notes)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        title, table, notes = self._overview()
        shown = as_text(table.head(_MOST_ROWS)).to_html(index=False)
        below = "".join(f"<li>{html.escape(note)}</li>" for note in (*_more(table), *notes))
        listed = f"<ul>{below}</ul>" if below else ""
        return f"<p>{html.escape(title)}</p>{shown}{listed}<p>{RESEARCH_USE}</p>"

    def to_markdown(self) -> str:
        """Return the overview, every row of it, as a Markdown table with its title and notes."""
        title, table, notes = self._overview()
        shown = as_text(table)
        rows = [[str(name) for name in shown.columns], ["---"] * shown.shape[1], *shown.to_numpy().tolist()]
        lines = ["| " + " | ".join(_no_bar(cell) for cell in row) + " |" for row in rows]
        return "\n".join([title, "", *lines, *(["", *(f"- {note}" for note in notes)] if notes else [])])

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain numbers, text, lists and dictionaries, as JSON has them; tables as rows."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {one.name: plain(getattr(self, one.name)) for one in fields if one.repr}


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as a person reads it: three significant digits, nothing where a value is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> as_text(pd.DataFrame({"auc": [0.61234, float("nan")], "n": [52, 8]})).to_numpy().tolist()
    [['0.612', '52'], ['', '8']]
    """
    import pandas as pd

    columns = [[_cell(value) for value in table.iloc[:, place]] for place in range(table.shape[1])]
    rows = [list(row) for row in zip(*columns, strict=True)] if columns else []
    return pd.DataFrame(rows, columns=table.columns, dtype=object)


def plain(value: Any) -> Any:
    """Return a value as JSON has it.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"p": np.float64(0.5), "limits": (float("nan"), np.int64(3))})
    {'p': 0.5, 'limits': [None, 3]}
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, pd.DataFrame):
        return [{str(name): plain(one) for name, one in row.items()} for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray, pd.Series)):
        return [plain(one) for one in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _cell(value: Any) -> str:
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}" if abs(value) < 1e4 else f"{value:.0f}"
    return str(value)


def _more(table: pd.DataFrame) -> list[str]:
    return [f"{len(table) - _MOST_ROWS} rows more"] if len(table) > _MOST_ROWS else []


def _no_bar(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
