"""Annotations meet cells and pixels: regions, classes, exclusion, areas, labels to train on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import DataError
from biomarkers.io.annotations import Annotations, Region
from biomarkers.io.annotations_classes import EXCLUDING, PLAIN_REGION

if TYPE_CHECKING:
    from anndata import AnnData
    from shapely.geometry.base import BaseGeometry

OUTSIDE = "outside"  # the region of cells in no annotated area
_POINT_REACH_UM = 6.0  # a labelled point belongs to the nearest nucleus within this distance
_SAME_SPOT_UM = 3.0  # two labels closer than this are meant for one nucleus


def apply_annotations(
    cells: AnnData, annotations: Annotations, *, mpp: float, classify: bool = True
) -> tuple[AnnData, list[str]]:
    """Give every cell its region, and leave out those that are not to be counted.

    A cell belongs to the smallest area that holds its centre; Ignore and Necrosis win over everything. Where areas to
    analyse (Region*) or tissue areas (Tumor, Stroma ...) were drawn, cells outside all of them are left out.

    Parameters
    ----------
    cells
        Cells with ``x_um`` and ``y_um``.
    annotations
        What was drawn, in full-resolution pixels.
    mpp
        Micrometres a full-resolution pixel.
    classify
        Take the area's class for the class of its cells.

    Returns
    -------
    A copy of ``cells`` with ``region`` (text) and ``excluded`` (bool) in ``obs``, and with ``cell_class`` when
    ``classify`` is true and a tissue area was drawn; and notes for the user.
    """
    names = region_of(cells, annotations, mpp=mpp)
    found = cells.copy()
    found.obs[keys.REGION] = names
    excluded = np.isin(names, EXCLUDING)
    if annotations.meanings - set(EXCLUDING):
        excluded |= names == OUTSIDE
    found.obs["excluded"] = excluded
    notes = [*annotations.notes, *unknown_notes(annotations, mpp=mpp)]
    tissue = annotations.meanings & set(keys.CELL_CLASSES)
    if classify and tissue:
        classes = np.where(np.isin(names, sorted(tissue)), names, keys.UNKNOWN)
        found.obs[keys.CELL_CLASS] = classes
        found.uns["class_source"] = {"method": "annotations", "classes": sorted(tissue)}
        if keys.TUMOR in tissue:
            notes.append("cells in Tumor annotations count as tumor cells, immune cells among them too")
    return found, notes


def unknown_notes(annotations: Annotations, *, mpp: float) -> list[str]:
    """Say which shapes are not used since their class means nothing here, and how large they are.

    Parameters
    ----------
    annotations
        What was drawn.
    mpp
        Micrometres a full-resolution pixel.
    """
    if not annotations.unknown:
        return []
    shown = ", ".join(
        f"{name or 'without a class'} ({count}, {area * mpp**2 / 1e6:.3g} mm2)"
        for name, count, area in annotations.unknown
    )
    return [f"annotations that mean nothing here are not used: {shown}; say what their classes mean with --classes"]


def region_of(cells: AnnData, annotations: Annotations, *, mpp: float) -> np.ndarray:
    """Return the meaning of the area each cell's centre lies in, (n_cells,) text; ``outside`` for none."""
    import shapely

    x = cells.obs[keys.X_UM].to_numpy(dtype=np.float64) / mpp
    y = cells.obs[keys.Y_UM].to_numpy(dtype=np.float64) / mpp
    names = np.full(cells.n_obs, OUTSIDE, dtype=object)
    for region in _painting_order(annotations.regions):
        shapely.prepare(region.geometry)
        names[shapely.contains_xy(region.geometry, x, y)] = region.meaning
    return names.astype(str)


def region_masks(
    annotations: Annotations, *, shape: tuple[int, int], origin: tuple[float, float], downsample: float
) -> dict[str, np.ndarray]:
    """Paint the areas on a pixel grid.

    Parameters
    ----------
    annotations
        What was drawn, in full-resolution pixels.
    shape
        Rows and columns of the grid.
    origin
        Full-resolution position (x, y) of the grid's first pixel.
    downsample
        Full-resolution pixels a grid pixel.

    Returns
    -------
    A bool mask (rows, columns) for every meaning that occurs, and for ``outside``; each pixel is in exactly one.
    """
    import shapely

    x = origin[0] + (np.arange(shape[1]) + 0.5) * downsample
    y = origin[1] + (np.arange(shape[0]) + 0.5) * downsample
    order = [OUTSIDE, *sorted(annotations.meanings)]
    painted = np.zeros(shape, dtype=np.uint8)
    for region in _painting_order(annotations.regions):
        left, top, right, bottom = region.geometry.bounds
        columns = slice(int(np.searchsorted(x, left)), int(np.searchsorted(x, right, side="right")))
        rows = slice(int(np.searchsorted(y, top)), int(np.searchsorted(y, bottom, side="right")))
        shapely.prepare(region.geometry)
        grid_x, grid_y = np.meshgrid(x[columns], y[rows])
        inside = shapely.contains_xy(region.geometry, grid_x, grid_y)
        painted[rows, columns][inside] = order.index(region.meaning)
    return {name: painted == code for code, name in enumerate(order)}


def cell_labels(cells: AnnData, annotations: Annotations, *, mpp: float) -> np.ndarray:
    """Return the class an annotator gave each cell, (n_cells,) text; empty for cells without a label.

    Points label the nearest cell within 6 um, areas label every cell in them; a point wins over an area.

    Raises
    ------
    DataError
        No annotation labels a cell, two points give one cell two classes, or points lie on no cell.
    """
    names = region_of(cells, annotations, mpp=mpp)
    labels = np.where(np.isin(names, [name for name in keys.CELL_CLASSES if name != keys.UNKNOWN]), names, "").astype(
        object
    )
    _label_points(labels, cells, annotations, mpp)
    if not (labels != "").any():
        raise DataError("the annotations label no cell", where=annotations.source, seen=sorted(annotations.meanings))
    return labels.astype(str)


def _label_points(labels: np.ndarray, cells: AnnData, annotations: Annotations, mpp: float) -> None:
    points = [(x * mpp, y * mpp, meaning) for x, y, meaning in annotations.points if meaning in keys.CELL_CLASSES]
    if not points:
        return
    if cells.n_obs == 0:
        raise DataError("no cell was found where points label some", where=annotations.source, seen=len(points))
    from scipy.spatial import KDTree

    centres = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=np.float64)
    distance, nearest = KDTree(centres).query([point[:2] for point in points])
    given: dict[int, tuple[float, float, str]] = {}
    merged: set[int] = set()
    for point, away, index in zip(points, distance, nearest, strict=True):
        if away > _POINT_REACH_UM:
            continue  # a nucleus the segmentation did not find
        held = given.setdefault(int(index), point)
        if held[2] == point[2]:
            continue
        if math.dist(held[:2], point[:2]) < _SAME_SPOT_UM:
            raise DataError(
                "two labels on one cell",
                where=annotations.source,
                seen=f"{held[2]} and {point[2]} near x {point[0] / mpp:.0f}, y {point[1] / mpp:.0f} px",
            )
        merged.add(int(index))  # two annotated cells that the segmentation took for one: neither teaches anything
    if len(given) < len(points) / 2:
        raise DataError(
            "most labelled points lie on no cell",
            where=annotations.source,
            seen=f"{len(given)} of {len(points)} within {_POINT_REACH_UM:g} um",
            hint="Is the pixel size right, and are these the annotations of this image?",
        )
    for index, (_, _, meaning) in given.items():
        labels[index] = "" if index in merged else meaning


def _painting_order(regions: tuple[Region, ...]) -> list[Region]:
    """Large areas first, so that small ones drawn inside them win; what excludes comes last and wins over all."""

    def rank(region: Region) -> tuple[int, float]:
        step = 2 if region.meaning in EXCLUDING else 0 if region.meaning == PLAIN_REGION else 1
        return step, -_area(region.geometry)

    return sorted(regions, key=rank)


def _area(geometry: BaseGeometry) -> float:
    return float(geometry.area)
