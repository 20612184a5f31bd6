"""Cells of finished score runs, read back: what controls look like decides the cuts of other slides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay, parse
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import file_name
from biomarkers.core.finished import read_record
from biomarkers.pp.vectors import angle_deg
from biomarkers.score.anchor import SAME_ANGLE, SAME_SIZE

if TYPE_CHECKING:
    from anndata import AnnData

_PICTURES = (("overlays", ".png"), ("thumbnails", ".jpg"))
_LAYERS = (
    keys.NUCLEUS_MEAN,
    keys.CYTOPLASM_MEAN,
    keys.MEMBRANE_MEAN,
    keys.CELL_MAX,
    keys.MEMBRANE_COMPLETENESS,
    "membrane_stained_mean",
    "membrane_partial",
)


def cells_of_runs(folders: Sequence[Path]) -> tuple[dict[str, AnnData], Assay, str]:
    """Read the cells of every slide of some runs.

    Parameters
    ----------
    folders
        Output folders of ``biomarkers score``, of one brightfield assay.

    Returns
    -------
    The measured cells by slide, the assay and the marker.

    Raises
    ------
    UsageError
        A folder holds no finished run of a brightfield assay.
    DataError
        The runs are of several assays or markers, have a slide of the same name, or hold no cell.
    """
    found: dict[str, AnnData] = {}
    asked: dict[str, tuple[dict[str, Any], str]] = {}
    for folder in folders:
        for slide, record in _records(folder).items():
            table = folder / "cells" / f"{file_name(slide)}.parquet"
            if not table.is_file():
                continue
            if slide in found:
                raise DataError("two runs have a slide of the same name", seen=slide)
            found[slide] = _read(table, record["marker"])
            asked[slide] = (record["assay"], record["marker"])
    if not found:
        raise DataError("no cells in these runs", where=", ".join(map(str, folders)))
    first_slide, (assay, marker) = next(iter(asked.items()))
    for slide, other in asked.items():
        if other != (assay, marker):
            names = f"{assay['name']} {marker} ({first_slide}), {other[0]['name']} {other[1]} ({slide})"
            raise DataError("the runs are of several assays or markers", seen=names)
    return found, parse(Assay, assay, where="run.json"), marker


def looks_of_runs(folders: Sequence[Path]) -> tuple[float, tuple[float, float, float], dict[str, Path]]:
    """Read what the slides of some runs have in common: pixel size, the DAB vector they were scored by, their pictures.

    Returns
    -------
    Pixel size (um/px), DAB vector, and slide -> picture, where there is one.

    Raises
    ------
    DataError
        Slides differ in pixel size by more than a quarter, or were scored by different stain vectors.
    """
    import pandas as pd

    sizes: dict[str, float] = {}
    vectors: dict[str, tuple[float, float, float]] = {}
    pictures: dict[str, Path] = {}
    for folder in folders:
        table = pd.read_csv(folder / "slides.csv", dtype={"slide": str}).set_index("slide")
        for slide, record in _records(folder).items():
            sizes[slide] = float(pd.to_numeric(table["mpp"])[slide])
            x, y, z = record["vectors"]["dab"]
            vectors[slide] = (float(x), float(y), float(z))
            names = (folder / kind / f"{file_name(slide)}{end}" for kind, end in _PICTURES)
            picture = next((path for path in names if path.is_file()), None)
            pictures |= {} if picture is None else {slide: picture}
    small, large = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    if not sizes[large] <= SAME_SIZE * sizes[small]:
        seen = f"{sizes[small]:.4g} um/px ({small}), {sizes[large]:.4g} um/px ({large})"
        raise DataError("the controls are of several pixel sizes", seen=seen, hint="Anchor each size on its own.")
    first = next(iter(vectors))
    other = next((name for name in vectors if angle_deg(vectors[first], vectors[name]) > SAME_ANGLE), None)
    if other is not None:
        seen = f"{first} and {other}"
        raise DataError("the controls were scored by other stain vectors", seen=seen, hint="Share one file: --stain.")
    return float(np.median(list(sizes.values()))), vectors[first], pictures


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "run.json"
    records = {name: one for name, one in read_record(folder)["slides"].items() if isinstance(one, dict)}
    brightfield = {name: one for name, one in records.items() if isinstance(one.get("assay"), dict)}
    if not brightfield:
        raise UsageError("this run did not score a brightfield assay", where=path)
    unnamed = next((name for name, one in brightfield.items() if not isinstance(one.get("marker"), str)), None)
    if unnamed is not None:
        raise DataError("the run's record names no marker for a slide", where=path, seen=unnamed)
    return brightfield


def _read(path: Path, marker: str) -> AnnData:
    import anndata as ad
    import pandas as pd

    table = pd.read_parquet(path)
    table.index = table["cell"].astype(str)
    cells = ad.AnnData(
        X=table[[f"{marker}_mean"]].to_numpy(dtype=np.float64),
        obs=table[[name for name in (keys.CELL_CLASS, "excluded", keys.AREA_UM2) if name in table]].copy(),
        var=pd.DataFrame(index=[marker]),
    )
    for layer in _LAYERS:
        if f"{marker}_{layer}" in table:
            cells.layers[layer] = table[[f"{marker}_{layer}"]].to_numpy(dtype=np.float64)
    return cells
