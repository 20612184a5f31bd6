"""What is measured in each cell, by plain sums of whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.seg.grow import CellLabels, Labels, inner_boundary
from biomarkers.seg.moments import axes, label_moments, middles
from biomarkers.seg.outline_stain import MILLI, Band, OutlineStain
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.table import (
    DARK_SHARE,
    MEMBRANE_HALF,
    MEMBRANE_LINE,
    MEMBRANE_PARTIAL,
    MEMBRANE_STAINED_MEAN,
    Rows,
)

if TYPE_CHECKING:
    from biomarkers.seg.blocks import Block
    from biomarkers.seg.tools import Tools

_DAB_SMOOTH_UM = 0.35
LOWEST = np.iinfo(np.int16).min

Whole = NDArray[np.int64]


class Sums(NamedTuple):
    """Sums over nuclei 1..n; stains in thousandths of optical density."""

    moments: Whole  # pixels, x, y, x^2, y^2, x*y, (6, n)
    dab: Whole
    hematoxylin: Whole
    squares: Whole  # of hematoxylin
    edge: Whole  # pixels with something else among their four neighbours
    highest: Whole  # DAB and hematoxylin, (n, 2); LOWEST without a pixel


def measure_cells(
    amounts: tuple[NDArray[np.int16], NDArray[np.int16]],
    *,
    bodies: CellLabels,
    contrast: NDArray[np.int64],
    tissue: NDArray[np.bool_],
    block: Block,
    mpp: float,
    grown_px: int,
    settings: CellSettings,
    tools: Tools,
    lines: tuple[NDArray[np.int16], NDArray[np.int16]] | None = None,
) -> tuple[Rows, NDArray[np.intp]]:
    """Measure the cells among 1..n that a block owns.

    Parameters
    ----------
    amounts
        Hematoxylin and DAB, thousandths of optical density, int16 (height, width) each.
    bodies
        Nuclei and cells (height, width).
    contrast
        Contrast of each label 0..n against its surroundings, thousandths.
    tissue
        Where the window is tissue, bool (height, width).
    block
        Core, and the window that all this is of.
    mpp
        Micrometres per pixel.
    grown_px
        How far cells grew along an axis at most, px.
    settings
        ``membrane_od`` and ``membrane_um``.
    tools
        The steps, plain or fast.
    lines
        DAB smoothed, and how much of it is a thin line, thousandths (height, width) each; for membranes alone.

    Returns
    -------
    Rows in pixels of the window, and the label of each.
    """
    count = contrast.size - 1
    sums = tools.sums(amounts, bodies=bodies, count=count)
    middle = middles(sums.moments)
    owned = tools.owned(middle, tissue, block)
    wanted = np.zeros(count + 1, np.bool_)
    wanted[owned + 1] = True
    soft, line = (smooth_dab(amounts[1], mpp=mpp, tools=tools), None) if lines is None else lines
    ring = tools.outline_stain(
        soft,
        amounts,
        bodies=bodies,
        wanted=wanted,
        middle=middle,
        highest=sums.highest,
        mpp=mpp,
        grown_px=grown_px,
        settings=settings,
        line=line,
    )
    return tools.numbers(sums, ring, contrast).subset(owned), owned + 1


def smooth_dab(dab: NDArray[np.int16], *, mpp: float, tools: Tools) -> NDArray[np.int16]:
    """DAB smoothed over 0.35 um, thousandths."""
    return tools.smooth(dab, sigma_px=_DAB_SMOOTH_UM / mpp)


def numbers(sums: Sums, outline: OutlineStain, contrast: Whole) -> Rows:
    """Turn whole numbers of cells 1..n into means, shares and shapes.

    The mean over the outline is over all its stretches, ``membrane_stained_mean`` over the stained ones only (NaN where
    there is none); ``membrane_completeness`` is the share of stretches that are stained, 0-1, ``membrane_partial`` the
    level that two fifths of the stretches reach: whatever the cut, at least so much of the outline is stained where the
    cut lies below it.
    """
    blank = np.full(contrast.size - 1, np.nan)
    nucleus = Band(sums.moments[0], sums.dab, sums.hematoxylin)
    membrane, cytoplasm, body = outline.bands
    whole = Band(*(one + other for one, other in zip(nucleus, body, strict=True)))
    present, level, stained, stained_level, partial = outline.stretches
    membrane_mean, stained_mean = _ratio(level, present) / MILLI, _ratio(stained_level, stained) / MILLI
    layers = {
        keys.NUCLEUS_MEAN: _means(nucleus),
        keys.CYTOPLASM_MEAN: _means(cytoplasm),
        keys.MEMBRANE_MEAN: np.stack([membrane_mean, _means(membrane)[:, 1]], axis=1),
        keys.CELL_MAX: outline.highest / MILLI,
        keys.MEMBRANE_COMPLETENESS: np.stack([np.nan_to_num(_ratio(stained, present)), blank], axis=1),
        MEMBRANE_STAINED_MEAN: np.stack([stained_mean, blank], axis=1),
        MEMBRANE_PARTIAL: np.stack([partial / MILLI, blank], axis=1),
        **_rim_layers(outline, size=whole.size, blank=blank),
    }
    return Rows.of(
        middle=middles(sums.moments),
        area=whole.size,
        nucleus_area=nucleus.size,
        shape={"nucleus_contrast_od": contrast[1:] / MILLI, **nuclear_shape(sums)},
        mean=_means(whole),
        layers=layers,
    )


def _rim_layers(outline: OutlineStain, *, size: Whole, blank: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Layers of what was read for membranes alone; NaN where it was not asked for."""
    rim, names = outline.rim, (MEMBRANE_HALF, MEMBRANE_LINE, DARK_SHARE)
    values = (blank,) * 3 if rim is None else (rim.level / MILLI, rim.line / MILLI, rim.dark / np.maximum(size, 1))
    return {name: np.stack([value, blank], axis=1) for name, value in zip(names, values, strict=True)}


def nuclear_shape(sums: Sums) -> dict[str, NDArray[np.float64]]:
    """Shape and texture of each nucleus, ratios and optical densities.

    Returns
    -------
    ``nucleus_elongation`` (minor over major axis of the ellipse of the same moments, 0-1), ``nucleus_eccentricity``
    (0-1), ``nucleus_ellipse_fit`` (area over that of the same ellipse, 1 for an ellipse), ``nucleus_circularity`` (4 pi
    area over the squared perimeter, 1 for a disc), ``nucleus_hematoxylin_sd`` (optical density).
    """
    area = sums.moments[0]
    minor, major = axes(sums.moments)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(minor / major)
        fit = area / (4 * np.pi * np.sqrt(np.maximum(minor * major, 1e-9)))
        # the outermost pixels' centres run half a pixel inside the outline
        round_ = 4 * np.pi * area / np.maximum(sums.edge * 1.06 + np.pi, 1) ** 2
        mean = sums.hematoxylin / np.maximum(area, 1)
        variance = sums.squares / np.maximum(area, 1) - mean**2
    return {
        "nucleus_elongation": ratio,
        "nucleus_eccentricity": np.sqrt(1 - ratio**2),
        "nucleus_ellipse_fit": np.minimum(fit, 1.0),
        "nucleus_circularity": np.minimum(round_, 1.0),
        "nucleus_hematoxylin_sd": np.sqrt(np.maximum(variance, 0)) / MILLI,
    }


def sums(amounts: tuple[NDArray[np.int16], NDArray[np.int16]], *, bodies: CellLabels, count: int) -> Sums:
    """Sum whole numbers over nuclei 1..count."""
    hematoxylin, dab = (one.astype(np.int64) for one in amounts)
    nuclei = bodies.nuclei

    def over(labels: Labels, values: Whole | None) -> Whole:
        # sums of whole numbers below 2^53 stay exact in bincount's floats
        weights = None if values is None else values.ravel()
        return np.bincount(labels.ravel(), weights=weights, minlength=count + 1)[1:].astype(np.int64)

    def highest(values: Whole) -> Whole:
        out = np.full(count + 1, LOWEST, np.int64)
        np.maximum.at(out, nuclei.ravel(), values.ravel())
        return out[1:]

    return Sums(
        moments=label_moments(nuclei, count)[:, 1:],
        dab=over(nuclei, dab),
        hematoxylin=over(nuclei, hematoxylin),
        squares=over(nuclei, hematoxylin * hematoxylin),
        edge=over(np.where(inner_boundary(nuclei), nuclei, 0), None),
        highest=np.stack([highest(dab), highest(hematoxylin)], axis=1),
    )


def _ratio(total: Whole, count: Whole) -> NDArray[np.float64]:
    """Quotient, NaN where nothing was counted."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _means(band: Band) -> NDArray[np.float64]:
    """Mean of both stains in optical density; NaN where there is no pixel."""
    size = band.size[:, None]
    totals = np.stack([band.dab, band.hematoxylin], axis=1)
    return np.where(size > 0, totals / np.maximum(size, 1) / MILLI, np.nan)
