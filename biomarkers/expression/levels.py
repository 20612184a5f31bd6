"""Tidy level rows: one a sample, marker and score, with its status and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.errors import DataError
from biomarkers.expression.genes import HOUSEKEEPING
from biomarkers.expression.normalise import CPM, RATIO, TMM
from biomarkers.expression.scale import COUNTS, NANOSTRING, ZSCORE, per, to_log2
from biomarkers.expression.signatures import Signature
from biomarkers.keys import LEVEL_COLUMNS, NOT_EVALUABLE, OK, PATIENT, TIMEPOINT

ASSAY: Final = "RNA"
_LEAST_SHARE: Final = 0.8  # of a signature's genes
_LEAST_HOUSEKEEPING: Final = 3
_NAMES: Final = {
    CPM: ("log2_cpm", "log2(CPM + 1)"),
    TMM: ("log2_tmm_cpm", "log2(CPM + 1), TMM"),
    RATIO: ("log2_ratio_cpm", "log2(CPM + 1), median of ratios"),
}
_MILLION = 1e6


def log2_levels(
    level: np.ndarray, scale: str, totals: np.ndarray, place: Mapping[str, int], *, normalise: str
) -> tuple[np.ndarray, str, str]:
    """Bring wanted genes to log2 levels; returns them, the score's name and the unit.

    Parameters
    ----------
    level
        (samples, genes) in ``scale``.
    scale
        One of ``SCALES``.
    totals
        (samples,) what counts are divided by.
    place
        Gene -> column.
    normalise
        How ``totals`` were made.

    Raises
    ------
    DataError
        A NanoString panel without enough housekeeping genes.
    """
    if scale == COUNTS:
        return np.log2(per(level, totals, _MILLION) + 1), *_NAMES[normalise]
    if scale != NANOSTRING:
        return to_log2(level, scale, totals)
    house = [place[gene] for gene in HOUSEKEEPING if gene in place]
    if len(house) < _LEAST_HOUSEKEEPING:
        raise DataError(
            "a NanoString panel is normalised by its housekeeping genes, and too few are there", seen=len(house),
            allowed=f">= {_LEAST_HOUSEKEEPING} of {', '.join(HOUSEKEEPING)}",
            hint="If the values are normalised already, declare --scale linear or log2.",
        )  # fmt: skip
    logs = np.log2(level + 1)
    logs = logs - logs[:, house].mean(axis=1, keepdims=True)
    return np.where(totals[:, None] > 0, logs, np.nan), "log2_housekeeping", "log2, minus housekeeping genes"


def usable(signatures: Sequence[Signature], have: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return for each signature that can be made its genes that are there, and notes on what is missing.

    At least four fifths of the genes have to be there; a missing gene is left out and said, never filled with 0.
    """
    made, notes = {}, []
    for signature in signatures:
        there = [gene for gene in signature.genes if gene in have]
        lack = [gene for gene in signature.genes if gene not in have]
        if len(there) < max(1, _LEAST_SHARE * len(signature.genes)):
            notes.append(f"{signature.name} is not evaluable: {', '.join(lack)} missing")
            continue
        if lack:
            notes.append(f"{signature.name} without {', '.join(lack)}")
        made[signature.name] = there
    return made, notes


def combined(signature: Signature, log2: np.ndarray, scale: str) -> np.ndarray:
    """Combine the log2 levels (samples, genes) of a signature's genes as it was published; (samples,)."""
    if signature.combine == "geometric_mean" and scale not in (ZSCORE, NANOSTRING):
        # of linear levels, offset by 0.01 as published, and back to log2
        linear = np.maximum(np.exp2(log2) - 1, 0)
        made: np.ndarray = np.log2(linear + 0.01).mean(axis=1)
        return made
    mean: np.ndarray = log2.mean(axis=1)
    return mean


def part(
    samples: Sequence[str], obs: pd.DataFrame, marker: str, score: str, unit: str, values: np.ndarray, *,
    reasons: np.ndarray | None = None, extra: Mapping[str, Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Make the rows of one level; a value that is not finite, or has a reason against it, is not evaluable.

    Parameters
    ----------
    samples
        Names, (n,).
    obs
        Their annotations; ``patient`` and ``timepoint`` are kept.
    marker, score, unit
        What the level is.
    values
        (n,).
    reasons
        (n,) why a sample is not evaluable, empty where it is.
    extra
        Further columns.
    """
    finite = np.isfinite(values)
    reason = np.full(len(values), "", dtype=object)
    reason[~finite] = "the sample has no counts at all"
    if reasons is not None:
        given = reasons != ""
        reason[given] = reasons[given]
    fine = finite if reasons is None else finite & ~given
    status = np.full(len(values), OK, dtype=object)
    status[~fine] = NOT_EVALUABLE
    same = {"marker": marker, "assay": ASSAY, "score": score, "unit": unit, "scale": _scale_of(unit)}
    columns = {
        "sample": np.asarray(samples, dtype=object), "value": np.where(fine, values, np.nan), "status": status,
        "reason": reason, **{name: np.full(len(values), text, dtype=object) for name, text in same.items()},
    }  # fmt: skip
    frame = pd.DataFrame({name: columns[name] for name in LEVEL_COLUMNS}, copy=False)
    for column in (PATIENT, TIMEPOINT):
        if column in obs:
            frame[column] = obs[column].astype(object).where(obs[column].notna(), "").astype(str).to_numpy()
    for name, value in (extra or {}).items():
        frame[name] = value
    return frame


def _scale_of(unit: str) -> str:
    """Name the scale that a level stands on, for whoever takes ratios of it later."""
    return "fraction" if unit == "fraction" else "zscore" if unit.startswith("z") else "log2"
