"""What follows one slide: its 1+ cut, set above its own unstained cells, and how dark its counterstain is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay, Thresholds, load_assay
from biomarkers.score.readings import marker_index, readings
from biomarkers.score.tally import analysed

if TYPE_CHECKING:
    from anndata import AnnData

FEWEST_UNSTAINED = 30  # cells below which the assay's cuts stay as they are
# of what counterstains reach on the real fields at hand, simulated ones included: 0.04 (hidden by DAB) to 0.37
COUNTERSTAIN_RANGE = (0.08, 0.35)
_RED_OF_HEMATOXYLIN, _RED_OF_DAB = 0.650, 0.268  # Ruifrok and Johnston 2001, Anal Quant Cytol Histol 23:291
_ONE_SD_BELOW = 0.1587  # the quantile of a normal distribution one standard deviation below its median


def counterstain_od(cells: AnnData, *, column: int) -> float:
    """Red optical density that a quarter of the slide's nuclei exceed: how strongly this slide is counterstained.

    It is held within ``COUNTERSTAIN_RANGE``, and is the middle of that where fewer than 30 nuclei can be asked.
    """
    low, high = COUNTERSTAIN_RANGE
    if keys.NUCLEUS_MEAN not in cells.layers or keys.HEMATOXYLIN not in list(cells.var_names):
        return round(math.sqrt(low * high), 3)
    nuclei = np.asarray(cells.layers[keys.NUCLEUS_MEAN], dtype=np.float64)[analysed(cells)]
    blue = nuclei[:, list(cells.var_names).index(keys.HEMATOXYLIN)]
    red = _RED_OF_HEMATOXYLIN * blue + _RED_OF_DAB * nuclei[:, column]
    red = red[np.isfinite(red)]
    if red.size < FEWEST_UNSTAINED:
        return round(math.sqrt(low * high), 3)
    return round(min(max(float(np.quantile(red, 0.75)), low), high), 3)


def adaptive_thresholds(
    cells: AnnData, *, assay: Assay | str, thresholds: Thresholds | None = None, marker: str | None = None
) -> Thresholds:
    """Return the cuts that hold on this slide.

    How pale a camera or a counterstain is moves unstained cells and weakly stained ones alike, so the 1+ cut of assays
    that ask for it follows the slide: the median of its unstained cells, plus ``follow_od``, plus ``follow_sd``
    standard deviations of theirs, within ``follow_range``. Unstained are the cells below the assay's own 1+ cut; their
    spread is taken below the median, where no stained cell is. 2+ and 3+ move by the same optical density. Where
    membranes may be told by their darkness, ``counterstain_od`` is taken from the slide's nuclei.

    Parameters
    ----------
    cells
        Measured cells of ONE slide, one row each.
    assay
        An assay or its name.
    thresholds
        Cuts in place of the assay's own.
    marker
        The marker; the assay's when None.

    Returns
    -------
    Fixed cuts (``follow_sd`` is 0), whose ``source`` says how they were found; the given ones where they do not follow
    the slide, or where fewer than 30 cells are unstained.

    Raises
    ------
    DataError
        The marker or a layer is missing.
    """
    assay = load_assay(assay) if isinstance(assay, str) else assay
    cuts = assay.thresholds if thresholds is None else thresholds
    name = assay.marker if marker is None else marker
    if cuts.counterstain_ratio > 0 and cuts.counterstain_od == 0:
        cuts = cuts.model_copy(update={"counterstain_od": counterstain_od(cells, column=marker_index(cells, name))})
    if cuts.follow_sd == 0:
        return cuts
    value, _ = readings(cells, assay=assay, column=marker_index(cells, name))
    value = value[analysed(cells)]
    unstained = value[value < cuts.dab_od[0]]
    if unstained.size < FEWEST_UNSTAINED:
        few = f"{cuts.source}; not moved: {unstained.size} unstained cells, {FEWEST_UNSTAINED} needed to follow a slide"
        return cuts.model_copy(update={"follow_sd": 0.0, "source": few})
    middle = float(np.median(unstained))
    spread = middle - float(np.quantile(unstained, _ONE_SD_BELOW))
    least, most = cuts.follow_range
    first = round(min(max(middle + cuts.follow_od + cuts.follow_sd * spread, least), most), 3)
    second, third = (round(edge + first - cuts.dab_od[0], 3) for edge in cuts.dab_od[1:])
    how = (
        f"{cuts.source}; on this slide {cuts.follow_od:g} OD and {cuts.follow_sd:g} sd ({spread:.3f}) above the median"
        f" ({middle:.3f}) of {unstained.size} unstained cells, within {least:g}-{most:g}"
    )
    return cuts.model_copy(update={"dab_od": (first, second, third), "follow_sd": 0.0, "source": how})
