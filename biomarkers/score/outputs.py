"""A scored slide as a table of cells and as QuPath objects."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers import keys
from biomarkers.score.overlay import cell_ids, overlay_image
from biomarkers.score.palette import kinds
from biomarkers.score.slide_score import SlideScore

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["cells_geojson", "cells_table", "overlay_image"]

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_DIGITS = 6


def cells_table(result: SlideScore) -> pd.DataFrame:
    """Lay the cells out as one row each.

    Returns
    -------
    ``slide``, ``cell`` (its name in ``obs``), the columns of ``obs`` (``x_um``, ``y_um``, ``cell_class``,
    ``<marker>_positive`` ...), then ``<marker>_mean`` and ``<marker>_<layer>`` of every channel.
    """
    return cell_frame(result.cells, slide=result.slide)


def cell_frame(cells: AnnData, *, slide: str) -> pd.DataFrame:
    """Lay called cells out as one row each; see :func:`cells_table`."""
    frame = cells.obs.reset_index(drop=True).copy()
    for name in frame.columns:
        if frame[name].dtype.kind not in "biuf":
            frame[name] = frame[name].astype(str)
    for number, marker in enumerate(cells.var_names):
        frame[f"{marker}_mean"] = np.asarray(cells.X)[:, number]
        for layer in sorted(name for name in cells.layers if name is not None):  # anndata 0.13 lists X as None
            frame[f"{marker}_{layer}"] = np.asarray(cells.layers[layer])[:, number]
    frame.insert(0, "slide", slide)
    frame.insert(1, "cell", cells.obs_names.astype(str))
    return frame


def cells_geojson(result: SlideScore) -> dict[str, Any]:
    """Lay the cells out as a GeoJSON FeatureCollection that QuPath opens on the full-resolution image.

    Every cell is a QuPath ``cell`` with its body and nucleus as outlines in full-resolution pixels, its class and
    intensity as the classification (``Tumor: 2+``) with the overlay's colour, and its measurements. Identifiers
    depend on the slide's name and the cell alone, so the same result is the same file.
    """
    from biomarkers.score.outlines import outlines  # numba: only when outlines are wanted

    if result.cells.n_obs == 0:
        return {"type": "FeatureCollection", "features": []}
    shown, index = kinds(result.cells, marker=result.marker)
    bodies, nuclei = outlines(result.cell_labels), outlines(result.nucleus_labels)
    table = _measurements(result)
    origin, step = np.array(result.tile.attrs[keys.ORIGIN]), int(result.tile.attrs.get(keys.DOWNSAMPLE, 1))
    features = []
    for row, (label, name) in enumerate(zip(cell_ids(result).tolist(), result.cells.obs_names, strict=True)):
        body = bodies.get(label, nuclei.get(label))
        if body is None:
            continue  # a cell without pixels on this grid has no outline to show
        kind = shown[index[row]]
        feature: dict[str, Any] = {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, f"{result.slide}/{result.marker}/{name}")),
            "geometry": _polygon(body * step, origin),
            "properties": {
                "objectType": "cell",
                "classification": {"name": kind.name, "color": list(kind.colour)},
                "measurements": table[row],
            },
        }
        if label in nuclei:
            feature["nucleusGeometry"] = _polygon(nuclei[label] * step, origin)
        features.append(feature)
    return {"type": "FeatureCollection", "features": features}


def _polygon(corners: np.ndarray, origin: np.ndarray) -> dict[str, Any]:
    ring = (corners + origin).tolist()
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _measurements(result: SlideScore) -> list[dict[str, float]]:
    """Finite numbers of every cell, rounded: QuPath reads no NaN, and six digits are more than a camera knows."""
    frame = result.table()
    numbers = [name for name in frame.columns if frame[name].dtype.kind in "iuf" and name != "label"]
    values = frame[numbers].to_numpy(dtype=np.float64)
    return [
        {name: round(value, _DIGITS) for name, value in zip(numbers, row, strict=True) if np.isfinite(value)}
        for row in values.tolist()
    ]
