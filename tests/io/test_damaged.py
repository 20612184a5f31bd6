"""Damaged and lying image files end as a SlideError, in little time and memory, whatever byte is wrong."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from biomarkers.core.errors import BiomarkersError, SlideError
from biomarkers.io import open_slide, read_tile
from biomarkers.io.segment_check import jpeg_fault

RGB = np.random.default_rng(1).integers(120, 250, (300, 400, 3), dtype=np.uint8)


def _jpeg_tiff(path: Path, **more: Any) -> Path:
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(128, 128), compression="jpeg", metadata=None, **more)
    return path


def _segment(path: Path, number: int) -> tuple[int, int]:
    with tifffile.TiffFile(path) as file:
        return file.pages[0].dataoffsets[number], file.pages[0].databytecounts[number]


def _patched(path: Path, at: int, content: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)


def test_a_jpeg_tile_whose_middle_is_noise_is_refused_though_a_decoder_takes_it(tmp_path: Path) -> None:
    path = _jpeg_tiff(tmp_path / "a.tif")
    offset, count = _segment(path, 5)
    _patched(path, offset + count // 2, np.random.default_rng(3).bytes(count // 3))
    with pytest.raises(SlideError, match="tile 5 cannot be decoded: its JPEG data are damaged"):
        read_tile(path, mpp=0.5)
    assert read_tile(path, mpp=0.5, region=(0, 0, 100, 100)).shape == (3, 100, 100), "other tiles stand"


def test_a_jpeg_tile_without_its_end_is_refused(tmp_path: Path) -> None:
    path = _jpeg_tiff(tmp_path / "a.tif")
    offset, count = _segment(path, 5)
    _patched(path, offset + count // 2, bytes(count - count // 2))
    with pytest.raises(SlideError, match="tile 5 cannot be decoded: its JPEG data end too early"):
        read_tile(path, mpp=0.5)


def test_a_jpeg_tile_that_claims_a_huge_picture_is_refused_before_allocation(tmp_path: Path) -> None:
    path = _jpeg_tiff(tmp_path / "a.tif")
    offset, count = _segment(path, 0)
    frame = path.read_bytes().find(b"\xff\xc0", offset, offset + count)
    _patched(path, frame + 5, struct.pack(">HH", 65_000, 65_000))
    with pytest.raises(SlideError, match="65000 x 65000"):
        read_tile(path, mpp=0.5)


def test_a_jpeg_2000_tile_that_claims_a_huge_picture_is_refused_before_allocation(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(128, 128), compression="jpeg2000", metadata=None)
    assert read_tile(path, mpp=0.5).shape == (3, 300, 400)
    offset, count = _segment(path, 0)
    size = path.read_bytes().find(b"\xff\x4f\xff\x51", offset, offset + count)
    _patched(path, size + 8, struct.pack(">II", 2**31, 2**31))
    with pytest.raises(SlideError, match="its JPEG 2000 picture is"):
        read_tile(path, mpp=0.5)


def test_jpeg_tiles_that_are_cut_at_the_border_are_read(tmp_path: Path) -> None:
    """Tiles of 128 px on an image of 200 x 160: those at the border hold only what lies inside."""
    path = tmp_path / "a.tif"
    tiles = []
    for top in (0, 128):
        for left in (0, 128):
            stored = io.BytesIO()
            Image.fromarray(RGB[top : min(top + 128, 160), left : min(left + 128, 200)]).save(
                stored, "JPEG", quality=100
            )
            tiles.append(stored.getvalue())
    with tifffile.TiffWriter(path) as file:
        options = {"tile": (128, 128), "compression": "jpeg", "photometric": "ycbcr", "dtype": "uint8"}
        file.write(iter(tiles), shape=(160, 200, 3), subsampling=(2, 2), metadata=None, **options)
    found = np.moveaxis(np.asarray(read_tile(path, mpp=0.5)), 0, 2)
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(found, file.pages[0].asarray())


def test_progressive_jpeg_tiles_are_read(tmp_path: Path) -> None:
    stored = io.BytesIO()
    Image.fromarray(RGB[:128, :128]).save(stored, "JPEG", progressive=True, quality=95)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        options = {"tile": (128, 128), "compression": "jpeg", "photometric": "ycbcr", "dtype": "uint8"}
        file.write(iter([stored.getvalue()]), shape=(128, 128, 3), subsampling=(2, 2), metadata=None, **options)
    assert read_tile(path, mpp=0.5).shape == (3, 128, 128)


def _pictures() -> list[bytes]:
    """JPEG pictures of several sizes, qualities and kinds, some of which begin alike."""
    out = []
    for (height, width), quality, progressive in (
        ((64, 64), 85, False), ((64, 64), 85, False), ((64, 64), 40, False), ((64, 48), 85, False),
        ((64, 64), 85, True), ((64, 64), 85, True),
    ):  # fmt: skip
        stream = io.BytesIO()
        corner = 3 * len(out)
        picture = Image.fromarray(RGB[corner : corner + height, corner : corner + width])
        picture.save(stream, "JPEG", quality=quality, progressive=progressive)
        out.append(stream.getvalue())
    return out


PICTURES = _pictures()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_headers_that_were_read_before_change_no_judgement(data: st.DataObject) -> None:
    sound: dict[tuple[int, int], bytes] = {}
    for _ in range(data.draw(st.integers(2, 6))):
        raw = bytearray(data.draw(st.sampled_from(PICTURES)))
        for _ in range(data.draw(st.integers(0, 2))):
            # mostly in the header, which is the first 630 bytes
            raw[data.draw(st.integers(0, min(len(raw) - 1, data.draw(st.sampled_from([700, 10**6])))))] = data.draw(
                st.integers(0, 255)
            )
        whole = bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw) - 2, 400]))])
        size: dict[str, Any] = {"width": 64, "height": 64, "least": data.draw(st.sampled_from([None, (48, 64)]))}
        assert jpeg_fault(whole, **size, sound=sound) == jpeg_fault(whole, **size)


@pytest.mark.parametrize("raw", PICTURES)
def test_what_is_held_of_a_picture_is_its_header(raw: bytes) -> None:
    sound: dict[tuple[int, int], bytes] = {}
    for _ in range(2):
        assert jpeg_fault(raw, width=64, height=64, least=(48, 64), sound=sound) is None
        assert raw.startswith(sound[48, 64])
        assert raw[len(sound[48, 64]) :].startswith(b"\xff\xda")
        assert b"\xff\xda" not in sound[48, 64]


@pytest.mark.parametrize("width", [1, 130, 5_000, 900_000, 2**31 - 1])
def test_a_width_that_does_not_fit_the_tiles_is_refused(tmp_path: Path, width: int) -> None:
    path = _jpeg_tiff(tmp_path / "a.tif")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite(width)
    with pytest.raises(SlideError, match="size does not fit its tiles"):
        open_slide(path)


def test_a_level_with_too_few_tiles_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, photometric="rgb", tile=(64, 64), subifds=1, metadata=None)
        file.write(RGB[::2, ::2], photometric="rgb", tile=(64, 64), subfiletype=1, metadata=None)
    with tifffile.TiffFile(path) as file:
        level = file.series[0].levels[1].keyframe
        tag = level.tags["TileLength"]
    _patched(path, tag.valueoffset, struct.pack("<H", 16))
    with open_slide(path, mpp=0.5) as slide:
        assert len(slide.levels) == 1
        assert any("200 x 150 px is left out" in problem for problem in slide.problems)


def test_equal_pages_are_scenes_and_a_stack_is_not(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in (RGB, RGB[::-1]):
            file.write(page, photometric="rgb", metadata=None, tile=(64, 64))
    second = np.moveaxis(np.asarray(read_tile(tmp_path / "a.tif", mpp=0.5, scene=1)), 0, 2)
    np.testing.assert_array_equal(second, RGB[::-1])
    tifffile.imwrite(tmp_path / "z.tif", np.stack([RGB, RGB]), imagej=True, metadata={"axes": "ZYXS"})
    with pytest.raises(SlideError, match="stack of 2"):
        read_tile(tmp_path / "z.tif", mpp=0.5)


def test_a_chain_of_many_directories_is_bounded(tmp_path: Path) -> None:
    directory = struct.pack("<HHHII", 1, 256, 3, 1, 5)
    content = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number in range(20_000):
        content += directory + struct.pack("<I", 8 + (number + 1) * (len(directory) + 4) if number < 19_999 else 0)
    (tmp_path / "a.tif").write_bytes(content)
    started = time.process_time()
    with pytest.raises(SlideError):
        open_slide(tmp_path / "a.tif", scene=0)
    assert time.process_time() - started < 30


def _bomb_png(path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b""))


def _bomb_deflate(path: Path) -> None:
    """One tile of 128 x 128 px whose bytes unpack to 200 MB."""
    tifffile.imwrite(path, RGB[:128, :128], photometric="rgb", tile=(128, 128), compression="zlib", metadata=None)
    offset, _ = _segment(path, 0)
    bomb = zlib.compress(bytes(200_000_000), 9)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["TileByteCounts"].overwrite(len(bomb))
    whole = path.read_bytes()[:offset] + bomb
    path.write_bytes(whole)


@pytest.mark.parametrize("make", [_bomb_png, _bomb_deflate])
def test_bombs_are_refused_before_they_go_off(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / ("a.png" if make is _bomb_png else "a.tif")
    make(path)
    tracemalloc.start()
    with pytest.raises(SlideError):
        read_tile(path, mpp=0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_byte_of_a_directory_is_wrong_the_error_is_of_the_family(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.tif"
    if not path.exists():
        _jpeg_tiff(path)
    with tifffile.TiffFile(path) as file:
        first = file.pages[0].offset
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[first + data.draw(st.integers(0, 250))] = data.draw(st.integers(0, 255))
    (tmp_path / "b.tif").write_bytes(content)
    try:
        with open_slide(tmp_path / "b.tif", mpp=0.5, scene=0) as slide:
            slide.read_region(0, 0, min(64, slide.size[0]), min(64, slide.size[1]))
    except BiomarkersError:
        pass
