"""A scored slide as a table of cells and as QuPath objects."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.collector import lasting_objects
from biomarkers.score.overlay import cell_ids, overlay_image
from biomarkers.score.palette import kinds
from biomarkers.score.plain_cells import PlainCells

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from biomarkers.score.slide_score import SlideScore

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
    return cell_frame(result.shown, slide=result.slide)


def cell_frame(cells: AnnData | PlainCells, *, slide: str) -> pd.DataFrame:
    """Lay called cells out as one row each; see :func:`cells_table`."""
    if isinstance(cells, PlainCells):
        frame, kept = cells.obs.frame(), np.float32  # the precision of an AnnData of cells
    else:
        frame, kept = cells.obs.reset_index(drop=True).copy(), None
    for name in frame.columns:
        if frame[name].dtype.kind not in "biuf":
            frame[name] = _as_text(frame[name])
    for number, marker in enumerate(cells.var_names):
        frame[f"{marker}_mean"] = np.asarray(cells.X, kept)[:, number]
        for layer in sorted(name for name in cells.layers if name is not None):  # anndata 0.13 lists X as None
            frame[f"{marker}_{layer}"] = np.asarray(cells.layers[layer], kept)[:, number]
    if (
        not isinstance(cells, PlainCells) and "step" in cells.var
    ):  # the camera's steps, which gates of a whole batch need
        frame.attrs["steps"] = {str(name): float(step) for name, step in cells.var["step"].items()}
    frame.insert(0, "slide", slide)
    frame.insert(1, "cell", [str(name) for name in cells.obs_names])
    return frame


def _as_text(values: pd.Series) -> pd.Series:
    """Names as text; each category is spelled once, not once a cell."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype) and (values.cat.codes >= 0).all() and len(values):
        names = np.array([str(name) for name in values.cat.categories], dtype=object)
        return pd.Series(names[values.cat.codes.to_numpy()], index=values.index)
    return values.astype(str)


@lasting_objects()
def cells_geojson(result: SlideScore) -> dict[str, Any]:
    """Lay the cells out as a GeoJSON FeatureCollection that QuPath opens on the full-resolution image.

    Every cell is a QuPath ``cell`` with its body and nucleus as outlines in full-resolution pixels, its class and
    intensity as the classification (``Tumor: 2+``) with the overlay's colour, and its measurements. Identifiers
    depend on the slide's name and the cell alone, so the same result is the same file.
    """
    if result.shown.n_obs == 0:
        return {"type": "FeatureCollection", "features": []}
    shown, index = kinds(result.shown, marker=result.marker)
    origin, step = np.array(result.image.attrs[keys.ORIGIN]), int(result.image.attrs.get(keys.DOWNSAMPLE, 1))
    bodies, nuclei = (_rings(labels, origin, step) for labels in (result.cell_labels, result.nucleus_labels))
    table = _measurements(result)
    features = []
    for row, (label, name) in enumerate(zip(cell_ids(result).tolist(), result.shown.obs_names, strict=True)):
        body = bodies.get(label, nuclei.get(label))
        if body is None:
            continue  # a cell without pixels on this grid has no outline to show
        kind = shown[index[row]]
        feature: dict[str, Any] = {
            "type": "Feature",
            "id": cell_uuid(result.slide, result.marker, name),
            "geometry": _polygon(body),
            "properties": {
                "objectType": "cell",
                "classification": {"name": kind.name, "color": list(kind.colour)},
                "measurements": table[row],
            },
        }
        if label in nuclei:
            feature["nucleusGeometry"] = _polygon(nuclei[label])
        features.append(feature)
    return {"type": "FeatureCollection", "features": features}


def cell_uuid(slide: str, marker: str, name: str) -> str:
    """Return the identifier that a cell has in QuPath: the same cell of a slide has the same one in every file."""
    return str(uuid.uuid5(_NAMESPACE, f"{slide}/{marker}/{name}"))


def _rings(labels: np.ndarray, origin: np.ndarray, step: int) -> dict[int, list[list[int]]]:
    """Close the outline of every label, in full-resolution pixels; all corners become Python's numbers at one time."""
    from biomarkers.score.outlines import traced  # numba: only when outlines are wanted

    corners, starts, stops = traced(labels)
    there = np.flatnonzero(stops > starts)
    places = (corners * step + origin).tolist()
    ends = zip(there.tolist(), starts[there].tolist(), stops[there].tolist(), strict=True)
    return {label: [*places[start:stop], places[start]] for label, start, stop in ends}


def _polygon(ring: list[list[int]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


def _measurements(result: SlideScore) -> list[dict[str, float]]:
    """Finite numbers of every cell, rounded: QuPath reads no NaN, and six digits are more than a camera knows."""
    frame = result.cells_table()
    numbers = [name for name in frame.columns if frame[name].dtype.kind in "iuf" and name != "label"]
    values = frame[numbers].to_numpy(dtype=np.float64)
    finite = np.isfinite(values)
    rows = zip(rounded(values).tolist(), finite.tolist(), finite.all(axis=1).tolist(), strict=True)
    return [
        dict(zip(numbers, row, strict=True))
        if whole
        else {name: value for name, value, known in zip(numbers, row, there, strict=True) if known}
        for row, there, whole in rows
    ]


def rounded(values: np.ndarray) -> np.ndarray:
    """Round to six digits exactly as Python does number by number: by the decimal value, not by that of a product."""
    scale = 10.0**_DIGITS
    with np.errstate(over="ignore", invalid="ignore"):
        large = values * scale
        out: np.ndarray = np.rint(large) / scale
        # a product may fall on the other side of a half, and holds no half at all when it is very large
        unsure = np.isfinite(values) & ~(np.abs(np.abs(large - np.rint(large)) - 0.5) > np.spacing(np.abs(large)) * 4)
    out[unsure] = [round(value, _DIGITS) for value in values[unsure].tolist()]
    return out
