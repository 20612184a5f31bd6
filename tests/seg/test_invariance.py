"""A cell does not depend on the block it was found in, nor on what other threads do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from biomarkers.pp.vectors import StainVectors
from biomarkers.seg.pipeline import SegmentationConfig, _repeated, find_rows
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.table import Rows
from biomarkers.simulate import render_hdab, simulate_scene

WHITE = (238.0, 236.0, 240.0)


def photograph() -> np.ndarray:
    """A mosaic of scikit-image's H-DAB picture: the picture and its mirror images."""
    from skimage.data import immunohistochemistry

    half = immunohistochemistry()
    top = np.concatenate([half, half[:, ::-1], half[::-1]], axis=1)
    return np.ascontiguousarray(np.concatenate([top, top[::-1], half.repeat(3, axis=1)[:76]])[:1100])


def simulated() -> np.ndarray:
    return render_hdab(simulate_scene(rng=11, size_px=(1060, 1040), mpp=0.5), rng=11)


def find(rgb: np.ndarray, side: int, *, mpp: float = 0.5) -> tuple[Rows, np.ndarray, np.ndarray]:
    plan = SegmentationConfig(mpp=mpp, white=WHITE, vectors=StainVectors(), settings=CellSettings(block_px=side))
    return find_rows(rgb, np.ones(rgb.shape[:2], bool), plan=plan, progress=False)


def same(one: tuple[Rows, np.ndarray, np.ndarray], other: tuple[Rows, np.ndarray, np.ndarray]) -> None:
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(one[2], other[2])
    np.testing.assert_array_equal(one[0].numbers, other[0].numbers)


@pytest.mark.slow
@pytest.mark.parametrize("picture", [photograph, simulated])
def test_blocks_and_threads(picture) -> None:
    rgb = picture()
    whole = find(rgb, 2048)
    assert whole[0].count > 1000
    with ThreadPoolExecutor(2) as pool:  # side by side, on purpose
        smaller = list(pool.map(lambda side: find(rgb, side), (512, 1024)))
    for one in smaller:
        same(one, whole)


def test_blocks_at_a_finer_grain() -> None:
    """At 0.25 um/px four pixels make one of those that nuclei are sought in."""
    rgb = np.ascontiguousarray(photograph()[:700, 200:921])
    same(find(rgb, 256, mpp=0.25), find(rgb, 2048, mpp=0.25))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
@pytest.mark.parametrize("factor", [2, 3])
def test_labels_at_a_finer_grain(kind, factor: int) -> None:
    labels = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (7, 9)).astype(kind)
    whole = np.kron(labels, np.ones((factor, factor), kind))
    fine = _repeated(labels, factor, (6 * factor + 1, 8 * factor + 1))
    assert fine.dtype == kind
    np.testing.assert_array_equal(fine, whole[: 6 * factor + 1, : 8 * factor + 1])


def test_tools_are_part_of_the_plan() -> None:
    from biomarkers.seg import tools

    plan = SegmentationConfig(mpp=0.5, white=WHITE, vectors=StainVectors(), settings=CellSettings())
    assert plan.tools() is tools.fast()
    assert replace(plan, tools=tools.plain).tools() is tools.plain()
