"""OME-Zarr of brightfield slides, as 0.4 and 0.5 store them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from biomarkers.core.errors import SlideError, UsageError
from biomarkers.io import open_slide, read_tile, slide_info
from biomarkers.io.channel_files import open_channels

RGB = np.random.default_rng(0).integers(1, 255, (130, 170, 3), dtype=np.uint8)


def write_zarr(
    path: Path,
    *,
    version: int = 3,
    rgb: np.ndarray = RGB,
    unit: str = "micrometer",
    scales: tuple[int, ...] = (1, 2),
    skip_chunk: tuple[int, int] | None = None,
) -> Path:
    """Write (c, y, x) uint8 in chunks of 64 px."""
    levels = []
    for number, scale in enumerate(scales):
        pixels = np.moveaxis(rgb[::scale, ::scale], 2, 0)
        array: Any = zarr.create_array(
            str(path / str(number)), shape=pixels.shape, chunks=(3, 64, 64), dtype="uint8", zarr_format=version
        )
        array[:] = pixels
        step = [1.0, 0.5 * scale, 0.5 * scale]
        levels.append({"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": step}]})
    if skip_chunk is not None:
        name = f"c/0/{skip_chunk[0]}/{skip_chunk[1]}" if version == 3 else f"0.{skip_chunk[0]}.{skip_chunk[1]}"
        (path / "0" / name).unlink()
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": unit} for n in "yx")]
    about: dict[str, Any] = {"multiscales": [{"axes": axes, "datasets": levels}]}
    if version == 3:
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **about}}}
        (path / "zarr.json").write_text(json.dumps(group))
    else:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(about))
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_pixels_levels_and_pixel_size(tmp_path: Path, version: int) -> None:
    path = write_zarr(tmp_path / "a.ome.zarr", version=version)
    tile = read_tile(path)
    np.testing.assert_array_equal(np.moveaxis(np.asarray(tile), 0, 2), RGB)
    assert (tile.attrs["mpp"], tile.attrs["mpp_source"]) == (0.5, "OME-Zarr scale")
    with open_slide(path) as slide:
        assert [(level.width, level.height) for level in slide.levels] == [(170, 130), (85, 65)]
        np.testing.assert_array_equal(slide.read_region(10, 5, 40, 30, level=1), RGB[::2, ::2][5:35, 10:50])
    assert slide_info(path)["reader"] == "zarr"


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_is_not_stored_is_glass(tmp_path: Path, version: int) -> None:
    path = write_zarr(tmp_path / "a.zarr", version=version, skip_chunk=(0, 1))
    found = np.moveaxis(np.asarray(read_tile(path)), 0, 2)
    assert (found[:64, 64:128] == 255).all()
    np.testing.assert_array_equal(found[:64, :64], RGB[:64, :64])
    np.testing.assert_array_equal(found[64:], RGB[64:])


def test_numbered_groups_are_scenes(tmp_path: Path) -> None:
    root = tmp_path / "a.zarr"
    for number in (0, 1):
        write_zarr(root / str(number), version=2, rgb=RGB[: 100 - 20 * number])
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    (root / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    with pytest.raises(UsageError, match="holds 2 images"):
        open_slide(root)
    assert read_tile(root, scene=1).shape == (3, 80, 170)


def test_what_is_no_brightfield_slide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"5 channels.*panel"):
        read_tile(write_zarr(tmp_path / "five.zarr", rgb=np.zeros((64, 64, 5), np.uint8)), mpp=0.5)
    with pytest.raises(UsageError, match="no pixel size"):
        read_tile(write_zarr(tmp_path / "bare.zarr", unit="parsec"))
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "empty.zarr" / "zarr.json").write_text("{")
    with pytest.raises(SlideError, match="not an OME-Zarr image"):
        open_slide(tmp_path / "empty.zarr")
    outside = write_zarr(tmp_path / "out.zarr", version=2)
    (outside / ".zattrs").write_text((outside / ".zattrs").read_text().replace('"path": "0"', '"path": "../five.zarr"'))
    with pytest.raises(SlideError, match="outside itself"):
        open_slide(outside)
    damaged = write_zarr(tmp_path / "damaged.zarr", version=2)
    (damaged / "0" / "0.1.1").write_bytes(b"noise")
    with pytest.raises(SlideError, match="cannot be decoded"):
        read_tile(damaged)


def test_level_that_does_not_fit_is_left_out_and_named(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", version=2, scales=(1, 2))
    write_zarr(tmp_path / "b.zarr", version=2, rgb=RGB[:40], scales=(1,)).joinpath("0").rename(path / "wrong")
    about = json.loads((path / ".zattrs").read_text())
    about["multiscales"][0]["datasets"][1]["path"] = "wrong"
    (path / ".zattrs").write_text(json.dumps(about))
    with open_slide(path) as slide:
        assert len(slide.levels) == 1
        assert "does not match level 0" in slide.problems[0]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((), []),
        (("multiscales",), "x"),
        (("multiscales", 0, "axes"), None),
        (("multiscales", 0, "axes", 0), 7),
        (("multiscales", 0, "axes", 0, "name"), ["c"]),
        (("multiscales", 0, "axes", 0, "name"), "x"),
        (("multiscales", 0, "datasets", 0, "path"), "/etc"),
        (("multiscales", 0, "datasets", 0, "coordinateTransformations"), "um"),
        (("multiscales", 0, "datasets", 0, "coordinateTransformations", 0, "scale"), [1, 2]),
        (("multiscales", 0, "datasets", 0, "coordinateTransformations", 0, "scale", 2), "um"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    tmp_path: Path, version: int, place: tuple[Any, ...], value: object
) -> None:
    path = write_zarr(tmp_path / "a.zarr", version=version)
    header = path / ("zarr.json" if version == 3 else ".zattrs")
    whole: Any = {"": json.loads(header.read_text())}
    *outer, last = ("", "attributes", "ome", *place) if version == 3 else ("", *place)
    within = whole
    for key in outer:
        within = within[key]
    within[last] = value
    header.write_text(json.dumps(whole[""]))
    for read in (open_slide, open_channels):
        with pytest.raises(SlideError, match=r"not an OME-Zarr image|points outside itself") as caught:
            read(path)
        assert str(caught.value.where) == str(path)


@pytest.mark.parametrize("version", [2, 3])
def test_channels_beyond_number_are_refused_before_they_are_listed(tmp_path: Path, version: int) -> None:
    path = write_zarr(tmp_path / "a.zarr", version=version)
    header = path / "0" / ("zarr.json" if version == 3 else ".zarray")
    about = json.loads(header.read_text())
    about["shape"][0] = 2**40
    header.write_text(json.dumps(about))
    with pytest.raises(SlideError, match="more channels than any image has"):
        open_channels(path)


@pytest.mark.parametrize("version", [2, 3])
def test_a_damaged_chunk_is_told_with_its_channel(tmp_path: Path, version: int) -> None:
    path = write_zarr(tmp_path / "a.zarr", version=version)
    chunk = path / "0" / ("c/0/0/0" if version == 3 else "0.0.0")
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(SlideError, match="channel 2 cannot be decoded"):
        open_channels(path).planes[1]((slice(0, 10), slice(0, 10)))
