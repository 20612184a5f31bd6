"""Compiling is announced, once; after compiling ahead no call compiles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from biomarkers.core.notice import Notice
from biomarkers.datasets import sample_trial
from biomarkers.seg.tools import fast
from biomarkers.simulate import render_hdab, simulate_scene

ROOT = Path(__file__).parents[1]
MULTIPLEX = """
import numpy as np
from pathlib import Path
from biomarkers.seg.channels import measure_channels
from biomarkers.seg.dapi import segment_dapi
from biomarkers.io.channels import make_channels
from biomarkers.pp.fluorescence import clean_channels

pixels = np.random.default_rng(0).integers(0, 200, (2, 300, 280))
for kind in (np.float32, np.uint8, np.uint16):
    tile = make_channels(pixels.astype(kind), names=("DAPI", "CD8"), mpp=0.5)
    measure_channels(clean_channels(tile).tile, segment_dapi(tile))
"""


def test_compiling_is_announced_once(capsys: pytest.CaptureFixture[str]) -> None:
    listener = Notice()
    for function in (np.sort, fast().smooth, fast().negative_log):
        listener.on_start(SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)}))  # type: ignore[arg-type]
    assert capsys.readouterr().err.count("compiling kernels") == 1


@pytest.mark.slow
def test_bytecode_is_compiled_too_where_nothing_else_would_keep_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    code = "from biomarkers import compile_ahead\ncompile_ahead.WAYS.clear()\ncompile_ahead.main([])"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, cwd=ROOT)
    package = ROOT / "biomarkers"
    there = tmp_path / package.relative_to(ROOT.anchor)
    compiled = {path.relative_to(there).with_name(path.name.split(".")[0]) for path in there.rglob("*.pyc")}
    assert compiled == {path.relative_to(package).with_suffix("") for path in package.rglob("*.py")}


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a machine on which nothing but the compiling ahead has been run."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("kernels"))}
    subprocess.run([sys.executable, "-m", "biomarkers.compile_ahead"], env=environment, check=True, cwd=ROOT)
    assert len(_compiled(environment)) > 80
    return environment


@pytest.mark.slow
def test_nothing_is_compiled_later(ahead: dict[str, str], tmp_path: Path) -> None:
    before = _compiled(ahead)
    trial = sample_trial()
    pictures = _pictures(tmp_path)
    table = tmp_path / "levels.csv"
    rows = [f"P{k},{k % 7}.{k},{('PR', 'SD', 'PD')[k % 3]}" for k in range(24)]
    table.write_text("\n".join(["patient,level,response", *rows]))
    tile = next(trial.manifest.parent.glob("tiles/*PD-L1*"))
    score = ["score", tile, *pictures, "--assay", "22c3", "--assume-tumor"]
    for arguments in (
        [*score, "--mpp", "0.5", "--out", tmp_path / "half"],
        [*score, "--mpp", "0.25", "--out", tmp_path / "quarter"],
        [
            "relate",
            table,
            "--level",
            "level",
            "--response",
            "response",
            "--patient",
            "patient",
            "--out",
            tmp_path / "r",
        ],
    ):
        command = [sys.executable, "-m", "biomarkers", *map(str, arguments)]
        done = subprocess.run(command, env=ahead, check=True, cwd=ROOT, capture_output=True, text=True)
        assert _compiled(ahead) - before == set()
        assert "compiling" not in done.stderr
    subprocess.run([sys.executable, "-c", MULTIPLEX], env=ahead, check=True, cwd=ROOT)
    assert _compiled(ahead) == before
    _forget_one_kernel(ahead)
    command = [sys.executable, "-m", "biomarkers", *map(str, score), "--mpp", "0.5", "--out", str(tmp_path / "again")]
    done = subprocess.run(command, env=ahead, check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.count("compiling kernels, once on this machine") == 1  # a worker that compiles says so


def _pictures(folder: Path) -> list[Path]:
    """Write tissue without a cell, and a small field that is not as wide as it is tall."""
    from PIL import Image

    slope = np.clip(np.linspace(-1, 2, 300), 0, 1)[
        :, None, None
    ]  # glass, then paler and darker tissue, without an edge
    blank = np.rint(240 - slope * np.array([50, 70, 40])).astype(np.uint8).repeat(300, axis=1)
    field = render_hdab(simulate_scene(rng=4, size_px=256, mpp=0.5), rng=4)
    files = [folder / "field.png", folder / "blank.jpg"]
    Image.fromarray(np.ascontiguousarray(field[:, :201])).save(files[0])
    Image.fromarray(blank).save(files[1])
    return files


def _forget_one_kernel(environment: dict[str, str]) -> None:
    """Remove what was compiled of one kernel that every score needs."""
    gone = list(Path(environment["NUMBA_CACHE_DIR"]).rglob("hue._signal*"))
    assert gone
    for path in gone:
        path.unlink()


def _compiled(environment: dict[str, str]) -> set[tuple[str, int]]:
    files = Path(environment["NUMBA_CACHE_DIR"]).rglob("*.nbc")
    return {(path.name, path.stat().st_mtime_ns) for path in files}
