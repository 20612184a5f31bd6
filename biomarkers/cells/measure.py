"""What is measured in each cell, by plain sums of whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers import keys
from biomarkers.cells.candidates import ellipse_fit
from biomarkers.cells.filters import smooth
from biomarkers.cells.grow import Labels, outermost
from biomarkers.cells.outline_stain import outline_stain
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.table import MEMBRANE_STAINED_MEAN, Rows

_MILLI = 1000.0
_DAB_SMOOTH_UM = 0.35


def measure_cells(
    hematoxylin: NDArray[np.int32],
    dab: NDArray[np.int32],
    *,
    nuclei: Labels,
    cells: Labels,
    contrast: NDArray[np.int64],
    mpp: float,
    settings: CellSettings,
) -> Rows:
    """Measure cells 1..n.

    Parameters
    ----------
    hematoxylin, dab
        Thousandths of optical density, int32 (height, width).
    nuclei, cells
        int32 labels (height, width), the same numbers in both, none absent.
    contrast
        Contrast of each nucleus against its surroundings, thousandths (n,).
    mpp
        Micrometres per pixel.
    """
    count = contrast.size
    middle = centroids(nuclei, count)
    soft = smooth(dab, sigma_px=_DAB_SMOOTH_UM / mpp)
    ring = outline_stain(soft, nuclei=nuclei, cells=cells, middle=middle, mpp=mpp, settings=settings)
    blank = np.full(count, np.nan)

    def both(labels: Labels) -> NDArray[np.float64]:
        return np.stack([means(stain, labels, count) for stain in (dab, hematoxylin)], axis=1)

    membrane = both(ring.membrane)
    membrane[:, 0] = ring.mean
    layers = {
        keys.NUCLEUS_MEAN: both(nuclei),
        keys.CYTOPLASM_MEAN: both(ring.cytoplasm),
        keys.MEMBRANE_MEAN: membrane,
        keys.CELL_MAX: np.stack([maxima(stain, cells, count) for stain in (dab, hematoxylin)], axis=1),
        keys.MEMBRANE_COMPLETENESS: np.stack([ring.completeness, blank], axis=1),
        MEMBRANE_STAINED_MEAN: np.stack([ring.stained_mean, blank], axis=1),
    }
    return Rows(
        middle=middle,
        area=np.bincount(cells.ravel(), minlength=count + 1)[1 : count + 1],
        nucleus_area=np.bincount(nuclei.ravel(), minlength=count + 1)[1 : count + 1],
        shape={"nucleus_contrast_od": contrast / _MILLI, **nuclear_shape(nuclei, hematoxylin, count)},
        mean=both(cells),
        layers=layers,
    )


def nuclear_shape(nuclei: Labels, hematoxylin: NDArray[np.int32], count: int) -> dict[str, NDArray[np.float64]]:
    """Shape and texture of each nucleus 1..n, ratios and optical densities.

    Returns
    -------
    ``nucleus_elongation`` (minor over major axis of the ellipse of the same moments, 0-1), ``nucleus_eccentricity``
    (0-1), ``nucleus_ellipse_fit`` (overlap with that ellipse, 0-1), ``nucleus_circularity`` (4 pi area over the
    squared perimeter, 1 for a disc), ``nucleus_hematoxylin_sd`` (optical density).
    """
    fit, area = ellipse_fit(nuclei)
    fit, area = _sized(fit, count), _sized(area, count)
    flat = nuclei.ravel()
    minor, major = _axes(nuclei, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(minor / major)
        perimeter = np.bincount(flat, weights=outermost(nuclei).ravel(), minlength=count + 1)[1 : count + 1]
        # the outermost pixels' centres run half a pixel inside the outline
        round_ = 4 * np.pi * area / np.maximum(perimeter * 1.06 + np.pi, 1) ** 2
        mean = means(hematoxylin, nuclei, count) * _MILLI
        squares = np.bincount(flat, weights=hematoxylin.ravel().astype(np.float64) ** 2, minlength=count + 1)
        variance = squares[1 : count + 1] / area - mean**2
    return {
        "nucleus_elongation": ratio,
        "nucleus_eccentricity": np.sqrt(1 - ratio**2),
        "nucleus_ellipse_fit": fit / _MILLI,
        "nucleus_circularity": np.minimum(round_, 1.0),
        "nucleus_hematoxylin_sd": np.sqrt(np.maximum(variance, 0)) / _MILLI,
    }


def means(values: NDArray[np.int32], labels: Labels, count: int) -> NDArray[np.float64]:
    """Mean of thousandths over each label 1..count, in units; NaN where a label has no pixel."""
    sums = np.bincount(labels.ravel(), weights=values.ravel(), minlength=count + 1)[1 : count + 1]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1 : count + 1]
    return np.where(sizes > 0, sums / np.maximum(sizes, 1) / _MILLI, np.nan)


def maxima(values: NDArray[np.int32], labels: Labels, count: int) -> NDArray[np.float64]:
    """Largest value over each label 1..count, in units; every label must occur."""
    top = np.full(count + 1, np.iinfo(np.int32).min, np.int64)
    inside = np.flatnonzero(labels)
    np.maximum.at(top, labels.ravel()[inside], values.ravel()[inside])
    result: NDArray[np.float64] = top[1 : count + 1] / _MILLI
    return result


def centroids(labels: Labels, count: int) -> NDArray[np.float64]:
    """Centroid (x, y) of each label 1..count, pixels; NaN where a label has no pixel."""
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    sizes = np.bincount(owner, minlength=count + 1)[1 : count + 1]
    x = np.bincount(owner, weights=columns, minlength=count + 1)[1 : count + 1]
    y = np.bincount(owner, weights=rows, minlength=count + 1)[1 : count + 1]
    lengths = np.maximum(sizes, 1)
    return np.where(sizes[:, None] > 0, np.stack([x / lengths, y / lengths], axis=1), np.nan)


def _axes(labels: Labels, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances along the minor and the major axis of each label, px^2."""
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]

    def total(values: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.bincount(owner, weights=values, minlength=count + 1)[1 : count + 1].astype(np.float64)

    area = np.maximum(np.bincount(owner, minlength=count + 1)[1 : count + 1], 1).astype(np.float64)
    x, y = total(columns), total(rows)
    xx = (area * total(columns * columns) - x * x) / area**2 + 1 / 12
    yy = (area * total(rows * rows) - y * y) / area**2 + 1 / 12
    xy = (area * total(columns * rows) - x * y) / area**2
    middle, swing = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.maximum(middle - swing, 0), middle + swing


def _sized(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    out = np.zeros(count + 1, np.int64)
    out[: values.size] = values
    return out[1:]
