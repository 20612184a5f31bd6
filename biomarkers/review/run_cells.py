"""The cells of one slide of a finished run, as they were counted, read back from its table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay, Thresholds, parse
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import file_name
from biomarkers.core.finished import read_record
from biomarkers.score.outputs import cell_uuid
from biomarkers.score.plain_cells import CellColumns, PlainCells
from biomarkers.score.tally import CLASS_SOURCE

if TYPE_CHECKING:
    import pandas as pd

_NEVER_IMMUNE = "immune cells not told apart"


@dataclass(frozen=True)
class RunSlide:
    """One brightfield slide of a run: what it was scored by, and its table of cells."""

    slide: str
    assay: Assay
    marker: str
    thresholds: Thresholds
    mpp: float
    cells: PlainCells
    table: pd.DataFrame

    @cached_property
    def names(self) -> list[str]:
        """Name of each cell."""
        return [str(name) for name in self.table["cell"]]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Place of each cell in the table, by its name."""
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def row_of_id(self) -> dict[str, int]:
        """Place of each cell in the table, by its identifier in QuPath."""
        return {cell_uuid(self.slide, self.marker, name): row for row, name in enumerate(self.names)}

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What was worked out of the run's own cells, so that it need not be again after each correction."""
        return {}


def records_of(run: Path) -> dict[str, dict[str, Any]]:
    """Return what made each slide of a run, by slide; of a ``score`` run or of one that was scored again.

    Raises
    ------
    UsageError
        The folder holds no finished run.
    DataError
        Its record was changed so that it cannot be read.
    """
    found = read_record(run, verbs=("score", "rescore"))["slides"]
    return {str(name): one for name, one in found.items() if isinstance(one, dict)}


def read_slide(run: Path, *, slide: str, row: dict[str, Any], scores: pd.DataFrame, record: dict[str, Any]) -> RunSlide:
    """Read one slide's cells.

    Parameters
    ----------
    run
        The output folder.
    slide
        Its name.
    row
        Its row of ``slides.csv``.
    scores
        Its rows of ``scores.csv``.
    record
        What made it, from ``run.json``.

    Raises
    ------
    UsageError
        It is no slide of a brightfield assay.
    DataError
        Its table of cells is gone or lacks a column.
    """
    import pandas as pd

    if not isinstance(record.get("assay"), dict) or not isinstance(record.get("thresholds"), dict):
        raise UsageError("only slides of brightfield assays are corrected", where=slide)
    path = run / "cells" / f"{file_name(slide)}.parquet"
    if not path.is_file():
        raise DataError("its table of cells is gone", where=path)
    table = pd.read_parquet(path)
    marker = str(record["marker"])
    needed = ("cell", keys.X_UM, keys.Y_UM, keys.AREA_UM2, keys.CELL_CLASS, keys.EXCLUDED, keys.bin_column(marker))
    for name in needed:
        if name not in table:
            raise DataError(f"the cells have no column {name!r}", where=path)
    cells = plain_cells(table, marker=marker)
    source = str(row.get("classes_by", "")) or "none"
    cells.uns[CLASS_SOURCE] = {"method": source, "classes": _named(table, scores, source)}
    return RunSlide(
        slide=slide,
        assay=parse(Assay, record["assay"], where="run.json"),
        marker=marker,
        thresholds=parse(Thresholds, record["thresholds"], where="run.json"),
        mpp=float(row["mpp"]),
        cells=cells,
        table=table,
    )


def cells_to_show(run: Path, *, slide: str, marker: str) -> PlainCells:
    """Read what a picture of a slide's cells needs, and no more: a million cells take a tenth of the time.

    Raises
    ------
    DataError
        The table of cells is gone, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run / "cells" / f"{file_name(slide)}.parquet"
    names = [keys.X_UM, keys.Y_UM, keys.AREA_UM2, keys.CELL_CLASS, keys.EXCLUDED, keys.bin_column(marker)]
    try:
        table = pq.read_table(path, columns=names, read_dictionary=[keys.CELL_CLASS])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DataError("its table of cells is gone or cannot be read", where=path) from error
    obs = {name: table[name].to_numpy() for name in table.column_names if name != keys.CELL_CLASS}
    codes = table[keys.CELL_CLASS].combine_chunks()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    classes = np.array([str(name) for name in codes.dictionary.to_pylist()] or [keys.UNKNOWN])
    obs[keys.CELL_CLASS] = classes[codes.indices.to_numpy(zero_copy_only=False)]
    nothing = np.zeros((table.num_rows, 0))
    return PlainCells(nothing, {}, CellColumns(obs), {}, [], table.num_rows)


def plain_cells(table: pd.DataFrame, *, marker: str) -> PlainCells:
    """Lay a table of cells out as calls and counts read them, with the very numbers that were called."""
    channels = [marker, keys.HEMATOXYLIN] if f"{keys.HEMATOXYLIN}_mean" in table else [marker]
    start = f"{marker}_"
    calls = {keys.positive_column(marker), keys.bin_column(marker), f"{marker}_od", f"{marker}_staining"}
    layers = [n.removeprefix(start) for n in table.columns if n.startswith(start) and n not in calls]

    def numbers(layer: str) -> np.ndarray:
        nothing = np.full(len(table), np.nan)
        held = [table[name] if (name := f"{one}_{layer}") in table else nothing for one in channels]
        return np.column_stack([np.asarray(column, dtype=np.float64) for column in held])

    measured = {f"{one}_{layer}" for one in channels for layer in layers}
    obs = {}
    for name in table.columns:
        if name in ("slide", "cell") or name in measured:
            continue
        column = table[name]
        obs[str(name)] = column.to_numpy() if column.dtype.kind in "biuf" else column.astype(str).to_numpy().astype(str)
    return PlainCells(
        X=numbers("mean"),
        layers={layer: numbers(layer) for layer in layers if layer != "mean"},
        obs=CellColumns(obs),
        uns={},
        var_names=channels,
        n_obs=len(table),
    )


def _named(table: pd.DataFrame, scores: pd.DataFrame, source: str) -> list[str]:
    """Return the classes that the slide's source could give: corrections of some cells do not tell others apart."""
    if source == "none":
        return []
    if source == "assumed":
        return [keys.TUMOR]
    found = set(table[keys.CELL_CLASS].astype(str).unique()) - {keys.UNKNOWN}
    if scores["reason"].astype(str).str.startswith(_NEVER_IMMUNE).any():
        return sorted(found - {keys.LYMPHOCYTE, keys.MACROPHAGE})
    return sorted(found if source == "annotations" else found | {keys.LYMPHOCYTE})
