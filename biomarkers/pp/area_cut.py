"""The cut of area scores: above the slide's own background of DAB, so that a blush does not count as stain."""

from __future__ import annotations

import numpy as np

from biomarkers.pp.squares import Squares
from biomarkers.pp.tissue import MIN_OD_SUM
from biomarkers.pp.vectors import StainVectors

# Set on 19 fields of HER2 and SP142 with grades: a floor of 0.20 OD orders SP142 fields of at least 1% above all others
# (0.25-8.8% against 0.01-0.03%), and 0.15 above the background takes the area of HER2 grade 0 from 25-45% to 5-20%
FLOOR_OD, ABOVE_BACKGROUND_OD = 0.20, 0.15
_BACKGROUND_OD = (0.0, 0.20)  # what is denser all over is stain
_BIN_OD, _SMOOTHING_BINS = 0.01, 5
_LEAST_SQUARES = 500


def dab_background_od(squares: Squares, *, vectors: StainVectors) -> float:
    """Return the amount of DAB that most tissue shows, as optical density.

    Parameters
    ----------
    squares
        Densities of squares of 1 um; those of tissue count (their channels' densities sum to more than 0.05).
    vectors
        Stain vectors.

    Returns
    -------
    The mode of the amounts within 0-0.20 OD, in bins of 0.01 OD smoothed over five: about 0.02 on a clean slide. It is
    0.20 where most tissue is denser (then it is stained, not blushing), and 0.0 for fewer than 500 squares of tissue.
    """
    tissue = squares.density.sum(axis=0) > MIN_OD_SUM
    if np.count_nonzero(tissue) < _LEAST_SQUARES:
        return 0.0
    red, green, blue = squares.density[:, tissue].astype(np.float64)
    weights = vectors.unmixing()[:, 1]
    amount = red * weights[0] + green * weights[1] + blue * weights[2]
    bins = np.floor(amount / _BIN_OD).astype(np.int64)
    counts = np.bincount(bins - bins.min())
    smooth = np.convolve(counts, np.ones(_SMOOTHING_BINS, np.int64), mode="same")
    mode = (int(np.argmax(smooth)) + int(bins.min()) + 0.5) * _BIN_OD
    low, high = _BACKGROUND_OD
    return round(min(max(mode, low), high), 3)


def area_cut_od(background_od: float) -> float:
    """Return the amount of DAB from which a pixel counts as stained area.

    Examples
    --------
    >>> area_cut_od(0.02), area_cut_od(0.16)
    (0.2, 0.31)
    """
    return round(max(FLOOR_OD, background_od + ABOVE_BACKGROUND_OD), 3)
