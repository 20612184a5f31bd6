"""A file with several images is several rows."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biomarkers.run.batch import score_batch
from biomarkers.run.plan import plan_tasks, with_scenes
from biomarkers.run.pool import Worker, look_at_all
from tests.score.painted import paint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _two(path: Path) -> Path:
    with tifffile.TiffWriter(path) as writer:
        writer.write(paint(300, ringed=lambda row, _: row < 2)[0], photometric="rgb", metadata=None)
        writer.write(paint(200)[0], photometric="rgb", metadata=None)
    return path


def test_each_image_of_a_file_is_a_task(tmp_path: Path) -> None:
    _two(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((40, 40, 3), np.uint8), photometric="rgb")
    (tmp_path / "c.tif").write_bytes(b"no image")
    tasks = plan_tasks([tmp_path])
    with contextlib.closing(Worker(timeout_s=60, memory_bytes=4e9)) as worker:
        tasks = with_scenes(tasks, look_at_all([task.location for task in tasks], workers=[worker]))
    assert [(task.slide, task.scene) for task in tasks] == [
        ("a~image1", 0), ("a~image2", 1), ("b", None), ("c", None)
    ]  # fmt: skip
    assert [task.file_stem for task in tasks][:2] == ["a_image1", "a_image2"]


@pytest.mark.slow
def test_each_image_has_its_row_and_its_own_numbers(tmp_path: Path) -> None:
    result = score_batch(
        [_two(tmp_path / "a.tif")], out=tmp_path / "out", assay="22c3", mpp=0.25, assume_tumor=True, progress=False
    )
    table = result.slides.set_index("slide")
    assert list(table.index) == ["a~image1", "a~image2"]
    assert table["n_cells"].tolist() == [len(paint(300)[1]), len(paint(200)[1])]
    assert table["n_positive"].tolist()[1] == 0
    assert (tmp_path / "out" / "cells" / "a_image2.parquet").is_file()
