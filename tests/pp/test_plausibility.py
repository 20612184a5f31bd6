"""What is no H-DAB immunostain is told by its light and colours, and what is one is not refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from biomarkers.io import make_tile
from biomarkers.pp import StainVectors, estimate_white, plausibility
from biomarkers.pp.immunostain_check import LIMITS, Plausibility
from biomarkers.pp.squares import patches_of
from biomarkers.simulate import render_hdab, simulate_scene
from biomarkers.simulate.copies import CHROMOGENS, changed_copies, recoloured, without_colour
from biomarkers.simulate.nuisance import Nuisance


def judged(rgb: np.ndarray, mpp: float = 0.5, vectors: StainVectors | None = None) -> Plausibility:
    rgb = np.ascontiguousarray(rgb)
    return plausibility(patches_of(rgb), white=estimate_white(make_tile(rgb, mpp=mpp)), mpp=mpp, vectors=vectors)


def dyed(rgb: np.ndarray, chromogen: str) -> np.ndarray:
    return recoloured(rgb, chromogen=chromogen, white=estimate_white(make_tile(rgb, mpp=0.5)))


@pytest.fixture(scope="module")
def true_hdab() -> np.ndarray:
    return skimage.data.immunohistochemistry()


def test_a_true_immunostain_is_neither_refused_nor_doubted(true_hdab):
    for name, copy in {"as it is": true_hdab, **changed_copies(true_hdab)}.items():
        told = judged(copy)
        assert (told.refusals, told.doubts) == ((), ()), name


@pytest.mark.parametrize("chromogen", ["aec", "fast_red", "magenta", "eosin", "vina_green"])
def test_another_chromogen_is_refused(true_hdab, chromogen):
    told = judged(dyed(true_hdab, chromogen))
    assert told.refusals
    assert told.reason.startswith("no H-DAB immunostain: ")


def test_eosin_and_aec_are_called_by_their_colour(true_hdab):
    assert "pink" in judged(dyed(true_hdab, "eosin")).reason
    assert "redder than DAB" in judged(dyed(true_hdab, "aec")).reason


def test_vectors_of_the_chromogen_lift_the_rules_of_colour_alone(true_hdab):
    aec = dyed(true_hdab, "aec")
    given = StainVectors(dab=CHROMOGENS["aec"], source="AEC of this lab")
    assert not judged(aec, vectors=given).refusals
    assert judged(without_colour(true_hdab), vectors=given).refusals
    assert judged(aec, vectors=StainVectors(source="given, but of DAB")).refusals


def test_red_and_blue_exchanged_is_doubted(true_hdab):
    told = judged(true_hdab[..., ::-1])
    assert any("exchanged" in one for one in (*told.refusals, *told.doubts))


def test_grey_inverted_and_noise_are_refused(true_hdab):
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    assert "no colour" in judged(without_colour(true_hdab)).reason
    assert "dark" in judged(255 - true_hdab).reason
    assert "noise" in judged(noise).reason


def test_a_stroke_of_ink_is_no_reason_to_refuse(true_hdab):
    for light in ((0.12, 0.22, 0.75), (0.2, 0.8, 0.2), (0.05, 0.05, 0.05)):
        inked = true_hdab.copy()
        inked[300:360] = (inked[300:360] * np.array(light)).astype(np.uint8)
        assert judged(inked).refusals == (), light


def test_black_padding_is_not_a_dark_picture(true_hdab):
    padded = np.pad(true_hdab, ((60, 60), (60, 60), (0, 0)))
    assert judged(padded).refusals == ()


@pytest.mark.parametrize("mpp", [0.25, 0.35, 1.0])
def test_no_pixel_size_changes_the_judgement(true_hdab, mpp):
    assert judged(true_hdab, mpp).refusals == ()
    assert judged(dyed(true_hdab, "fast_red"), mpp).refusals


def test_turned_and_mirrored_pictures_are_judged_alike(true_hdab):
    told = judged(true_hdab)
    for copy in (np.rot90(true_hdab), true_hdab[:, ::-1], true_hdab[::-1]):
        assert judged(copy).features == pytest.approx(told.features, rel=0.06, abs=0.01)  # of other squares


def test_features_of_colours_known_by_hand():
    """Two patches against white 250: one of squares with density shares (1, 4, 5) / 10, one of (2.5, 5, 2.5) / 10."""
    brown = np.rint(250 * 10 ** -np.array([0.05, 0.20, 0.25])).astype(np.uint8)
    pink = np.rint(250 * 10 ** -np.array([0.125, 0.25, 0.125])).astype(np.uint8)
    patches = [np.broadcast_to(one, (64, 64, 3)) for one in (brown, pink)]
    told = plausibility(patches, white=(250.0, 250.0, 250.0), mpp=1.0).features
    assert told["pink_share"] == pytest.approx(0.5, abs=0.01)  # green exceeds both by 2.5 tenths in one of the two
    assert told["pink_in_most"] == pytest.approx(0.0, abs=0.01)  # the patch of less pink holds half of the stain
    assert told["green_share"] == 0
    assert told["chroma"] == pytest.approx(0.5 * 0.4 + 0.5 * 0.25, abs=0.01)
    assert told["brown_balance"] == pytest.approx((5 - 4) / (5 - 1), abs=0.02)
    assert "blue_over_brown" not in told
    assert "blue_od" not in told


def test_limits_stand_where_they_were_set():
    edges = {name: (limit.doubtful, limit.refused) for name, limit in LIMITS.items()}
    assert edges == {
        "background_light": (0.70, 0.62),
        "neighbour_correlation": (0.45, 0.30),
        "chroma": (0.030, 0.012),
        "pink_share": (0.06, float("inf")),
        "pink_in_most": (0.018, 0.03),
        "green_share": (0.03, float("inf")),
        "green_in_half": (0.03, 0.05),
        "pale_red_balance": (-0.10, -0.14),
        "brown_balance": (0.23, 0.0),
        "blue_over_brown": (1.45, float("inf")),
        "blue_od": (0.55, float("inf")),
    }


def test_between_the_limits_is_a_doubt_and_beyond_a_refusal():
    for value, refused, doubted in ((0.5, 0, 0), (0.23, 0, 0), (0.229, 0, 1), (0.0, 0, 1), (-0.001, 1, 0)):
        told = Plausibility({"brown_balance": value})
        assert (len(told.refusals), len(told.doubts)) == (refused, doubted)
    assert Plausibility({"brown_balance": -0.1}, frozenset({"brown_balance"})).reason == ""


@pytest.mark.parametrize(
    ("features", "refused"),
    [
        ({"pink_in_most": 0.031}, 1),
        ({"pink_in_most": 0.5, "brown_balance": 0.0}, 0),  # brown of DAB's hue: a pinkish hematoxylin
        ({"pink_in_most": 0.5, "brown_balance": -0.001}, 2),
        ({"pink_in_most": 0.5, "brown_balance": 0.3, "pale_red_balance": -0.141}, 1),
    ],
)
def test_pink_alone_does_not_refuse_where_there_is_brown(features, refused):
    told = Plausibility(features)
    assert len(told.refusals) == refused
    assert told.refusals or any("pink" in one for one in told.doubts)


def test_simulated_tiles_whose_stains_are_turned_by_four_degrees_are_not_refused():
    for seed in (9, 10, 11, 16, 34, 39):  # pinkish, of 40 seeds
        scene = simulate_scene(rng=seed, size_px=384, mpp=0.5)
        told = judged(render_hdab(scene, rng=seed, nuisance=Nuisance(stain_degrees=4.0)))
        assert told.refusals == (), seed


@pytest.mark.parametrize("tile", ["22_2", "6_2", "lung1"])
def test_annotated_tiles_and_their_copies_are_not_refused(shared_data: Path, tile: str) -> None:
    rgb = np.asarray(Image.open(shared_data / f"images/hdab/{tile}.png").convert("RGB"))
    for name, copy in {"as it is": rgb, **changed_copies(rgb)}.items():
        assert judged(copy, 0.25).refusals == (), name


@pytest.mark.parametrize("chromogen", ["fast_red", "magenta", "aec"])
@pytest.mark.parametrize("tile", ["22_2", "6_2"])
def test_annotated_tiles_in_another_chromogen_are_refused(shared_data: Path, tile: str, chromogen: str) -> None:
    rgb = np.asarray(Image.open(shared_data / f"images/hdab/{tile}.png").convert("RGB"))
    assert judged(dyed(rgb, chromogen), 0.25).refusals


@pytest.mark.parametrize("tile", ["22_2", "6_2", "lung1"])
def test_annotated_tiles_with_red_and_blue_exchanged_are_doubted(shared_data: Path, tile: str) -> None:
    rgb = np.asarray(Image.open(shared_data / f"images/hdab/{tile}.png").convert("RGB"))
    told = judged(rgb[..., ::-1], 0.25)
    assert told.refusals or told.doubts


def test_composites_of_fluorescence_are_refused(shared_data: Path) -> None:
    found = sorted((shared_data / "images/phenoptr").rglob("*composite_image.jpg"))
    assert found
    for path in found:
        told = judged(np.asarray(Image.open(path).convert("RGB")))
        assert "dark" in told.reason, path.name
