"""Is this an immunostain at all? Tells H-DAB, hematoxylin alone, H&E and grey images apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import SlideError
from biomarkers.io.tile import PlainTile, tile_rgb
from biomarkers.pp.density import White
from biomarkers.pp.fixed_point import UNIT, WEIGHT, parts, stain_weights, whole_densities
from biomarkers.pp.vectors import StainVectors

if TYPE_CHECKING:
    import xarray as xr

Kind = Literal["dab", "hematoxylin_only", "eosin", "no_colour", "no_tissue", "dark"]
_STAINED_OD = 0.30  # summed over the channels: a clearly stained pixel
_LEAST_STAINED = 0.002  # share of pixels below which there is nothing to judge
_BROWN_OD = 0.15  # DAB amount of a brown pixel
_LEAST_BROWN = 0.002  # share of stained pixels that makes DAB certain
# H&E: 0.20 and more in fields of 256 um; immunostains: 0.09 at most, whatever the camera's contrast
_PINK_SHARE, _PINK_OVER_BROWN = 0.14, 8.0
_BLACK = 40  # grey levels: brightfield tissue, however dense, lets more through in most places
_SAMPLE, _DARK_SAMPLE = 262_144, 100_000  # pixels are enough to tell
# mean difference of the channels' optical densities below which there is no colour: copies in grey have 0.000, a pale
# negative SP142 field stored as JPEG 30 has 0.010
_GREY_SPREAD = 0.004


class NotImmunostainError(SlideError):
    """The image is not H-DAB: its DAB amounts would be numbers without a meaning."""


@dataclass(frozen=True)
class DabEvidence:
    """What the colours of a slide say about its stains.

    Attributes
    ----------
    kind
        ``dab``; ``hematoxylin_only`` (an immunostain without any positive cell looks like this); ``eosin`` (H&E);
        ``no_colour``; ``no_tissue``; ``dark`` (fluorescence: light on black).
    brown_share, pink_share
        Shares (0-1) of the stained pixels with the colour order of DAB (blue > green > red absorbance) and with that
        of eosin (green well above red and blue).
    stained_share
        Share of all pixels that are stained.
    """

    kind: Kind
    brown_share: float
    pink_share: float
    stained_share: float

    @property
    def scorable(self) -> bool:
        """Whether DAB amounts of this image mean anything."""
        return self.kind in ("dab", "hematoxylin_only", "no_tissue")

    @property
    def reason(self) -> str:
        """One sentence for people."""
        return {
            "dab": "DAB was found",
            "hematoxylin_only": "no DAB was found: hematoxylin only",
            "eosin": "no DAB was found: the stain looks like H&E "
            f"({self.pink_share:.0%} of the stained pixels are eosin pink, {self.brown_share:.1%} brown)",
            "no_colour": "the image has no colour: stains cannot be told apart",
            "no_tissue": "no stained tissue was found",
            "dark": "the image is dark, like fluorescence: no light came through it that stains could absorb",
        }[self.kind]


def dab_evidence(tile: xr.DataArray | PlainTile, *, white: White, vectors: StainVectors | None = None) -> DabEvidence:
    """Judge whether a tile is an immunostain with DAB.

    Parameters
    ----------
    tile
        RGB tile (c, y, x); of one of more than 262,144 pixels, every second, third ... row and column is judged.
    white
        Level of empty glass (R, G, B).
    vectors
        Stain vectors; Ruifrok's when absent.

    Returns
    -------
    The evidence; ``evidence.kind`` is what it amounts to.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.read_tile(bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif")
    >>> white = bm.estimate_white(tile)
    >>> bm.dab_evidence(tile, white=white).kind
    'dab'
    """
    rgb = tile_rgb(tile)
    step = max(1, int((rgb.shape[0] * rgb.shape[1] / _SAMPLE) ** 0.5))
    return evidence_of_colours(rgb[::step, ::step], white=white, vectors=vectors)


def evidence_of_colours(
    colours: NDArray[np.uint8], *, white: White, vectors: StainVectors | None = None
) -> DabEvidence:
    """Judge a sample of pixels, uint8 (n, 3) or (rows, columns, 3); see :func:`dab_evidence`."""
    from biomarkers.pp.kernels.colours import tally_colours

    if _is_dark(colours):
        return DabEvidence("dark", 0.0, 0.0, 0.0)
    weights = stain_weights(vectors or StainVectors())
    # a field of eosin without glass makes its own pink the white; against a neutral white it shows
    neutral = np.array([parts(float(np.log10(max(white) / one))) for one in white], np.int32)
    levels = np.array([parts(_STAINED_OD), parts(_BROWN_OD) * WEIGHT], np.int32)
    stained, browns, pinks, spread, others, other_pinks = tally_colours(
        colours, whole_densities(tuple(white)), dab=weights[1], neutral=neutral, levels=levels
    ).tolist()
    share = stained / max(colours.size // 3, 1)
    pink = max(_share(pinks, stained), _share(other_pinks, others))
    if share < _LEAST_STAINED and pink < _PINK_SHARE:
        return DabEvidence("no_tissue", 0.0, pink, share)
    brown = _share(browns, stained)
    wide = spread / stained / UNIT if stained else math.nan
    return DabEvidence(_kind(wide, brown, pink), brown, pink, share)


def _is_dark(colours: NDArray[np.uint8]) -> bool:
    """Whether most pixels are black, or two channels are black throughout (but for one pixel in a hundred)."""
    if colours.ndim == 3:
        step = math.ceil((colours.size / 3 / _DARK_SAMPLE) ** 0.5) or 1
        sample = colours[::step, ::step].reshape(-1, 3)
    else:
        sample = colours[:: max(1, colours.shape[0] // _DARK_SAMPLE)]
    total = sample.shape[0]
    if total == 0:
        return False
    black = [sample[:, channel] < _BLACK for channel in range(3)]
    throughout = [100 * np.count_nonzero(one) >= 99 * total for one in black]
    return bool(sum(throughout) >= 2 or 2 * np.count_nonzero(black[0] & black[1] & black[2]) > total)


def _kind(spread: float, brown: float, pink: float) -> Kind:
    """Name the stains; ``spread`` is the mean difference between the channels' densities."""
    if spread < _GREY_SPREAD:
        return "no_colour"
    if pink > _PINK_SHARE and pink > _PINK_OVER_BROWN * brown:
        return "eosin"
    return "dab" if brown > _LEAST_BROWN else "hematoxylin_only"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
