"""Every file of a folder is a row or is named with its reason; content decides before the suffix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from biomarkers.core.errors import DataError, SlideError, UsageError
from biomarkers.io import open_slide
from biomarkers.io.formats import FORMATS, format_of
from biomarkers.run.manifest import read_manifest
from biomarkers.run.plan import SlideTask, plan_inputs
from biomarkers.run.tables import slides_table

RGB = np.random.default_rng(0).integers(120, 250, (64, 96, 3), dtype=np.uint8)


def put(path: Path, content: bytes = b"x" * 600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_suffix_of_the_registry_is_a_row_or_named(tmp_path: Path) -> None:
    files = {
        put(tmp_path / f"s{k}{suffix}") for k, one in enumerate(FORMATS) for suffix in one.suffixes if suffix != ".zarr"
    }
    planned = plan_inputs([tmp_path])
    rows = {Path(task.path) for task in planned.tasks}
    left_out = {Path(one.path): one.reason for one in planned.left_out}
    assert rows | set(left_out) == files
    assert not rows & set(left_out)
    assert all(left_out.values())
    read = {suffix for one in FORMATS if one.reader for suffix in one.suffixes}
    assert {path.suffix for path in rows} == read - {".zarr"}


@pytest.mark.parametrize("name", ["slide", "slide.dat", "slide.svs.bak", "IM-0001-0001"])
def test_images_without_a_known_suffix_are_told_by_their_content(tmp_path: Path, name: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb")
    put(tmp_path / name, (tmp_path / "a.tif").read_bytes())
    put(tmp_path / "dicom", b"\0" * 128 + b"DICM" + b"\0" * 400)
    found = {Path(task.path).name for task in plan_inputs([tmp_path]).tasks}
    assert found == {"a.tif", name, "dicom"}
    with open_slide(tmp_path / name, mpp=0.5) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 96, 64), RGB)


def test_a_png_that_is_called_tif_is_read_as_what_it_is(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    put(tmp_path / "b.tif", (tmp_path / "a.png").read_bytes())
    found = format_of(tmp_path / "b.tif")
    assert found is not None
    assert found.name == "PNG"
    with open_slide(tmp_path / "b.tif", mpp=0.5) as slide:
        np.testing.assert_array_equal(slide.read_region(0, 0, 96, 64), RGB)


def test_companions_tables_links_and_hidden_files_are_named_with_their_reason(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "m.mrxs")
    put(tmp_path / "m" / "Data0001.dat")
    put(tmp_path / "v.vms", b"[Virtual Microscope Specimen]\nImageFile=v_0.jpg\nMapFile=v_map.jpg\n" + b" " * 600)
    put(tmp_path / "v_0.jpg")
    put(tmp_path / "v_map.jpg")
    put(tmp_path / "o.vsi", b"II*\0" + b"\0" * 600)
    put(tmp_path / "_o_" / "stack1" / "frame_t.ets")
    put(tmp_path / "notes.txt", b"words")
    put(tmp_path / "cells.csv", b"a,b\n")
    put(tmp_path / ".hidden.png")
    put(tmp_path / "case1_label.png")
    put(tmp_path / "case1-macro.jpg")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "old" / ".biomarkers").mkdir(parents=True)
    planned = plan_inputs([tmp_path])
    assert {Path(task.path).name for task in planned.tasks} == {"a.png", "m.mrxs", "v.vms"}
    reasons = {str(Path(one.path).relative_to(tmp_path)): one.reason for one in planned.left_out}
    words = {
        "m": "part of m.mrxs", "v_0.jpg": "part of v.vms", "v_map.jpg": "part of v.vms",
        "o.vsi": "Olympus VSI is not read",
        "_o_": "part of o.vsi", "notes.txt": "text", "cells.csv": "a table", ".hidden.png": "hidden",
        "case1_label.png": "label", "case1-macro.jpg": "macro", "loop": "link", "old": "output of a run",
    }  # fmt: skip
    assert set(reasons) == set(words)
    for name, word in words.items():
        assert word in reasons[name], name


def test_a_format_that_is_not_read_says_what_to_do(tmp_path: Path) -> None:
    path = put(tmp_path / "o.vsi", b"II*\0" + b"\0" * 600)
    with pytest.raises(SlideError, match=r"Olympus VSI is not read.*Bio-Formats"):
        open_slide(path)


def test_globs_leave_out_what_is_no_image(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "a.csv", b"x\n")
    planned = plan_inputs([str(tmp_path / "*")])
    assert [task.slide for task in planned.tasks] == ["a"]
    assert [Path(one.path).name for one in planned.left_out] == ["a.csv"]
    with pytest.raises(UsageError, match=r"no such file, folder or match.*a table"):
        plan_inputs([str(tmp_path / "*.csv*")])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path;patient;mpp\nsub\\a.png;P1;0,5\n", "utf-8"),
        ("path,patient,mpp\nsub/a.png,P1,0.5\n", "utf-8-sig"),
        ("Path\tPatient\tMPP\nsub\\a.png\tP1\t0,5\n\n", "utf-16"),
        (' path , patient , mpp \n"sub/a.png", P1 , 0.5 \n,,\n', "cp1252"),
        ("path;patient;mpp;;\nsub\\a.png;P1;0.5;;\n", "utf-8"),
    ],
)
def test_manifests_of_all_countries_and_systems(tmp_path: Path, text: str, encoding: str) -> None:
    put(tmp_path / "sub" / "a.png")
    (tmp_path / "m.csv").write_bytes(text.encode(encoding))
    (task,) = plan_inputs([tmp_path / "m.csv"]).tasks
    assert (Path(task.path).resolve(), task.patient, task.mpp) == ((tmp_path / "sub" / "a.png").resolve(), "P1", 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,path\na,b\n", "two columns"),
        ("path,mpp\na,0.5,7\n", "row 2.*more values"),
        ("path;mpp\na;1.000,5\n", "row 2.*mpp"),
    ],
)
def test_manifests_that_cannot_be_meant(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "a")
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        plan_inputs([tmp_path / "m.csv"])


def test_rows_keep_the_numbers_that_a_spreadsheet_shows(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path\na\n\nb\n")
    assert [where.rpartition(", ")[2] for where, _ in read_manifest(tmp_path / "m.csv")] == ["row 2", "row 4"]


def test_one_picture_under_two_names_is_told() -> None:
    tasks = [SlideTask(name, Path(f"{name}.png")) for name in ("a", "b", "c")]
    parts = {
        name: {"row": {"slide": name, "status": "ok", "reason": ""}, "sha256": digest}
        for name, digest in (("a", "1"), ("b", "2"), ("c", "1"))
    }
    table = slides_table(tasks, parts).set_index("slide")
    assert table["status"].to_dict() == {"a": "ok_with_warnings", "b": "ok", "c": "ok_with_warnings"}
    assert "the same picture as c" in table["reason"]["a"]
