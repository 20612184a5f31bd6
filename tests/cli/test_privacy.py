"""What a file says about a patient never reaches an output, a log or the terminal."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from biomarkers import render_hdab, simulate_scene

CANARY = "CANARY-PATIENT-19520704"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("slides")
    tile = np.asarray(render_hdab(simulate_scene(rng=12, size_px=256, crowding="sparse"), rng=12))
    size = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}  # 0.5 um/px
    described = f"Aperio Image|AppMag = 20|MPP = 0.5|Patient = {CANARY}|Title = {CANARY}"
    with tifffile.TiffWriter(place / "simulated_one.svs") as file:
        file.write(tile, photometric="rgb", tile=(128, 128), description=described, metadata=None, **size)
        label = np.full((64, 128, 3), 255, np.uint8)
        file.write(label, photometric="rgb", description=f"label {CANARY}", metadata=None, subfiletype=1)
    tags = [(315, "s", 0, CANARY, True), (269, "s", 0, CANARY, True)]  # Artist, DocumentName
    tifffile.imwrite(place / "simulated_two.tif", tile, photometric="rgb", description=CANARY, metadata=None,
                     extratags=tags, **size)  # fmt: skip
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", CANARY)
    Image.fromarray(tile).save(place / "simulated_three.png", pnginfo=text, dpi=(50_800, 50_800))
    ome = {"axes": "YXS", "Name": CANARY, "Description": CANARY, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(place / "simulated_scenes.ome.tif", ome=True) as file:
        for part in (tile, tile[:128]):
            file.write(part, photometric="rgb", metadata=ome)
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = CANARY, CANARY  # ImageDescription, Artist
    Image.fromarray(tile).save(place / "simulated_four.jpg", exif=exif, comment=CANARY.encode(), dpi=(50_800, 50_800))
    wrong = f"Aperio {CANARY}|MPP = {CANARY}|{CANARY}"
    tifffile.imwrite(place / "wrong_description.svs", tile, photometric="rgb", description=wrong, metadata=None)
    broken = f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><{CANARY}'
    tifffile.imwrite(place / "broken.ome.tif", tile, photometric="rgb", description=broken, metadata=None)
    damaged = bytearray((place / "simulated_two.tif").read_bytes())
    del damaged[len(damaged) // 3 :]
    (place / "simulated_damaged.tif").write_bytes(bytes(damaged))
    return place


def _dicom_with_canary(source: Path, target: Path) -> None:
    """Write a DICOM file again with the canary as PatientName and in every free text before it."""
    content = source.read_bytes()
    at = content.index(b"\x10\x00\x10\x00PN")  # (0010,0010), explicit length
    length = struct.unpack_from("<H", content, at + 6)[0]
    name = CANARY.encode() + b" " * (len(CANARY) % 2)
    element = content[at : at + 6] + struct.pack("<H", len(name)) + name
    target.write_bytes(content[:at] + element + content[at + 8 + length :])


def test_no_canary_of_a_dicom_file_leaves_it(shared_data, tmp_path):
    place, out = tmp_path / "slides", tmp_path / "out"
    place.mkdir()
    for name in ("sm_image.dcm", "sm_image_jpegls.dcm"):  # one is scored, one cannot be opened
        _dicom_with_canary(shared_data / "images" / "slides" / name, place / name)
        assert CANARY.encode() in (place / name).read_bytes()
    whole = (place / "sm_image.dcm").read_bytes()
    (place / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    done = subprocess.run(
        [sys.executable, "-m", "biomarkers", "-v", "score", str(place), "--assay", "22c3", "--out", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert CANARY not in done.stdout + done.stderr
    written = [path for path in out.rglob("*") if path.is_file()]
    assert any(path.name == "slides.csv" for path in written), done.stderr
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]
    info = [sys.executable, "-m", "biomarkers", "info", *map(str, sorted(place.iterdir()))]
    said = subprocess.run(info, capture_output=True, text=True, check=False)
    assert CANARY not in said.stdout + said.stderr


def test_no_canary_leaves_the_files(folder, tmp_path):
    assert sum(CANARY.encode() in path.read_bytes() for path in folder.iterdir()) >= 8, "the canary is in the inputs"
    done = subprocess.run(
        [sys.executable, "-m", "biomarkers", "-v", "score", str(folder), "--assay", "22c3", "--out", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert CANARY not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".csv", ".json", ".log", ".png", ".jpg", ".parquet"}
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]
    info = subprocess.run(
        [sys.executable, "-m", "biomarkers", "info", "--json", *map(str, sorted(folder.iterdir()))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert CANARY not in info.stdout + info.stderr
