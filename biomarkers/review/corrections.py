"""A pathologist's corrections of one slide: the file they stand in, read and checked.

The file is GeoJSON as QuPath writes it: cells (``objectType`` ``cell`` or ``detection``) whose class says what they
are, annotations that leave tissue out (``Ignore*``, ``Necrosis``), take it in again (``Region*``) or give the cells in
them a class (``Tumor``, ``Stroma`` ...). What GeoJSON has no place for stands in the member ``biomarkers``: which slide
and image, a moved cut, what was undone, and who signed. See docs/review.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from biomarkers.core.errors import DataError
from biomarkers.io import annotations as drawn
from biomarkers.review.class_names import effect_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

FORMAT: Final = "biomarkers corrections 1"
HEAD: Final = "biomarkers"
DECISIONS: Final = ("accepted", "rejected")
_CELL_TYPES: Final = ("cell", "detection")
_MOST_CUT: Final = 2.9


@dataclass(frozen=True)
class CellCorrection:
    """One cell and the class it was given; ``place_um`` where the file tells it, else its outline's middle.

    ``cell`` is its name in the run's table, where the file tells it: then only one identifier need be compared.
    """

    cell_id: str
    name: str
    place_px: tuple[float, float] | None
    place_um: tuple[float, float] | None
    outline: BaseGeometry | None
    author: str = ""
    time: str = ""
    cell: str = ""


@dataclass(frozen=True)
class RegionCorrection:
    """One drawn area and its class."""

    name: str
    geometry: BaseGeometry
    author: str = ""
    time: str = ""


@dataclass(frozen=True)
class Signature:
    """Who looked at the slide, and what was decided."""

    author: str
    time: str
    decision: str
    remark: str = ""


@dataclass(frozen=True)
class Corrections:
    """Everything one file asks for. ``head`` says which slide and image it was made for (empty for QuPath's files)."""

    source: str
    cells: tuple[CellCorrection, ...] = ()
    regions: tuple[RegionCorrection, ...] = ()
    cut_od: float | None = None
    signatures: tuple[Signature, ...] = ()
    head: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def authors(self) -> tuple[str, ...]:
        """Everyone who corrected or signed, sorted."""
        every = [one.author for part in (self.cells, self.regions, self.signatures) for one in part]
        return tuple(sorted({author for author in every if author}))


def read_corrections(path: str | Path, *, classes: Mapping[str, str] | None = None) -> Corrections:
    """Read one file of corrections: of ``biomarkers review``, or QuPath's export of cells and annotations.

    Old and new dialects of QuPath are read (see :func:`biomarkers.io.annotations.read_annotations`). A file that holds
    the cells of the whole slide is as good as one that holds the changed ones.

    Parameters
    ----------
    path
        The ``.geojson`` file.
    classes
        What further class names mean, ``{"Nest": "tumor"}``.

    Raises
    ------
    DataError
        Not GeoJSON, a geometry that cannot be read, an annotation of an unknown class, a cut out of range, or two
        people whose last signatures contradict each other.
    """
    path = Path(path)
    content = _content(path)
    head = content.get(HEAD, {}) if isinstance(content, Mapping) else {}
    told = head.get("format") if isinstance(head, Mapping) else head
    if not isinstance(head, Mapping) or (head and told != FORMAT):
        raise DataError("an unknown format of corrections", where=path.name, seen=told, allowed=FORMAT)
    undone = {str(one.get("action")) for one in _records(head, "undone", path)}
    nothing = isinstance(content, Mapping) and content.get("features") == [] and bool(head)
    features = [] if nothing else drawn._features(path)
    cells: list[CellCorrection] = []
    regions: list[RegionCorrection] = []
    notes: list[str] = []
    for number, feature in enumerate(features, start=1):
        own = drawn._properties(feature)
        if str(own.get("action", "")) in undone:
            continue
        kind = drawn._object_type(feature)
        if kind in _CELL_TYPES:
            cells.append(_cell(feature, f"{path.name}: object {number}"))
        elif kind == "annotation":
            regions += _regions(feature, path, number, notes, classes)
        else:
            notes.append(f"object {number} is a {kind.replace('_', ' ')}: left out")
    signatures = tuple(_signature(one, path) for one in _records(head, "signatures", path))
    _refuse_contradiction(signatures, path)
    cut = _cut(head, undone, path)
    return Corrections(path.name, tuple(cells), tuple(regions), cut, signatures, dict(head), tuple(notes))


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DataError("no such file of corrections", where=path) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"not GeoJSON: {error}", where=path.name) from error


def _records(head: Mapping[str, Any], name: str, path: Path) -> list[Mapping[str, Any]]:
    found = head.get(name, [])
    if not isinstance(found, Sequence) or not all(isinstance(one, Mapping) for one in found):
        raise DataError(f"{name!r} is no list of records", where=path.name, seen=str(found)[:40])
    return list(found)


def _cell(feature: Mapping[str, Any], where: str) -> CellCorrection:
    own = drawn._properties(feature)
    outlines = drawn._geometries(feature, where)
    numbers = _measurements(own.get("measurements"))
    place_um = (numbers["x_um"], numbers["y_um"]) if {"x_um", "y_um"} <= set(numbers) else None
    middle = outlines[0].centroid
    return CellCorrection(
        cell_id=str(feature.get("id", "")),
        name=drawn._class_name(feature),
        place_px=(float(middle.x), float(middle.y)),
        place_um=place_um,
        outline=outlines[0] if outlines[0].area > 0 else None,
        author=str(own.get("author", "")),
        time=str(own.get("time", "")),
        cell=str(own.get("cell", "")),
    )


def _measurements(found: Any) -> dict[str, float]:
    """Read measurements as a dict, or as the list of names and values of older exports."""
    if isinstance(found, list):
        found = {str(one.get("name")): one.get("value") for one in found if isinstance(one, Mapping)}
    if not isinstance(found, Mapping):
        return {}
    return {
        str(name): float(value)
        for name, value in found.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _regions(
    feature: Mapping[str, Any], path: Path, number: int, notes: list[str], classes: Mapping[str, str] | None
) -> list[RegionCorrection]:
    name, where = drawn._class_name(feature), f"{path.name}: annotation {number}"
    own = drawn._properties(feature)
    effect = effect_of(name, classes)
    if not name or effect is None:
        allowed = "Ignore*, Necrosis, Region*, Tumor, Stroma, Immune cells, Macrophage, Other"
        raise DataError("an annotation without a known class", where=where, seen=name, allowed=allowed)
    made = []
    for geometry in drawn._geometries(feature, where):
        if geometry.geom_type not in ("Polygon", "MultiPolygon"):
            notes.append(f"annotation {number} ({name}) is a {geometry.geom_type}: left out")
            continue
        area = drawn._mended(geometry, where, notes)
        made.append(RegionCorrection(name, area, str(own.get("author", "")), str(own.get("time", ""))))
    return made


def _signature(one: Mapping[str, Any], path: Path) -> Signature:
    author, decision = str(one.get("author", "")).strip(), str(one.get("decision", ""))
    if not author or decision not in DECISIONS:
        what = "a signature needs an author and a decision"
        raise DataError(what, where=path.name, seen=dict(one), allowed=DECISIONS)
    return Signature(author, str(one.get("time", "")), decision, str(one.get("remark", "")))


def _refuse_contradiction(signatures: Sequence[Signature], path: Path) -> None:
    last = {one.author: one for one in sorted(signatures, key=lambda one: one.time)}
    if len({one.decision for one in last.values()}) > 1:
        seen = ", ".join(f"{one.author} {one.decision}" for one in last.values())
        hint = "Let them agree: the last signature of each counts."
        raise DataError("two signatures contradict each other", where=path.name, seen=seen, hint=hint)


def _cut(head: Mapping[str, Any], undone: set[str], path: Path) -> float | None:
    """Return the 1+ cut that was set last and not undone."""
    kept = [one for one in _records(head, "cuts", path) if str(one.get("action", "")) not in undone]
    if not kept:
        return None
    value = kept[-1].get("cut_od")
    if not isinstance(value, (int, float)) or not 0 < value < _MOST_CUT:
        raise DataError("a cut out of range", where=path.name, seen=value, allowed=f"above 0, below {_MOST_CUT} OD")
    return float(value)
