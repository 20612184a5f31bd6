"""The 1+ cut of one slide, set above its own unstained cells: for assays that ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.config import Assay, Thresholds, load_assay
from biomarkers.score.readings import marker_index, readings
from biomarkers.score.tally import analysed

if TYPE_CHECKING:
    from anndata import AnnData

FEWEST_UNSTAINED = 30  # cells below which the assay's cuts stay as they are
_ONE_SD_BELOW = 0.1587  # the quantile of a normal distribution one standard deviation below its median


def own_cuts(
    cells: AnnData, *, assay: Assay | str, thresholds: Thresholds | None = None, marker: str | None = None
) -> Thresholds:
    """Return the cuts that hold on this slide.

    How pale a camera or a counterstain is moves unstained cells and weakly stained ones alike, so the 1+ cut follows
    the slide: the median of its unstained cells, plus ``follow_od``, plus ``follow_sd`` standard deviations of theirs,
    within ``follow_range``. Unstained are the cells below the assay's own 1+ cut; their spread is taken below the
    median, where no stained cell is. 2+ and 3+ move by the same optical density.

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
    if cuts.follow_sd == 0:
        return cuts
    name = assay.marker if marker is None else marker
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
