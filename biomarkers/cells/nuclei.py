"""Nuclei: the plain reference, which is the definition of what is found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.filters import blobness, smooth
from biomarkers.cells.grow import Labels, flood
from biomarkers.cells.settings import CellSettings
from biomarkers.stain.density import White

_MILLI = 1000.0  # optical densities are held as whole thousandths
_SIXTEENTH = 16.0  # distances are held as whole sixteenths of a pixel
_SMOOTH_UM = 0.35
_BLOB_SIGMA_UM = 1.25
_SOLID = 0.25  # what is denser than this belongs to a nucleus even where it is not the local peak
_CAP, _ABOVE_CAP, _MOST_ABOVE = 0.30, 0.3, 0.045  # a soft cap keeps dark nuclei from drowning their neighbours
_HOLE_UM2 = 20.0
_SEED_DEPTH_UM = 0.5
_CUT = 0.3


@dataclass(frozen=True)
class WorkingImage:
    """A tile at the size at which nuclei are sought: whole thousandths of optical density."""

    density: NDArray[np.int32]  # (rows, columns, 3)
    factor: int  # tile pixels on one side of a working pixel
    mpp: float


def working_factor(mpp: float, settings: CellSettings) -> int:
    """Return how many tile pixels are averaged to one working pixel, on each side."""
    return max(1, round(settings.working_mpp / mpp))


def working_image(rgb: NDArray[np.uint8], *, white: White, mpp: float, settings: CellSettings) -> WorkingImage:
    """Average light (not density) over whole squares of pixels and take its optical density.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3); a last incomplete square repeats its edge.
    white
        Level of empty glass.
    mpp
        Micrometres per pixel.
    """
    factor = working_factor(mpp, settings)
    height, width = rgb.shape[:2]
    padded = np.pad(rgb, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="edge").astype(np.int64)
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    light = padded.reshape(rows, factor, columns, factor, 3).sum(axis=(1, 3)) / factor**2
    density = np.log10(np.asarray(white) / np.maximum(light, 1.0))
    return WorkingImage(np.rint(density * _MILLI).astype(np.int32), factor, mpp * factor)


def find_nuclei(work: WorkingImage, *, settings: CellSettings) -> Labels:
    """Find nuclei.

    Parameters
    ----------
    work
        The working image.
    settings
        Areas and least density.

    Returns
    -------
    int32 labels (rows, columns) of the working image, 1..n in the order of the seeds, 0 = no nucleus.
    """
    contrast = _contrast_image(work)
    soft = smooth(contrast, sigma_px=_SMOOTH_UM / work.mpp)
    mask = _nuclear_mask(contrast, soft, work.mpp, settings)
    labels = _split(mask, work.mpp)
    return _tidy(_cut_skirts(labels, soft), work.mpp, settings)


def _contrast_image(work: WorkingImage) -> NDArray[np.int32]:
    """Red absorbance holds hematoxylin and, weaker, DAB: a nucleus is dark in it whichever hides the other."""
    red = np.maximum(work.density[..., 0], 0)
    cap = int(_CAP * _MILLI)
    above = np.minimum((np.maximum(red - cap, 0) * _ABOVE_CAP), _MOST_ABOVE * _MILLI)
    return np.minimum(red, cap) + above.astype(np.int32)


def _nuclear_mask(
    contrast: NDArray[np.int32], soft: NDArray[np.int32], mpp: float, settings: CellSettings
) -> NDArray[np.bool_]:
    from scipy import ndimage

    peak = blobness(contrast, sigma_px=_BLOB_SIGMA_UM / mpp) > 0
    mask = (soft > settings.min_od * _MILLI) & (peak | (soft > _SOLID * _MILLI))
    mask = ndimage.binary_opening(mask, ndimage.generate_binary_structure(2, 1))
    return _fill_holes(mask, _HOLE_UM2 / mpp**2)


def _fill_holes(mask: NDArray[np.bool_], most_px: float) -> NDArray[np.bool_]:
    from scipy import ndimage

    holes, _ = ndimage.label(~mask)
    small = np.bincount(holes.ravel()) <= most_px
    small[0] = False
    filled: NDArray[np.bool_] = mask | small[holes]
    return filled


def _split(mask: NDArray[np.bool_], mpp: float) -> Labels:
    """Split touching nuclei at their necks: peaks of the distance to the outside are seeds."""
    from scipy import ndimage
    from skimage.morphology import local_maxima, reconstruction

    distance = np.floor(ndimage.distance_transform_edt(mask) * _SIXTEENTH).astype(np.int32)
    depth = round(_SEED_DEPTH_UM / mpp * _SIXTEENTH)
    domes = reconstruction(np.maximum(distance - depth, 0), distance)
    seeds, _ = ndimage.label(local_maxima(domes) & mask, np.ones((3, 3)))
    return flood(seeds.astype(np.int32), height=distance // 4, mask=mask)


def _cut_skirts(labels: Labels, soft: NDArray[np.int32]) -> Labels:
    """Take off the pale skirt of each object: what is below a share of its own peak."""
    from scipy import ndimage

    count = int(labels.max())
    peak = np.zeros(count + 1)
    if count:
        peak[1:] = ndimage.maximum(soft, labels, np.arange(1, count + 1))
    return np.where(soft >= _CUT * peak[labels], labels, 0).astype(np.int32)


def _tidy(labels: Labels, mpp: float, settings: CellSettings) -> Labels:
    """Keep the largest piece of each object when its area is a nucleus's."""
    from skimage.measure import label

    pieces = label(labels, connectivity=1, background=0)
    size = np.bincount(pieces.ravel())
    owner = np.zeros(size.size, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    largest = np.zeros(int(labels.max()) + 1, np.int64)
    np.maximum.at(largest, owner, size * (owner > 0))
    area = size * mpp**2
    keep = (owner > 0) & (size == largest[owner])
    keep &= (area >= settings.min_nucleus_um2) & (area <= settings.max_nucleus_um2)
    numbers = np.cumsum(keep) * keep
    return numbers[pieces].astype(np.int32)
