"""A table with a row a patient and end point (ADTTE) becomes one row a patient with columns of times and events."""

from __future__ import annotations

import pandas as pd

from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.columns.cells import (
    cell_text,
    cell_word,
    choose_rows,
    missing,
    refuse_rows,
    require_columns,
    row_names,
)
from biomarkers.io.columns.events import check_not_negative, read_events
from biomarkers.io.columns.model import MONTHS_PER, ColumnMap, EventColumns


def spread_endpoints(
    table: pd.DataFrame, columns: ColumnMap, *, where: str
) -> tuple[pd.DataFrame, ColumnMap, list[str]]:
    """Give every end point that has ``rows`` its own columns ``<name>_months`` and ``<name>_event``.

    Parameters
    ----------
    table
        One row a patient and end point.
    columns
        Its map; ``patient`` must be named.
    where
        The table's name for messages.

    Returns
    -------
    One row a patient (columns that differ between a patient's rows are left out, and named), the map without those
    end points, and notes; all as they were when no end point chooses rows.

    Raises
    ------
    UsageError
        The patient's column is not named, a unit is not known.
    DataError
        A patient has two rows of one end point, a time is no number or negative.
    """
    chosen = {name: end for name, end in columns.endpoints.items() if end.rows}
    if not chosen:
        return table, columns, []
    if columns.patient is None:
        raise UsageError("rows of end points need the patient's column", where=where, hint="patient = COLUMN")
    require_columns(table, [columns.patient], where=where)
    ids = table[columns.patient]
    if ids.isna().any():
        raise DataError("an identifier is missing", where=f"{where} column {columns.patient!r}", seen="(empty)")
    made, notes = _one_row(table, columns, chosen, notes=[], where=where)
    key = pd.Index([cell_text(name) for name in made[columns.patient]])
    found = 0
    for name, end in chosen.items():
        rows, _ = choose_rows(table, end.rows, where=where, required=not columns.optional)
        if rows.empty:
            continue
        found += 1
        months, event = _one_endpoint(rows, end, columns.patient, name, where)
        at = pd.Index([cell_text(one) for one in rows[columns.patient]])
        twice = at[at.duplicated()]
        if len(twice):
            bad = [i for i, one in enumerate(at) if one == twice[0]]
            raise DataError(
                f"patient {twice[0]!r} has several rows of {name!r}",
                where=f"{where} {row_names(rows, bad)}",
                seen=", ".join(end.rows),
                hint="Choose one with another rule in rows = [...] of the end point.",
            )
        made[f"{name}_months"] = pd.Series(months.to_numpy(), index=at).reindex(key).to_numpy()
        made[f"{name}_event"] = pd.Series(event.to_numpy(), index=at).reindex(key).to_numpy()
        notes.append(f"{where}: {name} from {len(rows)} rows with {' and '.join(end.rows)}")
    if not found:
        wanted = [" and ".join(end.rows) for end in chosen.values()]
        raise UsageError("no row is of any end point", where=where, allowed=wanted,
                         hint="Copy the profile (biomarkers columns TABLE) and change rows = [...].")  # fmt: skip
    rest = {name: end for name, end in columns.endpoints.items() if name not in chosen}
    return made, columns.model_copy(update={"endpoints": rest}), notes


def _one_row(
    table: pd.DataFrame, columns: ColumnMap, chosen: dict[str, EventColumns], *, notes: list[str], where: str
) -> tuple[pd.DataFrame, list[str]]:
    """One row a patient with what all of the patient's rows agree on."""
    patient = str(columns.patient)
    own = {part for end in chosen.values() for part in (end.time, end.event, end.unit_from)}
    own |= {rule.partition("=")[0].strip() for end in chosen.values() for rule in end.rows}
    others = [name for name in table.columns if name != patient and name not in own]
    words = table[others].astype(object).map(lambda cell: None if missing(cell) else cell_word(cell, fold=False))
    counts = words.groupby(table[patient], sort=False).nunique()
    differ = [name for name in others if len(counts) and (counts[name] > 1).any()]
    if differ:
        notes.append(f"{where}: differ between rows of one patient and are left out: {', '.join(map(str, differ))}")
    kept = table[[patient, *(name for name in others if name not in differ)]]
    first = kept.groupby(patient, sort=False).first()
    at = table.index[~table[patient].duplicated().to_numpy()]
    made = first.reset_index()
    made.index = pd.Index(at, name=table.index.name)
    made.attrs = dict(table.attrs)
    return made, notes


def _one_endpoint(
    rows: pd.DataFrame, end: EventColumns, patient: str, name: str, where: str
) -> tuple[pd.Series, pd.Series]:
    wanted = [end.time, end.event, *([end.unit_from] if end.unit_from else [])]
    require_columns(rows, wanted, where=where)
    numbers = pd.to_numeric(rows[end.time], errors="coerce").astype(float)
    wrong = numbers.isna().to_numpy() & rows[end.time].notna().to_numpy()
    refuse_rows(rows[end.time], wrong, f"column {end.time!r} must hold numbers", where=where)
    check_not_negative(numbers, end.time, where=where)
    event = read_events(
        rows[end.event], end.event, where=where, event_when=end.event_when, censored_when=end.censored_when
    )
    return numbers * months_per(rows, end, where), event


def months_per(rows: pd.DataFrame, end: EventColumns, where: str) -> pd.Series | float:
    """Return the months of one unit of an end point's times, of its ``unit`` or of what ``unit_from`` says in each row.

    Raises
    ------
    DataError
        A cell of that column is no unit of time.
    """
    if end.unit is not None:
        return MONTHS_PER[end.unit]
    cells = rows[str(end.unit_from)]
    words = [None if missing(cell) else cell_word(cell).rstrip("s") + "s" for cell in cells]
    known: dict[str, float] = dict(MONTHS_PER)
    wrong = pd.Series([word not in known for word in words]).to_numpy()
    refuse_rows(cells, wrong, f"column {end.unit_from!r} holds no unit of time", where=where, allowed=tuple(known))
    return pd.Series([known[str(word)] for word in words], index=rows.index, dtype=float)
