"""Nuclei in fluorescence: DAPI becomes the image of nuclear evidence in which the brightfield path finds nuclei."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.core.errors import UsageError
from biomarkers.io.label_maps import LabelMaps, Map
from biomarkers.seg import channel_kernels
from biomarkers.seg.blocks import HALO_UM, Block, make_blocks
from biomarkers.seg.contrast import WorkingImage, seeking_factor
from biomarkers.seg.moments import centroids
from biomarkers.seg.nuclei import find_nuclei
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.tools import Tools, fast

if TYPE_CHECKING:
    import xarray as xr

NUCLEUS_UM = 10.0  # the diameter for which the finder's constants stand
_WORKING_MPP = 0.5
_BACKGROUND_PERCENT, _BRIGHT_PERCENT = 5.0, 99.0
_RARER_PERCENTS = (99.3, 99.5, 99.7, 99.8, 99.9, 99.95, 99.99)
_TOP = 4  # of these: the brightest 0.1%
_TOP_TIMES = 2.5  # the brightest 0.1% of nuclei are at most this much brighter than bright nuclei
_BACKGROUND_SD = 1.645  # standard deviations between the 5th percentile of noise and its middle
_NOISE_SD = (
    4.0,
    8.0,
    40.0,
)  # above the middle: what is no noise; what a rarer percentile must reach; where there is none
_FINE_SD = 12.0  # the same told by how much neighbouring pixels differ, where nuclei cover half the picture
_BRIGHT_OD, _MOST_OD = 0.40, 0.60  # evidence of a bright nucleus, and of the brightest, in the finder's unit
_FEWEST_PX = 4.0  # a nucleus must be at least so wide
_SAMPLE = 1_000_000
_SAME_SIZE = 0.02  # a working pixel this near to a pixel of the plane is one
_THREADS = 2


def segment_dapi(
    tile: xr.DataArray,
    *,
    nuclei: str = "DAPI",
    nucleus_um: float = NUCLEUS_UM,
    nucleus_px: float | None = None,
    settings: CellSettings | None = None,
    levels: tuple[float, float] | None = None,
) -> LabelMaps:
    """Find nuclei in a channel of nuclear dye, and cell bodies around them.

    Parameters
    ----------
    tile
        Channels (c, y, x) with ``mpp``.
    nuclei
        The channel that shows nuclei.
    nucleus_um
        Expected diameter of nuclei; the finder's constants are scaled by it.
    nucleus_px
        The same in pixels, for images without a pixel size; wins over ``nucleus_um``.
    settings
        Areas and how far a cell reaches beyond its nucleus, for nuclei of 10 um (scaled like all lengths).
    levels
        Level of background and of bright nuclei (:func:`nuclear_levels`); those of this plane when absent. Give those
        of the whole image where ``tile`` is a part of it.

    Returns
    -------
    Nuclei and cells, numbered in reading order.

    Raises
    ------
    UsageError
        There is no such channel, or nuclei would be narrower than 4 px.

    Examples
    --------
    >>> import numpy as np
    >>> import biomarkers as bm
    >>> y, x = np.mgrid[:128, :128]
    >>> nuclei = sum(2000.0 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 50) for a in (32, 96) for b in (32, 96))
    >>> tile = bm.io.make_channels((nuclei[None] + 100).astype(np.uint16), names=["DAPI"], mpp=0.5)
    >>> int(bm.segment_dapi(tile).nuclei.max())
    4
    """
    names = [str(name) for name in tile.coords["c"].to_numpy()]
    if nuclei not in names:
        raise UsageError("no such channel of nuclei", seen=nuclei, allowed=names)
    mpp = float(tile.attrs[keys.MPP])
    wide = nucleus_um / mpp if nucleus_px is None else nucleus_px
    if not _FEWEST_PX <= wide <= 1000:
        raise UsageError("the expected width of a nucleus is out of range", seen=f"{wide:.3g} px", allowed="4 to 1000")
    plane = tile.to_numpy()[names.index(nuclei)]
    return label_nuclei(plane, mpp=NUCLEUS_UM / wide, settings=settings or CellSettings(), levels=levels)


def label_nuclei(
    plane: NDArray,
    *,
    mpp: float,
    settings: CellSettings,
    tools: Tools | None = None,
    threads: int = _THREADS,
    levels: tuple[float, float] | None = None,
) -> LabelMaps:
    """Find nuclei in one plane whose pixels are ``mpp`` um where a nucleus is 10 um wide.

    ``tools`` are the compiled steps when None; labels do not depend on them, nor on the number of threads.
    """
    tools = fast() if tools is None else tools
    image = nuclear_evidence(plane, scale=mpp / _WORKING_MPP, levels=levels)
    reach = max(1, round(settings.expansion_um / _WORKING_MPP))

    def look(block: Block) -> _Found:
        part = image[block.window]
        work = WorkingImage(part, None, 1, _WORKING_MPP)
        labels, _ = find_nuclei(work, settings=settings, tools=tools)
        return _Found(block, labels, tools.expand(labels, steps=reach), _middles(labels, block))

    step = seeking_factor(_WORKING_MPP, settings)
    blocks = list(make_blocks(*image.shape, side=settings.block_px, halo=round(HALO_UM / _WORKING_MPP), step=step))
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        parts = list(pool.map(look, blocks))
    nuclei, cells = (_resized(one, plane.shape) for one in _together(parts, image.shape))
    return LabelMaps(nuclei=nuclei, cells=cells, source="found in the nuclear channel")


@dataclass(frozen=True)
class _Found:
    """What one window shows; ``middles`` (n + 1, 2) rows and columns in the image, NaN for cells of other blocks."""

    block: Block
    nuclei: Map
    cells: Map
    middles: NDArray[np.float64]


def _middles(labels: Map, block: Block) -> NDArray[np.float64]:
    """Centroids in the image of the labels that the block's core owns; NaN for the others."""
    rows, columns = block.core
    corner = np.array([block.window[0].start, block.window[1].start])
    here = centroids(labels, int(labels.max(initial=0)))[:, ::-1] + corner  # rows first
    whole = np.floor(here)
    low, high = (rows.start, columns.start), (rows.stop, columns.stop)
    own = ((whole >= low) & (whole < high)).all(axis=1, keepdims=True)
    return np.concatenate([[[np.nan, np.nan]], np.where(own, here, np.nan)])


def _together(parts: Sequence[_Found], shape: tuple[int, ...]) -> tuple[Map, Map]:
    """Bring all blocks into the maps of the whole image, with cells numbered in reading order."""
    middles = np.concatenate([part.middles for part in parts])
    owned = np.flatnonzero(np.isfinite(middles[:, 0]))
    numbers = np.zeros(len(middles), np.int32)
    numbers[owned[np.lexsort((middles[owned, 1], middles[owned, 0]))]] = np.arange(1, len(owned) + 1)
    new = np.split(numbers, np.cumsum([len(part.middles) for part in parts])[:-1])
    nuclei, cells = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for part, own in zip(parts, new, strict=True):
        channel_kernels.paste(part.cells, own, cells[part.block.window])
    for part, own in zip(parts, new, strict=True):  # a nucleus belongs to its own cell in both maps
        channel_kernels.paste(part.nuclei, own, nuclei[part.block.window])
        channel_kernels.paste(part.nuclei, own, cells[part.block.window])
    return nuclei, cells


def nuclear_levels(plane: NDArray) -> tuple[float, float]:
    """Level of background (5th percentile) and of bright nuclei in a plane of nuclear dye.

    Bright is the 99th percentile, where nuclei cover some per cent of the picture. Where they cover less, that is the
    rim of a nucleus or noise, and the first higher percentile that the brightest are not far above is taken; where none
    stands out of noise there are no nuclei, and the level lies far above all noise.
    """
    step = max(1, int(np.sqrt(plane.size / _SAMPLE)))
    seen = plane[::step, ::step]
    low, middle, high = np.percentile(seen, (_BACKGROUND_PERCENT, 50.0, _BRIGHT_PERCENT))
    noise = float(middle - low) / _BACKGROUND_SD
    beside = np.abs(np.diff(plane[::step].astype(np.float32), axis=1)) if plane.shape[1] > 1 else np.zeros(1)
    fine = float(np.median(beside)) * 1.4826 / np.sqrt(2)
    rarer = np.percentile(seen, _RARER_PERCENTS)
    top = float(rarer[_TOP]) - float(low)
    clear = noise <= 0 or high - middle >= _NOISE_SD[0] * noise or high - low >= _FINE_SD * fine
    if clear and top <= _TOP_TIMES * (high - low):
        return float(low), float(high)
    for level in rarer:
        if level - middle >= _NOISE_SD[1] * noise and top <= _TOP_TIMES * (level - low):
            return float(low), float(level)
    if clear:
        return float(low), float(high)
    return float(low), float(middle + _NOISE_SD[2] * noise)


def nuclear_evidence(plane: NDArray, *, scale: float, levels: tuple[float, float] | None = None) -> NDArray[np.int16]:
    """Bring a nuclear dye to the finder's size and unit.

    Parameters
    ----------
    plane
        (y, x), any linear scale.
    scale
        Working pixels on one side of a pixel of the plane.
    levels
        See :func:`nuclear_levels`; the plane's own when absent.

    Returns
    -------
    int16 thousandths at the working size: 0 at the level of background, 400 at that of bright nuclei, at most 600.
    """
    from scipy import ndimage

    low, high = nuclear_levels(plane) if levels is None else levels
    unit = _BRIGHT_OD * 1000 / max(float(high - low), 1e-9)
    out: NDArray[np.int16]
    if abs(scale - 1) <= _SAME_SIZE:
        out = np.empty(plane.shape, np.int16)
        channel_kernels.evidence(channel_kernels.ready(plane), float(low), unit, _MOST_OD * 1000, out)
        return out
    level = np.clip((plane.astype(np.float32) - np.float32(low)) * np.float32(unit), 0, np.float32(_MOST_OD * 1000))
    if scale < 1:
        level = ndimage.gaussian_filter(level, 0.4 * (1 / scale - 1))
    out = np.empty([max(1, round(side * scale)) for side in plane.shape], np.int16)
    rows, columns = ((np.arange(n) + 0.5) * old / n - 0.5 for n, old in zip(out.shape, plane.shape, strict=True))
    channel_kernels.between(level, rows, columns, out)
    return out


def _resized(labels: Map, shape: tuple[int, ...]) -> Map:
    if labels.shape == shape:
        return labels
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * old / n).astype(int), old - 1)
        for n, old in zip(shape, labels.shape, strict=True)
    )
    out = np.empty(shape, np.int32)
    channel_kernels.nearest(labels, rows, columns, out)
    return out
