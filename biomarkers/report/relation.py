"""The report of one relation: the verdicts first, then what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from biomarkers.core.keys import INCONCLUSIVE, RELIABILITY_COLUMNS
from biomarkers.relate.relation import could_have_shown
from biomarkers.report.page import Figure, Page, Section, as_table, write_page
from biomarkers.report.settings import made_by

if TYPE_CHECKING:
    from biomarkers.relate import Relation
    from biomarkers.relate.sensitivity import Sensitivity

_HEADINGS: Final = {
    "auc": "AUC",
    "auc_low95": "95% low",
    "auc_high95": "95% high",
    "p_dependence": "p",
    "p_adjusted": "p adjusted",
    "p_omnibus": "p omnibus",
    "n_responders": "responders or events",
    "concordance": "concordance",
    "concordance_low95": "95% low (concordance)",
    "concordance_high95": "95% high (concordance)",
    "p_missing": "p, level known and response",
    "auc_low_missing": "AUC, worst case",
    "auc_high_missing": "AUC, best case",
    "p_spread": "p spread",
    "auc_spread": "AUC of the distance from the middle",
    "auc_spread_low90": "90% low (distance)",
    "auc_spread_high90": "90% high (distance)",
    "reliability_low": "reliability, 95% low",
    "reliability_high": "reliability, 95% high",
    "reliability_source": "source",
    "auc_true": "AUC in the tumour",
    "auc_true_low90": "90% low (tumour)",
    "auc_true_high90": "90% high (tumour)",
    "smallest_reliability": "least reliability",
}
_FIRST: Final = ("biomarker", "endpoint", "verdict", "n", "n_responders", "auc", "auc_low95", "auc_high95",
                 "concordance", "concordance_low95", "concordance_high95", "p_dependence", "p_adjusted")  # fmt: skip
_PRECISION: Final = ("biomarker", "endpoint", "auc_low90", "auc_high90", "margin", "smallest_margin",
                     "largest_effect_excluded", "min_detectable_auc", "n_needed", "bf01", "bf01_ceiling",
                     "p_omnibus", "p_spread", "auc_spread", "auc_spread_low90", "auc_spread_high90", "p_missing",
                     "auc_low_missing", "auc_high_missing")  # fmt: skip


def write_relation_report(
    relation: Relation,
    path: Path,
    *,
    figures: Path | Sequence[Figure] | None = None,
    title: str | None = None,
    sensitivity: Sensitivity | None = None,
) -> Path:
    """Write a relation as one self-contained HTML file.

    Parameters
    ----------
    relation
        The result.
    path
        The file.
    figures
        A folder of PNG files, or figures with captions.
    title
        Heading of the page.
    sensitivity
        The panel of other choices, for a section of its own.

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
    >>> bm.write_relation_report(relation, Path("report.html")).name
    'report.html'
    """
    page = Page(
        title=title or "Do responses occur independently of the levels?",
        subtitle=f"{relation.heading}: {relation.definition}",
        sections=[
            *relation_sections(relation, figures=figures),
            *([] if sensitivity is None else [_other_choices(sensitivity)]),
            made_by(relation.settings),
        ],
        simulated=relation.simulated,
    )
    return write_page(page, path)


def relation_sections(relation: Relation, *, figures: Path | Sequence[Figure] | None = None) -> list[Section]:
    """Lay out verdicts, figures, precision, patients and every statistic."""
    verdicts, reading = relation.verdicts, str(relation.settings.get("reading", ""))
    first = verdicts[list(_FIRST)].dropna(axis="columns", how="all")
    if verdicts["endpoint"].nunique() == 1:
        first = first.drop(columns="endpoint")
    sentences = [text for text in relation.explain().split("\n\n")[1:-1] if not text.startswith("Note: ")]
    return [
        Section("Verdicts", tables=[as_table(first, names=_HEADINGS)]),
        Section("In words", paragraphs=sentences),
        Section("Figures", figures=found) if (found := collect(figures)) else Section(""),
        _precision(relation),
        _measurement(relation),
        Section(
            "Patients",
            paragraphs=[
                *([reading] if reading else []),
                f"{relation.heading}: {relation.definition}.",
                *(f"{note}." for note in relation.notes),
            ],
            tables=[as_table(relation.flow)],
        ),
        Section("Every statistic", tables=[as_table(relation.table, caption="All estimates and tests", folded=True)]),
    ]


def _other_choices(sensitivity: Sensitivity) -> Section:
    return Section(
        "Under other choices",
        paragraphs=sensitivity.explain().splitlines(),
        tables=[as_table(sensitivity.table.drop(columns="note"), names=_HEADINGS)],
    )


def _precision(relation: Relation) -> Section:
    verdicts = relation.verdicts
    undecided = verdicts[(verdicts["verdict"] == INCONCLUSIVE) & verdicts["margin"].notna()]
    texts = [f"{row['biomarker']} ({row['endpoint']}): {could_have_shown(row)}" for row in undecided.to_dict("records")]
    shown = verdicts[list(_PRECISION)].dropna(axis="columns", how="all")
    return Section(
        "What these data could have shown",
        paragraphs=[
            "Not finding an association is not the same as showing that there is none.",
            "Independence is claimed only when the 90% interval of the AUC lies inside a margin fixed beforehand.",
            *texts,
        ],
        tables=[as_table(shown, names=_HEADINGS)],
    )


def _measurement(relation: Relation) -> Section:
    """Show the level in the tumour: what each verdict needs of the measurement, and the corrected AUC."""
    shown = relation.verdicts[["biomarker", "endpoint", "verdict", *RELIABILITY_COLUMNS]]
    told = shown["reliability_source"]
    shown = shown.assign(reliability_source=told.where(told != "")).dropna(axis="columns", how="all")
    if "smallest_reliability" not in shown:
        return Section("")
    return Section(
        "How well the level was measured",
        paragraphs=[
            (
                "Measurement error that is alike in responders and others pulls an AUC towards one half: it makes "
                "independence easier to claim, and hides associations."
            ),
            (
                "Least reliability: the smallest share of the level's variance that must not be error for the claim "
                "to hold for the level in the tumour (binormal model); 0: the association holds at any; above 1: "
                "the interval leaves the margin even for a measurement without error."
            ),
        ],
        tables=[as_table(shown, names=_HEADINGS)],
    )


def collect(figures: Path | Sequence[Figure] | None) -> list[Figure]:
    """List figures of a folder (captions from their names), or those given."""
    if figures is None:
        return []
    if isinstance(figures, Path):
        return [Figure.named(path) for path in sorted(figures.glob("*.png"))]
    return list(figures)
