"""All figures of a study's patients as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from biomarkers.cohort.clinical import BEST_CHANGE
from biomarkers.cohort.endpoints import PFS_VISITS, treated_patients
from biomarkers.cohort.summary import StudySummary, times_of
from biomarkers.core import keys
from biomarkers.plot.cohort_flow import plot_flow
from biomarkers.plot.cohort_levels import plot_visits
from biomarkers.plot.cohort_response import plot_spider, plot_swimmer, plot_waterfall
from biomarkers.plot.cohort_survival import plot_landmark, plot_survival
from biomarkers.plot.style import file_stem, mark_simulated, save

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes


_MOST = 12  # biomarkers that get a figure of their own
_SEVERAL = 3  # time points; two are pairs, which 'biomarkers change' draws


def save_level_figures(cohort: AnnData, folder: Path, *, simulated: bool = False) -> list[Path]:
    """Write the levels by visit of the first twelve biomarkers, where there are three time points or more.

    Parameters
    ----------
    cohort
        As :func:`biomarkers.build_cohort` makes it.
    folder
        Where the PNG files go.
    simulated
        Write SIMULATED across each.

    Returns
    -------
    The files.
    """
    if cohort.obs[keys.TIMEPOINT].nunique() < _SEVERAL:
        return []
    made = []
    for at, name in enumerate(map(str, cohort.var_names[:_MOST])):
        ax = plot_visits(cohort, biomarker=name)
        path = folder / f"{70 + at}_{file_stem(name)}_by_visit.png"
        made.append(save(mark_simulated(ax) if simulated else ax, path))
    return made


def save_study_figures(summary: StudySummary, folder: Path, *, simulated: bool = False) -> list[Path]:
    """Write the flow, and what the data allow of waterfall, spider, swimmer, Kaplan-Meier and landmark curves.

    Parameters
    ----------
    summary
        The result of :func:`biomarkers.cohort.summary.summarise_study`.
    folder
        Where the PNG files go; names begin with a number, so that they sort as they should be read.
    simulated
        Write SIMULATED across each.

    Returns
    -------
    The files.
    """
    patients, made = treated_patients(summary.patients), []

    def keep(ax: Axes, name: str) -> None:
        made.append(save(mark_simulated(ax) if simulated else ax, folder / f"{name}.png"))

    keep(plot_flow(summary.flow), "00_flow_of_patients")
    responses = keys.RESPONSE in patients
    changes = patients.get(BEST_CHANGE)
    if responses and changes is not None and changes.dtype.kind in "if" and changes.notna().any():
        keep(plot_waterfall(patients), "01_waterfall")
    if len(summary.visits):
        known = patients[keys.RESPONSE].dropna() if responses else None
        words = None if known is None else {str(name): str(word) for name, word in known.items()}
        keep(plot_spider(summary.visits, responses=words), "02_spider")
    times = times_of(patients)
    end = next((name for name in ("pfs", "os", *times) if name in times and name != "dor"), None)
    if end is not None:
        keep(plot_swimmer(patients, months=f"{end}_months", event=f"{end}_event"), f"03_swimmer_{file_stem(end)}")
    # by the visits it is the same curve but for a few patients: endpoints.csv has both
    drawn = [name for name in times if name != PFS_VISITS or "pfs" not in times]
    for at, name in enumerate(drawn):
        ax = plot_survival(patients, endpoint=name, transform=summary.transform)
        keep(ax, f"{10 + at}_Kaplan-Meier_{file_stem(name)}")
    for at, row in enumerate(summary.landmarks.to_dict("records")):
        name, month = str(row["endpoint"]), float(row["landmark_months"])
        by = str(row["grouped_by"])
        ax = plot_landmark(patients, endpoint=name, at=month, response_months=by, transform=summary.transform)
        keep(ax, f"{50 + at}_{file_stem(name)}_from_month_{month:g}_by_response")
    return made
