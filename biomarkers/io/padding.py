"""Padding from stitching and rotation: areas of one exact black or grey that no light made. They are no tissue.

A scanner's glass and tissue have noise; padding is one value in whole blocks. What is padded is read as glass (255), as
pixels that were never scanned are.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import SlideError
from biomarkers.io.reader import GLASS, RGB, Level

BLOCK_PX = 8  # a JPEG picture's own block: padding is constant in it even where its surroundings ring
_OVERVIEW_PIXELS = 6_000_000
_CONSTANT = 2  # grey levels by which a block of padding may vary after compression
_NEUTRAL = 3  # grey levels by which padding's channels may differ: black, grey, white
_LEAST_SHARE, _MOST_SHARE = 0.002, 0.9
# grey padding: grey levels below the palest real block (as pale as glass it does no harm), and share of the border that
# it makes up; a camera's glass may be even too where a JPEG picture was made of it
_DARKER, _LEAST_BORDER = 8, 0.1
_LEAST_BRIGHTEST, _LEAST_DARKEST = 100, 30  # medians of real pixels' channels: brightfield, not fluorescence on black
_WHITE = 254
_NEAR_BLACK, _RING_OF_BLACK, _RING = 40, 16, 6  # by how much padding varies beside its edge in a JPEG picture
# pixels between black padding and the picture that rotation interpolated: dark, and paler in colour than any stain
_FRINGE_PX, _FRINGE_BRIGHTEST, _FRINGE_CHROMA = 2, 110, 40


class _Readable(Protocol):
    @property
    def levels(self) -> tuple[Level, ...]: ...

    def read_region(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> RGB: ...


@dataclass(frozen=True)
class Padding:
    """The colours that a slide is padded with, and their share of it (0-1; white padding is counted in it too)."""

    colours: tuple[tuple[int, int, int], ...]
    share: float

    def mask(self, rgb: RGB) -> NDArray[np.bool_]:
        """Tell which pixels are padding.

        Parameters
        ----------
        rgb
            uint8 (height, width, 3), beginning at a multiple of 8 px of its level.

        Returns
        -------
        bool (height, width): pixels of a padding colour in or beside a block of 8 px that is nothing else, and
        dark pixels without colour within two of them.
        """
        from scipy import ndimage

        found = np.zeros(rgb.shape[:2], bool)
        for colour in self.colours:
            slack = _RING_OF_BLACK if max(colour) < _NEAR_BLACK else _RING
            low, high = (np.clip(np.array(colour) + sign * slack, 0, GLASS).astype(np.uint8) for sign in (-1, 1))
            near = ((rgb >= low) & (rgb <= high)).all(axis=2)
            if near.any():
                around = ndimage.binary_dilation(_full_blocks(near), np.ones((3, 3), bool))
                beside = np.repeat(np.repeat(around, BLOCK_PX, axis=0), BLOCK_PX, axis=1)
                found |= near & beside[: rgb.shape[0], : rgb.shape[1]]
        if not found.any():
            return found
        highest = rgb.max(axis=2)
        mixed = (highest < _FRINGE_BRIGHTEST) & (highest - rgb.min(axis=2) < _FRINGE_CHROMA)
        return found | (ndimage.binary_dilation(found, iterations=_FRINGE_PX) & mixed)


def find_padding(slide: _Readable) -> Padding:
    """Look for padding on the largest level of at most 6 megapixels, or on patches spread over level 0.

    What cannot be decoded is passed over: it is told where it is read to be scored.
    """
    for number, level in enumerate(slide.levels):
        if level.width * level.height <= _OVERVIEW_PIXELS:
            with contextlib.suppress(SlideError):
                return padding_of([slide.read_region(0, 0, level.width, level.height, level=number)])
    width, height = slide.levels[0].width, slide.levels[0].height
    side = min(64, width, height)
    tops, lefts = (
        np.unique(np.linspace(0, length - side, 24).astype(int) // BLOCK_PX * BLOCK_PX).tolist()
        for length in (height, width)
    )
    patches = []
    for y in tops:
        for x in lefts:
            with contextlib.suppress(SlideError):
                patches.append(slide.read_region(x, y, side, side))
    return padding_of(patches) if patches else Padding((), 0.0)


def padding_of(pictures: list[RGB]) -> Padding:
    """Tell a slide's padding from pictures of it.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(150, 250, (64, 64, 3), dtype=np.uint8)
    >>> padding_of([np.concatenate([np.zeros((32, 64, 3), np.uint8), noise])])
    Padding(colours=((0, 0, 0),), share=0.3333333333333333)
    """
    low, high, mean, border = (np.concatenate(parts) for parts in zip(*map(_blocks, pictures), strict=True))
    constant = (high.astype(int) - low <= _CONSTANT).all(axis=1)
    if constant.all() or not constant.any():
        return Padding((), 0.0)
    real_low, real_high = low[~constant], high[~constant]
    if np.median(real_high.max(axis=1)) < _LEAST_BRIGHTEST or np.median(real_low.max(axis=1)) < _LEAST_DARKEST:
        return Padding((), 0.0)
    palest = float(np.percentile(mean[~constant], 99))
    colours, number, counts = np.unique(high[constant], axis=0, return_inverse=True, return_counts=True)
    at_border = np.bincount(number.ravel()[border[constant]], minlength=len(colours)) / max(int(border.sum()), 1)
    dark: list[tuple[int, int, int]] = []
    blocks = 0
    for colour, count, along in zip(colours.astype(int), counts, at_border, strict=True):
        level = float(colour.mean())
        if colour.max() - colour.min() > _NEUTRAL or count < max(4, _LEAST_SHARE * len(low)):
            continue
        black = level < _NEAR_BLACK
        if black or (level <= palest - _DARKER and along >= _LEAST_BORDER):
            dark.append((int(colour[0]), int(colour[1]), int(colour[2])))
            blocks += int(count)
        elif level >= _WHITE and palest < _WHITE - _DARKER:
            blocks += int(count)
    share = blocks / len(low)
    return Padding(tuple(dark) if share <= _MOST_SHARE else (), share)


def _blocks(rgb: RGB) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_]]:
    """Return lowest and highest value of each channel (n, 3) and mean (n,) of whole blocks; and which lie outermost."""
    rows, columns = (side // BLOCK_PX for side in rgb.shape[:2])
    blocks = rgb[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX, 3)
    border = np.zeros((rows, columns), bool)
    border[:1], border[-1:], border[:, :1], border[:, -1:] = True, True, True, True
    mean = blocks.mean(axis=(1, 3, 4)).ravel()
    return blocks.min(axis=(1, 3)).reshape(-1, 3), blocks.max(axis=(1, 3)).reshape(-1, 3), mean, border.ravel()


def _full_blocks(near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell the blocks of 8 x 8 px in which every pixel is near; those cut by the image's edge by what they have."""
    height, width = near.shape
    grown = np.ones((-(-height // BLOCK_PX) * BLOCK_PX, -(-width // BLOCK_PX) * BLOCK_PX), bool)
    grown[:height, :width] = near
    shape = grown.shape[0] // BLOCK_PX, BLOCK_PX, grown.shape[1] // BLOCK_PX, BLOCK_PX
    return np.asarray(grown.reshape(shape).all(axis=(1, 3)), dtype=np.bool_)
