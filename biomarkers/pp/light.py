"""Is a field lit evenly, and is its light within the camera's range? Told from a fixed sample of patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.density import White
from biomarkers.pp.squares import RGB, stacked

_BLOCK_PX = 4  # means of 4 x 4 px: noise of the camera would make the palest pixel paler
_PALEST = 0.10  # quantile of a patch's blocks that shows its light
_PADDING_OD = 0.5  # what is darker all over is a black border, ink or dense stain, not light
_LEAST_PATCHES, _LEAST_ACROSS = 16, 4
_LARGEST_UM = 2500.0  # one camera field, or a core; a larger picture is made of many fields
_ROUNDS, _NOISE_OD = 10, 0.004
_ON_A_SIDE = 9  # places along each side at which the fitted surface is read
CLIPPED = 255


class FieldLight(NamedTuple):
    """How a picture is lit.

    Attributes
    ----------
    falloff
        Share (0-1) by which the light of the darkest corner or edge lies below that of the brightest place, of a smooth
        surface through the palest places; NaN where it cannot be told.
    smoothness
        Correlation of that surface with the palest places it runs through.
    sharpness
        Height of the surface over the distance (root mean square) of the palest places from it.
    clipped_share, beside_clipped
        Shares (0-1) of the pixels that are 255 in all channels, and of those just below: 240 and more in all.
    """

    falloff: float
    smoothness: float
    sharpness: float
    clipped_share: float
    beside_clipped: float

    @property
    def uneven(self) -> bool:
        """Whether light falls off, by more than real fields of tissue could feign."""
        told = self.smoothness >= LEAST_SMOOTHNESS and self.sharpness >= LEAST_SHARPNESS
        return bool(self.falloff >= UNEVEN_FROM and told)

    @property
    def clipped(self) -> bool:
        """Whether light was clipped in pale tissue: glass that is clipped lies well above what is beside it."""
        return self.clipped_share >= CLIPPED_FROM and self.beside_clipped >= BESIDE_FROM * self.clipped_share

    def flags(self) -> dict[str, bool]:
        """Name each problem, True where it is present."""
        return {"uneven_light": self.uneven, "clipped_light": self.clipped}

    def qc(self) -> dict[str, float | bool]:
        """Return what was measured and the flags, by column."""
        return {"light_falloff": self.falloff, "clipped_share": self.clipped_share, **self.flags()}

    def doubts(self) -> tuple[str, ...]:
        """Say each problem that is present in words."""
        said = []
        if self.uneven:
            said.append(
                f"uneven light: it falls off by {self.falloff:.0%} across the field, and stain looks denser where it is"
                " dark; correct the picture with an empty field (flat field) and score it again"
            )
        if self.clipped:
            said.append(
                f"light too bright for the camera: {self.clipped_share:.1%} of the field is clipped at 255, and what is"
                " beside it shows that this is not glass alone: pale tissue is lost, and stain looks paler than it is;"
                " take the picture with less light"
            )
        return tuple(said)


# Set on 59 true H-DAB fields and cores (real and simulated), and their copies darkened to one side, a corner or all
# corners by 10, 20 and 30%, changed in contrast and brightness, and stored as JPEG; docs/pixels.md tells the margins.
UNEVEN_FROM, LEAST_SMOOTHNESS, LEAST_SHARPNESS = 0.14, 0.87, 11.0
# the photograph of glands at 1.2 times its light has 0.17 and 0.42 of that beside it; the field with most clipped glass
# (a core, 0.55) has 0.22
CLIPPED_FROM, BESIDE_FROM, _BESIDE = 0.05, 0.30, 240


def field_light(patches: Sequence[RGB], *, across: int, size: tuple[int, int], white: White, mpp: float) -> FieldLight:
    """Tell how evenly a picture is lit, and how much of it is clipped.

    Parameters
    ----------
    patches
        uint8 (height, width, 3) each, evenly spread, row by row.
    across
        How many lie in a row.
    size
        Width and height of the picture, px. One with a side above 2500 um is made of many camera fields: its evenness
        is not told.
    white
        Level of empty glass (R, G, B).
    mpp
        Micrometres per pixel.

    Notes
    -----
    Light falls off in all three channels alike, stain does not: hematoxylin lets blue through, DAB red. In each
    patch the density of the clearest channel, at its palest tenth, is what light (and dense stain) take away. A
    surface of the second degree is fitted through these by reweighted least squares, in which places above it count
    little, since what is denser than its surroundings is tissue. Tissue in the middle of glass makes a hill; light
    makes a slope, or a basin, whose highest place lies at the border of the picture.
    """
    stack = stacked(patches)
    if max(size) * mpp > _LARGEST_UM:
        return FieldLight(math.nan, 0.0, 0.0, *_clipped(stack))
    # patches lie within the picture: the outermost middles are half a patch, and more, from its border
    within = tuple(1 - stack.shape[1] / length for length in size)
    return FieldLight(*_falloff(_palest_od(stack, white=white), across=across, within=within), *_clipped(stack))


def _palest_od(stack: RGB, *, white: White) -> NDArray[np.float64]:
    """Return the density of the clearest channel at the palest tenth of each patch, (n,)."""
    side = stack.shape[1] // _BLOCK_PX
    if side == 0:
        return np.full(len(stack), np.nan)
    whole = stack[:, : side * _BLOCK_PX, : side * _BLOCK_PX]
    light = whole.reshape(len(stack), side, _BLOCK_PX, side, _BLOCK_PX, 3).mean(axis=(2, 4))
    clearest = np.log10(np.asarray(white) / np.maximum(light, 1.0)).min(axis=3)
    palest: NDArray[np.float64] = np.quantile(clearest.reshape(len(stack), -1), _PALEST, axis=1)
    return palest


def _falloff(palest: NDArray[np.float64], *, across: int, within: tuple[float, ...]) -> tuple[float, float, float]:
    """Fit the surface; return how far light falls off along it, and how well it explains what it was fitted to."""
    unknown = math.nan, 0.0, 0.0
    down = palest.size // max(across, 1)
    if min(across, down) < _LEAST_ACROSS:
        return unknown
    row, column = np.divmod(np.arange(palest.size), across)
    x, y = ((column + 0.5) / across - 0.5) * within[0], ((row + 0.5) / down - 0.5) * within[1]
    light = palest < _PADDING_OD
    if np.count_nonzero(light) < _LEAST_PATCHES:
        return unknown
    y, x, od = y[light], x[light], palest[light]
    terms, weight = _terms(y, x), np.ones(od.size)
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)
        shape = np.linalg.lstsq(terms * root[:, None], od * root, rcond=None)[0]
        off = od - terms @ shape
        usual = 1.5 * float(np.median(np.abs(off))) + _NOISE_OD
        weight = np.where(off > 0, 1 / (1 + (off / usual) ** 2), 1.0)
    places = np.linspace(-0.5, 0.5, _ON_A_SIDE)
    surface = (_terms(np.repeat(places, _ON_A_SIDE), np.tile(places, _ON_A_SIDE)) @ shape).reshape(_ON_A_SIDE, -1)
    inside = surface[1:-1, 1:-1].max()
    fitted = terms @ shape
    height = float(surface.max() - surface.min())
    if inside >= surface.max() or np.ptp(fitted) == 0 or np.ptp(od) == 0:
        return 1 - 10.0**-height, 0.0, 0.0
    distance = math.sqrt(float(np.average((od - fitted) ** 2, weights=weight)))
    return 1 - 10.0**-height, float(np.corrcoef(fitted, od)[0, 1]), height / max(distance, _NOISE_OD / 2)


def _terms(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _clipped(stack: RGB) -> tuple[float, float]:
    """Return the shares of pixels that are clipped in all channels, and that lie just below."""
    palest = stack.min(axis=3)
    clipped = palest == CLIPPED
    return float(clipped.mean()), float(((palest >= _BESIDE) & ~clipped).mean())
