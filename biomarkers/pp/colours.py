"""Histograms and tallies of colours: the plain steps, on whole numbers, each with a compiled twin.

The twins in :mod:`biomarkers.pp.kernels.colours` give exactly what these give.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PAIRS = 4  # pixels in a square of 2 x 2


def pair_sums(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Sum 2 x 2 pixels; returns (n, 3). A last odd row or column is left out."""
    height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
    even = rgb[:height, :width].astype(np.uint16)
    sums = even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]
    return sums.reshape(-1, 3)


def histograms(colours: NDArray[np.integer], *, levels: int) -> NDArray[np.int64]:
    """Count how often each level 0..levels - 1 occurs in colours (n, 3); returns int64 (3, levels)."""
    return np.stack([np.bincount(colours[:, channel], minlength=levels) for channel in range(3)]).astype(np.int64)


def count_near(colours: NDArray[np.integer], densities: NDArray[np.int32], *, least: int, leave_out: int) -> int:
    """Count colours near glass.

    Parameters
    ----------
    colours
        Whole numbers (n, 3).
    densities
        Density of each level, int32 (3, levels).
    least
        The channels' densities must sum to less.
    leave_out
        Colours that have this level in all channels do not count.
    """
    total = sum(densities[channel][colours[:, channel]] for channel in range(3))
    return int(np.count_nonzero((total < least) & ~(colours == leave_out).all(axis=1)))


def tally_colours(
    colours: NDArray[np.uint8],
    densities: NDArray[np.int32],
    *,
    dab: NDArray[np.int32],
    neutral: NDArray[np.int32],
    levels: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Tally colours by what stains they may come from.

    Parameters
    ----------
    colours
        uint8 (n, 3).
    densities
        Density of each grey level against the slide's own white, int32 (3, 256).
    dab
        What each channel's density adds to the amount of DAB, int32 (3,).
    neutral
        What is added to each channel's density to make it that against a neutral white, int32 (3,).
    levels
        The sum of densities above which a pixel is stained, and the amount of DAB above which it is brown.

    Returns
    -------
    Of the pixels stained against the own white: how many, how many have the colour order of DAB, how many that of
    eosin, and the sum of the differences between their densest and their palest channel. Of the pixels stained against
    the neutral white: how many, and how many have the colour order of eosin.
    """
    stained, brown = levels.tolist()
    own = np.stack([densities[channel][colours[:, channel]] for channel in range(3)]).astype(np.int64)
    own, other = (one[:, one.sum(axis=0) > stained] for one in (own, own + neutral[:, None]))
    red, green, blue = own
    browns = (blue > green) & (green > red) & (own.T @ dab.astype(np.int64) > brown)
    spread = own.max(axis=0, initial=0) - own.min(axis=0, initial=np.iinfo(np.int32).max) if red.size else red
    pinks, neutral_pinks = ((2 * one[0] < one[1]) & (20 * one[2] < 17 * one[1]) for one in (own, other))
    return np.array([red.size, browns.sum(), pinks.sum(), spread.sum(), other.shape[1], neutral_pinks.sum()])
