"""Measured cells -> the features a class is told by: shape, counterstain and neighbourhood, never the marker.

The marker is left out on purpose: a classifier that had learnt "brown cells are tumour" would score its own guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import DataError

if TYPE_CHECKING:
    from anndata import AnnData

DEFINITION: Final = 1  # raised whenever a feature of the same name comes to mean something else
_SHAPE_PREFIX: Final = "nucleus_"
_LOGARITHMS: Final = {keys.NUCLEUS_AREA_UM2: "log_nucleus_area", keys.AREA_UM2: "log_area"}
_NEIGHBOURS: Final = (1, 5, 15)  # the n-th nearest nucleus
_AROUND: Final = 10  # nearest nuclei over which a neighbourhood is averaged
_FAR_UM: Final = 200.0  # the distance to a neighbour that does not exist


def cell_features(cells: AnnData) -> dict[str, np.ndarray]:
    """Compute every feature of every cell.

    Sizes enter by their logarithm (they spread by factors), every further ``nucleus_...`` column of ``obs`` as it
    is, hematoxylin as the mean of the nucleus, distances to the 1st, 5th and 15th nearest nucleus by their logarithm,
    and the mean of each shape and of hematoxylin over the 10 nearest nuclei as ``around_...``.

    Parameters
    ----------
    cells
        Measured cells of ONE slide (neighbourhoods must not cross slides).

    Returns
    -------
    Name -> (n_cells,) float64, in a fixed order.

    Raises
    ------
    DataError
        An area, a position or hematoxylin was not measured.
    """
    own = _own_features(cells)
    distances, nearest = _neighbours(cells)
    found = dict(own)
    for rank in _NEIGHBOURS:
        found[f"log_distance_{rank}"] = np.log(np.maximum(distances[:, rank - 1], 0.5))
    for name, values in own.items():
        found[f"around_{name}"] = _mean_around(values, nearest)
    return found


def _own_features(cells: AnnData) -> dict[str, np.ndarray]:
    found = {}
    for column, name in _LOGARITHMS.items():
        if column not in cells.obs:
            raise DataError("the cells lack a measurement that classes are told by", seen=column)
        found[name] = np.log(np.maximum(cells.obs[column].to_numpy(dtype=np.float64), 1.0))
    for column in sorted(str(name) for name in cells.obs.columns):
        values = cells.obs[column]
        if column.startswith(_SHAPE_PREFIX) and column not in _LOGARITHMS and values.dtype.kind == "f":
            found[column.removeprefix(_SHAPE_PREFIX)] = values.to_numpy(dtype=np.float64)
    names = [str(name) for name in cells.var_names]
    if keys.HEMATOXYLIN not in names or keys.NUCLEUS_MEAN not in cells.layers:
        raise DataError(
            "the cells lack the counterstain that classes are told by", seen=names, allowed=keys.HEMATOXYLIN
        )
    counterstain = np.asarray(cells.layers[keys.NUCLEUS_MEAN], dtype=np.float64)
    found[keys.HEMATOXYLIN] = counterstain[:, names.index(keys.HEMATOXYLIN)]
    return found


def _neighbours(cells: AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n, 15) and indices (n, 10) of the nearest other nuclei; ``n`` stands for one that does not exist."""
    from scipy.spatial import KDTree

    n, most = cells.n_obs, max(*_NEIGHBOURS, _AROUND)
    if n == 0:
        return np.zeros((0, most)), np.zeros((0, _AROUND), dtype=np.int64)
    centres = np.column_stack([cells.obs[name].to_numpy(dtype=np.float64) for name in (keys.X_UM, keys.Y_UM)])
    distances, nearest = KDTree(centres).query(centres, k=most + 1)
    return np.minimum(distances[:, 1:], _FAR_UM), nearest[:, 1 : _AROUND + 1]


def _mean_around(values: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Mean over the neighbours that exist; the cell's own value where it has none."""
    padded = np.append(values, np.nan)[nearest]
    known = np.isfinite(padded)
    count = known.sum(axis=1)
    total = np.where(known, padded, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), values)
