"""inForm cell segmentation tables: tab-separated, with decimal points or commas, one phenotype column or many."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.cells.tables.build import CellTable, Unit, numbers, optional_numbers, optional_text
from biomarkers.errors import DataError
from biomarkers.panel import canonical_marker

_COMPARTMENTS = {"Nucleus": "nucleus", "Cytoplasm": "cytoplasm", "Membrane": "membrane", "Entire Cell": "cell"}
_MEAN = re.compile(r"^(Nucleus|Cytoplasm|Membrane|Entire Cell) (.+?) Mean(?: \(.*\))?$")
_FLUOR = re.compile(r"\s*\((?:Opal \d+|DAPI|[^)]*)\)$")


def is_inform(columns: Iterable[str]) -> bool:
    """Tell an inForm table by its columns."""
    names = set(columns)
    return {"Cell ID", "Cell X Position", "Cell Y Position"} <= names


def read_inform(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read an inForm table (text columns) into our words.

    Raises
    ------
    DataError
        It is a summary table, or the unit of its areas cannot be read from the headers.
    """
    cells = frame[frame["Cell ID"].astype(str).str.strip().ne("all")]
    if cells.empty:
        raise DataError("this inForm table holds summaries, not cells", where=where, hint="Give *_cell_seg_data.txt.")
    unit = _unit(frame.columns, where)
    intensity, channels = _intensities(cells, where)
    phenotype, positive = _phenotypes(cells)
    return CellTable(
        vendor="inForm",
        slide=optional_text(cells, "Sample Name", where.name.split(".")[0]),
        cell_id=cells["Cell ID"].astype(str),
        x=numbers(cells["Cell X Position"], column="Cell X Position", where=where),
        y=numbers(cells["Cell Y Position"], column="Cell Y Position", where=where),
        unit=unit,
        area_unit=unit,
        cell_area=optional_numbers(cells, _area_column(frame.columns, "Entire Cell"), where=where),
        nucleus_area=optional_numbers(cells, _area_column(frame.columns, "Nucleus"), where=where),
        region=optional_text(cells, "Tissue Category", ""),
        phenotype=phenotype,
        intensity=intensity,
        positive=positive,
        channels=channels,
    )


def _unit(columns: Iterable[str], where: Path) -> Unit:
    """Positions share the unit of the areas; inForm names it in the area's header only."""
    for column in columns:
        if re.match(r"^(Nucleus|Entire Cell) Area \(", column):
            if "pixels" in column:
                return "px"
            if "micron" in column:
                return "um"
    raise DataError(
        "no header names the unit of areas", where=where, allowed="(pixels), (square microns), (sq microns)"
    )


def _area_column(columns: Iterable[str], compartment: str) -> str | None:
    named = [name for name in columns if name.startswith(f"{compartment} Area (") and "percent" not in name]
    return named[0] if named else None


def _intensities(frame: pd.DataFrame, where: Path) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    intensity: dict[str, dict[str, np.ndarray]] = {}
    channels: dict[str, str] = {}
    for column in frame.columns:
        if not (found := _MEAN.match(column)):
            continue
        compartment, channel = found.groups()
        marker = canonical_marker(_FLUOR.sub("", channel))
        if channels.setdefault(marker, channel) != channel:
            raise DataError("two channels show the same marker", where=where, seen=[channels[marker], channel])
        intensity.setdefault(marker, {})[_COMPARTMENTS[compartment]] = numbers(
            frame[column], column=column, where=where
        )
    return intensity, channels


def _phenotypes(frame: pd.DataFrame) -> tuple[pd.Series | None, dict[str, np.ndarray]]:
    """Read one column of names, or phenoptr's consolidated columns ``Phenotype X`` that hold ``X+`` and ``X-``."""
    positive = {
        column.removeprefix("Phenotype "): frame[column].astype(str).str.strip().str.endswith("+").to_numpy()
        for column in frame.columns
        if column.startswith("Phenotype ")
    }
    if "Phenotype" in frame.columns:
        return optional_text(frame, "Phenotype", ""), positive
    if not positive:
        return None, {}
    flags = np.column_stack(list(positive.values()))
    names = [f"{name}+" for name in positive]
    text = [" ".join(name for name, flag in zip(names, row, strict=True) if flag) or "other" for row in flags]
    return pd.Series(text, index=frame.index), positive
