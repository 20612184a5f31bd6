"""Pictures made from a true H-DAB one by exchanging its stains, as they look in another chromogen, light or file."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from biomarkers.slide import make_tile
from biomarkers.stain import StainVectors, estimate_white, optical_density

# optical density (R, G, B). AEC and fast red: vectors of ImageJ's Colour Deconvolution (Landini); eosin: QuPath's
# default; magenta: absorbs at 540-560 nm alone
CHROMOGENS = {
    "aec": (0.274, 0.680, 0.680),
    "fast_red": (0.214, 0.851, 0.478),
    "magenta": (0.200, 0.930, 0.300),
    "eosin": (0.216, 0.801, 0.558),
}


def recoloured(rgb: np.ndarray, chromogen: str) -> np.ndarray:
    """Return the picture with the chromogen in the place of DAB, in equal amounts."""
    white = estimate_white(make_tile(rgb, mpp=0.5))
    vectors = StainVectors()
    amounts = np.maximum(optical_density(rgb, white=white) @ vectors.unmixing(), 0.0)
    new = StainVectors(dab=CHROMOGENS[chromogen])
    density = amounts[..., :1] * np.array(new.hematoxylin) + amounts[..., 1:2] * np.array(new.dab)
    return np.clip(np.rint(np.array(white) * 10**-density), 0, 255).astype(np.uint8)


def grey(rgb: np.ndarray) -> np.ndarray:
    """Return the picture without colour."""
    return np.asarray(Image.fromarray(rgb).convert("L").convert("RGB"))


def changed(rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Return what cameras and files do to a picture: JPEG 30-90, blur, contrast, brightness."""
    picture = Image.fromarray(rgb)
    copies = {f"jpeg {quality}": _jpeg(picture, quality) for quality in (30, 50, 90)}
    copies |= {f"blur {px} px": picture.filter(ImageFilter.GaussianBlur(px)) for px in (0.5, 1.0, 1.5)}
    copies |= {f"contrast x {by}": ImageEnhance.Contrast(picture).enhance(by) for by in (0.7, 0.85, 1.15, 1.3)}
    copies |= {f"brightness x {by}": ImageEnhance.Brightness(picture).enhance(by) for by in (0.8, 0.9, 1.1, 1.2)}
    return {name: np.asarray(copy.convert("RGB")) for name, copy in copies.items()}


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=quality)
    return Image.open(stored)
