"""What a reader of a change must know of how the samples were read: who was left out, and what looks misread."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from biomarkers.change.pairs import BIOMARKER, Samples
from biomarkers.change.scale import KINDS
from biomarkers.change.told import told_kind
from biomarkers.cohort.ids import look_alikes, near_misses
from biomarkers.core import keys

_SHARE = {"tps", "percent", "percentage", "pct", "prozent"}
_LOGGED = {"log2", "log"}
_SHOWN = 5


def reading_notes(samples: Samples, *, points: tuple[str, str]) -> list[str]:
    """Tell of samples at other time points, on look-alikes, and on levels that look like another scale.

    Parameters
    ----------
    samples
        Levels by sample.
    points
        Baseline and on-treatment time points.
    """
    notes = list(_other_points(samples.rows, points))
    if alike := look_alikes(map(str, samples.rows[keys.PATIENT])):
        notes.append(alike)
    for name, kind in samples.kinds.items():
        levels = samples.rows.loc[samples.rows[BIOMARKER] == name, "level"]
        if name in samples.told:
            notes.append(_told_note(name, kind, samples.told[name]))
        else:
            notes += _scale_note(name, kind, levels)
    return notes


def _told_note(name: str, kind: str, why: str) -> str:
    others = ", ".join(other for other in KINDS if other != kind)
    return (
        f"{name}: no scale was stated and it is taken as {kind} ({why}); if it is something else "
        f"({others}), say so (--scale '{name}=KIND')"
    )


def _other_points(rows: pd.DataFrame, points: tuple[str, str]) -> Iterator[str]:
    once = rows.drop_duplicates([keys.PATIENT, keys.TIMEPOINT])
    untold = int(once[keys.TIMEPOINT].isna().sum())
    if untold:
        yield f"{untold} samples without a time point are left out"
    others = once.loc[once[keys.TIMEPOINT].notna() & ~once[keys.TIMEPOINT].isin(points), keys.TIMEPOINT]
    if not len(others):
        return
    counts = others.value_counts()
    shown = ", ".join(f"{point!r} ({count})" for point, count in counts.head(_SHOWN).items())
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    near = near_misses(map(str, counts.index), points)
    said = "".join(f"; {other!r} resembles {point!r} and was NOT taken for it" for other, point in near.items())
    used = " (only the mixed model over every visit uses them)"
    yield f"samples at other time points are left out: {shown}{more}{said}{used}"


def _scale_note(name: str, kind: str, levels: pd.Series) -> Iterator[str]:
    """Ask about a level whose name or range speaks for another scale; nothing is changed."""
    words = set(re.split(r"[^a-z0-9]+", name.casefold()))
    low, high = (float(levels.min()), float(levels.max())) if len(levels) else (0.0, 0.0)
    if kind == "linear" and ("%" in name or words & _SHARE) and low >= 0 and high <= 100:
        yield f"{name}: taken as a linear level; if it is a percentage, say so (--scale '{name}=percent')"
    elif kind == "linear" and words & _LOGGED:
        yield f"{name}: taken as a linear level; if it is a logarithm, say so (--scale '{name}=log2')"
    elif kind == "linear" and len(levels) and told_kind(levels.to_numpy(dtype=float))[0] == "log2":
        yield (
            f"{name}: taken as a linear level, as stated, though its values ({low:.4g} to {high:.4g}) look like "
            f"logarithms; if they are, say so (--scale '{name}=log2')"
        )
    elif kind == "percent" and 0 < high <= 1:
        yield f"{name}: no level is above 1; if these are fractions, say so (--scale '{name}=fraction')"
