"""A score as a function of its cut: how much of a result is the threshold's doing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from biomarkers.core import keys
from biomarkers.core.config import Assay, Thresholds, load_assay
from biomarkers.core.errors import UsageError
from biomarkers.score.compute import find_score, score_row
from biomarkers.score.own_cut import adaptive_thresholds
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.positivity import call_positivity
from biomarkers.score.tally import tally

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

# the cuts to try, as multiples of the one in force
FACTORS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)
_NOT_A_FUNCTION_OF_CELLS = ("dab_area_percent",)
_NOT_A_FUNCTION_OF_THE_CUT = ("mean_dab_od",)


def sensitivity_curve(
    cells: AnnData,
    *,
    assay: Assay | str,
    score: str | Sequence[str],
    thresholds: Thresholds | None = None,
    dab_od: Sequence[float] | None = None,
    marker: str | None = None,
    tissue_mm2: float | None = None,
    tumor_mm2: float | None = None,
    slide: str = "",
) -> pd.DataFrame:
    """Score the same cells again at a row of cuts.

    The 1+ cut takes each value in turn; 2+ and 3+ keep their ratio to it, so intensity-weighted scores move as they
    would if the whole slide were stained darker or paler. How much of an outline is stained is judged at each cut.

    Parameters
    ----------
    cells
        Measured cells with ``cell_class``.
    assay, thresholds, marker, tissue_mm2, tumor_mm2
        As for :func:`biomarkers.score.compute_scores`.
    score
        One score of cells, or several.
    dab_od
        The 1+ cuts to try, optical density; half to twice the one in force when None.
    slide
        A name for the rows.

    Returns
    -------
    Score by score, rising in ``dab_od``: slide, marker, score, dab_od, in_force (the cut that scored the slide), value,
    ci_low, ci_high, numerator, denominator, status, reason.

    Raises
    ------
    UsageError
        A score is unknown or not made of cells, or a cut is not above 0.

    Examples
    --------
    >>> import biomarkers as bm
    >>> folder = bm.sample_trial().folder
    >>> result = bm.score_slide(
    ...     folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif", assay="22c3", assume_tumor=True
    ... )
    >>> curve = bm.sensitivity_curve(result.cells, assay="22c3", score="tps", dab_od=[0.1, 0.2, 0.4])
    >>> bool(curve["value"].is_monotonic_decreasing)
    True
    """
    assay = load_assay(assay) if isinstance(assay, str) else assay
    names = [score] if isinstance(score, str) else list(score)
    for one in names:
        if find_score(one).name in _NOT_A_FUNCTION_OF_CELLS:
            raise UsageError("this score is made of pixels, not of cells", seen=one)
    name = assay.marker if marker is None else marker
    cuts = adaptive_thresholds(cells, assay=assay, thresholds=thresholds, marker=name)
    light: Any = PlainCells.of(cells)
    rows: list[dict[str, Any]] = []
    for cut in cuts_to_try(cuts, dab_od):
        called = call_positivity(light, assay=assay, thresholds=scaled(cuts, to=cut), marker=name)
        counts = tally(called, assay=assay, marker=name, tissue_mm2=tissue_mm2, tumor_mm2=tumor_mm2)
        in_force = math.isclose(cut, cuts.dab_od[0], rel_tol=1e-9)
        rows += [{**score_row(counts, one, slide=slide), "dab_od": cut, "in_force": in_force} for one in names]
    return curve_frame(rows, order=names)


def scores_of_cells(assay: Assay, *, first: str) -> list[str]:
    """Return the assay's scores that are a function of the cut and of cells, ``first`` before the others."""
    without = (*_NOT_A_FUNCTION_OF_CELLS, *_NOT_A_FUNCTION_OF_THE_CUT, first)
    others = [name for name in assay.scores if name not in without]
    return [first, *others]


def curve_frame(rows: Sequence[Mapping[Any, Any]], *, order: Sequence[str]) -> pd.DataFrame:
    """Lay out score rows with ``dab_od`` and ``in_force`` as sensitivity curves, one score after the other."""
    import pandas as pd

    numbers = ["value", "ci_low", "ci_high", "numerator", "denominator"]
    sorted_rows = [row for name in order for row in rows if row["score"] == name]
    columns = ["slide", "marker", "score", "dab_od", "in_force", *numbers, "status", "reason"]
    return pd.DataFrame(sorted_rows, columns=columns).astype(dict.fromkeys(numbers, "float64"))


def sensitivity_range(curve: pd.DataFrame, *, factor: float = 1.25) -> tuple[float, float]:
    """Return the lowest and highest value of the first score while the cut moves within ``factor``, either way.

    NaN where the score is not evaluable.
    """
    curve = curve[curve["score"] == curve["score"].iloc[0]]
    own = float(curve.loc[curve["in_force"], "dab_od"].iloc[0])
    near = curve[curve["dab_od"].between(own / factor - 1e-9, own * factor + 1e-9) & (curve["status"] == keys.OK)]
    return float(near["value"].min()), float(near["value"].max())


def scaled(cuts: Thresholds, *, to: float) -> Thresholds:
    """Return cuts whose 1+ edge is ``to``, all else that is compared with darkness in proportion, below 3 OD."""
    factor = to / cuts.dab_od[0]
    second, third = (min(edge * factor, limit) for edge, limit in zip(cuts.dab_od[1:], (2.98, 2.99), strict=True))
    said = f"{cuts.source}; scaled by {factor:.3g}"
    moved = {"dab_od": (to, second, third), "counterstain_ratio": cuts.counterstain_ratio * factor}
    return cuts.model_copy(update={**moved, "follow_sd": 0.0, "source": said})


def cuts_to_try(cuts: Thresholds, dab_od: Sequence[float] | None) -> list[float]:
    """Return the 1+ cuts of a sensitivity curve: those asked for, or half to twice the one in force."""
    own = cuts.dab_od[0]
    if dab_od is None:
        return [factor * own for factor in FACTORS if factor * own < 2.9]
    bad = [cut for cut in dab_od if not 0 < cut < 2.9]
    if bad:
        raise UsageError("a cut must lie above 0 and below 2.9 OD", seen=bad)
    return sorted({*map(float, dab_od), own})
