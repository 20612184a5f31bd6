"""Measure reading and scoring of whole slides against OpenSlide and naive scikit-image; print Markdown tables.

    python benchmarks/make_slide.py slide.tif --size 16384 --tissue 0.05
    python benchmarks/bench_slides.py slide.tif [larger.tif ...] [--read REAL.svs ...]

Times are CPU seconds of one process, medians of alternating runs. Memory is the peak of a fresh process for each slide.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from biomarkers.slide import open_slide

_ROUNDS = 5
_SIDE = 2048
_NAIVE_ROUNDS = 3


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
path, threads = sys.argv[1], int(sys.argv[2])
with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
    wall, cpu = time.perf_counter(), time.process_time()
    result = score_whole_slide(path, assay="22c3", assume_tumor=True, cells_to=file.name, threads=threads)
    times = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(json.dumps([*times, peak, result.row["n_cells"], result.row["tissue_mm2"]]))
"""


def score_apart(path: Path, threads: int) -> tuple[float, float, float, int, float]:
    """Score in a fresh process; wall and CPU seconds, peak MB, cells, tissue in mm2."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path), str(threads)], check=True, capture_output=True, text=True
    )
    wall, seconds, peak, cells, tissue = json.loads(done.stdout.splitlines()[-1])
    return wall, seconds, peak, cells, tissue


def bench_scoring(paths: list[Path], threads: list[int]) -> list[str]:
    """Measure time and memory of whole slides, each in a process of its own."""
    lines = [
        "| slide | threads | cells | tissue mm2 | wall s | CPU s | tissue MP/s per core | peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in paths:
        with open_slide(path) as slide:
            mpp = slide.mpp
        for count in threads:
            wall, seconds, peak, cells, tissue = score_apart(path, count)
            speed = tissue / mpp**2 / seconds
            lines.append(
                f"| {path.name} | {count} | {cells:,} | {tissue:.1f} | {wall:.1f} | {seconds:.1f} | {speed:.2f} "
                f"| {peak:.0f} |"
            )
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
    rounds = [blocks[k::_NAIVE_ROUNDS] for k in range(_NAIVE_ROUNDS)]
    naive, ours = [], []
    for some in rounds:
        ours.append(score_apart(path, 1))
        naive.append(cpu(lambda some=some: naive_slide(path, some, side)))  # type: ignore[misc]
    with open_slide(path) as slide:
        area = ours[0][4] / slide.mpp**2
    theirs, middle = sum(naive), statistics.median(seconds for _, seconds, *_ in ours)
    spread = [seconds * len(blocks) / len(some) for seconds, some in zip(naive, rounds, strict=True)]
    times = [seconds for _, seconds, *_ in ours]
    head = f"{path.name}, {len(blocks)} blocks of {side} px with tissue"
    lines = [f"| {head} | CPU s | range | tissue MP/s per core | times naive |", "|---|---|---|---|---|"]
    for name, total, each in (("openslide + naive", theirs, spread), ("biomarkers", middle, times)):
        lines.append(
            f"| {name} | {total:.1f} | {min(each):.1f}-{max(each):.1f} | {area / total:.2f} | {theirs / total:.1f} |"
        )
    return [*lines, ""]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("slides", nargs="*", type=Path)
    parser.add_argument("--read", nargs="*", type=Path, default=[], help="slides to compare readers on")
    parser.add_argument("--naive", action="store_true", help="compare the first slide with naive scikit-image: minutes")
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    given = parser.parse_args()
    for path in given.read:
        print("\n".join(bench_reading(path)), flush=True)
    if given.naive:
        print("\n".join(bench_naive(given.slides[0])), flush=True)
    if given.slides and given.threads:
        print("\n".join(bench_scoring(given.slides, given.threads)), flush=True)


if __name__ == "__main__":
    main()
