"""Measured cells -> which are positive, and how strongly (bins 0, 1+, 2+, 3+)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers import keys
from biomarkers.cells.outline_stain import PARTIAL_SHARE
from biomarkers.config import Assay, Compartment, Thresholds, load_assay
from biomarkers.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData

# obs: what was compared with the cuts, in the unit of X
OD_COLUMN = "{marker}_od"
STAINED_MEAN = "membrane_stained_mean"  # layer: mean over the stained stretches of the outline
PARTIAL = "membrane_partial"  # layer: level that PARTIAL_SHARE of the outline reaches
_LAYERS = {
    "nucleus": keys.NUCLEUS_MEAN,
    "cytoplasm": keys.CYTOPLASM_MEAN,
}
MEMBRANOUS, CYTOPLASMIC, UNJUDGED = "membranous", "cytoplasmic", "not judged"
_FEWEST_FOR_PATTERN = 10  # stained cells below which a slide has no pattern of its own
_FLOOR_OD = 0.02  # added to both sides of a ratio, so that noise near zero makes none
_IMMUNE = (keys.LYMPHOCYTE, keys.MACROPHAGE)


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
    cuts = assay.thresholds if thresholds is None else thresholds
    name = assay.marker if marker is None else marker
    column = marker_index(cells, name)
    complete = is_complete(cells, cuts=cuts, column=column)
    value, membrane_rule = readings(cells, assay=assay, column=column, complete=complete)
    # stretches were measured at one cut; at a lower one, what makes a cell complete is stained as darkly as this
    faint = membrane_rule & complete & (value < cuts.dab_od[0])
    if faint.any():
        value[faint] = np.fmax(value, _partial(cells, column))[faint]
    bins = bin_values(value, cuts)
    ratio = outline_ratio(cells, column=column)
    if pattern is None:
        telling = _telling(cells, membrane_rule & complete & (bins > 0), value=value)
        step = outline_step(cells, column=column)
        pattern = staining_pattern(ratio[telling], step[telling], cuts=cuts)
    least = cuts.strict_ratio if pattern == CYTOPLASMIC else cuts.min_ratio
    bins[membrane_rule & ~(complete & (ratio >= least))] = 0
    called = cells.copy()
    called.obs[keys.positive_column(name)] = bins > 0
    called.obs[keys.bin_column(name)] = bins
    called.obs[OD_COLUMN.format(marker=name)] = value
    called.uns["thresholds"] = {
        "marker": name,
        "compartment": assay.compartment,
        "pattern": pattern,
        **{key: np.asarray(item) if key == "dab_od" else item for key, item in cuts.model_dump().items()},
    }
    return called


def bin_values(values: np.ndarray, cuts: Thresholds) -> np.ndarray:
    """Return 0, 1, 2 or 3 for each value; a value at a cut belongs to the bin above it."""
    return np.digitize(np.nan_to_num(values), cuts.dab_od).astype(np.int64)


def readings(
    cells: AnnData, *, assay: Assay, column: int, complete: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value that meets the cuts, (n,), and which cells must obey the membrane rule, (n,) bool."""
    value = compartment_values(cells, assay.compartment, column=column, complete=complete)
    membrane_rule = np.full(cells.n_obs, assay.compartment == "membrane")
    if assay.immune_compartment is not None and keys.CELL_CLASS in cells.obs:
        immune = np.isin(cells.obs[keys.CELL_CLASS].astype(str).to_numpy(), _IMMUNE)
        theirs = compartment_values(cells, assay.immune_compartment, column=column, complete=complete)
        value[immune] = theirs[immune]
        membrane_rule[immune] = assay.immune_compartment == "membrane"
    return value, membrane_rule


def compartment_values(
    cells: AnnData, compartment: Compartment, *, column: int, complete: np.ndarray | None = None
) -> np.ndarray:
    """Read one compartment of every cell, (n,); the cell's mean where a cell lacks the compartment (no pixels).

    The membrane is read where it is stained (the mean over stained stretches of the outline), so that intensity does
    not fall with completeness; over the whole outline where nothing is stained, where stretches were not measured, or
    where ``complete`` says that too little of it is stained to be more than a dot.
    """
    whole = _matrix(cells.X)[:, column]
    if compartment == "cell":
        return whole.copy()
    if compartment == "membrane":
        value = _membrane(cells, column)
    elif compartment == "membrane_or_cytoplasm":
        membrane = _membrane(cells, column)
        if complete is not None:
            membrane = np.where(complete, membrane, _layer(cells, keys.MEMBRANE_MEAN, column))
        value = np.fmax(membrane, _layer(cells, keys.CYTOPLASM_MEAN, column))
    else:
        value = _layer(cells, _LAYERS[compartment], column)
    return np.where(np.isnan(value), whole, value)


def _membrane(cells: AnnData, column: int) -> np.ndarray:
    whole = _layer(cells, keys.MEMBRANE_MEAN, column)
    if STAINED_MEAN not in cells.layers:
        return whole
    stained = _layer(cells, STAINED_MEAN, column)
    return np.where(np.isnan(stained), whole, stained)


def is_complete(cells: AnnData, *, cuts: Thresholds, column: int) -> np.ndarray:
    """Which cells have at least ``min_completeness`` of their outline stained, (n,) bool.

    Stained means darker than the 1+ cut where the outline's levels were kept (for two fifths of it, the share that
    the shipped assays ask for), and darker than the cut it was measured with otherwise.
    """
    if cuts.min_completeness == 0:
        return np.ones(cells.n_obs, dtype=bool)
    if PARTIAL in cells.layers and cuts.min_completeness == PARTIAL_SHARE:
        return np.rint(1000 * _partial(cells, column)) > round(1000 * cuts.dab_od[0])
    return np.nan_to_num(_layer(cells, keys.MEMBRANE_COMPLETENESS, column)) >= cuts.min_completeness


def _partial(cells: AnnData, column: int) -> np.ndarray:
    return np.nan_to_num(_layer(cells, PARTIAL, column)) if PARTIAL in cells.layers else np.zeros(cells.n_obs)


def outline_ratio(cells: AnnData, *, column: int) -> np.ndarray:
    """How much darker each outline is than the cell's inside, (n,): 1 where alike.

    The inside is cytoplasm or nucleus, whichever is darker: a blush lies over the nucleus too, a membrane does not.
    """
    if not _tells_inside(cells):
        return np.full(cells.n_obs, np.inf)
    outline, inside = _outline_and_inside(cells, column)
    ratio: np.ndarray = (outline + _FLOOR_OD) / (inside + _FLOOR_OD)
    return ratio


def outline_step(cells: AnnData, *, column: int) -> np.ndarray:
    """By how much optical density each outline exceeds the cell's inside, (n,)."""
    if not _tells_inside(cells):
        return np.full(cells.n_obs, np.inf)
    outline, inside = _outline_and_inside(cells, column)
    return outline - inside


def _tells_inside(cells: AnnData) -> bool:
    return {keys.MEMBRANE_MEAN, keys.CYTOPLASM_MEAN, keys.NUCLEUS_MEAN} <= set(cells.layers)


def _outline_and_inside(cells: AnnData, column: int) -> tuple[np.ndarray, np.ndarray]:
    inside = np.fmax(_layer(cells, keys.CYTOPLASM_MEAN, column), _layer(cells, keys.NUCLEUS_MEAN, column))
    return np.nan_to_num(_membrane(cells, column)), np.nan_to_num(np.maximum(inside, 0.0))


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
        raise DataError("the cells lack a measurement", seen=name, allowed=sorted(map(str, cells.layers)))
    return _matrix(cells.layers[name])[:, column]


def _matrix(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)
