"""A whole slide in a batch: its cells go to their file as they are found, by one worker or, in regions, by several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from biomarkers.core.files import atomic_path
from biomarkers.run.state import RunState


def score_whole(job: dict[str, Any]) -> tuple[Any, list[str]]:
    """Score a slide that is too large to be held, and write its cells and overlay.

    Returns
    -------
    The result, and the names of the files that were written.
    """
    from biomarkers.score.whole import score_whole_slide
    from biomarkers.score.whole.regions import KeptStrips

    out, stem = Path(job["out"]), job["file_stem"]
    cells = f"cells/{stem}.parquet"
    regions = RunState(out).regions(job["key"])
    with atomic_path(out / cells) as path:
        result = score_whole_slide(
            job["path"],
            **_settings(job),
            cells_to=path,
            picture=job["overlays"],
            kept=KeptStrips(regions) if regions.is_dir() else None,
        )
    if result.cells_file is None:
        (out / cells).unlink()
        return result, []
    files = [cells]
    if result.picture is not None:
        files.append(f"overlays/{stem}.png")
        with atomic_path(out / files[-1]) as path:
            result.picture.save(path)
    return result, files


def keep_region_of(job: dict[str, Any]) -> int:
    """Find the cells of the job's region and keep them for the worker that scores the slide; return its strips."""
    from biomarkers.score.whole.regions import KeptStrips, keep_region

    kept = KeptStrips(RunState(Path(job["out"])).regions(job["key"]))
    return keep_region(job["path"], region=tuple(job["region"]), kept=kept, **_settings(job))


def _settings(job: dict[str, Any]) -> dict[str, Any]:
    from biomarkers.core.config import load_assay

    names = ("mpp", "annotations", "classifier", "assume_tumor", "marker", "thresholds", "stain", "slide")
    more = {
        "class_map": job.get("classes"),
        "segmenter": job.get("segmenter"),
        "scene": job.get("scene"),
        "threads": job.get("threads", 1),
    }
    return {"assay": load_assay(job["assay"]), **{name: job[name] for name in names}, **more}
