"""What the name of a cell's class asks for: a class, a level of staining, or to be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from biomarkers.core import keys
from biomarkers.io.annotations_classes import EXCLUDING, PLAIN_REGION, meaning_of

_LEVELS: Final = {"negative": 0, "0": 0, "1+": 1, "2+": 2, "3+": 3}
_POSITIVE: Final = "positive"
_CELL: Final = "cell"  # how a cell of unknown class is shown


@dataclass(frozen=True)
class Effect:
    """What a corrected cell becomes; None leaves that part as the software found it.

    ``level`` is the intensity bin 0 to 3, ``positive`` asks for 1+ or more where the bin is not told.
    """

    cell_class: str | None = None
    level: int | None = None
    positive: bool = False
    excluded: bool = False


def effect_of(name: str, classes: Mapping[str, str] | None = None) -> Effect | None:
    """Return what a class name asks for, or None for one that is not understood.

    Parameters
    ----------
    name
        ``Tumor: 2+``, ``Immune cells: Positive``, ``Stroma``, ``Negative``, ``Ignore*`` ...: what
        :func:`biomarkers.score.outputs.cells_geojson` writes, and what QuPath makes of it.
    classes
        What further class names mean, ``{"Nest": "tumor"}``.

    Examples
    --------
    >>> effect_of("Tumor: 2+")
    Effect(cell_class='tumor', level=2, positive=False, excluded=False)
    >>> effect_of("Negative").level, effect_of("Ignore*").excluded, effect_of("Nerve")
    (0, True, None)
    """
    parts = [part.strip() for part in name.split(":")]
    last = parts[-1].casefold()
    level, positive = _LEVELS.get(last), last == _POSITIVE
    told = level is not None or positive
    base = ": ".join(parts[:-1] if told else parts)
    if not base:
        return Effect(level=level, positive=positive) if told else None
    if base.casefold() == _CELL:
        return Effect(keys.UNKNOWN, level, positive)
    meaning = meaning_of(base, classes)
    if meaning is None:
        return None
    if meaning in EXCLUDING:
        return Effect(excluded=True)
    return Effect(None if meaning == PLAIN_REGION else meaning, level, positive)
