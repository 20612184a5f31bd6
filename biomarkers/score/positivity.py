"""Measured cells -> which are positive, how strongly (bins 0, 1+, 2+, 3+), and what of them is stained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay, Thresholds, load_assay
from biomarkers.score.membrane import membrane_evidence, staining_of
from biomarkers.score.own_cut import adaptive_thresholds
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.readings import (
    dark_share,
    is_complete,
    marker_index,
    may_be_immune,
    readings,
)

if TYPE_CHECKING:
    from anndata import AnnData


def call_positivity(
    cells: AnnData,
    *,
    assay: Assay | str,
    thresholds: Thresholds | None = None,
    marker: str | None = None,
) -> AnnData:
    """Call every cell positive or negative and give it an intensity bin.

    A cell is read in the assay's compartment (immune cells in its immune compartment). In a membrane assay the
    staining must also be of the membrane, cell by cell (see :class:`~biomarkers.core.config.Thresholds`); otherwise
    the cell is bin 0 whatever its intensity. Where the assay knows granular staining, immune cells and cells of no
    known class are positive too when enough of their area is stained darkly.

    Parameters
    ----------
    cells
        Measured cells of ONE slide, one row each; layers hold the means of each compartment as optical density.
    assay
        An assay or its name.
    thresholds
        Cuts to use in place of the assay's own (see :func:`biomarkers.score.anchor_thresholds`).
    marker
        The marker to call, a name in ``cells.var_names``; the assay's marker when None.

    Returns
    -------
    A copy of ``cells`` with ``<marker>_positive`` (bool), ``<marker>_bin`` (0-3), ``<marker>_od`` (the value that met
    the cuts) and ``<marker>_staining`` (``none``, ``membrane``, ``cytoplasm``, ``nucleus`` or ``granules``) in ``obs``,
    and the cuts in ``uns["thresholds"]``.

    Raises
    ------
    DataError
        The marker or a layer is missing.

    Examples
    --------
    >>> import biomarkers as bm
    >>> folder = bm.sample_trial().folder
    >>> result = bm.score_slide(
    ...     folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif", assay="22c3", assume_tumor=True
    ... )
    >>> called = bm.call_positivity(result.cells, assay="22c3")
    >>> "PD-L1_positive" in called.obs
    True
    """
    assay = load_assay(assay) if isinstance(assay, str) else assay
    name = assay.marker if marker is None else marker
    given, cells = cells, PlainCells.of(cells)
    column = marker_index(cells, name)
    cuts = adaptive_thresholds(cells, assay=assay, thresholds=thresholds, marker=name)
    complete = is_complete(cells, cuts=cuts, column=column)
    value, membrane_rule = readings(cells, assay=assay, column=column, complete=complete)
    bins = bin_values(value, cuts)
    convinced = np.ones(cells.n_obs, dtype=bool)
    if membrane_rule.any():
        convinced = membrane_evidence(cells, cuts=cuts, column=column) >= 0
        bins[membrane_rule] = np.where(convinced, np.maximum(bins, 1), 0)[membrane_rule]
    granular = np.zeros(cells.n_obs, dtype=bool)
    if cuts.granule_share > 0:
        granular = (dark_share(cells, column) >= cuts.granule_share) & may_be_immune(cells) & (bins == 0)
        bins[granular] = 1
    called = given.copy()
    called.obs[keys.positive_column(name)] = bins > 0
    called.obs[keys.bin_column(name)] = bins
    called.obs[keys.od_column(name)] = value
    called.obs[keys.staining_column(name)] = staining_of(
        cells, cuts=cuts, column=column, membranous=membrane_rule & convinced, granular=granular
    )
    called.uns["thresholds"] = {
        "marker": name,
        "compartment": assay.compartment,
        **{key: np.asarray(item) if isinstance(item, tuple) else item for key, item in cuts.model_dump().items()},
    }
    return called


def bin_values(values: np.ndarray, cuts: Thresholds) -> np.ndarray:
    """Return 0, 1, 2 or 3 for each value; a value at a cut belongs to the bin above it."""
    known = np.where(np.isnan(values), 0.0, values)
    first, second, third = ((known >= cut).astype(np.int64) for cut in cuts.dab_od)
    return first + second + third
