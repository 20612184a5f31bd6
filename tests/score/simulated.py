"""Simulated tiles scored as 22C3, every cell taken for a tumor cell: what changes of a picture may not change."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biomarkers.core.config import load_assay
from biomarkers.io import make_tile
from biomarkers.score import SlideScore
from biomarkers.score.classes import Classes
from biomarkers.score.pipeline import score_tile
from biomarkers.simulate import render_hdab, simulate_scene

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Told:
    """What a tile's score comes down to."""

    tps: float
    n: int
    result: SlideScore


def score(rgb: Picture, *, mpp: float, assay: str = "22c3", white: Any = None) -> Told:
    """Score a picture."""
    plan = load_assay(assay)
    result = score_tile(
        make_tile(rgb, mpp=mpp),
        assay=plan,
        slide="tile",
        marker=plan.marker,
        thresholds=plan.thresholds,
        classes=Classes(assume_tumor=True),
        white=white,
    )
    return Told(100 * (result.row["positive_fraction"] or 0.0), result.row["n_cells"], result)


def draw(seed: int, *, size_px: int, mpp: float, nuisance: Any = None, **scene: Any) -> Picture:
    """Simulate and render a tile of PD-L1."""
    return render_hdab(simulate_scene(rng=seed, size_px=size_px, mpp=mpp, **scene), rng=seed, nuisance=nuisance)


def halved(rgb: Picture) -> Picture:
    """The same field at half the magnification."""
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    light = rgb.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
    return light.round().astype(np.uint8)


def through_jpeg(rgb: Picture, *, quality: int, subsampling: int) -> Picture:
    """The picture saved and read again; subsampling 0 keeps colour at full resolution, 2 is 4:2:0."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer))
