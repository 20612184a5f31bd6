"""What is read in each cell: the compartment that meets the cuts, and what its outline is like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay, Compartment, Thresholds
from biomarkers.core.errors import DataError, did_you_mean
from biomarkers.score.once import memoise
from biomarkers.seg.outline_stain import PARTIAL_SHARE
from biomarkers.seg.table import DARK_SHARE, MEMBRANE_HALF
from biomarkers.seg.table import MEMBRANE_STAINED_MEAN as STAINED_MEAN

if TYPE_CHECKING:
    from anndata import AnnData

PARTIAL = "membrane_partial"  # layer: level that PARTIAL_SHARE of the outline reaches
_LAYERS = {
    "nucleus": keys.NUCLEUS_MEAN,
    "cytoplasm": keys.CYTOPLASM_MEAN,
}
_IMMUNE = (keys.LYMPHOCYTE, keys.MACROPHAGE)


def marker_index(cells: AnnData, marker: str) -> int:
    """Return the column of ``marker``.

    Raises
    ------
    DataError
        The cells have no such marker.
    """
    names = [str(name) for name in cells.var_names]
    if marker not in names:
        raise DataError("the cells have no such marker", seen=marker, allowed=names, hint=did_you_mean(marker, names))
    return names.index(marker)


def readings(
    cells: AnnData, *, assay: Assay, column: int, complete: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value that meets the cuts, (n,), and which cells must obey the membrane rule, (n,) bool."""
    value = compartment_values(cells, assay.compartment, column=column, complete=complete)
    membrane_rule = np.full(cells.n_obs, assay.compartment == "membrane")
    if assay.immune_compartment is not None and keys.CELL_CLASS in cells.obs:
        immune = memoise(cells, "immune", lambda: _is_immune(cells))
        theirs = compartment_values(cells, assay.immune_compartment, column=column, complete=complete)
        value[immune] = theirs[immune]
        membrane_rule[immune] = assay.immune_compartment == "membrane"
    return value, membrane_rule


def _is_immune(cells: AnnData) -> np.ndarray:
    return np.isin(cells.obs[keys.CELL_CLASS].astype(str).to_numpy(), _IMMUNE)


def compartment_values(
    cells: AnnData, compartment: Compartment, *, column: int, complete: np.ndarray | None = None
) -> np.ndarray:
    """Read one compartment of every cell, (n,); the cell's mean where a cell lacks the compartment (no pixels).

    The membrane is the level that half of the outline reaches. Where that was not measured (other software's tables),
    and for ``membrane_or_cytoplasm``, it is the mean over the stained stretches of the outline, so that intensity does
    not fall with completeness; over the whole outline where nothing is stained, where stretches were not measured, or
    where ``complete`` says that too little of it is stained to be more than a dot.
    """
    whole = _matrix(cells.X)[:, column]
    if compartment == "cell":
        return whole.copy()
    if compartment == "membrane":
        value = layer(cells, MEMBRANE_HALF, column) if MEMBRANE_HALF in cells.layers else membrane_level(cells, column)
        value = np.where(np.isnan(value), membrane_level(cells, column), value)
    elif compartment == "membrane_or_cytoplasm":
        membrane = membrane_level(cells, column)
        if complete is not None:
            membrane = np.where(complete, membrane, layer(cells, keys.MEMBRANE_MEAN, column))
        value = np.fmax(membrane, layer(cells, keys.CYTOPLASM_MEAN, column))
    else:
        value = layer(cells, _LAYERS[compartment], column)
    return np.where(np.isnan(value), whole, value)


def membrane_level(cells: AnnData, column: int) -> np.ndarray:
    """Mean over the stained part of each outline, (n,); over the whole outline where nothing is stained."""
    whole = layer(cells, keys.MEMBRANE_MEAN, column)
    if STAINED_MEAN not in cells.layers:
        return whole

    def membrane() -> np.ndarray:
        stained = layer(cells, STAINED_MEAN, column)
        return np.where(np.isnan(stained), whole, stained)

    return memoise(cells, ("membrane", column), membrane)


def is_complete(cells: AnnData, *, cuts: Thresholds, column: int) -> np.ndarray:
    """Which cells have at least ``min_completeness`` of their outline stained, (n,) bool.

    Stained means darker than the 1+ cut where the outline's levels were kept (for two fifths of it, the share that
    the shipped assays ask for), and darker than the cut it was measured with otherwise.
    """
    if cuts.min_completeness == 0:
        return np.ones(cells.n_obs, dtype=bool)
    if PARTIAL in cells.layers and cuts.min_completeness == PARTIAL_SHARE:
        return np.rint(1000 * partial_level(cells, column)) > round(1000 * cuts.dab_od[0])
    return outline_share(cells, column=column) >= cuts.min_completeness


def outline_share(cells: AnnData, *, column: int) -> np.ndarray:
    """Share of each outline that is stained at the cut it was measured with, (n,), 0-1."""
    return np.nan_to_num(layer(cells, keys.MEMBRANE_COMPLETENESS, column))


def partial_level(cells: AnnData, column: int) -> np.ndarray:
    """Level that two fifths of each outline reach, (n,); 0 where it was not measured."""
    if PARTIAL not in cells.layers:
        return np.zeros(cells.n_obs)
    return memoise(cells, ("partial level", column), lambda: np.nan_to_num(layer(cells, PARTIAL, column)))


def dark_share(cells: AnnData, column: int) -> np.ndarray:
    """Share of each cell's area that is stained darkly, as granules are, (n,); 0 where it was not measured."""
    if DARK_SHARE not in cells.layers:
        return np.zeros(cells.n_obs)
    return np.nan_to_num(layer(cells, DARK_SHARE, column))


def may_be_immune(cells: AnnData) -> np.ndarray:
    """Which cells are immune cells, or of no known class, (n,) bool."""
    if keys.CELL_CLASS not in cells.obs:
        return np.ones(cells.n_obs, dtype=bool)
    return np.isin(cells.obs[keys.CELL_CLASS].astype(str).to_numpy(), (*_IMMUNE, keys.UNKNOWN))


def layer(cells: AnnData, name: str, column: int) -> np.ndarray:
    """One layer of one marker, (n,).

    Raises
    ------
    DataError
        The cells lack it.
    """
    if name not in cells.layers:
        raise DataError("the cells lack a measurement", seen=name, allowed=sorted(map(str, cells.layers)))
    return _matrix(cells.layers[name])[:, column]


def _matrix(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)
