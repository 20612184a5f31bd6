"""Called cells -> tidy score rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from biomarkers.core import keys
from biomarkers.core.config import Assay, load_assay
from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.score import formulas
from biomarkers.score.counts import Count
from biomarkers.score.registry import SCORES, Score
from biomarkers.score.tally import Tally, tally

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

WHOLE = "all"  # the region of rows that cover every analysed cell


def compute_scores(
    cells: AnnData,
    *,
    assay: Assay | str,
    slide: str,
    tissue_mm2: float | None,
    region: str | None = None,
    marker: str | None = None,
    tumor_mm2: float | None = None,
    stained_mm2: float | None = None,
    scores: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Score one slide, or one region of it.

    Parameters
    ----------
    cells
        Cells after :func:`biomarkers.score.call_positivity`, with ``cell_class``; those with ``excluded`` true are
        left out.
    assay
        An assay or its name.
    slide
        The slide's name, for the rows.
    tissue_mm2
        Area of the analysed tissue (of the region, when one is given), mm2.
    region
        Count only cells whose ``region`` is this; every analysed cell when None (the rows then say ``all``).
    marker
        The marker that was called; the assay's when None.
    tumor_mm2
        Area of tumour, mm2, for the immune-cell area score.
    stained_mm2
        Area of stained pixels within the tissue, mm2, for the stained area.
    scores
        Names of scores; the assay's when None.

    Returns
    -------
    One row a score, with the columns ``keys.SCORE_COLUMNS``. A score that cannot be told has no value, the status
    ``not_evaluable``, its reason, and whatever counts there are.

    Raises
    ------
    UsageError
        There is no such score.
    DataError
        The cells were not called for this marker.

    Examples
    --------
    >>> import biomarkers as bm
    >>> folder = bm.sample_trial().folder
    >>> result = bm.score_slide(
    ...     folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif", assay="22c3", assume_tumor=True
    ... )
    >>> rows = bm.compute_scores(result.cells, assay="22c3", slide="a", tissue_mm2=0.066)
    >>> rows["score"].tolist()[:2]
    ['tps', 'cps']
    """
    assay = load_assay(assay) if isinstance(assay, str) else assay
    counts = tally(
        cells,
        assay=assay,
        marker=assay.marker if marker is None else marker,
        tissue_mm2=tissue_mm2,
        tumor_mm2=tumor_mm2,
        stained_mm2=stained_mm2,
        region=region,
    )
    names = assay.scores if scores is None else scores
    return score_frame([score_row(counts, name, slide=slide, region=region or WHOLE) for name in names])


def score_row(counts: Tally, name: str, *, slide: str, region: str = WHOLE) -> dict[str, Any]:
    """Return one score as a row with the keys ``keys.SCORE_COLUMNS``."""
    score = find_score(name)
    count = score.count(counts)
    if count.problem:
        return row(score, count, math.nan, (math.nan, math.nan), slide=slide, region=region, marker=counts.marker)
    assert count.numerator is not None  # an evaluable count has both
    assert count.denominator is not None
    if count.value is not None:
        value = count.value
    elif score.value is None:
        ordinal = formulas.allred if name == "allred" else formulas.irs
        value = ordinal(count.numerator, count.denominator, counts.weighted_bins)
    else:
        value = score.value(count.numerator, count.denominator)
    interval = count.interval
    if interval is None:
        interval = (
            (math.nan, math.nan) if score.interval is None else score.interval(count.numerator, count.denominator)
        )
    return row(score, count, value, interval, slide=slide, region=region, marker=counts.marker)


def row(
    score: Score, count: Count, value: float, interval: tuple[float, float], *, slide: str, region: str, marker: str
) -> dict[str, Any]:
    """Lay one score out as a row with the keys ``keys.SCORE_COLUMNS``."""
    return {
        "slide": slide,
        "region": region,
        "marker": marker,
        "score": score.name,
        "value": value,
        "unit": score.unit,
        "ci_low": interval[0],
        "ci_high": interval[1],
        "numerator": math.nan if count.numerator is None else count.numerator,
        "denominator": math.nan if count.denominator is None else count.denominator,
        "status": keys.NOT_EVALUABLE if count.problem else keys.OK,
        "reason": count.problem or count.note,
    }


def score_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Make the tidy table, with numbers as floats even where every value is missing."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(keys.SCORE_COLUMNS))
    numbers = ["value", "ci_low", "ci_high", "numerator", "denominator"]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def find_score(name: str) -> Score:
    """Return one registered score.

    Raises
    ------
    UsageError
        There is no such score.
    """
    if name not in SCORES:
        raise UsageError("unknown score", seen=name, allowed=list(SCORES), hint=did_you_mean(name, SCORES))
    return SCORES[name]


def category(score: str, value: float, *, assay: Assay | str) -> str:
    """Say where a value stands among the assay's published cut-offs.

    Examples
    --------
    >>> category("tps", 12.0, assay="22c3"), category("tc_percent", 60.0, assay="sp142")
    ('1 to < 50', 'TC3')
    """
    assay = load_assay(assay) if isinstance(assay, str) else assay
    cuts = assay.cutoffs.get(score, ())
    if not cuts or math.isnan(value):
        return ""
    level = sum(value >= cut for cut in cuts)
    if assay.name == "sp142":
        return f"{'TC' if score == 'tc_percent' else 'IC'}{level}"
    if level == 0:
        return f"< {cuts[0]:g}"
    return f">= {cuts[-1]:g}" if level == len(cuts) else f"{cuts[level - 1]:g} to < {cuts[level]:g}"
