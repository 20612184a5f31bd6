"""Read a finished score run back, with one clear error where somebody changed what it wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import sha256

if TYPE_CHECKING:
    import pandas as pd

# what people add to a run: append-only tables of one line a reading, and a folder of corrections
READINGS, REVEALED, CORRECTIONS = "readings.csv", "revealed.csv", "corrections"
_RECORD = "run.json"
_SHAPE = {"settings": dict, "versions": dict, "started_utc": str, "inputs": list, "slides": dict, "outputs": dict}
_HINT = "Something changed the file after the run: score the slides again into another folder."


def read_record(folder: Path, *, verbs: Sequence[str] = ("score",)) -> dict[str, Any]:
    """Read the record of a finished run of ``biomarkers score``, or of another of ``verbs``.

    Raises
    ------
    UsageError
        The folder holds none.
    DataError
        The record was changed, so that it cannot be read or names files elsewhere.
    """
    path = folder / _RECORD
    if not path.is_file():
        raise UsageError("this folder holds no finished 'biomarkers score' run", where=folder)
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"the run's record cannot be read: {error}", where=path, hint=_HINT) from error
    if not isinstance(record, dict) or not isinstance(record.get("verb"), str):
        raise DataError("this is no record of a run", where=path, hint=_HINT)
    if record["verb"] not in verbs:
        raise UsageError("this run did not score slides", where=path, seen=record["verb"])
    for name, kind in _SHAPE.items():
        if not isinstance(record.get(name), kind):
            raise DataError(f"the run's record lacks its {name!r}", where=path, seen=record.get(name), hint=_HINT)
    outside = [name for name in record["outputs"] if PurePosixPath(name).is_absolute() or ".." in name.split("/")]
    if outside:
        raise DataError("the run's record names a file elsewhere", where=path, seen=outside[0], hint=_HINT)
    if not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in record["inputs"]):
        raise DataError("the run's record lists inputs without names", where=path, hint=_HINT)
    return record


def difference(folder: Path, name: str, digest: object) -> str | None:
    """Say how an output differs from what the run wrote, or return None."""
    path = folder / name
    if not path.is_file():
        return f"{name}: is gone"
    return None if sha256(path) == digest else f"{name}: was changed after the run"


def read_output(path: Path, *, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table that a run wrote, letter for letter; all its columns are text.

    Raises
    ------
    UsageError
        There is no such file.
    DataError
        It is no table any more, or lacks one of ``columns``.
    """
    import pandas as pd

    if not path.is_file():
        raise UsageError("no such file", where=path, hint="It stands in the --out folder of 'biomarkers score'.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        raise DataError(f"cannot be read as a table ({str(error).strip()})", where=path, hint=_HINT) from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise DataError(f"there is no column {lacking[0]!r}", where=path, seen=list(table.columns)[:8], hint=_HINT)
    return table


def numbers(table: pd.DataFrame, column: str, *, where: Path) -> pd.Series:
    """Return a column of such a table as float64, empty cells as NaN.

    Raises
    ------
    DataError
        A cell holds something else.
    """
    import pandas as pd

    found = pd.to_numeric(table[column].replace("", "nan"), errors="coerce").astype("float64")
    wrong = found.isna() & ~table[column].str.casefold().isin(["", "nan"])
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        message = f"column {column!r} holds text where a number is needed"
        raise DataError(message, where=f"{where} row {row + 2}", seen=table[column].iloc[row], hint=_HINT)
    return found
