"""Finding and measuring cells: kernels against the plain steps, a naive scikit-image pipeline and JPEG decoding.

    python benchmarks/bench_cells.py [--rounds 5] [--side 1024] [--write docs/performance.md]

All contenders see the same pixels in one process, in alternation; figures are medians of CPU seconds. With ``--write``
the tables replace what stands between the two markers of that file.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from biomarkers.io import make_tile
from biomarkers.pp import StainVectors, estimate_white
from biomarkers.seg import tools
from biomarkers.seg.pipeline import SegmentationConfig, find_rows
from biomarkers.seg.settings import CellSettings
from biomarkers.simulate import render_hdab, simulate_scene

MPP = 0.5
QUALITY = 85
BEGIN, END = "<!-- bench_cells: begin -->", "<!-- bench_cells: end -->"
_TIMED = """
import sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
times = []
begin = time.process_time()
{imports}
for _ in range(3):
    {call}
    times.append(time.process_time() - begin)
    begin = time.process_time()
print(times[0] - min(times[1:]))
"""
FIRST_CALLS = {
    "`score_slide` of a PNG, scores as a table": _TIMED.format(
        imports="from biomarkers.score import score_slide",
        call="score_slide(sys.argv[1], assay='22c3', mpp=0.5, assume_tumor=True).scores",
    ),
    "`find_cells` in a tile, cells as an AnnData": _TIMED.format(
        imports="from biomarkers.seg import find_cells\nfrom biomarkers.io import read_tile",
        call="find_cells(read_tile(sys.argv[1], mpp=0.5), progress=False).cells",
    ),
}


def main() -> None:
    """Measure and print; write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=1024, help="side of the images, px of 0.5 um")
    parser.add_argument("--write", type=Path, help="Markdown file with the two markers")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    images = {"simulated dense tissue": simulated(arguments.side), "photograph, repeated": photograph(arguments.side)}
    parts = [machine()]
    for name, rgb in images.items():
        parts += [f"**{name}**, {rgb.shape[1]} x {rgb.shape[0]} px", contest(rgb, arguments.rounds)]
    parts += ["Stage by stage, " + next(iter(images)) + ", ns per pixel:", stages(images["simulated dense tissue"])]
    parts += ["Threads in one process (wall seconds for two images):", threads(list(images.values()), arguments.rounds)]
    parts += ["First call of a process, CPU seconds above a later one (512 x 512 px):", first_calls(simulated(512))]
    text = "\n\n".join(parts)
    print(text)
    if arguments.write:
        whole = arguments.write.read_text(encoding="utf-8")
        before, after = whole.split(BEGIN)[0], whole.split(END)[1]
        arguments.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def simulated(side: int) -> np.ndarray:
    """Tissue without gaps, nuclei nearly touching."""
    scene = simulate_scene(rng=7, size_px=side, mpp=MPP, crowding="touching")
    return render_hdab(scene, rng=7)


def photograph(side: int) -> np.ndarray:
    """scikit-image's H-DAB picture, mirrored at its borders until it is large enough."""
    from skimage.data import immunohistochemistry

    picture = immunohistochemistry()
    twice = np.block([[[picture], [picture[:, ::-1]]], [[picture[::-1]], [picture[::-1, ::-1]]]])
    return np.ascontiguousarray(np.tile(twice, (-(-side // 1024), -(-side // 1024), 1))[:side, :side])


def plan_of(rgb: np.ndarray, steps: Callable[[], tools.Tools], *, nuclei_by: Any = "density") -> SegmentationConfig:
    """Decide once what a slide decides once; by hue, cells are found as for markers of membranes."""
    white = estimate_white(make_tile(rgb, mpp=MPP))
    return SegmentationConfig(
        mpp=MPP, white=white, vectors=StainVectors(), settings=CellSettings(nuclei_by=nuclei_by), tools=steps
    )


def found(rgb: np.ndarray, plan: SegmentationConfig) -> Any:
    """Find and measure all cells, whole image as tissue."""
    return find_rows(rgb, np.ones(rgb.shape[:2], bool), plan=plan, progress=False)


def naive(rgb: np.ndarray) -> int:
    """Count cells as a user of scikit-image would, tables of intensities included."""
    from scipy import ndimage
    from skimage import color, feature, filters, measure, morphology, segmentation

    stains = color.rgb2hed(rgb)
    smooth = filters.gaussian(stains[..., 0], 1)
    mask = (smooth > filters.threshold_otsu(smooth)) & (smooth > filters.threshold_local(smooth, 51))
    mask = morphology.opening(mask, morphology.disk(2))
    distance = ndimage.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=5, labels=measure.label(mask))
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    nuclei = segmentation.watershed(-distance, seeds, mask=mask)
    cells = segmentation.expand_labels(nuclei, 8)
    names = ("label", "area", "centroid", "intensity_mean", "intensity_max")
    for labels in (nuclei, cells, np.where(nuclei > 0, 0, cells)):
        measure.regionprops_table(labels, intensity_image=stains[..., 2], properties=names)
    return len(peaks)


def jpegs(rgb: np.ndarray) -> list[bytes]:
    """Tiles of 256 px as slides hold them."""
    import imagecodecs

    rows, columns = rgb.shape[0] // 256, rgb.shape[1] // 256
    corners = [(256 * row, 256 * column) for row in range(rows) for column in range(columns)]
    return [imagecodecs.jpeg_encode(rgb[y : y + 256, x : x + 256].copy(), level=QUALITY) for y, x in corners]


def decode(tiles: list[bytes]) -> None:
    """Decode and do nothing else."""
    import imagecodecs

    for tile in tiles:
        imagecodecs.jpeg_decode(tile)


def contest(rgb: np.ndarray, rounds: int) -> str:
    """Run all contenders in alternation; say whether kernels and plain steps agree."""
    plain, fast = plan_of(rgb, tools.plain), plan_of(rgb, tools.fast)
    hue = plan_of(rgb, tools.fast, nuclei_by="hue")
    tiles = jpegs(rgb)
    found(rgb, hue)
    ours, theirs = found(rgb, fast), found(rgb, plain)
    runs: dict[str, Callable[[], object]] = {
        "plain steps": lambda: found(rgb, plain),
        "kernels": lambda: found(rgb, fast),
        "kernels, membrane markers": lambda: found(rgb, hue),
        "naive scikit-image": lambda: naive(rgb),
        "JPEG decoding alone": lambda: decode(tiles),
    }
    seconds = alternate(runs, rounds)
    base = statistics.median(seconds["naive scikit-image"])
    lines = ["| pipeline | MP/s per core | range | against naive |", "|---|---|---|---|"]
    for name, times in seconds.items():
        rates = sorted(rgb.shape[0] * rgb.shape[1] / 1e6 / one for one in times)
        middle = statistics.median(times)
        own = f"{rates[len(rates) // 2]:.3g} | {rates[0]:.3g}-{rates[-1]:.3g} | {base / middle:.3g}"
        lines.append(f"| {name} | {own} |")
    same = all(np.array_equal(one, other) for one, other in zip(ours[1:], theirs[1:], strict=True))
    same &= np.array_equal(ours[0].mean, theirs[0].mean) and np.array_equal(ours[0].middle, theirs[0].middle)
    ratio = statistics.median(seconds["kernels"]) / statistics.median(seconds["JPEG decoding alone"])
    agree = "give the same labels and numbers" if same else "DISAGREE"
    note = f"{ours[0].count} cells; kernels and plain steps {agree}; kernels take {ratio:.3g}x the time of decoding."
    return "\n".join(lines) + f"\n\n{note}"


def alternate(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each contender, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            seconds[name].append(time.process_time() - begin)
    return seconds


def stages(rgb: np.ndarray, rounds: int = 3) -> str:
    """Time every step of both sets while the whole recipe runs; what is left is numpy between the steps."""
    columns = {}
    for name, steps in (("plain", tools.plain), ("kernels", tools.fast)):
        best: dict[str, float] = {}
        for _ in range(rounds):
            spent, total = timed(rgb, steps())
            spent["between the steps"] = total - sum(spent.values())
            spent["all"] = total
            best = spent if not best or total < best["all"] else best
        columns[name] = best
    lines = ["| step | plain | kernels | ratio |", "|---|---|---|---|"]
    for step, seconds in sorted(columns["kernels"].items(), key=lambda item: -item[1]):
        one, other = (value * 1e9 / (rgb.shape[0] * rgb.shape[1]) for value in (columns["plain"][step], seconds))
        lines.append(f"| {step} | {one:.1f} | {other:.1f} | {one / max(other, 1e-9):.1f} |")
    return "\n".join(lines)


def timed(rgb: np.ndarray, steps: tools.Tools) -> tuple[dict[str, float], float]:
    """CPU seconds of each step over one run, and of the run."""
    spent: Counter[str] = Counter()

    def watched(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            begin = time.thread_time()
            try:
                return step(*args, **kwargs)
            finally:
                spent[name] += time.thread_time() - begin

        return run

    names = [field.name for field in dataclasses.fields(steps)]
    observed = dataclasses.replace(steps, **{name: watched(name, getattr(steps, name)) for name in names})
    plan = plan_of(rgb, lambda: observed)
    begin = time.thread_time()
    found(rgb, plan)
    return dict(spent), time.thread_time() - begin


def threads(images: list[np.ndarray], rounds: int) -> str:
    """Two images one after the other, and in two threads of one process."""
    plans = [plan_of(rgb, tools.fast) for rgb in images]
    walls: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for count in walls:
            with ThreadPoolExecutor(count) as pool:
                begin = time.perf_counter()
                list(pool.map(found, images, plans))
                walls[count].append(time.perf_counter() - begin)
    one, two = (statistics.median(walls[count]) for count in (1, 2))
    return f"| threads | wall s |\n|---|---|\n| 1 | {one:.3f} |\n| 2 | {two:.3f} ({one / two:.2f}x) |"


def first_calls(rgb: np.ndarray) -> str:
    """Overhead of the first call with an empty and with a filled cache of compiled kernels."""
    lines = ["| call | empty cache: CPU s | filled cache: median | lowest, highest of 9 |", "|---|---|---|---|"]
    for name, code in FIRST_CALLS.items():
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "simulated.png"
            Image.fromarray(rgb).save(picture)
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
            command = [sys.executable, "-c", code, str(picture)]
            cold, *warm = (
                float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
                for _ in range(10)
            )
        middle = statistics.median(warm)
        lines.append(f"| {name} | {cold:.1f} | {middle:.2f} | {min(warm):.2f}, {max(warm):.2f} |")
    return "\n".join(lines)


def machine() -> str:
    """Say what this ran on, and how busy it was: figures of a shared machine move by a factor."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores{load}, 0.5 um/px, JPEG quality {QUALITY}."


if __name__ == "__main__":
    main()
