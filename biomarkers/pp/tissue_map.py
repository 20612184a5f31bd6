"""Where a whole slide holds tissue: the definition of :func:`tissue_mask`, made band by band and held as bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.threads import SERIAL, ThreadPool
from biomarkers.io.slide import Slide
from biomarkers.pp.coarse_tissue import coarse_bands
from biomarkers.pp.tissue import GRAIN_UM, dark_blocks, majority_filter, reach_grains, remove_small_objects

_BAND_GRAINS = 512


@dataclass(frozen=True)
class TissueMap:
    """Squares of ``step`` x ``step`` level-0 pixels that are tissue.

    Attributes
    ----------
    step
        Side of a square, level-0 px.
    shape
        Rows and columns of squares.
    size
        Width and height of the slide, level-0 px.
    """

    step: int
    shape: tuple[int, int]
    size: tuple[int, int]
    _bits: NDArray[np.uint8]

    def grains(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Return squares ``rows`` x ``columns`` as bool."""
        unpacked = np.unpackbits(self._bits[rows], axis=1, count=self.shape[1])
        return unpacked[:, columns].view(np.bool_)

    def window(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Return level-0 pixels ``rows`` x ``columns`` (inside the slide) as bool."""
        step = self.step
        high, wide = (
            slice(rows.start // step, -(-rows.stop // step)),
            slice(columns.start // step, -(-columns.stop // step)),
        )
        across = np.repeat(self.grains(high, wide), step, axis=1)
        left, top = columns.start - wide.start * step, rows.start - high.start * step
        across = across[:, left : left + columns.stop - columns.start]
        return np.repeat(across, step, axis=0)[top : top + rows.stop - rows.start]

    @property
    def any(self) -> bool:
        """Whether there is tissue at all."""
        return bool(self._bits.any())

    def area_px(self) -> int:
        """Count the level-0 pixels in tissue; squares cut by the slide's border count what they have."""
        (width, height), (rows, columns) = self.size, self.shape
        last = columns - 1
        in_last_column = (self._bits[:, last // 8] >> (7 - last % 8) & 1).astype(np.int64)
        missing = columns * self.step - width
        wide = np.bitwise_count(self._bits).sum(axis=1, dtype=np.int64) * self.step - in_last_column * missing
        return int(wide.sum()) * self.step - int(wide[-1]) * (rows * self.step - height)


def map_tissue(
    slide: Slide,
    *,
    mpp: float,
    white: tuple[float, float, float],
    grain_um: float = GRAIN_UM,
    also: Callable[[int, NDArray[np.float64], float], None] | None = None,
    pool: ThreadPool = SERIAL,
) -> TissueMap:
    """Find tissue on a whole slide.

    Parameters
    ----------
    slide
        An open slide. The smallest pyramid level that squares of ``grain_um`` can be made of is read; without one,
        level 0.
    mpp
        Micrometres per level-0 pixel.
    white
        Level of empty glass per channel.
    grain_um
        Side of the squares that are judged.
    also
        Is shown the mean colours of the squares too, which are read once: the first row of a band, its means, and the
        side of a square in um; by the threads that read, so in any order.
    pool
        Who reads.

    Returns
    -------
    The squares that :func:`biomarkers.pp.tissue.tissue_mask` finds on the slide read whole; where a pyramid level is
    read, as far as that level is the mean of level 0.
    """
    step = max(1, round(grain_um / mpp))
    rows, columns = (-(-side // step) for side in (slide.size[1], slide.size[0]))
    raw = np.zeros((rows, -(-columns // 8)), np.uint8)

    def look(top: int, means: NDArray[np.float64]) -> NDArray[np.bool_]:
        if also is not None:
            also(top, means, step * mpp)
        return dark_blocks(means, white=white)

    done = 0
    for dense in _judged_in_turn(coarse_bands(slide, look, step=step, pool=pool)):
        raw[done : done + dense.shape[0]] = np.packbits(dense, axis=1)
        done += dense.shape[0]
    grain_um2 = (step * mpp) ** 2
    halo = reach_grains(grain_um2)

    def cleaned(top: int) -> NDArray[np.uint8]:
        stop = min(top + _BAND_GRAINS, rows)
        first, last = max(0, top - halo), min(rows, stop + halo)
        mask = np.unpackbits(raw[first:last], axis=1, count=columns).astype(bool)
        return np.packbits(remove_small_objects(mask, grain_um2=grain_um2)[top - first : stop - first], axis=1)

    clean = np.concatenate(list(pool.imap(cleaned, range(0, rows, _BAND_GRAINS))))
    return TissueMap(step, (rows, columns), slide.size, clean)


def _judged_in_turn(bands: Iterable[NDArray[np.bool_]]) -> Iterator[NDArray[np.bool_]]:
    """Judge each band of squares with the rows above and below it; its last row goes with the next band."""
    held: NDArray[np.bool_] | None = None  # rows whose lower neighbour is still to come, and the one above them
    above = 0
    for band in bands:
        held = band if held is None else np.concatenate([held, band])
        yield majority_filter(held)[above:-1]
        held, above = held[-2:], min(held.shape[0] - 1, 1)
    if held is not None:
        yield majority_filter(held)[above:]
