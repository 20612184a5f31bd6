"""Score many slides so that it can be left alone: planned, isolated, resumed, and told truthfully."""

from __future__ import annotations

import fnmatch
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from biomarkers.core.config import load_assay
from biomarkers.core.errors import EnvironmentFailure, UsageError, did_you_mean
from biomarkers.core.files import sha256
from biomarkers.core.keys import FAILED, SKIPPED_BY_USER, SLIDE_STATUSES
from biomarkers.core.panel import load_panel
from biomarkers.core.provenance import run_record, versions, write_run_json
from biomarkers.core.result import Overview, Result
from biomarkers.core.sources import is_url, name_of, size_of
from biomarkers.run.plan import SlideTask, label_file, plan_inputs, plan_tasks, with_scenes
from biomarkers.run.pool import Worker, default_memory_bytes, look_at_all, score_jobs
from biomarkers.run.settings import PER_IMAGE, ScoreSettings, WorkSettings, canonical, split_settings
from biomarkers.run.shared_gates import score_with_shared_gates
from biomarkers.run.state import STATE_FOLDER, RunState, settings_key
from biomarkers.run.tables import scores_table, slides_table, write_left_out, write_tables
from biomarkers.run.walk import LeftOut
from biomarkers.run.worker import Job, Outcome

if TYPE_CHECKING:
    import pandas as pd

# for a first guess of how long a run takes: seconds a slide beside its pixels, and pixels a second
_START_S, _SLIDE_S = 3.0, 0.1
_LEAST_BYTES_A_SLIDE = 20_000
_WHOLE_PIXELS, _TILE_PIXELS_A_S, _WHOLE_PIXELS_A_S = 25_000_000, 2e6, 20e6


@dataclass(frozen=True, repr=False)
class BatchResult(Result):
    """What a batch came to. ``slides`` has one row an input, ``scores`` the tidy scores, ``out`` the folder.

    ``left_out`` are files among the inputs that are no image or of a format that is not read, with the reason.
    """

    slides: pd.DataFrame
    scores: pd.DataFrame
    out: Path
    n_resumed: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of slides by status, in the order of severity."""
        found = Counter(self.slides["status"])
        return {status: found[status] for status in SLIDE_STATUSES if found[status]}

    @property
    def n_failed(self) -> int:
        """Number of slides that could not be scored."""
        return self.counts.get(FAILED, 0)

    @property
    def table(self) -> pd.DataFrame:
        """The same as ``scores``."""
        return self.scores

    def _overview(self) -> Overview:
        summary = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return Overview(f"{len(self.slides)} slides: {summary}", self.slides)


def score_batch(
    inputs: Sequence[str | Path], *, out: str | Path, progress: bool = True, **settings: Any
) -> BatchResult:
    """Score slides, tiles or folders of them; goes on where an earlier run into the same folder stopped.

    Parameters
    ----------
    inputs
        Image files, folders, globs or CSV manifests (``path, patient, timepoint, assay, mpp, annotations``).
    out
        The folder for ``slides.csv``, ``scores.csv``, ``cells/``, ``overlays/``, ``geojson/``,
        ``sensitivity/``, ``stain/`` and ``run.json``.
    progress
        Show a progress bar on standard error.
    **settings
        The fields of :class:`~biomarkers.run.settings.ScoreSettings` (``assay, mpp, annotations, classifier,
        assume_tumor, marker, thresholds, stain, panel, gates, labels, segmenter, classes``) and
        :class:`~biomarkers.run.settings.WorkSettings` (``workers, timeout_s, memory_gb, overlays, skip``, ...).

    Raises
    ------
    UsageError
        An input or a setting is wrong, or the folder holds results of other settings; nothing was written.
    EnvironmentFailure
        The folder is locked, cannot be written, or the disk is full. What was finished is kept.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> run = bm.score_batch([tile], out="run", progress=False, assay="22c3", assume_tumor=True, workers=1)
    >>> len(run.slides), (run.out / "scores.csv").is_file()
    (1, True)
    """
    folder = Path(out)
    per_image = settings.get("gates") == PER_IMAGE
    given = {**settings, "gates": None} if per_image else settings
    shares = given.get("panel") is not None and given.get("gates") is None and not per_image
    if shares and len(plan_tasks(inputs, exclude=folder, channels=True)) > 1:

        def run(into: Path, chosen: Mapping[str, Any]) -> BatchResult:
            return _score_batch(inputs, into, progress=progress, settings=chosen, exclude=folder)

        result: BatchResult = score_with_shared_gates(run, out=folder, settings=given)
        return result
    return _score_batch(inputs, folder, progress=progress, settings=given, exclude=folder)


def _score_batch(
    inputs: Sequence[str | Path], folder: Path, *, progress: bool, settings: Mapping[str, Any], exclude: Path
) -> BatchResult:
    score, work = _checked(settings)
    planned = plan_inputs(inputs, exclude=exclude, channels=score.panel is not None)
    tasks = planned.tasks
    _check_assays(tasks, score)
    with _started(work, len(tasks)) as workers:
        pixels = look_at_all([task.location for task in tasks if not is_url(task.path)], workers=workers)
        if score.panel is None:  # the channels of a panel may be images of their own
            tasks = with_scenes(tasks, pixels)
        tasks = _with_annotations(tasks, score.annotations)
        meaning = canonical(score)
        state = RunState(folder)
        with state.locked():
            state.hold_settings(meaning)
            jobs = [_job(task, score, work, meaning, folder, pixels) for task in tasks]
            parts, todo = _sort_out(jobs, state, skip=work.skip)
            n_resumed = sum(part["key"] is not None for part in parts.values())
            if progress:
                click.echo(_announcement(todo, n_resumed, work), err=True)
            _remove_leftovers(folder)
            try:
                state.hold_jobs(jobs)
                for job, part in _progress(_run(todo, work, workers), total=len(todo), wanted=progress):
                    parts[job["slide"]] = part
                _drop_stale_files(state, parts)
                shutil.rmtree(state.folder / "regions", ignore_errors=True)
                write_tables(tasks, parts, folder)
                write_left_out(planned.left_out, folder)
                record = _record(jobs, parts, meaning, work, folder)
                write_run_json({**record, "left_out": [vars(one) for one in planned.left_out]}, folder)
            except EnvironmentFailure as error:
                raise _with_need(error, parts, len(jobs), folder) from error
            finally:
                for worker in workers:
                    worker.close()  # before what it was writing is removed
                _remove_leftovers(folder)
    return BatchResult(slides_table(tasks, parts), scores_table(parts), folder, n_resumed, planned.left_out)


@contextmanager
def _started(work: WorkSettings, n_tasks: int) -> Iterator[list[Worker]]:
    """Start the worker processes; on a cluster, one of them here reads the headers."""
    here = 1 if work.scheduler or work.cluster else min(work.workers, n_tasks)
    memory = default_memory_bytes(here) if work.memory_gb is None else work.memory_gb * 1e9
    workers = [Worker(timeout_s=work.timeout_s, memory_bytes=memory) for _ in range(here)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.close()


def _checked(settings: Mapping[str, Any]) -> tuple[ScoreSettings, WorkSettings]:
    known = {*ScoreSettings.model_fields, *WorkSettings.model_fields}
    for name in settings:
        if name not in known:
            raise UsageError(f"unknown setting {name!r}", allowed=sorted(known), hint=did_you_mean(name, known))
    score, work = split_settings(settings)
    if work.scheduler is not None:
        from biomarkers.run.cluster import check_address

        check_address(work.scheduler, insecure=work.insecure)
    return score, work


def _with_annotations(tasks: Sequence[SlideTask], annotations: str | None) -> tuple[SlideTask, ...]:
    """Give each slide its annotation file: its manifest's, or ``<slide>.geojson`` of a folder, or the one named."""
    if annotations is None:
        return tuple(tasks)
    path = Path(annotations)
    if path.is_file():
        if len(tasks) > 1:
            raise UsageError(
                "one annotation file cannot serve several slides",
                where=path,
                seen=f"{len(tasks)} slides",
                hint="Name a folder with one <slide>.geojson a slide, or a manifest with a column 'annotations'.",
            )
        return tuple(replace(task, annotations=task.annotations or path) for task in tasks)
    if not path.is_dir():
        raise UsageError("--annotations: no such file or folder", where=path)
    named = {task: path / f"{task.file_stem}.geojson" for task in tasks}
    if not any(file.is_file() for file in named.values()):
        raise UsageError(
            "the folder has no annotation file for any slide", where=path, allowed=f"{tasks[0].file_stem}.geojson, ..."
        )
    return tuple(
        replace(task, annotations=task.annotations or (file if file.is_file() else None))
        for task, file in named.items()
    )


def _check_assays(tasks: Iterable[SlideTask], score: ScoreSettings) -> None:
    if score.panel is not None:
        from biomarkers.score.multiplex_slide import check_rules

        brightfield = ("assay", "classifier", "assume_tumor", "marker", "thresholds", "stain", "segmenter")
        given = [name for name in brightfield if getattr(score, name)]
        if given or any(task.assay for task in tasks):
            raise UsageError("a panel takes the assay's place", seen=given or "an assay in the manifest")
        check_rules(load_panel(score.panel))  # before any image is read
        return
    for option, value in (("gates", score.gates), ("labels", score.labels)):
        if value is not None:
            raise UsageError(f"--{option} needs a panel", where=value, hint="Name it with --panel.")
    if score.segmenter is not None:
        from biomarkers.seg.plugin import load_segmenter

        load_segmenter(score.segmenter)  # refused before anything is scored
    for task in tasks:
        name = task.assay or score.assay
        if name is None:
            raise UsageError(
                "no assay given",
                where=task.file,
                hint="Name one with --assay (see 'biomarkers assays'), or in the manifest's column 'assay'.",
            )
        assay = load_assay(name)
        if score.thresholds is not None and Path(score.thresholds).is_file():
            from biomarkers.score.anchor import read_thresholds

            read_thresholds(Path(score.thresholds), assay=assay, marker=score.marker or assay.marker)


def _job(
    task: SlideTask,
    score: ScoreSettings,
    work: WorkSettings,
    meaning: Mapping[str, Any],
    out: Path,
    pixels: Mapping[str, Sequence[int]],
) -> Job:
    location = task.location
    annotations = None if task.annotations is None else sha256(task.annotations)
    own: dict[str, Any] = {"slide": task.slide, "assay": task.assay, "mpp": task.mpp, "annotations": annotations}
    labels = None if score.labels is None else label_file(Path(score.labels), task)
    if labels is not None:
        own["labels"] = sha256(labels)
    if task.assay is not None:
        own["assay"] = load_assay(task.assay).model_dump(mode="json")
    settings = {"run": meaning, "slide": own, "overlays": work.overlays}
    files = {
        key: str(Path(value).absolute())
        for key, value in score.model_dump(
            include={"classes", "classifier", "thresholds", "stain", "panel", "gates"}
        ).items()
        if value is not None
    }
    return {
        **score.model_dump(),
        **files,
        "slide": task.slide,
        "file_stem": task.file_stem,
        "path": location,
        "bytes": size_of(location),
        "pixels": (pixels.get(location) or [0])[task.scene or 0],
        "assay": task.assay or score.assay,
        "mpp": task.mpp if task.mpp is not None else score.mpp,
        "annotations": None if task.annotations is None else str(task.annotations.absolute()),
        "labels": None if labels is None else str(labels.absolute()),
        "overlays": work.overlays,
        "threads": work.threads,
        "scene": task.scene,
        "out": str(out.absolute()),
        "meaning": settings_key(settings, versions()["biomarkers"]),
        "sha256": None,  # of the image's bytes: read when it is scored, so that a batch of whole slides starts at once
    }


def _skipped(job: Job, patterns: Sequence[str]) -> Outcome | None:
    """Return the part of a slide that the user leaves out."""
    names = (job["slide"], name_of(job["path"]))
    for pattern in patterns:
        if any(fnmatch.fnmatchcase(name, pattern) for name in names):
            row = {"slide": job["slide"], "status": SKIPPED_BY_USER, "reason": f"left out by --skip {pattern}"}
            return {"key": None, "sha256": None, "row": row, "scores": [], "files": [], "record": {}}
    return None


def _sort_out(jobs: Sequence[Job], state: RunState, *, skip: Sequence[str]) -> tuple[dict[str, Outcome], list[Job]]:
    parts: dict[str, Outcome] = {}
    todo = []
    for job in jobs:
        part = _skipped(job, skip) or state.finished(job)
        if part is None:
            todo.append(job)
        else:
            parts[job["slide"]] = part
    return parts, todo


def _run(todo: Sequence[Job], work: WorkSettings, workers: Sequence[Worker]) -> Iterator[tuple[Job, Outcome]]:
    if not todo:
        return
    steps = _with_regions(todo, work.regions)
    if work.scheduler is not None or work.cluster is not None:
        from biomarkers.run.cluster import connected, score_on_cluster

        limit = None if work.memory_gb is None else work.memory_gb * 1e9
        shared = Path(todo[0]["out"]) / STATE_FOLDER
        toml = None if work.cluster is None else Path(work.cluster)
        with connected(scheduler=work.scheduler, cluster=toml, insecure=work.insecure, shared=shared) as client:
            yield from score_on_cluster(steps, client=client, timeout_s=work.timeout_s, memory_bytes=limit)
        return
    yield from score_jobs(steps, workers=workers)


def _with_regions(todo: Sequence[Job], count: int) -> list[Job]:
    """Put the regions of whole slides before them, those of the next slide first: nobody waits for the last region."""
    split = [
        [{**job, "region": [part, count]} for part in range(count)]
        if count > 1 and job["pixels"] > _WHOLE_PIXELS and job["panel"] is None
        else []
        for job in todo
    ]
    steps = split[0] if split else []
    for job, following in zip(todo, [*split[1:], []], strict=True):
        steps = [*steps, *following, job]
    return steps


def _announcement(todo: Sequence[Job], n_resumed: int, work: WorkSettings) -> str:
    size = sum(job["bytes"] for job in todo)
    many = work.scheduler or work.cluster
    who = "a cluster" if many else f"{work.workers} worker{'s' * (work.workers > 1)}"
    earlier = f"; {n_resumed} finished earlier" if n_resumed else ""
    largest = max((job["pixels"] for job in todo), default=0)
    sized = f"{_in_unit(size, 'B')} (largest {_in_unit(largest, 'px')})" if largest else _in_unit(size, "B")
    lines = [f"{len(todo)} to score, {sized}, {who}{earlier}"]
    if todo and not many:
        lines.append(f"about {_duration(_guessed_s(todo, work))} if the tissue is typical; the bar corrects this")
    absent = sum(not is_url(job["path"]) and not Path(job["path"]).exists() for job in todo)
    if absent:
        lines.append(f"{absent} of them are not there and will be failed rows")
    return "\n".join(lines)


def _guessed_s(todo: Sequence[Job], work: WorkSettings) -> float:
    """Guess from the pixels alone (docs/scaling.md has the rates); nobody has looked at the tissue yet."""
    each = [
        _SLIDE_S + job["pixels"] / (_WHOLE_PIXELS_A_S if job["pixels"] > _WHOLE_PIXELS else _TILE_PIXELS_A_S)
        for job in todo
    ]
    return max(math.fsum(each) / work.workers, max(each)) + _START_S


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _in_unit(count: float, unit: str) -> str:
    power = 0
    while count >= 999.5 and power < 4:
        count, power = count / 1000, power + 1
    return f"{count:,.3g} {' kMGT'[power].strip()}{unit}"


def _record(
    jobs: Sequence[Job], parts: Mapping[str, Outcome], meaning: Mapping[str, Any], work: WorkSettings, out: Path
) -> dict[str, Any]:
    record = run_record("score", settings=meaning)
    record["inputs"] = [
        {"name": name_of(job["path"]), "sha256": parts[job["slide"]]["sha256"], "bytes": job["bytes"]} for job in jobs
    ]
    record["slides"] = {slide: parts[slide]["record"] for slide in sorted(parts)}
    record["work"] = work.model_dump(exclude={"scheduler", "cluster"})
    record["outputs"] = {name: sha256(out / name) for name in ("slides.csv", "scores.csv")}
    for slide in sorted(parts):  # hashed where they were written, so that whole slides' cells are not read again
        hashes = parts[slide].get("hashes", {})
        record["outputs"] |= {name: hashes.get(name) or sha256(out / name) for name in parts[slide]["files"]}
    return record


def _progress(outcomes: Iterable[tuple[Job, Outcome]], *, total: int, wanted: bool) -> Iterable[tuple[Job, Outcome]]:
    from tqdm import tqdm

    return tqdm(outcomes, total=total, desc="scoring", unit="slide", disable=not wanted or total == 0)


def _with_need(
    error: EnvironmentFailure, finished: Mapping[str, Outcome], n_slides: int, out: Path
) -> EnvironmentFailure:
    """Say how much room the rest will take, judged by what the finished slides took."""
    if "disk is full" not in str(error):
        return error
    parts = [part for part in finished.values() if part["files"]]
    left = n_slides - len(parts)
    if not parts:
        least = left * _LEAST_BYTES_A_SLIDE
        return EnvironmentFailure(
            f"{error} None of {left} slides is finished yet; they need more than {least:,} bytes."
        )
    each = sum((out / name).stat().st_size for part in parts for name in part["files"]) / len(parts)
    return EnvironmentFailure(
        f"{error} The {len(parts)} slides finished are kept; the {left} left need about {left * each:,.0f} bytes."
    )


def _remove_leftovers(out: Path) -> None:
    """Remove temporary files of a run that was killed; the lock is ours, so nobody is writing them."""
    inner = ("cells", "overlays", "thumbnails", "geojson", "gates", "sensitivity", "stain", STATE_FOLDER)
    for folder in (out, out / STATE_FOLDER / "parts", *(out / name for name in inner)):
        for path in folder.glob(".*.tmp*"):
            path.unlink(missing_ok=True)


def _drop_stale_files(state: RunState, parts: Mapping[str, Outcome]) -> None:
    """Remove what an earlier run made of slides that now fail or have left the inputs; no other file is touched."""
    wanted = {name for part in parts.values() for name in part["files"]}
    finished = {part["key"] for part in parts.values() if part["row"]["status"] != FAILED}
    for path, part in state.parts():
        for name in set(part["files"]) - wanted:
            (state.out / name).unlink(missing_ok=True)
        if part["key"] not in finished:
            path.unlink(missing_ok=True)
