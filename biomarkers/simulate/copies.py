"""Copies of a picture: as other cameras and files would show it, and as it would look in another chromogen.

They serve tests and benchmarks of what must not change a score, and of what must be refused.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from biomarkers.core.errors import UsageError
from biomarkers.simulate.hdab import DAB_OD, HEMATOXYLIN_OD

RGB = NDArray[np.uint8]
# optical density (R, G, B). AEC and fast red: vectors of ImageJ's Colour Deconvolution (Landini G, 2004-2020); eosin:
# QuPath's default; magenta absorbs at 540-560 nm alone; no vector of Vina Green is published: a green that absorbs red
# most, and blue more than green
CHROMOGENS: Final = {
    "aec": (0.274, 0.680, 0.680),
    "fast_red": (0.214, 0.851, 0.478),
    "magenta": (0.200, 0.930, 0.300),
    "vina_green": (0.780, 0.330, 0.530),
    "eosin": (0.216, 0.801, 0.558),
}


def recoloured(rgb: RGB, *, chromogen: str, white: tuple[float, float, float], keep_rest: bool = False) -> RGB:
    """Exchange DAB for another chromogen, amount for amount.

    Parameters
    ----------
    rgb
        An H-DAB picture, uint8 (height, width, 3).
    chromogen
        One of ``CHROMOGENS``.
    white
        Level of empty glass (R, G, B).
    keep_rest
        Keep what hematoxylin and DAB (Ruifrok and Johnston 2001) do not explain; it holds some of the DAB's own hue.

    Raises
    ------
    UsageError
        There is no such chromogen.
    """
    if chromogen not in CHROMOGENS:
        raise UsageError("unknown chromogen", seen=chromogen, allowed=tuple(CHROMOGENS))
    stains = _basis(HEMATOXYLIN_OD, DAB_OD)
    amounts = np.log10(np.array(white) / np.maximum(rgb, 1.0)) @ np.linalg.inv(stains)
    if not keep_rest:
        amounts = np.maximum(amounts, 0.0) * (1.0, 1.0, 0.0)
    new = np.stack([stains[0], _basis(HEMATOXYLIN_OD, CHROMOGENS[chromogen])[1], stains[2]])
    return np.clip(np.rint(np.array(white) * 10 ** -(amounts @ new)), 0, 255).astype(np.uint8)


def changed_copies(rgb: RGB) -> dict[str, RGB]:
    """Return what cameras and files do to a picture: JPEG 30-90, blur of 0.5-1.5 px, contrast, brightness, by name."""
    picture = Image.fromarray(rgb)
    copies = {f"JPEG {quality}": _stored(picture, quality) for quality in (30, 50, 90)}
    copies |= {f"blur {px} px": picture.filter(ImageFilter.GaussianBlur(px)) for px in (0.5, 1.0, 1.5)}
    copies |= {f"contrast x {by}": ImageEnhance.Contrast(picture).enhance(by) for by in (0.7, 0.85, 1.15, 1.3)}
    copies |= {f"brightness x {by}": ImageEnhance.Brightness(picture).enhance(by) for by in (0.8, 0.9, 1.1, 1.2)}
    return {name: np.asarray(copy.convert("RGB")) for name, copy in copies.items()}


def without_colour(rgb: RGB) -> RGB:
    """Return a picture in grey, with three equal channels."""
    return np.asarray(Image.fromarray(rgb).convert("L").convert("RGB"))


def _stored(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def _basis(first: tuple[float, float, float], second: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return two stains and the direction at right angles to both as unit rows."""
    rows = [np.array(first), np.array(second), np.cross(first, second)]
    return np.stack([row / np.linalg.norm(row) for row in rows])
