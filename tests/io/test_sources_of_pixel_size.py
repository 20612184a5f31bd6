"""Every place that says how large a pixel is, in every unit; contradictions are told, never hidden."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from biomarkers.io import open_slide, read_tile, slide_info
from biomarkers.io.units import um_in

RGB = np.random.default_rng(0).integers(120, 250, (64, 96, 3), dtype=np.uint8)
_UNITS = {
    "micrometer": 1.0, "centimeter": 1e4, "inch": 25_400.0, "angstrom": 1e-4, "picometer": 1e-6, "nanometer": 1e-3,
    "millimeter": 1e3, "meter": 1e6, "foot": 304_800.0, "yard": 914_400.0,
}  # fmt: skip


def write_zarr(path: Path, *, unit: str, own: float | None, whole: float | None, levels: int = 2) -> Path:
    """Write an OME-Zarr 0.4 whose scale stands on the data sets, on the multiscales, or on both."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    for number in range(levels):
        step = 2**number
        group.create_array(str(number), data=np.moveaxis(RGB[::step, ::step], 2, 0), chunks=(3, 32, 32))
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": unit} for n in "yx")]
    sets = [
        {"path": str(k)}
        | ({} if own is None else {"coordinateTransformations": [{"type": "scale", "scale": [1, *2 * [own * 2**k]]}]})
        for k in range(levels)
    ]
    scales = {"version": "0.4", "axes": axes, "datasets": sets}
    if whole is not None:
        scales["coordinateTransformations"] = [{"type": "scale", "scale": [1, whole, whole]}]
    (path / ".zattrs").write_text(json.dumps({"multiscales": [scales]}))
    return path


@pytest.mark.parametrize("unit", sorted(_UNITS))
@pytest.mark.parametrize(("own", "whole"), [(0.5, None), (1.0, 0.5), (None, 0.5), (0.25, 2.0)])
def test_zarr_scales_of_every_place_and_unit(tmp_path: Path, unit: str, own: float | None, whole: float | None) -> None:
    in_unit = 1 / _UNITS[unit]
    written = {"own": own, "whole": whole}
    key = "own" if own is not None else "whole"  # either place may hold the unit's factor
    written[key] = float(str(written[key])) * in_unit
    path = write_zarr(tmp_path / "a.zarr", unit=unit, **written)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)
        assert slide.problems == ()


def test_levels_of_a_zarr_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", unit="micrometer", own=0.5, whole=None)
    about = json.loads((path / ".zattrs").read_text())
    about["multiscales"][0]["datasets"][1]["coordinateTransformations"][0]["scale"] = [1, 2.0, 2.0]
    (path / ".zattrs").write_text(json.dumps(about))
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)
        assert "contradicts itself" in slide.problems[0]
        assert "level 1" in slide.problems[0]


@pytest.mark.parametrize(
    ("text", "um"),
    [("µm", 1), ("μm", 1), ("um", 1), ("Âµm", 1), ("Î¼m", 1), ("�m", 1), ("ï¿½m", 1), ("?m", 1), ("\\u00B5m", 1),
     ("&#181;m", 1), ("micron", 1), ("Microns", 1), ("MICROMETER", 1), ("Micrometres", 1), ("inches", 25_400),
     ("cm", 1e4), ("CM", 1e4), ("mm", 1e3), ("Mm", 1e12), ("nm", 1e-3), ("Å", 1e-4), ("pm", 1e-6)],
)  # fmt: skip
def test_units_in_all_spellings(text: str, um: float) -> None:
    assert um_in(text) == pytest.approx(um)


@pytest.mark.parametrize("text", ["pixel", "", "reference frame", "furlongs", "s"])
def test_what_is_no_unit_of_length_gives_no_size(text: str) -> None:
    assert np.isnan(um_in(text))


def ome_xml(images: list[dict[str, object]], *, uuid: str = "") -> str:
    """Write OME-XML; each image has ``size``, ``mpp``, ``name`` and where its planes lie (``ifd, uuid, file``)."""
    parts = []
    for k, one in enumerate(images):
        wide, tall = one.get("size", (96, 64))  # type: ignore[misc]
        inner = f'<UUID FileName="{one["file"]}">urn:uuid:{one["uuid"]}</UUID>' if "file" in one else ""
        scale = f'PhysicalSizeX="{one["mpp"]}" PhysicalSizeY="{one["mpp"]}"' if "mpp" in one else ""
        parts.append(
            f'<Image ID="Image:{k}" Name="{one.get("name", "")}"><Pixels ID="Pixels:{k}" DimensionOrder="XYCZT" '
            f'Type="uint8" SizeX="{wide}" SizeY="{tall}" SizeC="3" SizeZ="1" SizeT="1" Interleaved="true" {scale}>'
            f'<Channel ID="Channel:{k}:0" SamplesPerPixel="3"/>'
            f'<TiffData IFD="{one.get("ifd", 0)}" PlaneCount="1">{inner}</TiffData></Pixels></Image>'
        )
    named = f' UUID="urn:uuid:{uuid}"' if uuid else ""
    space = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{space}"{named}>{"".join(parts)}</OME>'


def write_ome(path: Path, pages: list[np.ndarray], images: list[dict[str, object]], *, uuid: str = "") -> Path:
    """Write pages as a TIFF with OME-XML of our own."""
    with tifffile.TiffWriter(path) as writer:
        for number, page in enumerate(pages):
            text = ome_xml(images, uuid=uuid) if number == 0 else None
            writer.write(page, photometric="rgb", description=text, metadata=None)
    return path


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("by", ["uuid", "file"])
def test_an_image_of_a_set_is_found_by_uuid_or_file_name(tmp_path: Path, order: tuple[int, int], by: str) -> None:
    here: dict[str, object] = {"mpp": 0.5, "uuid": "2" * 8, "file": "set_b.ome.tif", "name": "20x"}
    other: dict[str, object] = {
        "mpp": 0.25,
        "uuid": "1" * 8,
        "file": "set_a.ome.tif",
        "size": (192, 128),
        "name": "40x",
    }
    images = [(other, here)[k] for k in order]
    path = write_ome(tmp_path / "set_b.ome.tif", [RGB], images, uuid="2" * 8 if by == "uuid" else "")
    with open_slide(path) as slide:
        assert (slide.mpp, slide.mpp_source) == (0.5, "OME PhysicalSizeX")


def test_both_files_of_a_set_give_one_image_each(tmp_path: Path) -> None:
    images: list[dict[str, object]] = [
        {"mpp": 0.25, "uuid": "1" * 8, "file": "a.ome.tif", "name": "a", "size": (48, 32)},
        {"mpp": 0.5, "uuid": "2" * 8, "file": "b.ome.tif", "name": "b"},
    ]
    a = write_ome(tmp_path / "a.ome.tif", [np.ascontiguousarray(RGB[::2, ::2])], images, uuid="1" * 8)
    b = write_ome(tmp_path / "b.ome.tif", [RGB], images, uuid="2" * 8)
    for path, mpp, size in ((a, 0.25, (48, 32)), (b, 0.5, (96, 64))):
        with open_slide(path) as slide:
            assert (slide.mpp, slide.size, len(slide.scenes)) == (mpp, size, 1)


def test_sources_that_disagree_are_told_and_the_specific_one_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, RGB, photometric="rgb", resolution=(20_000, 20_000), resolutionunit="CENTIMETER",
        description=ome_xml([{"mpp": 0.25}]), metadata=None,
    )  # fmt: skip
    tile = read_tile(path)
    assert tile.attrs["mpp"] == 0.25
    (problem,) = tile.attrs["problems"]
    assert "0.25 um/px by OME PhysicalSizeX" in problem
    assert "0.5 um/px by TIFF resolution" in problem
    assert any("--mpp" in said for said in slide_info(path)["scenes"][0]["problems"])
    assert read_tile(path, mpp=0.25).attrs["problems"] == ()  # the user has said which is right


@pytest.mark.parametrize(
    ("appmag", "mpp", "doubted"), [(40, 0.25, False), (20, 0.499, False), (40, 0.5, True), (10, 0.25, True)]
)
def test_magnification_against_pixel_size(tmp_path: Path, appmag: int, mpp: float, doubted: bool) -> None:
    path = tmp_path / "a.svs"
    text = f"Aperio Image Library v1\r\n96x64 |AppMag = {appmag}|MPP = {mpp}"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(32, 32), description=text, metadata=None)
    with open_slide(path) as slide:
        assert slide.mpp == mpp
        assert bool(slide.problems) == doubted


@pytest.mark.parametrize("quote", ['"', "&quot;"])
def test_philips_pixel_spacing_in_mm_of_the_finest_level(tmp_path: Path, quote: str) -> None:
    spacing = [f"{quote}{mm}{quote} {quote}{mm}{quote}" for mm in ("0.0005", "0.001")]
    attributes = "".join(f'<Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028">{one}</Attribute>' for one in spacing)
    path = tmp_path / "a.tiff"
    text = f'<?xml version="1.0"?><DataObject ObjectType="DPUfsImport">{attributes}</DataObject>'
    tifffile.imwrite(
        path, RGB, photometric="rgb", tile=(32, 32), software="Philips DP v1.0", description=text, metadata=None
    )
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)


def test_ventana_scan_resolution_where_nothing_overlaps(tmp_path: Path) -> None:
    xmp = b'<?xml version="1.0"?><iScan Magnification="20" ScanRes="0.465" Barcode1D="CANARY"/>'
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", extratags=[(700, 1, len(xmp), xmp, True)], metadata=None)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.465)


@pytest.mark.parametrize(("unit", "per_unit"), [("INCH", 50_800.0), ("CENTIMETER", 20_000.0), (4, 2_000.0), (5, 2.0)])
def test_tiff_resolution_in_all_units(tmp_path: Path, unit: object, per_unit: float) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        RGB,
        photometric="rgb",
        resolution=(per_unit, per_unit),
        resolutionunit=unit if isinstance(unit, str) else "INCH",
    )
    if not isinstance(unit, str):
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags[296].overwrite(unit)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)
