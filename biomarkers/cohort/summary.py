"""What a study's patients look like before any question is asked of their levels: flow, end points, selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from biomarkers.cohort.columns import DAYS_PER_MONTH
from biomarkers.cohort.endpoints import (
    PFS_VISITS,
    end_points,
    endpoint_arrays,
    response_column,
    survival_by_response,
    treated_patients,
)
from biomarkers.cohort.flow import biopsy_selection, patient_flow
from biomarkers.cohort.patients import Patients
from biomarkers.cohort.slots import BEST, CONFIRM_DAYS, CONTRADICTIONS, NOT_EVALUABLE, NOTES, UNMATCHED, VISITS
from biomarkers.cohort.store import flow_of, patients_of
from biomarkers.core import keys
from biomarkers.core.errors import UsageError
from biomarkers.core.files import write_csv
from biomarkers.core.result import Overview, Result

if TYPE_CHECKING:
    from anndata import AnnData

LandmarkResponse = Literal["seen", "confirmed"]
LANDMARK_RESPONSES: tuple[LandmarkResponse, ...] = ("seen", "confirmed")
_LANDMARKED = ("pfs", "os")


@dataclass(frozen=True, repr=False)
class StudySummary(Result):
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
    contradictions
        Where the clinical table and the visits do not agree.
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
    contradictions: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def table(self) -> pd.DataFrame:
        """The same as ``endpoints``."""
        return self.endpoints

    def _overview(self) -> Overview:
        return Overview(f"{len(self.patients)} patients", self.endpoints, self.notes)


def summarise_study(
    study: AnnData | Patients,
    *,
    baseline: str = keys.BASELINE,
    transform: str = "log-log",
    landmarks: Sequence[float] = (),
    landmark_response: LandmarkResponse = "seen",
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
    landmark_response
        ``seen``: a response counts from the visit at which it was seen, confirmed later or not; ``confirmed``: from the
        visit that confirmed it. What is known only after a landmark never groups patients at it.

    Raises
    ------
    UsageError
        An unknown transform, landmarks without a time of response, or confirmed responses at a landmark by which none
        could have been confirmed.
    DataError
        Nobody is left at a landmark.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> summary = bm.summarise_study(patients)
    >>> len(summary.patients)
    52
    """
    empty = pd.DataFrame()
    if isinstance(study, Patients):
        patients, notes, derived = study.table, study.notes, study.assessment
        differ = study.contradictions
        confirm_days = None if derived is None else derived.rules.confirm_days
        flow, selection, unmatched, missing = patient_flow(patients), empty, empty, empty
        visits, best = (empty, empty) if derived is None else (derived.visits, derived.best)
    else:
        patients, notes = patients_of(study), tuple(study.uns.get(NOTES, ()))
        flow = flow_of(study)
        unmatched, missing, visits, best, differ = (
            _plain(study.uns.get(name, empty)) for name in (UNMATCHED, NOT_EVALUABLE, VISITS, BEST, CONTRADICTIONS)
        )
        confirm_days = study.uns.get(CONFIRM_DAYS)
        selection = biopsy_selection(study, baseline=baseline) if keys.RESPONSE in patients else empty
    return StudySummary(
        flow=flow,
        patients=patients,
        endpoints=end_points(patients, transform=transform),
        selection=selection,
        landmarks=_landmarks(
            patients, landmarks, confirmed_from=_confirmed_from(visits, landmark_response, confirm_days)
        ),
        visits=visits,
        best=best,
        unmatched=unmatched,
        not_evaluable=missing,
        notes=tuple(notes),
        transform=transform,
        contradictions=differ,
    )


def _confirmed_from(visits: pd.DataFrame, response: str, confirm_days: float | None) -> float | None:
    """First month by which a response could have been confirmed; None where responses count as they are seen."""
    if response not in LANDMARK_RESPONSES:
        raise UsageError("no such response at a landmark", seen=response, allowed=LANDMARK_RESPONSES)
    if response == "seen":
        return None
    after = visits[visits["response"] != ""] if len(visits) else visits
    if confirm_days is None or not len(after):
        raise UsageError(
            "confirmed responses at a landmark need the visits", hint="Give --visits or --lesions, or take 'seen'."
        )
    return float((after["day"].min() + confirm_days) / DAYS_PER_MONTH)


def write_study(summary: StudySummary, folder: Path) -> list[Path]:
    """Write each table that has rows as CSV, complete or not at all."""
    tables = {
        "patients.csv": summary.patients.reset_index(),
        "endpoints.csv": summary.endpoints,
        "biopsy_selection.csv": summary.selection,
        "landmarks.csv": summary.landmarks,
        "visits.csv": summary.visits,
        "best_responses.csv": summary.best,
        "contradictions.csv": summary.contradictions,
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


def _landmarks(patients: pd.DataFrame, landmarks: Sequence[float], *, confirmed_from: float | None) -> pd.DataFrame:
    patients = treated_patients(patients)
    if not landmarks:
        return pd.DataFrame()
    known = times_of(patients)
    names = [name for name in _LANDMARKED if name in known] or [name for name in (PFS_VISITS,) if name in known]
    if not names:
        raise UsageError("a landmark needs PFS or OS, and the clinical table has neither", seen=list(landmarks))
    column = response_column(patients, confirmed=confirmed_from is not None)
    if column not in patients:
        raise UsageError(
            "a landmark needs the month of each response",
            seen=list(landmarks),
            hint="Give --visits or --lesions, or a column ttr_months in the clinical table.",
        )
    for at in landmarks:
        if confirmed_from is not None and at < confirmed_from:
            raise UsageError(
                "no response could have been confirmed by the landmark",
                seen=f"month {at:g}",
                allowed=f"month {confirmed_from:.2f} or later: the first visit, and the days to confirmation",
                hint="Take a later landmark, or group by responses as they are seen (--landmark-response seen).",
            )
    rows = [
        survival_by_response(patients, endpoint=name, response_months=column, at=at)
        for at in landmarks
        for name in names
    ]
    return pd.concat(rows, ignore_index=True)
