"""OME-Zarr as a reader of brightfield slides: uint8 with three channels, one array a pyramid level."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biomarkers.core.errors import SlideError
from biomarkers.io.reader import DECODE_ERRORS, GLASS, RGB, Level, Scene
from biomarkers.io.zarr_header import is_zarr, zarr_attributes, zarr_axes, zarr_levels, zarr_pixel_size


class ZarrReader:
    """An open OME-Zarr (0.4 and 0.5; several images as bioformats2raw lays them out); chunks not stored are glass."""

    def __init__(self, path: Path) -> None:
        self.name = "zarr"
        self._path = path
        try:
            images = [_Image(path, inner) for inner in _images(path)]
        except DECODE_ERRORS as error:
            what = f"not an OME-Zarr image: {type(error).__name__}: {error}"
            raise SlideError(what, where=path) from error
        if not images:
            raise SlideError("not an OME-Zarr image: it has no multiscales", where=path)
        self._images = images
        self.scenes: tuple[Scene, ...] = tuple(image.scene for image in images)

    def read(
        self, scene: int, level: int, x: int, y: int, width: int, height: int, *, reuse_from_row: int | None = None
    ) -> RGB:
        """Return a region as uint8 (height, width, 3); see :class:`biomarkers.io.reader.Reader`."""
        try:
            return self._images[scene].read(level, slice(y, y + height), slice(x, x + width))
        except DECODE_ERRORS as error:
            what = f"its chunks cannot be decoded: {type(error).__name__}: {error}"
            raise SlideError(what, where=self._path) from error

    def close(self) -> None:
        """Nothing is held open."""


class _Image:
    """One multiscale image."""

    def __init__(self, path: Path, inner: str) -> None:
        folder = path / inner
        scales = zarr_attributes(folder)["multiscales"][0]
        self._axes = zarr_axes(scales)
        self._folders = zarr_levels(folder, scales, store=path)
        self._levels = [_on_glass(one) for one in self._folders]
        self._sound: set[tuple[int, str]] = set()
        sizes = [dict(zip(self._axes, array.shape, strict=True)) for array in self._levels]
        levels, problems = _pyramid(sizes)
        channels = ("grey",) if sizes[0].get("c", 1) == 1 else ("R", "G", "B")
        self.scene = Scene(
            name="",
            levels=levels,
            pixel_size=zarr_pixel_size(scales, [array.shape for array in self._levels]),
            channels=channels,
            problems=problems,
            refused=_refusal(self._axes, sizes[0], self._levels[0].dtype),
        )

    def read(self, level: int, rows: slice, columns: slice) -> RGB:
        where = {"y": rows, "x": columns, "c": slice(None)}
        axes = [axis for axis in self._axes if axis in where]
        self._check_chunks(level, rows, columns)
        found = np.asarray(self._levels[level][tuple(where.get(axis, 0) for axis in self._axes)])
        found = np.moveaxis(found, axes.index("c"), -1) if "c" in axes else found[..., None]
        rgb = np.repeat(found, 3, axis=-1) if found.shape[-1] == 1 else found
        return np.ascontiguousarray(rgb)

    def _check_chunks(self, level: int, rows: slice, columns: slice) -> None:
        """Refuse Blosc chunks that are longer or shorter than they say: stored bytes would be read shifted.

        Raises
        ------
        ValueError
            A chunk's file has another length than its header names.
        """
        folder, array = self._folders[level], self._levels[level]
        if not _is_blosc(array.metadata):
            return
        sides = dict(zip(self._axes, array.chunks, strict=True))
        at = {
            axis: range(one.start // sides[axis], -(-one.stop // sides[axis]))
            for axis, one in (("y", rows), ("x", columns))
        }
        at["c"] = range(-(-array.shape[self._axes.index("c")] // sides["c"])) if "c" in sides else range(1)
        for place in itertools.product(*(at.get(axis, range(1)) for axis in self._axes)):
            key = array.metadata.encode_chunk_key(place)
            if (level, key) in self._sound:
                continue
            path = folder / key
            if path.is_file():
                with path.open("rb") as stream:
                    head = stream.read(16)
                said, there = int.from_bytes(head[12:16], "little"), path.stat().st_size
                if len(head) < 16 or said != there:
                    message = f"chunk {key} of level {level} has {there} bytes, its header says {said}"
                    raise ValueError(message)
            self._sound.add((level, key))


def _is_blosc(metadata: Any) -> bool:
    """Whether an array's chunks are compressed by Blosc, each in a file of its own."""
    codecs = getattr(metadata, "codecs", None) or (getattr(metadata, "compressor", None),)
    names = [str(getattr(one, "codec_id", type(one).__name__)).casefold() for one in codecs]
    return bool(names) and names[-1].startswith("blosc")


def _images(path: Path) -> list[str]:
    """List the groups of the store that hold an image: itself, or the numbered ones of bioformats2raw."""
    about = zarr_attributes(path)
    if "plate" in about:
        raise SlideError("this OME-Zarr is a plate of wells, not a slide", where=path)
    if "multiscales" in about:
        return [""]
    numbered = sorted((int(one.name), one.name) for one in path.iterdir() if one.name.isdecimal() and is_zarr(one))
    return [name for _, name in numbered]


def _on_glass(path: Path) -> Any:
    """Open an array in which chunks that are not stored read as glass, whatever fill value it names."""
    import zarr

    array: Any = zarr.open_array(str(path), mode="r")
    if array.dtype != np.uint8:
        return array
    inner = array._async_array  # zarr has no public way to read with another fill value
    metadata = dataclasses.replace(inner.metadata, fill_value=np.uint8(GLASS))
    return zarr.Array(dataclasses.replace(inner, metadata=metadata))


def _pyramid(sizes: Sequence[dict[str, int]]) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    first = sizes[0]
    kept: list[Level] = []
    for size in sizes:
        across, down = first["x"] / max(size["x"], 1), first["y"] / max(size["y"], 1)
        if abs(across - down) > 0.02 * max(across, down) + max(across, down) / max(min(size["x"], size["y"]), 1):
            told = f"a level of {size['x']} x {size['y']} px does not match level 0 and is left out"
            return tuple(kept), (told,)  # levels are addressed by number, so those after it go too
        kept.append(Level(size["x"], size["y"], (across + down) / 2))
    return tuple(kept), ()


def _refusal(axes: Sequence[str], size: dict[str, int], dtype: Any) -> str | None:
    more = {axis: length for axis, length in size.items() if axis not in "cyx" and length > 1}
    if more:
        return f"it is a stack ({more}), not one RGB image"
    if size.get("c", 1) not in (1, 3):
        return f"it has {size['c']} channels, not red, green and blue: score it with a panel"
    if dtype != np.uint8:
        return f"it holds {dtype} values, not 8 bits: convert it to 8-bit RGB with a stated scaling"
    return None
