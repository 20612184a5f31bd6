"""A fixed sample of a picture: patches of 64 px, and the densities of their squares of 1 um."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.density import White, check_white

RGB = NDArray[np.uint8]
PATCH_PX, _PATCHES_ON_A_SIDE = 64, 12
_SQUARE_UM, _SQUARE_PX = 1.0, 2  # single pixels carry the noise of camera and JPEG
_JUDGED = 48  # patches are enough to tell colours; evenly chosen among those that are no empty glass
_MOST_SQUARES = 16_384
_LOOK_PX, _EMPTY_OD = 8, 0.03


class Squares(NamedTuple):
    """Optical density of squares, float32 (3, n), and which patch each lies in, (n,)."""

    density: NDArray[np.float32]
    patch: NDArray[np.intp]


def patches_of(rgb: RGB) -> list[RGB]:
    """Cut up to 12 x 12 patches of 64 px, evenly spread, from a picture; they cover one of up to 768 px a side."""
    rows, columns = (_starts(length) for length in rgb.shape[:2])
    return [rgb[y : y + PATCH_PX, x : x + PATCH_PX] for y in rows for x in columns]


def across_of(rgb: RGB) -> int:
    """How many patches :func:`patches_of` cuts from a row."""
    return len(_starts(rgb.shape[1]))


def stacked(patches: Sequence[RGB]) -> RGB:
    """Stack patches, uint8 (n, side, side, 3); all are cut to the shortest side among them."""
    side = min(min(one.shape[:2]) for one in patches)
    return np.stack([one[:side, :side] for one in patches])


def square_densities(stack: RGB, *, white: White, mpp: float | None) -> Squares:
    """Return the densities of squares of 1 um (of a pixel where that is larger, of 2 px where ``mpp`` is None).

    Of 32,768 or more squares every second, third ... one is taken.
    """
    count, side = stack.shape[:2]
    step = max(1, min(_SQUARE_PX if mpp is None else round(_SQUARE_UM / mpp), side))
    across = side // step
    whole = stack[:, : across * step, : across * step]
    sums = np.zeros((count, across, across, 3), np.uint32)
    for row in range(step):
        for column in range(step):
            sums += whole[:, row::step, column::step]
    light = np.maximum(np.arange(255 * step * step + 1) / (step * step), 1.0)
    tables = np.log10(np.asarray(check_white(white))[:, None] / light).astype(np.float32)
    every = slice(None, None, max(1, count * across * across // _MOST_SQUARES))
    density = np.stack([tables[channel][sums[..., channel].ravel()[every]] for channel in range(3)])
    return Squares(density, np.repeat(np.arange(count), across * across)[every])


def without_glass(stack: RGB, *, white: White) -> RGB:
    """Return at most 48 patches, evenly chosen among those that are no empty glass by a coarse look at them."""
    look = np.maximum(stack[:, ::_LOOK_PX, ::_LOOK_PX].astype(np.float32), 1.0)
    dense = np.log10(np.asarray(white, np.float32) / look).sum(axis=3).mean(axis=(1, 2)) > _EMPTY_OD
    found = np.flatnonzero(dense) if dense.any() else np.arange(len(stack))
    if found.size <= _JUDGED:
        return stack[found]
    return stack[found[(2 * np.arange(_JUDGED) + 1) * found.size // (2 * _JUDGED)]]


def _starts(length: int) -> list[int]:
    parts = max(1, min(_PATCHES_ON_A_SIDE, length // PATCH_PX))
    room = length - min(PATCH_PX, length)
    return [room * (2 * at + 1) // (2 * parts) for at in range(parts)]
