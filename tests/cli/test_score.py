"""``biomarkers score`` as a user runs it: in a child process, on good and bad input together."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from biomarkers import render_hdab, simulate_scene


def biomarkers(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "biomarkers", *map(str, words)], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("input")
    tile = render_hdab(simulate_scene(rng=11, size_px=384, tps=50, crowding="dense"), rng=11)
    Image.fromarray(np.asarray(tile)).save(place / "simulated_good.png", dpi=(50_800, 50_800))  # 0.5 um/px
    Image.fromarray(np.asarray(tile)).save(place / "simulated_no_mpp.png")
    (place / "text.png").write_text("not an image")
    (place / "page.svs").write_text("<!DOCTYPE html><title>Sign in</title>")
    (place / "empty.tif").write_bytes(b"")
    return place


@pytest.fixture(scope="module")
def scored(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("work") / "scores"
    return biomarkers("score", folder, "--assay", "22c3", "--assume-tumor", "--out", out, cwd=folder), out


def test_bad_inputs_get_their_rows_and_the_good_one_is_scored(scored):
    done, out = scored
    assert done.returncode == 1, done.stderr
    slides = pd.read_csv(out / "slides.csv").set_index("slide")
    assert sorted(slides.index) == ["empty", "page", "simulated_good", "simulated_no_mpp", "text"]
    assert (slides.drop("simulated_good")["status"] == "failed").all()
    assert slides.loc["simulated_good", "n_cells"] > 10
    for slide, words in {
        "text": "text file", "page": "HTML", "empty": "empty", "simulated_no_mpp": "--mpp",
    }.items():  # fmt: skip
        assert words in slides.loc[slide, "reason"], slide
        assert words.split()[0] in done.stdout + done.stderr, "the closing table says it too"


def test_scores_are_tidy_and_whole(scored):
    _, out = scored
    scores = pd.read_csv(out / "scores.csv")
    assert {"slide", "marker", "score", "value", "unit", "ci_low", "ci_high", "numerator", "denominator", "status",
            "reason"} <= set(scores)  # fmt: skip
    tps = scores[(scores["slide"] == "simulated_good") & (scores["score"] == "tps")].iloc[0]
    assert tps["value"] == pytest.approx(100 * tps["numerator"] / tps["denominator"])
    cells = pd.read_parquet(out / "cells" / "simulated_good.parquet")
    assert {"x_um", "y_um", "cell_class", "PD-L1_positive"} <= set(cells)
    assert int(cells["PD-L1_positive"].sum()) == tps["numerator"]


def test_the_record_names_what_made_it_and_nothing_is_half_written(scored):
    _, out = scored
    record = json.loads((out / "run.json").read_text())
    assert {"versions", "settings"} <= set(record)
    assert not [path for path in out.rglob("*") if ".tmp" in path.name or path.name.endswith(".part")]


def test_the_second_run_scores_nothing_again(scored, folder):
    _, out = scored
    before = (out / "slides.csv").read_bytes(), (out / "cells" / "simulated_good.parquet").stat().st_mtime_ns
    again = biomarkers("score", folder, "--assay", "22c3", "--assume-tumor", "--out", out, cwd=folder)
    assert again.returncode == 1
    assert ((out / "slides.csv").read_bytes(), (out / "cells" / "simulated_good.parquet").stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("score", "missing.png", "--assay", "22c3"), "missing.png"),
        (("score", ".", "--assay", "22c33"), "22c3"),
        (("score", ".", "--assay", "22c3", "--mpp", "-1"), "mpp"),
        (("score", ".", "--assay", "22c3", "--classifier", "no.json"), "no.json"),
        (("score", ".", "--assay", "22c3", "--config", "no.toml"), "no.toml"),
    ],
)
def test_usage_errors_exit_2_and_write_nothing(words, message, folder, tmp_path):
    done = biomarkers(*words, "--out", tmp_path / "out", cwd=folder)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_misspelt_setting_is_named_with_the_nearest(folder, tmp_path):
    Path(tmp_path / "score.toml").write_text('asay = "22c3"\n')
    done = biomarkers("score", folder, "--config", tmp_path / "score.toml", "--out", tmp_path / "out", cwd=folder)
    assert done.returncode == 2
    assert "asay" in done.stderr
    assert "assay" in done.stderr.replace("asay", "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('assay = "22c3"\nworker = 2\n', ("worker", "Did you mean 'workers'")),
        ('assay = "22c3"\nassay = "sp142"\n', ("Cannot overwrite a value", "line 2")),
        ('assay = "22c3"\nmpp = "half"\n', ("mpp", "number")),
        ("assay = 22c3\n", ("not valid TOML", "line 1")),
    ],
    ids=["unknown", "duplicate", "wrong kind", "no TOML"],
)
def test_a_wrong_settings_file_stops_before_any_slide(text, words, folder, tmp_path):
    (tmp_path / "score.toml").write_text(text)
    done = biomarkers("score", folder, "--config", tmp_path / "score.toml", "--out", tmp_path / "out", cwd=folder)
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made_stops_before_any_slide(folder):
    done = biomarkers("score", folder, "--assay", "22c3", "--out", "/proc/no/scores", cwd=folder)
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_odd_names_come_through_and_do_nothing(folder, tmp_path):
    names = ["-dash", "=1+1", "@sum(A1)", "\"quo'te", "new\nline", "esc\x1b[31m", "<script>alert(1)", "007", "x" * 240]
    place = tmp_path / "odd"
    place.mkdir()
    for name in names:
        (place / f"{name}.png").write_bytes((folder / "simulated_good.png").read_bytes())
    (place / "loop").symlink_to(place, target_is_directory=True)
    done = biomarkers("score", ".", "--assay", "22c3", "--out", "out", "--no-overlays", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "\x1b[31m" not in done.stdout
    assert "007 " in done.stdout
    slides = pd.read_csv(place / "out" / "slides.csv", dtype={"slide": str})
    cured = {f"'{name}" if name[0] in "-=@" else name for name in names}
    assert set(slides["slide"]) == cured
    assert biomarkers("review", "out", cwd=place).returncode == 0
    assert "<script>alert" not in (place / "out" / "review.html").read_text()
    assert biomarkers("verify", "out", "--sample", 1, cwd=place).returncode == 0
