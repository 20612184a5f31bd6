"""Optical density: how much light was taken away, log10, against the slide's own white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import UsageError

White = tuple[float, float, float]
LEAST_INTENSITY = 1.0  # a pixel of 0 is read as 1: the darkest an 8-bit camera can tell


def optical_density(rgb: NDArray[np.uint8], *, white: White) -> NDArray[np.float32]:
    """Return the optical density of each channel.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3).
    white
        Level of empty glass per channel (R, G, B).

    Returns
    -------
    float32 (height, width, 3): ``log10(white / max(rgb, 1))``. Pixels brighter than the white are slightly negative,
    so that the mean of empty glass is 0 and not more.

    Raises
    ------
    UsageError
        A white level is not within 1-255.

    Notes
    -----
    Beer-Lambert; log10, so 1.0 means that a tenth of the light came through. No other scaling is applied.

    Examples
    --------
    >>> import numpy as np
    >>> optical_density(np.full((1, 1, 3), 24, np.uint8), white=(240.0, 240.0, 24.0)).tolist()
    [[[1.0, 1.0, 0.0]]]
    """
    table = density_table(white)
    return np.stack([table[channel][rgb[..., channel]] for channel in range(3)], axis=-1)


def density_table(white: White) -> NDArray[np.float32]:
    """Return the optical density of each of the 256 grey levels, float32 (3, 256), one row a channel."""
    levels = check_white(white)
    grey = np.maximum(np.arange(256, dtype=np.float64), LEAST_INTENSITY)
    return np.log10(np.asarray(levels)[:, None] / grey[None, :]).astype(np.float32)


def check_white(white: White) -> White:
    """Return the white level as three floats.

    Raises
    ------
    UsageError
        It is not three numbers within 1-255.
    """
    levels = tuple(float(one) for one in white)
    if len(levels) != 3 or not all(1 <= one <= 255 for one in levels):
        raise UsageError("not a white level", seen=white, allowed="three numbers (R, G, B) within 1-255")
    return levels
