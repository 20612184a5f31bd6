"""Scores of a slide whose pixel size or light is in doubt: the doubt stands in each row that hangs on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from biomarkers.core import keys

if TYPE_CHECKING:
    import pandas as pd

    from biomarkers.seg.find import ScaleDoubts

# the share of the tissue's pixels that are stained is the same at any pixel size; everything else is told of cells,
# which are sought at the size that cells have, or per mm2
_OF_ANY_SCALE = ("dab_area_percent",)
_NUMBERS = ["value", "ci_low", "ci_high", "numerator", "denominator"]


def in_doubt(rows: pd.DataFrame, *, scale: ScaleDoubts, light: Sequence[str]) -> pd.DataFrame:
    """Carry doubts about a slide into its score rows.

    Parameters
    ----------
    rows
        Score rows, or those of a sensitivity curve: ``score``, ``status``, ``reason`` and numbers.
    scale
        Why the pixel size cannot be right, and why it may not be. In the first case a score that hangs on it is not
        evaluable, and its counts are emptied too, so that they are not pooled with those of other slides; in the second
        it keeps its value, and says so.
    light
        Why amounts of stain are in doubt; the rows keep their values, and say so.

    Returns
    -------
    The rows; the same ones where nothing is in doubt.
    """
    if not scale.ruled_out and not scale.doubted and not light:
        return rows
    rows = rows.copy()
    told, hangs = rows["status"] == keys.OK, ~rows["score"].isin(_OF_ANY_SCALE)
    for some, doubts in ((told & hangs, scale.doubted), (told, light)):
        said = [f"in doubt: {one}" for one in doubts]
        if said:
            rows.loc[some, "reason"] = [_joined(old, said) for old in rows.loc[some, "reason"]]
    if scale.ruled_out:
        why = f"the pixel size is in doubt: {'; '.join(scale.ruled_out)}"
        rows.loc[hangs, "reason"] = [
            why if fine else _joined(old, [why]) for old, fine in zip(rows["reason"][hangs], told[hangs], strict=True)
        ]
        rows.loc[hangs, "status"] = keys.NOT_EVALUABLE
        rows.loc[hangs, _NUMBERS] = math.nan
    return rows


def _joined(reason: object, more: Sequence[str]) -> str:
    return "; ".join([str(reason), *more] if reason else more)
