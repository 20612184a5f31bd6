"""The finished parts of all slides become two tables whose bytes depend on nothing but the inputs and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biomarkers.core.files import write_csv
from biomarkers.core.keys import OK, OK_WITH_WARNINGS, PATIENT, SCORE_COLUMNS, SLIDE_COLUMNS, TIMEPOINT
from biomarkers.run.plan import SlideTask
from biomarkers.run.walk import LeftOut

if TYPE_CHECKING:
    import pandas as pd


def slides_table(tasks: Sequence[SlideTask], parts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row an input, sorted by slide: the columns of the contract, then the quality flags, then the manifest's."""
    rows = []
    twins = _twins(tasks, parts)
    for task in sorted(tasks, key=lambda task: task.slide):
        row = _with_twin(dict(parts[task.slide]["row"]), twins.get(task.slide))
        rows.append({**row, "file": task.file, PATIENT: task.patient, TIMEPOINT: task.timepoint})
    last = ("file", PATIENT, TIMEPOINT)
    flags = dict.fromkeys(key for row in rows for key in row if key not in (*SLIDE_COLUMNS, *last))
    return _frame(rows, (*SLIDE_COLUMNS, *flags, *last))


def _twins(tasks: Sequence[SlideTask], parts: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Slides that are the same picture under other names, byte for byte."""
    same: dict[tuple[str, int | None], list[str]] = {}
    for task in tasks:
        digest = parts[task.slide].get("sha256")
        if digest:
            same.setdefault((digest, task.scene), []).append(task.slide)
    return {one: sorted(set(some) - {one}) for some in same.values() if len(some) > 1 for one in some}


def _with_twin(row: dict[str, Any], twins: list[str] | None) -> dict[str, Any]:
    if not twins:
        return row
    note = f"the same picture as {', '.join(twins)}, byte for byte: it may be counted twice"
    reason = row.get("reason")
    status = OK_WITH_WARNINGS if row["status"] == OK else row["status"]
    return {**row, "status": status, "reason": f"{reason}; {note}" if reason else note}


def scores_table(parts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Tidy score rows of all slides, sorted by slide; within a slide in the order of its assay."""
    rows = [row for slide in sorted(parts) for row in parts[slide]["scores"]]
    extra = dict.fromkeys(key for row in rows for key in row if key not in SCORE_COLUMNS)
    return _frame(rows, (*SCORE_COLUMNS, *extra))


def write_tables(tasks: Sequence[SlideTask], parts: Mapping[str, Mapping[str, Any]], out: Path) -> None:
    """Write ``slides.csv`` and ``scores.csv``."""
    write_csv(slides_table(tasks, parts), out / "slides.csv")
    write_csv(scores_table(parts), out / "scores.csv")


def write_left_out(left_out: Sequence[LeftOut], out: Path) -> None:
    """Write ``left_out.csv``, the files among the inputs that were not scored; none where nothing was left out."""
    import pandas as pd

    path = out / "left_out.csv"
    if left_out:
        write_csv(pd.DataFrame([vars(one) for one in left_out], columns=["path", "reason"]), path)
    else:
        path.unlink(missing_ok=True)


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({name: [_cell(row.get(name)) for row in rows] for name in columns}, columns=list(columns))
    for name in columns:
        known = [row[name] for row in rows if row.get(name) is not None]
        if known and all(type(value) is int for value in known):
            frame[name] = frame[name].astype("Int64")  # counts stay whole where other slides have none
        elif known and all(type(value) is bool for value in known):
            frame[name] = frame[name].astype("boolean")
    return frame


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict)) else value
