"""What the class names of annotations mean here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from biomarkers.core import keys
from biomarkers.core.errors import UsageError
from biomarkers.core.files import read_toml

NECROSIS: Final = "necrosis"  # left out of every count and area
IGNORE: Final = "ignore"  # left out of every count and area
PLAIN_REGION: Final = "region"  # an area to analyse that says nothing about its cells
MEANINGS: Final = (*(name for name in keys.CELL_CLASSES if name != keys.UNKNOWN), NECROSIS, IGNORE, PLAIN_REGION)
EXCLUDING: Final = (NECROSIS, IGNORE)

# names as QuPath ships them or users write them, in small letters -> meaning
_NAMES: Final = {
    "tumor": keys.TUMOR,
    "tumour": keys.TUMOR,
    "carcinoma": keys.TUMOR,
    "stroma": keys.STROMA,
    "immune cells": keys.LYMPHOCYTE,
    "lymphocyte": keys.LYMPHOCYTE,
    "lymphocytes": keys.LYMPHOCYTE,
    "macrophage": keys.MACROPHAGE,
    "macrophages": keys.MACROPHAGE,
    "other": keys.OTHER,
    "necrosis": NECROSIS,
    "necrotic": NECROSIS,
    "region": PLAIN_REGION,
    "roi": PLAIN_REGION,
}


def meaning_of(name: str, classes: Mapping[str, str] | None = None) -> str | None:
    """Return what a class name means, or None for one that is not known; a derived class means what its base does.

    Examples
    --------
    >>> meaning_of("Tumour"), meaning_of("Ignore*"), meaning_of("Region*"), meaning_of("Muscle")
    ('tumor', 'ignore', 'region', None)
    >>> meaning_of("Tumor: Positive"), meaning_of("Tumor: Necrosis")
    ('tumor', None)
    """
    own = {key.casefold(): value for key, value in (classes or {}).items()}
    word = name.strip().casefold()
    if word in own:
        meaning = own[word]
        if meaning not in MEANINGS:
            raise UsageError("unknown meaning of an annotation class", where=name, seen=meaning, allowed=MEANINGS)
        return meaning
    word = word.removesuffix("*").strip()
    if word.startswith("ignore"):
        return IGNORE
    if word in _NAMES:
        return _NAMES[word]
    # a derived class of QuPath: its base says what tissue it is, unless a later part says something else
    base, *rest = (part.strip() for part in word.split(":"))
    meanings = {_NAMES.get(base), *(known for part in rest if (known := _NAMES.get(part)))}
    return meanings.pop() if len(meanings) == 1 else None


def read_class_map(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read what class names mean from a TOML file: ``Artefact = "ignore"``, at the top or under ``[classes]``.

    Raises
    ------
    UsageError
        The file is absent or not TOML, or a meaning is none of ``tumor, stroma, lymphocyte, macrophage, other,
        necrosis, ignore, region``.
    """
    where = Path(path)
    content = read_toml(where)
    table = content.get("classes", content)
    if not isinstance(table, Mapping) or (table is not content and len(content) > 1):
        allowed = 'lines such as Artefact = "ignore", at the top or under [classes]'
        raise UsageError("not a map of annotation classes", where=where, seen=sorted(content), allowed=allowed)
    found = {}
    for name, meaning in table.items():
        word = str(meaning).strip().casefold()
        word = _NAMES.get(word, word)
        if word not in MEANINGS:
            raise UsageError(
                "unknown meaning of an annotation class", where=where, seen=f"{name} = {meaning!r}", allowed=MEANINGS
            )
        found[str(name)] = word
    return found


def known_names(classes: Mapping[str, str] | None = None) -> list[str]:
    """Return the class names a user may write, in QuPath's spelling."""
    shipped = ["Tumor", "Stroma", "Immune cells", "Macrophage", "Other", "Necrosis", "Region*", "Ignore*"]
    return [*shipped, *(classes or {})]
