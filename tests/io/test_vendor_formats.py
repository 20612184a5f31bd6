"""Formats that OpenSlide or Pillow read: told by content, at the right size, their labels left out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from biomarkers.core.errors import SlideError
from biomarkers.io import open_slide, read_tile, tile_rgb
from biomarkers.run.plan import plan_inputs
from tests.io.pictures import tissue

_SCN = "http://www.leica-microsystems.com/scn/2010/10/01"


def write_scn(
    path: Path, pictures: list[np.ndarray], macro: np.ndarray, *, nm_per_px: int = 500, gap_px: int = 64
) -> Path:
    """Write a Leica SCN: a macro image, and areas of one scan side by side with a gap."""
    wide = sum(one.shape[1] for one in pictures) + gap_px * (len(pictures) - 1)
    tall = max(one.shape[0] for one in pictures)
    size = f'sizeX="{wide * nm_per_px}" sizeY="{tall * nm_per_px}"'
    parts, pages, x = [], [macro], 0
    parts.append(_scn_image(macro, 0, size, "0", "0", 1.25))
    for one in pictures:
        view = f'sizeX="{one.shape[1] * nm_per_px}" sizeY="{one.shape[0] * nm_per_px}"'
        parts.append(_scn_image(one, len(pages), view, str(x * nm_per_px), "0", 20))
        pages.append(one)
        x += one.shape[1] + gap_px
    inner = f'<collection name="CANARY" barcode="CANARY" {size}>{"".join(parts)}</collection>'
    text = f'<?xml version="1.0"?><scn xmlns="{_SCN}">{inner}</scn>'
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, page in enumerate(pages):
            writer.write(
                page, photometric="rgb", tile=(64, 64), compression="jpeg", compressionargs={"level": 95},
                metadata=None, description=text if number == 0 else None, resolutionunit="CENTIMETER",
                resolution=(1e7 / nm_per_px, 1e7 / nm_per_px) if number else (625, 625),
            )  # fmt: skip
    return path


def _scn_image(picture: np.ndarray, ifd: int, view: str, x: str, y: str, objective: float) -> str:
    tall, wide = picture.shape[:2]
    return (
        f'<image name="CANARY"><creationDate>2020-01-01T00:00:00Z</creationDate>'
        f'<device model="Leica SCN400" version="1"/>'
        f'<pixels sizeX="{wide}" sizeY="{tall}"><dimension sizeX="{wide}" sizeY="{tall}" r="0" ifd="{ifd}"/></pixels>'
        f'<view {view} offsetX="{x}" offsetY="{y}" spacingZ="0"/><scanSettings><objectiveSettings>'
        f"<objective>{objective}</objective></objectiveSettings><illuminationSettings><numericalAperture>0.4"
        f"</numericalAperture><illuminationSource>brightfield</illuminationSource></illuminationSettings>"
        f"</scanSettings></image>"
    )


def test_areas_of_a_leica_scan_are_one_slide_at_their_places(tmp_path: Path) -> None:
    pictures = [tissue(256, 192), tissue(256, 320, seed=2)]
    path = write_scn(tmp_path / "a.scn", pictures, tissue(64, 128, seed=5))
    with open_slide(path) as slide:
        assert slide.reader == "openslide"
        assert slide.size == (192 + 64 + 320, 256)
        assert slide.mpp == pytest.approx(0.5)
        found = slide.read_region(0, 0, *slide.size)
        stitched = openslide.OpenSlide(path)
        there = np.asarray(stitched.read_region((0, 0), 0, slide.size))
        np.testing.assert_array_equal(found[there[..., 3] == 255], there[there[..., 3] == 255][:, :3])
    assert (found[:, 192 : 192 + 64] == 255).all()  # what was not scanned is glass


@pytest.mark.parametrize("suffix", [".jp2", ".j2k", ".jpx", ""])
def test_jpeg_2000_files(tmp_path: Path, suffix: str) -> None:
    picture = tissue(120, 150)
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as stream:
        Image.fromarray(picture).save(stream, "JPEG2000", irreversible=False, no_jp2=suffix == ".j2k")
    np.testing.assert_array_equal(np.asarray(tile_rgb(read_tile(path, mpp=0.5))), picture)


@pytest.mark.parametrize("kind", ["LABEL", "OVERVIEW", "THUMBNAIL"])
def test_a_dicom_label_is_never_read(tmp_path: Path, shared_data: Path, kind: str) -> None:
    content = (shared_data / "images" / "slides" / "sm_image.dcm").read_bytes()
    found = re.search(rb"VOLUME\\[A-Z]+", content)
    assert found is not None
    other = kind.encode().ljust(len(found[0]))  # of the same length, as the header says
    (tmp_path / "a.dcm").write_bytes(content.replace(found[0], other))
    (tmp_path / "b.dcm").write_bytes(content)
    with pytest.raises(SlideError, match=f"{kind.casefold()} image of a slide"):
        open_slide(tmp_path / "a.dcm")
    planned = plan_inputs([tmp_path])
    assert [task.file for task in planned.tasks] == ["b.dcm"]
    assert kind.casefold() in planned.left_out[0].reason


def test_readers_give_the_pixels_of_openslide(shared_data: Path) -> None:
    for name in ("CMU-1-Small-Region.svs", "boxes_0.dcm", "sm_image.dcm"):
        path = shared_data / "images" / "slides" / name
        with open_slide(path, mpp=0.5) as slide:
            wide, tall = min(slide.size[0], 700), min(slide.size[1], 700)
            found = slide.read_region(0, 0, wide, tall)
        there = np.asarray(openslide.OpenSlide(path).read_region((0, 0), 0, (wide, tall)))[..., :3]
        np.testing.assert_array_equal(found, there)
