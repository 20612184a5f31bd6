"""What a study's patients look like before any question is asked of their levels: flow, end points, selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from biomarkers import keys
from biomarkers.cohort.endpoints import TTR, end_points, endpoint_arrays, survival_by_response, treated_patients
from biomarkers.cohort.flow import biopsy_selection, patient_flow
from biomarkers.cohort.join import BEST, NOT_EVALUABLE, NOTES, UNMATCHED, VISITS
from biomarkers.cohort.patients import Patients
from biomarkers.cohort.store import flow_of, patients_of
from biomarkers.errors import UsageError
from biomarkers.files import write_csv

if TYPE_CHECKING:
    from anndata import AnnData

_LANDMARKED = ("pfs", "os")


@dataclass(frozen=True)
class StudySummary:
    """The patients of a study in tables.

    Attributes
    ----------
    flow
        The REMARK flow (``flow_of``).
    patients
        One row a patient (index = patient): response, best change, end points, every other clinical column.
    endpoints
        As :func:`biomarkers.end_points` makes it.
    selection
        Response rate of patients with and without a baseline level; empty without levels or responses.
    landmarks
        PFS and OS by response at each landmark; empty when none was asked for.
    visits, best
        Response of every visit and patient by RECIST 1.1; empty without tumor measurements.
    unmatched, not_evaluable
        What found no partner in the join, and levels without a value, with reasons.
    notes
        What a reader must know.
    transform
        Scale of the intervals of medians.
    """

    flow: pd.DataFrame
    patients: pd.DataFrame
    endpoints: pd.DataFrame
    selection: pd.DataFrame
    landmarks: pd.DataFrame
    visits: pd.DataFrame
    best: pd.DataFrame
    unmatched: pd.DataFrame
    not_evaluable: pd.DataFrame
    notes: tuple[str, ...]
    transform: str


def summarise_study(
    study: AnnData | Patients,
    *,
    baseline: str = keys.BASELINE,
    transform: str = "log-log",
    landmarks: Sequence[float] = (),
) -> StudySummary:
    """Summarise the patients of a study.

    Parameters
    ----------
    study
        A cohort (:func:`biomarkers.build_cohort`), or its patients alone where there are no levels.
    baseline
        The time point that counts as having a biopsy.
    transform
        Scale of the Brookmeyer-Crowley intervals of medians: ``log-log``, ``log`` or ``plain``.
    landmarks
        Months at which PFS and OS are compared between who had responded by then and who had not.

    Raises
    ------
    UsageError
        An unknown transform, or landmarks without a time of response.
    DataError
        Nobody is left at a landmark.
    """
    empty = pd.DataFrame()
    if isinstance(study, Patients):
        patients, notes, derived = study.table, study.notes, study.assessment
        flow, selection, unmatched, missing = patient_flow(patients), empty, empty, empty
        visits, best = (empty, empty) if derived is None else (derived.visits, derived.best)
    else:
        patients, notes = patients_of(study), tuple(study.uns.get(NOTES, ()))
        flow = flow_of(study)
        unmatched, missing, visits, best = (
            _plain(study.uns.get(name, empty)) for name in (UNMATCHED, NOT_EVALUABLE, VISITS, BEST)
        )
        selection = biopsy_selection(study, baseline=baseline) if keys.RESPONSE in patients else empty
    return StudySummary(
        flow=flow,
        patients=patients,
        endpoints=end_points(patients, transform=transform),
        selection=selection,
        landmarks=_landmarks(patients, landmarks),
        visits=visits,
        best=best,
        unmatched=unmatched,
        not_evaluable=missing,
        notes=tuple(notes),
        transform=transform,
    )


def write_study(summary: StudySummary, folder: Path) -> list[Path]:
    """Write each table that has rows as CSV, complete or not at all."""
    tables = {
        "patients.csv": summary.patients.reset_index(),
        "endpoints.csv": summary.endpoints,
        "biopsy_selection.csv": summary.selection,
        "landmarks.csv": summary.landmarks,
        "visits.csv": summary.visits,
        "best_responses.csv": summary.best,
        "unmatched.csv": summary.unmatched,
        "not_evaluable.csv": summary.not_evaluable,
    }
    made = []
    for name, table in tables.items():
        if len(table):
            write_csv(table, folder / name)
            made.append(folder / name)
    return made


def times_of(patients: pd.DataFrame) -> list[str]:
    """Names of the end points for which anybody has a time, as they stand in the table."""
    names = [str(name).removesuffix("_months") for name in patients.columns if str(name).endswith("_months")]
    return [name for name in names if f"{name}_event" in patients and len(endpoint_arrays(patients, name)[0])]


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Text as text and rows counted: a cohort from disk holds categories and text indices."""
    words = [name for name in table.columns if isinstance(table[name].dtype, pd.CategoricalDtype)]
    return table.assign(**{name: table[name].astype(object) for name in words}).reset_index(drop=True)


def _landmarks(patients: pd.DataFrame, landmarks: Sequence[float]) -> pd.DataFrame:
    patients = treated_patients(patients)
    if not landmarks:
        return pd.DataFrame()
    names = [name for name in _LANDMARKED if name in times_of(patients)]
    if not names:
        raise UsageError("a landmark needs PFS or OS, and the clinical table has neither", seen=list(landmarks))
    if f"{TTR}_months" not in patients:
        raise UsageError(
            "a landmark needs the month of each response",
            seen=list(landmarks),
            hint="Give --visits or --lesions, or a column ttr_months in the clinical table.",
        )
    rows = [survival_by_response(patients, endpoint=name, at=at) for at in landmarks for name in names]
    return pd.concat(rows, ignore_index=True)
