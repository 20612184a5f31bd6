"""A folder of all kinds: rows are slides, what is left out is named, nothing goes unsaid and no label is seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from biomarkers import render_hdab, simulate_scene
from tests.io.pictures import label, macro
from tests.io.test_sources_of_pixel_size import write_ome

pytestmark = pytest.mark.slow
CANARY = "CANARY-PATIENT-19520704"


def biomarkers(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "biomarkers", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_rows_left_out_twins_and_labels(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tile = np.asarray(render_hdab(simulate_scene(rng=11, size_px=256, tps=50), rng=11))
    Image.fromarray(tile).save(folder / "simulated_a.png", dpi=(50_800, 50_800))
    (folder / "simulated_b.png").write_bytes((folder / "simulated_a.png").read_bytes())
    images: list[dict[str, object]] = [
        {"mpp": 0.5, "size": (256, 256), "name": CANARY},
        {"size": (200, 160), "ifd": 1, "name": f"label {CANARY}"},
        {"size": (240, 80), "ifd": 2, "name": ""},
    ]
    pages = [tile, label(160, 200, text=CANARY), macro(80, 240)]
    write_ome(folder / "simulated_c.ome.tif", pages, images)
    (folder / "o.vsi").write_bytes(b"II*\0" + b"\0" * 600)
    (folder / "cells.csv").write_text("a\n")
    (folder / "map.toml").write_text('[classes]\nMuscle = "stroma"\n')
    out = tmp_path / "out"
    ran = biomarkers(
        "score",
        folder,
        "--assay",
        "22c3",
        "--assume-tumor",
        "--classes",
        folder / "map.toml",
        "--out",
        out,
        "--quiet",
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    slides = pd.read_csv(out / "slides.csv").set_index("slide")
    assert list(slides.index) == ["simulated_a", "simulated_b", "simulated_c"]
    assert "the same picture as simulated_b" in slides["reason"]["simulated_a"]
    assert slides["n_cells"].nunique() == 1
    left_out = pd.read_csv(out / "left_out.csv").set_index("path")["reason"]
    assert {Path(path).name for path in left_out.index} == {"o.vsi", "cells.csv", "map.toml"}
    assert "3 files left out" in ran.stdout
    assert len(json.loads((out / "run.json").read_text())["left_out"]) == 3
    assert len(list((out / "thumbnails").iterdir())) == 3
    for path in out.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path
    told = biomarkers("info", folder, "--json", cwd=tmp_path)
    described = json.loads(told.stdout)
    assert CANARY not in told.stdout + told.stderr + ran.stdout + ran.stderr
    assert sum("left_out" in one for one in described) == 3
    assert sum("scenes" in one for one in described) == 3
