"""What ends a worker ends one slide."""

import contextlib
import functools
import sys
from pathlib import Path

import pytest

from biomarkers.core.errors import EnvironmentFailure
from biomarkers.run.pool import Worker, score_jobs

FAKE = (sys.executable, str(Path(__file__).parent / "fake_worker.py"))


def jobs(out: Path, *names: str) -> list[dict]:
    made = []
    for name in names:
        (out / f"{name}.png").write_text(name)
        made.append({"slide": name, "file_stem": name, "out": str(out), "path": str(out / f"{name}.png"),
                     "meaning": "m", "sha256": None})  # fmt: skip
    return made


def run(out: Path, *names: str, workers: int = 1, timeout_s: float = 30, memory_bytes: float = 4e9) -> dict[str, dict]:
    pool = [Worker(timeout_s=timeout_s, memory_bytes=memory_bytes, command=FAKE) for _ in range(workers)]
    with contextlib.ExitStack() as stack:
        for worker in pool:
            stack.callback(worker.close)
        return {job["slide"]: part for job, part in score_jobs(jobs(out, *names), workers=pool)}


def test_a_crash_is_one_failed_row_and_the_others_finish(tmp_path):
    parts = run(tmp_path, "a", "segfault", "b", "exit", "c")
    assert {name: part["row"]["status"] for name, part in parts.items()} == {
        "a": "ok", "segfault": "failed", "b": "ok", "exit": "failed", "c": "ok",
    }  # fmt: skip
    assert "SIGSEGV" in parts["segfault"]["row"]["reason"]
    assert "code 7" in parts["exit"]["row"]["reason"]


def test_a_hang_is_ended_and_named(tmp_path):
    parts = run(tmp_path, "hang", "a", timeout_s=1.5)
    assert "longer than 1.5 s" in parts["hang"]["row"]["reason"]
    assert parts["a"]["row"]["status"] == "ok"


def test_hunger_is_ended_and_named(tmp_path):
    parts = run(tmp_path, "grow", "a", memory_bytes=0.4e9)
    assert "more than 0.4 GB" in parts["grow"]["row"]["reason"]
    assert parts["a"]["row"]["status"] == "ok"


def test_a_worker_that_was_closed_starts_no_process_again(tmp_path):
    worker = Worker(timeout_s=30, memory_bytes=4e9, command=FAKE)
    first, second = jobs(tmp_path, "a", "b")
    assert worker.ask(first)["row"]["status"] == "ok"
    worker.close()
    assert worker.ask(second)["row"]["reason"] == "the run was stopped"
    assert worker._process is None


def test_a_worker_outlives_its_slides(tmp_path):
    parts = run(tmp_path, "a", "bb", "ccc")
    assert len({part["record"]["pid"] for part in parts.values()}) == 1


def test_two_workers_share_the_jobs(tmp_path):
    parts = run(tmp_path, *(f"s{number}" for number in range(8)), workers=2)
    assert len(parts) == 8


def test_what_libraries_print_goes_to_the_log(tmp_path):
    run(tmp_path, "a")
    assert "libraries print" in (tmp_path / "logs" / "a.log").read_text()


def test_a_full_disk_stops_everything(tmp_path):
    with pytest.raises(EnvironmentFailure, match="disk is full"):
        run(tmp_path, "a", "disk-full", "b", workers=2)


FAULT = """
import os, signal
from biomarkers.run import worker
from biomarkers.io.tiff import TiffReader

read = TiffReader.read
def faulty(self, *where, **how):
    if "fault" in self._path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    return read(self, *where, **how)
TiffReader.read = faulty
worker.main()
"""


@pytest.mark.slow
def test_a_reader_that_crashes_the_process_is_one_failed_row(tmp_path, monkeypatch):
    """The real scoring, with a fault in the reader of one file."""
    from biomarkers import render_hdab, simulate_scene
    from biomarkers.run import batch
    from biomarkers.run.batch import score_batch
    from biomarkers.simulate.files import write_ome_tiff

    place = tmp_path / "slides"
    place.mkdir()
    for seed, name in enumerate(("a", "fault", "z")):
        write_ome_tiff(place / f"{name}.ome.tif", render_hdab(simulate_scene(rng=seed, size_px=96), rng=seed), mpp=0.5)
    faulty = functools.partial(Worker, command=(sys.executable, "-c", FAULT))
    monkeypatch.setattr(batch, "Worker", faulty)
    result = score_batch([place], out=tmp_path / "out", assay="22c3", progress=False, overlays=False)
    table = result.slides.set_index("slide")
    assert list(table.index) == ["a", "fault", "z"]
    assert table.loc["fault", "status"] == "failed"
    assert "SIGSEGV" in table.loc["fault", "reason"]
    assert (table.drop("fault")["status"] != "failed").all()
    assert "Segmentation fault" in (tmp_path / "out" / "logs" / "fault.log").read_text()
