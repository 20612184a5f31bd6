"""Pixel sizes come from metadata with their source, or the reader is asked; none is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from biomarkers.core.errors import SlideError, UsageError
from biomarkers.io import read_tile
from biomarkers.io.ome_header import read_ome
from biomarkers.io.pixel_size import PixelSize, choose_mpp
from biomarkers.io.tiff_pixel_size import from_aperio

RGB = np.full((16, 16, 3), 200, np.uint8)


def test_stated_wins_and_is_recorded() -> None:
    assert choose_mpp(0.3, PixelSize(0.25, 0.25, "x"), where="f") == (0.3, "stated")
    assert choose_mpp(None, PixelSize(0.25, 0.25, "x"), where="f") == (0.25, "x")


@pytest.mark.parametrize("stated", [0.0, -0.5, 0.01, 11, float("nan"), float("inf")])
def test_stated_nonsense_is_refused(stated: float) -> None:
    with pytest.raises(UsageError, match="out of range"):
        choose_mpp(stated, None, where="f")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (PixelSize(352.8, 352.8, "tag"), "72 dpi"),
        (PixelSize(264.6, 264.6, "tag"), "no microscope"),
        (PixelSize(0.5, 0.25, "tag"), "not square"),
    ],
)
def test_absurd_metadata_is_refused(size: PixelSize, words: str) -> None:
    with pytest.raises(SlideError, match=words) as caught:
        choose_mpp(None, size, where="f.tif")
    assert "--mpp" in str(caught.value)


def test_none_at_all_asks() -> None:
    with pytest.raises(UsageError, match="no pixel size") as caught:
        choose_mpp(None, None, where="f.png")
    assert "--mpp" in str(caught.value)


def test_png_and_jpeg_resolution(tmp_path: Path) -> None:
    dpi = 25_400 / 0.5
    Image.fromarray(RGB).save(tmp_path / "a.png", dpi=(dpi, dpi), pnginfo=PngInfo())
    Image.fromarray(RGB).save(tmp_path / "a.jpg", dpi=(dpi, dpi))
    for name, source in (("a.png", "PNG pHYs"), ("a.jpg", "JPEG density")):
        tile = read_tile(tmp_path / name)
        assert tile.attrs["mpp"] == pytest.approx(0.5, rel=1e-3)
        assert tile.attrs["mpp_source"] == source
    Image.fromarray(RGB).save(tmp_path / "b.jpg", dpi=(72, 72))
    with pytest.raises(SlideError, match="72 dpi"):
        read_tile(tmp_path / "b.jpg")


def test_tiff_resolution_ome_and_imagej(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", RGB, photometric="rgb", resolution=(20_000, 20_000), resolutionunit="CENTIMETER"
    )
    assert read_tile(tmp_path / "a.tif").attrs["mpp"] == pytest.approx(0.5)
    metadata = {
        "axes": "YXS",
        "PhysicalSizeX": 500,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 500,
        "PhysicalSizeYUnit": "nm",
    }
    tifffile.imwrite(tmp_path / "b.ome.tif", RGB, photometric="rgb", metadata=metadata)
    tile = read_tile(tmp_path / "b.ome.tif")
    assert (tile.attrs["mpp"], tile.attrs["mpp_source"]) == (pytest.approx(0.5), "OME PhysicalSizeX")
    tifffile.imwrite(tmp_path / "c.tif", RGB, imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "YXS"})
    tile = read_tile(tmp_path / "c.tif")
    assert (tile.attrs["mpp"], tile.attrs["mpp_source"]) == (pytest.approx(0.5), "ImageJ unit and resolution")


def test_aperio_and_broken_headers() -> None:
    found = from_aperio("Aperio |AppMag = 20|MPP = 0.4990|Left = 1")
    assert found == PixelSize(0.499, 0.499, "Aperio MPP")
    assert from_aperio("Aperio |AppMag = 20") is None
    assert from_aperio("x|MPP = 0") is None
    assert read_ome("<OME><broken") is None
    assert read_ome('<!DOCTYPE x [<!ENTITY a "b">]><OME/>') is None
    half = read_ome('<OME><Image><Pixels PhysicalSizeX="0.5"/></Image></OME>')
    assert half is not None
    assert half.images[0].pixel_size is None
