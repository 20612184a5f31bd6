"""Does a finished run still say what its inputs say? Outputs are hashed again, and some slides are scored again."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biomarkers.core.errors import SlideError
from biomarkers.core.files import sha256
from biomarkers.core.finished import difference, read_record
from biomarkers.core.keys import FAILED
from biomarkers.core.sources import digest_of
from biomarkers.run.pool import Worker
from biomarkers.run.state import RunState
from biomarkers.run.worker import Job

_TIMEOUT_S = 4 * 3600.0


@dataclass(frozen=True)
class Verification:
    """What was compared and what differs; ``problems`` is empty when everything holds."""

    n_outputs: int
    rescored: tuple[str, ...]
    problems: tuple[str, ...]


def verify_run(folder: str | Path, *, sample: int = 5, seed: int = 0) -> Verification:
    """Hash every output again, and score a random sample of the slides again from their images.

    Parameters
    ----------
    folder
        An output folder of ``biomarkers score``.
    sample
        Number of scored slides to score again.
    seed
        Chooses them.

    Raises
    ------
    UsageError
        The folder holds no finished run.
    DataError
        The run's record was changed so that it cannot be read.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> run = bm.score_batch([tile], out="run", progress=False, assay="22c3", assume_tumor=True, workers=1)
    >>> found = bm.verify_run("run", sample=1)
    >>> found.rescored, found.problems
    (('simulated_SIM-001_baseline_PD-L1',), ())
    """
    out = Path(folder)
    record = read_record(out)
    state = RunState(out)
    problems = [problem for name, digest in record["outputs"].items() if (problem := difference(out, name, digest))]
    chosen = sampled_jobs(out, sample=sample, seed=seed)
    worker = Worker(timeout_s=_TIMEOUT_S, memory_bytes=float("inf"))
    try:
        for job in chosen:
            problems += _scored_again(job, state, worker)
    finally:
        worker.close()
    return Verification(len(record["outputs"]), tuple(job["slide"] for job in chosen), tuple(problems))


def sampled_jobs(folder: str | Path, *, sample: int, seed: int) -> list[Job]:
    """Choose finished slides of a run at random, in the order of their names."""
    state = RunState(Path(folder))
    jobs = [job for job in state.jobs() if (state.part(job["file_stem"])).is_file()]
    chosen = random.Random(seed).sample(jobs, min(sample, len(jobs)))  # noqa: S311
    return sorted(chosen, key=lambda job: str(job["slide"]))


def _scored_again(job: Job, state: RunState, worker: Worker) -> list[str]:
    slide = job["slide"]
    held = json.loads(state.part(job["file_stem"]).read_text(encoding="utf-8"))
    try:
        image = digest_of(job["path"])
    except (OSError, SlideError):
        return [f"{slide}: its image is gone, cannot be scored again"]
    if image != held["sha256"]:
        return [f"{slide}: its image was changed after the run"]
    with tempfile.TemporaryDirectory() as scratch:
        again = worker.ask({**job, "out": scratch})
        if "environment" in again or again["row"]["status"] == FAILED:
            return [f"{slide}: now fails: {again.get('environment') or again['row']['reason']}"]
        found = [f"{slide}: {text}" for text in _row_differences(held["row"], again["row"])]
        if _text(held["scores"]) != _text(again["scores"]):
            found.append(f"{slide}: its scores differ")
        there = [name for name in held["files"] if (state.out / name).is_file()]  # a lost file was reported above
        found += [
            f"{slide}: {name} differs" for name in there if sha256(Path(scratch) / name) != sha256(state.out / name)
        ]
    return found


def _row_differences(held: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    keys = [key for key in {**held, **again} if _text(held.get(key)) != _text(again.get(key))]
    return [f"{key} was {held.get(key)!r}, is {again.get(key)!r}" for key in keys]


def _text(value: Any) -> str:
    """Give values a form in which a missing number equals a missing number."""
    return json.dumps(value, sort_keys=True)
