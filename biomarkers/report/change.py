"""The report of a pharmacodynamic change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from biomarkers.change.pairs import BIOMARKER
from biomarkers.core import keys
from biomarkers.report.page import Figure, Page, Section, as_table, number, write_page
from biomarkers.report.relation import collect
from biomarkers.report.settings import made_by

if TYPE_CHECKING:
    from biomarkers.change.result import Change


def write_change_report(
    change: Change,
    path: Path,
    *,
    figures: Path | Sequence[Figure] | None = None,
    title: str | None = None,
    simulated: bool = False,
) -> Path:
    """Write a change as one self-contained HTML file.

    Parameters
    ----------
    change
        The result.
    path
        The file.
    figures
        A folder of PNG files, or figures with captions.
    title
        Heading of the page.
    simulated
        Say that the data are simulated.

    Returns
    -------
    The path.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame(
    ...     {
    ...         "patient": list("abcdefgh") * 2,
    ...         "timepoint": ["baseline"] * 8 + ["on_treatment"] * 8,
    ...         "CD8": [100.0] * 8 + [200.0, 150, 300, 120, 400, 250, 180, 500],
    ...     }
    ... )
    >>> change = bm.measure_change(table, levels=["CD8"], scale="linear")
    >>> from pathlib import Path
    >>> bm.write_change_report(change, Path("report.html")).name
    'report.html'
    """
    page = Page(
        title=title or "Change from baseline to on-treatment",
        subtitle=f"{change.settings['baseline']} to {change.settings['on_treatment']}",
        sections=[*change_sections(change, figures=figures), made_by(change.settings)],
        simulated=simulated,
    )
    return write_page(page, path)


_FIRST: Final = {
    "biomarker": "biomarker",
    "verdict": "verdict",
    "n_pairs": "pairs",
    "turns": "rose / fell / unchanged",
    "in_words": "median change",
    "estimate": "Hodges-Lehmann (95% CI)",
    "p": "p",
    "p_adjusted": "p adjusted",
    "p_by_response_adjusted": "p by response, adjusted",
}
_GATED: Final = {"gate": "gate", "calls": "called increase / decrease"}
_PAIRS: Final = (
    keys.PATIENT,
    BIOMARKER,
    keys.RESPONSE,
    "baseline",
    "on_treatment",
    "change",
    "bound",
    "call",
    "reason",
)


def change_sections(change: Change, *, figures: Path | Sequence[Figure] | None = None) -> list[Section]:
    """Lay out the change of each biomarker, figures, pairs and every statistic."""
    names = {**_FIRST, **_GATED} if change.table["gate"].notna().any() else dict(_FIRST)
    settings = change.settings
    reading = str(settings.get("reading", ""))
    opening = f"Change from {settings['baseline']} to {settings['on_treatment']}, one row a patient. Adjusted: "
    opening += f"{settings['adjustment']}. Response: {settings['response']}."
    closing = "Associations in one cohort, not predictions."
    found = collect(figures)
    folded = [
        as_table(frame, caption=caption, folded=True)
        for frame, caption in (
            (_upright(change.table), "Everything of each biomarker"),
            (change.pairs[list(_PAIRS)], "Every pair"),
            (change.completeness, "Who has both levels"),
            (change.conversions, "Conversions"),
            (change.chain, "Chain of components"),
            (change.statistics, "All estimates and tests"),
        )
        if len(frame)
    ]
    return [
        Section(
            "Change on treatment",
            paragraphs=[opening],
            tables=[as_table(_in_few_columns(change.table)[list(names)], names=names)],
            fitted=True,
        ),
        Section("Figures of change", figures=found, fitted=True),
        Section("Change in words", paragraphs=change.sentences()),
        Section(
            "What to know of the change",
            paragraphs=[*([reading] if reading else []), *(f"{note}." for note in change.notes), closing],
        ),
        Section("Behind the change", tables=folded, fitted=True),
    ]


def _in_few_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Put what belongs together into one column, so that the table stays inside the page."""
    rows = table.to_dict("records")
    return table.assign(
        turns=[f"{row['rose']} / {row['fell']} / {row['unchanged']}" for row in rows],
        calls=[f"{row['called_increase']} / {row['called_decrease']}" for row in rows],
        estimate=[
            f"{row['hl_change']:+.3f} ({row['ci_low']:+.3f} to {row['ci_high']:+.3f})" if row["n_pairs"] else ""
            for row in rows
        ],
    )


def _upright(table: pd.DataFrame) -> pd.DataFrame:
    """One row a biomarker and matter, since so many columns would leave the page."""
    rows = [
        [row[BIOMARKER], str(name).replace("_", " "), _short(str(name), value)]
        for row in table.to_dict("records")
        for name, value in row.items()
        if name != BIOMARKER and value == value and value != ""  # NaN is not itself
    ]
    return pd.DataFrame(rows, columns=[BIOMARKER, "what", "value"])


def _short(name: str, value: Any) -> str:
    return number(float(value), p=name.startswith("p")) if isinstance(value, int | float) else str(value)
