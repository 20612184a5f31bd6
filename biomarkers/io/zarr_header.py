"""What the header of an OME-Zarr says: attributes, axes, pixel size, where its arrays lie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biomarkers.core.errors import SlideError
from biomarkers.io.pixel_size import PixelSize, most_trusted
from biomarkers.io.units import um_in


def is_zarr(path: Path) -> bool:
    """Tell a Zarr folder by its attributes."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup"))


def zarr_attributes(path: Path) -> dict[str, Any]:
    """Return the OME attributes of a Zarr group (0.4: ``.zattrs``; 0.5: ``zarr.json``)."""
    if (path / "zarr.json").is_file():
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8")).get("attributes", {})
        found: dict[str, Any] = attributes.get("ome", attributes)
        return found
    old: dict[str, Any] = json.loads((path / ".zattrs").read_text(encoding="utf-8"))
    return old


def zarr_levels(image: Path, scales: Mapping[str, Any], *, store: Path) -> list[Path]:
    """Return where the arrays of an image lie, the largest first.

    Raises
    ------
    SlideError
        One lies outside the store: what opens an image is no way to read other files.
    """
    named = [str(one["path"]) for one in scales["datasets"]]
    for name in named:
        if not (image / name).resolve().is_relative_to(store.resolve()):
            raise SlideError("the OME-Zarr points outside itself", where=store, seen=name)
    return [image / name for name in named]


def zarr_axes(scales: Mapping[str, Any]) -> list[str]:
    """Return the names of an image's axes (before 0.3 they were not written).

    Raises
    ------
    ValueError
        They are no names, or one stands twice.
    """
    axes = [axis["name"] if isinstance(axis, dict) else axis for axis in scales.get("axes", "tczyx")]
    if not all(isinstance(axis, str) for axis in axes) or len(set(axes)) < len(axes):
        raise ValueError(f"axes {axes}")
    return axes


def zarr_pixel_size(scales: Mapping[str, Any], shapes: Sequence[Sequence[int]] = ()) -> PixelSize | None:
    """Return the pixel size of the largest level, when its axes have a unit of length.

    The scale of a level and that of the whole image, which is applied after it, are multiplied.

    Parameters
    ----------
    scales
        One entry of ``multiscales``.
    shapes
        Shapes of the levels, the largest first: a smaller level's scale, over the factor it is smaller by, is another
        source, and must agree.
    """
    axes = scales.get("axes", [])
    if not all(isinstance(axis, dict) for axis in axes) or len(axes) < 2:
        return None
    units = [um_in(str(axis.get("unit") or "")) for axis in axes]
    whole = _scale(scales, len(axes))
    found: list[PixelSize | None] = []
    for number, level in enumerate(scales["datasets"]):
        if number and number >= len(shapes):
            break
        own = _scale(level, len(axes))
        if own is None and (number or whole is None):
            continue
        step = (np.ones(len(axes)) if own is None else own) * (np.ones(len(axes)) if whole is None else whole)
        if number:
            step = step * np.asarray(shapes[number], float) / np.maximum(np.asarray(shapes[0], float), 1)
        x, y = float(step[-1] * units[-1]), float(step[-2] * units[-2])
        source = "OME-Zarr scale" if number == 0 else f"OME-Zarr scale of level {number}"
        found.append(PixelSize(x, y, source) if x > 0 and y > 0 else None)
    return most_trusted(found)


def _scale(entry: Mapping[str, Any], count: int) -> np.ndarray | None:
    """Multiply the scales of an entry; None where it has none.

    Raises
    ------
    ValueError
        One does not have as many numbers as there are axes.
    """
    steps = [one["scale"] for one in entry.get("coordinateTransformations") or [] if one.get("type") == "scale"]
    if any(not isinstance(step, list) or len(step) != count for step in steps):
        raise ValueError(f"scales {steps} for {count} axes")
    return np.prod([np.asarray(step, float) for step in steps], axis=0) if steps else None
