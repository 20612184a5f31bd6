"""A slide whose cells several workers found gives the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biomarkers.score.whole import score_whole_slide
from biomarkers.score.whole.regions import KeptStrips, keep_region
from tests.score.painted import save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _scored(image: Path, cells: Path, **more: Any) -> tuple[bytes, str]:
    result = score_whole_slide(image, assay="22c3", mpp=0.25, assume_tumor=True, cells_to=cells, picture=False, **more)
    return cells.read_bytes(), result.scores.to_csv() + str(sorted(result.row.items(), key=str))


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 3])
def test_regions_give_the_same_bytes(tmp_path: Path, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import biomarkers.score.whole.slide as whole

    monkeypatch.setattr(whole, "TILE_PX", 96)
    image, _ = save(tmp_path, "a.png", side=420, ringed=lambda row, _: row < 2)
    alone = _scored(image, tmp_path / "alone.parquet")
    kept = KeptStrips(tmp_path / "kept")
    settings = {"assay": "22c3", "mpp": 0.25, "assume_tumor": True}
    counts = [keep_region(image, region=(part, parts), kept=kept, **settings) for part in reversed(range(parts))]
    assert sum(counts) == -(-420 // 96)
    assert _scored(image, tmp_path / "joined.parquet", kept=kept) == alone
    next(iter(sorted(kept.folder.iterdir()))).unlink()
    assert _scored(image, tmp_path / "again.parquet", kept=kept) == alone, "a strip that was lost is found again"


def test_a_strip_that_was_kept_is_what_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the test above: if kept strips were ignored, it would pass for nothing."""
    import biomarkers.score.whole.slide as whole

    monkeypatch.setattr(whole, "TILE_PX", 96)
    image, _ = save(tmp_path, "a.png", side=300, ringed=lambda row, _: row < 2)
    kept = KeptStrips(tmp_path / "kept")
    keep_region(image, region=(0, 1), kept=kept, assay="22c3", mpp=0.25, assume_tumor=True)
    alone, _ = _scored(image, tmp_path / "a.parquet")
    path = sorted(kept.folder.iterdir())[0]
    strip = kept.load(int(path.stem.partition("-to")[2]), tile_px=96)
    assert strip is not None
    assert strip.rows.count
    kept.save(type(strip)(strip.rows.subset(np.arange(0)), strip.stained_px, strip.end), tile_px=96)
    assert _scored(image, tmp_path / "b.parquet", kept=kept)[0] != alone
