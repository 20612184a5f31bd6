"""The flow of patients (REMARK): how many were left at each step, by response, and why the others were not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from biomarkers.cohort.measurements import BIOMARKER
from biomarkers.cohort.slots import FLOW_COLUMNS, MISSING
from biomarkers.core import keys

if TYPE_CHECKING:
    from anndata import AnnData

_EVALUABLE = (keys.CR, keys.PR, keys.SD, keys.PD)


@dataclass(frozen=True)
class Step:
    """One step: the patients still there, the step they come from, and why others left."""

    name: str
    patients: Set[str]
    of: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""


def flow_table(responses: pd.Series, steps: Sequence[Step]) -> pd.DataFrame:
    """Count patients by response at every step.

    Parameters
    ----------
    responses
        Response word of every patient (index = patient), missing where none was recorded.
    steps
        In order; each names the step it is part of.

    Returns
    -------
    One row a step with ``step, of, n, CR, PR, SD, PD, NE, missing, left_out, reason``.
    """
    words = responses.astype(object).where(responses.notna(), MISSING)
    standing: dict[str, Set[str]] = {}
    rows = []
    for step in steps:
        standing[step.name] = step.patients
        inside = words[words.index.isin(list(step.patients))]
        gone = sorted(standing[step.of] - step.patients) if step.of else []
        why = pd.Series([_alike(step.reasons.get(name) or step.otherwise) for name in gone], dtype=object)
        reasons = ", ".join(f"{count} {reason}" for reason, count in why[why != ""].value_counts().items())
        counts = {word: int((inside == word).sum()) for word in (*keys.RESPONSES, MISSING)}
        rows.append([step.name, step.of, len(inside), *counts.values(), len(gone), reasons])
    return pd.DataFrame(rows, columns=list(FLOW_COLUMNS))


def build_flow(
    patients: pd.DataFrame, rows: pd.DataFrame, values: pd.DataFrame, *, baseline: str, biomarkers: Sequence[str]
) -> pd.DataFrame:
    """Make the flow of a cohort: enrolled -> treated -> evaluable -> biopsied -> adequate -> scored -> analysed.

    Parameters
    ----------
    patients
        The clinical table, index = patient.
    rows
        Every measurement with its patient and time point, evaluable or not.
    values
        The measurements that have a value.
    baseline
        The time point the flow is about; further time points follow as pairs.
    biomarkers
        Columns of the cohort.
    """
    responses, first = _first_steps(patients)
    evaluable = first[-1].patients
    at_baseline = rows[rows[keys.TIMEPOINT] == baseline]
    biopsied = evaluable & set(at_baseline[keys.PATIENT])
    bad = at_baseline["marker"].isna()
    adequate = biopsied & set(at_baseline.loc[~bad, keys.PATIENT])
    valued = values[values[keys.TIMEPOINT] == baseline]
    scored = adequate & set(valued[keys.PATIENT])
    steps = [
        *first,
        Step("biopsied", biopsied, "response evaluable", otherwise=f"no {baseline} sample"),
        Step("adequate", adequate, "biopsied", _reasons(at_baseline[bad]), "no usable sample"),
        Step("scored", scored, "adequate", _reasons(at_baseline), "no evaluable level"),
    ]
    for name in biomarkers:
        mine = at_baseline[at_baseline[BIOMARKER] == name]
        have = scored & set(valued.loc[valued[BIOMARKER] == name, keys.PATIENT])
        steps.append(Step(f"analysed: {name}", have, "scored", _reasons(mine), "not measured"))
    for timepoint in [point for point in dict.fromkeys(values[keys.TIMEPOINT]) if point != baseline]:
        later = values[values[keys.TIMEPOINT] == timepoint]
        paired = scored & _paired(valued, later)
        reasons = _reasons(rows[rows[keys.TIMEPOINT] == timepoint])
        steps.append(Step(f"paired with {timepoint}", paired, "scored", reasons, f"no {timepoint} level"))
    return flow_table(responses, steps)


def patient_flow(patients: pd.DataFrame) -> pd.DataFrame:
    """Make the flow of patients without any level: enrolled -> treated -> evaluable."""
    responses, steps = _first_steps(patients)
    return flow_table(responses, steps)


def biopsy_selection(cohort: AnnData, *, baseline: str = keys.BASELINE) -> pd.DataFrame:
    """Compare the response rate of patients with and without a level at baseline: is the biopsied group special?

    Parameters
    ----------
    cohort
        As :func:`biomarkers.cohort.join.build_cohort` makes it.
    baseline
        The time point that counts as having a biopsy.

    Returns
    -------
    Two rows (``with level``, ``without level``): n, responders, rate, Clopper-Pearson 95% interval, Fisher p (the same
    in both), and the definition of response.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> clinical = pd.DataFrame({"patient": ["P1", "P2", "P3"], "response": ["PR", "SD", "PD"]})
    >>> levels = pd.DataFrame(
    ...     {
    ...         "patient": ["P1", "P2"],
    ...         "timepoint": "baseline",
    ...         "sample": ["a", "b"],
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [5.0, 3.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> cohort = bm.build_cohort(levels=[levels], clinical=clinical)
    >>> bm.biopsy_selection(cohort)["n"].tolist()
    [2, 1]
    """
    from biomarkers.cohort.endpoints import treated_patients
    from biomarkers.cohort.response import classify_response
    from biomarkers.cohort.store import patients_of
    from biomarkers.stats.proportions import clopper_pearson
    from biomarkers.stats.tables import fisher

    found = classify_response(treated_patients(patients_of(cohort))[keys.RESPONSE])
    have = set(cohort.obs.loc[cohort.obs[keys.TIMEPOINT] == baseline, keys.PATIENT])
    inside = found.responder.index.isin(list(have))
    groups = {"with level": found.responder[inside], "without level": found.responder[~inside]}
    counts = [[int(group.sum()), int((~group).sum())] for group in groups.values()]
    p = fisher(counts).p if all(sum(row) for row in counts) else float("nan")
    rows = []
    for name, group in groups.items():
        rate = clopper_pearson(int(group.sum()), len(group)) if len(group) else None
        edges = [float("nan")] * 3 if rate is None else [rate.value, rate.low, rate.high]
        rows.append([name, len(group), int(group.sum()), *edges, p, found.definition])
    columns = ["group", "n", "responders", "rate", "ci_low", "ci_high", "p_fisher", "definition"]
    return pd.DataFrame(rows, columns=columns)


def _first_steps(patients: pd.DataFrame) -> tuple[pd.Series, list[Step]]:
    responses = patients[keys.RESPONSE] if keys.RESPONSE in patients else pd.Series(pd.NA, index=patients.index)
    everybody = set(map(str, patients.index))
    treated = set(patients.index[patients["treated"]]) if "treated" in patients else everybody
    evaluable = treated & set(responses.index[responses.isin(_EVALUABLE)])
    return responses, [
        Step("enrolled", everybody),
        Step("treated", treated, "enrolled", otherwise="not treated"),
        Step("response evaluable", evaluable, "treated", _response_reasons(responses)),
    ]


def _paired(first: pd.DataFrame, later: pd.DataFrame) -> set[str]:
    """Patients with the same biomarker at both time points."""
    both = first[[keys.PATIENT, BIOMARKER]].merge(later[[keys.PATIENT, BIOMARKER]])
    return set(both[keys.PATIENT])


def _response_reasons(responses: pd.Series) -> dict[str, str]:
    words = responses.astype(object).where(responses.notna(), MISSING)
    text = {keys.NE: "not evaluable (NE)", MISSING: "no response recorded"}
    return {str(patient): text.get(str(word), "") for patient, word in words.items()}


def _alike(reason: str) -> str:
    """Make one reason of those that differ in a count only, so that patients add up: 36 cells, 38 cells, ..."""
    return re.sub(r"^\d+ (.*?)s?, at least (\d+) needed$", r"with fewer than \2 \1s", reason)


def _reasons(rows: pd.DataFrame) -> dict[str, str]:
    """Why each patient has no value here: the reason of the first measurement that gives one."""
    told = rows[rows["value"].isna()]
    found: dict[str, str] = {}
    for patient, status, reason in zip(told[keys.PATIENT], told["status"], told["reason"], strict=True):
        text = str(reason) if isinstance(reason, str) and reason else str(status)
        found.setdefault(str(patient), text.split(" (")[0])
    return found
