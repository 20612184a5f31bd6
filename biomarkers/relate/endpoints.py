"""End points: which patients count, and what is compared with the level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from biomarkers.cohort.columns import MONTHS_PER
from biomarkers.cohort.tables import numeric_column, require_columns
from biomarkers.core import keys
from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.relate.inputs import AnalysedPatients
from biomarkers.relate.times import events, times
from biomarkers.stats._checks import without_noise

Kind = Literal["binary", "ordered", "continuous", "time"]
KINDS: Final[Mapping[str, Kind]] = {
    "orr": "binary",
    "dcr": "binary",
    "clinical_benefit": "binary",
    "recist": "ordered",
    "best_change": "continuous",
    "pfs": "time",
    "os": "time",
    "dor": "time",
    "ttr": "time",
}
TITLES: Final[Mapping[str, str]] = {
    "orr": "objective response",
    "dcr": "disease control",
    "clinical_benefit": "clinical benefit",
    "recist": "best response, ordered PD < SD < PR < CR",
    "best_change": "best change of the tumor sum",
    "pfs": "progression-free survival",
    "os": "overall survival",
    "dor": "duration of response (responders only)",
    "ttr": "time to response (responders only)",
}
_ORDER: Final = {keys.PD: 0, keys.SD: 1, keys.PR: 2, keys.CR: 3}
_RESPONDERS_ONLY = ("dor", "ttr")


@dataclass(frozen=True, eq=False)
class EndPoint:
    """One end point of the patients that count for it.

    Attributes
    ----------
    name, kind
        As in ``KINDS``.
    rows
        Positions of the patients that count, (n,).
    value
        What is compared, (n,), larger is better: 1 or 0; 0-3; minus the change in percent; NaN for times.
    time, event
        Months (or the table's unit) and 1/0; NaN unless ``kind`` is ``time``.
    definition
        One line to print with every result.
    left_out
        Reason -> number of patients.
    """

    name: str
    kind: Kind
    rows: np.ndarray
    value: np.ndarray
    time: np.ndarray
    event: np.ndarray
    definition: str
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The end point in words."""
        return TITLES.get(self.name, self.name)


def kind_of(name: str) -> Kind:
    """Return the kind of an end point; a name that is none of ``KINDS`` is a numeric column."""
    return KINDS.get(name, "continuous")


def check_names(endpoint: str | Sequence[str], *, columns: Sequence[str]) -> tuple[str, ...]:
    """Return end points as a tuple of known names, or of numeric columns.

    Raises
    ------
    UsageError
        One is unknown, or none is given.
    """
    names = (endpoint,) if isinstance(endpoint, str) else tuple(dict.fromkeys(endpoint))
    if not names:
        raise UsageError("no end point", allowed=KINDS)
    for name in names:
        if name not in KINDS and name not in columns:
            raise UsageError("unknown end point", seen=name, allowed=KINDS, hint=did_you_mean(str(name), KINDS))
    return names


def time_columns(
    names: Sequence[str],
    time: str | Mapping[str, str] | None,
    event: str | Mapping[str, str] | None,
    *,
    present: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, tuple[str, str]]]:
    """Say which columns each time end point is made of.

    Parameters
    ----------
    names
        End points asked for. ``clinical_benefit`` needs the times of ``pfs``.
    time, event
        Columns of one end point, or end point -> column, or None.
    present
        Columns of the table.

    Returns
    -------
    The end points, with one more, named as the column, when columns were given and no end point is a time; and
    end point -> (time, event) of those that do not have the package's own columns ``<name>_months``, ``<name>_event``.

    Raises
    ------
    UsageError
        Only one of the two is given, or it is not clear whose columns they are.
    """
    if (time is None) != (event is None):
        raise UsageError("a time to an event needs both columns, time and event", seen=f"time={time}, event={event}")
    if time is None or event is None:
        return tuple(names), {}
    wanted = [name for name in names if kind_of(name) == "time"]
    if "clinical_benefit" in names and "pfs" not in wanted:
        wanted.append("pfs")
    if not isinstance(time, str) or not isinstance(event, str):
        return tuple(names), _by_endpoint(time, event, wanted)
    if not wanted:
        return (*names, time), {time: (time, event)}
    bare = [name for name in wanted if f"{name}_months" not in present] if len(wanted) > 1 else wanted
    if len(bare) == 1:
        return tuple(names), {bare[0]: (time, event)}
    one = wanted[0]
    raise UsageError(
        "one pair of columns was named for several end points" if bare else "it is not clear whose columns these are",
        seen=f"time={time}, event={event} for {', '.join(bare or wanted)}",
        hint=f"Say whose they are, --time {one}={time} --event {one}={event} (time={{'{one}': '{time}'}}), for each; "
        "an end point with columns <name>_months and <name>_event needs none.",
    )


def _by_endpoint(time: Any, event: Any, wanted: Sequence[str]) -> dict[str, tuple[str, str]]:
    if isinstance(time, str) or isinstance(event, str) or set(time) != set(event):
        raise UsageError("time and event do not name the same end points", seen=f"time={time}, event={event}")
    unknown = [name for name in time if name not in wanted]
    if unknown:
        raise UsageError("columns for an end point that is not asked for", seen=unknown[0], allowed=list(wanted))
    return {name: (time[name], event[name]) for name in time}


def make_endpoint(name: str, patients: AnalysedPatients, *, options: Mapping[str, Any]) -> EndPoint:
    """Make an end point from the patients' columns.

    Parameters
    ----------
    name
        One of ``KINDS``, or a numeric column (larger is better).
    patients
        See :class:`biomarkers.relate.inputs.AnalysedPatients`.
    options
        ``responders``, ``non_responders``, ``not_evaluable``, ``benefit_months``; ``times``, end point -> columns of
        time and event, else ``<name>_months`` and ``<name>_event`` (see :func:`time_columns`); ``units``, end point ->
        unit of the time where it is stated; ``polarity``, end point -> values that mean event and censored.

    Raises
    ------
    UsageError
        A column that the end point needs is not named.
    DataError
        A response word is unknown, a time is not above 0, an event is neither 1 nor 0, a number is text.
    """
    if name in KINDS and KINDS[name] == "time":
        return _time(name, patients, options)
    if name in options["times"]:
        return _time(name, patients, options)
    if name == "best_change":
        return _change(patients)
    if name not in KINDS:
        value = numeric_column(patients.table, name, where=patients.where).to_numpy()
        return _continuous(name, value, f"{name}, larger counts up", "no value")
    _need(patients, "response", name)
    return _ordered(patients) if name == "recist" else _binary(name, patients, options)


def _binary(name: str, patients: AnalysedPatients, options: Mapping[str, Any]) -> EndPoint:
    from biomarkers.cohort.response import classify_response

    words = (keys.CR, keys.PR, keys.SD) if name != "orr" else tuple(options["responders"])
    if name != "orr" and options["non_responders"] is not None:
        raise UsageError(f"the end point {name!r} needs CR, PR, SD and PD", seen="a column that is already yes/no")
    found = classify_response(
        patients.frame["response"],
        responders=words,
        not_evaluable=options["not_evaluable"],
        non_responders=options["non_responders"],
        where=f"{patients.where} column {patients.response!r}",
    )
    responder, gone = found.responder.copy(), found.left_out.value_counts().to_dict()
    definition = found.definition
    if name == "clinical_benefit":
        responder, short, early = _durable(responder, patients, options)
        definition = (
            f"benefit = CR, PR, or SD for at least {options['benefit_months']:g} months "
            f"({int(responder.sum())} of {len(responder)}); {short} with shorter SD count as no benefit"
        )
        if early:
            gone["SD, censored early"] = early
            definition += f"; {early} with SD censored before that are left out"
    rows = patients.frame.index.get_indexer(responder.index)
    value = responder.to_numpy(dtype=float)
    none = np.full(len(rows), np.nan)
    left = {f"response {word}": int(count) for word, count in gone.items()}
    return EndPoint(name, "binary", rows, value, none, none, definition, left)


def _durable(
    responder: pd.Series, patients: AnalysedPatients, options: Mapping[str, Any]
) -> tuple[pd.Series, int, int]:
    """Stable disease is a benefit only when it lasted; unknown when censored before."""
    from biomarkers.cohort.response import normalise_responses

    months = float(options["benefit_months"])
    all_times, all_events, unit = _columns("pfs", patients, options, wanted_by="clinical_benefit")
    all_times = _in_months(all_times, unit, patients, options)
    word = normalise_responses(patients.frame["response"]).reindex(responder.index)
    time, event = all_times.reindex(responder.index), all_events.reindex(responder.index)
    stable = word == keys.SD
    short = stable & (time < months) & (event == 1)
    unknown = stable & (((time < months) & (event != 1)) | time.isna())
    return (responder & ~short)[~unknown], int(short.sum()), int(unknown.sum())


def _in_months(time: pd.Series, unit: str, patients: AnalysedPatients, options: Mapping[str, Any]) -> pd.Series:
    """Months of a time whose unit decides who had benefit: it has to be known."""
    column = options["times"].get("pfs", ("pfs_months", ""))[0]
    if unit in MONTHS_PER:
        return time * MONTHS_PER[unit]
    raise UsageError(
        f"the unit of {column!r} is not stated, and clinical benefit counts in months",
        where=f"{patients.where} column {column!r}",
        seen=f"median {time.median():g}",
        allowed=tuple(MONTHS_PER),
        hint="State it: --time-unit days (time_unit=), or unit = ... of the end point in the file of --columns.",
    )


def _ordered(patients: AnalysedPatients) -> EndPoint:
    from biomarkers.cohort.response import normalise_responses

    words = normalise_responses(patients.frame["response"], where=f"{patients.where} column {patients.response!r}")
    value = np.array([_ORDER.get(word, np.nan) for word in words], dtype=float)
    rows = np.flatnonzero(~np.isnan(value))
    counts = [f"{word} {int((words == word).sum())}" for word in (keys.PD, keys.SD, keys.PR, keys.CR)]
    left = {"response NE": int((words == keys.NE).sum()), "response missing": int(words.isna().sum())}
    left = {reason: count for reason, count in left.items() if count}
    none = np.full(len(rows), np.nan)
    definition = f"ordered {' < '.join(counts)}" + "".join(f"; {r}: {c} left out" for r, c in left.items())
    return EndPoint("recist", "ordered", rows, value[rows], none, none, definition, left)


def _change(patients: AnalysedPatients) -> EndPoint:
    _need(patients, "change", "best_change")
    value = -patients.frame["change"].to_numpy(dtype=float)
    words = "best change from baseline in percent, turned so that shrinkage counts up"
    return _continuous("best_change", value, words, "no tumor measurement")


def _continuous(name: str, value: np.ndarray, definition: str, absent: str) -> EndPoint:
    rows = np.flatnonzero(~np.isnan(value))
    value = without_noise(np.nan_to_num(value))
    left = {absent: len(value) - len(rows)} if len(rows) < len(value) else {}
    none = np.full(len(rows), np.nan)
    return EndPoint(name, "continuous", rows, value[rows], none, none, definition, left)


def _time(name: str, patients: AnalysedPatients, options: Mapping[str, Any]) -> EndPoint:
    times, events, _ = _columns(name, patients, options, wanted_by=name)
    time, event = times.to_numpy(dtype=float), events.to_numpy(dtype=float)
    unknown = np.isnan(time) | np.isnan(event)
    keep, left = ~unknown, {}
    definition = "1 = the event was seen, 0 = censored"
    if name in _RESPONDERS_ONLY:
        _need(patients, "response", name)
        responders = _binary("orr", patients, options)
        yes = np.zeros(len(time), dtype=bool)
        yes[responders.rows[responders.value == 1]] = True
        left["no responder"] = int((~yes).sum())
        keep &= yes
        unknown &= yes
        definition = f"responders only ({responders.definition}); {definition}"
    if unknown.any():
        left["no time or event"] = int(unknown.sum())
    rows = np.flatnonzero(keep)
    seen = int(event[rows].sum())
    definition = f"{seen} {'event' if seen == 1 else 'events'} in {len(rows)} patients; {definition}"
    return EndPoint(name, "time", rows, np.full(len(rows), np.nan), time[rows], event[rows], definition, left)


def _columns(
    name: str, patients: AnalysedPatients, options: Mapping[str, Any], *, wanted_by: str
) -> tuple[pd.Series, pd.Series, str]:
    """Return times, events and the unit of an end point: the columns named, else the package's own names for them."""
    time, event = options["times"].get(name, (f"{name}_months", f"{name}_event"))
    if time not in patients.table:
        raise UsageError(
            f"the end point {wanted_by!r} needs times",
            where=patients.where,
            allowed=f"a column {name}_months, or one named with time= (--time)",
        )
    if event not in patients.table:
        if name != "ttr":
            raise UsageError(
                f"the end point {wanted_by!r} needs events",
                where=patients.where,
                allowed=f"a column {name}_event, or one named with event= (--event)",
            )
        found, unit = times(patients, time, unit=options.get("units", {}).get(name), endpoint=name)
        return found, pd.Series(1.0, index=patients.table.index), unit
    require_columns(patients.table, [time, event], where=patients.where)
    found, unit = times(patients, time, unit=options.get("units", {}).get(name), endpoint=name)
    polarity = options.get("polarity", {}).get(name, ((), ()))
    return found, events(patients, event, polarity=polarity, endpoint=name), unit


def _need(patients: AnalysedPatients, column: str, endpoint: str) -> None:
    if column not in patients.frame:
        option = {"response": "response", "change": "best_change"}[column]
        raise UsageError(
            f"the end point {endpoint!r} needs the column of the {column}",
            where=patients.where,
            hint=f"Name it with {option}= (--{option.replace('_', '-')}).",
        )
