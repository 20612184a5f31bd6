"""HALO object tables, with HALO's own headers or as R rewrites them (every odd character a dot)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from biomarkers.cells.tables.build import CellTable, numbers, optional_numbers, optional_text
from biomarkers.errors import DataError
from biomarkers.panel import canonical_marker

_INTENSITY = re.compile(r"^(.+) (Nucleus|Cytoplasm|Membrane|Cell) Intensity$")
_POSITIVE = re.compile(r"^(.+?) Positive(?: Classification)?$")
_FLUOR = re.compile(r" (?:Opal|Alexa|AF|Cy) ?\d*$")
_FIXED = {"XMin", "XMax", "YMin", "YMax"}


def is_halo(columns: Iterable[str]) -> bool:
    """Tell a HALO table by its columns."""
    return {_plain(name) for name in columns} >= _FIXED | {"Object Id"}


def read_halo(frame: pd.DataFrame, where: Path) -> CellTable:
    """Read a HALO object table (text columns): boxes in pixels become centres, areas are in um2."""
    plain = {name: _plain(name) for name in frame.columns}
    by_plain = {text: name for name, text in plain.items()}
    intensity, channels = _intensities(frame, plain, where)
    edge = {
        name: numbers(frame[by_plain[name]], column=by_plain[name], where=where)
        for name in ("XMin", "XMax", "YMin", "YMax")
    }
    return CellTable(
        vendor="HALO",
        slide=_slide(frame, by_plain, where),
        cell_id=frame[by_plain["Object Id"]].astype(str),
        x=(edge["XMin"] + edge["XMax"]) / 2,
        y=(edge["YMin"] + edge["YMax"]) / 2,
        unit="px",
        area_unit="um",
        cell_area=optional_numbers(frame, _area(by_plain, "Cell Area"), where=where),
        nucleus_area=optional_numbers(frame, _area(by_plain, "Nucleus Area"), where=where),
        region=optional_text(frame, by_plain.get("Classifier Label", ""), ""),
        phenotype=None,
        intensity=intensity,
        positive=_flags(frame, plain, set(channels.values()), where),
        channels=channels,
    )


def _plain(name: str) -> str:
    """Undo R's rewriting far enough that both kinds of header read alike."""
    return re.sub(r"[^A-Za-z0-9+\-/]+", " ", name.replace("\ufeff", "")).strip()


def _slide(frame: pd.DataFrame, by_plain: dict[str, str], where: Path) -> pd.Series:
    for name in ("Image Tag", "Image File Name", "Image Location", "deidentified sample"):
        if name in by_plain:
            text = frame[by_plain[name]].fillna("").astype(str)
            if text.ne("").all():
                return text.str.replace(r"^.*[\\/]", "", regex=True)
    return pd.Series([where.name.split(".")[0]] * len(frame), index=frame.index, dtype=object)


def _area(by_plain: dict[str, str], wanted: str) -> str | None:
    named = [name for plain, name in by_plain.items() if re.fullmatch(rf"{wanted}(?: m| m2| µm²)?", plain)]
    return named[0] if named else None


def _intensities(
    frame: pd.DataFrame, plain: dict[str, str], where: Path
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    intensity: dict[str, dict[str, np.ndarray]] = {}
    channels: dict[str, str] = {}
    for name, text in plain.items():
        if not (found := _INTENSITY.match(text)):
            continue
        channel, compartment = found.groups()
        marker = _marker(channel)
        if channels.setdefault(marker, channel) != channel:
            raise DataError("two channels show the same marker", where=where, seen=[channels[marker], channel])
        intensity.setdefault(marker, {})[compartment.lower()] = numbers(frame[name], column=name, where=where)
    return intensity, channels


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
