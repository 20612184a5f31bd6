"""Nuclei: the plain reference, which is the definition of what is found.

Three partitions of the tissue, from coarse to fine, are made in the same way: a mask of what is locally high, split at
its necks. The coarse ones see large pale nuclei whole, the fine one parts crowded small ones. For each object the
partition whose pieces are the better ellipses is taken, and every nucleus then finds its own outline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.candidates import choose
from biomarkers.cells.contrast import WorkingImage, nuclear_contrast
from biomarkers.cells.filters import blobness, smooth
from biomarkers.cells.grow import Labels, flood
from biomarkers.cells.outline import contrast_of, fill_holes, quantile, refine, tidy
from biomarkers.cells.settings import CellSettings

SMOOTH_UM = 0.35
_FINE_SIGMA_UM = 1.25
# (sigma of the Laplacian of Gaussian in um, least answer in thousandths): what the coarser masks add
_COARSER = ((2.5, 30), (2.0, 15))
_SOLID = 250  # what is denser than this belongs to a nucleus even where it is not the local peak
_HOLE_UM2 = 20.0
_SEED_DEPTH_UM = 0.5
_SIXTEENTH = 16.0  # distances are held as whole sixteenths of a pixel
_SKIRT_PERCENT = 30


def find_nuclei(work: WorkingImage, *, settings: CellSettings) -> tuple[Labels, NDArray[np.int64]]:
    """Find nuclei.

    Parameters
    ----------
    work
        The working image.
    settings
        Areas and least density.

    Returns
    -------
    int32 labels (rows, columns) of the working image, 1..n, 0 = no nucleus; and the contrast of each label 0..n
    against its surroundings, thousandths of optical density.
    """
    contrast = nuclear_contrast(work)
    soft = smooth(contrast, sigma_px=SMOOTH_UM / work.mpp)
    levels = [_partition(mask, soft, work.mpp, settings) for mask in _masks(contrast, soft, work.mpp, settings)]
    area = work.mpp**2
    labels = choose(levels, least_px=settings.min_nucleus_um2 / area, most_px=settings.max_nucleus_um2 / area)
    labels = tidy(labels, mpp=work.mpp, settings=settings)
    labels = fill_holes(tidy(refine(labels, soft, mpp=work.mpp), mpp=work.mpp, settings=settings))
    return labels, contrast_of(labels, soft, mpp=work.mpp)


def _masks(
    contrast: NDArray[np.int32], soft: NDArray[np.int32], mpp: float, settings: CellSettings
) -> list[NDArray[np.bool_]]:
    """Mark what may be nucleus, from the most generous mask to the strictest."""
    dense = soft > round(settings.min_od * 1000)
    fine = (blobness(contrast, sigma_px=_FINE_SIGMA_UM / mpp) > 0) | (soft > _SOLID)
    coarser = [fine | (blobness(contrast, sigma_px=sigma / mpp) > least) for sigma, least in _COARSER]
    return [_smoothed(dense & mask, mpp) for mask in (*coarser, fine)]


def _smoothed(mask: NDArray[np.bool_], mpp: float) -> NDArray[np.bool_]:
    """Fill small holes and take off threads one pixel wide."""
    from scipy import ndimage

    holes, _ = ndimage.label(~mask)
    small = np.bincount(holes.ravel()) <= _HOLE_UM2 / mpp**2
    small[0] = False
    opened: NDArray[np.bool_] = ndimage.binary_opening(mask | small[holes], ndimage.generate_binary_structure(2, 1))
    return opened


def _partition(mask: NDArray[np.bool_], soft: NDArray[np.int32], mpp: float, settings: CellSettings) -> Labels:
    """Split a mask at its necks and take off each object's pale skirt."""
    from scipy import ndimage
    from skimage.morphology import local_maxima, reconstruction

    distance = np.floor(ndimage.distance_transform_edt(mask) * _SIXTEENTH).astype(np.int32)
    depth = round(_SEED_DEPTH_UM / mpp * _SIXTEENTH)
    domes = reconstruction(np.maximum(distance - depth, 0), distance)
    seeds, _ = ndimage.label(local_maxima(domes, connectivity=2) & mask, np.ones((3, 3)))
    labels = flood(seeds.astype(np.int32), height=distance // 4, mask=mask)
    peak = quantile(soft, labels, numerator=1, denominator=1)
    labels = np.where(100 * soft >= _SKIRT_PERCENT * peak[labels], labels, 0).astype(np.int32)
    return tidy(labels, mpp=mpp, settings=settings, any_size=True)
