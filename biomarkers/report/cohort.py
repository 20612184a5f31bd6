"""The report of a study's patients: who is in it, how they did, and what did not match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from biomarkers.cohort.endpoints import endpoint_words
from biomarkers.report.page import Figure, Page, Section, as_table, write_page
from biomarkers.report.relation import collect
from biomarkers.report.settings import made_by

if TYPE_CHECKING:
    from biomarkers.cohort.summary import StudySummary


def write_cohort_report(
    summary: StudySummary,
    path: Path,
    *,
    figures: Path | Sequence[Figure] | None = None,
    settings: Mapping[str, Any] | None = None,
    title: str | None = None,
    simulated: bool = False,
) -> Path:
    """Write a study's patients as one self-contained HTML file.

    Parameters
    ----------
    summary
        The result of :func:`biomarkers.cohort.summary.summarise_study`.
    path
        The file.
    figures
        A folder of PNG files, or figures with captions.
    settings
        What made it.
    title
        Heading of the page.
    simulated
        Say that the data are simulated.

    Returns
    -------
    The path.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> from pathlib import Path
    >>> bm.write_cohort_report(bm.summarise_study(patients), Path("report.html")).name
    'report.html'
    """
    page = Page(
        title=title or "The patients of the study",
        subtitle=f"{len(summary.patients)} patients",
        sections=[*cohort_sections(summary, figures=figures), made_by(settings or {})],
        simulated=simulated,
    )
    return write_page(page, path)


def cohort_sections(summary: StudySummary, *, figures: Path | Sequence[Figure] | None = None) -> list[Section]:
    """Lay out the flow with its notes, end points, selection by biopsy, figures, and what lies behind them."""
    shown = summary.endpoints[~summary.endpoints["method"].astype(str).str.contains("Wilson")]
    said = [endpoint_words(row) for row in shown.to_dict("records")]
    tables = [as_table(pd.DataFrame({"endpoint": shown["endpoint"].to_numpy(), "result": said}))]
    texts = [
        f"Everybody treated counts; NE is no response. Intervals of medians: Brookmeyer-Crowley, {summary.transform}.",
    ]
    if len(summary.selection):
        p = float(summary.selection["p_fisher"].iloc[0])
        compared = "everybody has a level" if p != p else f"Fisher p = {p:.3g}"  # NaN is not itself
        texts.append(f"Response of patients with and without a baseline level: {compared}.")
        tables.append(as_table(summary.selection))
    if len(summary.landmarks):
        texts.append(
            "Times by response count from a landmark, with groups by what was known at it: from the first day on, or "
            "by what came later, they would favour responders."
        )
        tables.append(as_table(summary.landmarks))
    folded = [
        as_table(frame, caption=caption, folded=True)
        for frame, caption in (
            (summary.endpoints, "End points with method and note"),
            (summary.patients.reset_index(), "Every patient"),
            (summary.best, "Best overall response by RECIST 1.1"),
            (summary.visits, "Every visit"),
            (summary.contradictions, "Where the clinical table and the visits do not agree"),
            (summary.unmatched, "Identifiers without a partner"),
            (summary.not_evaluable, "Levels that are not evaluable"),
        )
        if len(frame)
    ]
    notes = [f"{note}." for note in summary.notes]
    counted = "Counted as REMARK asks: who was treated, evaluable, biopsied, scored and analysed, and why not."
    found = collect(figures)
    flow = [figure for figure in found if "flow" in figure.path.stem]
    table = as_table(summary.flow, caption="Flow in numbers", folded=bool(flow))
    return [
        Section("Flow of patients", paragraphs=[counted, *notes], tables=[table], figures=flow),
        Section("End points", paragraphs=texts, tables=tables),
        Section("Figures of patients", figures=[figure for figure in found if figure not in flow]),
        Section("Behind these figures", tables=folded),
    ]
