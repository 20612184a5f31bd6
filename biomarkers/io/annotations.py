"""QuPath GeoJSON -> regions and labelled points, checked before any cell is counted by them."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core.errors import DataError, did_you_mean
from biomarkers.io.annotations_classes import PLAIN_REGION, known_names, meaning_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_CELLS = ("detection", "cell", "tile", "root")  # QuPath objects that are not drawn by a person
_CORE = ("tma_core", "tmacore", "tma core")
_AREAS = ("Polygon", "MultiPolygon")
_POINTS = ("Point", "MultiPoint")
_MIN_REPAIR_SHARE = 0.5
_SPILL = 0.02  # share of an image's side by which drawing past the edge is forgiven


@dataclass(frozen=True)
class Region:
    """One annotated area: ``meaning`` is a cell class, ``necrosis``, ``ignore`` or ``region`` (to be analysed)."""

    meaning: str
    name: str
    geometry: BaseGeometry


@dataclass(frozen=True)
class Annotations:
    """What was drawn on one image, in pixels of its full resolution from the top left corner.

    ``points`` are ``(x, y, meaning)`` of labelled cells; ``notes`` say what was repaired or left out. ``unknown`` are
    ``(class, number, area in px)`` of shapes without a class (``""``), or of one that means nothing here: not used.
    """

    source: str
    regions: tuple[Region, ...] = ()
    points: tuple[tuple[float, float, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    unknown: tuple[tuple[str, int, float], ...] = field(default=())

    @property
    def meanings(self) -> frozenset[str]:
        """The meanings that occur among the regions."""
        return frozenset(region.meaning for region in self.regions)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest box around everything drawn: left, top, right, bottom."""
        boxes = [region.geometry.bounds for region in self.regions] + [(x, y, x, y) for x, y, _ in self.points]
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)


def read_annotations(path: str | os.PathLike[str], *, classes: Mapping[str, str] | None = None) -> Annotations:
    """Read annotations that QuPath exported as GeoJSON.

    Old and new dialects are read: a FeatureCollection, a plain list, or one feature; ``objectType`` or
    ``object_type``; a class as ``{"name": ...}``, ``{"names": [...]}``, a list or text; a derived class
    (``Tumor: Positive``) by its base. Class names are matched whatever their
    case: Tumor, Stroma, Immune cells (Lymphocyte), Macrophage, Other, Necrosis, Region* (an area to analyse) and
    Ignore* (or any name that ends in ``*`` and begins with ignore). Detections are left out, with a note; so are
    shapes without a class or of another one, beside shapes whose class is known. Cores of a TMA grid are areas to
    analyse, but for those marked as missing.

    Parameters
    ----------
    path
        The ``.geojson`` file.
    classes
        What further class names mean, ``{"Nest": "tumor", "Fold": "ignore"}``.

    Raises
    ------
    DataError
        Not GeoJSON, no annotation in it, none whose class is known, or an outline that cannot be mended.

    Examples
    --------
    >>> import biomarkers as bm
    >>> path = bm.sample_trial().folder / "regions" / "simulated_SIM-001_baseline_PD-L1.geojson"
    >>> sorted({region.name for region in bm.read_annotations(path).regions})
    ['Stroma', 'Tumor']
    """
    from shapely import get_parts

    path = Path(path)
    features = _features(path)
    drawn = [feature for feature in features if _object_type(feature) not in _CELLS]
    notes = []
    if len(drawn) < len(features):
        notes.append(f"{len(features) - len(drawn)} detections in the file left out")
    if not drawn:
        raise DataError("no annotations in the file", where=path.name, hint="Export annotations, not detections.")
    _check_classes(drawn, classes, path.name)
    regions: list[Region] = []
    points: list[tuple[float, float, str]] = []
    unknown: dict[str, tuple[int, float]] = {}
    missing_cores = 0
    for number, feature in enumerate(drawn, start=1):
        name = _class_name(feature)
        meaning = _meaning(feature, classes)
        if meaning is None:
            count, area = unknown.get(name, (0, 0.0))
            unknown[name] = count + 1, area + _area_of(feature)
            continue
        if _is_missing_core(feature):
            missing_cores += 1
            continue
        where = f"{path.name}: annotation {number} ({name or 'TMA core'})"
        for geometry in _geometries(feature, where):
            if geometry.geom_type in _POINTS:
                points += [(dot.x, dot.y, meaning) for dot in getattr(geometry, "geoms", [geometry])]
            elif geometry.geom_type in _AREAS:
                # each area of several counts for itself: an island in a hole is smaller than what fills the hole
                areas = get_parts(_mended(geometry, where, notes))
                regions += [Region(meaning, name, area) for area in areas]
            else:
                notes.append(f"annotation {number} ({name}) is a {geometry.geom_type}: left out")
    if missing_cores:
        notes.append(f"{missing_cores} TMA cores marked as missing left out")
    if not regions and not points:
        raise DataError("no area and no point among the annotations", where=path.name, allowed=[*_AREAS, *_POINTS])
    told = tuple((name, *unknown[name]) for name in sorted(unknown))
    return Annotations(path.name, tuple(regions), tuple(points), tuple(notes), told)


def check_inside(annotations: Annotations, *, width: float, height: float) -> None:
    """Refuse annotations made in another pixel space.

    Parameters
    ----------
    annotations
        What was drawn.
    width, height
        Size of the image at full resolution, pixels.

    Raises
    ------
    DataError
        Something reaches past the image by more than 2 % of its side.
    """
    left, top, right, bottom = annotations.bounds
    spill_x, spill_y = _SPILL * width, _SPILL * height
    if left < -spill_x or top < -spill_y or right > width + spill_x or bottom > height + spill_y:
        raise DataError(
            "the annotations reach outside the image: they belong to another image or another resolution",
            where=annotations.source,
            seen=f"x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f} px",
            allowed=f"x 0 to {width:.0f}, y 0 to {height:.0f} px",
            hint="Coordinates must be pixels of the full-resolution image, from its top left corner.",
        )


def _features(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DataError("no such annotation file", where=path) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"not GeoJSON: {error}", where=path.name) from error
    if isinstance(content, Mapping) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    elif isinstance(content, Mapping) and content.get("type") == "Feature":
        content = [content]
    if not isinstance(content, list) or not all(isinstance(item, Mapping) for item in content):
        raise DataError(
            "not GeoJSON as QuPath writes it",
            where=path.name,
            allowed="a FeatureCollection, a list of features, or one feature",
        )
    if not content:
        raise DataError("the annotation file is empty", where=path.name)
    flat: list[dict[str, Any]] = []
    for number, item in enumerate(content, start=1):
        if item.get("type") == "FeatureCollection":
            raise DataError("a collection within a collection", where=f"{path.name}: item {number}")
        flat.append(dict(item))
    return flat


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    found = feature.get("properties")
    return found if isinstance(found, Mapping) else {}


def _object_type(feature: Mapping[str, Any]) -> str:
    own = _properties(feature)
    kind = own.get("objectType") or own.get("object_type")
    if kind is None:  # the oldest exports tell it by the identifier alone
        named = str(feature.get("id", ""))
        return "detection" if named in ("PathDetectionObject", "PathCellObject") else "annotation"
    return str(kind).lower().removeprefix("path").removesuffix("object")


def _class_name(feature: Mapping[str, Any]) -> str:
    found = _properties(feature).get("classification")
    if isinstance(found, Mapping):
        found = found.get("names") or found.get("name")
    if isinstance(found, list):
        found = ": ".join(map(str, found))
    return str(found).strip() if found is not None else ""


def _is_core(feature: Mapping[str, Any]) -> bool:
    return _object_type(feature) in _CORE


def _is_missing_core(feature: Mapping[str, Any]) -> bool:
    own = _properties(feature)
    return _is_core(feature) and bool(own.get("isMissing", own.get("missing", False)))


def _meaning(feature: Mapping[str, Any], classes: Mapping[str, str] | None) -> str | None:
    """Return what a shape means; a core of a TMA grid whose class says nothing else is an area to analyse."""
    known = meaning_of(_class_name(feature), classes)
    return PLAIN_REGION if known is None and _is_core(feature) else known


def _area_of(feature: Mapping[str, Any]) -> float:
    """Area of a shape that is not used, px; 0 where it has none or is no geometry."""
    try:
        return math.fsum(one.area for one in _geometries(feature, ""))
    except DataError:
        return 0.0


def _check_classes(drawn: Sequence[Mapping[str, Any]], classes: Mapping[str, str] | None, where: str) -> None:
    """Refuse a file in which not one shape has a class that means something here."""
    if any(_meaning(feature, classes) is not None for feature in drawn):
        return
    names = Counter(_class_name(feature) for feature in drawn)
    foreign = sorted(name for name in names if name)
    if not foreign:
        raise DataError(
            f"{names['']} of {len(drawn)} annotations carry no class",
            where=where,
            allowed=known_names(classes),
            hint="Give them a class in QuPath: Region* for an area to analyse, Ignore* for one to leave out.",
        )
    near = did_you_mean(foreign[0], known_names(classes))
    raise DataError(
        "unknown annotation class",
        where=where,
        seen=", ".join(foreign),
        allowed=known_names(classes),
        hint=near
        or f'Say what it means with --classes MAP.toml: "{foreign[0]}" = "tumor" (or stroma, ignore, region ...).',
    )


def _geometries(feature: Mapping[str, Any], where: str) -> list[BaseGeometry]:
    from shapely import get_coordinates, get_parts
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    found = feature.get("geometry")
    if not isinstance(found, Mapping):
        raise DataError("an annotation without a geometry", where=where)
    try:
        with np.errstate(invalid="ignore"):  # numbers are checked below
            geometry = shape(dict(found))
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise DataError(f"not a geometry ({error})", where=where) from error
    if geometry.is_empty:
        raise DataError("an empty outline", where=where)
    if not all(math.isfinite(number) for number in get_coordinates(geometry).ravel().tolist()):
        raise DataError("an outline with coordinates that are not numbers", where=where)
    return list(get_parts(geometry)) if geometry.geom_type == "GeometryCollection" else [geometry]


def _mended(geometry: BaseGeometry, where: str, notes: list[str]) -> BaseGeometry:
    """Return the outline itself, or, where it crosses itself, the areas that its crossings enclose."""
    from shapely import get_parts, make_valid, union_all

    if geometry.is_valid and geometry.area > 0:
        return geometry
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        pieces = [piece for piece in get_parts(make_valid(geometry)) if piece.geom_type in _AREAS]
    mended = union_all(pieces)
    if not pieces or mended.area == 0 or mended.area < _MIN_REPAIR_SHARE * geometry.area:
        raise DataError("an outline that encloses no area", where=where, hint="Draw it again in QuPath.")
    if math.isclose(mended.area, geometry.area, rel_tol=1e-9):
        return mended  # areas that share an edge, or a spike without area
    notes.append(f"{where.split(': ')[-1]} crosses itself: mended into {len(get_parts(mended))} areas")
    return mended
