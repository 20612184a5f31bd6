"""A whole slide scored tile by tile: the same numbers for any tile and any number of threads, and as held whole."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from biomarkers.core import keys
from biomarkers.core.errors import SlideError, UsageError
from biomarkers.io import read_tile, tile_rgb
from biomarkers.pp.background_light import block_pairs
from biomarkers.score import score_slide
from biomarkers.score.whole import WholeSlideScore, is_whole, score_whole_slide, stream
from biomarkers.score.whole.decide import _pairs
from biomarkers.simulate import Nuisance, render_hdab, simulate_scene
from tests.score.painted import save_areas

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _write(path: Path, rgb: np.ndarray) -> Path:
    tifffile.imwrite(path, rgb, photometric="rgb", tile=(256, 256), compression="jpeg", metadata=None)
    return path


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated fields side by side on glass, 1000 x 500 px, so that tiles of 512 cut them."""
    pixels = np.full((500, 1000, 3), (243, 242, 241), np.uint8)
    for seed, left in ((31, 60), (32, 540)):
        scene = simulate_scene(rng=seed, size_px=400, mpp=0.5, tps=60, crowding="touching")
        light = Nuisance(jpeg_quality=0)
        pixels[50:450, left : left + 400] = render_hdab(scene, marker="PD-L1", rng=seed, nuisance=light)
    return _write(tmp_path_factory.mktemp("slides") / "simulated.tif", pixels)


def _score(path: Path, folder: Path, **options: object) -> tuple[WholeSlideScore, str]:
    settings: dict[str, object] = {"assay": "22c3", "mpp": 0.5, "assume_tumor": True, "picture": False, **options}
    result = score_whole_slide(path, cells_to=folder / "cells.parquet", **settings)  # type: ignore[arg-type]
    cells = (folder / "cells.parquet").read_bytes()
    rest = f"{result.row}{result.scores.to_csv()}{result.sensitivity.to_csv()}{result.record}"
    return result, hashlib.sha256(cells + rest.encode()).hexdigest()


def test_nothing_depends_on_tiles_or_threads(simulated: Path, tmp_path: Path) -> None:
    result, first = _score(simulated, tmp_path, tile_px=512)
    assert result.row["n_cells"] > 200
    assert "every cell was assumed to be a tumor cell" in result.row["reason"]
    for tile_px, threads in ((1024, 2), (2048, 1), (333, 1)):
        assert _score(simulated, tmp_path, tile_px=tile_px, threads=threads)[1] == first


@pytest.mark.parametrize("height", [1, 5, 64])
def test_a_row_of_patches_is_summed_as_each_of_them(height: int) -> None:
    rng = np.random.default_rng(height)
    patches = [rng.integers(0, 256, (height, 64, 3)).astype(np.uint8) for _ in range(3)]
    assert (_pairs(patches) == np.concatenate([block_pairs(one) for one in patches])).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_slide_that_cannot_be_decided_on_leaves_no_thread_behind(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    def stopped(sample: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stream, "decide", stopped)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        _score(simulated, tmp_path, threads=threads, tile_px=256)
    assert threading.active_count() == before


@pytest.mark.slow
def test_nothing_depends_on_tiles_in_a_mosaic_of_real_tissue(shared_data: Path, tmp_path: Path) -> None:
    field = tile_rgb(read_tile(shared_data / "images" / "hdab" / "6_2.png", mpp=0.25))
    path = tmp_path / "mosaic.tif"
    tifffile.imwrite(path, np.tile(field, (2, 2, 1)), photometric="rgb", tile=(256, 256))
    options = {"assay": "h-dab-nuclear", "mpp": 0.25}
    result, first = _score(path, tmp_path, tile_px=512, **options)
    assert result.row["n_cells"] > 150
    for tile_px, threads in ((1024, 2), (2048, 1)):
        assert _score(path, tmp_path, tile_px=tile_px, threads=threads, **options)[1] == first


def test_it_agrees_with_the_slide_held_whole(simulated: Path, tmp_path: Path) -> None:
    result, _ = _score(simulated, tmp_path)
    held = score_slide(simulated, assay="22c3", mpp=0.5, assume_tumor=True, white=(243.0, 242.0, 241.0))
    streamed, _ = _score(simulated, tmp_path, white=(243.0, 242.0, 241.0))
    # decided on a sample here and on all pixels there: the contrast cut may differ a little, the cells not
    assert streamed.row["n_cells"] == pytest.approx(held.row["n_cells"], rel=0.01)
    assert set(held.row) == set(streamed.row)
    assert list(held.cells_table().columns) == list(streamed.cells_table().columns)
    assert tuple(streamed.scores.columns) == keys.SCORE_COLUMNS
    assert streamed.row["tissue_mm2"] == pytest.approx(held.row["tissue_mm2"], rel=1e-9)
    for score in ("tps", "h_score", "dab_area_percent"):
        both = [one.scores.set_index("score")["value"].get(score) for one in (held, streamed)]
        if both[0] is not None:
            assert both[1] == pytest.approx(both[0], abs=0.5)
    # white was estimated in the first run, on patches of the slide
    assert (result.row["white_r"], result.row["white_b"]) == pytest.approx((243, 241), abs=1.5)


def test_cells_stand_in_reading_order_in_one_file(simulated: Path, tmp_path: Path) -> None:
    result, _ = _score(simulated, tmp_path, picture=True)
    table = result.cells_table()
    assert len(table) == result.row["n_cells"]
    assert table["label"].tolist() == list(range(1, len(table) + 1))
    order = np.lexsort((table["x_um"], table["y_um"]))
    assert (order == np.arange(len(table))).all()
    assert table["PD-L1_positive"].sum() == result.row["n_positive"]
    assert result.picture is not None
    assert max(result.picture.size) <= 2048


def test_annotated_tissue_is_counted_apart(simulated: Path, tmp_path: Path) -> None:
    areas = [("Tumor", 60, 50, 460, 450), ("Necrosis", 60, 50, 160, 450), ("Stroma", 540, 50, 940, 450)]
    file = save_areas(tmp_path / "a.geojson", areas)
    result, first = _score(simulated, tmp_path, annotations=file, assume_tumor=False)
    assert _score(simulated, tmp_path, annotations=file, assume_tumor=False, tile_px=400)[1] == first
    held = score_slide(simulated, assay="22c3", mpp=0.5, annotations=file)
    for region in ("all", "tumor", "stroma"):
        ours, theirs = (one.scores[one.scores["region"] == region].set_index("score") for one in (result, held))
        both = pd.concat([ours["denominator"], theirs["denominator"]], axis=1).loc[["tps", "positive_fraction"]]
        assert both.iloc[:, 0].to_numpy() == pytest.approx(both.iloc[:, 1].to_numpy(), rel=0.02, nan_ok=True)
    assert result.row["n_excluded"] == pytest.approx(held.row["n_excluded"], abs=3)
    assert result.row["tissue_mm2"] == pytest.approx(held.row["tissue_mm2"], rel=0.02)


def _glass(folder: Path) -> Path:
    pixels = np.random.default_rng(0).normal(238, 1, (700, 600, 3)).round().astype(np.uint8)
    return _write(folder / "glass.tif", pixels)


def _pink(folder: Path) -> Path:
    field = np.full((700, 600, 3), 240, np.uint8)
    field[100:600, 100:500] = (215, 130, 190)
    return _write(folder / "pink.tif", field)


@pytest.mark.parametrize(("make", "status"), [(_glass, keys.NO_TISSUE), (_pink, keys.NOT_EVALUABLE)])
def test_what_holds_nothing_says_so(tmp_path: Path, make: Callable[[Path], Path], status: str) -> None:
    result = score_whole_slide(make(tmp_path), assay="22c3", mpp=0.5, cells_to=tmp_path / "cells.parquet")
    assert result.row["status"] == status
    assert result.cells_file is None
    assert result.scores["value"].isna().all()
    assert (result.scores["reason"] == result.row["reason"]).all()


def test_a_corrupt_tile_fails_the_slide(simulated: Path, tmp_path: Path) -> None:
    content = bytearray(simulated.read_bytes())
    with tifffile.TiffFile(simulated) as file:
        offset, count = file.pages[0].dataoffsets[5], file.pages[0].databytecounts[5]
    content[offset : offset + count] = b"\0" * count
    path = tmp_path / "bad.tif"
    path.write_bytes(bytes(content))
    with pytest.raises(SlideError, match="tile 5 cannot be decoded"):
        score_whole_slide(path, assay="22c3", mpp=0.5, cells_to=tmp_path / "cells.parquet")


def test_a_pixel_size_is_needed_before_anything_is_read(simulated: Path, tmp_path: Path) -> None:
    with pytest.raises((UsageError, SlideError), match="pixel size"):
        score_whole_slide(simulated, assay="22c3", cells_to=tmp_path / "cells.parquet")
    assert not is_whole(simulated)
