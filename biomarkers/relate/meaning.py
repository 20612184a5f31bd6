"""What a call of ``relate`` and its column map say together: the call's own words come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from biomarkers.cohort.source import table_of
from biomarkers.core.errors import UsageError
from biomarkers.io.columns.cells import cell_word
from biomarkers.io.columns.levels import level_names
from biomarkers.io.columns.model import MONTHS_PER, ColumnMap, load_column_map

_ROLES = ("response", "patient", "best_change")
_MANY = ("strata", "covariates", "responders", "non_responders")
_TIME_KINDS = ("pfs", "os", "dor", "ttr")


def with_contract(table: Any, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any], ColumnMap]:
    """Take a table from whatever holds it, and fill in from the map what the call does not name.

    Returns
    -------
    A pandas table or a cohort, the options, and the map as it fits the table.
    """
    given = dict(options)
    contract = load_column_map(given.get("columns"))
    if isinstance(table, str | Path) and Path(table).suffix == ".h5ad":
        from biomarkers.cohort.store import read_cohort

        table = read_cohort(Path(table))
    if hasattr(table, "obs") and hasattr(table, "var_names"):
        given["levels"] = level_names(given["levels"], ColumnMap())
        return table, given, contract
    strata = given["strata"]
    named = [given["patient"], *([strata] if isinstance(strata, str) else strata or ())]
    table, contract, given["where"] = table_of(
        table, columns=contract, where=str(given["where"]), text=[name for name in named if name]
    )
    given["levels"] = level_names(given["levels"], contract)
    for name in _ROLES:
        given[name] = getattr(contract, name) if given[name] is None else given[name]
    for name in _MANY:
        given[name] = (list(getattr(contract, name)) or given[name]) if not given[name] else given[name]
    given["lloq"] = {**contract.lloq, **(given["lloq"] or {})}
    _fill_times(given, contract)
    return table, given, contract


def _fill_times(given: dict[str, Any], contract: ColumnMap) -> None:
    """Name the columns of the end points asked for that the map knows, unless the call names columns."""
    if given["time"] is not None or given["event"] is not None:
        return
    asked = [given["endpoint"]] if isinstance(given["endpoint"], str) else list(given["endpoint"])
    wanted = {*asked, *(["pfs"] if "clinical_benefit" in asked else [])}
    known = {name: end for name, end in contract.endpoints.items() if name in wanted and name in _TIME_KINDS}
    if known:
        given["time"] = {name: end.time for name, end in known.items()}
        given["event"] = {name: end.event for name, end in known.items()}


def stated_events(
    names: Sequence[str], times: Mapping[str, tuple[str, str]], given: Mapping[str, Any], contract: ColumnMap
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Values that mean event and censored, by end point, of those whose polarity is stated.

    Raises
    ------
    UsageError
        A polarity is stated of a column or end point that is not asked for.
    """
    made: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    happened, censored = given.get("event_when"), given.get("censored_when")
    columns = {name: times.get(name, (f"{name}_months", f"{name}_event"))[1] for name in (*names, "pfs", *times)}
    for said, option in ((happened, "event_when"), (censored, "censored_when")):
        _known(said, (*columns, *columns.values()), option)
    for name, column in columns.items():
        own = tuple(_values(_said(said, name, column)) for said in (happened, censored))
        if own[0]:
            made[name] = (own[0], own[1])
            continue
        if own[1]:
            raise UsageError("censored_when says which values are censored, event_when which are events is needed too",
                             seen=", ".join(own[1]), hint="--event-when VALUE (event_when=).")  # fmt: skip
        for end in contract.endpoints.values():
            if end.event == column:
                made[name] = (end.event_when, end.censored_when)
    return made


def stated_units(
    names: Sequence[str], times: Mapping[str, tuple[str, str]], given: Mapping[str, Any], contract: ColumnMap
) -> dict[str, str]:
    """Units of the times, by end point, of those whose unit is stated.

    Raises
    ------
    UsageError
        There is no such unit, or it is stated of a column or end point that is not asked for.
    """
    said = given.get("time_unit")
    columns = {name: times.get(name, (f"{name}_months", f"{name}_event"))[0] for name in (*names, "pfs", *times)}
    _known(said, (*columns, *columns.values()), "time_unit")
    made = {}
    for name, column in columns.items():
        unit = _said(said, name, column)
        if unit is None:
            unit = next((end.unit for end in contract.endpoints.values() if end.time == column), None)
        if unit is None:
            continue
        if unit not in MONTHS_PER:
            raise UsageError("no such unit of time", seen=unit, allowed=tuple(MONTHS_PER))
        made[name] = str(unit)
    return made


def _said(said: Any, name: str, column: str) -> Any:
    if isinstance(said, Mapping):
        return said.get(name, said.get(column))
    return said


def _known(said: Any, allowed: Sequence[str], option: str) -> None:
    if isinstance(said, Mapping):
        for name in said:
            if name not in allowed:
                raise UsageError(f"{option} of a column that is not asked for", seen=name,
                                 allowed=sorted(set(allowed)))  # fmt: skip


def _values(said: Any) -> tuple[str, ...]:
    if said is None:
        return ()
    several = said if isinstance(said, list | tuple | set | frozenset) else [said]
    return tuple(cell_word(value, fold=False) for value in several)
