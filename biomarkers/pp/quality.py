"""Quality flags of a field: over-staining, pigment, pen, blur, colours that neither stain explains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.io.tile import PlainTile, tile_rgb
from biomarkers.pp.density import White, check_white
from biomarkers.pp.field import smoothing_weights
from biomarkers.pp.fixed_point import FIXED_POINT_SCALE, WEIGHT, parts, stain_weights, whole_densities
from biomarkers.pp.tissue import block_means
from biomarkers.pp.vectors import StainVectors

if TYPE_CHECKING:
    import xarray as xr

_STAINED_OD = 0.30  # summed over the channels
_BROWN_OD, _BLACK_OD, _BLACK_SHARE = 0.15, 1.0, 0.04
_RESIDUAL_OD, _RESIDUAL_SHARE = 0.15, 0.10
_DARK_OD = 1.3  # denser pixels have lost their hue to the camera's floor
_GRAIN_OD, _GRAIN_UM2, _AROUND_GRAIN_OD = 0.5, (0.2, 6.0), 0.2
# pigment is black: it absorbs red too. Granules of DAB have a fifth to a quarter of their density in red (SP142 0.3 OD,
# HER2 0.45 OD at their densest)
_BLACK_RED_OD = 0.7
_RING_UM = (0.5, 1.5)  # the surroundings of a grain
_GRAINS_PER_MM2, _LEAST_GRAINS = 800.0, 5
# solid areas wider than a nucleus: ink has a colour beyond both stains, folds and black ink let no light through
_SOLID_GRAIN_UM, _SOLID_UM, _SOLID_UM2 = 2.0, 5.0, 500.0
_PEN_OD, _PEN_TURN, _PEN_RESIDUAL, _DARK_SOLID_OD = 0.35, 0.15, 0.25, 1.0
_SOFT_UM, _DETAIL_UM, _FORM_UM = 0.35, 0.7, 2.0
# nine real fields: 0.35-0.55 as they are, 0.24 and more blurred by 1.5 px, 0.19 and less by 4 px of 0.5 um
_BLURRED_BELOW, _OUT_OF_FOCUS_BELOW = 0.30, 0.16
_WINDOW_PX, _WINDOWS_ON_A_SIDE = 1024, 2
# sharpness is measured in squares, one in 2.5 along each side; all over where no more than four fill a side
_SQUARE_UM, _ONE_IN, _ALL_OF_SQUARES = 64.0, 2.5, 4
_RED_ALONE = np.array([[WEIGHT, 0, 0], [0, 0, 0]], np.int32)
_LEVELS = np.array([parts(_STAINED_OD), parts(_RESIDUAL_OD), parts(_DARK_OD)], np.int32)

_EXPLAINED = {
    "over_stained": "over-stained: {black_share:.0%} of the brown pixels are too dense to be graded",
    "foreign_colour": "foreign colour: neither stain explains {residual_share:.0%} of the stained pixels",
    "pigment": "pigment: {grains_per_mm2:.0f} black grains per mm2",
    "pen": "pen or ink covers {pen_share:.1%} of the field",
    "dark": "folds, black ink or stain that lets no light through cover {dark_share:.1%} of the field",
    "blurred": "blurred: sharpness {sharpness:.2f}, at least 0.30 expected",
}


@dataclass(frozen=True)
class Quality:
    """What may be wrong with a field.

    Attributes
    ----------
    black_share
        Share (0-1) of the brown pixels with more than 1.0 OD of DAB, where intensities can no longer be told apart.
    residual_share
        Share of the stained pixels with more than 0.15 OD along the direction that neither stain has.
    grains_per_mm2
        Isolated black grains smaller than 6 um2; brown ones are stain.
    pen_share
        Share of the field under ink: solid areas, wider than 10 um, of a colour beyond either stain.
    dark_share
        Share of the field in solid areas, wider than 10 um, denser than 1.0 OD: folds, black ink, opaque stain.
    sharpness
        Detail between 0.35 and 0.7 um as a share of that between 0.7 and 2 um, in stained tissue; NaN without any.
    """

    black_share: float
    residual_share: float
    grains_per_mm2: float
    pen_share: float
    dark_share: float
    sharpness: float
    n_grains: int

    def flags(self) -> dict[str, bool]:
        """Name each problem, True where it is present."""
        return {
            "over_stained": self.black_share > _BLACK_SHARE,
            "foreign_colour": self.residual_share > _RESIDUAL_SHARE,
            "pigment": self.grains_per_mm2 > _GRAINS_PER_MM2 and self.n_grains >= _LEAST_GRAINS,
            "pen": self.pen_share > 0,
            "dark": self.dark_share > 0,
            "blurred": self.sharpness < _BLURRED_BELOW,
        }

    @property
    def refusal(self) -> str:
        """Why nothing of the field can be scored, in words; empty where its quality allows it."""
        if not self.sharpness < _OUT_OF_FOCUS_BELOW:
            return ""
        return f"out of focus: sharpness {self.sharpness:.2f}, at least {_OUT_OF_FOCUS_BELOW:g} needed to tell cells"

    def messages(self) -> tuple[str, ...]:
        """Say each problem that is present in words."""
        return tuple(_EXPLAINED[name].format(**vars(self)) for name, present in self.flags().items() if present)


def measure_quality(tile: xr.DataArray | PlainTile, *, white: White, vectors: StainVectors | None = None) -> Quality:
    """Measure the quality of a tile.

    Parameters
    ----------
    tile
        RGB tile (c, y, x) with ``mpp``. Pen and folds are sought everywhere; the rest is measured in up to four
        windows of 1024 px, evenly spread, and sharpness, where a window is wider than 256 um, in squares of 64 um that
        are spread over a sixth of it.
    white
        Level of empty glass.
    vectors
        Stain vectors; Ruifrok's when absent.
    """
    rgb, mpp = tile_rgb(tile), float(tile.attrs[keys.MPP])
    vectors = vectors or StainVectors()
    step = max(1, round(_SOLID_GRAIN_UM / mpp))
    solid = artefact_fractions(block_means(rgb, step), white=white, vectors=vectors, grain_um=step * mpp)
    meter = QualityMeter.of(white, vectors, mpp)
    return meter.quality([meter.counts(window) for window in _windows(rgb)], solid=solid)


def _windows(rgb: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield up to four windows, spread evenly over the tile (the whole tile when it is small)."""
    rows, columns = (
        _spans(length, _WINDOW_PX, min(_WINDOWS_ON_A_SIDE, -(-length // _WINDOW_PX))) for length in rgb.shape[:2]
    )
    for down in rows:
        for across in columns:
            yield rgb[down, across]


def _spans(length: int, side: int, count: int) -> list[slice]:
    """Return where evenly spread windows begin and end along a side; the same from either end."""
    if length <= side:
        return [slice(0, length)]
    side -= (length - side) % 2
    # the middles of equal parts, the second half of them the mirror image of the first
    first = [max(0, ((2 * k + 1) * length // count - side) // 2) for k in range(count // 2)]
    middle = [(length - side) // 2] if count % 2 else []
    return [slice(one, one + side) for one in (*first, *middle, *(length - side - one for one in reversed(first)))]


class QualityCounts(NamedTuple):
    """What was counted in a window: pixels of each kind, grains, and the squares of fine and of coarse detail."""

    pixels: int
    stained: int
    brown: int
    black: int
    residual: int
    grains: int
    fine: int
    coarse: int


@dataclass(frozen=True)
class QualityMeter:
    """The tables and widths, in whole numbers, that windows of one slide are measured with."""

    densities: NDArray[np.int32]
    weights: NDArray[np.int32]
    mpp: float

    @classmethod
    def of(cls, white: White, vectors: StainVectors, mpp: float) -> QualityMeter:
        """Make the tables for the glass, stains and pixel size of a slide."""
        return cls(whole_densities(check_white(white)), stain_weights(vectors)[1:], mpp)

    def quality(self, windows: Iterable[QualityCounts], *, solid: tuple[float, float]) -> Quality:
        """Put together what was counted in the windows of a slide; ``solid`` is that of the whole."""
        all_of = QualityCounts(*(sum(one) for one in zip(*windows, strict=True)))
        return Quality(
            black_share=_share(all_of.black, all_of.brown),
            residual_share=_share(all_of.residual, all_of.stained),
            grains_per_mm2=_share(all_of.grains, all_of.pixels * self.mpp**2 * 1e-6),
            pen_share=solid[0],
            dark_share=solid[1],
            sharpness=float((all_of.fine / all_of.coarse) ** 0.5) if all_of.coarse > 0 else float("nan"),
            n_grains=all_of.grains,
        )

    def counts(self, rgb: NDArray[np.uint8]) -> QualityCounts:
        """Count in a window, uint8 (height, width, 3)."""
        from biomarkers.pp.kernels.field import count_grains, soft_dab

        soft = smoothing_weights(_SOFT_UM / self.mpp)
        dab, stained, residual = soft_dab(rgb, self.densities, self.weights, soft, levels=_LEVELS)
        px2 = self.mpp**2
        shape: dict[str, Any] = {
            "dense": parts(_GRAIN_OD),
            "area": (math.ceil(_GRAIN_UM2[0] / px2), math.floor(_GRAIN_UM2[1] / px2)),
            "ring": (math.floor(_RING_UM[0] ** 2 / px2), math.ceil(_RING_UM[1] ** 2 / px2) - 1),
            "around": parts(_AROUND_GRAIN_OD),
        }
        grains = count_grains(dab, **shape)
        if grains:  # then which of them are black; most fields have none
            red, _, _ = soft_dab(rgb, self.densities, _RED_ALONE, soft, levels=_LEVELS)
            brown_spot = (dab > parts(_GRAIN_OD)) & (red <= parts(_BLACK_RED_OD))
            grains = count_grains(np.where(brown_spot, np.int16(parts(_GRAIN_OD)), dab), **shape)
        brown, black = (int(np.count_nonzero(dab > parts(od))) for od in (_BROWN_OD, _BLACK_OD))
        return QualityCounts(dab.size, stained, brown, black, residual, grains, *self._detail(rgb))

    def _detail(self, rgb: NDArray[np.uint8]) -> tuple[int, int]:
        """Sum the squares of fine and of coarse detail, in squares with their surroundings."""
        from biomarkers.pp.kernels.field import smooth, split, squares_of_differences

        weights = [smoothing_weights(um / self.mpp) for um in (_SOFT_UM, _DETAIL_UM, _FORM_UM)]
        reach = weights[-1].size - 1
        fine, coarse = 0, 0
        for down in self._squares(rgb.shape[0]):
            for across in self._squares(rgb.shape[1]):
                outer, inner = zip(_widened(down, reach), _widened(across, reach), strict=True)
                here = split(rgb[outer], self.densities, self.weights, levels=_LEVELS)
                soft, detail, form = (smooth(here.green, one)[inner] for one in weights)
                fine += squares_of_differences(soft, detail, here.stained[inner])
                coarse += squares_of_differences(detail, form, here.stained[inner])
        return fine, coarse

    def _squares(self, length: int) -> list[slice]:
        side = round(_SQUARE_UM / self.mpp)
        if length <= _ALL_OF_SQUARES * side:
            return [slice(0, length)]
        return _spans(length, side, round(length / (_ONE_IN * side)))


def _widened(part: slice, by: int) -> tuple[slice, slice]:
    """Return a stretch with what lies beside it (inside the image), and where in that the stretch lies."""
    start = max(0, part.start - by)
    return slice(start, part.stop + by), slice(part.start - start, part.stop - start)


def artefact_fractions(
    means: NDArray[np.float64], *, white: White, vectors: StainVectors, grain_um: float
) -> tuple[float, float]:
    """Return the shares (0-1) of an image in solid areas of foreign colour (pen, ink) and in solid dark ones.

    ``means`` are mean colours (rows, columns, 3) of squares of ``grain_um``, 2-4 um. An area is solid where a disc of
    5 um radius fits, which no nucleus holds, and counts from 500 um2 on.
    """
    from biomarkers.pp.kernels.field import solid_masks

    densities = whole_densities(check_white(white), per_grey=FIXED_POINT_SCALE)
    pen, dark = solid_masks(means, densities, stain_weights(vectors), pen=parts(_PEN_OD), dark=parts(_DARK_SOLID_OD))
    pen = _solid(pen, grain_um)
    dark = _solid(dark & ~pen, grain_um)
    return float(pen.mean()), float(dark.mean())


def _solid(mask: NDArray[np.bool_], grain_um: float) -> NDArray[np.bool_]:
    """Keep what a disc fits into, in pieces of some size."""
    radius = max(1, round(_SOLID_UM / grain_um))
    middles = _within_discs(mask, radius, every=True)
    if not middles.any():
        return middles
    from biomarkers.pp.kernels.components import without_small

    return without_small(_within_discs(middles, radius, every=False), math.ceil(_SOLID_UM2 / grain_um**2))


def _within_discs(mask: NDArray[np.bool_], radius: int, *, every: bool) -> NDArray[np.bool_]:
    """Whether every pixel, or any, of the disc around each pixel is set; beyond the border none is."""
    rows, columns = mask.shape
    if every and not mask.any():
        return mask
    padded = np.pad(mask, radius)
    out = mask.copy()
    join = np.logical_and if every else np.logical_or
    for down in range(-radius, radius + 1):
        for across in range(-radius, radius + 1):
            if down * down + across * across <= radius * radius:
                top, left = radius + down, radius + across
                join(out, padded[top : top + rows, left : left + columns], out=out)
    return out


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
