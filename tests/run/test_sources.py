"""Images that are not one local file: OME-Zarr folders, DICOM series, companions, objects of a store."""

from __future__ import annotations

import functools
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biomarkers.core.errors import SlideError, UsageError
from biomarkers.core.sources import digest_of, is_url, local_copy
from biomarkers.io import open_slide, slide_info
from biomarkers.run import batch, pool
from biomarkers.run.batch import score_batch
from biomarkers.run.plan import plan_tasks
from tests.io.test_zarr import RGB, write_zarr

FAKE = (sys.executable, str(Path(__file__).parent / "fake_worker.py"))


@pytest.fixture
def _fake_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "Worker", functools.partial(pool.Worker, command=FAKE))


@pytest.mark.parametrize(
    ("text", "yes"),
    [("s3://b/a.svs", True), ("file:///a", True), ("simplecache::s3://b/a", True), ("a.svs", False), ("C:\\a", False),
     ("a:b/c.png", False)],
)  # fmt: skip
def test_addresses_are_told_from_paths(text: str, yes: bool) -> None:
    assert is_url(text) is yes


def test_a_zarr_folder_is_one_slide_wherever_it_lies(tmp_path: Path) -> None:
    write_zarr(tmp_path / "deep" / "a.ome.zarr")
    shutil.copy(Path(__file__), tmp_path / "b.png")
    assert [task.slide for task in plan_tasks([tmp_path])] == ["a", "b"]
    assert [task.slide for task in plan_tasks([tmp_path / "deep" / "a.ome.zarr"])] == ["a"]
    assert [task.slide for task in plan_tasks([str(tmp_path / "deep" / "*.zarr")])] == ["a"]


@pytest.mark.usefixtures("_fake_scoring")
def test_a_zarr_folder_is_resumed_by_its_content(tmp_path: Path) -> None:
    store = write_zarr(tmp_path / "a.zarr", version=2)
    assert score_batch([store], out=tmp_path / "out", assay="22c3", progress=False).n_resumed == 0
    assert score_batch([store], out=tmp_path / "out", assay="22c3", progress=False).n_resumed == 1
    chunk = store / "0" / "0.0.0"
    chunk.write_bytes(chunk.read_bytes() + b"x")
    assert score_batch([store], out=tmp_path / "out", assay="22c3", progress=False).n_resumed == 0


def test_companions_of_an_mrxs_count(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a.mrxs", "a/Data0000.dat"):
        (tmp_path / name).write_text("x")
    before = digest_of(str(tmp_path / "a.mrxs"))
    (tmp_path / "a" / "Data0000.dat").write_text("y")
    assert digest_of(str(tmp_path / "a.mrxs")) != before


def test_the_files_of_a_dicom_series_are_one_slide(shared_data: Path) -> None:
    folder = shared_data / "images" / "slides"
    tasks = plan_tasks([folder / "boxes_1.dcm", folder / "boxes_0.dcm", folder / "sm_image.dcm"])
    assert [task.file for task in tasks] == ["boxes_0.dcm", "sm_image.dcm"], (
        "the level, not the thumbnail, stands for it"
    )


@pytest.mark.usefixtures("_fake_scoring")
def test_objects_of_a_store_are_scored_and_resumed(tmp_path: Path) -> None:
    for name in ("a.png", "bb.png", "notes.txt"):
        (tmp_path / name).write_text(name)
    address = tmp_path.as_uri() + "/*"
    first = score_batch([address], out=tmp_path / "out", assay="22c3", progress=False)
    assert list(first.slides["slide"]) == ["a", "bb"]
    assert list(first.slides["file"]) == ["a.png", "bb.png"]
    assert first.counts == {"ok": 2}
    assert score_batch([address], out=tmp_path / "out", assay="22c3", progress=False).n_resumed == 2
    local = score_batch([tmp_path / "a.png", tmp_path / "bb.png"], out=tmp_path / "here", assay="22c3", progress=False)
    assert (tmp_path / "out" / "slides.csv").read_bytes() == (tmp_path / "here" / "slides.csv").read_bytes()
    assert local.n_failed == 0


def test_what_a_store_lacks_is_refused_or_fails_as_a_slide(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such object"):
        plan_tasks([(tmp_path / "absent.svs").as_uri()])
    with pytest.raises(UsageError, match="no way to this store"):
        plan_tasks(["nostore://bucket/a.svs"])
    with pytest.raises(SlideError, match="cannot be fetched"), local_copy((tmp_path / "absent.svs").as_uri()):
        pass


def test_a_tiff_in_a_store_is_read_tile_by_tile(tmp_path: Path) -> None:
    import fsspec

    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", tile=(64, 64), resolution=(20_000, 20_000),
                     resolutionunit="CENTIMETER")  # fmt: skip
    fsspec.filesystem("memory").pipe("/bucket/a.tif", (tmp_path / "a.tif").read_bytes())
    with open_slide("memory://bucket/a.tif") as slide:
        assert slide.mpp == 0.5
        np.testing.assert_array_equal(slide.read_region(30, 20, 100, 90), RGB[20:110, 30:130])
    assert slide_info("memory://bucket/a.tif")["reader"] == "tifffile"
    fsspec.filesystem("memory").pipe("/bucket/a.png", b"\x89PNG and more")
    with pytest.raises(SlideError, match="only the TIFF family"):
        open_slide("memory://bucket/a.png")
