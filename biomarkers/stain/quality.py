"""Quality flags of a field: over-staining, pigment, pen, blur, colours that neither stain explains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers import keys
from biomarkers.slide.tile import tile_rgb
from biomarkers.slide.tissue import block_means
from biomarkers.stain.density import White, optical_density
from biomarkers.stain.vectors import StainVectors

if TYPE_CHECKING:
    import xarray as xr

_STAINED_OD = 0.30  # summed over the channels
_BROWN_OD, _BLACK_OD, _BLACK_SHARE = 0.15, 1.0, 0.04
_RESIDUAL_OD, _RESIDUAL_SHARE = 0.15, 0.10
_DARK_OD = 1.3  # denser pixels have lost their hue to the camera's floor
_GRAIN_OD, _GRAIN_UM2, _AROUND_GRAIN_OD = 0.5, (0.2, 6.0), 0.2
_GRAINS_PER_MM2, _LEAST_GRAINS = 800.0, 5
# solid areas wider than a nucleus: ink has a colour beyond both stains, folds and black ink let no light through
_SOLID_GRAIN_UM, _SOLID_UM, _SOLID_UM2 = 2.0, 5.0, 500.0
_PEN_OD, _PEN_TURN, _PEN_RESIDUAL, _DARK_SOLID_OD = 0.35, 0.15, 0.25, 1.0
_SOFT_UM, _DETAIL_UM, _FORM_UM = 0.35, 0.7, 2.0
_BLURRED_BELOW = 0.30
_WINDOW_PX, _WINDOWS_ON_A_SIDE = 1024, 2

_EXPLAINED = {
    "over_stained": "over-stained: {black_share:.0%} of the brown pixels are too dense to be graded",
    "foreign_colour": "foreign colour: neither stain explains {residual_share:.0%} of the stained pixels",
    "pigment": "pigment: {grains_per_mm2:.0f} dark grains per mm2",
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
        Isolated dark grains smaller than 6 um2.
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

    def messages(self) -> tuple[str, ...]:
        """Say each problem that is present in words."""
        return tuple(_EXPLAINED[name].format(**vars(self)) for name, present in self.flags().items() if present)


def measure_quality(tile: xr.DataArray, *, white: White, vectors: StainVectors | None = None) -> Quality:
    """Measure the quality of a tile.

    Parameters
    ----------
    tile
        RGB tile (c, y, x) with ``mpp``. Pen is sought everywhere; the rest is measured in up to four windows of
        1024 px, evenly spread.
    white
        Level of empty glass.
    vectors
        Stain vectors; Ruifrok's when absent.
    """
    rgb, mpp = tile_rgb(tile), float(tile.attrs[keys.MPP])
    vectors = vectors or StainVectors()
    step = max(1, round(_SOLID_GRAIN_UM / mpp))
    solid = solid_shares(block_means(rgb, step), white=white, vectors=vectors, grain_um=step * mpp)
    return quality_of_windows(_windows(rgb), white=white, vectors=vectors, mpp=mpp, solid=solid)


def quality_of_windows(
    windows: Iterable[NDArray[np.uint8]],
    *,
    white: White,
    vectors: StainVectors,
    mpp: float,
    solid: tuple[float, float],
) -> Quality:
    """Measure the quality of a slide on windows of it, uint8 (height, width, 3); ``solid`` is that of the whole."""
    matrix = vectors.unmixing().astype(np.float32)
    parts = [_measure_window(window, white, matrix, mpp) for window in windows]
    pixels, stained, brown, black, residual, grains, fine, coarse = np.sum(parts, axis=0)
    return Quality(
        black_share=_share(black, brown),
        residual_share=_share(residual, stained),
        grains_per_mm2=_share(grains, pixels * mpp**2 * 1e-6),
        pen_share=solid[0],
        dark_share=solid[1],
        sharpness=float((fine / coarse) ** 0.5) if coarse > 0 else float("nan"),
        n_grains=int(grains),
    )


def _windows(rgb: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield up to four windows, spread evenly over the tile (the whole tile when it is small)."""
    starts = []
    for length in rgb.shape[:2]:
        parts = min(_WINDOWS_ON_A_SIDE, -(-length // _WINDOW_PX))
        side = min(length, _WINDOW_PX)
        starts.append([(length - side) * (2 * part + 1) // (2 * parts) for part in range(parts)])
    for top in starts[0]:
        for left in starts[1]:
            yield rgb[top : top + _WINDOW_PX, left : left + _WINDOW_PX]


def _measure_window(
    rgb: NDArray[np.uint8], white: White, matrix: NDArray[np.float32], mpp: float
) -> NDArray[np.float64]:
    """Count pixels (all, stained, brown, black, residual) and grains; sum the squares of fine and coarse detail."""
    density = optical_density(rgb, white=white)
    amounts = density @ matrix
    stained = density.sum(axis=-1) > _STAINED_OD
    dab = _gauss(amounts[..., 1], _SOFT_UM / mpp)
    green = density[..., 1]
    soft, detail, form = (_gauss(green, sigma / mpp) for sigma in (_SOFT_UM, _DETAIL_UM, _FORM_UM))
    counts = (
        stained.size,
        stained.sum(),
        (dab > _BROWN_OD).sum(),
        (dab > _BLACK_OD).sum(),
        (stained & (np.abs(amounts[..., 2]) > _RESIDUAL_OD) & (density.max(axis=-1) < _DARK_OD)).sum(),
        _count_grains(dab, mpp),
        ((soft - detail)[stained] ** 2).sum(),
        ((detail - form)[stained] ** 2).sum(),
    )
    return np.array(counts, np.float64)


def _count_grains(dab: NDArray[np.float32], mpp: float) -> int:
    """Count small dark spots in surroundings that are not brown."""
    from scipy import ndimage

    spots, count = ndimage.label(dab > _GRAIN_OD)
    if not count:
        return 0
    index = np.arange(1, count + 1)
    area = ndimage.sum_labels(np.ones_like(dab), spots, index) * mpp**2
    small = (area > _GRAIN_UM2[0]) & (area < _GRAIN_UM2[1])
    kept = np.isin(spots, index[small])
    distance, (rows, columns) = ndimage.distance_transform_edt(~kept, return_indices=True)
    ring = (distance * mpp > 0.5) & (distance * mpp < 1.5)
    around = np.bincount(spots[rows, columns][ring], weights=dab[ring], minlength=count + 1)
    sizes = np.bincount(spots[rows, columns][ring], minlength=count + 1)
    alone = (around / np.maximum(sizes, 1))[1:] < _AROUND_GRAIN_OD
    return int((small & alone).sum())


def solid_shares(
    means: NDArray[np.float64], *, white: White, vectors: StainVectors, grain_um: float
) -> tuple[float, float]:
    """Return the shares (0-1) of an image in solid areas of foreign colour (pen, ink) and in solid dark ones.

    ``means`` are mean colours (rows, columns, 3) of squares of ``grain_um``, 2-4 um. An area is solid where a disc of
    5 um radius fits, which no nucleus holds, and counts from 500 um2 on.
    """
    light = np.maximum(means, 1.0)
    density = np.log10(np.asarray(white) / light)
    amounts = density @ vectors.unmixing()
    length = np.sqrt((density**2).sum(axis=-1))
    beyond = (amounts[..., :2].min(axis=-1) < -_PEN_TURN * length) | (np.abs(amounts[..., 2]) > _PEN_RESIDUAL * length)
    pen = _solid((length > _PEN_OD) & beyond, grain_um)
    dark = _solid((length > _DARK_SOLID_OD) & ~beyond & ~pen, grain_um)
    return float(pen.mean()), float(dark.mean())


def _solid(mask: NDArray[np.bool_], grain_um: float) -> NDArray[np.bool_]:
    """Keep what a disc fits into, in pieces of some size."""
    from scipy import ndimage

    radius = max(1, round(_SOLID_UM / grain_um))
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    areas, _ = ndimage.label(ndimage.binary_opening(mask, rows**2 + columns**2 <= radius**2))
    large = np.bincount(areas.ravel()) * grain_um**2 >= _SOLID_UM2
    large[0] = False
    kept: NDArray[np.bool_] = large[areas]
    return kept


def _gauss(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    from scipy import ndimage

    out: NDArray[np.float32] = ndimage.gaussian_filter(image, sigma, truncate=3.0, mode="nearest")
    return out


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
