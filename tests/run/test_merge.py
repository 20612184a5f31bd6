"""Runs of one slide each become the run of all."""

import functools
import sys
from pathlib import Path

import pytest

from biomarkers.core.errors import DataError, UsageError
from biomarkers.run import batch, pool, verify
from biomarkers.run.batch import score_batch
from biomarkers.run.merge import merge_runs
from biomarkers.run.verify import verify_run

FAKE = (sys.executable, str(Path(__file__).parent / "fake_worker.py"))


@pytest.fixture(autouse=True)
def _fake_scoring(monkeypatch):
    fake = functools.partial(pool.Worker, command=FAKE)
    monkeypatch.setattr(batch, "Worker", fake)
    monkeypatch.setattr(verify, "Worker", fake)


@pytest.fixture
def slides(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("=a", "bb", "segfault"):
        (folder / f"{name}.png").write_text(name)
    return folder


def score(inputs, out, **settings):
    return score_batch([inputs], out=out, assay="22c3", progress=False, **settings)


def test_merged_tables_equal_those_of_one_run_byte_for_byte(slides, tmp_path):
    score(slides, tmp_path / "all")
    parts = []
    for path in sorted(slides.iterdir(), reverse=True):
        parts.append(tmp_path / "parts" / path.stem)
        score(path, parts[-1])
    merge_runs(parts, out=tmp_path / "merged")
    for name in ("slides.csv", "scores.csv"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()
    assert (tmp_path / "merged" / "cells" / "bb.parquet").is_file()


def test_mixed_settings_are_refused_and_shown(slides, tmp_path):
    score(slides / "bb.png", tmp_path / "one")
    score(slides / "=a.png", tmp_path / "two", mpp=0.5)
    with pytest.raises(DataError, match=r"mpp: None and 0\.5"):
        merge_runs([tmp_path / "one", tmp_path / "two"], out=tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_the_same_slide_twice_is_refused(slides, tmp_path):
    score(slides / "bb.png", tmp_path / "one")
    score(slides / "bb.png", tmp_path / "two")
    with pytest.raises(DataError, match="same name"):
        merge_runs([tmp_path / "one", tmp_path / "two"], out=tmp_path / "merged")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no finished"):
        merge_runs([tmp_path], out=tmp_path / "merged")
    with pytest.raises(UsageError, match="no finished"):
        verify_run(tmp_path)


def test_an_untouched_run_holds(slides, tmp_path):
    score(slides, tmp_path / "out")
    found = verify_run(tmp_path / "out")
    assert found.problems == ()
    assert len(found.rescored) == 2


def test_changed_lost_and_forged_outputs_are_reported(slides, tmp_path):
    out = tmp_path / "out"
    score(slides, out)
    (out / "slides.csv").write_text("forged")
    (out / "cells" / "bb.parquet").unlink()
    part = out / ".biomarkers" / "parts" / "bb.json"
    part.write_text(part.read_text().replace('"n_cells": 2', '"n_cells": 3'))
    text = "\n".join(verify_run(out).problems)
    assert "slides.csv: was changed" in text
    assert "cells/bb.parquet: is gone" in text
    assert "bb: n_cells was 3, is 2" in text


def test_a_changed_image_is_reported(slides, tmp_path):
    score(slides, tmp_path / "out")
    (slides / "bb.png").write_text("other")
    assert any("image was changed" in problem for problem in verify_run(tmp_path / "out").problems)


def test_readings_and_corrections_go_along(slides, tmp_path):
    heading = "slide,marker,score,value,reader,time,blinded"
    parts = []
    for name in ("bb", "=a"):
        parts.append(tmp_path / name)
        score(slides / f"{name}.png", parts[-1])
        (parts[-1] / "readings.csv").write_text(f"{heading}\n'{name},PD-L1,tps,5.0,A,t,true\n")
        (parts[-1] / "corrections").mkdir()
        (parts[-1] / "corrections" / f"{name}.geojson").write_text("{}")
    merge_runs(parts, out=tmp_path / "merged")
    assert (tmp_path / "merged" / "readings.csv").read_text().splitlines() == [
        heading, "'bb,PD-L1,tps,5.0,A,t,true", "'=a,PD-L1,tps,5.0,A,t,true",
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "merged" / "corrections").iterdir()} == {"bb.geojson", "=a.geojson"}
