"""Nuclei: the recipe, made of steps that exist twice (:mod:`biomarkers.seg.tools`).

What is locally high is parted into basins around the middles of what may be nuclei: far too many. Neighbours are then
merged where one ellipse describes both better than two, or where no neck lies between them, the clearest pair first.
Each nucleus at last finds its own outline, in smaller pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.contrast import Contrast, WorkingImage, nuclear_contrast
from biomarkers.seg.grow import Labels
from biomarkers.seg.outline import outlined
from biomarkers.seg.regions import MergeRule
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.tools import Mask, Tools

FINE_SIGMA_UM = 1.5
# the generous mask adds what is high at a coarser scale: sigma in um, least answer in thousandths
COARSE_SIGMA_UM, COARSE_LEAST = 2.3, 10
SOLID = 300  # what is denser than this belongs to a nucleus even where it is not the local peak
CLOSE_UM = 1.0  # mends bites and small holes, such as DAB leaves where it hides hematoxylin
DEEPEST_UM = 6.0  # from here on the inside of an object is flat
WEIGHTS = (2, 2)  # of the squared distances in the strict and in the generous mask
# see MergeRule; lengths in um
FIT, NECK, OPEN_NECK, FLAT_UM, FLAT_BONUS, SMALL_UM2, SMALL_BONUS = 30.0, 1.5, 0.6, 0.2, 1.0, 4.5, 0.4


def find_nuclei(work: WorkingImage, *, settings: CellSettings, tools: Tools) -> tuple[Labels, NDArray[np.int64]]:
    """Find nuclei: seek them in large pixels, of about 1 um, and outline them in working pixels.

    Parameters
    ----------
    work
        The working image.
    settings
        Areas, least density and the seeking grid.
    tools
        The steps, plain or fast.

    Returns
    -------
    Labels (rows, columns) of the working image, int16 or int32, 0 = no nucleus, 1..n; and the contrast of each label
    0..n against its surroundings, thousandths of optical density.
    """
    contrast = nuclear_contrast(work, settings=settings, tools=tools)
    # what seeking takes is let go of before outlining, which takes most
    objects, core = _sought(contrast, mpp=work.mpp * contrast.factor, settings=settings, tools=tools)
    return outlined(objects, core, contrast, mpp=work.mpp, settings=settings, tools=tools)


def _sought(contrast: Contrast, *, mpp: float, settings: CellSettings, tools: Tools) -> tuple[Labels, Mask]:
    """Return labels of what may be nuclei on the seeking grid, int32 (rows, columns), 0 none, and the strict mask."""
    soft = contrast.softly_sought
    bend, wide = (tools.negative_log(contrast.sought, sigma_px=um / mpp) for um in (FINE_SIGMA_UM, COARSE_SIGMA_UM))
    core, mask = masks(bend, wide, soft, mpp=mpp, settings=settings, tools=tools)
    reach = round(DEEPEST_UM / mpp)
    fine, coarse = (tools.squared_edt(one, reach=reach) for one in (core, mask))
    height = tools.surface(fine, coarse, soft, bend, weights=WEIGHTS)
    labels, tops = tools.basins(height)
    regions = tools.describe(labels, height, core, tops=tops)
    into = tools.merge(regions, rule=merge_rule(mpp, settings))
    return tools.renumbered(labels[1:-1, 1:-1], imap(into)), core


def masks(
    fine: NDArray[np.int16],
    coarse: NDArray[np.int16],
    soft: NDArray[np.int16],
    *,
    mpp: float,
    settings: CellSettings,
    tools: Tools,
) -> tuple[Mask, Mask]:
    """Mark what is locally high at the scale of nuclei, and more generously what may belong to them.

    ``fine`` and ``coarse``: how far a pixel exceeds its surroundings.
    """
    levels = (round(settings.min_od * 1000), SOLID, COARSE_LEAST)
    core, mask = tools.threshold_masks(fine, coarse, soft, levels=levels)
    steps = max(1, round(CLOSE_UM / mpp))
    return core, tools.erode(tools.dilate(mask, steps=steps), steps=steps)


def threshold_masks(
    fine: NDArray[np.int16], coarse: NDArray[np.int16], soft: NDArray[np.int16], *, levels: tuple[int, int, int]
) -> tuple[Mask, Mask]:
    """Compare with the least density, the density that is always nucleus, and the least coarse answer."""
    least, solid, more = levels
    core = (soft > least) & ((fine > 0) | (soft > solid))
    return core, core | ((soft > least) & (coarse > more))


def merge_rule(mpp: float, settings: CellSettings) -> MergeRule:
    """Return the rule of merging in pixels."""
    return MergeRule(
        most_px2=settings.max_nucleus_um2 / mpp**2,
        fit=FIT,
        neck=NECK,
        open_neck=OPEN_NECK,
        flat_px=FLAT_UM / mpp,
        flat_bonus=FLAT_BONUS,
        small_px2=SMALL_UM2 / mpp**2,
        small_bonus=SMALL_BONUS,
    )


def imap(into: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return new numbers 1..m of objects that go by one of their basins' numbers."""
    first = into == np.arange(into.size)
    first[0] = False
    return (np.cumsum(first) * first).astype(np.int32)[into]
