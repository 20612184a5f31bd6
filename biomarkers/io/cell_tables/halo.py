"""HALO object tables, with HALO's own headers or as R rewrites them (every odd character a dot)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.core.panel import canonical_marker
from biomarkers.io.cell_tables.build import (
    CellTable,
    by_compartment,
    named,
    named_or_refuse,
    numbers,
    optional_numbers,
    optional_text,
)

_INTENSITY = re.compile(
    r"^(?:Average )?(.+) (Nucleus|Cytoplasm|Membrane|Cell|Nuclear|Cytoplasmic) Intensity(?: Average)?$", re.IGNORECASE
)
_COMPARTMENTS = {"nuclear": "nucleus", "cytoplasmic": "cytoplasm"}
_POSITIVE = re.compile(r"^(.+?) Positive(?: Classification)?$", re.IGNORECASE)
_FLUOR = re.compile(r" (?:(?:Opal|Alexa|AlexaFluor|Alexa Fluor|AF|Cy|CF) ?\d*|FITC|TRITC|TexasRed)$", re.IGNORECASE)
_EDGES = ("XMin", "XMax", "YMin", "YMax")


def is_halo(columns: Iterable[str]) -> bool:
    """Tell a HALO table by its columns."""
    names = list(columns)
    return all(named(names, wanted) is not None for wanted in (*_EDGES, "Object Id"))


def read_halo(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a HALO object table (text columns): boxes in pixels become centres, areas are in um2."""
    plain = {name: _plain(name) for name in frame.columns}
    intensity, channels = _intensities(frame, plain, where)
    columns = {name: named_or_refuse(frame.columns, name, where=where) for name in (*_EDGES, "Object Id")}
    edge = {name: numbers(frame[columns[name]], column=columns[name], where=where) for name in _EDGES}
    return CellTable(
        vendor="HALO",
        slide=_slide(frame, where),
        cell_id=frame[columns["Object Id"]].astype(str),
        x=(edge["XMin"] + edge["XMax"]) / 2,
        y=(edge["YMin"] + edge["YMax"]) / 2,
        unit="px",
        area_unit="um",
        cell_area=optional_numbers(frame, _area(plain, "Cell Area"), where=where),
        nucleus_area=optional_numbers(frame, _area(plain, "Nucleus Area"), where=where),
        region=optional_text(frame, named(frame.columns, "Classifier Label"), ""),
        phenotype=None,
        intensity=intensity,
        positive=_flags(frame, plain, set(channels.values()), where),
        channels=channels,
    )


def _plain(name: str) -> str:
    """Undo R's rewriting far enough that both kinds of header read alike."""
    return re.sub(r"[^A-Za-z0-9+\-/]+", " ", name.replace("\ufeff", "")).strip()


def _slide(frame: pd.DataFrame, where: Path) -> pd.Series:
    for wanted in ("Image Tag", "Image File Name", "Image Location", "deidentified sample"):
        name = named(frame.columns, wanted)
        if name is not None:
            text = frame[name].fillna("").astype(str)
            if text.ne("").all():
                return text.str.replace(r"^.*[\\/]", "", regex=True)
    return pd.Series([where.name.split(".")[0]] * len(frame), index=frame.index, dtype=object)


def _area(plain: dict[str, str], wanted: str) -> str | None:
    pattern = re.compile(rf"{wanted}(?: m| m2| um2| µm²)?", re.IGNORECASE)
    return next((name for name, text in plain.items() if pattern.fullmatch(text)), None)


def _intensities(
    frame: pd.DataFrame, plain: dict[str, str], where: Path
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    found = [(name, match) for name, text in plain.items() if (match := _INTENSITY.match(text))]
    parts = [(name, match[1], _COMPARTMENTS.get(match[2].casefold(), match[2].casefold())) for name, match in found]
    return by_compartment(frame, parts, where, dye=_FLUOR)


def _flags(frame: pd.DataFrame, plain: dict[str, str], channels: set[str], where: Path) -> dict[str, np.ndarray]:
    """Read ``<marker> Positive`` columns, and phenotype columns (``CD3+ CD8+``), which hold 0 and 1."""
    flags = {}
    for name, text in plain.items():
        found = _POSITIVE.match(text)
        if found and found.group(1) in channels:
            flags[_marker(found.group(1))] = numbers(frame[name], column=name, where=where) > 0
        elif (label := _phenotype(name)) is not None and frame[name].isin(["0", "1"]).all():
            flags[label] = numbers(frame[name], column=name, where=where) > 0
    return flags


def _marker(channel: str) -> str:
    return canonical_marker(_FLUOR.sub("", channel))


def _phenotype(name: str) -> str | None:
    """Read ``CD3+ CD8+``, or ``CD3..CD8.`` as R writes it, as the phenotype that it names."""
    if re.fullmatch(r"[A-Za-z0-9-]+[+](?: [A-Za-z0-9-]+[+-])*", name):
        parts = name.rstrip("+").split("+ ")
    elif re.fullmatch(r"[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)?(?:\.\.[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)?)+\.", name):
        parts = name.rstrip(".").split("..")
    else:
        return None
    return " ".join(f"{canonical_marker(part)}+" for part in parts)
