"""H-DAB, hematoxylin alone, H&E and grey are told apart; bad fields are flagged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from biomarkers.io import make_tile, read_tile
from biomarkers.pp import dab_evidence, estimate_white, measure_quality
from biomarkers.simulate import Nuisance, render_hdab, simulate_scene


def _kind(tile: object) -> str:
    return dab_evidence(tile, white=estimate_white(tile)).kind  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["22_2.png", "6_2.png", "lung1.png"])
def test_real_immunostains_are_recognised(shared_data: Path, name: str) -> None:
    assert _kind(read_tile(shared_data / "images" / "hdab" / name, mpp=0.25)) == "dab"


def test_real_immunostain_of_a_library() -> None:
    import skimage.data

    assert _kind(make_tile(skimage.data.immunohistochemistry(), mpp=0.5)) == "dab"


@pytest.mark.parametrize(
    ("folder", "name"),
    [("slides", "CMU-1-Small-Region.svs"), ("slides", "tcga-cr-7395-01a-01-ts1.svs"), ("stardist", "histo.jpg")],
)
def test_real_eosin_is_recognised(shared_data: Path, folder: str, name: str) -> None:
    tile = read_tile(shared_data / "images" / folder / name, mpp=0.5)
    evidence = dab_evidence(tile, white=estimate_white(tile))
    assert evidence.kind == "eosin"
    assert not evidence.scorable
    assert "H&E" in evidence.reason


@pytest.mark.parametrize("seed", range(4))
def test_a_negative_immunostain_stays_scorable(seed: int) -> None:
    scene = simulate_scene(rng=seed, size_px=256, mpp=0.5, tps=0, macrophage_share=0.0)
    tile = make_tile(render_hdab(scene, marker="PD-L1", rng=seed), mpp=0.5)
    evidence = dab_evidence(tile, white=estimate_white(tile))
    assert evidence.kind in ("hematoxylin_only", "dab")
    assert evidence.pink_share < 0.08
    assert evidence.brown_share < 0.05


def test_the_negative_part_of_a_real_immunostain(shared_data: Path) -> None:
    tile = read_tile(shared_data / "images" / "hdab" / "22_2.png", mpp=0.25, region=(200, 40, 120, 130))
    white = estimate_white(read_tile(shared_data / "images" / "hdab" / "22_2.png", mpp=0.25))
    assert dab_evidence(tile, white=white).kind == "hematoxylin_only"


def test_grey_and_empty() -> None:
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.integers(60, 230, (100, 100, 1), dtype=np.uint8), 3, axis=2)
    assert _kind(make_tile(grey, mpp=0.5)) == "no_colour"
    assert _kind(make_tile(np.full((100, 100, 3), 240, np.uint8), mpp=0.5)) == "no_tissue"


def test_fluorescence_is_no_immunostain(shared_data: Path) -> None:
    tile = read_tile(shared_data / "images" / "slides" / "test3-DAPI-2-(387).ndpi", region=(500, 500, 600, 600))
    assert _kind(tile) == "dark"
    rng = np.random.default_rng(0)
    cells = np.zeros((200, 200, 3), np.uint8)
    for channel in range(3):
        for row, column in rng.integers(0, 190, (15, 2)):
            cells[row : row + 10, column : column + 10, channel] = 220
    evidence = dab_evidence(make_tile(cells, mpp=0.5), white=(255.0, 255.0, 255.0))
    assert evidence.kind == "dark"
    assert not evidence.scorable
    assert "fluorescence" in evidence.reason


SCENE = simulate_scene(rng=7, size_px=384, mpp=0.5, crowding="dense", tps=80)


def _flags(**effects: object) -> dict[str, bool]:
    nuisance = dataclasses.replace(Nuisance(), **effects)  # type: ignore[arg-type]
    tile = make_tile(render_hdab(SCENE, marker="PD-L1", rng=3, nuisance=nuisance), mpp=0.5)
    return measure_quality(tile, white=estimate_white(tile)).flags()


def test_a_good_field_has_no_flag() -> None:
    assert not any(_flags().values())
    assert not any(_flags(glass=(236.0, 220.0, 190.0)).values())


@pytest.mark.parametrize(
    ("effects", "flag"),
    [
        ({"pen": True}, "pen"),
        ({"hematoxylin": 8.0}, "dark"),
        ({"pigment": 1.0}, "pigment"),
        ({"defocus_um": 1.2}, "blurred"),
        ({"dab": 4.0}, "over_stained"),
    ],
)
def test_each_accident_is_flagged(effects: dict[str, object], flag: str) -> None:
    assert _flags(**effects)[flag]


@pytest.mark.parametrize(
    "ink", [(0.12, 0.22, 0.75), (0.15, 0.6, 0.25), (0.1, 0.1, 0.12)], ids=["blue", "green", "black"]
)
@pytest.mark.parametrize("seed", [21, 22, 23])
def test_ink_of_any_colour_is_flagged_on_any_tissue(ink: tuple[float, float, float], seed: int) -> None:
    crowding = ("sparse", "dense", "touching")[seed % 3]
    scene = simulate_scene(rng=seed, size_px=320, mpp=0.5, crowding=crowding, tps=40 * (seed % 3), strength=1.0)
    pixels = render_hdab(scene, marker="PD-L1", rng=seed).astype(float)
    clean = make_tile(pixels.astype(np.uint8), mpp=0.5)
    before = measure_quality(clean, white=estimate_white(clean))
    assert not before.flags()["pen"]
    assert not before.flags()["dark"]
    pixels[100:140] *= ink  # a stroke 20 um wide
    found = make_tile(pixels.astype(np.uint8), mpp=0.5)
    after = measure_quality(found, white=estimate_white(clean))
    # over brown tissue blue ink may look like a stain: part of the stroke is enough
    assert 0.3 * 40 / 320 < after.pen_share + after.dark_share < 1.2 * 40 / 320
    assert after.flags()["dark" if ink[2] < 0.2 else "pen"]


def test_messages_name_the_flags() -> None:
    nuisance = dataclasses.replace(Nuisance(), pen=True)
    tile = make_tile(render_hdab(SCENE, marker="PD-L1", rng=3, nuisance=nuisance), mpp=0.5)
    assert any("pen" in message for message in measure_quality(tile, white=estimate_white(tile)).messages())


def test_real_tiles_are_sharp_and_free_of_pen(shared_data: Path) -> None:
    for name in ("22_2.png", "6_2.png", "lung1.png"):
        tile = read_tile(shared_data / "images" / "hdab" / name, mpp=0.25)
        flags = measure_quality(tile, white=estimate_white(tile)).flags()
        assert not flags["pen"]
        assert not flags["dark"]
        assert not flags["blurred"]
        assert not flags["pigment"]


@pytest.mark.parametrize("brown", [(120, 60, 20), (90, 30, 6), (40, 14, 5), (190, 120, 4)], ids=str)
def test_saturated_brown_is_neither_ink_nor_a_fold(brown: tuple[int, int, int]) -> None:
    """A solid area of 60 um; a camera's floor turns the hue of dense DAB to yellow or to black."""
    rgb = np.full((240, 240, 3), 240, np.uint8)
    rgb[60:180, 60:180] = brown
    quality = measure_quality(make_tile(rgb, mpp=0.5), white=(240.0, 240.0, 240.0))
    assert (quality.pen_share, quality.dark_share) == (0, 0)


def test_ink_and_folds_of_the_same_density_are_told() -> None:
    for ink, flag in (((20, 20, 22), "dark"), ((30, 60, 190), "pen"), ((190, 20, 30), "pen")):
        rgb = np.full((240, 240, 3), 240, np.uint8)
        rgb[60:180, 60:180] = ink
        assert measure_quality(make_tile(rgb, mpp=0.5), white=(240.0, 240.0, 240.0)).flags()[flag], ink


def test_brown_granules_are_no_pigment_and_black_ones_are() -> None:
    """60 grains of 1.3 um on pale tissue, as SP142 stains them and as anthracosis does."""
    counted = []
    for colour in ((120, 45, 25), (18, 18, 18)):
        rgb = np.full((400, 400, 3), (225, 228, 232), np.uint8)
        rgb[:40] = 240
        for at in range(60):
            row, column = 60 + 50 * (at // 10), 30 + 38 * (at % 10)
            rgb[row : row + 5, column : column + 5] = colour
        counted.append(measure_quality(make_tile(rgb, mpp=0.25), white=(240.0, 240.0, 240.0)).n_grains)
    assert counted == [0, 60]
