"""Proof on a slide that its results depend neither on tiles nor on threads."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAYS = ((512, 1), (1024, 1), (2048, 1), (1024, 2))  # tile_px, threads


@dataclass(frozen=True)
class Way:
    """One way of scoring a slide, and the digests of its cells (the bytes of the Parquet file) and of its scores."""

    tile_px: int
    threads: int
    n_cells: int
    cells: str
    scores: str


def score_in_all_ways(path: str | Path, **settings: Any) -> Iterator[Way]:
    """Score a slide with tiles of 512, 1024 and 2048 px and with one and two threads.

    Parameters
    ----------
    path
        The image, of any size.
    **settings
        As for :func:`biomarkers.score.whole.score_whole_slide`.

    Yields
    ------
    One result a way; the results hold when all digests are the same.
    """
    from biomarkers.score.whole import score_whole_slide

    with tempfile.TemporaryDirectory() as folder:
        cells = Path(folder) / "cells.parquet"
        for tile_px, threads in WAYS:
            result = score_whole_slide(
                path, cells_to=cells, tile_px=tile_px, threads=threads, picture=False, **settings
            )
            rows = [result.row, result.scores.to_dict("records"), result.sensitivity.to_dict("records"), result.record]
            found = b"" if result.cells_file is None else cells.read_bytes()
            text = json.dumps(rows, sort_keys=True, default=str)
            yield Way(tile_px, threads, result.row["n_cells"], _digest(found), _digest(text.encode()))


def settings_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a batch's job that decide its numbers."""
    names = ("assay", "mpp", "annotations", "classifier", "assume_tumor", "marker", "thresholds", "stain", "slide")
    return {**{name: job[name] for name in names}, "scene": job.get("scene")}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
