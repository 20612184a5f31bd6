"""Is a cell's membrane stained? Told cell by cell, by level, line and side; and what else of the cell is stained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Thresholds
from biomarkers.score.readings import is_complete, layer, membrane_level, partial_level
from biomarkers.score.stainings import CYTOPLASM, GRANULES, MEMBRANE, NONE, NUCLEUS
from biomarkers.seg.table import MEMBRANE_HALF, MEMBRANE_LINE

if TYPE_CHECKING:
    from anndata import AnnData

# outlines and lines are compared in logarithms; what is added keeps noise near zero from making ratios
_FLOOR_OD, _FLOOR_LINE_OD = 0.01, 0.004
# share of a line above which cytoplasm is not asked: on simulated tiles stained in the cytoplasm alone 19 of 20
# outlines that looked like lines had less than 0.4; where a nucleus fills its cell, cytoplasm is the membrane's blur
CLEAR_LINE = 0.45
_AT_OD = 0.1  # level at which ``line_share`` stands


def membrane_evidence(cells: AnnData, *, cuts: Thresholds, column: int) -> np.ndarray:
    """How far each cell's outline is from the weakest that still convinces, (n,): natural logarithm of a ratio.

    At or above 0 the membrane is stained. Of the demands in :class:`~biomarkers.core.config.Thresholds` the one that is
    met least decides, so evidence moves by as much as what was measured, and nothing in it depends on other cells but
    the slide's counterstain. Where lines were not measured (tables of other software) the level decides, for cells with
    ``min_completeness`` of their outline stained.
    """
    if MEMBRANE_HALF not in cells.layers or np.isnan(layer(cells, MEMBRANE_HALF, column)).all():
        read = _log(np.nan_to_num(membrane_level(cells, column))) - np.log(cuts.dab_od[0] + _FLOOR_OD)
        return np.where(is_complete(cells, cuts=cuts, column=column), read, -np.inf)
    own = partial_level(cells, column)
    level = _log(own) - np.log(cuts.dab_od[0] + _FLOOR_OD)
    outline = np.nan_to_num(layer(cells, MEMBRANE_HALF, column))
    line = np.log(np.maximum(np.nan_to_num(layer(cells, MEMBRANE_LINE, column)), 0) + _FLOOR_LINE_OD) - _log(outline)
    demands = [level, _log(outline) - np.log(cuts.dab_od[0] + _FLOOR_OD)]
    if cuts.own_share > 0:
        demands.append(_log(own) - _log(outline) - np.log(cuts.own_share))
    if cuts.line_share > 0:
        least = np.log(cuts.line_share) + cuts.line_rise * (_log(outline) - np.log(_AT_OD))
        demands.append(line - least)
    if cuts.cytoplasm_ratio > 0:
        cytoplasm = np.nan_to_num(layer(cells, keys.CYTOPLASM_MEAN, column))
        clear = line - np.log(CLEAR_LINE)
        demands.append(np.maximum(_log(outline) - _log(cytoplasm) - np.log(cuts.cytoplasm_ratio), clear))
    lines = np.minimum.reduce(demands)
    if cuts.counterstain_ratio == 0:
        return np.asarray(lines)
    inside = np.nan_to_num(layer(cells, keys.NUCLEUS_MEAN, column))
    dark = np.minimum(
        _log(outline) - np.log(cuts.counterstain_ratio * cuts.counterstain_od + _FLOOR_OD),
        _log(outline) - _log(inside) - np.log(max(cuts.inside_ratio, 1e-6)),
    )
    return np.maximum(lines, dark)


def staining_of(
    cells: AnnData, *, cuts: Thresholds, column: int, membranous: np.ndarray, granular: np.ndarray
) -> np.ndarray:
    """Tell what of each cell is stained, (n,) of ``STAININGS``: at or above the 1+ cut, in the order of certainty."""
    first = cuts.dab_od[0]
    nucleus, cytoplasm = (
        np.nan_to_num(layer(cells, name, column)) if name in cells.layers else np.zeros(cells.n_obs)
        for name in (keys.NUCLEUS_MEAN, keys.CYTOPLASM_MEAN)
    )
    around = np.maximum(cytoplasm, partial_level(cells, column))
    out = np.full(cells.n_obs, NONE, dtype="<U9")
    out[around >= first] = CYTOPLASM
    out[(nucleus >= first) & (nucleus > around)] = NUCLEUS
    out[granular] = GRANULES
    out[membranous] = MEMBRANE
    return out


def _log(od: np.ndarray) -> np.ndarray:
    logarithm: np.ndarray = np.log(np.maximum(od, 0) + _FLOOR_OD)
    return logarithm
