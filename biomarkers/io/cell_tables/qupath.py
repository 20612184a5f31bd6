"""QuPath measurement tables, of cell detection as of StarDist and InstanSeg."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.core.panel import canonical_marker
from biomarkers.io.cell_tables.build import (
    CellTable,
    Unit,
    by_compartment,
    counted,
    named,
    named_or_refuse,
    numbers,
    optional_numbers,
    optional_text,
    plain,
)
from biomarkers.io.units import um_in

_CENTRE = re.compile(r"^Centroid X[ ,_]*[(\[]?(µm|um|mm|nm|cm|inch|px|pixels?)[)\]]?$", re.IGNORECASE)
_AREA_UNIT = re.compile(r"(µm|um|mm|nm|cm|px|pixels?)", re.IGNORECASE)
# "Nucleus: CD8 mean", "Nucleus: CD8: Mean" of cell detection; "CD8: Nucleus: Mean" of StarDist and InstanSeg
_PART_FIRST = re.compile(r"^(Nucleus|Cytoplasm|Membrane|Cell): (.+?):? mean$", re.IGNORECASE)
_PART_LAST = re.compile(r"^(.+?): (Nucleus|Cytoplasm|Membrane|Cell): mean$", re.IGNORECASE)


def is_qupath(columns: Iterable[str]) -> bool:
    """Tell a QuPath measurement table by its columns."""
    return _centre(columns) is not None


def read_qupath(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a QuPath measurement table: means of compartments, classes as phenotypes, parents as regions.

    A class made of channels (``CD3: CD8``, as composite classifiers name it) also says which markers are positive:
    those that at least one cell's class names.
    """
    columns = list(frame.columns)
    x = _centre(columns) or ""
    y = named_or_refuse(columns, re.sub(r" X ", " Y ", x, flags=re.IGNORECASE), where=where)
    match = _CENTRE.match(x)
    said = match[1] if match else "um"
    unit: Unit = "px" if said.casefold().startswith("p") else "um"
    factor = 1.0 if unit == "px" else um_in(said)
    intensity, channels = by_compartment(frame, _means(columns), where)
    area = [
        next((c for c in columns if re.match(rf"^{part}: Area", c, re.IGNORECASE)), None)
        for part in ("Cell", "Nucleus")
    ]
    classes = named(columns, "Classification", "Class")
    identity = named(columns, "Object ID")
    return CellTable(
        vendor="QuPath",
        slide=optional_text(frame, named(columns, "Image"), where.name.split(".")[0]),
        cell_id=counted(frame) if identity is None else frame[identity].astype(str),
        x=numbers(frame[x], column=x, where=where) * factor,
        y=numbers(frame[y], column=y, where=where) * factor,
        unit=unit,
        area_unit=_area_unit(area, unit),
        cell_area=optional_numbers(frame, area[0], where=where) * _area_factor(area[0]),
        nucleus_area=optional_numbers(frame, area[1], where=where) * _area_factor(area[1]),
        region=optional_text(frame, named(columns, "Parent"), ""),
        phenotype=None if classes is None else optional_text(frame, classes, ""),
        intensity=intensity,
        positive={} if classes is None else _positive(optional_text(frame, classes, ""), set(channels)),
        channels=channels,
    )


def _area_unit(columns: Iterable[str | None], unit: Unit) -> Unit:
    said = [found[1].casefold() for name in columns if name and (found := _AREA_UNIT.search(name.split("Area")[-1]))]
    if not said:
        return unit
    return "px" if any(one.startswith("p") for one in said) else "um"


def _area_factor(column: str | None) -> float:
    """Square micrometres in the unit of an area's header; 1 for pixels, and where it names none."""
    found = _AREA_UNIT.search((column or "").split("Area")[-1])
    return 1.0 if found is None or found[1].casefold().startswith("p") else um_in(found[1]) ** 2


def _centre(columns: Iterable[str]) -> str | None:
    return next((name for name in columns if _CENTRE.match(name)), None)


def _means(columns: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for name in columns:
        if found := _PART_FIRST.match(name):
            yield name, found[2], found[1].casefold()
        elif found := _PART_LAST.match(name):
            yield name, found[1], found[2].casefold()


def _positive(classes: pd.Series, markers: set[str]) -> dict[str, np.ndarray]:
    """Markers that classes are made of; ``Negative`` beside a marker is no call of it."""
    parts = [[part.strip() for part in text.split(":")] for text in classes]
    called = [{canonical_marker(part) for part in cell} & markers for cell in parts]
    negative = np.array([any(plain(part) == "negative" for part in cell) for cell in parts])
    return {
        marker: np.array([marker in cell for cell in called]) & ~negative for marker in sorted(set().union(*called))
    }
