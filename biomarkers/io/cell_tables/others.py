"""Cell tables of MCMICRO / scimap, CODEX and CellProfiler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biomarkers.core.panel import canonical_marker
from biomarkers.io.cell_tables.build import (
    CellTable,
    are_numbers,
    by_compartment,
    counted,
    named,
    named_or_refuse,
    numbers,
    optional_numbers,
    optional_text,
    plain,
)

# what MCMICRO and scimap hold beside intensities, in plain spelling
_MCMICRO_SHAPE = {
    "area", "majoraxislength", "minoraxislength", "eccentricity", "solidity", "extent", "orientation", "perimeter",
    "convexarea", "filledarea", "equivalentdiameter", "eulernumber", "columncentroid", "rowcentroid", "imageid",
    "phenotype", "roi", "cellid", "xcentroid", "ycentroid", "xposition", "yposition",
}  # fmt: skip
_MCMICRO_X = ("X_centroid", "X_position", "Column_centroid")
_MCMICRO_Y = ("Y_centroid", "Y_position", "Row_centroid")
_MASKS = {
    "cell": "cell", "cellmask": "cell", "cellringmask": "cell", "nuclei": "nucleus", "nucleus": "nucleus",
    "nucleimask": "nucleus", "nucleiringmask": "nucleus", "cyto": "cytoplasm", "cytomask": "cytoplasm",
    "cytoplasm": "cytoplasm",
}  # fmt: skip
_MASK = re.compile(rf"^(.+)_({'|'.join(_MASKS)})$", re.IGNORECASE)
_CODEX_FIXED = re.compile(
    r"^(X.X|Y.Y|Z.Z|.*cluster.?ID|sample_Xtile_Ytile|size.size|blank.*|empty.*|cell[._ :]?(id|num).*|tile_n.*|"
    r"file_index|reg(ion)?[._ :].*|array[._ :].*)$",
    re.IGNORECASE,
)
_CELLPROFILER_X = ("Location_Center_X", "AreaShape_Center_X", "Cells_Location_Center_X", "Nuclei_Location_Center_X")
_CELLPROFILER_Y = tuple(f"{name[:-1]}Y" for name in _CELLPROFILER_X)
_CELLPROFILER_ID = ("ObjectNumber", "Number_Object_Number")
_CELLPROFILER_MEAN = re.compile(r"^(?:(?:Cells?|Nuclei|Cytoplasm)_)?Intensity_MeanIntensity_(.+)$", re.IGNORECASE)


def is_mcmicro(columns: Iterable[str]) -> bool:
    """Tell an MCMICRO or scimap quantification table by its columns."""
    names = list(columns)
    return named(names, "CellID") is not None and named(names, *_MCMICRO_X) is not None


def read_mcmicro(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read an MCMICRO table: one mean a marker and mask (``CD8``, ``CD8_nucleiMask``), positions and areas in pixels.

    Columns without a single number (a scimap cluster's name) are annotations and left out.
    """
    columns = list(frame.columns)
    x, y, identity = (named_or_refuse(columns, *names, where=where) for names in (_MCMICRO_X, _MCMICRO_Y, ("CellID",)))
    markers = [name for name in columns if plain(name) not in _MCMICRO_SHAPE and are_numbers(frame[name])]
    phenotype = named(columns, "phenotype")
    return CellTable(
        vendor="MCMICRO",
        slide=optional_text(frame, named(columns, "imageid"), where.name.split(".")[0]),
        cell_id=frame[identity].astype(str),
        x=numbers(frame[x], column=x, where=where),
        y=numbers(frame[y], column=y, where=where),
        unit="px",
        area_unit="px",
        cell_area=optional_numbers(frame, named(columns, "Area"), where=where),
        nucleus_area=np.full(len(frame), np.nan),
        region=optional_text(frame, named(columns, "ROI"), ""),
        phenotype=None if phenotype is None else optional_text(frame, phenotype, ""),
        **_by_mask(frame, markers, where),
    )


def is_codex(columns: Iterable[str]) -> bool:
    """Tell a CODEX table by its columns."""
    names = list(columns)
    return all(any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names) for pattern in ("X[.:]X", "Y[.:]Y"))


def read_codex(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a CODEX table: compensated means over the cell (they may be negative), positions in pixels."""
    columns = list(frame.columns)
    x, y = (named_or_refuse(columns, name, where=where) for name in ("X.X", "Y.Y"))
    markers = [name for name in columns if not _CODEX_FIXED.match(name) and are_numbers(frame[name])]
    cluster = next((name for name in frame.columns if name.endswith("phenotype.cluster.ID")), None)
    return CellTable(
        vendor="CODEX",
        slide=optional_text(frame, "sample_Xtile_Ytile", where.name.split(".")[0]),
        cell_id=counted(frame),
        x=numbers(frame[x], column=x, where=where),
        y=numbers(frame[y], column=y, where=where),
        unit="px",
        area_unit="px",
        cell_area=optional_numbers(frame, named(columns, "size.size"), where=where),
        nucleus_area=np.full(len(frame), np.nan),
        region=optional_text(frame, "niche.cluster.ID", ""),
        phenotype=None if cluster is None else optional_text(frame, cluster, ""),
        **_whole_cell(frame, markers, where),
    )


def is_cellprofiler(columns: Iterable[str]) -> bool:
    """Tell a CellProfiler object table by its columns."""
    names = list(columns)
    needed = (("ImageNumber",), _CELLPROFILER_ID, _CELLPROFILER_X)
    return all(named(names, *wanted) is not None for wanted in needed)


def read_cellprofiler(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a CellProfiler object table: means over the object, positions and areas in pixels."""
    columns = list(frame.columns)
    x, y, identity, image = (
        named_or_refuse(columns, *names, where=where)
        for names in (_CELLPROFILER_X, _CELLPROFILER_Y, _CELLPROFILER_ID, ("ImageNumber",))
    )
    found = [(name, match.group(1)) for name in columns if (match := _CELLPROFILER_MEAN.match(name))]
    intensity, channels = by_compartment(
        frame, [(name, channel.removesuffix("_rs"), "cell") for name, channel in found], where
    )
    return CellTable(
        vendor="CellProfiler",
        slide=frame[image].astype(str),
        cell_id=frame[identity].astype(str),
        x=numbers(frame[x], column=x, where=where),
        y=numbers(frame[y], column=y, where=where),
        unit="px",
        area_unit="px",
        cell_area=optional_numbers(frame, named(columns, "AreaShape_Area", "Cells_AreaShape_Area"), where=where),
        nucleus_area=np.full(len(frame), np.nan),
        region=optional_text(frame, named(columns, "Region"), ""),
        phenotype=None,
        intensity=intensity,
        channels=channels,
    )


def _by_mask(frame: pd.DataFrame, names: list[str], where: Path) -> dict[str, Any]:
    """Read one mean a marker, or one a marker and mask where all names end in a mask's."""
    found = {name: _MASK.match(name) for name in names}
    if not names or any(match is None for match in found.values()):
        return _whole_cell(frame, names, where)
    parts = [(name, match[1], _MASKS[match[2].casefold()]) for name, match in found.items() if match]
    intensity, channels = by_compartment(frame, parts, where)
    return {"intensity": intensity, "channels": channels}


def _whole_cell(frame: pd.DataFrame, names: list[str], where: Path) -> dict[str, Any]:
    """Read one mean a marker; a second channel of one marker (DNA1, DNA2...) keeps its own name."""
    intensity: dict[str, dict[str, np.ndarray]] = {}
    channels: dict[str, str] = {}
    for name in names:
        marker = canonical_marker(name)
        marker = name if marker in channels else marker
        channels[marker] = name
        intensity[marker] = {"cell": numbers(frame[name], column=name, where=where)}
    return {"intensity": intensity, "channels": channels}
