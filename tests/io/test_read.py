"""Image files of every awkward kind are read rightly or refused with a clear message."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import biomarkers.io.tiff_open
from biomarkers.core.errors import BiomarkersError, SlideError, UsageError
from biomarkers.io import open_slide, read_tile, slide_info, tile_rgb
from biomarkers.io.channel_files import open_channels
from biomarkers.io.label_maps import read_labels
from biomarkers.io.tiff_open import open_tiff
from biomarkers.io.tile import read_pixels

RGB = np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8)


def _rgb(tile: object) -> np.ndarray:
    return np.moveaxis(np.asarray(tile), 0, 2)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_plain_images_keep_every_pixel(tmp_path: Path, name: str) -> None:
    Image.fromarray(RGB).save(tmp_path / name)
    tile = read_tile(tmp_path / name, mpp=0.5)
    assert tile.dims == ("c", "y", "x")
    assert tile.attrs["mpp"] == 0.5
    assert tile.attrs["mpp_source"] == "stated"
    assert tile.attrs["slide"] == name
    np.testing.assert_array_equal(_rgb(tile), RGB)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw", "tile": (32, 32)},
        {"tile": (16, 48)},
        {"rowsperstrip": 7},
        {"planarconfig": "separate", "tile": (32, 32)},
        {"planarconfig": "separate", "rowsperstrip": 11},
        {"bigtiff": True, "tile": (64, 64)},
        {"ome": True},
    ],
    ids=str,
)
def test_tiff_layouts_keep_every_pixel(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.tif"
    pixels = np.moveaxis(RGB, 2, 0) if options.get("planarconfig") == "separate" else RGB
    tifffile.imwrite(path, pixels, photometric="rgb", **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(_rgb(read_tile(path, mpp=0.5)), RGB)
    part = read_tile(path, mpp=0.5, region=(13, 21, 40, 33))
    np.testing.assert_array_equal(_rgb(part), RGB[21:54, 13:53])
    assert part.attrs["origin"] == (13, 21)
    assert part.attrs["slide_size"] == (90, 70)


def test_plain_tiles_hold_what_tiles_hold(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    tile = read_tile(tmp_path / "a.png", mpp=0.5, region=(3, 4, 20, 10))
    plain = read_pixels(tmp_path / "a.png", mpp=0.5, region=(3, 4, 20, 10))
    assert plain.as_array().identical(tile)
    assert plain.sizes == dict(tile.sizes)
    assert plain.attrs == tile.attrs
    np.testing.assert_array_equal(tile_rgb(plain), tile_rgb(tile))
    assert np.shares_memory(plain.as_array().to_numpy(), plain.rgb)


def test_transparent_is_glass(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    rgba[:10, :, :] = 0
    for name in ("a.png", "a.tif"):
        path = tmp_path / name
        if name == "a.png":
            Image.fromarray(rgba).save(path)
        else:
            tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
        pixels = _rgb(read_tile(path, mpp=0.5))
        assert (pixels[:10] == 255).all()
        np.testing.assert_array_equal(pixels[10:], RGB[10:])


def test_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(16)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "a.tif")
    expected = np.asarray(image.convert("RGB"))
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(_rgb(read_tile(tmp_path / name, mpp=0.5)), expected)


def test_sparse_tiles_are_glass(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = file.pages[0].tags["TileByteCounts"]
        counts.overwrite((0, *counts.value[1:]))
    pixels = _rgb(read_tile(path, mpp=0.5))
    assert (pixels[:32, :32] == 255).all()
    np.testing.assert_array_equal(pixels[32:], RGB[32:])


def _save_16_bit(path: Path) -> None:
    tifffile.imwrite(path, RGB.astype(np.uint16) * 257, photometric="rgb")


def _save_cmyk(path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(path)


def _save_animation(path: Path) -> None:
    frames = [Image.fromarray(np.roll(RGB, shift, axis=0)) for shift in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def _save_pages(path: Path) -> None:
    tifffile.imwrite(path, np.stack([RGB, RGB]), photometric="rgb")


def _save_grey(path: Path) -> None:
    Image.fromarray(RGB[..., 0]).save(path)


def _save_grey16(path: Path) -> None:
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 200).save(path)


@pytest.mark.parametrize(
    ("name", "save", "message"),
    [
        ("a.tif", _save_16_bit, "uint16"),
        ("a.tif", _save_cmyk, "CMYK"),
        ("a.jpg", _save_cmyk, "CMYK"),
        ("a.gif", _save_animation, "3 frames"),
        ("a.webp", _save_animation, "3 frames"),
        ("a.tif", _save_pages, "stack of 2"),
        ("a.png", _save_grey, "grey"),
        ("a.tif", _save_grey, "grey"),
        ("a.png", _save_grey16, "more than 8 bits"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, name: str, save: object, message: str) -> None:
    path = tmp_path / name
    save(path)  # type: ignore[operator]
    with pytest.raises(SlideError, match=message):
        read_tile(path, mpp=0.5)
    assert any(message in problem for problem in slide_info(path)["scenes"][0]["problems"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"just words\n", "text file"),
        ("a.svs", b"<!DOCTYPE html><html>login</html>", "web page"),
        ("a.tif", b"  <html>", "web page"),
        ("a.svs", b"", "0 bytes"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "damaged|not an image"),
        ("a.tif", b"II*\0\x08\0\0\0", "cannot be opened|no image|damaged"),
        ("a.dat", bytes(range(256)) * 4, "not an image"),
    ],
)
def test_what_is_no_image_says_so(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SlideError, match=message):
        read_tile(path, mpp=0.5)


def test_absent_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match="no such file"):
        read_tile(tmp_path / "none.png", mpp=0.5)
    with pytest.raises(SlideError, match="folder"):
        open_slide(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("kept", [0.35, 0.7, 0.97])
def test_truncated_files_are_refused(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    if name == "a.tif":
        tifffile.imwrite(path, RGB, photometric="rgb", tile=(32, 32))
    else:
        Image.fromarray(RGB).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(SlideError):
        read_tile(path, mpp=0.5)


def test_corrupt_tile_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[4]
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = b"\xff" * 20
    path.write_bytes(bytes(content))
    with pytest.raises(SlideError, match="tile 4"):
        read_tile(path, mpp=0.5)


def test_several_images_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB[:40, :50], photometric="rgb")
    with pytest.raises(UsageError, match="2 images"):
        read_tile(path, mpp=0.5)
    np.testing.assert_array_equal(_rgb(read_tile(path, mpp=0.5, scene=1)), RGB[:40, :50])
    assert len(slide_info(path)["scenes"]) == 2


@pytest.mark.parametrize("region", [(-1, 0, 5, 5), (0, 0, 91, 5), (0, 66, 5, 5), (0, 0, 0, 5)])
def test_regions_outside_are_refused(tmp_path: Path, region: tuple[int, int, int, int]) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="outside"):
        read_tile(tmp_path / "a.png", mpp=0.5, region=region)


def test_a_size_that_lies_is_refused_before_allocation(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite(60_000)
        file.pages[0].tags["ImageLength"].overwrite(60_000)
    with pytest.raises(SlideError, match=r"too many pixels|damaged"):
        read_tile(path, mpp=0.5)


def test_real_slides_are_read_or_refused(shared_data: Path) -> None:
    folder = shared_data / "images" / "slides"
    sizes = {
        "CMU-1-Small-Region.svs": (2220, 2967),
        "tcga-cr-7395-01a-01-ts1.svs": (4443, 3567),
        "boxes.tiff": (300, 250),
    }
    for name, size in sizes.items():
        with open_slide(folder / name) as slide:
            assert slide.size == size
    with pytest.raises(SlideError, match=r"352\.8"):
        read_tile(folder / "boxes.tiff")
    assert read_tile(folder / "boxes.tiff", mpp=0.5).shape == (3, 250, 300)
    with pytest.raises(UsageError, match="no pixel size"):
        read_tile(folder / "tcga-cr-7395-01a-01-ts1.svs")
    for name in ("unreadable.svs", "unopenable.tiff"):
        with pytest.raises(SlideError, match="cannot be decoded"):
            read_tile(folder / name, mpp=0.5)
    with pytest.raises(SlideError, match="stack of 7"):
        read_tile(shared_data / "images" / "csm" / "ABCM22001_B09_MiniCrop.ome.tif", mpp=0.5)
    assert read_tile(folder / "sm_image.dcm").attrs["mpp"] == pytest.approx(0.499)
    for name in ("sm_image_grayscale.dcm", "sm_image_jpegls.dcm"):
        with pytest.raises(SlideError, match="cannot be opened"):
            read_tile(folder / name, mpp=0.5)


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "tcga-cr-7395-01a-01-ts1.svs", "test3-DAPI-2-(387).ndpi"])
def test_pixels_are_those_of_openslide(shared_data: Path, name: str) -> None:
    import openslide

    path = shared_data / "images" / "slides" / name
    ours = _rgb(read_tile(path, mpp=0.5, region=(301, 203, 401, 307)))
    with openslide.OpenSlide(path) as slide:
        theirs = np.asarray(slide.read_region((301, 203), 0, (401, 307)))[..., :3]
    np.testing.assert_array_equal(ours, theirs)


def test_errors_are_of_the_family(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(BiomarkersError) as caught:
        read_tile(tmp_path / "a.png")
    assert caught.value.where is not None


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("last", "named"), [(2, 1), (2, 2), (9, 1), (9, 7), (150, 3)])
def test_a_loop_of_directories_is_refused(tmp_path: Path, big: bool, last: int, named: int) -> None:
    path = _looped(tmp_path / "a.tif", big, last, named)
    told = f"directory {last} names directory {named} as the next one"
    for read in _ways_to_read(path):
        with pytest.raises(SlideError, match=told) as caught:
            read()
        assert str(caught.value.where) == str(path)


def _ways_to_read(path: Path) -> list[Callable[[], object]]:
    return [
        lambda: read_tile(path, mpp=0.5, scene=0),
        lambda: open_channels(path),
        lambda: read_labels(path, shape=RGB.shape[:2]),
    ]


def _looped(path: Path, big: bool, last: int, named: int) -> Path:
    """Images of several sizes, as a pyramid has, the last of which names an earlier one as the next."""
    with tifffile.TiffWriter(path, bigtiff=big) as writer:
        for number in range(last):
            writer.write(RGB[: 70 - number % 5], photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
        place = offsets[-1] + file.tiff.tagnosize + file.tiff.tagsize * len(file.pages[-1].tags)
        form = file.tiff.offsetformat
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, offsets[named - 1])
    path.write_bytes(bytes(content))
    return path


def test_a_file_of_no_directory_holds_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + bytes(80))
    for read in _ways_to_read(path):
        with pytest.raises(SlideError, match="holds no image") as caught:
            read()
        assert str(caught.value.where) == str(path)


def test_directories_without_number_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((12, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    monkeypatch.setattr(biomarkers.io.tiff_open, "_MOST_DIRECTORIES", 11)
    with pytest.raises(SlideError, match="more than 11 directories"):
        read_tile(path, mpp=0.5, scene=0)
    monkeypatch.setattr(biomarkers.io.tiff_open, "_MOST_DIRECTORIES", 12)
    with open_tiff(path) as file:
        assert len(file.pages) == 12


@pytest.mark.parametrize("tag", ["TileOffsets", "TileByteCounts"])
@pytest.mark.parametrize("value", [60_000, 3])
def test_offsets_that_lie_are_refused(tmp_path: Path, tag: str, value: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        held = file.pages[0].tags[tag]
        held.overwrite((*held.value[:2], value, *held.value[3:]))
    with pytest.raises(SlideError, match=r"tile 2 cannot be decoded|cut short"):
        read_tile(path, mpp=0.5)


NOT_READABLE = {"unreadable.svs", "unopenable.tiff", "sm_image_grayscale.dcm", "sm_image_jpegls.dcm"}


def test_every_real_file_is_read_or_says_why(shared_data: Path) -> None:
    files = sorted((shared_data / "images" / "slides").iterdir())
    refused = {}
    for path in files:
        try:
            with open_slide(path, mpp=0.5, scene=0) as slide:
                wide, tall = (min(side, 300) for side in slide.size)
                assert slide.read_region(0, 0, wide, tall).shape == (tall, wide, 3)
        except BiomarkersError as error:
            refused[path.name] = error
    assert len(files) - len(refused) >= 11
    assert set(refused) >= NOT_READABLE
    assert all(error.where is not None and len(error.what) > 15 for error in refused.values())


def test_absurd_pixel_sizes_of_real_files_need_a_word(shared_data: Path) -> None:
    for name in ("boxes.tiff", "small_HE_levels.tiff", "yb10kx5k.zstd.tiff"):
        path = shared_data / "images" / "slides" / name
        with open_slide(path, scene=0) as slide, pytest.raises(SlideError, match=r"352\.[89]"):
            _ = slide.mpp
        with open_slide(path, mpp=0.5, scene=0) as slide:
            assert slide.mpp == 0.5
            assert slide.mpp_source == "stated"


@pytest.mark.parametrize("content", [b"II*\0", b"MM\0*", b"II+\0\x08\0", b"II*\0\xff\xff\xff\x7f"])
def test_a_file_that_is_only_the_beginning_of_one_is_refused(tmp_path, content):
    path = tmp_path / "cut.tif"
    path.write_bytes(content)
    with pytest.raises(SlideError):
        read_tile(path, mpp=0.5)
