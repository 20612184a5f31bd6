"""End points of a single-arm cohort: response rate, time to and duration of response, PFS, OS, follow-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.cohort.columns import DAYS_PER_MONTH
from biomarkers.cohort.response import classify_response
from biomarkers.cohort.tables import require_columns
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats.results import Estimate

ENDPOINT_COLUMNS = ("endpoint", "statistic", "value", "ci_low", "ci_high", "n", "events", "method", "note")
TTR, DOR, TREATED, PFS_VISITS = "ttr", "dor", "treated", "pfs_visits"
SEEN, CONFIRMED = "response_seen_months", "response_confirmed_months"
_FOLLOWED = ("os", "pfs")
_PERMUTATIONS = 9_999
_FROM_THE_TABLE = (
    "; the months of response are the clinical table's: if they are of responses confirmed later, the groups know the "
    "future (--visits tells)"
)


def end_points(
    patients: pd.DataFrame,
    *,
    transform: str = "log-log",
    level: float = 0.95,
    responders: Sequence[str] = (keys.CR, keys.PR),
) -> pd.DataFrame:
    """Summarise every end point a clinical table holds.

    Parameters
    ----------
    patients
        One row a patient: ``response``, and end points as ``<name>_months`` beside ``<name>_event`` (1 happened, 0
        censored), as :func:`biomarkers.cohort.store.patients_of` returns. ``ttr_months`` and ``dor_months`` (see
        :func:`response_times`) count responders only.
    transform
        Scale of the Brookmeyer-Crowley intervals of medians: ``log-log`` (SAS's default), ``log`` (R's) or ``plain``
        (the original).
    level
        Confidence level.
    responders
        Response words that count.

    Returns
    -------
    Rows with ``ENDPOINT_COLUMNS``. Where the table says who was ``treated``, nobody else counts. The objective response
    rate is over all treated patients: NE is no response, nor is a cell left empty (then a second pair of rows leaves
    those out). Follow-up is by reverse Kaplan-Meier on OS, else PFS.

    Raises
    ------
    UsageError
        The transform is unknown.
    DataError
        A response word is unknown, a time is negative.

    References
    ----------
    Clopper 1934; Wilson 1927; Brookmeyer 1982, Biometrics 38:29; Schemper 1996, Control Clin Trials 17:343.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> found = bm.end_points(patients.table)
    >>> found[["endpoint", "n"]].drop_duplicates().head(2).to_numpy().tolist()
    [['objective response rate', 52], ['disease control rate', 52]]
    """
    rows: list[dict[str, Any]] = []
    patients = treated_patients(patients)
    if keys.RESPONSE in patients:
        rows += _response_rates(patients, level=level, responders=responders)
    names = [name for name in _endpoint_names(patients) if name != TTR]
    if f"{TTR}_months" in patients:
        rows.append(_time_to_response(patients))
    for name in names:
        rows += _survival(patients, name, transform=transform, level=level)
    followed = next((name for name in _FOLLOWED if name in names), None)
    if followed is not None:
        from biomarkers.stats.survival import follow_up

        time, event = endpoint_arrays(patients, followed)
        if len(time):
            found = follow_up(time, event, level=level, transform=transform)
            rows.append(
                _row(f"follow-up ({followed.upper()})", "median, months", found, events=int((event == 0).sum()))
            )
    return pd.DataFrame(rows, columns=list(ENDPOINT_COLUMNS))


def treated_patients(patients: pd.DataFrame) -> pd.DataFrame:
    """Patients who were treated; all of them where the table does not say (column ``treated``)."""
    return patients if TREATED not in patients else patients[patients[TREATED].astype(bool)]


def endpoint_words(row: Mapping[Any, Any]) -> str:
    """Say one row of :func:`end_points` in words.

    Examples
    --------
    >>> endpoint_words({"statistic": "rate", "events": 19, "n": 52, "value": 0.365, "ci_low": 0.236, "ci_high": 0.51})
    '19 of 52, 36.5% (95% CI 23.6% to 51.0%)'
    """
    value, low, high = (row[name] for name in ("value", "ci_low", "ci_high"))
    if row["statistic"] == "rate":
        return f"{row['events']} of {row['n']}, {value:.1%} (95% CI {low:.1%} to {high:.1%})"
    if np.isnan(value) and not row["n"]:
        return str(row["note"])
    if "range" in row["statistic"]:
        return f"median {value:.1f} months (range {low:.1f} to {high:.1f}), n = {row['n']}"
    middle = f"{value:.1f} months" if np.isfinite(value) else "not reached"
    edges = [f"{number:.1f}" if np.isfinite(number) else "not reached" for number in (low, high)]
    counted = "still followed" if str(row["endpoint"]).startswith("follow-up") else "events"
    return f"median {middle} (95% CI {edges[0]} to {edges[1]}), n = {row['n']}, {row['events']} {counted}"


def endpoint_arrays(patients: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return times (months) and events (1 or 0) of one end point, patients without either left out.

    Raises
    ------
    UsageError
        The table has no such end point.
    """
    require_columns(patients, [f"{name}_months", f"{name}_event"], where="clinical table")
    time = patients[f"{name}_months"].to_numpy(dtype=float)
    event = event_numbers(patients[f"{name}_event"])
    known = ~np.isnan(time) & ~np.isnan(event)
    return time[known], event[known].astype(int)


def event_numbers(values: pd.Series) -> np.ndarray:
    """Return an event column as floats: 1 it happened, 0 censored, NaN where missing in any of pandas' ways."""
    return np.array([np.nan if pd.isna(value) else float(value) for value in values], dtype=float)


def response_times(patients: pd.DataFrame, best: pd.DataFrame, *, end: str | None = "pfs") -> pd.DataFrame:
    """Add time to response and duration of response, in responders only.

    Parameters
    ----------
    patients
        One row a patient (index = patient) with ``<end>_months`` and ``<end>_event``.
    best
        As :func:`biomarkers.cohort.best_response.best_responses` makes it, days since the start of treatment.
    end
        The end point that ends a response: progression or death. None: there is none, and no duration is given.

    Returns
    -------
    The patients with ``ttr_months`` and, where a response has an end, ``dor_months`` and ``dor_event``; missing for
    everybody who did not respond.

    Raises
    ------
    DataError
        A responder's end comes before the response.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> best = pd.DataFrame({"patient": ["P1"], "first_response_day": [61.0]})
    >>> patients = pd.DataFrame({"pfs_months": [8.0], "pfs_event": [1]}, index=["P1"])
    >>> bm.response_times(patients, best)[["ttr_months", "dor_months"]].round(1).to_numpy().tolist()
    [[2.0, 6.0]]
    """
    first = best.set_index(keys.PATIENT)["first_response_day"].reindex(patients.index) / DAYS_PER_MONTH
    if end is None:
        return patients.assign(ttr_months=first)
    require_columns(patients, [f"{end}_months", f"{end}_event"], where="clinical table")
    duration = patients[f"{end}_months"].astype(float) - first
    wrong = [str(name) for name in patients.index[(duration < -0.5).to_numpy()]]
    if wrong:
        raise DataError(
            f"{end.upper()} ends before the response",
            where=f"patient {', '.join(wrong[:5])}",
            seen=f"{float(duration.loc[wrong[0]]):.1f} months",
            hint="Do both count from the start of treatment, and in the same unit?",
        )
    event = pd.Series(event_numbers(patients[f"{end}_event"]), index=patients.index)
    # a visit and an end point rounded to tenths of a month may cross by less than a visit window
    return patients.assign(ttr_months=first, dor_months=duration.clip(lower=0), dor_event=event.where(first.notna()))


def survival_by_response(
    patients: pd.DataFrame, *, endpoint: str, response_months: str | None = None, at: float
) -> pd.DataFrame:
    """Compare times after a landmark between patients who had responded by then and those who had not.

    Without a landmark the comparison is biased: a responder must stay event-free to respond, so the time until the
    response is counted for responders although no event could have made them non-responders (immortal time). For the
    same reason the groups may use nothing that is known only later, as whether a response was confirmed.

    Parameters
    ----------
    patients
        One row a patient.
    endpoint
        Name of the end point, e.g. ``pfs``.
    response_months
        Column of the month from which a patient counts as having responded, missing for others. By default the first
        response seen in the visits, confirmed later or not (``response_seen_months``), else ``ttr_months``;
        ``response_confirmed_months`` counts a response from the visit that confirmed it.
    at
        The landmark in months.

    Returns
    -------
    One row: groups at the landmark, their numbers and events after it, log-rank chi-square, the p of the permuted
    log-rank statistic, who was lost, what the groups are by, and the asymptotic p, which rejects too often where one
    group is small (.06 to .07 instead of .05 among 52 patients).

    Raises
    ------
    UsageError
        The landmark is negative.
    DataError
        Nobody is left at the landmark.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> found = bm.survival_by_response(
    ...     patients.table.assign(response_months=2.0), endpoint="os", response_months="response_months", at=6.0
    ... )
    >>> len(found)
    1
    """
    from biomarkers.stats.permutation import linear_permutation
    from biomarkers.stats.survival import log_rank, log_rank_scores

    response_months = response_months or response_column(patients)
    left = landmark_groups(patients, endpoint=endpoint, response_months=response_months, at=at)
    lost = len(endpoint_arrays(patients, endpoint)[0]) - len(left)
    responded, event = left["responded"].to_numpy(dtype=bool), left[f"{endpoint}_event"].to_numpy(dtype=int)
    time = left[f"{endpoint}_months"].to_numpy(dtype=float)
    test = log_rank(time, event, responded.astype(int))
    permuted = float("nan")
    if responded.any() and not responded.all() and event.any():
        permuted = linear_permutation(log_rank_scores(time, event), responded, n_permutations=_PERMUTATIONS).p
    return pd.DataFrame(
        [
            {
                "endpoint": endpoint,
                "landmark_months": at,
                "n_responded": int(responded.sum()),
                "n_not": int((~responded).sum()),
                "events_responded": int(event[responded].sum()),
                "events_not": int(event[~responded].sum()),
                "chi2": test.statistic,
                "p": permuted,
                "note": f"{lost} patients with an event or censored before month {at:g} are left out"
                + (f"; {test.note}" if test.note else "")
                + (_FROM_THE_TABLE if response_months == f"{TTR}_months" else ""),
                "grouped_by": response_months,
                "p_asymptotic": test.p,
            }
        ]
    )


def response_column(patients: pd.DataFrame, *, confirmed: bool = False) -> str:
    """Column from which a landmark tells who had responded: of the visits where there are any, else of the table."""
    if confirmed:
        return CONFIRMED
    return SEEN if SEEN in patients else f"{TTR}_months"


def landmark_groups(
    patients: pd.DataFrame, *, endpoint: str, response_months: str | None = None, at: float
) -> pd.DataFrame:
    """Patients still event-free and followed at a landmark, by whether they had responded by then.

    Parameters
    ----------
    patients, endpoint, response_months, at
        As for :func:`survival_by_response`.

    Returns
    -------
    Index = patient: ``<endpoint>_months`` since the landmark, ``<endpoint>_event``, ``responded`` (bool) and ``group``
    in words.

    Raises
    ------
    UsageError
        The landmark is negative, or a column is absent.
    DataError
        Nobody is left at the landmark.
    """
    from biomarkers.stats.survival import landmark

    if at < 0:
        raise UsageError("the landmark is negative", seen=at)
    response_months = response_months or response_column(patients)
    require_columns(patients, [response_months], where="clinical table")
    known = patients[patients[f"{endpoint}_months"].notna() & patients[f"{endpoint}_event"].notna()]
    time, event = endpoint_arrays(known, endpoint)
    keep, after, seen = landmark(time, event, at=at)
    responded = (known[response_months].astype(float) <= at).to_numpy()[keep]
    words = np.where(responded, f"responded by month {at:g}", f"not by month {at:g}")
    return pd.DataFrame(
        {f"{endpoint}_months": after, f"{endpoint}_event": seen.astype(int), "responded": responded, "group": words},
        index=known.index[keep],
    )


def _endpoint_names(patients: pd.DataFrame) -> list[str]:
    names = [str(name).removesuffix("_months") for name in patients.columns if str(name).endswith("_months")]
    return [name for name in names if name == TTR or f"{name}_event" in patients.columns]


def _response_rates(patients: pd.DataFrame, *, level: float, responders: Sequence[str]) -> list[dict[str, Any]]:
    from biomarkers.stats.proportions import clopper_pearson, wilson

    named = (("objective response rate", responders), ("disease control rate", (keys.CR, keys.PR, keys.SD)))
    words = patients[keys.RESPONSE].astype(object)
    missing = int(words.isna().sum())
    if missing == len(words):
        return []
    # every treated patient counts: without a recorded response there was none that anybody saw
    told = f"; NE holds {missing} patients without a recorded response" if missing else ""
    groups = [("", words.where(words.notna(), keys.NE), told)]
    if missing:
        groups.append((", recorded responses only", words, ""))
    rows = []
    for suffix, values, more in groups:
        for title, yes in named:
            found = classify_response(values, responders=yes, not_evaluable="nonresponder")
            for method in (clopper_pearson, wilson):
                estimate = method(found.n_responders, found.n, level=level)
                row = _row(title + suffix, "rate", estimate, events=found.n_responders)
                rows.append({**row, "note": found.definition + more})
    return rows


def _time_to_response(patients: pd.DataFrame) -> dict[str, Any]:
    times = patients[f"{TTR}_months"].dropna().to_numpy(dtype=float)
    row: dict[str, Any] = dict.fromkeys(ENDPOINT_COLUMNS, np.nan)
    row |= {
        "endpoint": "time to response",
        "statistic": "median (range), months",
        "n": len(times),
        "events": len(times),
        "method": "median and range, responders only",
        "note": "" if len(times) else "no responder",
    }
    if len(times):
        row |= {"value": float(np.median(times)), "ci_low": float(times.min()), "ci_high": float(times.max())}
        row["note"] = "the limits are the range, no interval"
    return row


def _survival(patients: pd.DataFrame, name: str, *, transform: str, level: float) -> list[dict[str, Any]]:
    from biomarkers.stats.survival import median_survival

    time, event = endpoint_arrays(patients, name)
    title = {DOR: "duration of response", PFS_VISITS: "PFS by the visits"}.get(name, name.upper())
    if not len(time):
        row: dict[str, Any] = dict.fromkeys(ENDPOINT_COLUMNS, np.nan)
        return [
            row | {"endpoint": title, "statistic": "median, months", "n": 0, "events": 0, "note": "nobody has a time"}
        ]
    found = median_survival(time, event, level=level, transform=transform)
    return [_row(title, "median, months", found, events=int(event.sum()))]


def _row(title: str, statistic: str, estimate: Estimate, *, events: int) -> dict[str, Any]:
    return {
        "endpoint": title,
        "statistic": statistic,
        "value": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "n": estimate.n,
        "events": events,
        "method": estimate.method,
        "note": estimate.note,
    }
