"""A slide at a coarse grain, band by band, so that nothing as long as the slide is held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from biomarkers.slide.slide import Slide
from biomarkers.slide.threads import in_order
from biomarkers.slide.tissue import block_means

_BAND_PIXELS, _BAND_SQUARES = 8_000_000, 400_000  # of the level that is read, and made of it, at one time
_AHEAD = 1  # bands of a thread that may wait: they are large
_WHOLE = 0.02  # how far a level's downsample may lie from a whole number


def coarse_level(slide: Slide, step: int) -> tuple[int, int]:
    """Choose the smallest level that ``step`` can be made of.

    Parameters
    ----------
    slide
        The slide.
    step
        Level-0 pixels on a side of one coarse pixel.

    Returns
    -------
    The level's number, and how many of its pixels one coarse pixel averages on each side. Level 0 always serves.
    """
    best = (0, step)
    for number, level in enumerate(slide.levels):
        down = round(level.downsample)
        if abs(level.downsample - down) <= _WHOLE * down and down <= step and step % down == 0:
            best = (number, step // down)
    return best


def coarse_bands(slide: Slide, *, step: int, threads: int = 1) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the slide's mean colours in squares of ``step`` x ``step`` level-0 pixels, from top to bottom.

    The bands are read by ``threads`` threads.

    Yields
    ------
    The first coarse row of the band, and float64 (rows, columns, 3). Together the bands have ``ceil(height / step)``
    rows and ``ceil(width / step)`` columns, whatever the level's own rounding.
    """
    number, block = coarse_level(slide, step)
    level = slide.levels[number]
    rows, columns = (-(-side // step) for side in (slide.size[1], slide.size[0]))
    tall = max(1, min(_BAND_PIXELS // (level.width * block), _BAND_SQUARES // columns))

    def band(top: int) -> tuple[int, NDArray[np.float64]]:
        count = min(tall, rows - top)
        start = min(top * block, level.height - 1)
        stop = min(max((top + count) * block, start + 1), level.height)
        means = block_means(slide.read_region(0, start, level.width, stop - start, level=number), block)
        short = ((0, max(0, count - means.shape[0])), (0, max(0, columns - means.shape[1])), (0, 0))
        return top, np.pad(means, short, mode="edge")[:count, :columns]

    yield from in_order(band, range(0, rows, tall), threads=threads, ahead=_AHEAD)


def thumbnail(slide: Slide, *, longest: int = 1024) -> tuple[NDArray[np.uint8], int]:
    """Return a small picture of the whole slide, uint8 (rows, columns, 3), and its level-0 pixels per pixel."""
    step = max(1, -(-max(slide.size) // longest))
    number = coarse_level(slide, step)[0]
    if number == 0 and len(slide.levels) > 1:  # a step that levels divide is cheaper to read
        fitting = [level for level in slide.levels if level.downsample <= step]
        down = max(1, round(fitting[-1].downsample))
        step = -(-step // down) * down
    bands = [np.rint(band).astype(np.uint8) for _, band in coarse_bands(slide, step=step)]
    return np.concatenate(bands), step
