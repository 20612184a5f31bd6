"""Nuclei by the hue of hematoxylin: for markers that stain membranes or cytoplasm, where what is dark is DAB.

Optical density in red less that in blue is high in hematoxylin and low in DAB: a pale nucleus between dark membranes, a
blue one within a stained gland and one among unstained cells are all higher than their surroundings. What is locally
high at the scale of nuclei is parted into basins, one a nucleus; each then finds its own outline in smaller pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.contrast import Contrast, WorkingImage, seeking_factor
from biomarkers.seg.grow import Labels
from biomarkers.seg.outline import outlined
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.tools import Levels, Tools

# (red - blue) / 2 of the optical densities of Ruifrok's vectors, in 1024ths of the amounts of stain
HEMATOXYLIN_SHARE, DAB_SHARE, SHARES = 186, 260, 1024
# added, so that DAB as dark as 1.0 OD still counts; the histograms of outlines end at 350
LEVEL, HIGHEST = 250, 349
FINER = 64  # what is sought is told in 64ths of a thousandth, so that hardly two places are equally high
# a nucleus against what lies around it: um
NUCLEUS_UM, AROUND_UM = 1.9, 5.1
# least height of a nucleus's middle and of its rim above its surroundings, in FINER parts of a thousandth
LEAST_TOP, LEAST_RIM = 360, 96
LEAST_STAIN = 50  # thousandths of both stains together around a nucleus's middle: bare glass has none
# mean of both stains in a nucleus, OD: glass and vacuoles among dark membranes are as high in hue, but hold no stain.
# Set on real HER2 fields, whose palest nuclei hold 0.06 to 0.1
LEAST_NUCLEUS_OD = 0.06
SOFT_PX = 0.7  # smoothing of working pixels before outlines, px
TIE_BITS = 15  # below a height: what tells equal heights apart
TIE_MASK = (1 << TIE_BITS) - 1
STAIN_STEP = 5  # weight of a thousandth of stain against a 64th of a thousandth of signal, to tell equals apart
# thousandths: what is lower is texture of pale stain; a membrane of 0.24 OD holds a growing cell for as long as it may
LEAST_LINE, FULL_LINE = 50, 240
LINE_UM = 1.0  # radius of what is wider than a line
WAIT_UM = 3.0  # how far a cell would have grown meanwhile
TAKE_IN_UM = 1.0  # width of a membrane
REACH_UM = 2.5  # beyond ``expansion_um``: room for waiting


def signal(hematoxylin: Levels, dab: Levels, *, finer: int) -> Levels:
    """Hue of each pixel in ``finer`` parts of a thousandth, int16 (rows, columns), from 0 to ``HIGHEST * finer``.

    Parameters
    ----------
    hematoxylin, dab
        Thousandths of optical density, int16 (rows, columns).
    finer
        1 or ``FINER``.
    """
    both = finer * (HEMATOXYLIN_SHARE * hematoxylin.astype(np.int32) - DAB_SHARE * dab.astype(np.int32)) // SHARES
    return np.clip(both + LEVEL * finer, 0, HIGHEST * finer).astype(np.int16)


def heights(near: Levels, wide: Levels, stain: Levels) -> NDArray[np.int32]:
    """Surface whose tops are the middles of nuclei, int32 (rows + 2, columns + 2) in a frame of 0.

    Parameters
    ----------
    near, wide
        The signal smoothed over a nucleus and over its surroundings, int16 (rows, columns).
    stain
        Both stains together, smoothed, thousandths.

    Returns
    -------
    How far a pixel exceeds its surroundings where that is at least ``LEAST_RIM`` and there is stain, 0 elsewhere. Of
    pixels that exceed them equally signal and stain decide, since what is left is not the same in a turned picture.
    """
    over = near.astype(np.int32) - wide
    there = (over >= LEAST_RIM) & (stain >= LEAST_STAIN)
    out = np.zeros((near.shape[0] + 2, near.shape[1] + 2), np.int32)
    told_apart = (near.astype(np.int32) + STAIN_STEP * stain.astype(np.int32)) & TIE_MASK
    out[1:-1, 1:-1] = np.where(there, (over << TIE_BITS) + told_apart, 0)
    return out


def find_nuclei_by_hue(work: WorkingImage, *, settings: CellSettings, tools: Tools) -> tuple[Labels, NDArray[np.int64]]:
    """Find nuclei by hue; see :func:`biomarkers.seg.nuclei.find_nuclei` for arguments and results.

    Contrasts are those of hue, in the same unit.
    """
    contrast = hue_contrast(work, settings=settings, tools=tools)
    stain = tools.means(tools.total_stain(work.hematoxylin, _dab(work)), factor=contrast.factor)
    objects = _sought(contrast.sought, stain, mpp=work.mpp * contrast.factor, tools=tools)
    return outlined(objects, objects > 0, contrast, mpp=work.mpp, settings=settings, tools=tools)


def hue_contrast(work: WorkingImage, *, settings: CellSettings, tools: Tools) -> Contrast:
    """Signal of working pixels, smoothed, and of the seeking grid; see :class:`biomarkers.seg.contrast.Contrast`."""
    factor = seeking_factor(work.mpp, settings)
    soft = tools.smooth(tools.hue(work.hematoxylin, _dab(work), finer=1), sigma_px=SOFT_PX)
    blue, brown = (tools.means(one, factor=factor) for one in (work.hematoxylin, _dab(work)))
    return Contrast(soft, tools.hue(blue, brown, finer=FINER), tools.means(soft, factor=factor), factor)


def _dab(work: WorkingImage) -> Levels:
    return np.zeros_like(work.hematoxylin) if work.dab is None else work.dab


def _sought(sought: Levels, stain: Levels, *, mpp: float, tools: Tools) -> Labels:
    """Return labels of what may be nuclei on the seeking grid, int32 (rows, columns), 0 none, 1..n."""
    near, wide = (tools.smooth(sought, sigma_px=um / mpp) for um in (NUCLEUS_UM, AROUND_UM))
    height = tools.hue_heights(near, wide, tools.smooth(stain, sigma_px=NUCLEUS_UM / 2 / mpp))
    labels, tops = tools.basins(height)
    return tools.renumbered(labels[1:-1, 1:-1], _high_enough(height, tops))


def _high_enough(height: NDArray[np.int32], tops: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return new numbers 1..m of basins 0..n whose tops are high enough; 0 for the others."""
    keep = height.ravel()[tops] >> TIE_BITS >= LEAST_TOP
    keep[0] = False
    return (np.cumsum(keep) * keep).astype(np.int32)


def grow_to_membranes(labels: Labels, wait: NDArray[np.uint8], *, steps: int, last: int) -> Labels:
    """Grow labels as :func:`biomarkers.seg.grow.expand` does, but let each pixel wait before it is taken.

    Parameters
    ----------
    labels
        int32 (rows, columns), 0 = none.
    wait
        Steps that a pixel holds out after a label first stands beside it, uint8 (rows, columns).
    steps
        How many steps are made.
    last
        In how many of them, at the end, no pixel holds out: a cell takes in the membrane that it waited at.

    Returns
    -------
    int32 labels. Two cells that grow towards a stained membrane both wait at it, and share it.
    """
    from biomarkers.seg.grow import neighbour_extremes

    out, free, left = labels.astype(np.int32), labels == 0, wait.astype(np.int32)
    for step in range(steps):
        highest, lowest = neighbour_extremes(out, diagonal=step % 2 == 1)
        reached = free & (highest > 0)
        taken = reached & ((left == 0) | (step >= steps - last))
        left = left - (reached & ~taken)
        free = free & ~taken
        out = np.where(taken & (highest == lowest), highest, out)
    return out


def waits(line: Levels, *, most: int) -> NDArray[np.uint8]:
    """How many steps growing cells wait at each pixel, uint8 (rows, columns).

    Parameters
    ----------
    line
        Height of the thin stained line at each pixel, thousandths.
    most
        Steps at a line of ``FULL_LINE`` and above; fewer in proportion below, none below ``LEAST_LINE``.
    """
    steps = np.minimum(line.astype(np.int32), FULL_LINE) * most // FULL_LINE
    return np.where(line >= LEAST_LINE, steps, 0).astype(np.uint8)


def thin_lines(dab: Levels, *, steps: int, tools: Tools) -> Levels:
    """How much higher DAB is than where nothing thinner than ``2 steps + 1`` pixels is left (a white top-hat)."""
    low = tools.dilate(tools.erode(dab, steps=steps), steps=steps)
    return np.maximum(dab - low, 0).astype(np.int16)
