"""Cell tables of QuPath, MCMICRO / scimap, CODEX and CellProfiler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.cells.tables.build import CellTable, Unit, numbers, optional_numbers, optional_text
from biomarkers.errors import DataError
from biomarkers.panel import canonical_marker

_QUPATH_CENTRE = re.compile(r"^Centroid X (µm|um|px)$")
_QUPATH_MEAN = re.compile(r"^(Nucleus|Cytoplasm|Membrane|Cell): (.+?):? mean$", re.IGNORECASE)
_MCMICRO_SHAPE = {
    "area", "majoraxislength", "minoraxislength", "eccentricity", "solidity", "extent", "orientation",
    "imageid", "phenotype", "roi",
}  # fmt: skip
_MCMICRO_X = ("X_centroid", "X_position")
_CODEX_FIXED = re.compile(
    r"^(X\.X|Y\.Y|Z\.Z|.*cluster\.ID|sample_Xtile_Ytile|size\.size|blank.*|cell[._]?id.*|tile_nr.*|file_index)$",
    re.IGNORECASE,
)
_CELLPROFILER_MEAN = re.compile(r"^Intensity_MeanIntensity_(.+)$")


def is_qupath(columns: Iterable[str]) -> bool:
    """Tell a QuPath measurement table by its columns."""
    return any(_QUPATH_CENTRE.match(name) for name in columns)


def read_qupath(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a QuPath measurement table: means of compartments, classes as phenotypes, parents as regions."""
    columns = list(frame.columns)
    x = next(name for name in columns if _QUPATH_CENTRE.match(name))
    unit: Unit = "px" if x.endswith("px") else "um"
    intensity, channels = _by_pattern(frame, _QUPATH_MEAN, where)
    area = [next((c for c in columns if re.match(rf"^{part}: Area", c)), None) for part in ("Cell", "Nucleus")]
    classes = next((name for name in ("Classification", "Class") if name in columns), None)
    ids = frame["Object ID"].astype(str) if "Object ID" in columns else _counted(frame)
    return CellTable(
        vendor="QuPath",
        slide=optional_text(frame, "Image", where.name.split(".")[0]),
        cell_id=ids,
        x=numbers(frame[x], column=x, where=where),
        y=numbers(frame[x.replace(" X ", " Y ")], column=x.replace(" X ", " Y "), where=where),
        unit=unit,
        area_unit="px" if any(c is not None and "px" in c for c in area) else unit,
        cell_area=optional_numbers(frame, area[0], where=where),
        nucleus_area=optional_numbers(frame, area[1], where=where),
        region=optional_text(frame, "Parent", ""),
        phenotype=None if classes is None else optional_text(frame, classes, ""),
        intensity=intensity,
        channels=channels,
    )


def is_mcmicro(columns: Iterable[str]) -> bool:
    """Tell an MCMICRO or scimap quantification table by its columns."""
    names = set(columns)
    return "CellID" in names and bool(names & set(_MCMICRO_X))


def read_mcmicro(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read an MCMICRO table: one mean a marker over the whole mask, positions and areas in pixels."""
    x = next(name for name in _MCMICRO_X if name in frame.columns)
    y = x.replace("X", "Y", 1)
    skip = {"CellID", x, y}
    markers = [name for name in frame.columns if name not in skip and name.lower() not in _MCMICRO_SHAPE]
    return CellTable(
        vendor="MCMICRO",
        slide=optional_text(frame, "imageid", where.name.split(".")[0]),
        cell_id=frame["CellID"].astype(str),
        x=numbers(frame[x], column=x, where=where),
        y=numbers(frame[y], column=y, where=where),
        unit="px",
        area_unit="px",
        cell_area=optional_numbers(frame, "Area", where=where),
        nucleus_area=np.full(len(frame), np.nan),
        region=optional_text(frame, "ROI", ""),
        phenotype=optional_text(frame, "phenotype", "") if "phenotype" in frame.columns else None,
        **_whole_cell(frame, markers, where),
    )


def is_codex(columns: Iterable[str]) -> bool:
    """Tell a CODEX table by its columns."""
    return {"X.X", "Y.Y"} <= set(columns)


def read_codex(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a CODEX table: compensated means over the cell (they may be negative), positions in pixels."""
    markers = [name for name in frame.columns if not _CODEX_FIXED.match(name)]
    cluster = next((name for name in frame.columns if name.endswith("phenotype.cluster.ID")), None)
    return CellTable(
        vendor="CODEX",
        slide=optional_text(frame, "sample_Xtile_Ytile", where.name.split(".")[0]),
        cell_id=_counted(frame),
        x=numbers(frame["X.X"], column="X.X", where=where),
        y=numbers(frame["Y.Y"], column="Y.Y", where=where),
        unit="px",
        area_unit="px",
        cell_area=optional_numbers(frame, "size.size", where=where),
        nucleus_area=np.full(len(frame), np.nan),
        region=optional_text(frame, "niche.cluster.ID", ""),
        phenotype=None if cluster is None else optional_text(frame, cluster, ""),
        **_whole_cell(frame, markers, where),
    )


def is_cellprofiler(columns: Iterable[str]) -> bool:
    """Tell a CellProfiler object table by its columns."""
    return {"ImageNumber", "ObjectNumber", "Location_Center_X"} <= set(columns)


def read_cellprofiler(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a CellProfiler object table: means over the object, positions and areas in pixels."""
    intensity, channels = _by_pattern(frame, _CELLPROFILER_MEAN, where)
    return CellTable(
        vendor="CellProfiler",
        slide=frame["ImageNumber"].astype(str),
        cell_id=frame["ObjectNumber"].astype(str),
        x=numbers(frame["Location_Center_X"], column="Location_Center_X", where=where),
        y=numbers(frame["Location_Center_Y"], column="Location_Center_Y", where=where),
        unit="px",
        area_unit="px",
        cell_area=optional_numbers(frame, "AreaShape_Area", where=where),
        nucleus_area=np.full(len(frame), np.nan),
        region=optional_text(frame, "Region", ""),
        phenotype=None,
        intensity=intensity,
        channels=channels,
    )


def _by_pattern(
    frame: pd.DataFrame, pattern: re.Pattern[str], where: Path
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    intensity: dict[str, dict[str, np.ndarray]] = {}
    channels: dict[str, str] = {}
    for name in frame.columns:
        if not (found := pattern.match(name)):
            continue
        compartment = found.group(1).lower() if pattern.groups == 2 else "cell"
        channel = found.group(pattern.groups)
        marker = canonical_marker(channel.removesuffix("_rs"))
        if channels.setdefault(marker, channel) != channel:
            raise DataError("two channels show the same marker", where=where, seen=[channels[marker], channel])
        intensity.setdefault(marker, {})[compartment] = numbers(frame[name], column=name, where=where)
    return intensity, channels


def _whole_cell(frame: pd.DataFrame, names: list[str], where: Path) -> dict:
    """Read one mean a marker; a second channel of one marker (DNA1, DNA2...) keeps its own name."""
    intensity: dict[str, dict[str, np.ndarray]] = {}
    channels: dict[str, str] = {}
    for name in names:
        marker = canonical_marker(name)
        marker = name if marker in channels else marker
        channels[marker] = name
        intensity[marker] = {"cell": numbers(frame[name], column=name, where=where)}
    return {"intensity": intensity, "channels": channels}


def _counted(frame: pd.DataFrame) -> pd.Series:
    return pd.Series([str(number) for number in range(1, len(frame) + 1)], index=frame.index)
