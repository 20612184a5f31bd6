"""Does a small pyramid level show the same picture as the largest one? Tissue is looked for on small levels."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from biomarkers.core.errors import SlideError
from biomarkers.io.reader import RGB, Level

_MOST_PIXELS = 4_000_000  # of the level that is compared
_ON_A_SIDE, _BLOCK, _MOST_SIDE = 6, 8, 512  # patches, small pixels of a patch along its side, and its px at level 0
_LEAST_CONTRAST = 3.0  # grey levels by which patches must differ, or there is nothing to compare
# correlation of the patches' colours: 0.996 and more in the levels of a real NDPI and in levels made of five real
# pictures
# by averaging 2-8 px, by every fourth pixel, and as JPEG of quality 60
_DOUBTED, _REFUSED = 0.9, 0.5


class _Readable(Protocol):
    @property
    def levels(self) -> tuple[Level, ...]: ...

    def read_region(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> RGB: ...


def doubt_about_levels(slide: _Readable, *, where: object) -> str | None:
    """Compare the colours of 6 x 6 patches at full resolution with the same places of the smallest level.

    Returns
    -------
    Why the level is doubted, in words; None where it agrees, or there is nothing to compare.

    Raises
    ------
    SlideError
        It shows another picture.
    """
    number = len(slide.levels) - 1
    small, large = slide.levels[number], slide.levels[0]
    side = round(_BLOCK * small.downsample)
    if (
        number == 0
        or small.width * small.height > _MOST_PIXELS
        or side > _MOST_SIDE
        or min(small.width, small.height) < 64
    ):
        return None
    lefts, tops = (
        np.linspace(0, length - _BLOCK - 1, _ON_A_SIDE).astype(int).tolist() for length in (small.width, small.height)
    )
    coarse, fine = [], []
    for y in tops:
        for x in lefts:
            place = (
                min(round(x * small.downsample), large.width - side),
                min(round(y * small.downsample), large.height - side),
            )
            fine.append(slide.read_region(*place, side, side).mean(axis=(0, 1)))
            coarse.append(slide.read_region(x, y, _BLOCK, _BLOCK, level=number).mean(axis=(0, 1)))
    one, other = np.array(coarse).ravel(), np.array(fine).ravel()
    if min(one.std(), other.std()) < _LEAST_CONTRAST:
        return None
    alike = float(np.corrcoef(one, other)[0, 1])
    if alike >= _DOUBTED:
        return None
    what = (
        f"the level of {small.width} x {small.height} px does not show the picture of level 0 (correlation {alike:.2f})"
    )
    if alike < _REFUSED:
        hint = "Write the pyramid again, from level 0."
        raise SlideError(what, where=where, allowed=f"at least {_REFUSED:g}", hint=hint)
    return what
