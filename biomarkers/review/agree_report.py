"""An agreement as files: the table, the figures a paper prints, and one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from biomarkers.core.files import write_csv
from biomarkers.plot.agreement import plot_bland_altman, plot_readings
from biomarkers.plot.style import file_stem, save
from biomarkers.report.page import Figure, Page, Section, as_table, write_page
from biomarkers.report.settings import made_by
from biomarkers.review.agree import Agreement, compared

_MOST_PAIRS: Final = 15  # that get figures of their own
_LEAST: Final = 3  # slides that limits of agreement need
_HEADINGS: Final = {
    "icc": "ICC (95% CI)",
    "ccc": "CCC (95% CI)",
    "bias": "mean difference (95% CI)",
    "loa_low": "lower limit (95% CI)",
    "loa_high": "upper limit (95% CI)",
    "kappa_quadratic": "weighted kappa (95% CI)",
    "reader_1": "reader 1",
    "reader_2": "reader 2",
    "ci_low": "95% low",
    "ci_high": "95% high",
}
_AT_CUTS: Final = ("kappa", "agreement_percent", "positive_agreement_percent", "negative_agreement_percent")


def write_agreement(found: Agreement, out: Path) -> Path:
    """Write ``agreement.csv``, ``readings.csv``, ``figures/`` and ``report.html`` into a folder.

    Returns
    -------
    The page.
    """
    write_csv(found.table, out / "agreement.csv")
    write_csv(found.readings, out / "readings.csv")
    return write_page(_page(found, _figures(found, out / "figures")), out / "report.html")


def _figures(found: Agreement, folder: Path) -> list[Figure]:
    made = []
    cutoffs = found.settings["cutoffs"]
    for number, (marker, score, one, two, values) in enumerate(compared(found)):
        if number == _MOST_PAIRS:
            break
        if len(values) < _LEAST:
            continue
        stem = f"{number:02d}_{file_stem(f'{marker} {score} {one} {two}')}"
        said = f"{marker} {score}: {one} and {two}, {len(values)} slides".strip()
        names, x, y = (one, two), values[:, 0], values[:, 1]
        path = save(plot_readings(x, y, names=names, cutoffs=cutoffs.get(score, ())), folder / f"{stem}_readings.png")
        made.append(Figure(path, f"{said}; line of identity, dotted cut-offs"))
        path = save(plot_bland_altman(x, y, names=names), folder / f"{stem}_differences.png")
        made.append(Figure(path, f"{said}; mean difference and 95% limits of agreement, each with its 95% interval"))
    return made


def _page(found: Agreement, figures: list[Figure]) -> Page:
    summary, table = found.summary(), found.table
    at_cuts = table[table["statistic"].isin(_AT_CUTS)]
    columns = ["marker", "score", "reader_1", "reader_2", "cutoff", "statistic", "value", "ci_low", "ci_high", "n"]
    said = [f"{note}." for note in found.notes] or ["Every reading was compared."]
    how = (
        "Of each reader the first blinded reading of a slide counts. ICC(2,1): two-way random, absolute agreement, "
        "single readings. Differences are the first reader's value minus the second's. Intervals are of slides: "
        "several slides of one patient are not told apart."
    )
    return Page(
        title="Agreement of readers and software",
        subtitle="Readings of the same slides, compared two by two",
        sections=[
            Section("Agreement", paragraphs=[how], tables=[as_table(summary, names=_HEADINGS)], fitted=True),
            Section("Figures", figures=figures, fitted=True) if figures else Section(""),
            Section("At the cut-offs", tables=[as_table(at_cuts[columns], names=_HEADINGS)]) if len(at_cuts)
            else Section("At the cut-offs", paragraphs=["No cut-off is known for these scores: give --cutoff."]),
            Section("What was left out", paragraphs=said),
            Section("Every statistic", tables=[as_table(table, caption="All rows of agreement.csv", folded=True)]),
            made_by(found.settings),
        ],
    )  # fmt: skip
