"""Where tissue lies in a fluorescence image: told by the picture against empty background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.pheno.gate_valley import Histogram, find_valley

if TYPE_CHECKING:
    import xarray as xr
    from anndata import AnnData

Mask = NDArray[np.bool_]
GRID_UM: Final = 4.0
_SMOOTH_UM: Final = 8.0
_APART_UM: Final = 12.0  # squares this far apart are looked at, beyond each other's blur
_CLEAR_UM: Final = 6.0  # and so far from nuclei, where cells shine
_LEAST_Z: Final = 5.0
_DEEP: Final = 0.3  # the valley between glass and tissue reaches at most this share of the lower peak
_FEWEST: Final = 200  # squares
_GLASS_PER_MM2: Final = 25.0  # cells on glass, at most
_GLASS_SHARE: Final = 0.05  # of all cells


def tissue_in_picture(tile: xr.DataArray, cells: AnnData, *, labels: NDArray[Any] | None) -> Mask | None:
    """Tell tissue from empty glass by what shines between cells: autofluorescence, haze of the counterstain, markers.

    Parameters
    ----------
    tile
        Channels (c, y, x) as read.
    cells
        Cells of the image; they must not stand on what is taken for glass.
    labels
        Nuclei or cells (y, x): squares near them are no evidence.

    Returns
    -------
    bool on squares of ``GRID_UM``; None where the picture shows no two levels between cells (tissue everywhere, or
    tissue that shines no more than glass): cells say then where tissue is.
    """
    from scipy import ndimage

    mpp, origin = float(tile.attrs[keys.MPP]), tile.attrs[keys.ORIGIN]
    shape = tuple(max(1, round(side * mpp / GRID_UM)) for side in tile.shape[1:])
    level = _light(tile, shape)
    if labels is None or min(shape) < 3:
        return None
    clear = _coarse(labels > 0, shape) == 0
    clear &= ndimage.distance_transform_edt(clear) * GRID_UM > _CLEAR_UM
    step = max(1, round(_APART_UM / GRID_UM))
    seen = level[::step, ::step][clear[::step, ::step]]
    if len(seen) < _FEWEST:
        return None
    valley = find_valley(Histogram.of(seen), least=-np.inf, least_z=_LEAST_Z, shallow=_DEEP)
    if valley is None:
        return None
    tissue = level >= valley.place
    step_um = float(tile.attrs.get(keys.DOWNSAMPLE, 1))
    place = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=float) - np.asarray(origin) * mpp / step_um
    row, column = (np.clip((place[:, axis] / GRID_UM).astype(int), 0, shape[1 - axis] - 1) for axis in (1, 0))
    dark = ~tissue & (ndimage.distance_transform_edt(~tissue) * GRID_UM > _CLEAR_UM)
    composite_on_white, glass_mm2 = int(dark[row, column].sum()), float(dark.sum()) * GRID_UM**2 / 1e6
    if composite_on_white > _GLASS_SHARE * max(cells.n_obs, 1) or composite_on_white > _GLASS_PER_MM2 * glass_mm2:
        return None  # the darker part holds cells: sparse tissue, not glass
    return np.asarray(tissue)


def _light(tile: xr.DataArray, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Sum of all channels on squares, each in units of its noise between squares, smoothed."""
    from scipy import ndimage

    mpp = float(tile.attrs[keys.MPP])
    total = np.zeros(shape)
    for plane in tile.to_numpy():
        square = _coarse(plane, shape)
        fine = square - ndimage.median_filter(square, 3)
        noise = 1.4826 * float(np.median(np.abs(fine)))
        low, high = np.percentile(square, (1, 99))
        cut = np.clip(square - low, 0, max(float(high - low), 1e-9))
        total += np.minimum(cut / max(noise, 1e-3 * float(high - low), 1e-12), 200.0)
    return np.asarray(ndimage.gaussian_filter(total, max(_SMOOTH_UM / 2 / GRID_UM, 0.1 * mpp), mode="nearest"))


def _coarse(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Mean of a plane over the squares of a grid."""
    rows, columns = (np.linspace(0, side, n + 1).astype(int)[:-1] for side, n in zip(plane.shape, shape, strict=True))
    sums = np.add.reduceat(np.add.reduceat(plane.astype(np.float32), rows, axis=0, dtype=np.float64), columns, axis=1)
    counts = np.diff(np.append(rows, plane.shape[0]))[:, None] * np.diff(np.append(columns, plane.shape[1]))[None]
    return np.asarray(sums / counts)
