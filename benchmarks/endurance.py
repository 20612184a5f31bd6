"""What a batch survives: bad slides, kills, full disks, a lost worker, a lost scheduler; and what isolation costs.

python benchmarks/endurance.py [--kills 20] [--only bad,kill,disk,cluster,overhead]

Writes nothing but what it prints; the figures stand in docs/scaling.md. The disk-full part mounts a small tmpfs and is
left out, with a word, where that is not allowed.
"""

import argparse
import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from PIL import Image

from biomarkers import render_hdab, score_slide, simulate_scene
from biomarkers.simulate.files import write_ome_tiff

COMMAND = (sys.executable, "-m", "biomarkers", "score")
TABLES = ("slides.csv", "scores.csv")
MPP = 0.5


def good_slides(folder: Path, n: int, *, size_px: int = 256) -> None:
    folder.mkdir(parents=True)
    for i in range(n):
        scene = simulate_scene(rng=2000 + i, size_px=size_px, tps=(0, 5, 30, 80)[i % 4])
        write_ome_tiff(folder / f"simulated_{i:03d}.ome.tif", render_hdab(scene, rng=2000 + i), mpp=MPP)


def bad_slides(folder: Path) -> dict[str, str]:
    """Twelve inputs that are wrong in twelve ways, with a word that their reason has to hold."""
    tile = np.asarray(render_hdab(simulate_scene(rng=1999, size_px=256), rng=1999))
    size = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    whole = (folder / "simulated_000.ome.tif").read_bytes()
    (folder / "bad_text.png").write_text("no image")
    (folder / "bad_page.svs").write_text("<!DOCTYPE html><html><title>Sign in</title></html>")
    (folder / "bad_empty.tif").write_bytes(b"")
    (folder / "bad_truncated.tif").write_bytes(whole[: len(whole) // 3])
    (folder / "bad_noise.svs").write_bytes(np.random.default_rng(7).bytes(20_000))
    Image.fromarray(tile).save(folder / "bad_no_mpp.png")
    Image.fromarray(tile).save(folder / "bad_72_dpi.png", dpi=(72, 72))
    Image.fromarray(np.full((256, 256, 3), 244, np.uint8)).save(folder / "bad_blank.png", dpi=(50_800, 50_800))
    tifffile.imwrite(folder / "bad_five_channels.tif", np.dstack([tile, tile[..., :2]]), photometric="minisblack",
                     planarconfig="contig", **size)  # fmt: skip
    Image.fromarray(tile).convert("1").save(folder / "bad_bitmap.png", dpi=(50_800, 50_800))
    with tifffile.TiffWriter(folder / "bad_lies.tif") as file:
        file.write(tile, photometric="rgb", metadata=None, **size)
    with tifffile.TiffFile(folder / "bad_lies.tif", mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(900_000)
    (folder / "bad_link.tif").symlink_to(folder / "nowhere.tif")
    return {
        "bad_text": "text", "bad_page": "HTML", "bad_empty": "empty", "bad_truncated": "", "bad_noise": "",
        "bad_no_mpp": "--mpp", "bad_72_dpi": "352", "bad_blank": "tissue", "bad_five_channels": "RGB",
        "bad_bitmap": "", "bad_lies": "", "bad_link": "",
    }  # fmt: skip


def run(folder: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, folder, "--assay", "22c3", "--assume-tumor", "--out", out, "--quiet", *more]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def tables(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in TABLES]


def mixed_folder(work: Path) -> None:
    folder, out = work / "mixed", work / "mixed-out"
    good_slides(folder, 48)
    expected = bad_slides(folder)
    done = run(folder, out, "--workers", 2)
    if not (out / "slides.csv").exists():
        sys.exit(done.stderr)
    slides = pd.read_csv(out / "slides.csv").set_index("slide")
    bad = slides.loc[list(expected)]
    right = sum(word in str(reason) for word, reason in zip(expected.values(), bad["reason"], strict=True))
    fine = slides.drop(index=list(expected))["status"].isin(["ok", "ok_with_warnings"]).sum()
    print(f"{len(slides)} rows for 60 inputs; {fine} scored; exit {done.returncode}; {right} of 12 reasons right")
    for name, row in bad.iterrows():
        print(f"    {name:18} {row['status']:14} {row['reason']}")


def kills(work: Path, n: int) -> None:
    folder = work / "kill"
    good_slides(folder, 24)
    started = time.monotonic()
    run(folder, work / "whole", "--workers", 2)
    whole, dice = time.monotonic() - started, np.random.default_rng(11)
    same = again = orphans = 0
    for i in range(n):
        out = work / f"killed-{i}"
        words = [*COMMAND, folder, "--assay", "22c3", "--assume-tumor", "--out", out, "--quiet", "--workers", 2]
        process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.2, whole))
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.3)
        made = {path: path.stat().st_mtime_ns for path in out.rglob("parts/[!.]*.json")}
        run(folder, out, "--workers", 2)
        same += tables(out) == tables(work / "whole")
        again += sum(path.stat().st_mtime_ns != when for path, when in made.items())
        orphans += len([path for path in out.rglob("*") if ".tmp" in path.name])
        shutil.rmtree(out)
    print(f"SIGKILL at {n} random instants of {whole:.0f} s: {same} resumed to identical bytes, "
          f"{again} finished slides scored again, {orphans} leftovers")  # fmt: skip


def full_disk(work: Path) -> None:
    folder = work / "disk"
    good_slides(folder, 24)
    run(folder, work / "disk-whole", "--workers", 2)
    need = sum(path.stat().st_size for path in (work / "disk-whole").rglob("*") if path.is_file())
    for share in (0.3, 0.6, 0.9):
        place = work / f"small-{share}"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={int(need * share)}", "tmpfs", str(place)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            print("disk full: no tmpfs may be mounted here, left out")
            return
        try:
            done = run(folder, place / "out", "--workers", 2)
            partial = [path for path in (place / "out").rglob("*.parquet") if not _readable(path)]
            said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "nothing"
            subprocess.run(["mount", "-o", f"remount,size={need * 3}", str(place)], check=True)
            resumed = run(folder, place / "out", "--workers", 2)
            same = tables(place / "out") == tables(work / "disk-whole")
        finally:
            subprocess.run(["umount", str(place)], check=True)
        print(f"disk full at {share:.0%}: exit {done.returncode}, {len(partial)} partial files; with room again: "
              f"exit {resumed.returncode}, identical {same}\n    {said}")  # fmt: skip


def _readable(path: Path) -> bool:
    try:
        pd.read_parquet(path)
    except OSError:
        return False
    return True


def cluster(work: Path) -> None:
    folder = work / "cluster"
    good_slides(folder, 30)
    run(folder, work / "alone")
    for victim in ("worker", "scheduler"):
        with _dask(work) as (address, scheduler, workers):
            words = [*COMMAND, folder, "--assay", "22c3", "--assume-tumor", "--out", work / victim, "--quiet"]
            process = subprocess.Popen([*map(str, words), "--scheduler", address], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)  # fmt: skip
            _wait_for_part(work / victim)
            (workers[0] if victim == "worker" else scheduler).kill()
            killed = time.monotonic()
            process.communicate(timeout=300)
            took = time.monotonic() - killed
        code = process.returncode
        if victim == "scheduler":
            run(folder, work / victim)
        same = tables(work / victim) == tables(work / "alone")
        print(f"{victim} killed mid-run: exit {code} after {took:.1f} s, tables identical {same}"
              f"{' after resuming' if victim == 'scheduler' else ''}")  # fmt: skip


def _wait_for_part(out: Path) -> None:
    for _ in range(600):
        if any(out.rglob("parts/[!.]*.json")):
            return
        time.sleep(0.1)


@contextlib.contextmanager
def _dask(work: Path):
    log = work / "scheduler.log"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
               "--no-dashboard"]  # fmt: skip
    with log.open("w") as stream:
        scheduler = subprocess.Popen(command, stderr=stream)
    address = None
    while address is None:
        time.sleep(0.2)
        found = re.search(r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)", log.read_text())
        address = found.group(1) if found else None
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard",
              "--host", "127.0.0.1", "--no-nanny", "--local-directory", str(work / "dask")]  # fmt: skip
    workers = [subprocess.Popen(worker, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        yield address, scheduler, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def overhead(work: Path) -> None:
    folder = work / "small"
    good_slides(folder, 100, size_px=96)
    paths = sorted(folder.iterdir())
    score_slide(paths[0], assay="22c3", assume_tumor=True)  # kernels compiled and loaded
    for _ in range(3):
        started, busy = time.monotonic(), time.process_time()
        for path in paths:
            score_slide(path, assay="22c3", assume_tumor=True)
        alone = (time.monotonic() - started) / len(paths)
        alone_cpu = (time.process_time() - busy) / len(paths)
        walls, cpus = [], []
        for n in (1, len(paths)):
            part = work / f"small-{n}"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for path in paths[:n]:
                os.link(path, part / path.name)
            shutil.rmtree(work / "small-out", ignore_errors=True)
            started, busy = time.monotonic(), _children_cpu()
            run(part, work / "small-out", "--workers", 2, "--no-overlays")
            walls.append(time.monotonic() - started)
            cpus.append(_children_cpu() - busy)
        cold = 2.0  # CPU seconds that the second worker's own imports take, which a run of one tile has not
        each_cpu = (cpus[1] - cpus[0] - cold) / (len(paths) - 1)
        print(f"CPU seconds: {each_cpu:.3f} a slide in all processes, {alone_cpu:.3f} of scoring, so overhead "
              f"{each_cpu - alone_cpu:.3f}; a run of one tile {cpus[0]:.1f}")  # fmt: skip
        each = (walls[1] - walls[0]) / (len(paths) - 1)
        print(f"100 tiles of 96 px, 2 workers: {each:.3f} s of wall a slide, {alone:.3f} s of scoring in-process, so "
              f"overhead {each - alone / 2:.3f} s; a run of one tile {walls[0]:.1f} s")  # fmt: skip


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--only", default="bad,kill,disk,cluster,overhead")
    options = parser.parse_args()
    parts = {"bad": mixed_folder, "kill": lambda work: kills(work, options.kills), "disk": full_disk,
             "cluster": cluster, "overhead": overhead}  # fmt: skip
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as work:
            parts[name](Path(work))


if __name__ == "__main__":
    main()
