"""Cores hold all tissue once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.pp.tissue_map import TissueMap
from biomarkers.score.whole.windows import around, cut_strip, inside


def _map(rng: np.random.Generator, *, width: int, height: int, step: int) -> tuple[TissueMap, np.ndarray]:
    rows, columns = -(-height // step), -(-width // step)
    coarse = rng.random((rows // 5 + 1, columns // 5 + 1)) < rng.choice([0.05, 0.3, 0.9])
    grains = np.kron(coarse, np.ones((5, 5), bool))[:rows, :columns]
    found = TissueMap(step, (rows, columns), (width, height), np.packbits(grains, axis=1))
    return found, found.window(slice(0, height), slice(0, width))


@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 700),
    height=st.integers(1, 300),
    step=st.sampled_from([1, 4, 8]),
    side=st.sampled_from([30, 100, 256]),
    gap=st.sampled_from([0, 20, 90]),
)
def test_cores_hold_all_tissue_and_hold_it_once(
    seed: int, width: int, height: int, step: int, side: int, gap: int
) -> None:
    tissue, mask = _map(np.random.default_rng(seed), width=width, height=height, step=step)
    covered = np.zeros((height, width), np.int64)
    for top in range(0, height, side):
        strip = slice(top, min(top + side, height))
        for rows, columns in cut_strip(tissue, strip, side=side, gap=gap):
            assert strip.start <= rows.start < rows.stop <= strip.stop
            assert 0 <= columns.start < columns.stop <= width
            assert columns.stop - columns.start <= side + step
            covered[rows, columns] += 1
    assert covered.max(initial=0) <= 1
    assert covered[mask].all()


def test_glass_is_not_looked_at_and_no_part_is_a_sliver() -> None:
    grains = np.zeros((40, 200), bool)
    grains[5:15, 10:90] = True  # 640 px wide
    grains[30:34, 20:24] = True
    tissue = TissueMap(8, (40, 200), (1600, 320), np.packbits(grains, axis=1))
    cores = cut_strip(tissue, slice(0, 320), side=300, gap=100)
    assert [(c.start, c.stop) for _, c in cores] == [(80, 288), (160, 192), (288, 504), (504, 720)]
    assert {(r.start, r.stop) for r, _ in cores} == {(40, 120), (240, 272)}
    assert cut_strip(tissue, slice(130, 230), side=300, gap=100) == []


def test_a_core_lies_in_its_window() -> None:
    core = (slice(16, 300), slice(104, 400))
    block = around(core, (420, 1000), halo=50, step=4)
    assert block.window == (slice(0, 352), slice(52, 420))
    assert inside(block) == (slice(16, 300), slice(52, 348))
