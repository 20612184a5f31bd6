"""What is held is bounded and right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.slide import open_slide
from biomarkers.slide.held import Held

RGB = np.random.default_rng(2).integers(0, 255, (600, 700, 3), dtype=np.uint8)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=60))
def test_the_bytes_held_stay_below_the_limit_and_values_are_right(asked: list[tuple[int, int]]) -> None:
    held, sizes = Held(limit_bytes=100), {}
    for key, size in asked:
        sizes.setdefault(key, size)
        assert held.get(key, lambda key=key, size=sizes[key]: (f"value {key}", size)) == f"value {key}"
        assert held._bytes == sum(size for _, size in held._items.values())
        assert held._bytes <= 100


def test_a_tile_is_decoded_once_for_neighbouring_regions(tmp_path: Path, monkeypatch) -> None:
    from biomarkers.slide.tiff import TiffReader

    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", tile=(256, 256), compression="zlib")
    decoded: list[int] = []
    plain = TiffReader._decoded
    monkeypatch.setattr(
        TiffReader, "_decoded", lambda self, page, index: decoded.append(index) or plain(self, page, index)
    )
    with open_slide(tmp_path / "a.tif", mpp=0.5) as slide:
        for x in range(0, 600, 100):
            np.testing.assert_array_equal(slide.read_region(x, 50, 100, 300), RGB[50:350, x : x + 100])
    assert sorted(decoded) == sorted(set(decoded))


def test_one_large_strip_is_decoded_once(tmp_path: Path, monkeypatch) -> None:
    import biomarkers.slide.held as held
    from biomarkers.slide.tiff import TiffReader

    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", rowsperstrip=600)
    decoded: list[int] = []
    plain = TiffReader._decoded
    monkeypatch.setattr(
        TiffReader, "_decoded", lambda self, page, index: decoded.append(index) or plain(self, page, index)
    )
    monkeypatch.setattr(held, "HELD_BYTES", 1)
    with open_slide(tmp_path / "a.tif", mpp=0.5) as slide:
        slide._reader._held._limit = 1
        for y in range(0, 600, 100):
            np.testing.assert_array_equal(slide.read_region(0, y, 700, 100), RGB[y : y + 100])
    assert decoded == [0]
