"""Damaged inputs by the thousand: none may crash, hang, or move a score without a word.

    make fuzz                     300 inputs, a few minutes
    make fuzz N=10000 SEED=1      a longer run
    python benchmarks/fuzz.py --only 4711   one input again; its file is kept

Each input is used in a child process with limits of time and memory, as the workers of a batch are. Findings are
printed with their seed. Exit code 1 where there are any.
"""

from __future__ import annotations

import argparse
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from fuzz_inputs import Kind, damaged, write_inputs

LIMIT_S, MEMORY_BYTES, MOVED = 60.0, 8_000_000_000, 0.02


class Child:
    """A process that uses inputs one after another; started again when it ends or hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def use(self, kind: Kind, path: Path) -> dict[str, Any]:
        """Return what came of an input, ``{"outcome": "crash" | "hang"}`` where the process did not answer."""
        if self._process is None:
            command = [sys.executable, __file__, "--child"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=lambda: answers.put(process.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
        process.stdin.write(json.dumps({"use": kind.use, "path": str(path)}) + "\n")
        process.stdin.flush()
        line = self._awaited(process, answers)
        if line is None:
            self.close()
            return {"outcome": "hang"}
        if line:
            return dict(json.loads(line))
        code = process.wait()
        self._process = None
        return {"outcome": "crash", "code": code}

    @staticmethod
    def _awaited(process: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> str | None:
        """Wait for an answer; None where the process worked for longer than allowed, or did nothing for as long."""
        started, watched = time.monotonic(), psutil.Process(process.pid)
        before = sum(watched.cpu_times()[:2])
        while True:
            try:
                return answers.get(timeout=1.0)
            except queue.Empty:
                try:
                    worked = sum(watched.cpu_times()[:2]) - before
                except psutil.NoSuchProcess:
                    continue
                if worked > LIMIT_S or time.monotonic() - started > 20 * LIMIT_S:
                    return None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def child() -> None:
    """Use inputs that are named on standard input."""
    import logging
    import os
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        message = json.loads(line)
        replies.write(json.dumps(_used(message["use"], Path(message["path"]))) + "\n")
        replies.flush()


def _used(use: str, path: Path) -> dict[str, Any]:
    from biomarkers.core.errors import BiomarkersError

    try:
        return {"outcome": "read", **_USES[use](path)}
    except BiomarkersError as error:
        return {"outcome": "refused", "reason": str(error)[:300]}
    except MemoryError:
        return {"outcome": "memory"}
    except Exception as error:  # noqa: BLE001  (whatever it is, it is a finding)
        return {"outcome": "unexpected", "reason": f"{type(error).__name__}: {error}"[:300]}


def _image(path: Path) -> dict[str, Any]:
    from biomarkers.io import open_slide
    from biomarkers.score import score_slide

    with open_slide(path, scene=0) as slide:
        if slide.size[0] * slide.size[1] > 4_000_000:
            return {"status": "large", "fraction": None, "said": []}
    row = score_slide(path, assay="22c3", assume_tumor=True, scene=0).row
    said = [*str(row["reason"]).split("; "), f"padding {row['padding_share']:.2f}"]
    return {"status": row["status"], "fraction": row["positive_fraction"], "said": said}


def _open(path: Path) -> dict[str, Any]:
    from biomarkers.io import open_slide

    with open_slide(path, scene=0) as slide:
        level = len(slide.levels) - 1
        wide, tall = slide.levels[level].width, slide.levels[level].height
        slide.read_region(0, 0, min(wide, 1024), min(tall, 1024), level=level)
    return {"status": "opened", "fraction": None, "said": []}


def _annotations(path: Path) -> dict[str, Any]:
    from biomarkers.io.annotations import check_inside, read_annotations
    from biomarkers.pheno.annotations_apply import region_masks

    drawn = read_annotations(path)
    check_inside(drawn, width=320, height=320)
    masks = region_masks(drawn, shape=(320, 320), origin=(0, 0), downsample=1.0)
    return {"status": "read", "fraction": None, "said": [*drawn.notes, *map(str, masks)]}


def _table(path: Path) -> dict[str, Any]:
    from biomarkers.io.cell_tables.read import import_cells

    cells = import_cells(path)
    return {"status": "read", "fraction": None, "said": [str(cells.n_obs)]}


_USES = {"image": _image, "open": _open, "annotations": _annotations, "table": _table}


def finding(sound: dict[str, Any], found: dict[str, Any]) -> str:
    """Say what is wrong with what came of a damaged input; empty where nothing is."""
    if found["outcome"] in ("crash", "hang", "unexpected", "memory"):
        return f"{found['outcome']} {found.get('reason', found.get('code', ''))}"
    before, after = sound.get("fraction"), found.get("fraction")
    if found["outcome"] == "read" and before is not None and after is not None and abs(after - before) > MOVED:
        told = {one for one in found["said"] if not any(one[:24] == known[:24] for known in sound["said"])}
        padding = {one for one in found["said"] if one.startswith("padding")} - set(sound["said"])
        if not told and not padding:
            return f"positive fraction {before:.3f} became {after:.3f} without a flag ({found['status']})"
    return ""


def main() -> int:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--kind")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        child()
        return 0
    work = Path(tempfile.mkdtemp(prefix="biomarkers-fuzz-"))
    kinds = [one for one in write_inputs(work / "sound") if options.kind in (None, one.name)]
    (work / "damaged").mkdir()
    worker = Child()
    sound = {kind.name: worker.use(kind, kind.path) for kind in kinds}
    for name, one in sound.items():
        print(f"{name}: {one}"[:160])
    numbers = (
        [options.only]
        if options.only is not None
        else range(options.seed * 1_000_000, options.seed * 1_000_000 + options.n)
    )
    outcomes: Counter[tuple[str, str]] = Counter()
    findings = []
    started = time.monotonic()
    for number in numbers:
        kind = kinds[number % len(kinds)]
        path = damaged(kind, work / "damaged", seed=number)
        found = worker.use(kind, path)
        outcomes[kind.name, str(found["outcome"])] += 1
        problem = finding(sound[kind.name], found)
        if problem:
            findings.append((kind.name, number, problem))
            print(f"FINDING {kind.name} seed {number}: {problem}", flush=True)
        if options.only is not None:
            print(json.dumps(found, indent=1), path)
            return int(bool(problem))
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    worker.close()
    shutil.rmtree(work)
    for (name, outcome), count in sorted(outcomes.items()):
        print(f"{name:14} {outcome:10} {count}")
    print(f"{sum(outcomes.values())} inputs, {len(findings)} findings, {time.monotonic() - started:.0f} s")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
