"""Outputs of runs that a workflow engine made one slide at a time become one output; mixed settings are refused."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import atomic_path, write_csv, write_text
from biomarkers.core.finished import CORRECTIONS, READINGS, REVEALED, read_output, read_record
from biomarkers.core.keys import PATIENT, SCORE_COLUMNS, SLIDE_COLUMNS, TIMEPOINT
from biomarkers.core.provenance import versions, write_run_json
from biomarkers.run.state import RunState

if TYPE_CHECKING:
    import pandas as pd

_LAST = ("file", PATIENT, TIMEPOINT)


def merge_runs(folders: Sequence[str | Path], *, out: str | Path) -> pd.DataFrame:
    """Join the outputs of several ``biomarkers score`` runs made with the same settings.

    The tables are those that one run over all the slides would have written, byte for byte.

    Parameters
    ----------
    folders
        Output folders, each with ``slides.csv``, ``scores.csv`` and ``run.json``.
    out
        The folder for the joint output; it must not hold one yet.

    Returns
    -------
    The joint ``slides.csv``, as text.

    Raises
    ------
    UsageError
        A folder holds no finished run, or ``out`` holds one already.
    DataError
        Settings or package versions differ, two runs have a slide of the same name, or a file of a run is gone or was
        changed so that it cannot be read.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> run = bm.score_batch([tile], out="run", progress=False, assay="22c3", assume_tumor=True, workers=1)
    >>> len(bm.merge_runs(["run"], out="merged"))
    1
    """
    target = Path(out)
    sources = [Path(folder) for folder in folders]
    if (target / "run.json").exists():
        raise UsageError("this folder holds a run already", where=target, hint="Choose another --out.")
    records = {source: read_record(source) for source in sources}
    _refuse_mixed(records)
    _refuse_incomplete(records)
    slides = _joined(sources, "slides.csv", first=SLIDE_COLUMNS, last=_LAST)
    scores = _joined(sources, "scores.csv", first=SCORE_COLUMNS, last=())
    _refuse_twice(slides, sources)
    with RunState(target).locked():
        for source, record in records.items():
            for name in record["outputs"]:
                if "/" in name:
                    with atomic_path(target / name) as path:
                        shutil.copyfile(source / name, path)
        write_csv(slides, target / "slides.csv")
        write_csv(scores, target / "scores.csv")
        _keep_what_people_added(sources, target)
        write_run_json(_joint_record(list(records.values()), target), target)
    return slides


def _keep_what_people_added(sources: Sequence[Path], target: Path) -> None:
    """Join readings line by line, and copy corrections: slides of merged runs have names of their own."""
    for name in (READINGS, REVEALED):
        texts = [(source / name).read_text(encoding="utf-8") for source in sources if (source / name).is_file()]
        if texts:
            heading = texts[0].partition("\n")[0]
            lines = [line for text in texts for line in text.splitlines() if line != heading]
            write_text(target / name, "\n".join([heading, *lines]) + "\n")
    for source in sources:
        for held in sorted((source / CORRECTIONS).glob("*.geojson")):
            with atomic_path(target / CORRECTIONS / held.name) as path:
                shutil.copyfile(held, path)


def _refuse_mixed(records: Mapping[Path, Mapping[str, Any]]) -> None:
    first, *others = records.items()
    for folder, record in others:
        for key in ("settings", "versions"):
            mine, theirs = first[1][key], record[key]
            names = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
            if names:
                shown = "; ".join(f"{name}: {mine.get(name)!r} and {theirs.get(name)!r}" for name in names)
                raise DataError(
                    f"runs of different {key} cannot be merged", where=f"{first[0]} and {folder}", seen=shown
                )


def _refuse_incomplete(records: Mapping[Path, Mapping[str, Any]]) -> None:
    gone = [
        source / name
        for source, record in records.items()
        for name in record["outputs"]
        if not (source / name).is_file()
    ]
    if gone:
        message = "an output of the run is gone" if len(gone) == 1 else f"{len(gone)} outputs of the runs are gone"
        raise DataError(message, where=gone[0], hint="Bring it back, or run the command for that folder again.")


def _joined(sources: Sequence[Path], name: str, *, first: Sequence[str], last: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    tables = [read_output(source / name, columns=first) for source in sources]
    rows = sorted((row for table in tables for row in table.to_dict("records")), key=lambda row: row["slide"])
    between = dict.fromkeys(key for row in rows for key in row if key not in (*first, *last))
    columns = [*first, *between, *last]
    return pd.DataFrame({name: [row.get(name, "") for row in rows] for name in columns}, columns=columns, dtype=str)


def _refuse_twice(slides: pd.DataFrame, sources: Sequence[Path]) -> None:
    twice = slides["slide"][slides["slide"].duplicated()]
    if len(twice):
        raise DataError(
            "two runs have a slide of the same name",
            where=", ".join(str(source) for source in sources[:5]),
            seen=twice.iloc[0],
            hint="Rename one image: nothing here says which of the two to keep.",
        )


def _joint_record(records: Sequence[Mapping[str, Any]], target: Path) -> dict[str, Any]:
    from biomarkers.core.files import sha256

    joint = {**records[0], "versions": versions()}
    joint["started_utc"] = min(record["started_utc"] for record in records)
    joint["inputs"] = sorted((item for record in records for item in record["inputs"]), key=lambda item: item["name"])
    joint["slides"] = {slide: item for record in records for slide, item in sorted(record["slides"].items())}
    joint["outputs"] = {
        name: digest for record in records for name, digest in record["outputs"].items() if "/" in name
    } | {name: sha256(target / name) for name in ("slides.csv", "scores.csv")}
    return joint
