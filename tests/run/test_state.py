"""A run folder belongs to one run, and to one set of settings."""

import json
import os
import platform

import pytest

from biomarkers.errors import EnvironmentFailure, UsageError
from biomarkers.run.state import RunState, content_key


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
    state.hold_settings({"assay": "22c3", "mpp": 0.25})
    with pytest.raises(UsageError, match=r"mpp: 0.25 then, 0.5 now"):
        state.hold_settings({"mpp": 0.5, "assay": "22c3"})


def test_a_part_counts_only_with_its_key_and_its_files(tmp_path):
    state = RunState(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    state.keep("a", {"key": "k", "files": ["a.txt"], "row": {}})
    assert state.finished("a", "k") is not None
    assert state.finished("a", "other") is None
    (tmp_path / "a.txt").unlink()
    assert state.finished("a", "k") is None


def test_the_key_knows_bytes_settings_and_version():
    base = content_key("00", {"mpp": 0.5}, "1")
    assert base == content_key("00", {"mpp": 0.5}, "1")
    assert len({base, content_key("01", {"mpp": 0.5}, "1"), content_key("00", {"mpp": 0.25}, "1"),
                content_key("00", {"mpp": 0.5}, "2")}) == 4  # fmt: skip


def test_a_folder_that_cannot_be_made_is_an_environment_failure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure), RunState(tmp_path / "file" / "out").locked():
        pass
