"""A whole slide in a batch: its cells go to their file as they are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from biomarkers.files import atomic_path


def score_whole(job: dict[str, Any]) -> tuple[Any, list[str]]:
    """Score a slide that is too large to be held, and write its cells and overlay.

    Returns
    -------
    The result, and the names of the files that were written.
    """
    from biomarkers.config import load_assay
    from biomarkers.score.whole import score_whole_slide

    out, stem = Path(job["out"]), job["file_stem"]
    cells = f"cells/{stem}.parquet"
    with atomic_path(out / cells) as path:
        result = score_whole_slide(
            job["path"],
            assay=load_assay(job["assay"]),
            cells_to=path,
            mpp=job["mpp"],
            annotations=job["annotations"],
            classifier=job["classifier"],
            assume_tumor=job["assume_tumor"],
            marker=job["marker"],
            thresholds=job["thresholds"],
            stain=job["stain"],
            segmenter=job.get("segmenter"),
            slide=job["slide"],
            scene=job.get("scene"),
            threads=job.get("threads", 1),
            picture=job["overlays"],
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
