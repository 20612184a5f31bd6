"""The batch around the scoring: resume, order, workers; scoring itself is a stand-in here."""

import functools
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from biomarkers.core.errors import EnvironmentFailure, UsageError
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


def test_a_run_that_is_stopped_leaves_nothing_half_written_and_nobody_at_work(slides, tmp_path):
    (slides / "a-disk-full.png").write_text("x")
    for number in range(20):
        (slides / f"slow-{number}.png").write_text("x")
    with pytest.raises(
        EnvironmentFailure, match=r"25 slides is finished yet; they need more than 500,000|left need about"
    ):
        run(slides, tmp_path / "out", workers=2)
    held = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert not [path for path in held if ".tmp" in path.name]
    assert not psutil.Process().children()
    time.sleep(1)
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == held


def test_what_the_user_skips_keeps_a_row(slides, tmp_path, capsys):
    result = score_batch([slides], out=tmp_path / "out", assay="22c3", skip=("b*", "ccc.png"))
    table = result.slides.set_index("slide")
    assert list(table["status"]) == ["ok", "skipped_by_user", "skipped_by_user", "ok"]
    assert table.loc["ccc", "reason"] == "left out by --skip ccc.png"
    assert "2 to score" in capsys.readouterr().err
    assert result.n_resumed == 0
    again = run(slides, tmp_path / "out")
    assert again.counts == {"ok": 4}
    assert again.n_resumed == 2


def test_the_output_of_an_earlier_run_inside_the_input_is_no_input(slides, tmp_path):
    run(slides, slides / "first")
    (slides / "first" / "overlays").mkdir()
    (slides / "first" / "overlays" / "a.png").write_text("an overlay")
    assert len(run(slides, slides / "second").slides) == 4
    assert len(run(slides, slides / "first").slides) == 4


@pytest.mark.parametrize("content", ["", '{"key": ', "\x00" * 300])
def test_a_finished_part_that_a_power_failure_damaged_is_made_again(slides, tmp_path, content):
    out = tmp_path / "out"
    run(slides, out)
    before = tables(out)
    for name in ("parts/a.json", "settings.json", "jobs.json", "lock.json"):
        (out / ".biomarkers" / name).write_text(content)
    result = run(slides, out)
    assert result.n_resumed == 3
    assert tables(out) == before


def test_a_manifest_keeps_a_row_for_an_image_that_is_not_there(slides, tmp_path, capsys):
    (tmp_path / "m.csv").write_text("path,patient\nslides/a.png,1\nslides/gone.png,2\n")
    result = score_batch([tmp_path / "m.csv"], out=tmp_path / "out", assay="22c3")
    row = result.slides.set_index("slide").loc["gone"]
    assert (row["status"], row["patient"], row["file"]) == ("failed", "2", "gone.png")
    assert "No such file" in row["reason"]
    assert "1 of them are not there" in capsys.readouterr().err


def test_the_plan_is_told_before_it_is_carried_out(slides, tmp_path, capsys):
    score_batch([slides], out=tmp_path / "out", assay="22c3", workers=2)
    said = capsys.readouterr().err
    assert "4 to score, 10 B, 2 workers" in said
    assert "about 5 s if the tissue is typical" in said
    score_batch([slides], out=tmp_path / "out", assay="22c3")
    assert "0 to score, 0 B, 1 worker; 4 finished earlier" in capsys.readouterr().err


def test_other_assays_are_told_by_name_and_own_cuts_by_value(slides, tmp_path):
    run(slides, tmp_path / "out")
    with pytest.raises(UsageError, match=r"\(assay\.name: '22c3' then, 'sp142' now\)"):
        score_batch([slides], out=tmp_path / "out", assay="sp142", progress=False)


def test_hashes_of_the_worker_and_of_the_run_agree(slides, tmp_path):
    run(slides, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    for name, digest in record["outputs"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest


def test_workers_end_with_a_run_that_is_killed(slides, tmp_path):
    """A slide that went on being scored would race with the run that takes the killed one's place."""
    (slides / "hang.png").write_text("x")
    code = (
        "import functools, sys\n"
        "from biomarkers.run import batch, pool\n"
        f"batch.Worker = functools.partial(pool.Worker, command={FAKE!r})\n"
        f"batch.score_batch([{str(slides / 'hang.png')!r}], out={str(tmp_path / 'out')!r}, assay='22c3')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    log = tmp_path / "out" / "logs" / "hang.log"
    _until(log.exists)
    children = psutil.Process(process.pid).children()
    assert children
    process.kill()
    process.wait()
    _until(lambda: not any(child.is_running() for child in children))


def _until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
