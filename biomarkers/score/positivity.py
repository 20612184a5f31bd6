"""Measured cells -> which are positive, and how strongly (bins 0, 1+, 2+, 3+)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers import keys
from biomarkers.config import Assay, Compartment, Thresholds, load_assay
from biomarkers.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData

# obs: what was compared with the cuts, in the unit of X
OD_COLUMN = "{marker}_od"
_LAYERS = {
    "nucleus": keys.NUCLEUS_MEAN,
    "cytoplasm": keys.CYTOPLASM_MEAN,
    "membrane": keys.MEMBRANE_MEAN,
}
_IMMUNE = (keys.LYMPHOCYTE, keys.MACROPHAGE)


def call_positivity(
    cells: AnnData, *, assay: Assay | str, thresholds: Thresholds | None = None, marker: str | None = None
) -> AnnData:
    """Call every cell positive or negative and give it an intensity bin.

    A cell is read in the assay's compartment (immune cells in its immune compartment). In a membrane assay the
    staining must also be linear and of the membrane: at least ``min_completeness`` of the outline stained, and the
    membrane darker than the cytoplasm by ``min_contrast``; otherwise the cell is bin 0 whatever its intensity.

    Parameters
    ----------
    cells
        Measured cells, one row each; layers hold the means of each compartment as optical density.
    assay
        An assay or its name.
    thresholds
        Cuts to use in place of the assay's own (see :func:`biomarkers.score.anchor_thresholds`).
    marker
        The marker to call, a name in ``cells.var_names``; the assay's marker when None.

    Returns
    -------
    A copy of ``cells`` with ``<marker>_positive`` (bool), ``<marker>_bin`` (0-3) and ``<marker>_od`` (the value that
    met the cuts) in ``obs``, and the cuts in ``uns["thresholds"]``.

    Raises
    ------
    DataError
        The marker or a layer is missing.
    """
    assay = load_assay(assay) if isinstance(assay, str) else assay
    cuts = assay.thresholds if thresholds is None else thresholds
    name = assay.marker if marker is None else marker
    column = marker_index(cells, name)
    value, membrane_rule = readings(cells, assay=assay, column=column)
    bins = bin_values(value, cuts)
    bins[membrane_rule & ~is_membranous(cells, cuts=cuts, column=column)] = 0
    called = cells.copy()
    called.obs[keys.positive_column(name)] = bins > 0
    called.obs[keys.bin_column(name)] = bins
    called.obs[OD_COLUMN.format(marker=name)] = value
    called.uns["thresholds"] = {
        "marker": name,
        "compartment": assay.compartment,
        "dab_od": np.asarray(cuts.dab_od, dtype=np.float64),
        "min_completeness": cuts.min_completeness,
        "min_contrast": cuts.min_contrast,
        "source": cuts.source,
    }
    return called


def bin_values(values: np.ndarray, cuts: Thresholds) -> np.ndarray:
    """Return 0, 1, 2 or 3 for each value; a value at a cut belongs to the bin above it."""
    return np.digitize(values, cuts.dab_od).astype(np.int64)


def readings(cells: AnnData, *, assay: Assay, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the value that meets the cuts, (n,), and which cells must obey the membrane rule, (n,) bool."""
    value = compartment_values(cells, assay.compartment, column=column)
    membrane_rule = np.full(cells.n_obs, assay.compartment == "membrane")
    if assay.immune_compartment is not None and keys.CELL_CLASS in cells.obs:
        immune = np.isin(cells.obs[keys.CELL_CLASS].astype(str).to_numpy(), _IMMUNE)
        value[immune] = compartment_values(cells, assay.immune_compartment, column=column)[immune]
        membrane_rule[immune] = assay.immune_compartment == "membrane"
    return value, membrane_rule


def compartment_values(cells: AnnData, compartment: Compartment, *, column: int) -> np.ndarray:
    """Mean of one compartment of every cell, (n,); the cell's mean where a cell lacks the compartment (no pixels)."""
    whole = _matrix(cells.X)[:, column]
    if compartment == "cell":
        return whole.copy()
    if compartment == "membrane_or_cytoplasm":
        value = np.fmax(_layer(cells, keys.MEMBRANE_MEAN, column), _layer(cells, keys.CYTOPLASM_MEAN, column))
    else:
        value = _layer(cells, _LAYERS[compartment], column)
    return np.where(np.isnan(value), whole, value)


def is_membranous(cells: AnnData, *, cuts: Thresholds, column: int) -> np.ndarray:
    """Which cells are stained along their outline and more there than in the cytoplasm, (n,) bool."""
    keep = np.ones(cells.n_obs, dtype=bool)
    if cuts.min_completeness > 0:
        keep &= np.nan_to_num(_layer(cells, keys.MEMBRANE_COMPLETENESS, column)) >= cuts.min_completeness
    if cuts.min_contrast > 0:
        membrane = _layer(cells, keys.MEMBRANE_MEAN, column)
        cytoplasm = _layer(cells, keys.CYTOPLASM_MEAN, column)
        # a cell without cytoplasm pixels has nothing its membrane could be mistaken for
        keep &= np.isnan(cytoplasm) | (membrane - cytoplasm >= cuts.min_contrast)
    return keep


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


def _layer(cells: AnnData, name: str, column: int) -> np.ndarray:
    if name not in cells.layers:
        raise DataError("the cells lack a measurement", seen=name, allowed=sorted(cells.layers))
    return _matrix(cells.layers[name])[:, column]


def _matrix(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)
