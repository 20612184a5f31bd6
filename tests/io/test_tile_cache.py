"""What is held is bounded and right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.io import open_slide
from biomarkers.io.tile_cache import TileCache

RGB = np.random.default_rng(2).integers(0, 255, (600, 700, 3), dtype=np.uint8)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=60))
def test_the_bytes_held_stay_below_the_limit_and_values_are_right(asked: list[tuple[int, int]]) -> None:
    held, sizes = TileCache(limit_bytes=100), {}
    for key, size in asked:
        sizes.setdefault(key, size)
        assert held.get(key, lambda key=key, size=sizes[key]: (f"value {key}", size)) == f"value {key}"
        assert held._bytes == sum(size for _, size in held._items.values())
        assert held._bytes <= 100


def test_a_tile_is_decoded_once_for_neighbouring_regions(tmp_path: Path, monkeypatch) -> None:
    from biomarkers.io.tiff import TiffReader

    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", tile=(256, 256), compression="zlib")
    decoded: list[int] = []
    plain = TiffReader._decoded
    monkeypatch.setattr(
        TiffReader, "_decoded", lambda self, layout, index: decoded.append(index) or plain(self, layout, index)
    )
    with open_slide(tmp_path / "a.tif", mpp=0.5) as slide:
        for x in range(0, 600, 100):
            np.testing.assert_array_equal(slide.read_region(x, 50, 100, 300), RGB[50:350, x : x + 100])
    assert sorted(decoded) == sorted(set(decoded))


def test_one_large_strip_is_decoded_once(tmp_path: Path, monkeypatch) -> None:
    import biomarkers.io.tile_cache as held
    from biomarkers.io.tiff import TiffReader

    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", rowsperstrip=600)
    decoded: list[int] = []
    plain = TiffReader._decoded
    monkeypatch.setattr(
        TiffReader, "_decoded", lambda self, layout, index: decoded.append(index) or plain(self, layout, index)
    )
    monkeypatch.setattr(held, "HELD_BYTES", 1)
    with open_slide(tmp_path / "a.tif", mpp=0.5) as slide:
        slide._reader._held._limit = 1
        for y in range(0, 600, 100):
            np.testing.assert_array_equal(slide.read_region(0, y, 700, 100), RGB[y : y + 100])
    assert decoded == [0]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60), st.none() | st.integers(0, 4)), max_size=60))
def test_what_is_promised_stays_below_its_limit_too(asked: list[tuple[int, int, int | None]]) -> None:
    held, sizes = TileCache(limit_bytes=100, promised_bytes=150), {}
    for key, size, row in asked:
        sizes.setdefault(key, size)
        assert held.get(key, lambda key=key, size=sizes[key]: (f"value {key}", size), pinned=row) == f"value {key}"
        assert held._bytes == sum(size for _, size in held._items.values())
        assert held._promised_bytes == sum(size for _, size, _ in held._promised.values())
        assert held._bytes <= 100
        assert held._promised_bytes <= 150
        assert not held._items.keys() & held._promised.keys()


def test_what_the_next_row_asks_for_outlives_what_was_decoded_since(tmp_path: Path, monkeypatch) -> None:
    from biomarkers.io.tiff import TiffReader

    rgb = np.random.default_rng(3).integers(0, 255, (512, 1024, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb", tile=(64, 64), compression="zlib")
    decoded: list[int] = []
    plain = TiffReader._decoded
    monkeypatch.setattr(
        TiffReader, "_decoded", lambda self, layout, index: decoded.append(index) or plain(self, layout, index)
    )
    with open_slide(tmp_path / "a.tif", mpp=0.5) as slide:
        slide._reader._held._limit = 12 * 64 * 64 * 3  # hardly more than one region needs
        for top in range(0, 512, 128):
            first, last = max(0, top - 20), min(512, top + 148)
            for left in range(0, 1024, 128):
                start, stop = max(0, left - 20), min(1024, left + 148)
                found = slide.read_region(start, first, stop - start, last - first, reuse_from_row=top + 108)
                np.testing.assert_array_equal(found, rgb[first:last, start:stop])
    assert sorted(decoded) == list(range(128))
