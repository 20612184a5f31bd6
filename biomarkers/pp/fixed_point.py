"""Densities and stain weights as whole numbers: sums are exact, so results do not depend on order or library."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.density import LEAST_INTENSITY, White, check_white
from biomarkers.pp.vectors import StainVectors

UNIT = 4000  # of optical density: 2.4, the most that 8 bits hold, stays within 16 bits
WEIGHT = 4096
FIXED_POINT_SCALE = 16  # of averaged light: whole numbers for one grey level


def parts(od: float) -> int:
    """Return an optical density in whole units."""
    return round(od * UNIT)


@lru_cache(maxsize=64)
def whole_densities(white: White, *, per_grey: int = 1) -> NDArray[np.int32]:
    """Return the density of each level of light against a white.

    Parameters
    ----------
    white
        Level of empty glass per channel.
    per_grey
        Levels of light to one grey level: 1 for pixels, 4 for sums of four pixels, 16 for means in sixteenths.

    Returns
    -------
    int32 (3, 255 * per_grey + 1), one row a channel, not to be written to. Less than one grey level is read as one.
    """
    light = np.maximum(np.arange(255 * per_grey + 1) / per_grey, LEAST_INTENSITY)
    table = np.rint(np.log10(np.asarray(check_white(white))[:, None] / light) * UNIT).astype(np.int32)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=64)
def stain_weights(vectors: StainVectors) -> NDArray[np.int32]:
    """Return what each channel's density adds to hematoxylin, DAB and the residual, int32 (3 stains, 3 channels)."""
    weights = np.rint(vectors.unmixing().T * WEIGHT).astype(np.int32)
    weights.flags.writeable = False
    return weights
