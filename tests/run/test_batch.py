"""The batch around the scoring: resume, order, workers; scoring itself is a stand-in here."""

import functools
import hashlib
import json
import sys
from pathlib import Path

import pytest

from biomarkers.errors import EnvironmentFailure, UsageError
from biomarkers.run import batch, pool
from biomarkers.run.batch import score_batch

FAKE = (sys.executable, str(Path(__file__).parent / "fake_worker.py"))


@pytest.fixture(autouse=True)
def _fake_scoring(monkeypatch):
    monkeypatch.setattr(batch, "Worker", functools.partial(pool.Worker, command=FAKE))


@pytest.fixture
def slides(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("a", "bb", "ccc", "dddd"):
        (folder / f"{name}.png").write_text(name)
    return folder


def run(slides, out, **settings):
    return score_batch([slides], out=out, assay="22c3", progress=False, **settings)


def tables(out):
    return (out / "slides.csv").read_bytes(), (out / "scores.csv").read_bytes()


def test_every_input_has_its_row(slides, tmp_path):
    (slides / "segfault.png").write_text("x")
    result = run(slides, tmp_path / "out")
    assert list(result.slides["slide"]) == ["a", "bb", "ccc", "dddd", "segfault"]
    assert result.counts == {"ok": 4, "failed": 1}
    text = (tmp_path / "out" / "slides.csv").read_text()
    assert "a,ok,,,,,1," in text, "counts stay whole beside a slide that has none"


def test_tables_are_the_same_for_any_number_of_workers(slides, tmp_path):
    run(slides, tmp_path / "one")
    run(slides, tmp_path / "three", workers=3)
    assert tables(tmp_path / "one") == tables(tmp_path / "three")


def test_a_second_run_scores_nothing_again_and_gives_the_same_bytes(slides, tmp_path):
    out = tmp_path / "out"
    run(slides, out)
    before = tables(out)
    part = json.loads((out / ".biomarkers" / "parts" / "a.json").read_text())
    (slides / "a.png").touch()
    result = run(slides, out)
    assert result.n_resumed == 4
    assert tables(out) == before
    assert json.loads((out / ".biomarkers" / "parts" / "a.json").read_text()) == part


def test_changed_bytes_are_scored_again(slides, tmp_path):
    run(slides, tmp_path / "out")
    (slides / "a.png").write_text("other bytes")
    assert run(slides, tmp_path / "out").n_resumed == 3


def test_a_lost_output_is_made_again(slides, tmp_path):
    out = tmp_path / "out"
    run(slides, out)
    (out / "cells" / "a.parquet").unlink()
    assert run(slides, out).n_resumed == 3
    assert (out / "cells" / "a.parquet").exists()


def test_other_settings_are_refused(slides, tmp_path):
    run(slides, tmp_path / "out")
    with pytest.raises(UsageError, match=r"mpp: None then, 0\.5 now"):
        run(slides, tmp_path / "out", mpp=0.5)


def test_a_slide_that_left_the_inputs_leaves_no_output_and_other_files_stay(slides, tmp_path):
    out = tmp_path / "out"
    run(slides, out)
    (out / "cells" / "mine.txt").write_text("the user's own")
    (slides / "a.png").unlink()
    run(slides, out)
    assert not (out / "cells" / "a.parquet").exists()
    assert (out / "cells" / "mine.txt").exists()


def test_leftovers_of_a_killed_run_are_removed(slides, tmp_path):
    out = tmp_path / "out"
    run(slides, out)
    (out / "cells" / ".a.x.tmp.parquet").write_text("half")
    run(slides, out)
    assert not list(out.rglob(".*.tmp*"))


def test_nothing_is_written_when_a_setting_is_wrong(slides, tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'workers'"):
        run(slides, tmp_path / "out", worker=2)
    with pytest.raises(UsageError, match="unknown assay"):
        score_batch([slides], out=tmp_path / "out", assay="22c4")
    with pytest.raises(UsageError, match="no assay"):
        score_batch([slides], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_annotations_come_from_a_folder_by_name(slides, tmp_path):
    regions = tmp_path / "regions"
    regions.mkdir()
    with pytest.raises(UsageError, match="no annotation file for any slide"):
        run(slides, tmp_path / "out", annotations=str(regions))
    (regions / "a.geojson").write_text("{}")
    assert run(slides, tmp_path / "out", annotations=str(regions)).n_failed == 0
    (regions / "a.geojson").write_text("{ }")
    assert run(slides, tmp_path / "out", annotations=str(regions)).n_resumed == 3


def test_one_annotation_file_for_many_slides_is_refused(slides, tmp_path):
    (tmp_path / "a.geojson").write_text("{}")
    with pytest.raises(UsageError, match="several slides"):
        run(slides, tmp_path / "out", annotations=str(tmp_path / "a.geojson"))


def test_a_link_to_nowhere_is_one_failed_row(slides, tmp_path):
    (slides / "link.png").symlink_to(tmp_path / "nowhere.png")
    result = run(slides, tmp_path / "out")
    row = result.slides.set_index("slide").loc["link"]
    assert row["status"] == "failed"
    assert "cannot be opened" in row["reason"]
    assert result.n_failed == 1


def test_the_record_names_each_image_by_its_hash(slides, tmp_path):
    run(slides, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in slides.glob("*.png")}
    assert {each["name"]: each["sha256"] for each in record["inputs"]} == digests


def test_a_full_disk_says_how_much_the_rest_needs(slides, tmp_path):
    (slides / "z-disk-full.png").write_text("x")
    with pytest.raises(
        EnvironmentFailure, match=r"disk is full.* 4 slides finished are kept; the 1 left need about \d+ bytes"
    ):
        run(slides, tmp_path / "out")
