"""A run folder belongs to one run, and to one set of settings."""

import json
import os
import platform

import pytest

from biomarkers.core.errors import EnvironmentFailure, UsageError
from biomarkers.core.files import sha256
from biomarkers.run.state import RunState, content_key, settings_key


def test_a_second_run_is_refused_with_pid_and_host(tmp_path):
    with (
        RunState(tmp_path).locked(),
        pytest.raises(EnvironmentFailure, match=f"{os.getpid()} on {platform.node()}"),
        RunState(tmp_path).locked(),
    ):
        pass


def test_a_stale_lock_is_recovered(tmp_path):
    path = tmp_path / ".biomarkers" / "lock.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": 2**22 + 1, "host": platform.node(), "started": 0}))
    with RunState(tmp_path).locked():
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not path.exists()


def test_a_lock_of_another_host_holds(tmp_path):
    path = tmp_path / ".biomarkers" / "lock.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": 0}))
    with pytest.raises(EnvironmentFailure, match="on elsewhere"), RunState(tmp_path).locked():
        pass


def test_a_half_written_lock_is_recovered(tmp_path):
    path = tmp_path / ".biomarkers" / "lock.json"
    path.parent.mkdir()
    path.write_text("{")
    with RunState(tmp_path).locked():
        pass


def test_other_settings_are_refused_and_shown(tmp_path):
    state = RunState(tmp_path)
    state.hold_settings({"mpp": 0.25, "assay": "22c3"})
    state.keep("a", {"files": []})
    state.hold_settings({"assay": "22c3", "mpp": 0.25})
    with pytest.raises(UsageError, match=r"mpp: 0.25 then, 0.5 now"):
        state.hold_settings({"mpp": 0.5, "assay": "22c3"})


def test_a_run_in_which_nothing_was_finished_begins_again(tmp_path):
    state = RunState(tmp_path)
    state.hold_settings({"mpp": None})
    state.hold_settings({"mpp": 0.5})
    state.keep("a", {"files": []})
    with pytest.raises(UsageError, match=r"mpp: 0.5 then, None now"):
        state.hold_settings({"mpp": None})


@pytest.mark.parametrize("new", [{"scene": None}, {"assay": {"name": "22c3", "scene": None}}])
def test_a_setting_that_came_with_a_version_is_named(tmp_path, new):
    state, old = RunState(tmp_path), {"mpp": 0.25, "assay": {"name": "22c3"}}
    state.hold_settings(old)
    state.keep("a", {"files": []})
    with pytest.raises(UsageError, match=r"another version of biomarkers made them.*: (assay\.)?scene\)"):
        state.hold_settings({**old, **new})


def test_a_part_counts_only_with_its_key_and_its_files(tmp_path):
    state = RunState(tmp_path)
    for name in ("a.txt", "image.png"):
        (tmp_path / name).write_text("x")
    job = {"file_stem": "a", "path": str(tmp_path / "image.png"), "meaning": "m"}
    state.keep("a", {"key": content_key(sha256(tmp_path / "image.png"), "m"), "files": ["a.txt"], "row": {}})
    assert state.finished(job) is not None
    assert state.finished({**job, "meaning": "other"}) is None
    (tmp_path / "image.png").write_text("y")
    assert state.finished(job) is None
    (tmp_path / "image.png").write_text("x")
    assert state.finished(job) is not None, "the time stamp does not count"
    (tmp_path / "a.txt").unlink()
    assert state.finished(job) is None


def test_the_key_knows_bytes_settings_and_version():
    def key(image, settings, version):
        return content_key(image, settings_key(settings, version))

    base = key("00", {"mpp": 0.5}, "1")
    assert base == key("00", {"mpp": 0.5}, "1")
    assert len({base, key("01", {"mpp": 0.5}, "1"), key("00", {"mpp": 0.25}, "1"), key("00", {"mpp": 0.5}, "2")}) == 4


def test_a_folder_that_cannot_be_made_is_an_environment_failure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure), RunState(tmp_path / "file" / "out").locked():
        pass
