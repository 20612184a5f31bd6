"""What must not change a batch's tables does not: workers, the order of files, copies and names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from biomarkers.run.batch import score_batch
from biomarkers.simulate import Nuisance, render_hdab, simulate_scene

ASKED = {"assay": "22c3", "assume_tumor": True, "mpp": 0.5, "overlays": False, "progress": False}
TABLES = ("slides.csv", "scores.csv")


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("slides")
    for seed, name in enumerate(("c", "a", "b"), start=61):
        scene = simulate_scene(rng=seed, size_px=300, mpp=0.5, crowding="dense", tps=50.0)
        Image.fromarray(render_hdab(scene, rng=seed, nuisance=Nuisance())).save(folder / f"{name}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def plain(slides: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain")
    score_batch(slides, out=out, **ASKED)
    return out


def _bytes(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in TABLES]


def test_workers_and_the_order_of_files_change_no_byte(slides: list[Path], plain: Path, tmp_path: Path) -> None:
    score_batch(slides[::-1], out=tmp_path / "out", workers=2, **ASKED)
    assert _bytes(tmp_path / "out") == _bytes(plain)


def test_a_file_named_twice_is_one_slide(slides: list[Path], plain: Path, tmp_path: Path) -> None:
    score_batch([*slides, slides[0]], out=tmp_path / "out", **ASKED)
    assert _bytes(tmp_path / "out") == _bytes(plain)


def test_copies_and_new_names_score_alike(slides: list[Path], plain: Path, tmp_path: Path) -> None:
    copies = [Path(shutil.copy(slides[0], tmp_path / name)) for name in ("copy of a.png", "zz-9.png")]
    score_batch(copies, out=tmp_path / "out", **ASKED)
    first = pd.read_csv(plain / "scores.csv").query("slide == 'a'").drop(columns="slide")
    found = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert found["slide"].nunique() == 2
    for _, rows in found.groupby("slide"):
        pd.testing.assert_frame_equal(
            rows.drop(columns="slide").reset_index(drop=True), first.reset_index(drop=True), check_exact=True
        )
