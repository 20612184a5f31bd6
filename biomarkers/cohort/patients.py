"""The patients of a study: the clinical table, and what was derived from tumor measurements beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from biomarkers.cohort.assess import Assessment, assess, recist_words
from biomarkers.cohort.best_response import Confirmation
from biomarkers.cohort.clinical import BEST_CHANGE, FIRST_DOSE, NEW_THERAPY, read_clinical
from biomarkers.cohort.columns import DAYS_PER_MONTH, ColumnMap, identifier_columns
from biomarkers.cohort.contradictions import contradictions, death_days, told_in_words
from biomarkers.cohort.endpoints import DOR, TREATED, TTR, response_times
from biomarkers.cohort.ids import near_misses
from biomarkers.cohort.progression import NewTherapyRule, progression_free
from biomarkers.cohort.source import table_of
from biomarkers.cohort.tables import table_notes
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError

Source = str | Path | pd.DataFrame
ResponseFrom = Literal["table", "visits"]
RESPONSE_SOURCES: tuple[ResponseFrom, ...] = ("table", "visits")
_SHOWN = 4


@dataclass(frozen=True)
class Patients:
    """Everything known of the patients before any level.

    Attributes
    ----------
    table
        One row a patient (index = patient) as :func:`biomarkers.cohort.clinical.read_clinical` makes it, with
        ``best_change_percent``, ``ttr_months``, ``dor_months`` and ``dor_event`` where visits tell them, and from the
        visits themselves ``response_seen_months`` (first CR or PR, whatever became of it),
        ``response_confirmed_months`` (the visit that confirmed it), ``pfs_visits_months``, ``pfs_visits_event`` and
        ``pfs_visits_reason``.
    samples
        Rows of samples when the clinical table has them, else None.
    assessment
        Responses by visit and patient when tumor measurements were given, else None.
    where
        Name of the clinical table.
    notes
        What was done on the way.
    contradictions
        Where table and visits do not agree (see :func:`biomarkers.cohort.contradictions.contradictions`).
    """

    table: pd.DataFrame
    samples: pd.DataFrame | None
    assessment: Assessment | None
    where: str
    notes: tuple[str, ...]
    contradictions: pd.DataFrame = field(default_factory=pd.DataFrame)


def read_patients(
    clinical: Source,
    *,
    columns: ColumnMap | None = None,
    visits: Source | None = None,
    lesions: Source | None = None,
    rules: Confirmation | None = None,
    immune: bool = False,
    response_from: ResponseFrom | None = None,
    new_therapy_rule: NewTherapyRule = "ignore",
) -> Patients:
    """Read the clinical table, and derive responses from tumor measurements where there are any.

    Parameters
    ----------
    clinical
        The clinical table or its path: one row a patient, or one row a sample.
    columns
        Which column is what.
    visits, lesions, rules, immune
        Tumor measurements (see :func:`biomarkers.assess`).
    response_from
        Whose best overall response counts: the clinical ``table``'s, or the one derived from ``visits``. By default
        the table's where it has one. Patients in whom the two differ are noted.
    new_therapy_rule
        What the start of another treatment (column ``new_therapy``) is to the PFS that is derived from the visits:
        ``ignore``, ``censor`` or ``event`` (see :func:`biomarkers.cohort.progression.progression_free`).

    Raises
    ------
    UsageError
        A file, column or rule is absent or unknown.
    DataError
        A table contradicts itself; the message names rows.

    Examples
    --------
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> len(patients.table), int((patients.table["response"] == "PR").sum())
    (52, 18)
    """
    if response_from is not None and response_from not in RESPONSE_SOURCES:
        raise UsageError("no such source of the response", seen=response_from, allowed=RESPONSE_SOURCES)
    named = ColumnMap() if columns is None else columns
    table, where, named = load_table(clinical, "clinical table", named)
    found = read_clinical(table, columns=named, where=where)
    notes = [*(f"{where}: {note}" for note in table_notes(table)), *found.notes]
    notes += _untreated_notes(found.patients, where)
    if visits is None and lesions is None:
        if response_from == "visits":
            raise UsageError(
                "the response cannot come from visits: none were given", hint="Give --visits or --lesions."
            )
        if keys.RESPONSE not in found.patients:
            notes.append(f"{where}: no column of the best overall response was found; --response COLUMN names it")
        elif found.patients[keys.RESPONSE].isna().all():
            notes.append(f"{where}: the best overall response is empty in every row")
        return Patients(found.patients, found.samples, None, where, tuple(notes))
    new_therapy = new_therapies(found.patients)
    derived = assess(
        visits,
        lesions=lesions,
        columns=named,
        first_dose=first_doses(found.patients),
        rules=rules,
        immune=immune,
        new_therapy=new_therapy,
    )
    notes += derived.notes
    patients = _with_assessment(found.patients, derived, response_from, notes)
    ends = progression_free(
        derived.visits, deaths=death_days(found.patients), new_therapy=new_therapy, rule=new_therapy_rule
    )
    patients = _with_progression(patients, ends, new_therapy, new_therapy_rule, notes)
    patients = _with_times(patients, derived)
    differ = contradictions(found.patients, derived.visits, derived.best, ends)
    notes += told_in_words(differ[differ["what"] != "best overall response"])
    return Patients(patients, found.samples, derived, where, tuple(notes), differ)


def new_therapies(patients: pd.DataFrame) -> dict[str, float]:
    """Day of the start of another treatment, of those who had one."""
    if NEW_THERAPY not in patients:
        return {}
    return {str(name): float(day) for name, day in patients[NEW_THERAPY].items() if not pd.isna(day)}


def _untreated_notes(patients: pd.DataFrame, where: str) -> list[str]:
    """Say who was not treated, since they count in no response rate and no survival curve."""
    if TREATED not in patients or patients[TREATED].all():
        return []
    out = patients[~patients[TREATED]]
    said = (
        "1 patient was not treated and counts" if len(out) == 1 else f"{len(out)} patients were not treated and count"
    )
    note = f"{where}: {said} in no end point"
    if keys.RESPONSE in out and out[keys.RESPONSE].notna().any():
        named = [str(name) for name in out.index[out[keys.RESPONSE].notna()]]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        note += f"; a response is recorded all the same for {', '.join(named[:_SHOWN])}{more}"
    return [note]


def load_table(source: Source, name: str, columns: ColumnMap) -> tuple[pd.DataFrame, str, ColumnMap]:
    """Return a table, its name for messages and the map as it fits it; identifiers are read letter for letter."""
    where = Path(source).name if isinstance(source, str | Path) else name
    table, fitted, _ = table_of(source, columns=columns, where=where, text=identifier_columns(columns))
    return table, where, fitted


def first_doses(patients: pd.DataFrame) -> dict[str, pd.Timestamp]:
    """Date of first dose of each patient; empty when the clinical table has none."""
    if FIRST_DOSE not in patients:
        return {}
    return {str(patient): day for patient, day in patients[FIRST_DOSE].items()}


def _with_assessment(
    patients: pd.DataFrame, derived: Assessment, response_from: ResponseFrom | None, notes: list[str]
) -> pd.DataFrame:
    best = derived.best.set_index(keys.PATIENT)
    _match(patients.index, best.index, notes)
    words = recist_words(derived.best, notes).reindex(patients.index)
    made = patients.copy()
    if keys.RESPONSE not in made or response_from == "visits":
        notes.append("best overall response: derived from the visits by RECIST 1.1")
        made[keys.RESPONSE] = words
    else:
        _compare(made[keys.RESPONSE], words, notes)
    if BEST_CHANGE not in made:
        made[BEST_CHANGE] = best[BEST_CHANGE].reindex(made.index)
    for name, column in (("response_seen_months", "first_seen_day"), ("response_confirmed_months", "confirmed_day")):
        made[name] = best[column].reindex(made.index) / DAYS_PER_MONTH
    return made


def _with_progression(
    patients: pd.DataFrame,
    ends: pd.DataFrame,
    new_therapy: Mapping[str, float],
    rule: NewTherapyRule,
    notes: list[str],
) -> pd.DataFrame:
    """PFS by the visits under names of its own, beside the table's."""
    if new_therapy:
        said = {"ignore": "is not counted", "censor": "censors", "event": "is an event"}[rule]
        notes.append(
            f"{len(new_therapy)} patients started a new therapy: responses after it do not count; in PFS by the visits "
            f"it {said} (--new-therapy-pfs)"
        )
    by_patient = ends.set_index(keys.PATIENT).reindex(patients.index)
    return patients.assign(
        pfs_visits_months=by_patient["day"] / DAYS_PER_MONTH,
        pfs_visits_event=by_patient["event"],
        pfs_visits_reason=by_patient["reason"],
    )


def _match(patients: pd.Index, assessed: pd.Index, notes: list[str]) -> None:
    """List who stands on one side only; nobody in common stops."""
    strangers = [str(name) for name in assessed if name not in patients]
    without = [str(name) for name in patients if name not in assessed]
    near = near_misses(strangers, without)
    if len(strangers) == len(assessed):
        raise DataError(
            "visits and clinical table have no patient in common",
            seen=_listed(strangers),
            allowed=_listed(list(map(str, patients))),
            hint="Spell the identifiers alike." if near else None,
        )
    if strangers:
        notes.append(f"{len(strangers)} patients with visits are not in the clinical table: {_listed(strangers)}")
    if without:
        notes.append(f"{len(without)} patients of the clinical table have no visits: {_listed(without)}")
    if near:
        pairs = [f"{name!r} resembles {other!r}" for name, other in near.items()]
        notes.append(
            f"identifiers that differ only by case, padding or zeros were NOT joined: {'; '.join(pairs[:_SHOWN])}"
        )


def _compare(recorded: pd.Series, words: pd.Series, notes: list[str]) -> None:
    differ = recorded.notna() & words.notna() & (recorded.astype(object) != words.astype(object))
    if not differ.any():
        return
    cases = [f"{name} {recorded[name]}, by the visits {words[name]}" for name in recorded.index[differ]]
    more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
    notes.append(
        f"{len(cases)} patients have another best response in the clinical table than by their visits; the table's "
        f"counts (--response-from visits takes the other): {'; '.join(cases[:_SHOWN])}{more}"
    )


def _with_times(patients: pd.DataFrame, derived: Assessment) -> pd.DataFrame:
    """Time to response and duration of response, of those who count as responders and whose visits show it."""
    if f"{TTR}_months" in patients or f"{DOR}_months" in patients:
        return patients
    responders = patients.index[patients[keys.RESPONSE].isin([keys.CR, keys.PR])]
    best = derived.best.copy()
    best.loc[~best[keys.PATIENT].isin(responders), "first_response_day"] = float("nan")
    if {"pfs_months", "pfs_event"} <= set(patients.columns):
        return response_times(patients, best)
    return response_times(patients, best, end="pfs_visits")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
