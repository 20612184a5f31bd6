"""Kinds of TIFF that were read wrongly: each by a small generator, compared with the pixels that it was made from."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from biomarkers.core.errors import SlideError
from biomarkers.io import open_slide, read_tile, slide_info, tile_rgb
from biomarkers.io.channel_files import open_channels
from biomarkers.io.roles import looks_written_on, role_by_name
from tests.io.pictures import label, macro, tissue
from tests.io.test_sources_of_pixel_size import write_ome

RGB = tissue(192, 256)


def pixels(path: Path, **more: object) -> np.ndarray:
    return np.asarray(tile_rgb(read_tile(path, mpp=0.5, **more)))  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("flagged", [True, False])
def test_levels_of_a_pyramid_in_any_order_are_one_slide(tmp_path: Path, order: tuple[int, ...], flagged: bool) -> None:
    levels = [np.asarray(Image.fromarray(RGB).reduce(2**k)) for k in range(3)]
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for k in order:
            writer.write(levels[k], photometric="rgb", subfiletype=int(flagged and k > 0), metadata=None)
    with open_slide(path) as slide:
        assert [(one.width, one.height) for one in slide.levels] == [(256, 192), (128, 96), (64, 48)]
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(slide.read_region(0, 0, level.shape[1], level.shape[0], level=k), level)
    np.testing.assert_array_equal(pixels(path), RGB)


@pytest.mark.parametrize("extra", [["unspecified"], None])
def test_a_fourth_sample_of_unspecified_meaning_is_ignored_and_said(tmp_path: Path, extra: object) -> None:
    half = np.zeros(RGB.shape[:2], np.uint8)
    half[:, ::2] = 255
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.dstack([RGB, half]), photometric="rgb", extrasamples=extra or ["unspecified"])
    if extra is None:
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags[338].overwrite(0)
    np.testing.assert_array_equal(pixels(path), RGB)
    assert "fourth sample" in " ".join(slide_info(path)["scenes"][0]["problems"])


def test_associated_alpha_is_laid_on_glass(tmp_path: Path) -> None:
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    alpha[50:100] = 128
    multiplied = (RGB.astype(int) * alpha[..., None] // 255).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    found = pixels(path).astype(int)
    assert (found[:50] == 255).all()
    np.testing.assert_array_equal(found[100:], RGB[100:])
    assert np.abs(found[50:100] - (RGB[50:100] * (128 / 255) + 127)).max() <= 2


@pytest.mark.parametrize("compression", [33003, 33004, 33005, 34712])
@pytest.mark.parametrize(("tall", "strips"), [(192, False), (190, True), (170, True)])
def test_jpeg_2000_of_every_number_and_a_short_last_strip(
    tmp_path: Path, compression: int, tall: int, strips: bool
) -> None:
    picture = np.ascontiguousarray(RGB[:tall])
    rows = 64 if strips else tall
    encoded = [imagecodecs.jpeg2k_encode(picture[top : top + rows], level=0, mct=True) for top in range(0, tall, rows)]
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(
            iter(encoded), shape=picture.shape, dtype=np.uint8, photometric="rgb", compression=33005, rowsperstrip=rows,
            metadata=None,
        )  # fmt: skip
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[259].overwrite(compression)
    np.testing.assert_array_equal(pixels(path), picture)


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_of_8_and_16_bits(tmp_path: Path, bits: int) -> None:
    image = Image.fromarray(RGB).quantize(64)
    palette = np.zeros((256, 3), np.uint16)
    flat = np.asarray(image.getpalette(), np.uint16).reshape(-1, 3)
    palette[: len(flat)] = flat
    colours = palette.T if bits == 8 else palette.T * 257
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.asarray(image), photometric="palette", colormap=np.ascontiguousarray(colours))
    np.testing.assert_array_equal(pixels(path), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("axes", ["QYXS", "TYXS", "ZYXS", "TZYXS"])
def test_leading_axes_of_one_say_nothing(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "a.tif"
    lead = (1,) * (len(axes) - 3)
    tifffile.imwrite(path, RGB.reshape(*lead, *RGB.shape), photometric="rgb", metadata={"axes": axes})
    np.testing.assert_array_equal(pixels(path), RGB)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, RGB[None, None], photometric="rgb", metadata={"axes": "TZYXS"})
    np.testing.assert_array_equal(pixels(path), RGB)


@pytest.mark.parametrize("names", [None, ["Red", "Green", "Blue"], ["Blue", "Red", "Green"]])
def test_three_grey_pages_of_a_bright_picture_are_its_colours(tmp_path: Path, names: list[str] | None) -> None:
    planes = np.ascontiguousarray(np.moveaxis(RGB, 2, 0))
    path = tmp_path / "a.ome.tif"
    if names is None:
        tifffile.imwrite(tmp_path / "b.tif", planes, photometric="minisblack")
        path = tmp_path / "b.tif"
    else:
        ordered = np.stack([planes["RGB".index(name[0])] for name in names])
        tifffile.imwrite(path, ordered, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": names}})
    np.testing.assert_array_equal(pixels(path), RGB)
    assert "three grey" in " ".join(slide_info(path)["scenes"][0]["problems"])
    with pytest.raises(SlideError, match=r"colour \(RGB\) picture"):
        open_channels(path)


def test_three_channels_of_fluorescence_are_no_colours(tmp_path: Path) -> None:
    dark = np.random.default_rng(0).integers(0, 90, (3, 64, 64), dtype=np.uint8)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, dark, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "CD8", "CK"]}}
    )
    with pytest.raises(SlideError, match="stack of 3"):
        read_tile(path, mpp=0.5)
    assert open_channels(path).names == ("DAPI", "CD8", "CK")


@pytest.mark.parametrize(
    "names", [("label image", "macro image"), ("Label", "Overview"), ("", ""), ("Image:1", "Image:2")]
)
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_labels_and_macro_images_are_never_read(tmp_path: Path, names: tuple[str, str], order: tuple[int, ...]) -> None:
    large = tissue(512, 512)
    pages = [large, label(240, 300), macro(200, 600)]
    told: list[dict[str, object]] = [
        {"mpp": 0.5, "size": (512, 512), "name": "slide"},
        {"size": (300, 240), "name": names[0]},
        {"size": (600, 200), "name": names[1]},
    ]
    images = [told[k] | {"ifd": at} for at, k in enumerate(order)]
    path = write_ome(tmp_path / "a.ome.tif", [pages[k] for k in order], images)
    with open_slide(path) as slide:
        assert len(slide.scenes) == 1
        assert slide.size == (512, 512)
        np.testing.assert_array_equal(slide.read_region(0, 0, 512, 512), large)


def test_a_page_that_might_be_a_label_is_named(tmp_path: Path) -> None:
    images: list[dict[str, object]] = [{"mpp": 0.5, "size": (512, 512)}, {"size": (150, 140), "ifd": 1}]
    path = write_ome(tmp_path / "a.ome.tif", [tissue(512, 512), tissue(140, 150, seed=3)], images)
    found = slide_info(path)["scenes"]
    assert len(found) == 2
    assert "might be a label" in " ".join(found[1]["problems"])


def test_two_scenes_of_tissue_stay_two(tmp_path: Path) -> None:
    images: list[dict[str, object]] = [{"mpp": 0.5, "size": (512, 512)}, {"mpp": 0.5, "size": (500, 300), "ifd": 1}]
    path = write_ome(tmp_path / "a.ome.tif", [tissue(512, 512), tissue(300, 500, seed=3)], images)
    with open_slide(path, scene=1) as slide:
        assert (len(slide.scenes), slide.size, slide.problems) == (2, (500, 300), ())


def test_tissue_is_not_taken_for_a_label() -> None:
    assert looks_written_on(label(240, 300))
    assert not any(looks_written_on(tissue(240, 300, seed=seed)) for seed in range(5))
    pen = Image.fromarray(label(240, 300))
    ImageDraw.Draw(pen).rectangle((20, 100, 280, 200), fill=(150, 80, 120))
    assert not looks_written_on(np.asarray(pen))


@pytest.mark.parametrize(
    ("name", "role"),
    [("Label_Image", "label"), ("slide label", "label"), ("macro", "macro"), ("MacroImage", "macro"),
     ("Thumbnail", "thumbnail"),
     ("overview", "macro"), ("barcode", "label"), ("PD-L1 22C3", None), ("labelled antibody", None), ("", None)],
)  # fmt: skip
def test_roles_by_name(name: str, role: str | None) -> None:
    assert role_by_name(name) == role
