"""Compartments of each cell and what is measured in them, by plain sums of whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.settings import CellSettings

SECTORS = 16  # the outline is judged in stretches of 22.5 degrees
_MILLI = 1000.0


@dataclass(frozen=True)
class Compartments:
    """Label images of one block; every pixel of a cell is nucleus, cytoplasm or membrane."""

    nucleus: Labels
    cytoplasm: Labels
    membrane: Labels
    cell: Labels


def compartments(nuclei: Labels, cells: Labels, *, mpp: float, settings: CellSettings) -> Compartments:
    """Divide cells.

    Parameters
    ----------
    nuclei, cells
        int32 (height, width), the same numbers in both.
    mpp
        Micrometres per pixel.

    Returns
    -------
    The membrane is the band of ``membrane_um`` inside the cell's border that is not nucleus, and at least the
    outermost ring of pixels; cytoplasm is the rest outside the nucleus.
    """
    from scipy import ndimage

    ring = border(cells)
    near = ndimage.distance_transform_edt(~ring) * mpp < settings.membrane_um
    in_nucleus = (nuclei > 0) & (nuclei == cells)
    band = (cells > 0) & ((near & ~in_nucleus) | ring)
    return Compartments(
        nucleus=np.where(in_nucleus & ~band, cells, 0),
        cytoplasm=np.where((cells > 0) & ~in_nucleus & ~band, cells, 0),
        membrane=np.where(band, cells, 0),
        cell=cells,
    )


def border(labels: Labels) -> NDArray[np.bool_]:
    """Outermost pixels of each label: one of the four neighbours is something else."""
    padded = np.pad(labels, 1, mode="edge")
    middle = padded[1:-1, 1:-1]
    other = np.zeros(labels.shape, bool)
    for near in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        other |= near != middle
    return other & (labels > 0)


def means(values: NDArray[np.int32], labels: Labels, count: int) -> NDArray[np.float64]:
    """Mean of thousandths over each label 1..count, in units; NaN where a label has no pixel."""
    sums = np.bincount(labels.ravel(), weights=values.ravel(), minlength=count + 1)[1 : count + 1]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1 : count + 1]
    with np.errstate(invalid="ignore"):
        result: NDArray[np.float64] = sums / sizes / _MILLI
    return result


def maxima(values: NDArray[np.int32], labels: Labels, count: int) -> NDArray[np.float64]:
    """Largest value over each label 1..count, in units."""
    top = np.full(count + 1, np.iinfo(np.int32).min, np.int64)
    np.maximum.at(top, labels.ravel(), values.ravel())
    result: NDArray[np.float64] = top[1 : count + 1] / _MILLI
    return result


def centroids(labels: Labels, count: int) -> NDArray[np.float64]:
    """Centroid (x, y) of each label 1..count, pixels."""
    flat = labels.ravel()
    rows, columns = np.indices(labels.shape)
    sizes = np.bincount(flat, minlength=count + 1)[1 : count + 1]
    x = np.bincount(flat, weights=columns.ravel(), minlength=count + 1)[1 : count + 1]
    y = np.bincount(flat, weights=rows.ravel(), minlength=count + 1)[1 : count + 1]
    with np.errstate(invalid="ignore"):
        result: NDArray[np.float64] = np.stack([x / sizes, y / sizes], axis=1)
    return result


def completeness(
    dab: NDArray[np.int32], parts: Compartments, middle: NDArray[np.float64], *, least_od: float
) -> NDArray[np.float64]:
    """Share of each cell's outline that is stained.

    Parameters
    ----------
    dab
        Smoothed DAB, thousandths (height, width).
    parts
        The compartments.
    middle
        Centroids (x, y) of the nuclei, pixels.
    least_od
        A stretch of outline counts as stained above this optical density.

    Returns
    -------
    float (n,), 0-1: stained stretches over stretches present, of 16 around the centroid. The stain of a stretch is
    the highest value outside the nucleus, since the true membrane need not lie exactly on the estimated border.
    """
    count = middle.shape[0]
    outside = (parts.cell > 0) & (parts.nucleus == 0)
    rows, columns = np.nonzero(outside)
    owner = parts.cell[rows, columns]
    angle = np.arctan2(rows - middle[owner - 1, 1], columns - middle[owner - 1, 0])
    # stretches are centred on the axes: no pixel lies on a boundary, so flips and rotations change nothing
    sector = np.floor(angle / (2 * np.pi) * SECTORS + 0.5).astype(np.int64) % SECTORS
    top = np.full((count + 1) * SECTORS, np.iinfo(np.int32).min, np.int64)
    np.maximum.at(top, owner * SECTORS + sector, dab[rows, columns])
    by_cell = top.reshape(count + 1, SECTORS)[1:]
    present = by_cell > np.iinfo(np.int32).min
    stained = by_cell > round(least_od * _MILLI)
    result: NDArray[np.float64] = (stained & present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return result
