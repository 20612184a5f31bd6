"""Compiled kernels never outlive the constants that they were compiled with."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import biomarkers
from biomarkers.core.kernel_cache import TAKEN_FROM, forget_stale_kernels

PACKAGE = Path(biomarkers.__file__).parent
# answers with the number of bins in each object's histogram, as the compiled code has it
ASK = """
import numpy as np
from biomarkers.seg.kernels.outline import _count
from biomarkers.seg.outline import BINS
from biomarkers.core.notice import announce_compilation
announce_compilation()
one, table = np.ones((1, 1), np.int32), np.zeros(4 * 128, np.int32)
_count(one, one, np.ones((1, 1), np.uint8), np.full((1, 1), 9999, np.int16), np.empty(1, np.uint32), table)
print((int(np.flatnonzero(table)[0]) + 1) % BINS, BINS)
"""


def test_all_that_kernels_take_from_elsewhere_is_asked_for() -> None:
    files = [file for file in PACKAGE.rglob("*.py") if "numba.njit" in file.read_text(encoding="utf-8")]
    assert len(files) > 20
    told: set[str] = set()
    waiting = list(files)
    while waiting:
        taken = _constants(waiting.pop()) - told
        told |= taken
        waiting += [PACKAGE / name for name in taken]
    assert told == set(TAKEN_FROM)


def _constants(file: Path) -> set[str]:
    """Files that a file takes values or kernels from when it is imported: names in capitals, and of kernels."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("biomarkers."):
            continue
        source = Path(*node.module.split(".")[1:]).with_suffix(".py")  # type: ignore[union-attr]
        compiled = "numba.njit" in (PACKAGE / source).read_text(encoding="utf-8") if (PACKAGE / source).exists() else 0
        if compiled or any(alias.name.strip("_").isupper() for alias in node.names):
            found.add(source.as_posix())
    return found


def test_indexes_are_removed_once_after_a_change(tmp_path: Path) -> None:
    package, cache = tmp_path / "package", tmp_path / "cache"
    for name in TAKEN_FROM:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
    own, other = package / "cells/kernels/__pycache__/outline.nbi", cache / "kernels_0123/outline.nbi"
    strange = cache / "elsewhere_0123/outline.nbi"
    for file in (own, other, strange):
        file.parent.mkdir(parents=True, exist_ok=True)
    for where, mine in (("", own), (str(cache), other)):
        for changed in TAKEN_FROM:
            strange.touch()
            mine.touch()
            os.utime(package / changed, ns=(1, 1))
            assert forget_stale_kernels(package=package, cache=where)
            assert not mine.exists()
            mine.touch()
            assert not forget_stale_kernels(package=package, cache=where)
            assert mine.exists()
            os.utime(package / changed)
    assert strange.exists()


def test_a_cache_that_cannot_be_written_to_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert forget_stale_kernels(cache=str(tmp_path / "file" / "no folder"))


def test_an_installation_without_sources_is_left(tmp_path: Path) -> None:
    assert not forget_stale_kernels(package=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_update_of_a_constant_compiles_again(tmp_path: Path, elsewhere: bool) -> None:
    copy = tmp_path / "biomarkers"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    if elsewhere:
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    text = (copy / "seg/outline.py").read_text(encoding="utf-8")
    for bins in (88, 64):
        (copy / "seg/outline.py").write_text(text.replace("BINS = 4, 88", f"BINS = 4, {bins}"), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", ASK], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert done.stdout.split() == ["0", str(bins)]
    assert list(tmp_path.rglob("*.nbi"))
