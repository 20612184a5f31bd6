"""The report of a pharmacodynamic change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from biomarkers.report.page import Figure, Page, Section, as_table, write_page
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
    """
    page = Page(
        title=title or "Change from baseline to on-treatment",
        subtitle=f"{change.settings['baseline']} to {change.settings['on_treatment']}",
        sections=[*change_sections(change, figures=figures), made_by(change.settings)],
        simulated=simulated,
    )
    return write_page(page, path)


def change_sections(change: Change, *, figures: Path | Sequence[Figure] | None = None) -> list[Section]:
    """Lay out the change of each biomarker, figures, pairs and every statistic."""
    text = [line for line in change.explain().splitlines() if line.strip()]
    found = collect(figures)
    folded = [
        as_table(frame, caption=caption, folded=True)
        for frame, caption in (
            (change.pairs, "Every pair"),
            (change.completeness, "Who has both levels"),
            (change.conversions, "Conversions"),
            (change.chain, "Chain of components"),
            (change.statistics, "All estimates and tests"),
        )
        if len(frame)
    ]
    return [
        Section("Change on treatment", paragraphs=text, tables=[as_table(change.table)], figures=found),
        Section("Behind the change", tables=folded),
    ]
