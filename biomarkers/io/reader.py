"""What every reader of image files offers, and what is refused before any reader is asked."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import SlideError
from biomarkers.io.pixel_size import PixelSize

RGB = NDArray[np.uint8]
GLASS = 255  # missing and transparent pixels are empty glass
_SNIFFED_BYTES = 512
# what a damaged file makes tifffile, zarr and the codecs raise
DECODE_ERRORS = (
    ValueError, RuntimeError, TypeError, LookupError, AttributeError, ArithmeticError, NotImplementedError, OSError,
    MemoryError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class Level:
    """One resolution of a scene: its size in pixels and how many level-0 pixels one of its pixels spans."""

    width: int
    height: int
    downsample: float


@dataclass(frozen=True)
class Scene:
    """What a file says of one of its images, before any pixel is read."""

    name: str
    levels: tuple[Level, ...]
    pixel_size: PixelSize | None
    channels: tuple[str, ...] = ("R", "G", "B")
    problems: tuple[str, ...] = field(default=())
    # why its pixels cannot be scored (16 bit, CMYK, ...), or None
    refused: str | None = None
    # roles of the file's further images that are never read: label, macro, thumbnail
    left_out: tuple[str, ...] = ()


class Reader(Protocol):
    """An open file. ``read`` gives interleaved RGB, 8 bit, missing and transparent pixels as 255."""

    name: str
    scenes: tuple[Scene, ...]

    def read(
        self, scene: int, level: int, x: int, y: int, width: int, height: int, *, reuse_from_row: int | None = None
    ) -> RGB:
        """Return the region (in that level's pixels, inside the image) as uint8 (height, width, 3).

        A later region will ask for the rows from ``again_from`` on again; readers may hold what they need for it.
        """

    def close(self) -> None:
        """Let go of the file."""


def check_is_image(path: Path) -> None:
    """Refuse what is no image at all, with a message that says what it is instead.

    Raises
    ------
    SlideError
        The file is absent, a folder, empty, a web page, or plain text.
    """
    if not path.exists():
        raise SlideError("there is no such file", where=path)
    if path.is_dir():
        raise SlideError("this is a folder, not an image", where=path, hint="Name the files in it.")
    try:
        with path.open("rb") as stream:
            start = stream.read(_SNIFFED_BYTES)
    except OSError as error:
        raise SlideError(f"the file cannot be opened: {error.strerror}", where=path) from error
    if not start:
        raise SlideError("the file is empty (0 bytes)", where=path, hint="Copy or download it again.")
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        hint = "The download gave an error or log-in page: download the slide again."
        raise SlideError("this is a web page (HTML), not an image", where=path, hint=hint)
    if _is_text(start):
        raise SlideError("this is a text file, not an image", where=path, seen=start[:40].decode("utf-8", "replace"))


def check_sizes(width: int, height: int, *, limit_pixels: int, where: object) -> None:
    """Refuse an image that would not fit before anything is allocated for it."""
    if width < 1 or height < 1:
        raise SlideError("the image has no pixels", where=where, seen=f"{width} x {height}")
    if width * height > limit_pixels:
        raise SlideError(
            "too many pixels to be read at once",
            where=where,
            seen=f"{width} x {height}",
            allowed=f"up to {limit_pixels / 1e6:.0f} megapixels",
            hint="Read a region of it, or convert it to a tiled pyramidal TIFF.",
        )


def composite_on_white(rgba: NDArray[np.uint8], *, multiplied: bool = False) -> RGB:
    """Lay pixels with transparency over empty glass: what is transparent becomes 255, not black.

    Parameters
    ----------
    rgba
        uint8 (height, width, 4).
    multiplied
        The colours are multiplied by their opacity already (associated alpha).
    """
    if (rgba[..., 3] == GLASS).all():
        return np.ascontiguousarray(rgba[..., :3])
    alpha = rgba[..., 3:].astype(np.uint32)
    colour = rgba[..., :3].astype(np.uint32)
    if multiplied:
        return np.minimum(colour + (GLASS - alpha), GLASS).astype(np.uint8)
    return ((colour * alpha + GLASS * (255 - alpha) + 127) // 255).astype(np.uint8)


def _is_text(start: bytes) -> bool:
    if b"\0" in start:
        return False
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # a character cut at the end is no sign of binary
            return False
        text = start[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\t\r\n\f" for letter in text)
