"""What makes a nucleus stand out, at two sizes of pixels: working pixels for outlines, larger squares for seeking."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.density import White
from biomarkers.pp.vectors import StainVectors
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.tools import Tools, fast

MILLI = 1000.0  # optical densities are held as whole thousandths
FRACTION = 256  # into which the tables divide a thousandth
HEMATOXYLIN_WEIGHT, DAB_WEIGHT = 166, 128  # in 256ths: 0.65 and 0.5
_COMPACT_UM = 2.0  # DAB that a disc of this radius fits into is nuclear; membranes and thin rims are not
_REGAIN_UM = 0.45  # what optics take from its rim: less than half a square of 1 um, so only finer grids regain it
# where nothing paler than this lies within a square wider than any nucleus, DAB is the ground that nuclei lie in
_SHEET_UM, SHEET_OD = 10.0, 100  # half a square's side
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


def seeking_factor(mpp: float, settings: CellSettings) -> int:
    """Return how many working pixels are averaged to one square of the seeking grid, on each side."""
    return max(1, int(settings.seeking_mpp / mpp))


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


@dataclass(frozen=True)
class Contrast:
    """What is high in nuclei, thousandths of optical density, smoothed at the working size and averaged for seeking."""

    soft: NDArray[np.int16]  # (rows, columns) of the working image
    sought: NDArray[np.int16]  # of the seeking grid
    softly_sought: NDArray[np.int16]  # averages of ``soft``
    factor: int  # working pixels on one side of a square of the seeking grid


def nuclear_contrast(work: WorkingImage, *, settings: CellSettings, tools: Tools) -> Contrast:
    """Return what is high in nuclei, whichever stain they took.

    Hematoxylin, plus the compact part of DAB: a nucleus full of DAB hides its hematoxylin but is a blob, while a
    stained membrane is a thin ring, which a disc of 2 um radius does not fit into. In a sheet of stain that is wider
    than any nucleus (a stained gland, a nest of stained cytoplasm) DAB is the ground and nuclei are what is blue: the
    level of the sheet counts against DAB there. A soft cap at 0.3 keeps one black nucleus from drowning the pale one
    beside it. What is compact and what is a sheet is found on the seeking grid.
    """
    factor = seeking_factor(work.mpp, settings)
    dab = np.zeros_like(work.hematoxylin) if work.dab is None else work.dab
    blue = tools.means(work.hematoxylin, factor=factor)
    if work.dab is None:
        brown = compact = sheet = np.zeros_like(blue)
    else:
        brown = tools.means(dab, factor=factor)
        compact, sheet = _compact_and_sheet(blue, brown, mpp=work.mpp * factor, tools=tools)
    soft = tools.smoothed_nuclear_signal(work.hematoxylin, dab, compact, sheet, factor=factor)
    return Contrast(soft, tools.nuclear_signal(blue, brown, compact, sheet), tools.means(soft, factor=factor), factor)


def _compact_and_sheet(
    hematoxylin: NDArray[np.int16], dab: NDArray[np.int16], *, mpp: float, tools: Tools
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """DAB as far as it is compact, and the level of both stains over squares wider than any nucleus."""
    inner = max(1, round(_COMPACT_UM / mpp))
    compact = tools.dilate(tools.erode(dab, steps=inner), steps=inner + round(_REGAIN_UM / mpp))
    return compact, tools.grey_opening(tools.total_stain(hematoxylin, dab), half=round(_SHEET_UM / mpp))


def means(image: NDArray[np.int16], *, factor: int) -> NDArray[np.int16]:
    """Average whole squares, rounded half up, int16 (rows, columns); an incomplete square repeats its edge."""
    if factor == 1:
        return image
    padded = np.pad(image, [(0, -side % factor) for side in image.shape], mode="edge").astype(np.int64)
    parts = [padded[row::factor, column::factor] for row in range(factor) for column in range(factor)]
    return ((np.sum(parts, axis=0) + factor**2 // 2) // factor**2).astype(np.int16)


def repeated(image: NDArray, *, factor: int, shape: tuple[int, ...]) -> NDArray:
    """Put squares back: each value ``factor`` times both ways, cut to a shape."""
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)[: shape[0], : shape[1]]


def total_stain(hematoxylin: NDArray[np.int16], dab: NDArray[np.int16]) -> NDArray[np.int16]:
    """Both stains in one, smoothed by 1-2-1 both ways; what is below 0 counts as none."""
    return binomial(np.maximum(hematoxylin, 0) + np.maximum(dab, 0))


def binomial(image: NDArray[np.int16]) -> NDArray[np.int16]:
    """Smooth by 1-2-1 both ways, as a Gaussian of 0.7 px would, rounded half up; borders repeat the nearest pixel."""
    wide = np.pad(image.astype(np.int32), 1, mode="edge")
    across = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return ((across[:-2] + 2 * across[1:-1] + across[2:] + 8) // 16).astype(np.int16)


def nuclear_signal(
    hematoxylin: NDArray[np.int16], dab: NDArray[np.int16], compact: NDArray[np.int16], sheet: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Weigh both stains, take the sheet off, cap softly; whole numbers, so that no rounding depends on a library."""
    inside = np.minimum(np.maximum(dab, 0), np.maximum(compact, 0)).astype(np.int32)
    inside = np.maximum(inside - 2 * np.maximum(sheet.astype(np.int32) - SHEET_OD, 0), 0)
    both = (HEMATOXYLIN_WEIGHT * np.maximum(hematoxylin, 0).astype(np.int32) + DAB_WEIGHT * inside) // 256
    above = np.minimum(np.maximum(both - CAP, 0) * ABOVE_CAP // 256, MOST_ABOVE)
    return (np.minimum(both, CAP) + above).astype(np.int16)


def smoothed_nuclear_signal(
    hematoxylin: NDArray[np.int16],
    dab: NDArray[np.int16],
    compact: NDArray[np.int16],
    sheet: NDArray[np.int16],
    *,
    factor: int,
) -> NDArray[np.int16]:
    """Contrast of working pixels, smoothed by 1-2-1 both ways; ``compact`` and ``sheet`` come from the seeking grid."""
    large = (repeated(one, factor=factor, shape=dab.shape) for one in (compact, sheet))
    return binomial(nuclear_signal(hematoxylin, dab, *large))


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
