"""Where tissue lies in a fluorescence image: told by the picture against empty background, or around its cells."""

from __future__ import annotations

from itertools import pairwise
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
_NEIGHBOURS: Final = 8  # that say how far apart cells stand here
# in units of the local spacing 1 / sqrt(density). Where cells are strewn evenly, the nearest is farther than 1.7
# spacings with a chance of exp(-pi 1.7^2) = 0.01%; half a spacing is how far tissue goes beyond its last cell.
_REACH: Final = 1.7
_BEYOND: Final = 0.5
_SPACING_UM: Final = (8.0, 100.0)  # cells are 100 to 15,000 per mm2 where there is tissue
_CLASSES: Final = 12  # sizes of reach that are told apart
_SMOOTH_UM: Final = 8.0
_APART_UM: Final = 12.0  # squares this far apart are looked at, beyond each other's blur
_CLEAR_UM: Final = 6.0  # and so far from nuclei, where cells shine
_LEAST_Z: Final = 5.0
_DEEP: Final = 0.3  # the valley between glass and tissue reaches at most this share of the lower peak
_FEWEST: Final = 200  # squares
_GLASS_PER_MM2: Final = 25.0  # cells on glass, at most
_GLASS_SHARE: Final = 0.05  # of all cells


def tissue_around_cells(place: NDArray[np.float64], *, shape: tuple[int, int], grid_um: float = GRID_UM) -> Mask:
    """Draw tissue around cells, as far as they stand apart where they are.

    Gaps that the local spacing explains are closed, in sparse stroma as in dense tumour, and tissue goes half a spacing
    beyond its last cells. The picture is taken to go on beyond its edge.

    Parameters
    ----------
    place
        (n, 2) x and y in um from the first corner.
    shape
        Rows and columns of the grid.
    grid_um
        Side of its squares.

    Returns
    -------
    bool ``shape``; all false without cells.
    """
    from scipy import ndimage

    if not len(place):
        return np.zeros(shape, dtype=bool)
    size = np.array([shape[1], shape[0]], dtype=float) * grid_um
    spacing = _spacings(place, size)
    wide = int(np.ceil(2 * _REACH * spacing.max() / grid_um)) + 2
    # beyond the edge as if mirrored, so that the edge is no border of the tissue
    points, reach = _mirrored(place, spacing, size, wide * grid_um)
    padded = (shape[0] + 2 * wide, shape[1] + 2 * wide)
    column, row = (np.floor(points[:, axis] / grid_um).astype(int) + wide for axis in (0, 1))
    inside = (row >= 0) & (row < padded[0]) & (column >= 0) & (column < padded[1])
    row, column, reach = row[inside], column[inside], reach[inside]
    near, around = np.zeros(padded, dtype=bool), np.zeros(padded, dtype=bool)
    edges = np.geomspace(reach.min(), reach.max() * 1.0001, _CLASSES + 1)
    for low, high in pairwise(edges):
        members = (reach >= low) & (reach < high)
        if not members.any():
            continue
        empty = np.ones(padded, dtype=bool)
        empty[row[members], column[members]] = False
        away = ndimage.distance_transform_edt(empty) * grid_um
        middle = float(reach[members].mean())
        near |= away <= _REACH * middle
        around |= away <= _BEYOND * middle
    local = np.zeros(padded)
    local[row, column] = reach
    at = ndimage.distance_transform_edt(local == 0, return_distances=False, return_indices=True)
    local = local[tuple(at)]
    outside = ~near
    if outside.any():
        from_outside = ndimage.distance_transform_edt(near) * grid_um
        near &= (from_outside > (_REACH - _BEYOND) * local) | around
    return np.asarray(near[wide:-wide, wide:-wide])


def _spacings(place: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spacing of cells around each, um: 1 / sqrt(density) among its 8 nearest neighbours."""
    from scipy.spatial import KDTree

    points, _ = _mirrored(place, np.zeros(len(place)), size, 4 * _SPACING_UM[1])
    k = min(_NEIGHBOURS, len(points) - 1)
    if k < 1:
        return np.full(len(place), _SPACING_UM[1] / 2)
    distance = KDTree(points).query(place, k=k + 1, workers=-1)[0][:, k]
    return np.clip(distance * np.sqrt(np.pi / k), *_SPACING_UM)


def _mirrored(
    place: NDArray[np.float64], value: NDArray[np.float64], size: NDArray[np.float64], within: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add the mirror images of cells near the edges, with their values."""
    points, values = place, value
    for axis in (0, 1):
        low, high = points[:, axis] < within, points[:, axis] > size[axis] - within
        before, after = points[low].copy(), points[high].copy()
        before[:, axis] *= -1
        after[:, axis] = 2 * size[axis] - after[:, axis]
        points = np.concatenate([points, before, after])
        values = np.concatenate([values, values[low], values[high]])
    return points, values


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
    on_glass, glass_mm2 = int(dark[row, column].sum()), float(dark.sum()) * GRID_UM**2 / 1e6
    if on_glass > _GLASS_SHARE * max(cells.n_obs, 1) or on_glass > _GLASS_PER_MM2 * glass_mm2:
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
