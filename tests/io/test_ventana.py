"""Ventana slides of any tile and overlap are stitched to the picture that they were cut from."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from biomarkers.io import open_slide
from tests.io.pictures import tissue

_FILE = Path(__file__).parents[2] / "benchmarks" / "fuzz_inputs.py"
_SPEC = importlib.util.spec_from_file_location("fuzz_inputs", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
fuzz_inputs = importlib.util.module_from_spec(_SPEC)
sys.modules["fuzz_inputs"] = fuzz_inputs
_SPEC.loader.exec_module(fuzz_inputs)


@pytest.mark.parametrize(
    ("rows", "columns", "tile", "overlap"),
    [(3, 3, 128, 32), (2, 4, 128, 16), (4, 2, 96, 32), (3, 5, 64, 8), (2, 2, 128, 0)],
)
def test_overlapping_tiles_are_stitched(tmp_path: Path, rows: int, columns: int, tile: int, overlap: int) -> None:
    step = tile - overlap
    noisy = Image.fromarray(tissue(rows * step + overlap, columns * step + overlap))
    picture = np.asarray(noisy.filter(ImageFilter.GaussianBlur(3)))  # what JPEG keeps: misplaced tiles differ by 20
    path = fuzz_inputs.write_bif(tmp_path / "a.bif", picture, tile=tile, overlap=overlap)
    with open_slide(path) as slide:
        assert slide.size == (picture.shape[1], picture.shape[0])
        assert slide.mpp == pytest.approx(0.5)
        found = slide.read_region(0, 0, *slide.size).astype(int)
        assert set(slide.scenes[0].left_out) >= {"macro"}
    assert np.abs(found - picture).mean() < 2


@pytest.mark.parametrize("suffix", [".tif", ""])
def test_the_content_tells_a_ventana_slide(tmp_path: Path, suffix: str) -> None:
    path = fuzz_inputs.write_bif(tmp_path / f"a{suffix}", tissue(320, 320))
    with open_slide(path) as slide:
        assert (slide.reader, slide.size) == ("openslide", (320, 320))
