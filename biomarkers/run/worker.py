"""The child process that opens and scores slides: a crash, a leak or a hang in here costs one slide, never the batch.

Speaks JSON lines: a question or a job on standard input, the answer on what was standard output. Run as
``python -m biomarkers.run.worker``. Ends with its parent, whatever ended that one: files stay whole or absent.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from biomarkers.core.errors import BiomarkersError, EnvironmentFailure
from biomarkers.core.files import atomic_path, sha256, write_text
from biomarkers.core.keys import FAILED
from biomarkers.core.sources import digest_of, local_copy
from biomarkers.run.state import RunState, content_key

Job = dict[str, Any]
Outcome = dict[str, Any]

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # whoever imports the package decides where its log goes


def main(score: Callable[[Job], Outcome] | None = None) -> None:
    """Score jobs until standard input ends."""
    from biomarkers.core.notice import announce_compilation  # numba: not in the parent, which imports this module too

    replies = _own_stdout()
    announce_compilation(os.fdopen(os.dup(2), "w", encoding="utf-8"))
    faulthandler.enable()  # a crash in native code leaves its Python stack in the slide's log
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it quotes tags, and those may name a patient
    sys.modules.setdefault("dask", None)  # type: ignore[arg-type]  # xarray would import it, and nothing here uses it
    run = score or score_job
    for line in _lines_of_parent():
        message = json.loads(line)
        answer = look_at(message["look"]) if "look" in message else _run_logged(message, run)
        replies.write(json.dumps(answer, default=plain) + "\n")
        replies.flush()


def look_at(path: str) -> dict[str, Any]:
    """Count the images of a file and their pixels, from its header.

    A file that cannot be opened counts as one image without pixels: scoring it says why.
    """
    from biomarkers.io import open_slide

    try:
        with open_slide(path, scene=0) as slide:
            return {"pixels": [scene.levels[0].width * scene.levels[0].height for scene in slide.scenes]}
    except Exception:  # noqa: BLE001  (whatever it is, it comes up again when the slide is scored, and is told then)
        return {"pixels": [0]}


def _run_logged(job: Job, run: Callable[[Job], Outcome]) -> Outcome:
    region = f".region{job['region'][0] + 1}" if "region" in job else ""
    _log_into(Path(job["out"]) / "logs" / f"{job['file_stem']}{region}.log")
    try:
        with local_copy(job["path"]) as path:
            here = {**job, "path": str(path)}
            return identified(here) or (keep_region(here) if region else run(here))
    except EnvironmentFailure as error:
        return {"environment": str(error)}
    except BiomarkersError as error:
        _log.error("failed: %s", error)
        return failed_part(job, str(error))


def _lines_of_parent() -> Iterator[str]:
    """Yield what the parent writes; when it is gone, leave at once, in the middle of a slide too.

    A slide that goes on being scored after its run was killed would race with the run that takes its place.
    """
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield lines.get()


def score_job(job: Job) -> Outcome:
    """Score one slide, write its files and then its finished part; the part's presence says that all of it stands."""
    started = time.monotonic()
    try:
        part = _score(job)
        _log.info("%s in %.2f s", part["row"]["status"], time.monotonic() - started)
        RunState(Path(job["out"])).keep(job["file_stem"], part)
    except EnvironmentFailure as error:
        return {"environment": str(error)}
    except BiomarkersError as error:
        _log.error("failed: %s", error)
        return failed_part(job, str(error).removeprefix(f"{job['path']}: "))  # the row names its file already
    except MemoryError:
        _log.exception("out of memory")
        return failed_part(job, "out of memory")
    except Exception as error:  # noqa: BLE001  (whatever a decoder raises is this slide's failure; the log has it whole)
        _log.exception("unexpected")
        return failed_part(job, f"unexpected {type(error).__name__}: {error}")
    return part


def keep_region(job: Job) -> Outcome:
    """Find the cells of a part of a slide; whatever fails is found and told when the slide is scored."""
    from biomarkers.run.whole import keep_region_of

    started = time.monotonic()
    try:
        _log.info("%d strips in %.2f s", keep_region_of(job), time.monotonic() - started)
    except EnvironmentFailure as error:
        return {"environment": str(error)}
    except Exception:  # noqa: BLE001  (the worker that scores the slide meets it again)
        _log.exception("this region is left to the worker that scores the slide")
    return {}


def identified(job: Job) -> Outcome | None:
    """Add the image's hash and the key of its result to a job; return the outcome if the file cannot be read."""
    try:
        job["sha256"] = digest_of(job["path"])
    except OSError as error:
        _log.error("failed: %s", error)
        return failed_part(job, f"the file cannot be opened: {error.strerror}")
    job["key"] = content_key(job["sha256"], job["meaning"])
    return None


def failed_part(job: Job, reason: str) -> Outcome:
    """Return the part of a slide that could not be scored. It is not kept: the next run tries again."""
    row = {"slide": job["slide"], "status": FAILED, "reason": reason}
    return {"key": job.get("key"), "sha256": job["sha256"], "row": row, "scores": [], "files": [], "record": {}}


def plain(value: Any) -> Any:
    """Turn numpy scalars and arrays into what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _score(job: Job) -> Outcome:
    from biomarkers.score.whole import is_whole

    if job.get("panel"):
        result, files = _score_panel(job)
        return _part(job, result, files)
    if is_whole(job["path"], scene=job.get("scene")):
        from biomarkers.run.whole import score_whole

        result, files = score_whole(job)
    else:
        result, files = _score_tile(job)
    from biomarkers.run.thumbnails import write_thumbnail

    return _part(job, result, [*files, *_write_basis(result, job), write_thumbnail(job, result)])


def _part(job: Job, result: Any, files: list[str]) -> Outcome:
    return {
        "key": job["key"],
        "sha256": job["sha256"],
        "row": {**result.row, "slide": job["slide"]},
        "scores": result.scores.to_dict("records"),
        "files": files,
        "hashes": {name: sha256(Path(job["out"]) / name) for name in files},
        "record": dict(result.record),
    }


def _score_tile(job: Job) -> tuple[Any, list[str]]:
    from biomarkers.core.config import load_assay
    from biomarkers.score.pipeline import score_slide

    result = score_slide(
        job["path"],
        assay=load_assay(job["assay"]),
        mpp=job["mpp"],
        annotations=job["annotations"],
        class_map=job.get("classes"),
        classifier=job["classifier"],
        assume_tumor=job["assume_tumor"],
        marker=job["marker"],
        thresholds=job["thresholds"],
        stain=job["stain"],
        segmenter=job.get("segmenter"),
        slide=job["slide"],
        scene=job.get("scene"),
    )
    return result, _write_files(result, job)


def _score_panel(job: Job) -> tuple[Any, list[str]]:
    from biomarkers.core.files import write_csv
    from biomarkers.score.gate_page import gate_page
    from biomarkers.score.multiplex_slide import score_multiplex

    result = score_multiplex(
        job["path"],
        panel=job["panel"],
        mpp=job["mpp"],
        annotations=job["annotations"],
        class_map=job.get("classes"),
        gates=job["gates"],
        labels=job["labels"],
        slide=job["slide"],
    )
    files = _write_files(result, job)
    gates = f"gates/{job['file_stem']}.csv"
    write_csv(result.gates, Path(job["out"]) / gates)
    files.append(gates)
    if job["overlays"] and result.cells.n_obs:
        files.append(f"gates/{job['file_stem']}.html")
        write_text(Path(job["out"]) / files[-1], gate_page(result))
    return result, files


def _write_basis(result: Any, job: Job) -> list[str]:
    """Write what the scores rest on: every score as a function of its cut, and the slide's white and stain vectors."""
    from biomarkers.core.files import write_csv
    from biomarkers.pp import StainReference, StainVectors, write_reference

    out, record = Path(job["out"]), result.record
    if not record.get("n_cells_found") or record.get("vectors") is None:
        return []
    curve, stain = (f"{folder}/{job['file_stem']}.{end}" for folder, end in (("sensitivity", "csv"), ("stain", "toml")))
    write_csv(result.sensitivity, out / curve)
    write_reference(StainReference(tuple(record["white"]), StainVectors(**record["vectors"])), out / stain)
    return [curve, stain]


def _write_files(result: Any, job: Job) -> list[str]:
    from biomarkers.score.outputs import cells_geojson, cells_table, overlay_image

    out, stem = Path(job["out"]), job["file_stem"]
    if result.called.n_obs == 0:
        return []
    files = [f"cells/{stem}.parquet"]
    with atomic_path(out / files[-1]) as path:
        cells_table(result).to_parquet(path, index=False)
    if job["overlays"]:
        files.append(f"overlays/{stem}.png")
        with atomic_path(out / files[-1]) as path:
            overlay_image(result).save(path, compress_level=3)  # a third of the time of the densest, and hardly larger
        files.append(f"geojson/{stem}.geojson")
        write_text(out / files[-1], json.dumps(cells_geojson(result), default=plain))
    return files


def _log_into(path: Path) -> None:
    """Send standard error, native code's too, into this slide's log from here on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except OSError:
        return  # a log that cannot be written must not cost the slide; its results will say what is wrong with the disk
    os.dup2(handle, 2)
    os.dup2(handle, 1)
    os.close(handle)


def _own_stdout() -> TextIO:
    """Keep the reply channel to ourselves: what libraries print goes to standard error, into the log."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8")


if __name__ == "__main__":
    main()
