"""What the cells around a cell lend it: light spreads, and a strongly stained membrane shows in the cell beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers import keys
from biomarkers.cells.outline_stain import PARTIAL_SHARE

if TYPE_CHECKING:
    from anndata import AnnData

NEIGHBOUR_OD = "neighbour_od"  # obs, optical density
STAINED_MEAN = "membrane_stained_mean"  # layer: mean over the stained stretches of the outline
NEIGHBOURS_UM, _GAP_UM = 24.0, 2.0  # cells no further apart, whose discs come within the gap, are neighbours


def with_neighbours(cells: AnnData, *, column: int) -> AnnData:
    """Return ``cells`` with ``neighbour_od`` in ``obs``; a copy, or the cells themselves where nothing can be told."""
    level = neighbour_level(cells, column=column)
    if level is None:
        return cells
    found = cells.copy()
    found.obs[NEIGHBOUR_OD] = level
    return found


def neighbour_level(cells: AnnData, *, column: int) -> np.ndarray | None:
    """Optical density that the stained outlines of two fifths of a cell's neighbours reach, (n,).

    As much of an outline as makes staining partial may then be theirs. Neighbours are cells whose areas, drawn as discs
    around the nuclei, come within 2 um of each other. None where positions or stained outlines were not measured.
    """
    if NEIGHBOUR_OD in cells.obs:
        return cells.obs[NEIGHBOUR_OD].to_numpy(dtype=np.float64)
    if STAINED_MEAN not in cells.layers or not {keys.X_UM, keys.Y_UM, keys.AREA_UM2} <= set(cells.obs.columns):
        return None
    from biomarkers.score.kernels.neighbours import level_around as fast  # numba: only where outlines were measured

    xy = np.column_stack([cells.obs[name].to_numpy(dtype=np.float64) for name in (keys.X_UM, keys.Y_UM)])
    radius = np.sqrt(cells.obs[keys.AREA_UM2].to_numpy(dtype=np.float64) / np.pi)
    stained = np.nan_to_num(np.asarray(cells.layers[STAINED_MEAN], dtype=np.float64)[:, column])
    return fast(xy, radius, stained, share=PARTIAL_SHARE, reach=NEIGHBOURS_UM, gap=_GAP_UM)


def level_around(
    xy: np.ndarray, radius: np.ndarray, stained: np.ndarray, *, share: float, reach: float, gap: float
) -> np.ndarray:
    """Level that a share of a cell's neighbours reaches: the plain twin of the compiled step.

    Parameters
    ----------
    xy
        Middles of the cells, (n, 2).
    radius
        Of the disc drawn around each, (n,).
    stained
        Level of each, (n,), never NaN.
    share
        Of the neighbours, 0-1.
    reach, gap
        Neighbours lie no further than ``reach`` apart, and their discs less than ``gap``.

    Returns
    -------
    (n,); 0 for a cell without neighbours.
    """
    from scipy.spatial import KDTree

    level = np.zeros(len(xy))
    if len(xy) == 0:
        return level
    pairs = KDTree(xy).query_pairs(reach, output_type="ndarray")
    one, two = pairs[:, 0], pairs[:, 1]
    near = ((xy[one] - xy[two]) ** 2).sum(axis=1) < (radius[one] + radius[two] + gap) ** 2
    owner, other = np.concatenate([pairs[near], pairs[near][:, ::-1]]).T
    order = np.lexsort((stained[other], owner))
    count = np.bincount(owner, minlength=len(xy))
    first = np.cumsum(count) - count
    rank = np.ceil(share * count - 1e-9).astype(np.int64)  # so many of the strongest
    some = count > 0
    level[some] = stained[other][order][(first + count - rank)[some]]
    return level
