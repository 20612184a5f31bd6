"""What the header of an OME-Zarr says: attributes, axes, pixel size, where its arrays lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from biomarkers.core.errors import SlideError
from biomarkers.io.pixel_size import PixelSize

_UM_IN = {"micrometer": 1.0, "micron": 1.0, "um": 1.0, "µm": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


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


def zarr_pixel_size(scales: Mapping[str, Any]) -> PixelSize | None:
    """Return the pixel size that the scale of the largest level gives, when its axes have a unit of length."""
    steps = [
        one["scale"] for one in scales["datasets"][0].get("coordinateTransformations", []) if one.get("type") == "scale"
    ]
    axes = scales.get("axes", [])
    if not steps or not all(isinstance(axis, dict) for axis in axes):
        return None
    um = [step * _UM_IN.get(str(axis.get("unit", "")), np.nan) for step, axis in zip(steps[0], axes, strict=True)]
    x, y = um[-1], um[-2]
    return PixelSize(float(x), float(y), "OME-Zarr scale") if x > 0 and y > 0 else None
