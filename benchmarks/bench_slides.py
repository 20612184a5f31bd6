"""Measure reading and scoring of whole slides against OpenSlide and naive scikit-image; print Markdown tables.

    python benchmarks/make_slide.py slide.tif --size 16384 --tissue 0.05
    python benchmarks/bench_slides.py slide.tif [larger.tif ...] [--read REAL.svs ...]

Times are CPU seconds of one process, medians of alternating runs. Memory is the peak of a fresh process for each slide.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from biomarkers.io import open_slide

_ROUNDS = 5
_SIDE = 2048
_NAIVE_ROUNDS = 3
_ROUNDS_OF_SLIDES = 3


def read_ours(path: Path, corners: list[tuple[int, int]], side: int) -> list[np.ndarray]:
    """Read regions by the package."""
    with open_slide(path, mpp=0.5) as slide:
        return [slide.read_region(x, y, side, side) for x, y in corners]


def read_openslide(path: Path, corners: list[tuple[int, int]], side: int) -> list[np.ndarray]:
    """Read regions as most tutorials do."""
    import openslide

    with openslide.OpenSlide(path) as slide:
        return [np.asarray(slide.read_region(corner, 0, (side, side)).convert("RGB")) for corner in corners]


def one_by_one(read: Callable[..., object], path: Path, corners: list[tuple[int, int]], side: int) -> None:
    """Read regions and let go of each before the next, as a pipeline does."""
    for corner in corners:
        read(path, [corner], side)


def decode_tiles(path: Path, corners: list[tuple[int, int]], side: int) -> None:
    """Decode the same JPEG tiles and do nothing else: what no reader can be faster than."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        across = -(-page.imagewidth // page.tilewidth)
        for x, y in corners:
            for row in range(y // page.tilelength, -(-(y + side) // page.tilelength)):
                for column in range(x // page.tilewidth, -(-(x + side) // page.tilewidth)):
                    index = row * across + column
                    file.filehandle.seek(page.dataoffsets[index])
                    raw = file.filehandle.read(page.databytecounts[index])
                    page.decode(raw, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)


def naive_cells(rgb: np.ndarray) -> int:
    """Count and measure cells as a user of scikit-image would write it."""
    from scipy import ndimage
    from skimage import color, feature, filters, measure, morphology, segmentation

    stains = color.rgb2hed(rgb)
    smoothed = filters.gaussian(stains[..., 0], 1)
    mask = (smoothed > filters.threshold_otsu(smoothed)) & (smoothed > filters.threshold_local(smoothed, 101))
    mask = morphology.opening(mask, morphology.disk(2))
    distance = ndimage.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=5, labels=measure.label(mask))
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    nuclei = segmentation.watershed(-distance, seeds, mask=mask)
    cells = segmentation.expand_labels(nuclei, 8)
    cytoplasm = np.where(nuclei == 0, cells, 0)
    wanted = ("label", "area", "centroid", "intensity_mean", "intensity_max")
    for labels in (nuclei, cells, cytoplasm):
        measure.regionprops_table(labels, intensity_image=stains[..., 2], properties=wanted)
    return int(nuclei.max())


def naive_slide(path: Path, blocks: list[tuple[int, int]], side: int) -> int:
    """Run the naive pipeline over blocks of tissue, read by OpenSlide."""
    import openslide

    with openslide.OpenSlide(path) as slide:
        return sum(naive_cells(np.asarray(slide.read_region(at, 0, (side, side)).convert("RGB"))) for at in blocks)


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def alternating(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run all jobs in turn, round after round; the first round warms up and does not count."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, work in jobs.items():
            seconds = cpu(work)
            if number:
                found[name].append(seconds)
    return found


def bench_reading(path: Path) -> list[str]:
    """Compare readers on the same regions of one slide."""
    with open_slide(path, mpp=0.5) as slide:
        width, height = slide.size
    side = min(_SIDE, width // 2, height // 2)
    rng = np.random.default_rng(0)
    corners = [(int(rng.integers(0, width - side)), int(rng.integers(0, height - side))) for _ in range(4)]
    jobs: dict[str, Callable[[], object]] = {
        "raw JPEG decode": lambda: decode_tiles(path, corners, side),
        "biomarkers": lambda: one_by_one(read_ours, path, corners, side),
        "openslide": lambda: one_by_one(read_openslide, path, corners, side),
    }
    times = alternating(jobs, _ROUNDS)
    pixels = len(corners) * side * side / 1e6
    unlike = max(
        int(np.abs(one.astype(int) - two).max())
        for one, two in zip(read_ours(path, corners, side), read_openslide(path, corners, side), strict=True)
    )
    lines = [f"| {path.name} | MP/s per core | range | times openslide |", "|---|---|---|---|"]
    base = statistics.median(times["openslide"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        spread = f"{pixels / max(seconds):.0f}-{pixels / min(seconds):.0f}"
        lines.append(f"| {name} | {pixels / middle:.0f} | {spread} | {base / middle:.1f} |")
    return [*lines, "", f"Largest difference of any pixel between biomarkers and openslide: {unlike}.", ""]


_CHILD = """
import json, resource, sys, tempfile, time, warnings
warnings.simplefilter("ignore")
from biomarkers.score.whole import score_whole_slide
path, threads, slides = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
times = []
with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
    for _ in range(slides):
        wall, cpu = time.perf_counter(), time.process_time()
        result = None  # let go of the last one, as a batch does
        result = score_whole_slide(path, assay="22c3", assume_tumor=True, cells_to=file.name, threads=threads)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(json.dumps([times, peak, result.row["n_cells"], result.row["tissue_mm2"]]))
"""


class Scored(NamedTuple):
    """A slide scored several times by one process: wall and CPU seconds of each, peak MB, cells, tissue in mm2."""

    times: list[tuple[float, float]]
    peak: float
    cells: int
    tissue: float

    @property
    def later(self) -> tuple[float, float]:
        """Median wall and CPU seconds of a slide that is not the first of its process."""
        wall, seconds = zip(*self.times[1:], strict=True)
        return statistics.median(wall), statistics.median(seconds)


def score_apart(path: Path, threads: int, *, slides: int = 2) -> Scored:
    """Score a slide in a fresh process, once and again."""
    command = [sys.executable, "-c", _CHILD, str(path), str(threads), str(slides)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Scored(*json.loads(done.stdout.splitlines()[-1]))


def bench_scoring(paths: list[Path], threads: list[int]) -> list[str]:
    """Measure time and memory of whole slides, each in processes of its own, one and more threads in alternation."""
    head = "| slide | threads | cells | tissue mm2 | first slide: wall s | CPU s | later ones: wall s | CPU s "
    lines = [f"{head}| tissue MP/s per core | peak MB |", "|---|---|---|---|---|---|---|---|---|---|"]
    for path in paths:
        with open_slide(path) as slide:
            mpp = slide.mpp
        runs = [(count, score_apart(path, count, slides=3)) for _ in range(_ROUNDS_OF_SLIDES) for count in threads]
        for count in threads:
            own = [run for threads_of, run in runs if threads_of == count]
            first, later = (
                [statistics.median(v) for v in zip(*some, strict=True)]
                for some in ([run.times[0] for run in own], [run.later for run in own])
            )
            speed = own[0].tissue / mpp**2 / later[1]
            lines.append(
                f"| {path.name} | {count} | {own[0].cells:,} | {own[0].tissue:.1f} | {first[0]:.1f} | {first[1]:.1f} "
                f"| {later[0]:.2f} | {later[1]:.2f} | {speed:.1f} | {max(run.peak for run in own):.0f} |"
            )
    return [*lines, ""]


def score_once(path: Path, threads: int) -> float:
    """Score a slide; return the wall seconds it took."""
    import warnings

    from biomarkers.score.whole import score_whole_slide

    with tempfile.NamedTemporaryFile(suffix=".parquet") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        score_whole_slide(path, assay="22c3", assume_tumor=True, cells_to=file.name, threads=threads)
        return time.perf_counter() - started


def bench_pairs(path: Path, threads: list[int], pairs: int) -> list[str]:
    """Score a slide with each number of threads in turn in this process: what the machine does meets all alike.

    As many processes as threads at the most, each with a slide of its own, are taken in turn with them: they share
    nothing, so what they gain is what the machine's cores give at that time.
    """
    apart = f"{max(threads)} processes, a slide each"
    walls: dict[str, list[float]] = {name: [] for name in [*(f"{count} threads" for count in threads), apart]}
    with ProcessPoolExecutor(max(threads), mp_context=multiprocessing.get_context("spawn")) as pool:

        def all_at_once() -> float:
            started = time.perf_counter()
            list(pool.map(score_once, [path] * max(threads), [1] * max(threads)))
            return (time.perf_counter() - started) / max(threads)

        jobs: dict[str, Callable[[], float]] = {apart: all_at_once}
        jobs |= {f"{count} threads": functools.partial(score_once, path, count) for count in threads}
        for number in range(pairs + 1):  # the first round loads libraries and does not count
            for name in list(jobs) if number % 2 else list(jobs)[::-1]:
                seconds = jobs[name]()
                if number:
                    walls[name].append(seconds)
    lines = [f"| {path.name}, {pairs} times each, in turn | wall s a slide | times as fast, round by round |"]
    lines.append("|---|---|---|")
    alone = walls[f"{threads[0]} threads"]
    for name, each in walls.items():
        gain = sorted(one / other for one, other in zip(alone, each, strict=True))
        low, middle, high = (gain[round(share * (len(gain) - 1))] for share in (0.25, 0.5, 0.75))
        lines.append(f"| {name} | {statistics.median(each):.2f} | {middle:.2f} ({low:.2f}-{high:.2f}) |")
    return [*lines, ""]


def tissue_blocks(path: Path, side: int) -> list[tuple[int, int]]:
    """List the corners of the blocks of a grid that hold any tissue."""
    from biomarkers.score.whole.decide import look_at

    with open_slide(path) as slide:
        tissue = look_at(slide, white=None, vectors=None).tissue
        width, height = slide.size
        grid = [(x, y) for y in range(0, height, side) for x in range(0, width, side)]
        return [
            (x, y)
            for x, y in grid
            if tissue.window(slice(y, min(y + side, height)), slice(x, min(x + side, width))).any()
        ]


def bench_naive(path: Path) -> list[str]:
    """Score a whole slide as a user of OpenSlide and scikit-image would, in alternation with the package.

    The naive pipeline sees the blocks with tissue only, and none of what lies around a block: cells on seams are cut.
    """
    side = 1024
    blocks = tissue_blocks(path, side)
    naive_slide(path, blocks[:1], side)  # loads libraries, as the first slide of our process does
    rounds = [blocks[k::_NAIVE_ROUNDS] for k in range(_NAIVE_ROUNDS)]
    ours, naive = [], []
    for some in rounds:
        ours.append(score_apart(path, 1))
        naive.append(cpu(functools.partial(naive_slide, path, some, side)))
    with open_slide(path) as slide:
        area = ours[0].tissue / slide.mpp**2
    each = {
        "openslide + naive": [seconds * len(blocks) / len(some) for seconds, some in zip(naive, rounds, strict=True)],
        "biomarkers, first slide of a process": [run.times[0][1] for run in ours],
        "biomarkers, a later one": [run.later[1] for run in ours],
    }
    theirs = sum(naive)
    head = f"{path.name}, {len(blocks)} blocks of {side} px with tissue"
    lines = [f"| {head} | CPU s | range | tissue MP/s per core | times naive |", "|---|---|---|---|---|"]
    for name, times in each.items():
        middle = theirs if times is each["openslide + naive"] else statistics.median(times)
        spread = f"{min(times):.1f}-{max(times):.1f}"
        lines.append(f"| {name} | {middle:.1f} | {spread} | {area / middle:.1f} | {theirs / middle:.1f} |")
    return [*lines, ""]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("slides", nargs="*", type=Path)
    parser.add_argument("--read", nargs="*", type=Path, default=[], help="slides to compare readers on")
    parser.add_argument("--naive", action="store_true", help="compare the first slide with naive scikit-image: minutes")
    parser.add_argument(
        "--pairs",
        type=int,
        default=0,
        metavar="N",
        help="and N slides with each number, and N in processes apart, in turn",
    )
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    given = parser.parse_args()
    if given.pairs and not given.threads:
        parser.error("--pairs compares numbers of threads: name them with --threads")
    for path in given.read:
        print("\n".join(bench_reading(path)), flush=True)
    if given.naive:
        print("\n".join(bench_naive(given.slides[0])), flush=True)
    if given.slides and given.threads:
        print("\n".join(bench_scoring(given.slides, given.threads)), flush=True)
    if given.slides and given.pairs:
        print("\n".join(bench_pairs(given.slides[0], given.threads, given.pairs)), flush=True)


if __name__ == "__main__":
    main()
