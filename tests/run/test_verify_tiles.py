"""A finished run can be asked to prove that its numbers do not depend on tiles or threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biomarkers.cli.main import run
from biomarkers.run.verify_tiles import Way, score_in_all_ways
from tests.score.painted import save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.slow
def test_a_run_proves_its_tiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, _ = save(tmp_path, "a.png", side=300, ringed=lambda row, _: row < 2)
    out = str(tmp_path / "out")
    options = ["--assay", "22c3", "--mpp", "0.25", "--assume-tumor", "--quiet", "--no-overlays"]
    assert run(["score", str(image), "--out", out, *options]) == 0
    capsys.readouterr()
    assert run(["verify", out, "--tiles"]) == 0
    shown = capsys.readouterr().out
    assert "tiles of 2048 px" in shown
    assert "all the same, bit for bit" in shown


def test_a_difference_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import biomarkers.run.verify
    import biomarkers.run.verify_tiles

    def unlike(path: object, **_: object) -> list[Way]:
        return [Way(512, 1, 10, "aa", "bb"), Way(1024, 1, 10, "aa", "cc")]

    job = dict.fromkeys(
        ("assay", "mpp", "annotations", "classifier", "assume_tumor", "marker", "thresholds", "stain", "path")
    )
    monkeypatch.setattr(biomarkers.run.verify_tiles, "score_in_all_ways", unlike)
    monkeypatch.setattr(biomarkers.run.verify, "sampled_jobs", lambda *_, **__: [{**job, "slide": "a"}])
    assert run(["verify", str(tmp_path), "--tiles"]) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_glass_is_the_same_in_all_ways(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((80, 90, 3), 240, np.uint8)).save(tmp_path / "glass.png")
    ways = list(score_in_all_ways(tmp_path / "glass.png", assay="22c3", mpp=0.5))
    assert len({(way.cells, way.scores) for way in ways}) == 1
    assert {way.n_cells for way in ways} == {0}
