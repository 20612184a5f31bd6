"""inForm cell segmentation tables: tab-separated, with decimal points or commas, one phenotype column or many."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.core.panel import canonical_marker
from biomarkers.io.cell_tables.build import (
    CellTable,
    Unit,
    by_compartment,
    named,
    named_or_refuse,
    numbers,
    optional_numbers,
    optional_text,
)

_COMPARTMENTS = {"nucleus": "nucleus", "cytoplasm": "cytoplasm", "membrane": "membrane", "entire cell": "cell"}
_MEAN = re.compile(
    r"^(Nucleus|Cytoplasm|Membrane|Entire Cell) (.+?) Mean(?: \(.*\)| Normalized Counts.*)?$", re.IGNORECASE
)
_FLUOR = re.compile(r"(?:\s*\([^)]*\)|(?<=\S) (?:Opal \d+|DAPI))$", re.IGNORECASE)
_POSITION = ("Cell ID", "Cell X Position", "Cell Y Position")


def is_inform(columns: Iterable[str]) -> bool:
    """Tell an inForm table by its columns."""
    names = list(columns)
    return all(named(names, wanted) is not None for wanted in _POSITION)


def read_inform(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read an inForm table (text columns), its headers as inForm, R or a data frame's cleaner writes them.

    Raises
    ------
    DataError
        It is a summary table, or the unit of its areas cannot be read from the headers.
    """
    frame = frame.set_axis(_with_blanks(list(frame.columns)), axis=1)
    identity, x, y = (named_or_refuse(frame.columns, name, where=where) for name in _POSITION)
    cells = frame[frame[identity].astype(str).str.strip().ne("all")]
    if cells.empty:
        raise DataError("this inForm table holds summaries, not cells", where=where, hint="Give *_cell_seg_data.txt.")
    unit = _unit(frame.columns, where)
    intensity, channels = _intensities(cells, where)
    phenotype, positive = _phenotypes(cells)
    return CellTable(
        vendor="inForm",
        slide=optional_text(cells, named(frame.columns, "Sample Name"), where.name.split(".")[0]),
        cell_id=cells[identity].astype(str),
        x=numbers(cells[x], column=x, where=where),
        y=numbers(cells[y], column=y, where=where),
        unit=unit,
        area_unit=unit,
        cell_area=optional_numbers(cells, _area_column(frame.columns, "Entire Cell"), where=where),
        nucleus_area=optional_numbers(cells, _area_column(frame.columns, "Nucleus"), where=where),
        region=optional_text(cells, named(frame.columns, "Tissue Category"), ""),
        phenotype=phenotype,
        intensity=intensity,
        positive=positive,
        channels=channels,
    )


def _with_blanks(columns: list[str]) -> list[str]:
    """Give headers their blanks back where R (``Cell.ID``) or a cleaner (``cell_id``) took them all."""
    if any(" " in name for name in columns):
        return columns
    return [re.sub(r"[._]+", " ", name).strip() for name in columns]


def _unit(columns: Iterable[str], where: Path) -> Unit:
    """Positions share the unit of the areas; inForm names it in the area's header only."""
    for column in columns:
        if re.match(r"^(Nucleus|Entire Cell) Area [(a-z]", column, re.IGNORECASE):
            if "pixels" in column.casefold():
                return "px"
            if "micron" in column.casefold():
                return "um"
    raise DataError(
        "no header names the unit of areas", where=where, allowed="(pixels), (square microns), (sq microns)"
    )


def _area_column(columns: Iterable[str], compartment: str) -> str | None:
    pattern = re.compile(rf"^{compartment} Area [(a-z]", re.IGNORECASE)
    return next((name for name in columns if pattern.match(name) and "percent" not in name.casefold()), None)


def _intensities(frame: pd.DataFrame, where: Path) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    parts = [
        (column, found[2], _COMPARTMENTS[found[1].casefold()])
        for column in frame.columns
        if (found := _MEAN.match(column))
    ]
    return by_compartment(frame, parts, where, dye=_FLUOR)


def _phenotypes(frame: pd.DataFrame) -> tuple[pd.Series | None, dict[str, np.ndarray]]:
    """Read one column of names, or phenoptr's consolidated columns ``Phenotype X`` that hold ``X+`` and ``X-``."""
    pattern = re.compile(r"^Phenotype (.+)$", re.IGNORECASE)
    positive = {
        canonical_marker(found[1]): frame[column].astype(str).str.strip().str.endswith("+").to_numpy()
        for column in frame.columns
        if (found := pattern.match(column))
    }
    names_of = named(frame.columns, "Phenotype")
    if names_of is not None:
        return optional_text(frame, names_of, ""), positive
    if not positive:
        return None, {}
    flags = np.column_stack(list(positive.values()))
    names = [f"{name}+" for name in positive]
    text = [" ".join(name for name, flag in zip(names, row, strict=True) if flag) or "other" for row in flags]
    return pd.Series(text, index=frame.index), positive
