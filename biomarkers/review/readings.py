"""Readings of slides by people: how they are kept in a run, and how tables of them are read."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError, did_you_mean
from biomarkers.core.files import neutralise
from biomarkers.core.finished import READINGS, numbers, read_output

if TYPE_CHECKING:
    import pandas as pd

READING_COLUMNS: Final = ("slide", "marker", "score", "value", "reader", "time", "blinded")
SOFTWARE: Final = "software"
CORRECTED: Final = "software (corrected)"
COLUMNS: Final = ("marker", "score", "slide", "reader", "value", "blinded", "repeat")
_LONGEST_NAME: Final = 80
_PERCENT: Final = re.compile(r"percent|tps|^ic_|^icp|^tap")
_MOST: Final = {"h_score": 300.0, "cps": 100.0, "tps": 100.0, "intensity": 3.0}


@dataclass(frozen=True)
class Reading:
    """One value that a person gave a slide; ``blinded`` says that the software's value was not shown before."""

    slide: str
    marker: str
    score: str
    value: float
    reader: str
    blinded: bool

    def check(self) -> None:
        """Raise a UsageError where a field cannot stand in a table of readings."""
        for name in ("slide", "score", "reader"):
            text = getattr(self, name)
            if not text.strip() or len(text) > _LONGEST_NAME * 4 or not text.isprintable():
                raise UsageError(f"a reading needs a {name}", seen=text[:40], allowed="printable text, not empty")
        if len(self.reader) > _LONGEST_NAME:
            allowed = f"{_LONGEST_NAME} letters"
            raise UsageError("the reader's name is too long", seen=len(self.reader), allowed=allowed)
        if self.reader.strip().casefold() in (SOFTWARE, CORRECTED):
            raise UsageError("this name is the software's", seen=self.reader, hint="Give your own name.")
        most = _MOST.get(self.score, 100.0 if _PERCENT.search(self.score) else math.inf)
        if not 0 <= self.value <= most:
            raise UsageError(f"a value out of range for {self.score}", seen=self.value, allowed=f"0 to {most:g}")


def append_reading(run: Path, reading: Reading) -> None:
    """Append a reading to ``RUN/readings.csv``; two readers at once each get a whole line.

    A line is written by one call on a file opened for appending, which a local file system does as one step. Nothing
    that stands in the file is ever changed: who reads again adds a line.

    Raises
    ------
    UsageError
        The reading has no slide, score or reader, or its value is out of range.
    """
    reading.check()
    row = [reading.slide, reading.marker, reading.score, repr(float(reading.value)), reading.reader.strip()]
    row += [datetime.now(tz=UTC).isoformat(timespec="milliseconds"), "true" if reading.blinded else "false"]
    append_line(run / READINGS, READING_COLUMNS, row)


def append_line(path: Path, columns: Sequence[str], row: Sequence[Any]) -> None:
    """Append one line to a CSV file by one write, with the heading where the file is new."""
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o644)
    try:
        head = "" if os.fstat(handle).st_size else _line(columns)
        # two first writers at once may both write the heading: a second one is skipped when readings are read
        os.write(handle, (head + _line(row)).encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read_readings(run: Path) -> pd.DataFrame:
    """Read ``RUN/readings.csv``, every column as text but ``value``; an empty table where nobody has read yet.

    Raises
    ------
    DataError
        The file was changed so that it cannot be read.
    """
    import pandas as pd

    path = run / READINGS
    if not path.is_file():
        return pd.DataFrame({name: pd.Series(dtype="float64" if name == "value" else str) for name in READING_COLUMNS})
    table = read_output(path, columns=READING_COLUMNS)
    table = table[table["slide"].ne("slide") | table["value"].ne("value")].reset_index(drop=True)
    table["value"] = numbers(table, "value", where=path)
    return table


def readings_of(
    source: str | Path | pd.DataFrame, *, score: str | None = None, marker: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Bring readings of any source into one shape.

    Parameters
    ----------
    source
        An output folder of ``biomarkers score`` or ``rescore`` (its ``readings.csv``, and its scores as the reader
        ``software``); or a table (a frame or a CSV file): long with the columns slide, reader, score, value (and
        marker), or wide with slide and one column a reader.
    score, marker
        What a table without these columns holds.

    Returns
    -------
    ``COLUMNS``, one row a reading (``repeat`` counts a reader's readings of one slide from 0); and notes.

    Raises
    ------
    UsageError
        The source is absent, or the score is not told.
    DataError
        A table lacks columns, holds text where a number is needed, or a slide without a name.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return _of_table(source.astype(object).where(source.notna(), "").astype(str), "table", score, marker)
    path = Path(source)
    if path.is_dir():
        return _of_run(path)
    if not path.is_file():
        raise UsageError("no such run or table", where=path)
    return _of_table(read_output(path, columns=("slide",)), str(path), score, marker)


def _of_run(run: Path) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    needed = ("slide", "region", "marker", "score", "value", "status")
    scores = read_output(run / "scores.csv", columns=needed)
    scores["value"] = numbers(scores, "value", where=run / "scores.csv")
    told = scores[(scores["region"] == "all") & (scores["status"] == keys.OK) & scores["value"].notna()]
    own = told.assign(reader=SOFTWARE, blinded="true")
    if "machine_value" in scores:  # a run that was scored again holds both
        corrected = told[told["source"] == "corrected"].assign(reader=CORRECTED, blinded="true")
        before = scores[(scores["region"] == "all") & (scores["machine_status"] == keys.OK)]
        before = before.assign(value=numbers(before, "machine_value", where=run / "scores.csv"))
        own = pd.concat([before.assign(reader=SOFTWARE, blinded="true"), corrected], ignore_index=True)
    given = read_readings(run)
    unknown = sorted(set(given["slide"]) - set(scores["slide"]))
    notes = [f"{run.name}: readings of slides that the run does not hold: {', '.join(unknown[:5])}"] if unknown else []
    both = pd.concat([own, given], ignore_index=True)
    return _numbered(both), notes


def _of_table(table: pd.DataFrame, where: str, score: str | None, marker: str | None) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    table = table.rename(columns={name: str(name).strip() for name in table.columns})
    if "slide" not in table:
        raise DataError("there is no column 'slide'", where=where, seen=list(table.columns)[:8])
    for name, value in (("score", score), ("marker", marker or "")):
        if name not in table:
            if value is None:
                raise UsageError(
                    "the table does not tell which score was read", where=where, hint="Say it: --score tps."
                )
            table[name] = value
    table["blinded"] = table.get("blinded", "true")
    if ("reader" in table) != ("value" in table):
        lacking = "value" if "reader" in table else "reader"
        hint = did_you_mean(lacking, list(table.columns)) or "Long: slide, reader, score, value. Wide: slide, readers."
        raise DataError(f"there is no column {lacking!r}", where=where, seen=list(table.columns)[:8], hint=hint)
    notes: list[str] = []
    if "reader" not in table:
        fixed = ["slide", "score", "marker", "blinded"]
        readers, others = _reader_columns(table, fixed)
        if len(readers) < 2:
            hint = "Long: slide, reader, score, value. Wide: slide and one column of numbers a reader."
            raise DataError("fewer than two readers in the table", where=where, seen=readers, hint=hint)
        notes += [f"columns that hold no numbers left out: {', '.join(others)}"] if others else []
        table = table.melt(id_vars=fixed, value_vars=readers, var_name="reader", value_name="value")
    table["value"] = numbers(table, "value", where=Path(where))
    for name in ("slide", "reader"):
        if table[name].str.strip().eq("").any():
            row = int(table[name].str.strip().eq("").to_numpy().argmax())
            raise DataError(f"an empty {name}", where=f"{where} row {row + 2}")
    empty = int(table["value"].isna().sum())
    notes += [f"{empty} empty readings"] if empty else []
    return _numbered(pd.DataFrame(table[table["value"].notna()])), notes


def _reader_columns(table: pd.DataFrame, fixed: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the other columns into those of numbers (at least half of what is filled in) and the rest."""
    import pandas as pd

    readers: list[str] = []
    others: list[str] = []
    for name in table.columns:
        if name in fixed:
            continue
        filled = table.loc[table[name].str.strip() != "", name]
        share = float(pd.to_numeric(filled, errors="coerce").notna().mean()) if len(filled) else 0.0
        (readers if share >= 0.5 else others).append(str(name))
    return readers, others


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(reader=table["reader"].str.strip(), blinded=table["blinded"].str.casefold().ne("false"))
    table["repeat"] = table.groupby(["marker", "score", "slide", "reader"], sort=False).cumcount()
    return table[list(COLUMNS)].reset_index(drop=True)


def _line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([neutralise(value) for value in values])
    return text.getvalue()
