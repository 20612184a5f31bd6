"""The report of a whole study: slides and matrices, patients, verdicts, change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biomarkers.report.change import change_sections
from biomarkers.report.cohort import cohort_sections
from biomarkers.report.page import Figure, Page, Section, as_table, write_page
from biomarkers.report.relation import relation_sections
from biomarkers.report.settings import made_by

if TYPE_CHECKING:
    import pandas as pd

    from biomarkers.change.result import Change
    from biomarkers.cohort.summary import StudySummary
    from biomarkers.relate import Relation

_SLIDE_COLUMNS = (
    "slide",
    "status",
    "mpp",
    "tissue_mm2",
    "n_cells",
    "positive_fraction",
    "cut_od",
    "sensitivity_score",
    "sensitivity_low",
    "sensitivity_high",
    "reason",
)


def write_study_report(
    path: Path,
    *,
    relation: Relation,
    change: Change | None = None,
    flow: pd.DataFrame | None = None,
    patients: StudySummary | None = None,
    slides: pd.DataFrame | None = None,
    relation_figures: Path | Sequence[Figure] | None = None,
    change_figures: Path | Sequence[Figure] | None = None,
    flow_figures: Sequence[Figure] = (),
    slide_figures: Sequence[Figure] = (),
    settings: Mapping[str, Any] | None = None,
    title: str = "Did patients respond independently of PD-1 and PD-L1?",
    simulated: bool = False,
) -> Path:
    """Write a study as one self-contained HTML file: verdicts first, then what they rest on.

    Parameters
    ----------
    path
        The file.
    relation, change
        The results.
    flow
        The flow of patients (:func:`biomarkers.build_cohort` keeps it).
    patients
        Flow, end points and tumor responses (:func:`biomarkers.cohort.summary.summarise_study`), in place of ``flow``.
    slides
        ``slides.csv`` of the scored slides.
    relation_figures, change_figures, flow_figures, slide_figures
        Figures of each part: a folder of PNG files, or figures with captions.
    settings
        What made it, beside the settings of the results.
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
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> from pathlib import Path
    >>> bm.write_study_report(Path("report.html"), relation=relation).name
    'report.html'
    """
    sections = relation_sections(relation, figures=relation_figures)
    if change is not None:
        sections += change_sections(change, figures=change_figures)
    if patients is not None:
        sections += cohort_sections(patients, figures=flow_figures)
    elif flow is not None:
        sections.append(
            Section(
                "Flow of patients",
                paragraphs=["Counted as REMARK asks: who was biopsied, scored and analysed, and why not."],
                tables=[as_table(flow)],
                figures=flow_figures,
            )
        )
    if slides is not None:
        sections.append(_slides(slides, slide_figures))
    sections.append(made_by({"relation": relation.settings, **(settings or {})}))
    page = Page(title, f"Responders: {relation.definition}", sections, simulated or relation.simulated)
    return write_page(page, path)


def _slides(slides: pd.DataFrame, figures: Sequence[Figure]) -> Section:
    counts = slides["status"].value_counts()
    text = f"{len(slides)} slides: {', '.join(f'{n} {status}' for status, n in counts.items())}."
    shown = slides[[column for column in _SLIDE_COLUMNS if column in slides]]
    return Section(
        "Slides", paragraphs=[text], figures=figures, tables=[as_table(shown, caption="Every slide", folded=True)]
    )
