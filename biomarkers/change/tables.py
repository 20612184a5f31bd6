"""Any table with a row a sample -> levels by sample: limits written into cells, counts behind a share, pooling."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from biomarkers.change.pairs import BIOMARKER, Samples, refuse_unknown
from biomarkers.change.told import told_kind
from biomarkers.cohort.ids import identifiers, refuse_look_alikes
from biomarkers.cohort.recist import yes_no
from biomarkers.cohort.response import normalise_responses
from biomarkers.cohort.tables import numeric_column, require_columns, row_name, row_names
from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.columns.levels import Reading, describe_level, own_words, read_words
from biomarkers.io.columns.model import ColumnMap

_BELOW = re.compile(r"\s*(?:<|<=|≤)\s*(?P<limit>[\d.,]+|lloq|loq|lod)\s*|\s*(?:blq|bloq|bql|lloq)\s*", re.IGNORECASE)
_COUNTED = {"percent": 100.0, "fraction": 1.0}
_AGREES = 0.01  # of the whole scale: a share that was rounded to its last printed digit


def samples_of_table(
    table: pd.DataFrame,
    *,
    levels: Sequence[str],
    patient: str,
    timepoint: str,
    response: str | None,
    scale: str | Mapping[str, str] | None,
    lloq: Mapping[str, float],
    censored: Mapping[str, str] | None = None,
    counts: Mapping[str, tuple[str, str]] | None = None,
    offset: float | Mapping[str, float] | None = None,
    columns: ColumnMap | None = None,
    where: str,
) -> Samples:
    """Take levels from any table with a row a sample.

    A cell such as ``<1`` or ``<LOD`` is below the limit that ``lloq`` gives for its column, and censored; without
    that limit it is text among numbers.

    Parameters
    ----------
    table
        The table.
    levels
        Its level columns.
    patient, timepoint, response
        Columns of the patient, the time point and the best overall response.
    scale
        What the levels are, for all or by name; what is not said is told from the values
        (:func:`biomarkers.change.told.told_kind`) and stands in ``told``.
    lloq
        Lower limits, by name.
    censored
        Columns that say yes where a level stands at its lower limit, by name of the level.
    counts
        Columns of the counts behind a level, by name: (positive, all), or (positive, area) for a density.
    offset
        Offsets by name or for all: an offset above 0 is for levels that are no logarithms.
    columns
        What the columns mean (units, words, cells that mean "no value").
    where
        Name of the table for messages.

    Raises
    ------
    UsageError
        A column is absent.
    DataError
        Text among numbers, a value outside its unit, a patient under two spellings, a count that
        contradicts its share, an unknown response word, a patient with two responses.
    """
    counts, censored = counts or {}, censored or {}
    contract, reading = columns or ColumnMap(), Reading()
    if not levels:
        raise UsageError("no level column was named", where=where, hint="Name at least one with levels / --level.")
    require_columns(table, [patient, timepoint, *levels], where=where)
    refuse_unknown(lloq, levels, "a lower limit")
    refuse_unknown(censored, levels, "a mark of the lower limit")
    refuse_unknown(counts, levels, "counts")
    refuse_unknown(scale if isinstance(scale, Mapping) else {}, levels, "a scale")
    frame = pd.DataFrame(
        {
            keys.PATIENT: identifiers(table[patient], where=f"{where} column {patient!r}"),
            keys.TIMEPOINT: table[timepoint].map(lambda word: str(word).strip(), na_action="ignore"),
        }
    )
    if contract.look_alikes == "refuse":
        refuse_look_alikes(frame[keys.PATIENT], where=f"{where} column {patient!r}")
    reading.say("patient", f"{patient}, time point = {timepoint}, one row a sample")
    frame[keys.RESPONSE] = np.nan
    if response is not None:
        require_columns(table, [response], where=where)
        words = own_words(table[response], contract.words)
        frame[keys.RESPONSE] = normalise_responses(words, where=f"{where} column {response!r}")
        reading.say("response", response)
    _refuse_two_responses(frame, table, where)
    stated = {name: scale.get(name) if isinstance(scale, Mapping) else scale for name in levels}
    kinds: dict[str, str] = {}
    told: dict[str, str] = {}
    parts = []
    for name in levels:
        part = frame.copy()
        part[BIOMARKER] = name
        said = contract.level(name)
        if stated[name]:  # its scale is stated, and holds it to its range
            said = said.model_copy(update={"unit": "linear"})
        cells, order = read_words(table[name], name, said, where=where)
        if order is not None:
            raise UsageError(
                f"column {name!r} holds ordered words, and a change needs numbers",
                where=where,
                seen=str(order),
                hint="'biomarkers relate' and 'concordance' take ordered levels; for a change give the level itself.",
            )
        part["level"], part["censored"] = _limited(table.assign(**{name: cells}), name, lloq.get(name), where)
        raw = pd.to_numeric(cells, errors="coerce").astype(float)  # before levels are raised to their limit
        describe_level(raw, name, said, None, where=where, reading=reading, cut=name in lloq)
        if stated[name]:
            reading.say(f"level {name}", f"{stated[name]} as stated")
        kinds[name] = stated[name] or _told(part["level"], name, counts=counts, offset=offset, told=told)
        if name in censored:
            part["censored"] |= yes_no(table, censored[name], default=False, where=where)
        part["numerator"], part["denominator"] = _counts(table, name, counts.get(name), kinds[name], where)
        parts.append(part[part["level"].notna()])
    rows = pd.concat(parts, ignore_index=True)
    points = tuple(str(point) for point in dict.fromkeys(frame[keys.TIMEPOINT].dropna()))
    names = {name: name for name in levels}
    return Samples(rows, kinds, names, dict.fromkeys(levels, ""), told=told, points=points, reading=reading.paragraph())


def _told(
    level: pd.Series,
    name: str,
    *,
    counts: Mapping[str, tuple[str, str]],
    offset: float | Mapping[str, float] | None,
    told: dict[str, str],
) -> str:
    """Tell the kind of a level that nobody stated, and keep why."""
    added = offset.get(name) if isinstance(offset, Mapping) else offset
    if name in counts:
        kind, told[name] = "linear", "it has counts behind it"
    elif added is not None:
        kind, told[name] = "linear", "an offset is named for it"
    else:
        kind, told[name] = told_kind(level.to_numpy(dtype=float))
    return kind


def pooled(samples: Samples) -> Samples:
    """Pool the samples of a patient at a time point: sums of counts and areas.

    A biomarker without counts keeps its samples, whose mean is taken on the scale of change: see :func:`unpooled`.
    """
    key = [keys.PATIENT, keys.TIMEPOINT, BIOMARKER]
    rows = samples.rows
    left = rows[rows[BIOMARKER].isin(unpooled(samples))]
    rows = rows[~rows[BIOMARKER].isin(unpooled(samples))]
    if rows.empty:
        return samples
    several = rows.groupby(key, sort=False)["level"].transform("size") > 1
    # a level is a constant times numerator / denominator, so its pooled value weighs levels by their denominators
    weighed = rows.assign(level=(rows["level"] * rows["denominator"]).where(several, rows["level"]))
    sums = {name: (name, lambda column: column.sum(min_count=1)) for name in ("level", "numerator", "denominator")}
    made = weighed.groupby(key, sort=False, as_index=False, dropna=False).agg(
        **sums,
        censored=("censored", "any"),
        whole=("censored", "all"),
        response=(keys.RESPONSE, "first"),
        n_samples=(BIOMARKER, "size"),
    )
    made["partly_censored"] = made["censored"] & ~made.pop("whole")
    many = made.pop("n_samples") > 1
    made["level"] = (made["level"] / made["denominator"]).where(many, made["level"])
    if len(left):
        made = pd.concat([made, left.assign(partly_censored=False)], ignore_index=True)
    return replace(samples, rows=made)


def unpooled(samples: Samples) -> list[str]:
    """Biomarkers with several samples of a patient at a time point and no counts to pool."""
    rows = samples.rows
    several = rows.groupby([keys.PATIENT, keys.TIMEPOINT, BIOMARKER], sort=False)["level"].transform("size") > 1
    lone = several & (rows["numerator"].isna() | rows["denominator"].isna())
    return [str(name) for name in dict.fromkeys(rows.loc[lone, BIOMARKER])]


def _limited(table: pd.DataFrame, name: str, limit: float | None, where: str) -> tuple[pd.Series, pd.Series]:
    """Read the levels of one column, those below the limit raised to it, and which they are."""
    if limit is None:
        level = numeric_column(table, name, where=where)
        return level, pd.Series(data=False, index=table.index)
    found = table[name].map(lambda cell: _BELOW.fullmatch(cell) if isinstance(cell, str) else None, na_action="ignore")
    below = found.notna().to_numpy()
    for i in np.flatnonzero(below):
        said = found.iloc[i]["limit"]
        if said is not None and said[0].isdigit() and float(said.replace(",", ".")) != limit:
            raise DataError(
                f"column {name!r} is below another limit than its lower limit of quantification",
                where=f"{where} {row_name(table, int(i))}",
                seen=str(table[name].iloc[i]),
                allowed=f"<{limit:g}",
            )
    plain = table.assign(**{name: table[name].astype(object).mask(below, limit)}) if below.any() else table
    level = numeric_column(plain, name, where=where)
    censored = (level < limit) | below
    return level.clip(lower=limit), censored


def _counts(
    table: pd.DataFrame, name: str, columns: tuple[str, str] | None, kind: str, where: str
) -> tuple[pd.Series, pd.Series]:
    """Read the counts behind one level, and hold them to it where the level is a share."""
    if columns is None:
        nothing = pd.Series(np.nan, index=table.index)
        return nothing, nothing
    yes, every = (numeric_column(table, column, where=where) for column in columns)
    wrong = (yes < 0) | (every <= 0)
    whole = _COUNTED.get(kind)
    if whole is not None:
        level = pd.to_numeric(table[name], errors="coerce")
        wrong |= (level / whole - yes / every).abs() > _AGREES
    if wrong.any():
        bad = [int(i) for i in np.flatnonzero(wrong.to_numpy())]
        raise DataError(
            f"counts {columns[0]!r} and {columns[1]!r} do not give column {name!r}",
            where=f"{where} {row_names(table, bad)}",
            seen=f"{yes.iloc[bad[0]]:g} of {every.iloc[bad[0]]:g}, level {table[name].iloc[bad[0]]}",
            hint="Is the level a percentage or a fraction (--scale)? Are the counts of the same cells?",
        )
    return yes, every


def _refuse_two_responses(frame: pd.DataFrame, table: pd.DataFrame, where: str) -> None:
    known = frame[frame[keys.RESPONSE].notna()]
    several = known.groupby(keys.PATIENT)[keys.RESPONSE].nunique()
    if (several > 1).any():
        patient = str(several.index[several.to_numpy() > 1][0])
        mine = [int(i) for i in np.flatnonzero((frame[keys.PATIENT] == patient).to_numpy())]
        raise DataError(
            f"patient {patient!r} has two responses",
            where=f"{where} {row_names(table, mine)}",
            seen=" and ".join(dict.fromkeys(known.loc[known[keys.PATIENT] == patient, keys.RESPONSE])),
            hint="A patient has one best overall response.",
        )
