"""Detail, dark stain and grains of a field: the plain steps, on whole numbers, each with a compiled twin.

The twins in :mod:`biomarkers.pp.kernels.field` give exactly what these give. Densities and weights of stains are
those of :mod:`biomarkers.pp.fixed_point`; weights of smoothing sum to 256.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.fixed_point import FIXED_POINT_SCALE, WEIGHT

_SMOOTHING = 256
_TRUNCATE = 3.0
# blue's excess over red, of the three densities: 15% and more in the dense DAB of 41 real fields (HER2, SP142, Ki-67,
# FHL2), 11% in black ink drawn over the brown of simulated ones
BROWN_PERCENT = 12


class Split(NamedTuple):
    """Density of green and amount of DAB, where there is stain, and how many stained pixels neither stain explains."""

    green: NDArray[np.int16]
    dab: NDArray[np.int16]
    stained: NDArray[np.bool_]
    unexplained: int


def smoothing_weights(sigma_px: float) -> NDArray[np.int32]:
    """Return one half of a Gaussian, middle first; both halves and the middle sum to 256."""
    offsets = np.arange(np.ceil(_TRUNCATE * sigma_px) + 1)
    values = np.exp(-(offsets**2) / (2 * sigma_px**2))
    shares = values / (2 * values.sum() - 1)
    # the sums from each offset outwards are rounded, so that no rounding piles up anywhere
    outwards = np.rint(np.cumsum(shares[:0:-1])[::-1] * _SMOOTHING).astype(np.int32)
    outwards = outwards[: np.count_nonzero(outwards)]
    middle = np.array([_SMOOTHING - 2 * outwards[:1].sum()])
    weights: NDArray[np.int32] = np.concatenate([middle, outwards - np.append(outwards, 0)[1:]]).astype(np.int32)
    return weights


def split(
    rgb: NDArray[np.uint8], densities: NDArray[np.int32], weights: NDArray[np.int32], *, levels: NDArray[np.int32]
) -> Split:
    """Look up densities and weigh them.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3).
    densities
        Density of each grey level, int32 (3, 256).
    weights
        What each channel adds to DAB and to the residual, int32 (2, 3).
    levels
        Three densities: sum of the channels of a stained pixel, residual of one that neither stain explains, and what
        the densest channel must stay below for its hue to be told.
    """
    least, residual, saturated = levels.tolist()
    red, green, blue = (densities[channel][rgb[..., channel]] for channel in range(3))
    dab, rest = ((red * row[0] + green * row[1] + blue * row[2] + WEIGHT // 2) // WEIGHT for row in weights)
    stained = red + green + blue > least
    strange = stained & (np.abs(rest) > residual) & (np.maximum(np.maximum(red, green), blue) < saturated)
    return Split(green.astype(np.int16), dab.astype(np.int16), stained, int(np.count_nonzero(strange)))


def at_least(
    rgb: NDArray[np.uint8], densities: NDArray[np.int32], weights: NDArray[np.int32], *, least: int
) -> NDArray[np.bool_]:
    """Compare the weighted sum of the channels' densities, bool (height, width); ``weights`` are int32 (3,)."""
    red, green, blue = (densities[channel][rgb[..., channel]] * weights[channel] for channel in range(3))
    enough: NDArray[np.bool_] = red + green + blue >= least
    return enough


def at_least_in(
    rgb: NDArray[np.uint8],
    dab: NDArray[np.int16],
    part: tuple[slice, slice],
    densities: NDArray[np.int32],
    weights: NDArray[np.int32],
    *,
    least: int,
    near: tuple[int, int],
) -> NDArray[np.bool_]:
    """Compare rows and columns ``part`` as :func:`at_least` does, but only where ``dab`` lies within ``near``.

    What has more is enough, what has less is not.
    """
    known = dab[part]
    unsure = (known >= near[0]) & (known <= near[1])
    return np.where(unsure, at_least(rgb[part], densities, weights, least=least), known > near[1])


def soft_dab(
    rgb: NDArray[np.uint8],
    densities: NDArray[np.int32],
    weights: NDArray[np.int32],
    smoothing: NDArray[np.int32],
    *,
    levels: NDArray[np.int32],
) -> tuple[NDArray[np.int16], int, int]:
    """Return the amount of DAB, smoothed, how many pixels are stained, and how many neither stain explains."""
    parts = split(rgb, densities, weights, levels=levels)
    return smooth(parts.dab, smoothing), int(np.count_nonzero(parts.stained)), parts.unexplained


def smooth(image: NDArray[np.int16], weights: NDArray[np.int32]) -> NDArray[np.int16]:
    """Smooth along both axes; the border repeats, and nothing is rounded before the end (half up)."""
    total = image.astype(np.int64)
    for axis in (0, 1):
        reach = weights.size - 1
        padded = np.pad(total, [(reach, reach) if one == axis else (0, 0) for one in (0, 1)], mode="edge")
        size = total.shape[axis]
        total = sum(
            int(weights[abs(offset)]) * padded.take(np.arange(reach + offset, reach + offset + size), axis=axis)
            for offset in range(-reach, reach + 1)
        )  # type: ignore[assignment]
    return ((total + _SMOOTHING**2 // 2) // _SMOOTHING**2).astype(np.int16)


def squares_of_differences(one: NDArray[np.int16], other: NDArray[np.int16], where: NDArray[np.bool_]) -> int:
    """Sum the squares of the differences of two images where a mask is set."""
    return int(((one.astype(np.int64) - other)[where] ** 2).sum())


def count_grains(
    dab: NDArray[np.int16], *, dense: int, area: tuple[int, int], ring: tuple[int, int], around: int
) -> int:
    """Count small dark spots in surroundings that are not brown.

    Parameters
    ----------
    dab
        Amounts, int16 (height, width).
    dense
        Pixels above this, joined side by side, are a spot.
    area
        Least and largest area of a grain, px. Spots at the border do not count: they may be part of something large.
    ring
        The surroundings: what lies further than the first and not further than the second from the spot's nearest
        pixel; squares of distances in px.
    around
        The mean of the surroundings must stay below this.
    """
    from scipy import ndimage

    spots, _ = ndimage.label(dab > dense)
    found = 0
    for label, box in enumerate(ndimage.find_objects(spots), start=1):
        inside = all(part.start > 0 and part.stop < side for part, side in zip(box, dab.shape, strict=True))
        spot = spots == label
        if inside and area[0] <= np.count_nonzero(spot) <= area[1]:
            squares = np.rint(ndimage.distance_transform_edt(~spot) ** 2)
            values = dab[(squares > ring[0]) & (squares <= ring[1])].astype(np.int64)
            found += int(values.sum() < around * values.size)
    return found


def solid_masks(
    means: NDArray[np.float64], densities: NDArray[np.int32], weights: NDArray[np.int32], *, pen: int, dark: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark mean colours that ink may have, and dense ones that it has not.

    Parameters
    ----------
    means
        Mean grey levels (rows, columns, 3).
    densities, weights
        Density of each sixteenth of a grey level, int32 (3, levels); what each channel adds to stains, int32 (3, 3).
    pen, dark
        Length of the three densities above which a colour may be ink, and is dark.

    Returns
    -------
    Where one stain's amount is below -0.15 times that length, or the residual beyond a quarter of it; and where neither
    is so but the colour is dark. Brown is neither, however dense: where blue is absorbed at least as much as green,
    green as much as red, and blue exceeds red by 12% of the three. A camera's floor bends the hue of saturated DAB, but
    not that order, and every ink but a brown one breaks it.
    """
    light = (means * FIXED_POINT_SCALE + 0.5).astype(np.uint16)
    red, green, blue = (densities[channel][light[..., channel]].astype(np.int64) for channel in range(3))
    one, other, rest = ((red * row[0] + green * row[1] + blue * row[2] + WEIGHT // 2) // WEIGHT for row in weights)
    length = red * red + green * green + blue * blue
    lowest = np.minimum(np.minimum(one, other), 0)
    beyond = (400 * lowest * lowest > 9 * length) | (16 * rest * rest > length)
    brown = (blue >= green) & (green >= red) & (100 * (blue - red) > BROWN_PERCENT * (red + green + blue))
    return beyond & ~brown & (length > pen * pen), ~beyond & ~brown & (length > dark * dark)
