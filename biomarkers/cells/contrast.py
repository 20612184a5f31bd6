"""The image in which nuclei are sought: light averaged to a working size, and what makes a nucleus stand out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.settings import CellSettings
from biomarkers.cells.tools import Tools, fast
from biomarkers.stain.density import White
from biomarkers.stain.vectors import StainVectors

MILLI = 1000.0  # optical densities are held as whole thousandths
FRACTION = 256  # into which the tables divide a thousandth
HEMATOXYLIN_WEIGHT, DAB_WEIGHT = 166, 128  # in 256ths: 0.65 and 0.5
_COMPACT_UM = 2.0  # DAB that a disc of this radius fits into is nuclear; membranes and thin rims are not
_REGAIN_UM = 1.0
# where nothing paler than this lies within a square wider than any nucleus, DAB is the ground that nuclei lie in
_SHEET_UM, _SHEET_SMOOTH_UM, SHEET_OD = 10.0, 1.0, 100  # half a square's side
CAP, ABOVE_CAP, MOST_ABOVE = 300, 77, 45  # a soft cap keeps dark nuclei from drowning pale neighbours


@dataclass(frozen=True)
class WorkingImage:
    """A tile at the size at which nuclei are sought, in whole thousandths of optical density."""

    hematoxylin: NDArray[np.int16]  # (rows, columns)
    dab: NDArray[np.int16] | None  # (rows, columns); None where only nuclei are stained, as by DAPI
    factor: int  # tile pixels on one side of a working pixel
    mpp: float  # micrometres on one side of a working pixel


def working_factor(mpp: float, settings: CellSettings) -> int:
    """Return how many tile pixels are averaged to one working pixel, on each side."""
    return max(1, round(settings.working_mpp / mpp))


def working_image(
    rgb: NDArray[np.uint8], *, white: White, vectors: StainVectors, mpp: float, settings: CellSettings, tools: Tools
) -> WorkingImage:
    """Average light (not density) over whole squares of pixels, then take amounts of stain.

    Parameters
    ----------
    rgb
        uint8 (height, width, 3); a last incomplete square repeats its edge.
    white
        Level of empty glass.
    vectors
        Stain vectors.
    mpp
        Micrometres per pixel of the tile.
    settings
        ``working_mpp``.
    tools
        The steps, plain or fast.
    """
    factor = working_factor(mpp, settings)
    light = rgb if factor == 1 else tools.block_sums(rgb, factor=factor)
    hematoxylin, dab = tools.separated(light, _weighted_densities(white, vectors, factor))
    return WorkingImage(hematoxylin, dab, factor, mpp * factor)


def nuclear_contrast(work: WorkingImage, *, tools: Tools) -> NDArray[np.int16]:
    """Return what is high in nuclei, whichever stain they took: thousandths, int16 (rows, columns).

    Hematoxylin, plus the compact part of DAB: a nucleus full of DAB hides its hematoxylin but is a blob, while a
    stained membrane is a thin ring, which a disc of 2 um radius does not fit into. In a sheet of stain that is wider
    than any nucleus (a stained gland, a nest of stained cytoplasm) DAB is the ground and nuclei are what is blue: the
    level of the sheet counts against DAB there. A soft cap at 0.3 keeps one black nucleus from drowning the pale one
    beside it.
    """
    if work.dab is None:
        none = np.zeros_like(work.hematoxylin)
        return tools.mixed(work.hematoxylin, none, none, none)
    inner = round(_COMPACT_UM / work.mpp)
    compact = tools.dilate(tools.erode(work.dab, steps=inner), steps=inner)
    compact = tools.dilate(compact, steps=round(_REGAIN_UM / work.mpp))
    both = tools.smooth(tools.together(work.hematoxylin, work.dab), sigma_px=_SHEET_SMOOTH_UM / work.mpp)
    half = round(_SHEET_UM / work.mpp)
    return tools.mixed(work.hematoxylin, work.dab, compact, tools.opened(both, half=half))


def together(hematoxylin: NDArray[np.int16], dab: NDArray[np.int16]) -> NDArray[np.int16]:
    """Both stains in one; what is below 0 counts as none."""
    return np.maximum(hematoxylin, 0) + np.maximum(dab, 0)


def mixed(
    hematoxylin: NDArray[np.int16], dab: NDArray[np.int16], compact: NDArray[np.int16], sheet: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Weigh both stains, take the sheet off, cap softly; whole numbers, so that no rounding depends on a library."""
    inside = np.minimum(np.maximum(dab, 0), np.maximum(compact, 0)).astype(np.int32)
    inside = np.maximum(inside - 2 * np.maximum(sheet.astype(np.int32) - SHEET_OD, 0), 0)
    both = (HEMATOXYLIN_WEIGHT * np.maximum(hematoxylin, 0).astype(np.int32) + DAB_WEIGHT * inside) // 256
    above = np.minimum(np.maximum(both - CAP, 0) * ABOVE_CAP // 256, MOST_ABOVE)
    return (np.minimum(both, CAP) + above).astype(np.int16)


def amounts(
    rgb: NDArray[np.uint8], *, white: White, vectors: StainVectors, tools: Tools | None = None
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return hematoxylin and DAB of each pixel in whole thousandths, int16 (height, width) each."""
    return (tools or fast()).separated(rgb, _weighted_densities(white, vectors, 1))


def block_sums(rgb: NDArray[np.uint8], *, factor: int) -> NDArray[np.int32]:
    """Sum light over whole squares of pixels, int32 (rows, columns, 3); an incomplete square repeats its edge."""
    height, width = rgb.shape[:2]
    padded = np.pad(rgb, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="edge")
    sums = np.zeros((padded.shape[0] // factor, padded.shape[1] // factor, 3), np.int32)
    for row in range(factor):
        for column in range(factor):
            sums += padded[row::factor, column::factor]
    return sums


def separated(
    light: NDArray[np.uint8] | NDArray[np.int32], tables: NDArray[np.int32]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Look both stains up and round them to whole thousandths.

    Parameters
    ----------
    light
        Sums of light, whole numbers (rows, columns, 3).
    tables
        What each channel adds to each stain at each sum of light, in 256ths of a thousandth, int32 (2, 3, sums).
    """
    red, green, blue = light[..., 0], light[..., 1], light[..., 2]
    first, second = (
        ((table[0][red] + table[1][green] + table[2][blue] + FRACTION // 2) // FRACTION).astype(np.int16)
        for table in tables
    )
    return first, second


@lru_cache(maxsize=16)
def _weighted_densities(white: White, vectors: StainVectors, factor: int) -> NDArray[np.int32]:
    """Optical density for every possible sum of factor x factor pixels, times the stains' weights, (2, 3, n)."""
    sums = np.arange(255 * factor**2 + 1, dtype=np.float64) / factor**2
    density = np.log10(np.asarray(white)[:, None] / np.maximum(sums, 1.0)[None, :])
    weighted = density[None] * vectors.unmixing().T[:2, :, None]
    return np.rint(weighted * (MILLI * FRACTION)).astype(np.int32)
