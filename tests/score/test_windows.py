"""Cores hold all tissue once; threads give results in order; freed memory is kept."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.score.whole.windows import around, cut_strip, inside
from biomarkers.slide.threads import begun, in_order
from biomarkers.slide.tissue_map import TissueMap


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


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_and_few_wait(threads: int) -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            begun.append(item)
        time.sleep(0.002 * (item % 3))
        return item * item

    results = in_order(work, range(60), threads=threads)
    assert next(results) == 0
    time.sleep(0.1)
    assert len(begun) <= 8 * threads + 1
    assert list(results) == [item * item for item in range(1, 60)]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_stands_where_its_result_would(threads: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError(item)
        return item

    results = in_order(work, range(9), threads=threads)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)


@pytest.mark.parametrize(("threads", "beside"), [(1, False), (2, True)])
def test_work_is_begun_beside_the_caller_where_there_is_a_thread_for_it(threads: int, beside: bool) -> None:
    started, by = threading.Event(), []

    def work() -> str:
        by.append(threading.get_ident())
        started.set()
        return "done"

    result = begun(work, threads=threads)
    assert started.wait(5 if beside else 0.05) == beside
    assert result() == "done"
    assert (by[0] != threading.get_ident()) == beside


def test_what_fails_beside_is_told_where_its_result_is_asked_for() -> None:
    def work() -> None:
        raise ValueError("beside")

    result = begun(work, threads=2)
    with pytest.raises(ValueError, match="beside"):
        result()


_CHILD = """
import resource, sys
import numpy as np
from biomarkers.score.whole.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
first = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    held = [np.full(3_000_000, 1, np.uint8) for _ in range(10)]
    held = None
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - first)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asked of the GNU C library")
def test_an_array_takes_the_place_of_one_that_was_freed() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", _CHILD, how], check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert faults("keep") < faults("not") / 4
