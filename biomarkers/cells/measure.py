"""What is measured in each cell, by plain sums of whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers import keys
from biomarkers.cells.grow import Labels, outermost
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.table import MEMBRANE_PARTIAL, MEMBRANE_STAINED_MEAN, Rows

if TYPE_CHECKING:
    from biomarkers.cells.tools import Tools

_MILLI = 1000.0
_DAB_SMOOTH_UM = 0.35
LOWEST = np.iinfo(np.int32).min


class Totals(NamedTuple):
    """Pixels, sum, sum of squares and highest value (``LOWEST`` without a pixel) of labels 1..count."""

    size: NDArray[np.int64]
    total: NDArray[np.int64]
    squares: NDArray[np.int64]
    highest: NDArray[np.int64]

    def mean(self) -> NDArray[np.float64]:
        """Mean of thousandths, in units; NaN where a label has no pixel."""
        return np.where(self.size > 0, self.total / np.maximum(self.size, 1) / _MILLI, np.nan)


def measure_cells(
    hematoxylin: NDArray[np.int32],
    dab: NDArray[np.int32],
    *,
    nuclei: Labels,
    cells: Labels,
    contrast: NDArray[np.int64],
    mpp: float,
    settings: CellSettings,
    tools: Tools,
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
    settings
        ``membrane_od`` and ``membrane_um``.
    tools
        The steps, plain or fast.
    """
    count = contrast.size
    moments = tools.label_moments(nuclei, count)[:, 1:]
    middle = middles(moments)
    soft = tools.smooth(dab, sigma_px=_DAB_SMOOTH_UM / mpp)
    ring = tools.outline_stain(soft, nuclei=nuclei, cells=cells, middle=middle, mpp=mpp, settings=settings)
    blank = np.full(count, np.nan)
    stains = (dab, hematoxylin)
    in_nuclei, in_cells, in_cytoplasm, in_membrane = (
        [tools.totals(stain, labels, count) for stain in stains]
        for labels in (nuclei, cells, ring.cytoplasm, ring.membrane)
    )
    layers = {
        keys.NUCLEUS_MEAN: _means(in_nuclei),
        keys.CYTOPLASM_MEAN: _means(in_cytoplasm),
        keys.MEMBRANE_MEAN: np.stack([ring.mean, in_membrane[1].mean()], axis=1),
        keys.CELL_MAX: np.stack([one.highest / _MILLI for one in in_cells], axis=1),
        keys.MEMBRANE_COMPLETENESS: np.stack([ring.completeness, blank], axis=1),
        MEMBRANE_STAINED_MEAN: np.stack([ring.stained_mean, blank], axis=1),
        MEMBRANE_PARTIAL: np.stack([ring.partial, blank], axis=1),
    }
    shape = nuclear_shape(nuclei, moments, in_nuclei[1], tools=tools)
    return Rows(
        middle=middle,
        area=in_cells[0].size,
        nucleus_area=in_nuclei[0].size,
        shape={"nucleus_contrast_od": contrast / _MILLI, **shape},
        mean=_means(in_cells),
        layers=layers,
    )


def nuclear_shape(
    nuclei: Labels, moments: NDArray[np.int64], hematoxylin: Totals, *, tools: Tools
) -> dict[str, NDArray[np.float64]]:
    """Shape and texture of each nucleus 1..n, ratios and optical densities.

    Returns
    -------
    ``nucleus_elongation`` (minor over major axis of the ellipse of the same moments, 0-1), ``nucleus_eccentricity``
    (0-1), ``nucleus_ellipse_fit`` (overlap with that ellipse, 0-1), ``nucleus_circularity`` (4 pi area over the
    squared perimeter, 1 for a disc), ``nucleus_hematoxylin_sd`` (optical density).
    """
    count = moments.shape[1]
    fit, area = (_sized(one, count) for one in tools.ellipse_fit(nuclei))
    minor, major = _axes(moments)
    perimeter = tools.edge_pixels(nuclei, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(minor / major)
        # the outermost pixels' centres run half a pixel inside the outline
        round_ = 4 * np.pi * area / np.maximum(perimeter * 1.06 + np.pi, 1) ** 2
        variance = hematoxylin.squares / area - (hematoxylin.mean() * _MILLI) ** 2
    return {
        "nucleus_elongation": ratio,
        "nucleus_eccentricity": np.sqrt(1 - ratio**2),
        "nucleus_ellipse_fit": fit / _MILLI,
        "nucleus_circularity": np.minimum(round_, 1.0),
        "nucleus_hematoxylin_sd": np.sqrt(np.maximum(variance, 0)) / _MILLI,
    }


def totals(values: NDArray[np.int32], labels: Labels, count: int) -> Totals:
    """Sum whole numbers over each label 1..count."""
    flat, owner = values.ravel().astype(np.int64), labels.ravel()
    highest = np.full(count + 1, LOWEST, np.int64)
    inside = np.flatnonzero(owner)
    np.maximum.at(highest, owner[inside], flat[inside])
    # sums of whole numbers below 2^53 stay exact in bincount's floats
    sizes, sums, squares = (
        np.bincount(owner, weights=weights, minlength=count + 1)[1 : count + 1].astype(np.int64)
        for weights in (None, flat, flat * flat)
    )
    return Totals(sizes, sums, squares, highest[1:])


def edge_pixels(labels: Labels, count: int) -> NDArray[np.int64]:
    """Count the outermost pixels of each label 1..count."""
    return np.bincount(labels[outermost(labels)], minlength=count + 1)[1 : count + 1]


def middles(moments: NDArray[np.int64]) -> NDArray[np.float64]:
    """Centroid (x, y) of each label from its pixels and sums, pixels; NaN where a label has no pixel."""
    size = moments[0]
    lengths = np.maximum(size, 1)
    return np.where(size[:, None] > 0, np.stack([moments[1] / lengths, moments[2] / lengths], axis=1), np.nan)


def centroids(labels: Labels, count: int) -> NDArray[np.float64]:
    """Centroid (x, y) of each label 1..count, pixels; NaN where a label has no pixel."""
    from biomarkers.cells.candidates import label_moments

    return middles(label_moments(labels, count)[:, 1:])


def _means(stains: list[Totals]) -> NDArray[np.float64]:
    return np.stack([one.mean() for one in stains], axis=1)


def _axes(moments: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances along the minor and the major axis of each label, px^2."""
    size, x, y, xx_sum, yy_sum, xy_sum = moments.astype(np.float64)
    area = np.maximum(size, 1)
    xx = (area * xx_sum - x * x) / area**2 + 1 / 12
    yy = (area * yy_sum - y * y) / area**2 + 1 / 12
    xy = (area * xy_sum - x * y) / area**2
    middle, swing = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.maximum(middle - swing, 0), middle + swing


def _sized(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    out = np.zeros(count + 1, np.int64)
    out[: values.size] = values
    return out[1:]
