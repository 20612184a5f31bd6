"""What must not change a slide's scores does not: the metamorphic table of a brightfield scorer, row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from biomarkers.core.config import load_assay
from biomarkers.score import SlideScore, score_slide
from biomarkers.simulate import Nuisance, Scene, render_hdab, simulate_scene

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
COUNTS = ("n_cells", "n_positive", "n_negative")


def _scene(*, seed: int = 41, mpp: float = 0.5, side_um: float = 200.0, **how: object) -> Scene:
    return simulate_scene(rng=seed, size_px=round(side_um / mpp), mpp=mpp, **{"tps": 50, **how})  # type: ignore[arg-type]


def _photo(scene: Scene, *, seed: int = 41, **effects: object) -> np.ndarray:
    """A field with a rim of glass, as every slide has somewhere, without JPEG."""
    nuisance = dataclasses.replace(Nuisance(jpeg_quality=0), **effects)  # type: ignore[arg-type]
    field = render_hdab(scene, marker="PD-L1", rng=seed, nuisance=nuisance)
    rim = round(16 / scene.mpp)
    out = np.empty((field.shape[0] + 2 * rim, field.shape[1] + 2 * rim, 3), np.uint8)
    noise = np.random.default_rng(seed).normal(0, nuisance.shot_noise, out.shape)
    out[:] = np.clip(np.rint(np.array(nuisance.glass) + noise), 0, 255)
    out[rim:-rim, rim:-rim] = field
    return out


def _score(folder: Path, rgb: np.ndarray, *, name: str = "slide", mpp: float = 0.5, **how: object) -> SlideScore:
    path = folder / f"{name}.tif"
    tifffile.imwrite(path, np.ascontiguousarray(rgb), photometric="rgb", tile=(128, 128))
    return score_slide(path, assay="22c3", mpp=mpp, assume_tumor=True, **how)  # type: ignore[arg-type]


def _tps(result: SlideScore) -> float:
    return float(result.scores.set_index("score")["value"]["tps"])


@pytest.fixture(scope="module")
def scene() -> Scene:
    return _scene()


@pytest.fixture(scope="module")
def photo(scene: Scene) -> np.ndarray:
    return _photo(scene)


@pytest.fixture(scope="module")
def plain(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> SlideScore:
    return _score(tmp_path_factory.mktemp("plain"), photo)


def _exactly_alike(one: SlideScore, two: SlideScore) -> None:
    assert [one.row[name] for name in COUNTS] == [two.row[name] for name in COUNTS]
    counts = ["score", "value", "numerator", "denominator", "status"]
    left, right = (result.scores[counts].round(9).to_csv() for result in (one, two))
    assert left == right
    for column in ("area_um2", "nucleus_area_um2", "PD-L1_od"):
        np.testing.assert_array_equal(*(np.sort(result.cells.obs[column].to_numpy()) for result in (one, two)))


MOVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quarter turn": lambda rgb: np.rot90(rgb),
    "half turn": lambda rgb: np.rot90(rgb, 2),
    "left to right": lambda rgb: rgb[:, ::-1],
    "top to bottom": lambda rgb: rgb[::-1],
    "transposed": lambda rgb: rgb.transpose(1, 0, 2),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_turning_and_flipping_changes_nothing(
    tmp_path: Path, photo: np.ndarray, plain: SlideScore, move: Callable[[np.ndarray], np.ndarray]
) -> None:
    _exactly_alike(plain, _score(tmp_path, move(photo)))


def test_the_name_of_the_file_changes_nothing(tmp_path: Path, photo: np.ndarray, plain: SlideScore) -> None:
    _exactly_alike(plain, _score(tmp_path, photo, name="zz 9 (copy)"))


def test_storage_that_keeps_pixels_changes_nothing(tmp_path: Path, photo: np.ndarray, plain: SlideScore) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    _exactly_alike(plain, score_slide(tmp_path / "a.png", assay="22c3", mpp=0.5, assume_tumor=True))
    planes = np.moveaxis(photo, 2, 0)
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate", compression="zlib")
    _exactly_alike(plain, score_slide(tmp_path / "b.tif", assay="22c3", mpp=0.5, assume_tumor=True))


def test_a_white_margin_adds_nothing(tmp_path: Path, photo: np.ndarray, plain: SlideScore) -> None:
    margin = ((40, 24), (16, 48), (0, 0))
    padded = np.pad(photo, margin, constant_values=255)
    white = tuple(plain.record["white"])
    held = _score(tmp_path, photo, white=white)
    _exactly_alike(held, _score(tmp_path, padded, white=white))
    again = _score(tmp_path, padded)  # white estimated anew
    assert _tps(again) == pytest.approx(_tps(plain), abs=0.5)


@pytest.mark.xfail(strict=True, reason="4:2:0 halves the resolution of colour: at 0.5 um/px TPS moves by 5 points")
@pytest.mark.parametrize("quality", [80, 90])
def test_jpeg_of_halved_colour_changes_little(
    tmp_path: Path, photo: np.ndarray, plain: SlideScore, quality: int
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).save(path, quality=quality)
    result = score_slide(path, assay="22c3", mpp=0.5, assume_tumor=True)
    # a field of 200 um holds some 150 cells, so that one cell is 0.7 points: one cell either way beside the 1 point
    one_cell = 100 / plain.row["n_cells"]
    assert _tps(result) == pytest.approx(_tps(plain), abs=1 + one_cell)
    assert result.row["n_cells"] == pytest.approx(plain.row["n_cells"], abs=1 + 0.01 * plain.row["n_cells"])


@pytest.mark.parametrize("quality", [80, 90])
def test_jpeg_changes_little(tmp_path: Path, photo: np.ndarray, plain: SlideScore, quality: int) -> None:
    """Colour at full resolution, as slide scanners keep it at their best setting."""
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).save(path, quality=quality, subsampling=0)
    result = score_slide(path, assay="22c3", mpp=0.5, assume_tumor=True)
    one_cell = 100 / plain.row["n_cells"]
    assert _tps(result) == pytest.approx(_tps(plain), abs=2 + one_cell)
    assert result.row["n_cells"] == pytest.approx(plain.row["n_cells"], abs=1 + 0.01 * plain.row["n_cells"])


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.02])
def test_brightness_changes_little(tmp_path: Path, photo: np.ndarray, plain: SlideScore, factor: float) -> None:
    dimmed = np.clip(np.rint(photo * factor), 0, 255).astype(np.uint8)
    one_cell = 100 / plain.row["n_cells"]
    assert _tps(_score(tmp_path, dimmed)) == pytest.approx(_tps(plain), abs=1 + one_cell)


def test_warm_glass_changes_little(tmp_path: Path, scene: Scene, plain: SlideScore) -> None:
    warm = _score(tmp_path, _photo(scene, glass=(236.0, 220.0, 190.0)))
    assert _tps(warm) == pytest.approx(_tps(plain), abs=2)


@pytest.mark.slow
def test_resolution_changes_little(tmp_path: Path) -> None:
    fine = _photo(_scene(seed=43, mpp=0.25, side_um=256), seed=43)
    height, width = (side // 2 * 2 for side in fine.shape[:2])
    means = fine[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    coarse = np.rint(means).astype(np.uint8)
    at_fine, at_coarse = _score(tmp_path, fine, mpp=0.25), _score(tmp_path, coarse, mpp=0.5)
    assert _tps(at_coarse) == pytest.approx(_tps(at_fine), abs=2)
    assert at_coarse.row["n_cells"] == pytest.approx(at_fine.row["n_cells"], rel=0.03)


@pytest.mark.parametrize("seed", [44, 45])
def test_no_dab_gives_no_positive_cells(tmp_path: Path, seed: int) -> None:
    result = _score(tmp_path, _photo(_scene(seed=seed, tps=0, macrophage_share=0.0), seed=seed))
    assert result.row["n_cells"] > 80
    assert result.row["positive_fraction"] <= 0.005


def test_tissue_twice_is_counted_twice(tmp_path: Path, photo: np.ndarray, plain: SlideScore) -> None:
    white = tuple(plain.record["white"])
    once = _score(tmp_path, photo, white=white)
    twice = _score(tmp_path, np.concatenate([photo, photo[:, ::-1]], axis=1), white=white)
    assert twice.row["n_cells"] == 2 * once.row["n_cells"]
    assert _tps(twice) == _tps(once)


def _cells_of_region(folder: Path, photo: np.ndarray, corner: tuple[int, int], white: object) -> np.ndarray:
    """Place and area of the cells of a region that lie 50 um inside each of those that are compared."""
    from biomarkers.io import read_tile
    from biomarkers.seg.find import find_cells
    from biomarkers.seg.settings import CellSettings

    tifffile.imwrite(folder / "a.tif", photo, photometric="rgb")
    settings = CellSettings(check_stain=False, membrane_od=load_assay("22c3").thresholds.dab_od[0])
    left, top = corner
    region = (left, top, photo.shape[1] - left - 8 * (left > 0), photo.shape[0] - top - 8 * (top > 0))
    tile = read_tile(folder / "a.tif", mpp=0.5, region=region)
    cells = find_cells(tile, white=white, settings=settings).cells.obs  # type: ignore[arg-type]
    inside = cells[cells["x_um"].between(80, 150) & cells["y_um"].between(75, 150)]
    return inside[["x_um", "y_um", "area_um2"]].to_numpy()


def test_the_crop_of_a_slide_holds_the_slide_s_cells(tmp_path: Path, photo: np.ndarray, plain: SlideScore) -> None:
    """A region read from elsewhere gives the same cells as long as they lie 50 um inside it.

    It begins at a whole square of the seeking grid (2 px at 0.5 um/px), as all windows of a slide do.
    """
    white = tuple(plain.record["white"])
    whole, part = (_cells_of_region(tmp_path, photo, corner, white) for corner in ((0, 0), (52, 38)))
    assert len(whole) > 10
    np.testing.assert_allclose(whole, part, rtol=0, atol=1e-9)


def test_a_crop_between_the_squares_holds_nearly_the_same_cells(
    tmp_path: Path, photo: np.ndarray, plain: SlideScore
) -> None:
    """Averages over other squares: the number within 5 %, and nine in ten cells less than a square's side away."""
    white = tuple(plain.record["white"])
    whole, part = (_cells_of_region(tmp_path, photo, corner, white) for corner in ((0, 0), (53, 39)))
    assert len(part) == pytest.approx(len(whole), rel=0.05, abs=1)
    apart = np.hypot(*(whole[:, None, :2] - part[None, :, :2]).transpose(2, 0, 1))
    near = apart.min(axis=1) < 1.0
    assert near.mean() >= 0.9
    assert np.median(np.abs(part[apart.argmin(axis=1), 2] / whole[:, 2] - 1)[near]) < 0.05
