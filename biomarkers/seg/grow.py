"""Labels that grow ring by ring, all at once: no order of scanning decides anything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]
NUCLEUS, CYTOPLASM = 1, 2  # parts of a cell
FEW = 2**15 - 1  # labels below it are held in 16 bits by kernels: half as many bytes are twice as fast


class CellLabels(NamedTuple):
    """Cells that grew around nuclei.

    ``cells`` are labels (rows, columns), nuclei included, 0 = none; kernels make them int16 where that holds them.
    ``parts``, uint8, tell the ``NUCLEUS`` from what grew ``AROUND`` it; 0 where no cell is.
    """

    cells: Labels
    parts: NDArray[np.uint8]

    @property
    def nuclei(self) -> Labels:
        """Labels of the nuclei alone."""
        return np.where(self.parts == NUCLEUS, self.cells, 0)


def flood(seeds: Labels, *, height: NDArray[np.int32], mask: NDArray[np.bool_]) -> Labels:
    """Watershed: seeds grow downhill inside a mask, from the highest level to the lowest.

    Parameters
    ----------
    seeds
        int32 (rows, columns), 0 = none.
    height
        int32 (rows, columns), small whole numbers; pixels of one value are flooded together.
    mask
        bool (rows, columns): where labels may grow.

    Returns
    -------
    int32 labels. Pixels that two labels reach at the same moment stay 0 (a line between them), which makes the result
    the same under rotation, flips and renumbering.
    """
    wide = seeds.shape[1] + 2
    labels = np.zeros((seeds.shape[0] + 2, wide), np.int32)
    labels[1:-1, 1:-1] = seeds
    flat = labels.ravel()
    rows, columns = np.nonzero(mask & (seeds == 0))
    level = height[rows, columns]
    where = (rows + 1) * wide + columns + 1
    order = np.argsort(-level, kind="stable")
    where, level = where[order], level[order]
    cuts = np.flatnonzero(np.diff(level)) + 1
    around = _neighbours(wide)
    waiting = where[:0]
    for shell in np.split(where, cuts):
        waiting = _spread(flat, np.concatenate([waiting, shell]), around)
    return labels[1:-1, 1:-1].copy()


def expand(labels: Labels, *, steps: int) -> Labels:
    """Grow labels outwards by a number of pixels, in octagons, stopping where two meet.

    Parameters
    ----------
    labels
        int32 (rows, columns), 0 = none.
    steps
        How many rings of pixels to add.

    Returns
    -------
    int32 labels; pixels that two labels reach in the same step stay 0.
    """
    out = labels.copy()
    free = labels == 0
    for step in range(steps):
        highest, lowest = neighbour_extremes(out, diagonal=step % 2 == 1)
        reached = free & (highest > 0)
        free = free & ~reached
        out = np.where(reached & (highest == lowest), highest, out)
    return out


def bodies(labels: Labels, *, steps: int) -> CellLabels:
    """Grow labels as :func:`expand` does, and tell what was there from what grew."""
    return told_parts(labels, expand(labels, steps=steps))


def told_parts(nuclei: Labels, cells: Labels) -> CellLabels:
    """Tell nuclei from what grew around them."""
    parts = np.where(nuclei > 0, NUCLEUS, np.where(cells > 0, CYTOPLASM, 0))
    return CellLabels(cells, parts.astype(np.uint8))


def dilate(image: NDArray, *, steps: int) -> NDArray:
    """Highest value within an octagon of ``steps`` pixels; beyond the border nothing counts."""
    return _octagon(image, steps, np.maximum)


def erode(image: NDArray, *, steps: int) -> NDArray:
    """Lowest value within an octagon of ``steps`` pixels; beyond the border nothing counts."""
    return _octagon(image, steps, np.minimum)


def inner_boundary(labels: Labels) -> NDArray[np.bool_]:
    """Pixels of each label that have something else among their four neighbours."""
    padded = np.pad(labels, 1, mode="edge")
    middle = padded[1:-1, 1:-1]
    other = np.zeros(labels.shape, bool)
    for near in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        other |= near != middle
    return other & (labels > 0)


def relabel(bodies: CellLabels, number: NDArray[np.int32]) -> tuple[Labels, Labels]:
    """Make maps of nuclei and of cells in which each label 0..n has its new number."""
    return number[bodies.nuclei], number[bodies.cells]


def renumbered(labels: Labels, number: NDArray[np.int32]) -> Labels:
    """Give each label 0..n its new number."""
    return number[labels]


def _octagon(image: NDArray, steps: int, of_both: np.ufunc) -> NDArray:
    """Compare with the four neighbours and with all eight, in turn."""
    out = image.copy()
    for step in range(steps):
        padded = np.pad(out, 1, mode="edge")
        across = of_both(of_both(padded[1:-1, :-2], padded[1:-1, 2:]), out)
        if step % 2 == 0:
            out = of_both(of_both(padded[:-2, 1:-1], padded[2:, 1:-1]), across)
        else:
            wide = np.pad(across, ((1, 1), (0, 0)), mode="edge")
            out = of_both(of_both(wide[:-2], wide[2:]), across)
    return out


def _spread(flat: Labels, waiting: NDArray[np.intp], around: NDArray[np.intp]) -> NDArray[np.intp]:
    """Label all waiting pixels that can be reached through each other; return those that cannot."""
    while waiting.size:
        near = flat[waiting[:, None] + around]
        highest = near.max(axis=1)
        reached = highest > 0
        if not reached.any():
            break
        lowest = np.where(near > 0, near, np.iinfo(np.int32).max).min(axis=1)
        flat[waiting[reached]] = np.where(highest == lowest, highest, 0)[reached]
        waiting = waiting[~reached]
    return waiting


def _neighbours(wide: int) -> NDArray[np.intp]:
    return np.array([-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1], dtype=np.intp)


def neighbour_extremes(labels: Labels, *, diagonal: bool) -> tuple[Labels, Labels]:
    """Highest and lowest label among the neighbours of each pixel (0 where there is none)."""
    rows, columns = labels.shape
    padded = np.pad(labels, 1)
    moves = [(-1, 0), (1, 0), (0, -1), (0, 1)] + ([(-1, -1), (-1, 1), (1, -1), (1, 1)] if diagonal else [])
    highest = np.zeros_like(labels)
    lowest = np.full_like(labels, np.iinfo(np.int32).max)
    for down, right in moves:
        near = padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
        highest = np.maximum(highest, near)
        lowest = np.minimum(lowest, np.where(near > 0, near, np.iinfo(np.int32).max))
    return highest, lowest
