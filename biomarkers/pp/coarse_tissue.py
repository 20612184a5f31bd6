"""A slide at a coarse grain, band by band, so that nothing as long as the slide is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.threads import SERIAL, ThreadPool
from biomarkers.io.slide import Slide
from biomarkers.pp.tissue import block_means

_Out = TypeVar("_Out")
_BAND_PIXELS, _BAND_SQUARES = 8_000_000, 400_000  # of the level that is read, and made of it, at one time
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


def coarse_bands(
    slide: Slide, look: Callable[[int, NDArray[np.float64]], _Out], *, step: int, pool: ThreadPool = SERIAL
) -> Iterator[_Out]:
    """Look at the slide's mean colours in squares of ``step`` x ``step`` level-0 pixels, band by band.

    Parameters
    ----------
    slide
        The slide.
    look
        Is given the first coarse row of a band, and float64 (rows, columns, 3). Together the bands have
        ``ceil(height / step)`` rows and ``ceil(width / step)`` columns, whatever the level's own rounding.
    step
        Level-0 pixels on a side of a square.
    pool
        Who reads and looks.

    Yields
    ------
    What ``look`` returns, from top to bottom.
    """
    number, block = coarse_level(slide, step)
    level = slide.levels[number]
    rows, columns = (-(-side // step) for side in (slide.size[1], slide.size[0]))
    tall = max(1, min(_BAND_PIXELS // (level.width * block), _BAND_SQUARES // columns))

    def band(top: int) -> _Out:
        count = min(tall, rows - top)
        start = min(top * block, level.height - 1)
        stop = min(max((top + count) * block, start + 1), level.height)
        means = block_means(slide.read_region(0, start, level.width, stop - start, level=number), block)
        short = ((0, max(0, count - means.shape[0])), (0, max(0, columns - means.shape[1])), (0, 0))
        if short[0][1] or short[1][1]:
            means = np.pad(means, short, mode="edge")
        return look(top, means[:count, :columns])

    return pool.imap(band, range(0, rows, tall))


def thumbnail(slide: Slide, *, longest: int = 1024) -> tuple[NDArray[np.uint8], int]:
    """Return a small picture of the whole slide, uint8 (rows, columns, 3), and its level-0 pixels per pixel."""
    step = max(1, -(-max(slide.size) // longest))
    number = coarse_level(slide, step)[0]
    if number == 0 and len(slide.levels) > 1:  # a step that levels divide is cheaper to read
        fitting = [level for level in slide.levels if level.downsample <= step]
        down = max(1, round(fitting[-1].downsample))
        step = -(-step // down) * down
    rows, columns = (-(-side // step) for side in (slide.size[1], slide.size[0]))
    picture = np.empty((rows, columns, 3), np.uint8)
    for top, band in coarse_bands(slide, lambda top, means: (top, np.rint(means)), step=step):
        picture[top : top + len(band)] = band
    return picture, step
