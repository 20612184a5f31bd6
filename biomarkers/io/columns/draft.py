"""A first column map for a table: what its names and cells say, the rest left to be filled in."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from biomarkers.core.keys import PATIENT_NAMES, RESPONSES
from biomarkers.io.columns.cells import cell_word, cell_words, missing
from biomarkers.io.columns.events import says_opposite
from biomarkers.io.columns.levels import level_names
from biomarkers.io.columns.model import ColumnMap, LevelColumn, load_column_map, profile_names
from biomarkers.io.columns.order import read_order
from biomarkers.io.columns.units import unit_of_level, unit_of_time

_RESPONSE_NAMES = ("bor", "best_overall_response", "best_response", "response", "recist", "rec")
_SHOWN = 8
_FEW_VALUES = 6  # an event column has few values


def profile_of(columns: Sequence[str]) -> str | None:
    """Name the shipped profile whose marks are all among a table's columns; the one with most marks of several.

    Examples
    --------
    >>> profile_of(["PATIENT_ID", "OS_STATUS", "OS_MONTHS", "SEX"])
    'cbioportal'
    """
    have = set(columns)
    fitting = [(len(load_column_map(name).recognised_by), name) for name in profile_names()
               if load_column_map(name).recognised_by and set(load_column_map(name).recognised_by) <= have]  # fmt: skip
    return max(fitting)[1] if fitting else None


def draft(table: pd.DataFrame, *, levels: Sequence[str] | None = None) -> str:
    """Draft a column map as TOML.

    Lines that a name or the cells say are written; lines that only the reader of the table can know begin with ``#``
    and say what was seen.

    Parameters
    ----------
    table
        The table.
    levels
        Its level columns, where they are known already.

    Examples
    --------
    >>> print(draft(pd.DataFrame({"ID": ["a"], "TPS": [50], "BOR": ["PR"]})).splitlines()[1])
    patient = "ID"
    """
    names = [str(name) for name in table.columns]
    profile = profile_of(names)
    lines = ["# What the columns mean. Lines that begin with # are not read: fill them in where they matter."]
    if profile is not None:
        lines.append(f"# The columns are those of the profile {profile}: --columns {profile} reads them as they are.")
    patient = _first(names, PATIENT_NAMES)
    response = _first(names, _RESPONSE_NAMES)
    lines.append(f'patient = "{patient}"' if patient else '# patient = "COLUMN"')
    lines.append(f'response = "{response}"' if response else '# response = "COLUMN"')
    tables: list[str] = []
    if response is not None and (two := _two_words(table[response])):
        shown = " or ".join(f'"{word}"' for word in two)
        lines += [f"# responders = [...]  # which means response, {shown}?", "# non_responders = [...]"]
    elif response is not None:
        tables += _words(table[response], response)
    tables += _endpoints(table, names)
    chosen = level_names(levels, ColumnMap()) or [name for name in names if _is_level(table, name, patient, response)]
    for name in chosen:
        tables += _level(table, name)
    return "\n".join([*lines, *tables]) + "\n"


def _first(names: Sequence[str], usual: Sequence[str]) -> str | None:
    plain = {name.strip().casefold().replace(" ", "_").replace(".", "_").replace("-", "_"): name for name in names}
    return next((plain[word] for word in usual if word in plain), None)


def _two_words(values: pd.Series) -> list[str]:
    """Words of a column that is already yes or no (1/0, R/NR, yes/no), NE aside; empty for one of response words."""
    words = sorted(set(cell_words(values).dropna()) - {"ne"})
    return words if 1 <= len(words) <= 2 and not set(words) & {word.casefold() for word in RESPONSES} else []


def _words(values: pd.Series, name: str) -> list[str]:
    known = {word.casefold() for word in RESPONSES}
    strange = [word for word in dict.fromkeys(cell_words(values).dropna()) if word not in known]
    if not strange:
        return []
    shown = [f'# "{word}" = ""' for word in strange[:_SHOWN]]
    return ["", "[words]", f"# of {name}: CR, PR, SD, PD, NE, or an empty text where nothing was recorded", *shown]


def _endpoints(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for name in names:
        kind = next((kind for kind in ("pfs", "os", "dor", "ttr") if _says(name, kind)), None)
        if kind is None or table[name].dtype.kind not in "iuf" or set(cell_words(table[name]).dropna()) <= {"0", "1"}:
            continue
        unit = unit_of_time(name)
        few = [other for other in names if other != name and 1 <= cell_words(table[other]).nunique() <= _FEW_VALUES]
        events = [other for other in few if _says(other, kind)] + [other for other in few if says_opposite(other)]
        lines += ["", f"[endpoints.{kind}]", f'time = "{name}"']
        lines.append(f'unit = "{unit}"' if unit else '# unit = "days"  # days, weeks, months or years?')
        for other in events[:1]:
            seen = ", ".join(sorted(cell_words(table[other]).dropna().unique())[:_SHOWN])
            plain = seen in ("0, 1", "1") and not says_opposite(other)
            when = 'event_when = ["1"]' if plain else f"event_when = []  # which of {seen} means that it happened?"
            lines += [f'event = "{other}"', when]
        if not events:
            lines.append('# event = "COLUMN"')
    return lines


def _says(name: str, kind: str) -> bool:
    return kind in name.casefold().replace("_", " ").replace(".", " ").split() or name.casefold().startswith(kind)


def _is_level(table: pd.DataFrame, name: str, patient: str | None, response: str | None) -> bool:
    if name in (patient, response) or unit_of_time(name) or says_opposite(name):
        return False
    if unit_of_level(name) is not None:
        return True
    return read_order(table[name], name, LevelColumn(), where="table") is not None


def _level(table: pd.DataFrame, name: str) -> list[str]:
    lines = ["", f'[levels."{name}"]']
    found = read_order(table[name], name, LevelColumn(), where="table")
    unit = unit_of_level(name)
    if found is not None:
        lines.append("order = [" + ", ".join(f'"{word}"' for word in found[1].words) + "]")
    elif unit is not None:
        lines.append(f'unit = "{unit}"')
    else:
        shown = ", ".join(cell_word(cell, fold=False) for cell in table[name].head(3) if not missing(cell))
        lines.append(f'# unit = "..."  # the first cells: {shown}')
    lines.append('# missing = ["-9"]  # cells that mean "no value"')
    return lines
