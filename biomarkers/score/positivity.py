"""Measured cells -> which are positive, and how strongly (bins 0, 1+, 2+, 3+)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers import keys
from biomarkers.config import Assay, Thresholds, load_assay
from biomarkers.score.neighbours import neighbour_level
from biomarkers.score.own_cut import own_cuts
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.readings import (
    is_complete,
    marker_index,
    outline_ratio,
    outline_share,
    outline_step,
    partial_level,
    readings,
)

if TYPE_CHECKING:
    from anndata import AnnData

# obs: what was compared with the cuts, in the unit of X
OD_COLUMN = "{marker}_od"
MEMBRANOUS, CYTOPLASMIC, UNJUDGED = "membranous", "cytoplasmic", "not judged"
# share of the outline that convinces on a cytoplasmic slide, where a stained neighbour's body colours the rest
_CONVINCING = 0.7
_FEWEST_FOR_PATTERN = 10  # stained cells below which a slide has no pattern of its own


def call_positivity(
    cells: AnnData,
    *,
    assay: Assay | str,
    thresholds: Thresholds | None = None,
    marker: str | None = None,
    pattern: str | None = None,
) -> AnnData:
    """Call every cell positive or negative and give it an intensity bin.

    A cell is read in the assay's compartment (immune cells in its immune compartment). In a membrane assay the
    staining must also be of the membrane: enough of the outline stained, and the outline darker than the inside (see
    :class:`biomarkers.config.Thresholds`); otherwise the cell is bin 0 whatever its intensity.

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
    pattern
        The slide's staining pattern where it is known already (``cells`` are then a part of it); told by the cells
        when None.

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
    name = assay.marker if marker is None else marker
    given, cells = cells, PlainCells.of(cells)
    column = marker_index(cells, name)
    cuts = own_cuts(cells, assay=assay, thresholds=thresholds, marker=name)
    complete = is_complete(cells, cuts=cuts, column=column)
    value, membrane_rule = readings(cells, assay=assay, column=column, complete=complete)
    # stretches were measured at one cut; at a lower one, what makes a cell complete is stained as darkly as this
    faint = membrane_rule & complete & (value < cuts.dab_od[0])
    if faint.any():
        value[faint] = np.fmax(value, partial_level(cells, column))[faint]
    bins = bin_values(value, cuts)
    bins[_lent(cells, value, membrane_rule, assay=assay, cuts=cuts, column=column)] = 0
    ratio = outline_ratio(cells, column=column)
    if pattern is None:
        telling = _telling(cells, membrane_rule & complete & (bins > 0), value=value)
        step = outline_step(cells, column=column)
        pattern = staining_pattern(ratio[telling], step[telling], cuts=cuts)
    least = cuts.strict_ratio if pattern == CYTOPLASMIC else cuts.min_ratio
    if pattern == CYTOPLASMIC and cuts.min_completeness > 0:
        complete &= outline_share(cells, column=column) >= _CONVINCING
    bins[membrane_rule & ~(complete & (ratio >= least))] = 0
    called = given.copy()
    called.obs[keys.positive_column(name)] = bins > 0
    called.obs[keys.bin_column(name)] = bins
    called.obs[OD_COLUMN.format(marker=name)] = value
    called.uns["thresholds"] = {
        "marker": name,
        "compartment": assay.compartment,
        "pattern": pattern,
        **{key: np.asarray(item) if isinstance(item, tuple) else item for key, item in cuts.model_dump().items()},
    }
    return called


def _lent(
    cells: AnnData, value: np.ndarray, membrane_rule: np.ndarray, *, assay: Assay, cuts: Thresholds, column: int
) -> np.ndarray:
    """Which cells show no more than their neighbours' membranes lend them, (n,) bool."""
    around = None
    if cuts.neighbour_share > 0 and assay.compartment == "membrane":
        around = neighbour_level(cells, column=column)
    if around is None:
        return np.zeros(cells.n_obs, dtype=bool)
    own = np.where(membrane_rule, partial_level(cells, column), value)
    return own < cuts.neighbour_share * around


def bin_values(values: np.ndarray, cuts: Thresholds) -> np.ndarray:
    """Return 0, 1, 2 or 3 for each value; a value at a cut belongs to the bin above it."""
    known = np.where(np.isnan(values), 0.0, values)
    first, second, third = ((known >= cut).astype(np.int64) for cut in cuts.dab_od)
    return first + second + third


def _telling(cells: AnnData, stained: np.ndarray, *, value: np.ndarray) -> np.ndarray:
    """Which stained cells tell the slide's pattern: tumor cells where they are known, and the darker half of them.

    Cells that hardly pass the first cut are stained by chance as often as not.
    """
    if keys.CELL_CLASS in cells.obs:
        tumor = stained & (cells.obs[keys.CELL_CLASS].astype(str).to_numpy() == keys.TUMOR)
        if np.count_nonzero(tumor) >= 2 * _FEWEST_FOR_PATTERN:
            stained = tumor
    if not stained.any():
        return stained
    return stained & (value >= float(np.median(value[stained])))


def staining_pattern(ratio: np.ndarray, step: np.ndarray, *, cuts: Thresholds) -> str:
    """Tell whether a slide's stained cells are stained on the membrane or in the cytoplasm, by their medians.

    One cell seldom tells: cytoplasm is thin and optics blur. Many cells of one slide do. Staining is cytoplasmic where
    outlines are hardly darker than the insides. A membrane over stained cytoplasm has a smaller ratio than one on clear
    cytoplasm, but a large step: between ``blush_ratio`` and ``pattern_ratio`` the step decides.
    """
    if cuts.pattern_ratio == 0 or ratio.size < _FEWEST_FOR_PATTERN:
        return UNJUDGED
    middle = float(np.median(ratio))
    small_step = cuts.pattern_od == 0 or float(np.median(step)) < cuts.pattern_od
    alike = middle < cuts.blush_ratio or (middle < cuts.pattern_ratio and small_step)
    return CYTOPLASMIC if alike else MEMBRANOUS
