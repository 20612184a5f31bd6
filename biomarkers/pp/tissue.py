"""Where there is tissue, at a coarse grain, without losing pale immunostained tissue."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.io.tile import PlainTile, tile_rgb
from biomarkers.pp.fixed_point import FIXED_POINT_SCALE

if TYPE_CHECKING:
    import xarray as xr

GRAIN_UM = 4.0
# optical density (log10), summed over the channels, above which a grain is tissue: pale counterstained cytoplasm
# lies at 0.06-0.10, noise on glass averaged over one grain below 0.02
MIN_OD_SUM = 0.05
_OD_SCALE = 100_000  # whole numbers for one unit of optical density
_MIN_ISLAND_UM2 = 150.0
_MAX_HOLE_UM2 = 2_000.0


def tissue_mask(
    tile: xr.DataArray | PlainTile, *, white: tuple[float, float, float], grain_um: float = GRAIN_UM
) -> NDArray[np.bool_]:
    """Tell tissue from glass.

    Parameters
    ----------
    tile
        RGB tile (c, y, x) with ``mpp``.
    white
        Level of empty glass per channel (see :func:`biomarkers.pp.background_light.estimate_white`).
    grain_um
        Side of the squares that are judged; the mask is constant within each.

    Returns
    -------
    bool (height, width): True where there is tissue. Islands below 150 um2 are dropped and holes below 2000 um2 are
    filled, so lumina and torn glass stay outside while gaps between cells count as tissue.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.read_tile(bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif")
    >>> white = bm.estimate_white(tile)
    >>> bool(bm.tissue_mask(tile, white=white).any())
    True
    """
    rgb = tile_rgb(tile)
    mpp = float(tile.attrs[keys.MPP])
    step = max(1, round(grain_um / mpp))
    dense = majority_filter(dark_blocks(block_means(rgb, step), white=white))
    mask = remove_small_objects(dense, grain_um2=(step * mpp) ** 2)
    height, width = rgb.shape[:2]
    # along rows first: whole rows are then copied as they are
    return np.repeat(np.repeat(mask, step, axis=1), step, axis=0)[:height, :width]


def dark_blocks(means: NDArray[np.float64], *, white: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Tell which mean colours (rows, columns, 3) are darker than glass."""
    from biomarkers.pp.kernels.dark_blocks import darker as fast  # numba: only when tissue is sought

    return fast(means, _absorbed(tuple(white)), least=round(MIN_OD_SUM * _OD_SCALE))


def darker(means: NDArray[np.float64], densities: NDArray[np.int32], *, least: int) -> NDArray[np.bool_]:
    """Tell where the densities of the channels add up to more than ``least``: the compiled step's plain twin.

    ``densities`` are those of each sixteenth of a grey level, int32 (3, levels).
    """
    light = (means * FIXED_POINT_SCALE + 0.5).astype(np.intp)
    red, green, blue = (table[light[..., channel]] for channel, table in enumerate(densities))
    dark: NDArray[np.bool_] = red + green + blue > least
    return dark


def majority_filter(dense: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Judge each grain with its eight neighbours: at least five of the nine must be dense, the border repeating."""
    padded = np.pad(dense, 1, mode="edge").view(np.uint8)
    three = padded[:-2] + padded[1:-1] + padded[2:]
    nine: NDArray[np.uint8] = three[:, :-2] + three[:, 1:-1] + three[:, 2:]
    return nine >= 5


@lru_cache(maxsize=64)
def _absorbed(white: tuple[float, float, float]) -> NDArray[np.int32]:
    """Return the density of each level of mean light, never below 0, in whole numbers, int32 (3, levels)."""
    light = np.maximum(np.arange(255 * FIXED_POINT_SCALE + 1) / FIXED_POINT_SCALE, 1.0)
    density = np.log10(np.array(white)[:, None] / light).clip(min=0.0)
    return np.rint(density * _OD_SCALE).astype(np.int32)


def remove_small_objects(dense: NDArray[np.bool_], *, grain_um2: float) -> NDArray[np.bool_]:
    """Drop islands below 150 um2, then fill holes below 2000 um2; pieces that touch the border may be part of more."""
    from biomarkers.pp.kernels.components import without_small as fast  # numba: only when tissue is sought

    mask = fast(dense, max(1, round(_MIN_ISLAND_UM2 / grain_um2)))
    return ~fast(~mask, max(1, round(_MAX_HOLE_UM2 / grain_um2)))


def reach_grains(grain_um2: float) -> int:
    """How many grains away :func:`remove_small_objects` may look: length of the largest island and hole."""
    return round(_MIN_ISLAND_UM2 / grain_um2) + round(_MAX_HOLE_UM2 / grain_um2) + 2


def block_means(rgb: NDArray[np.uint8], step: int) -> NDArray[np.float64]:
    """Mean colour of step x step squares; squares cut by the border use what they have."""
    from biomarkers.pp.kernels.blocks import square_sums as fast_sums  # numba: only when pixels are averaged

    if step == 1:
        return rgb.astype(np.float64)
    tall, wide = (np.minimum(step, length - np.arange(0, length, step)) for length in rgb.shape[:2])
    means: NDArray[np.float64] = fast_sums(rgb, step) / (tall[:, None] * wide[None, :])[..., None]
    return means


def square_sums(rgb: NDArray[np.uint8], step: int) -> NDArray[np.int32]:
    """Sum light over step x step squares, int32 (rows, columns, 3): the plain twin of the compiled step."""
    rows, columns = (np.arange(0, length, step) for length in rgb.shape[:2])
    sums: NDArray[np.int32] = np.add.reduceat(np.add.reduceat(rgb, rows, axis=0, dtype=np.int32), columns, axis=1)
    return sums


def without_small(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Drop pieces (joined along rows and columns) of fewer squares than ``least``: the compiled step's plain twin."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    keep = sizes >= least
    keep[0] = False
    kept: NDArray[np.bool_] = keep[labels]
    return kept
