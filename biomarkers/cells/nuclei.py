"""Nuclei: the recipe, made of steps that exist twice (:mod:`biomarkers.cells.tools`).

Three partitions of the tissue, from coarse to fine, are made in the same way: a mask of what is locally high, split at
its necks. The coarse ones see large pale nuclei whole, the fine one parts crowded small ones. For each object the
partition whose pieces are the better ellipses is taken, and every nucleus then finds its own outline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.candidates import choose
from biomarkers.cells.contrast import WorkingImage, nuclear_contrast
from biomarkers.cells.grow import Labels
from biomarkers.cells.outline import contrast_of, refine, tidy
from biomarkers.cells.pieces import SIXTEENTH
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.tools import Tools

SMOOTH_UM = 0.35
_FINE_SIGMA_UM = 1.25
# (sigma of the Laplacian of Gaussian in um, least answer in thousandths): what the coarser masks add
_COARSER = ((2.5, 30), (2.0, 15))
_SOLID = 250  # what is denser than this belongs to a nucleus even where it is not the local peak
_HOLE_UM2 = 20.0
_SEED_DEPTH_UM = 0.5
_SKIRT_PERCENT = 30


def find_nuclei(work: WorkingImage, *, settings: CellSettings, tools: Tools) -> tuple[Labels, NDArray[np.int64]]:
    """Find nuclei.

    Parameters
    ----------
    work
        The working image.
    settings
        Areas and least density.
    tools
        The steps, plain or fast.

    Returns
    -------
    int32 labels (rows, columns) of the working image, 1..n, 0 = no nucleus; and the contrast of each label 0..n
    against its surroundings, thousandths of optical density.
    """
    contrast = nuclear_contrast(work, tools=tools)
    soft = tools.smooth(contrast, sigma_px=SMOOTH_UM / work.mpp)
    masks = _masks(contrast, soft, work.mpp, settings, tools)
    levels = [_partition(mask, soft, work.mpp, settings, tools) for mask in masks]
    area = work.mpp**2
    labels = choose(
        levels, least_px=settings.min_nucleus_um2 / area, most_px=settings.max_nucleus_um2 / area, tools=tools
    )
    labels = tidy(labels, mpp=work.mpp, settings=settings, tools=tools)
    labels = refine(labels, soft, mpp=work.mpp, tools=tools)
    labels = tools.fill_holes(tidy(labels, mpp=work.mpp, settings=settings, tools=tools))
    return labels, contrast_of(labels, soft, mpp=work.mpp, tools=tools)


def _masks(
    contrast: NDArray[np.int32], soft: NDArray[np.int32], mpp: float, settings: CellSettings, tools: Tools
) -> list[NDArray[np.bool_]]:
    """Mark what may be nucleus, from the most generous mask to the strictest."""
    dense = soft > round(settings.min_od * 1000)
    fine = (tools.blobness(contrast, sigma_px=_FINE_SIGMA_UM / mpp) > 0) | (soft > _SOLID)
    coarser = [fine | (tools.blobness(contrast, sigma_px=sigma / mpp) > least) for sigma, least in _COARSER]
    return [tools.solid(dense & mask, hole_px=_HOLE_UM2 / mpp**2) for mask in (*coarser, fine)]


def _partition(
    mask: NDArray[np.bool_], soft: NDArray[np.int32], mpp: float, settings: CellSettings, tools: Tools
) -> Labels:
    """Split a mask at its necks and take off each object's pale skirt."""
    distance = tools.sixteenths(mask)
    seeds = tools.dome_seeds(distance, depth=round(_SEED_DEPTH_UM / mpp * SIXTEENTH))
    labels = tools.flood(seeds, height=distance // 4, mask=mask)
    labels = tools.without_skirt(labels, soft, percent=_SKIRT_PERCENT)
    return tidy(labels, mpp=mpp, settings=settings, tools=tools, any_size=True)
