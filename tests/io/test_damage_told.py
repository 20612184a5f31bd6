"""Damage that does not stop a slide from being read is told with its share, and refused past a limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
import zarr.codecs
from PIL import Image

from biomarkers.core.errors import SlideError
from biomarkers.io import open_slide
from tests.io.pictures import tissue

RGB = tissue(640, 640)


def write(path: Path, missing: list[int]) -> Path:
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(64, 64), compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = file.pages[0].tags["TileByteCounts"]
        counts.overwrite(tuple(0 if k in missing else count for k, count in enumerate(counts.value)))
    return path


@pytest.mark.parametrize(
    ("missing", "said"),
    [([], ""), ([0, 1, 10], ""), ([90, 91, 92, 93], ""), ([33], "1.01%"), ([33, 66, 5], "3.09%")],
)
def test_tiles_missing_amid_others_are_told_with_their_share(tmp_path: Path, missing: list[int], said: str) -> None:
    with open_slide(write(tmp_path / "a.tif", missing), mpp=0.5) as slide:
        told = " ".join(slide.problems)
        assert (said in told) if said else not told
        assert (slide.read_region(0, 0, 640, 640)[192:256, 192:256] == 255).all() == (33 in missing)


def test_too_many_missing_tiles_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", [12, 15, 18, 44, 47, 72, 75])
    with open_slide(path, mpp=0.5) as slide, pytest.raises(SlideError, match="missing amid stored ones"):
        slide.read_region(0, 0, 64, 64)


def pyramid(path: Path, small: np.ndarray) -> Path:
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB, photometric="rgb", tile=(64, 64), metadata=None)
        writer.write(small, photometric="rgb", subfiletype=1, tile=(64, 64), metadata=None)
    return path


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_true_level_is_not_doubted(tmp_path: Path, factor: int) -> None:
    small = np.asarray(Image.fromarray(RGB).reduce(factor))
    with open_slide(pyramid(tmp_path / "a.tif", small), mpp=0.5) as slide:
        assert len(slide.levels) == 2
        assert slide.with_checked_levels().problems == ()


@pytest.mark.parametrize(
    "make", [lambda one: tissue(*one.shape[:2], seed=9), lambda one: one[::-1], lambda one: 255 - one]
)
def test_a_level_of_another_picture_is_refused(tmp_path: Path, make) -> None:
    small = np.ascontiguousarray(make(np.asarray(Image.fromarray(RGB).reduce(4))))
    with (
        open_slide(pyramid(tmp_path / "a.tif", small), mpp=0.5) as slide,
        pytest.raises(SlideError, match="does not show"),
    ):
        slide.with_checked_levels()


def write_blosc(path: Path, version: int) -> Path:
    """Write an OME-Zarr in Blosc chunks of 64 px."""
    codec = numcodecs.Blosc() if version == 2 else zarr.codecs.BloscCodec()
    planes = np.moveaxis(RGB, 2, 0)
    array: Any = zarr.create_array(
        str(path / "0"), shape=planes.shape, chunks=(3, 64, 64), dtype="uint8", zarr_format=version, compressors=[codec]
    )
    array[:] = planes
    scales = [{"axes": [{"name": name} for name in "cyx"], "datasets": [{"path": "0"}]}]
    if version == 3:
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"version": "0.5", "multiscales": scales}},
        }
        (path / "zarr.json").write_text(json.dumps(group))
    else:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps({"multiscales": scales}))
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("change", [0, 1, -4, 60])
def test_a_zarr_chunk_of_another_length_than_it_says_is_refused(tmp_path: Path, version: int, change: int) -> None:
    path = write_blosc(tmp_path / "a.zarr", version)
    chunk = path / "0" / ("0.3.4" if version == 2 else "c/0/3/4")
    content = chunk.read_bytes()
    chunk.write_bytes(content + bytes(change) if change >= 0 else content[:change])
    with open_slide(path, mpp=0.5) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 640, 192), RGB[:192])
        if change == 0:
            np.testing.assert_array_equal(slide.read_region(0, 0, 640, 640), RGB)
        else:
            with pytest.raises(SlideError, match=r"chunk .* has \d+ bytes, its header says"):
                slide.read_region(250, 190, 50, 50)
