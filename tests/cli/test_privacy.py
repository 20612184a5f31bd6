"""What a file says about a patient never reaches an output, a log or the terminal."""

import subprocess
import sys

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
    damaged = bytearray((place / "simulated_two.tif").read_bytes())
    del damaged[len(damaged) // 3 :]
    (place / "simulated_damaged.tif").write_bytes(bytes(damaged))
    return place


def test_no_canary_leaves_the_files(folder, tmp_path):
    assert sum(CANARY.encode() in path.read_bytes() for path in folder.iterdir()) >= 3, "the canary is in the inputs"
    done = subprocess.run(
        [sys.executable, "-m", "biomarkers", "-v", "score", str(folder), "--assay", "22c3", "--out", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert CANARY not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".csv", ".json", ".log", ".png", ".parquet"}
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]
    info = subprocess.run(
        [sys.executable, "-m", "biomarkers", "info", "--json", *map(str, sorted(folder.iterdir()))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert CANARY not in info.stdout + info.stderr
