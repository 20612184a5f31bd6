"""The outline of each nucleus: half way between its own level and its surroundings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.tools import Tools

_REACH_UM = 1.5
_RING_UM = 2.0
_CLOSE_UM = 1.5
_HALF_PERCENT = 40  # the outline lies where contrast has fallen to this share of the nucleus's own


def refine(labels: Labels, soft: NDArray[np.int32], *, mpp: float, tools: Tools) -> Labels:
    """Let each nucleus take the pixels around it that are more like it than like its surroundings.

    Parameters
    ----------
    labels
        int32 (rows, columns).
    soft
        Smoothed contrast, thousandths.
    mpp
        Micrometres per pixel of both.
    tools
        The steps, plain or fast.

    Returns
    -------
    int32 labels; nothing is lost, and what is gained lies within 1.5 um and above 40% of the way from the
    surroundings (lower quartile) to the nucleus (median).
    """
    if not labels.any():
        return labels
    reach = tools.expand(labels, steps=max(1, round(_REACH_UM / mpp)))
    inside = tools.quantile(soft, labels, numerator=1, denominator=2)
    # the last label may be walled in by others, with no surroundings of its own
    free = np.where(labels == 0, reach, 0)
    around = tools.quantile(soft, free, numerator=1, denominator=4, size=inside.size)
    cut = around * 100 + _HALF_PERCENT * (inside - around)
    gained = np.where(100 * soft.astype(np.int64) >= cut[reach], reach, 0)
    return np.where(labels > 0, labels, gained).astype(np.int32)


def contrast_of(labels: Labels, soft: NDArray[np.int32], *, mpp: float, tools: Tools) -> NDArray[np.int64]:
    """Median of each label 0..n less the lower quartile of its surroundings within 2 um, thousandths."""
    around = np.where(labels == 0, tools.expand(labels, steps=max(1, round(_RING_UM / mpp))), 0)
    inside = tools.quantile(soft, labels, numerator=1, denominator=2)
    return inside - tools.quantile(soft, around, numerator=1, denominator=4, size=inside.size)


def tidy(labels: Labels, *, mpp: float, settings: CellSettings, tools: Tools, any_size: bool = False) -> Labels:
    """Keep the largest piece of each label when its area is a nucleus's, and close its bites.

    ``any_size`` lets objects above the largest nucleus through (they may still be split).
    """
    most_um2 = np.inf if any_size else settings.max_nucleus_um2
    kept = tools.largest_pieces(labels, pixel_um2=mpp**2, least_um2=settings.min_nucleus_um2, most_um2=most_um2)
    return tools.close_labels(kept, steps=round(_CLOSE_UM / mpp))
