"""PNG, JPEG and other plain images, read by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from biomarkers.core.errors import SlideError
from biomarkers.io.pixel_size import PixelSize, from_resolution
from biomarkers.io.reader import RGB, Level, Scene, check_sizes, composite_on_white

LIMIT_PIXELS = 200_000_000
_WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}
_GREY = {"1", "L", "LA", "La"}
_SIXTEEN_BIT = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
_EXIF_ORIENTATION = 274
_PNG_IHDR_DEPTH = 24  # the byte of a PNG file that holds its bit depth


class PlainReader:
    """One plain image; it is decoded whole when the first region is read."""

    def __init__(self, path: Path) -> None:
        self.name = "pillow"
        self._path = path
        self._pixels: RGB | None = None
        try:
            with Image.open(path) as image:
                check_sizes(*image.size, limit_pixels=LIMIT_PIXELS, where=path)
                self.scenes: tuple[Scene, ...] = (_describe(image, path),)
        except UnidentifiedImageError as error:
            raise SlideError("not an image that can be read", where=path) from error
        except Image.DecompressionBombError as error:
            raise SlideError(f"refused before decoding: {error}", where=path) from error
        except (OSError, SyntaxError, ValueError) as error:
            raise SlideError(f"the image is damaged: {error}", where=path) from error

    def read(
        self, scene: int, level: int, x: int, y: int, width: int, height: int, *, reuse_from_row: int | None = None
    ) -> RGB:
        """Return a region as uint8 (height, width, 3); see :class:`biomarkers.io.reader.Reader`."""
        del scene, level  # there is one of each
        if self._pixels is None:
            self._pixels = self._decode()
        return self._pixels[y : y + height, x : x + width]

    def close(self) -> None:
        """Let go of the decoded pixels."""
        self._pixels = None

    def _decode(self) -> RGB:
        try:
            with Image.open(self._path) as image:
                image.load()
                if image.mode in _WITH_ALPHA or "transparency" in image.info:
                    return composite_on_white(np.asarray(image.convert("RGBA")))
                return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            message = f"the image is damaged or cut short: {error}"
            raise SlideError(message, where=self._path, hint="Copy or download it again.") from error


def _describe(image: Image.Image, path: Path) -> Scene:
    width, height = image.size
    grey = image.mode in _GREY
    return Scene(
        name="",
        levels=(Level(width, height, 1.0),),
        pixel_size=_pixel_size(image),
        channels=("grey",) if grey else ("R", "G", "B"),
        problems=_problems(image),
        refused=_refusal(image, path),
    )


def _refusal(image: Image.Image, path: Path) -> str | None:
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        return f"it holds {frames} frames (animated or multi-page): save the one you mean on its own"
    if image.mode in _SIXTEEN_BIT or _is_16_bit_png(path):
        return "it has more than 8 bits per channel: convert it to 8-bit RGB with a stated scaling"
    if image.mode == "CMYK":
        return "its colours are CMYK: convert it to RGB with its own colour profile"
    if image.mode in {"LAB", "HSV"}:
        return f"its colours are {image.mode}: convert it to RGB"
    return None


def _is_16_bit_png(path: Path) -> bool:
    """Pillow reads 16-bit RGB PNG as 8 bit without a word, so the header is asked."""
    with path.open("rb") as stream:
        start = stream.read(_PNG_IHDR_DEPTH + 1)
    return start.startswith(b"\x89PNG") and len(start) > _PNG_IHDR_DEPTH and start[_PNG_IHDR_DEPTH] > 8


def _problems(image: Image.Image) -> tuple[str, ...]:
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation in (0, 1):
        return ()
    return (f"orientation tag {orientation} is not applied: pixels are taken as they are stored",)


def _pixel_size(image: Image.Image) -> PixelSize | None:
    dpi = image.info.get("dpi")
    if image.format not in {"PNG", "JPEG", "BMP"} or dpi is None:
        return None
    if image.format == "JPEG" and image.info.get("jfif_unit") == 0:
        return None  # an aspect ratio, not a resolution
    source = {"PNG": "PNG pHYs", "JPEG": "JPEG density", "BMP": "BMP resolution"}[image.format]
    return from_resolution(float(dpi[0]), float(dpi[1]), 2, source=source)
