"""Tidy level rows: one a sample, marker and score, with its status and reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError
from biomarkers.core.keys import LEVEL_COLUMNS, NOT_EVALUABLE, OK, PATIENT, SAMPLE, TIMEPOINT
from biomarkers.expression.genes import HOUSEKEEPING
from biomarkers.expression.normalise import CPM, RATIO, TMM
from biomarkers.expression.scale import COUNTS, NANOSTRING, ZSCORE, per, to_log2
from biomarkers.expression.signatures import Signature

ASSAY: Final = "RNA"
_LEAST_SHARE: Final = 0.8  # of a signature's genes
_LEAST_HOUSEKEEPING: Final = 3
GEOMETRIC: Final = "geometric_mean"
GEOMETRIC_OFFSET: Final = 0.01  # Rooney 2015: added to linear levels, so that a 0 does not hide the other gene
_NAMES: Final = {
    CPM: ("log2_cpm", "log2(CPM + 1)"),
    TMM: ("log2_tmm_cpm", "log2(CPM + 1), TMM"),
    RATIO: ("log2_ratio_cpm", "log2(CPM + 1), median of ratios"),
}
_MILLION = 1e6


def log2_levels(
    level: np.ndarray, scale: str, totals: np.ndarray, place: Mapping[str, int], *, normalise: str, offset: float = 1.0
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
    offset
        What was added before logarithms that are given were taken.

    Raises
    ------
    DataError
        A NanoString panel without enough housekeeping genes.
    """
    if scale == COUNTS:
        return np.log2(per(level, totals, _MILLION) + 1), *_NAMES[normalise]
    if scale != NANOSTRING:
        return to_log2(level, scale, totals, offset=offset)
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


@dataclass(frozen=True)
class Combined:
    """A signature's level of every sample, with what it is."""

    level: np.ndarray
    score: str
    unit: str


def combined(signature: Signature, log2: np.ndarray, scale: str, unit: str, *, offset: float = 1.0) -> Combined:
    """Combine the log2 levels of a signature's genes as it was published.

    Parameters
    ----------
    signature
        How.
    log2
        (samples, genes), in ``unit``.
    scale, unit
        What they are. Of z-scores and levels less housekeeping genes there is no geometric mean: their mean is taken.
    offset
        What was added before their logarithms were taken; it is undone before others are added.

    Returns
    -------
    Levels (samples,), and what they are.
    """
    if signature.combine == GEOMETRIC and scale not in (ZSCORE, NANOSTRING):
        linear = np.maximum(np.exp2(log2) - offset, 0)
        made: np.ndarray = np.log2(linear + GEOMETRIC_OFFSET).mean(axis=1)
        found = re.match(r"log2\((\w+)[ ,)]", unit)
        return Combined(
            made, GEOMETRIC, f"log2 of the geometric mean of {found[1] if found else 'x'} + {GEOMETRIC_OFFSET}"
        )
    mean: np.ndarray = log2.mean(axis=1)
    return Combined(mean, "mean", unit)


@dataclass(frozen=True)
class Part:
    """One level of every sample: ``level`` (samples,), ``reasons`` against it (empty texts for none), more columns.

    A value that is not finite, or has a reason against it, is not evaluable.
    """

    marker: str
    score: str
    unit: str
    level: np.ndarray
    reasons: np.ndarray | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def level_rows(parts: Sequence[Part], samples: Sequence[str], obs: pd.DataFrame) -> pd.DataFrame:
    """Make the tidy table, one row a sample and level; columns are filled once, whatever the number of samples.

    Parameters
    ----------
    parts
        Levels of the same samples.
    samples
        Their names, (n,).
    obs
        Their annotations; ``patient`` and ``timepoint`` are kept.
    """
    n, k = len(samples), len(parts)
    values = np.concatenate([part.level for part in parts])
    reason = np.full(n * k, "", dtype=object)
    reason[~np.isfinite(values)] = "the sample has no counts at all"
    for i, part in enumerate(parts):
        if part.reasons is not None:
            given = np.flatnonzero(part.reasons != "")
            reason[given + i * n] = part.reasons[given]
    against = reason != ""
    values[against] = np.nan

    def each(texts: Sequence[str]) -> np.ndarray:
        return np.repeat(np.array(texts, dtype=object), n)

    columns = {
        SAMPLE: np.tile(np.asarray(samples, dtype=object), k), "value": values, "reason": reason,
        "marker": each([part.marker for part in parts]), "assay": each([ASSAY] * k),
        "score": each([part.score for part in parts]), "unit": each([part.unit for part in parts]),
        "scale": each([_scale_of(part.unit) for part in parts]),
        "status": np.array([OK, NOT_EVALUABLE], dtype=object)[against.astype(int)],
    }  # fmt: skip
    table = {name: columns[name] for name in LEVEL_COLUMNS}
    for name in (PATIENT, TIMEPOINT):
        if name in obs:
            text = obs[name].astype(object).where(obs[name].notna(), "").astype(str)
            table[name] = np.tile(text.to_numpy(dtype=object), k)
    for name in dict.fromkeys(name for part in parts for name in part.extra):
        table[name] = np.concatenate([np.full(n, part.extra.get(name, np.nan)) for part in parts])
    return pd.DataFrame(table, copy=False)


def _scale_of(unit: str) -> str:
    """Name the scale that a level stands on, for whoever takes ratios of it later."""
    return "fraction" if unit == "fraction" else "zscore" if unit.startswith("z") else "log2"
