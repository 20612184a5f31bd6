"""Stain vectors estimated from a slide, guarded: where the slide cannot tell them, the reference stands."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.io.tile import tile_rgb
from biomarkers.pp.density import White, optical_density
from biomarkers.pp.vectors import (
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
_EDGE_PERCENT, _EDGE_OF_ALL_PERCENT = 5.0, 1.0
_LEAST_ON_A_SIDE = 200  # pixels
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
    the plane of the two leading directions of optical density, and in it the robust extremes of the angle. Unlike there
    each extreme is taken among the pixels on its own side of the middle between the two references (the outermost 5%),
    so that a stain on few cells is not drowned by the other. Pixels below 0.15 and above 1.3 OD are left out.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.read_tile(bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif")
    >>> white = bm.estimate_white(tile)
    >>> bm.estimate_vectors(tile, white=white).source
    'estimated from the slide'
    """
    rgb = tile_rgb(tile).reshape(-1, 3)
    sample = rgb[:: max(1, rgb.shape[0] // _SAMPLE)]
    return vectors_of_densities(optical_density(sample[None], white=white)[0], reference=reference)


def vectors_of_densities(density: NDArray[np.floating[Any]], *, reference: StainVectors | None = None) -> StainVectors:
    """Estimate the two stain vectors from optical densities (n, 3); see :func:`estimate_vectors`."""
    reference = reference or StainVectors()
    values: NDArray[np.float64] = density.astype(np.float64)
    used = values[(values.max(axis=1) > _LEAST_OD) & (values.max(axis=1) < _SATURATED_OD)]
    if used.shape[0] < _LEAST_PIXELS:
        return _fall_back(reference, f"only {used.shape[0]} stained pixels")
    first, second = _extremes(used, reference)
    separation = angle_deg(first, second)
    if separation < MIN_SEPARATION_DEG:
        return _fall_back(reference, f"the two colours found are only {separation:.0f} degrees apart")
    for name, found, known in (("hematoxylin", first, reference.hematoxylin), ("DAB", second, reference.dab)):
        off = angle_deg(found, known)
        if off > MAX_FROM_REFERENCE_DEG:
            return _fall_back(reference, f"the estimate of {name} lies {off:.0f} degrees from its reference")
    return StainVectors(hematoxylin=first, dab=second, source="estimated from the slide")


def _extremes(density: NDArray[np.float64], reference: StainVectors) -> tuple[Vector, Vector]:
    """Return the robust extreme on the side of hematoxylin and on that of DAB."""
    _, directions = np.linalg.eigh(density.T @ density)
    plane = directions[:, 1:]
    plane = plane * np.sign(plane.sum(axis=0))
    across, along = (density @ plane).T
    angle = np.arctan2(across, along)
    known = [float(np.arctan2(*(np.array(one) @ plane))) for one in (reference.hematoxylin, reference.dab)]
    middle = sum(known) / 2
    found = []
    for one in known:
        up = one > middle
        side = angle[(angle > middle) == up]
        # a stain that is hardly there is sought among all pixels: the guards then see that it is not
        edge, pixels = (_EDGE_PERCENT, side) if side.size >= _LEAST_ON_A_SIDE else (_EDGE_OF_ALL_PERCENT, angle)
        end = np.percentile(pixels, 100 - edge if up else edge)
        found.append(_as_vector(np.abs(plane @ np.array([np.sin(end), np.cos(end)]))))
    return found[0], found[1]


def _as_vector(values: NDArray[np.float64]) -> Vector:
    red, green, blue = (float(one) for one in values / np.linalg.norm(values))
    return red, green, blue


def _fall_back(reference: StainVectors, why: str) -> StainVectors:
    warnings.warn(f"stain vectors were not estimated, those of {reference.source} are used: {why}", stacklevel=3)
    return reference
