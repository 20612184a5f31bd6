"""What stands between tissue and pixels: optics, light, chemistry, and accidents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Nuisance:
    """Nuisance effects of one H-DAB image; each can be set on its own.

    ``glass`` is the white level (R, G, B of 255), ``uneven_light`` the relative fall of light across the tile,
    ``stain_degrees`` how far each stain vector is turned, ``hematoxylin`` and ``dab`` scale the two stains,
    ``blur_um`` is the optics' Gaussian sigma, ``shot_noise`` the standard deviation at white in grey levels,
    ``jpeg_quality`` 0 means none. ``exposure`` is how much light the camera takes of what it should: above 255 / glass
    white is clipped. ``sharpening`` is the amount of the camera's unsharp mask (radius 1 px; cameras use 0.3 to 1),
    which draws pale seams beside dark lines. Both are off by default, and are not drawn. ``pen``, ``pigment`` and
    ``defocus_um`` are accidents, off by default.
    """

    glass: tuple[float, float, float] = (243.0, 242.0, 241.0)
    uneven_light: float = 0.0
    stain_degrees: float = 0.0
    hematoxylin: float = 1.0
    dab: float = 1.0
    background_dab_od: float = 0.01
    blur_um: float = 0.35
    shot_noise: float = 1.5
    jpeg_quality: int = 88
    exposure: float = 1.0
    sharpening: float = 0.0
    pen: bool = False
    pigment: float = 0.0
    defocus_um: float = 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Self:
        """Draw the effects as they vary among slides, scanners and laboratories."""
        base = rng.uniform(228, 250)
        return cls(
            glass=(base + rng.uniform(-2, 3), base + rng.uniform(-4, 2), base + rng.uniform(-14, 2)),
            uneven_light=rng.uniform(0, 0.05),
            stain_degrees=rng.uniform(0, 4),
            hematoxylin=rng.uniform(0.75, 1.25),
            dab=rng.uniform(0.9, 1.1),
            background_dab_od=rng.uniform(0.0, 0.025),
            blur_um=rng.uniform(0.25, 0.5),
            shot_noise=rng.uniform(0.8, 2.2),
            jpeg_quality=int(rng.integers(80, 95)),
        )
