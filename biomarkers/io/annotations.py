"""QuPath GeoJSON -> regions and labelled points, checked before any cell is counted by them."""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core.errors import DataError, did_you_mean
from biomarkers.io.annotations_classes import known_names, meaning_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_CELLS = ("detection", "cell", "tile", "tma_core", "root")  # QuPath objects that are not drawn by a person
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

    ``points`` are ``(x, y, meaning)`` of labelled cells; ``notes`` say what was repaired or left out.
    """

    source: str
    regions: tuple[Region, ...] = ()
    points: tuple[tuple[float, float, str], ...] = ()
    notes: tuple[str, ...] = field(default=())

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


def read_annotations(path: str | Path, *, classes: Mapping[str, str] | None = None) -> Annotations:
    """Read annotations that QuPath exported as GeoJSON.

    Old and new dialects are read: a FeatureCollection, a plain list, or one feature; ``objectType`` or
    ``object_type``; a class as ``{"name": ...}``, ``{"names": [...]}``, a list or text; a derived class
    (``Tumor: Positive``) by its base. Class names are matched whatever their
    case: Tumor, Stroma, Immune cells (Lymphocyte), Macrophage, Other, Necrosis, Region* (an area to analyse) and
    Ignore* (or any name that ends in ``*`` and begins with ignore). Detections are left out, with a note.

    Parameters
    ----------
    path
        The ``.geojson`` file.
    classes
        What further class names mean, ``{"Nest": "tumor", "Fold": "ignore"}``.

    Raises
    ------
    DataError
        Not GeoJSON, no annotation in it, an annotation without a class or of an unknown class, or an outline that
        cannot be mended.

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
    for number, feature in enumerate(drawn, start=1):
        name = _class_name(feature)
        meaning = meaning_of(name, classes)
        assert meaning is not None  # checked above
        where = f"{path.name}: annotation {number} ({name})"
        for geometry in _geometries(feature, where):
            if geometry.geom_type in _POINTS:
                points += [(dot.x, dot.y, meaning) for dot in getattr(geometry, "geoms", [geometry])]
            elif geometry.geom_type in _AREAS:
                # each area of several counts for itself: an island in a hole is smaller than what fills the hole
                areas = get_parts(_mended(geometry, where, notes))
                regions += [Region(meaning, name, area) for area in areas]
            else:
                notes.append(f"annotation {number} ({name}) is a {geometry.geom_type}: left out")
    if not regions and not points:
        raise DataError("no area and no point among the annotations", where=path.name, allowed=[*_AREAS, *_POINTS])
    return Annotations(path.name, tuple(regions), tuple(points), tuple(notes))


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


def _check_classes(drawn: Sequence[Mapping[str, Any]], classes: Mapping[str, str] | None, where: str) -> None:
    names = Counter(_class_name(feature) for feature in drawn)
    if names.get(""):
        raise DataError(
            f"{names['']} of {len(drawn)} annotations carry no class",
            where=where,
            allowed=known_names(classes),
            hint="Give them a class in QuPath: Region* for an area to analyse, Ignore* for one to leave out.",
        )
    unknown = sorted(name for name in names if meaning_of(name, classes) is None)
    if unknown:
        raise DataError(
            "unknown annotation class",
            where=where,
            seen=", ".join(unknown),
            allowed=known_names(classes),
            hint=did_you_mean(unknown[0], known_names(classes)),
        )


def _geometries(feature: Mapping[str, Any], where: str) -> list[BaseGeometry]:
    from shapely import GEOSException, get_coordinates, get_parts
    from shapely.geometry import shape

    found = feature.get("geometry")
    if not isinstance(found, Mapping):
        raise DataError("an annotation without a geometry", where=where)
    try:
        with np.errstate(invalid="ignore"):  # numbers are checked below
            geometry = shape(dict(found))
    except (GEOSException, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
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
