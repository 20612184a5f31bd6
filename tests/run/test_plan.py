"""Inputs become tasks: each image once, each with its own name."""

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from biomarkers.core.errors import DataError, UsageError
from biomarkers.run.plan import SlideTask, plan_tasks


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_a_folder_is_searched_through_and_hidden_files_are_left_out(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "deep" / "b.SVS", tmp_path / ".hidden.png", tmp_path / "notes.txt")
    assert [task.slide for task in plan_tasks([tmp_path])] == ["a", "b"]


def test_the_output_folder_inside_the_input_is_left_out(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "out" / "overlays" / "a.png")
    assert len(plan_tasks([tmp_path], exclude=tmp_path / "out")) == 1


def test_a_link_loop_ends(tmp_path):
    touch(tmp_path / "a.png")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(plan_tasks([tmp_path])) == 1


def test_the_same_image_twice_is_one_task(tmp_path):
    touch(tmp_path / "a.png")
    assert len(plan_tasks([tmp_path, tmp_path / "a.png", str(tmp_path / "*.png")])) == 1


def test_equal_stems_are_told_apart_by_their_folders(tmp_path):
    touch(tmp_path / "p1" / "core.png", tmp_path / "p2" / "core.png", tmp_path / "p2" / "other.png")
    names = [task.slide for task in plan_tasks([tmp_path])]
    assert names == ["other", "p1/core.png", "p2/core.png"]
    assert len({task.file_stem for task in plan_tasks([tmp_path])}) == 3


def test_names_that_differ_only_in_odd_characters_get_different_files(tmp_path):
    touch(tmp_path / "a b.png", tmp_path / "a_b.png", tmp_path / "A_B.png")
    stems = {task.file_stem.casefold() for task in plan_tasks([tmp_path])}
    assert len(stems) == 3


def test_long_names_that_begin_alike_get_short_and_different_files(tmp_path):
    touch(*(tmp_path / folder / f"{'x' * 240}.png" for folder in ("p1", "p2")))
    stems = {task.file_stem for task in plan_tasks([tmp_path])}
    assert len(stems) == 2
    assert all(len(stem) <= 150 for stem in stems)


def test_ome_tiff_loses_its_double_suffix(tmp_path):
    touch(tmp_path / "a.ome.tif")
    assert plan_tasks([tmp_path])[0].slide == "a"


@given(st.text(min_size=1, max_size=30))
def test_a_file_stem_is_always_a_plain_file_name(name):
    from pathlib import Path

    stem = SlideTask(slide=name, path=Path("x")).file_stem
    assert stem
    assert stem[0] not in ".-"
    assert not set(stem) & set("/\\\n\"'<>=: ")


def test_order_of_inputs_changes_nothing(tmp_path):
    touch(tmp_path / "b.png", tmp_path / "a.png")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    assert plan_tasks(paths) == plan_tasks(paths[::-1])


def test_a_manifest_carries_patient_assay_and_pixel_size(tmp_path):
    touch(tmp_path / "images" / "a.png")
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,patient,timepoint,assay,mpp\nimages/a.png,007,baseline,22c3,0.5\n")
    (task,) = plan_tasks([manifest])
    assert (task.patient, task.timepoint, task.assay, task.mpp) == ("007", "baseline", "22c3", 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,patinet\na.png,1\n", "Did you mean 'patient'"),
        ("file\na.png\n", "'file'"),
        ("patient\n1\n", "no column 'path'"),
        ("path\n", "no rows"),
        ("path\nb.png\n", "no image of the manifest exists.*b.png"),
        ("path,patient\n,1\na.png,2\n", "row 2.*names no image"),
        ("path,mpp\na.png,half\n", "row 2.*mpp is not a number.*half"),
        ("path,annotations\na.png,a.geojson\n", "row 2.*no such annotation"),
    ],
)
def test_a_wrong_manifest_names_row_and_column(tmp_path, text, message):
    touch(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        plan_tasks([tmp_path / "m.csv"])


def test_one_image_under_two_patients_is_refused(tmp_path):
    touch(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text("path,patient\na.png,1\na.png,2\n")
    with pytest.raises(DataError, match="listed twice"):
        plan_tasks([tmp_path / "m.csv"])


@pytest.mark.parametrize("item", ["absent.png", "absent/*.png", "absent"])
def test_what_does_not_exist_is_refused(tmp_path, item):
    with pytest.raises(UsageError, match="absent"):
        plan_tasks([str(tmp_path / item)])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no image"):
        plan_tasks([tmp_path])


def test_a_folder_of_channels_is_one_image_where_a_panel_is_given(tmp_path):
    for name in ("P1.baseline", "P2.baseline"):
        (tmp_path / name).mkdir()
        for channel in ("DAPI", "CD8"):
            tifffile.imwrite(tmp_path / name / f"{channel}.tif", np.zeros((8, 8), np.uint16))
    (tmp_path / "P3.ome.zarr" / "0").mkdir(parents=True)
    (tmp_path / "P3.ome.zarr" / ".zattrs").write_text("{}")
    tifffile.imwrite(tmp_path / "P3.ome.zarr" / "0" / "thumbnail.tif", np.zeros((8, 8), np.uint16))
    assert len(plan_tasks([tmp_path])) == 5  # without a panel: files, and the Zarr as one image
    found = {task.slide: task.path.name for task in plan_tasks([tmp_path], channels=True)}
    assert found == {"P1.baseline": "P1.baseline", "P2.baseline": "P2.baseline", "P3": "P3.ome.zarr"}
    assert [task.slide for task in plan_tasks([tmp_path / "P1.baseline"], channels=True)] == ["P1.baseline"]
    assert [task.slide for task in plan_tasks([str(tmp_path / "P*")], channels=True)] == list(found)
    (tmp_path / "m.csv").write_text("path,patient\nP2.baseline,P2\n")
    assert [task.patient for task in plan_tasks([tmp_path / "m.csv"], channels=True)] == ["P2"]
    assert [task.slide for task in plan_tasks([tmp_path / "P3.ome.zarr"])] == ["P3"]
