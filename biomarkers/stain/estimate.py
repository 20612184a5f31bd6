"""Stain vectors estimated from a slide, guarded: where the slide cannot tell them, the reference stands."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.slide.tile import tile_rgb
from biomarkers.stain.density import White, optical_density
from biomarkers.stain.vectors import (
    MAX_FROM_REFERENCE_DEG,
    MIN_SEPARATION_DEG,
    StainVectors,
    Vector,
    angle_deg,
)

if TYPE_CHECKING:
    import xarray as xr

_SATURATED_OD = 1.3  # denser pixels have lost their hue to the camera's floor
_LEAST_OD = 0.15
_EDGE_PERCENT = 1.0
_LEAST_PIXELS = 500
_SAMPLE = 400_000


def estimate_vectors(tile: xr.DataArray, *, white: White, reference: StainVectors | None = None) -> StainVectors:
    """Estimate the two stain vectors from the colours of a tile.

    Parameters
    ----------
    tile
        RGB tile (c, y, x).
    white
        Level of empty glass.
    reference
        What the estimate is held against, and what is returned when it fails; Ruifrok's when absent.

    Returns
    -------
    The estimate, or the reference with a warning when there is too little stain, when the two are less than 20
    degrees apart (one stain only: a blind estimate then invents the other), or when one lies more than 15 degrees
    from its reference.

    Notes
    -----
    Follows Macenko M, et al. A method for normalizing histology slides for quantitative analysis. ISBI 2009:1107-1110:
    the plane of the two leading directions of optical density, and in it the robust extremes (1st and 99th percentile)
    of the angle. Pixels below 0.15 and above 1.3 OD are left out.
    """
    reference = reference or StainVectors()
    rgb = tile_rgb(tile).reshape(-1, 3)
    sample = rgb[:: max(1, rgb.shape[0] // _SAMPLE)]
    density = optical_density(sample[None], white=white)[0].astype(np.float64)
    used = density[(density.max(axis=1) > _LEAST_OD) & (density.max(axis=1) < _SATURATED_OD)]
    if used.shape[0] < _LEAST_PIXELS:
        return _fall_back(reference, f"only {used.shape[0]} stained pixels")
    first, second = _extremes(used)
    if angle_deg(first, reference.hematoxylin) > angle_deg(second, reference.hematoxylin):
        first, second = second, first
    separation = angle_deg(first, second)
    if separation < MIN_SEPARATION_DEG:
        return _fall_back(reference, f"the two colours found are only {separation:.0f} degrees apart")
    for name, found, known in (("hematoxylin", first, reference.hematoxylin), ("DAB", second, reference.dab)):
        off = angle_deg(found, known)
        if off > MAX_FROM_REFERENCE_DEG:
            return _fall_back(reference, f"the estimate of {name} lies {off:.0f} degrees from its reference")
    return StainVectors(hematoxylin=first, dab=second, source="estimated from the slide")


def _extremes(density: NDArray[np.float64]) -> tuple[Vector, Vector]:
    _, directions = np.linalg.eigh(density.T @ density)
    plane = directions[:, 1:]
    plane = plane * np.sign(plane.sum(axis=0))
    across, along = (density @ plane).T
    angle = np.arctan2(across, along)
    ends = np.percentile(angle, [_EDGE_PERCENT, 100 - _EDGE_PERCENT])
    one, other = (np.abs(plane @ np.array([np.sin(end), np.cos(end)])) for end in ends)
    return _as_vector(one), _as_vector(other)


def _as_vector(values: NDArray[np.float64]) -> Vector:
    red, green, blue = (float(one) for one in values / np.linalg.norm(values))
    return red, green, blue


def _fall_back(reference: StainVectors, why: str) -> StainVectors:
    warnings.warn(f"stain vectors were not estimated, those of {reference.source} are used: {why}", stacklevel=3)
    return reference
