"""What a slide's numbers say against each other: such a slide is never plainly ``ok``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.config import Assay, Thresholds
from biomarkers.score.stainings import CYTOPLASM, GRANULES, MEMBRANE, NONE, NUCLEUS, STAININGS
from biomarkers.score.tally import Counts

if TYPE_CHECKING:
    import pandas as pd

NOT_STAINED, MEMBRANOUS, CYTOPLASMIC, NUCLEAR, GRANULAR, MIXED = (
    "not stained", "membranous", "cytoplasmic", "nuclear", "granular", "mixed",
)  # fmt: skip
_OF = {MEMBRANE: MEMBRANOUS, CYTOPLASM: CYTOPLASMIC, NUCLEUS: NUCLEAR, GRANULES: GRANULAR}
FEWEST_STAINED = 10  # cells below which a slide's staining is named, but not judged
_MOST = 2 / 3  # share of the stained cells that gives a slide's pattern its name
# shares of analysed tissue and of cells: much brown without a positive cell, positive cells without brown
MUCH_BROWN, HARDLY_BROWN, HARDLY_POSITIVE, POSITIVE = 0.05, 0.002, 0.005, 0.05
ALL_POSITIVE = 0.95
# difference of the two readings, as shares of cells, from which on both are pointed at: where the cut-offs of the assay
# lie between them or most stained cells do not count, and whatever they are. On the graded HER2 fields they differ by
# 0.09 to 0.13 at 2+ and 3+, by 0.70 to 0.97 at 0 and 1+, whose cells blush
UNCLEAR_SHARE, APART_SHARE = 0.10, 0.40
_CUT_OFFS_OF = ("tps", "tc_percent")  # scores that are a share of tumor cells
JUMP_SHARE = 0.15  # of the scored cells, while the cut moves by a tenth either way


def staining_pattern(counts: Counts) -> str:
    """Name what is stained in most of a slide's stained cells: two thirds of them, or ``mixed``."""
    numbers = dict(zip(STAININGS, counts.stained(), strict=True))
    stained = sum(numbers.values()) - numbers[NONE]
    if not stained:
        return NOT_STAINED
    name = max(_OF, key=lambda one: numbers[one])
    return _OF[name] if numbers[name] >= _MOST * stained else MIXED


def contradictions(
    counts: Counts,
    *,
    assay: Assay,
    thresholds: Thresholds,
    curve: pd.DataFrame,
    stained_mm2: float,
    tissue_mm2: float,
) -> list[str]:
    """Say in words what contradicts itself; an empty list when nothing does.

    Parameters
    ----------
    counts
        Cells of the slide at the cut in force.
    assay, thresholds
        What it was scored by.
    curve
        The sensitivity curve of the first score.
    stained_mm2, tissue_mm2
        Area above the cut of area scores, and of the analysed tissue.
    """
    bins = counts.of()
    cells, positive = sum(bins), sum(bins[1:])
    if not cells or not tissue_mm2:
        return []
    share, brown = positive / cells, stained_mm2 / tissue_mm2
    said = []
    if brown >= MUCH_BROWN and share < HARDLY_POSITIVE:
        said.append(
            f"{100 * brown:.0f} % of the tissue is stained, yet {positive} of {cells} cells were called positive:"
            " look at the overlay before the score is used"
        )
    if brown < HARDLY_BROWN and share >= POSITIVE:
        said.append(
            f"{100 * share:.0f} % of the cells were called positive, yet only {100 * brown:.2g} % of the tissue is"
            " stained: look at the overlay before the score is used"
        )
    if share >= ALL_POSITIVE and cells >= FEWEST_STAINED and bins[1] >= ALL_POSITIVE * cells:
        said.append(
            f"nearly all cells were called positive, and nearly all of them 1+: a blush over the whole field looks like"
            f" this (1+ begins at {thresholds.dab_od[0]:g} OD)"
        )
    said += _unclear(counts, assay=assay)
    said += _jumps(curve)
    return said


def _unclear(counts: Counts, *, assay: Assay) -> list[str]:
    """Point at both readings where it matters that cells are stained off the membrane that the assay asks for."""
    if assay.compartment != "membrane":
        return []
    some = (keys.TUMOR,) if sum(counts.of(keys.TUMOR)) else ()
    bins, numbers = counts.of(*some), dict(zip(STAININGS, counts.stained(*some), strict=True))
    cells = sum(numbers.values())
    n_stained = cells - numbers[NONE]
    if not cells or n_stained < FEWEST_STAINED:
        return []
    n_positive = sum(bins[1:])
    share, stained, apart = n_positive / cells, n_stained / cells, n_stained - n_positive
    if apart < UNCLEAR_SHARE * cells:
        return []
    between = _between(100 * share, 100 * stained, assay=assay)
    if not between and apart < APART_SHARE * cells and 2 * n_positive >= n_stained:
        return []
    counted = "membrane or granules" if assay.thresholds.granule_share else "on the membrane"
    where = ", ".join(f"{100 * numbers[name] / cells:.0f} % {_OF[name]}" for name in _OF if numbers[name])
    said = (
        f"{100 * stained:.0f} % of the {'tumor ' if some else ''}cells are stained ({where}), {100 * share:.0f} % were"
        f" called positive{between}: what is not {counted} does not count; intensity_percent in scores.csv is the"
        " reading without that rule"
    )
    return [said]


def _between(low: float, high: float, *, assay: Assay) -> str:
    """Say which cut-off of a share of tumor cells lies between two readings (%), or nothing."""
    for name in _CUT_OFFS_OF:
        for cut in assay.cutoffs.get(name, ()):
            if low < cut <= high:
                return f" (the cut-off of {cut:g} % lies between)"
    return ""


def _jumps(curve: pd.DataFrame) -> list[str]:
    """Say so where the first score, a share of cells, jumps while the cut moves by a tenth."""
    first = curve[(curve["score"] == curve["score"].iloc[0]) & (curve["status"] == keys.OK)]
    if not len(first) or not first["in_force"].any():
        return []
    own = float(first.loc[first["in_force"], "dab_od"].iloc[0])
    near = first[first["dab_od"].between(0.89 * own, 1.11 * own)]
    shares = (near["numerator"] / near["denominator"]).to_numpy(dtype=float)
    # the first score of some assays is a density, whose denominator is an area
    if np.isnan(shares).any() or shares.size < 2 or shares.max() > 1 or np.ptp(shares) < JUMP_SHARE:
        return []
    values = near["value"].to_numpy(dtype=float)
    said = (
        f"{first['score'].iloc[0]} goes from {values.max():.3g} to {values.min():.3g} while the 1+ cut moves from"
        f" {0.9 * own:.3g} to {1.1 * own:.3g} OD: it is the cut's doing"
    )
    return [said]
