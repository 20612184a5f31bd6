"""Optical density, separation, white and vectors are what Beer-Lambert says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biomarkers.core.errors import UsageError
from biomarkers.io import make_tile, read_tile
from biomarkers.pp import (
    StainReference,
    StainVectors,
    estimate_vectors,
    estimate_white,
    optical_density,
    read_reference,
    separate_stains,
    write_reference,
)
from biomarkers.pp.density import density_table
from biomarkers.pp.vectors import LEAST_SEPARATION_DEG, RUIFROK_DAB, angle_deg
from biomarkers.seg.contrast import amounts

WHITE = (240.0, 235.0, 228.0)


def painted(hematoxylin: np.ndarray, dab: np.ndarray, *, white: tuple[float, float, float] = WHITE) -> np.ndarray:
    """Pixels that amounts of stain would give on glass of that white, 8 bit."""
    vectors = StainVectors()
    density = hematoxylin[..., None] * np.array(vectors.hematoxylin) + dab[..., None] * np.array(vectors.dab)
    return np.rint(np.array(white) * 10**-density).clip(0, 255).astype(np.uint8)


@given(st.tuples(*[st.floats(1, 255)] * 3))
@settings(max_examples=30, deadline=None)
def test_density_table_is_beer_lambert(white: tuple[float, float, float]) -> None:
    table = density_table(white)
    grey = np.maximum(np.arange(256), 1)
    for channel in range(3):
        np.testing.assert_allclose(white[channel] * 10 ** -table[channel].astype(float), grey, rtol=2e-5)
    assert (np.diff(table, axis=1) <= 0).all()


@given(st.floats(0, 0.7), st.floats(0, 0.6))
@settings(max_examples=40, deadline=None)
def test_amounts_come_back(hematoxylin: float, dab: float) -> None:
    tile = make_tile(painted(np.full((2, 2), hematoxylin), np.full((2, 2), dab)), mpp=0.5)
    found = separate_stains(tile, white=WHITE).values[:, 0, 0]
    # one grey level at the darkest channel is what 8 bits can tell
    assert found[0] == pytest.approx(hematoxylin, abs=0.02)
    assert found[1] == pytest.approx(dab, abs=0.02)
    assert found[2] == pytest.approx(0, abs=0.02)


def test_white_is_not_rescaled_as_library_functions_do() -> None:
    tenth = np.full((1, 1, 3), 24, np.uint8)
    np.testing.assert_allclose(optical_density(tenth, white=(240.0, 240.0, 240.0)), 1.0, rtol=1e-6)


@pytest.mark.parametrize("white", [(0, 200, 200), (256, 200, 200), (200, 200), (float("nan"), 200, 200)])
def test_senseless_white_is_refused(white: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="white"):
        optical_density(np.zeros((1, 1, 3), np.uint8), white=white)  # type: ignore[arg-type]


@pytest.mark.parametrize("vector", [(0, 0, 0), (-0.1, 0.5, 0.5), (float("nan"), 1, 1), (1, 1)])
def test_senseless_vectors_are_refused(vector: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="not a stain vector"):
        StainVectors(dab=vector)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="nearly one"):
        StainVectors(hematoxylin=RUIFROK_DAB)


@pytest.mark.parametrize("tilt", [(1, -1, 0), (-1, 1, 1), (0, -1, 1), (1, 1, -1)])
def test_amounts_by_the_closest_vectors_fit_their_numbers(tilt: tuple[int, int, int]) -> None:
    middle = np.full(3, 3**-0.5)
    across = np.array(tilt) - np.dot(tilt, middle) * middle
    half, across = np.radians(LEAST_SEPARATION_DEG) / 2 + 1e-6, across / np.linalg.norm(across)
    one, other = (np.cos(half) * middle + sign * np.sin(half) * across for sign in (1, -1))
    of = StainVectors(tuple(one), tuple(other), "close")
    assert of.separation_deg < LEAST_SEPARATION_DEG + 0.01
    rgb = np.array([(red, green, blue) for red in (1, 255) for green in (1, 255) for blue in (1, 255)], np.uint8)[None]
    white = (255.0, 255.0, 255.0)
    exact = 1000 * optical_density(rgb, white=white) @ of.unmixing()[:, :2]
    found = np.stack(amounts(rgb, white=white, vectors=of), axis=-1)
    np.testing.assert_allclose(found, exact, atol=0.6)


def test_reference_survives_its_file(tmp_path: Path) -> None:
    reference = StainReference(WHITE, StainVectors(hematoxylin=(0.7, 0.6, 0.3), source="batch 3"))
    write_reference(reference, tmp_path / "stain.toml")
    back = read_reference(tmp_path / "stain.toml")
    assert back.white == WHITE
    assert back.vectors.source == "batch 3"
    assert angle_deg(back.vectors.hematoxylin, reference.vectors.hematoxylin) < 1e-4


def test_a_file_of_vectors_alone_leaves_the_white_to_each_slide(tmp_path: Path) -> None:
    reference = StainReference(None, StainVectors(dab=(0.3, 0.6, 0.7), source="batch 4"))
    write_reference(reference, tmp_path / "stain.toml")
    assert "white" not in (tmp_path / "stain.toml").read_text()
    assert read_reference(tmp_path / "stain.toml").white is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whit = [1,2,3]", "unknown key"),
        ("vectors = {}", "missing"),
        ("", "missing"),
        ("white = [1, 2]", "white level"),
        ("white = [240, 240, 240]\n[vectors]\neosin = [1, 0, 0]", "unknown key"),
        ("white = ['a', 1, 1]", "three numbers"),
        ("white = [", "not valid TOML"),
    ],
)
def test_bad_reference_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "stain.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_reference(tmp_path / "stain.toml")


def _tissue(white: tuple[float, float, float], *, dab: bool = True, glass: float = 0.2, seed: int = 1) -> np.ndarray:
    """A field with glass, pale tissue, hematoxylin blobs and, if asked, DAB blobs, with camera noise."""
    rng = np.random.default_rng(seed)
    hematoxylin = np.full((240, 240), 0.05)
    hematoxylin[:, : int(240 * glass)] = 0
    brown = np.zeros((240, 240))
    for _ in range(60):
        row, column = rng.integers(8, 232, 2)
        column = max(column, int(240 * glass) + 8)
        patch = np.s_[row - 6 : row + 6, column - 6 : min(column + 6, 240)]
        hematoxylin[patch] = rng.uniform(0.3, 0.6)
        brown[patch] = rng.uniform(0.2, 0.6) if dab and rng.random() < 0.5 else 0
        if brown[patch].any() and rng.random() < 0.5:
            hematoxylin[patch] = 0.05  # DAB outside nuclei: only there is its own colour seen
    clean = painted(hematoxylin, brown, white=white).astype(float)
    return (clean + rng.normal(0, 1.5, clean.shape)).clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    "white", [(240.0, 240.0, 240.0), (236.0, 220.0, 190.0), (208.0, 208.0, 208.0), (200.0, 230.0, 215.0)]
)
def test_white_is_the_glass(white: tuple[float, float, float]) -> None:
    found = estimate_white(make_tile(_tissue(white), mpp=0.5))
    np.testing.assert_allclose(found, white, atol=4)


def test_padding_is_not_glass() -> None:
    field = _tissue((230.0, 226.0, 215.0))
    padded = np.pad(field, ((50, 50), (50, 50), (0, 0)), constant_values=255)
    assert estimate_white(make_tile(padded, mpp=0.5)) == pytest.approx(
        estimate_white(make_tile(field, mpp=0.5)), abs=0.8
    )
    assert estimate_white(make_tile(np.full((20, 20, 3), 255, np.uint8), mpp=0.5)) == (255.0, 255.0, 255.0)


def test_estimated_vectors_are_the_true_ones() -> None:
    tile = make_tile(_tissue(WHITE), mpp=0.5)
    found = estimate_vectors(tile, white=WHITE)
    assert found.source == "estimated from the slide"
    assert angle_deg(found.dab, StainVectors().dab) < 8
    assert angle_deg(found.hematoxylin, StainVectors().hematoxylin) < 8


@pytest.mark.parametrize("tps", [5, 80])
def test_vectors_are_found_where_few_cells_are_stained(tps: int) -> None:
    from biomarkers.simulate import Nuisance, render_hdab, simulate_scene

    scene = simulate_scene(rng=11, size_px=320, mpp=0.5, tps=tps, crowding="dense")
    tile = make_tile(render_hdab(scene, rng=11, nuisance=Nuisance()), mpp=0.5)
    found = estimate_vectors(tile, white=estimate_white(tile))
    # the simulator's own vectors are Ruifrok's; of two stains in one pixel none is ever seen alone
    assert angle_deg(found.hematoxylin, StainVectors().hematoxylin) < 3
    assert angle_deg(found.dab, StainVectors().dab) < 10


def test_blind_estimation_does_not_invent_a_stain() -> None:
    only_blue = make_tile(_tissue(WHITE, dab=False), mpp=0.5)
    with pytest.warns(UserWarning, match="not estimated"):
        found = estimate_vectors(only_blue, white=WHITE)
    assert found == StainVectors()
    empty = make_tile(np.full((50, 50, 3), 235, np.uint8), mpp=0.5)
    with pytest.warns(UserWarning, match="stained pixels"):
        estimate_vectors(empty, white=(235.0, 235.0, 235.0))


def test_eosin_is_not_taken_for_dab(shared_data: Path) -> None:
    tile = read_tile(shared_data / "images" / "slides" / "CMU-1-Small-Region.svs", region=(500, 500, 800, 800))
    with pytest.warns(UserWarning, match="not estimated"):
        estimate_vectors(tile, white=(249.0, 247.0, 247.0))


def test_a_field_without_glass_is_told_from_one_with_a_little() -> None:
    """Inside a stained gland the palest colour is the tail of the stain; a lumen or pale stroma is a plateau."""
    import skimage.data

    from biomarkers.pp.background_light import block_pairs, doubt_about_glass, white_of_samples

    photo = skimage.data.immunohistochemistry()

    def doubt(rows: slice, columns: slice) -> str | None:
        pairs = block_pairs(photo[rows, columns])
        return doubt_about_glass(pairs, white_of_samples(pairs))

    assert "no empty glass" in (doubt(slice(60, 188), slice(40, 168)) or "")
    assert doubt(slice(0, 512), slice(0, 512)) is None
    assert doubt(slice(120, 220), slice(380, 480)) is None
