"""``find_cells``: from a tile to measured cells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from biomarkers import keys
from biomarkers.cells.blocks import HALO_UM, Block, make_blocks
from biomarkers.cells.contrast import amounts, working_factor, working_image
from biomarkers.cells.grow import Labels, expand
from biomarkers.cells.measure import centroids, measure_cells
from biomarkers.cells.nuclei import find_nuclei
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.table import Rows, cell_table, in_reading_order, join_rows
from biomarkers.slide.pixelsize import choose_mpp
from biomarkers.slide.tile import tile_rgb
from biomarkers.slide.tissue import tissue_mask
from biomarkers.stain.density import White, check_white
from biomarkers.stain.evidence import NotImmunostainError, evidence_of_colours
from biomarkers.stain.vectors import StainVectors
from biomarkers.stain.white import estimate_white, white_is_credible

if TYPE_CHECKING:
    import anndata as ad
    import xarray as xr

_EVIDENCE_PIXELS = 1_000_000
_SHOW_PROGRESS_FROM = 4  # blocks


@dataclass(frozen=True)
class CellMap:
    """The cells of a tile, with everything that was decided on the way.

    Attributes
    ----------
    cells
        AnnData: obs = cells (``x_um``, ``y_um``, ``area_um2``, ``nucleus_area_um2``, ``cell_class``, ...), var = the
        marker and ``hematoxylin``, X = mean optical density over the whole cell, layers = ``nucleus_mean``,
        ``cytoplasm_mean``, ``membrane_mean``, ``cell_max``, ``membrane_completeness``,
        ``membrane_stained_mean``; obsm ``spatial`` in um.
    nucleus_labels, cell_labels
        int32 (height, width): row number + 1 of the cell that a pixel belongs to, 0 = none.
    tissue
        bool (height, width): where there is tissue.
    white, vectors
        What optical densities were measured against.
    qc
        Tissue area, stain evidence and the quality flags, plain values by name.
    warnings
        What a reader of the results must know, in words.
    """

    cells: ad.AnnData
    nucleus_labels: Labels
    cell_labels: Labels
    tissue: NDArray[np.bool_]
    white: White
    vectors: StainVectors
    qc: Mapping[str, Any]
    warnings: tuple[str, ...]


def find_cells(
    tile: xr.DataArray,
    *,
    mpp: float | None = None,
    white: White | None = None,
    vectors: StainVectors | None = None,
    settings: CellSettings | None = None,
    marker: str = "PD-L1",
    progress: bool = True,
) -> CellMap:
    """Find the cells of a brightfield H-DAB tile and measure them.

    Parameters
    ----------
    tile
        RGB tile (c, y, x); see :func:`biomarkers.slide.tile.read_tile`.
    mpp
        Micrometres per pixel; the tile's own when absent.
    white
        Level of empty glass (R, G, B); estimated from the tile when absent.
    vectors
        Stain vectors; those of Ruifrok and Johnston (2001) when absent.
    settings
        How nuclei and cells are found; see :class:`biomarkers.cells.settings.CellSettings`.
    marker
        Name of what is stained with DAB.
    progress
        Show a progress bar when there are several blocks.

    Raises
    ------
    NotImmunostainError
        The image is H&E or has no colour (unless ``settings.check_stain`` is False).
    UsageError
        The pixel size is unknown or out of range, or the tile is not an 8-bit RGB tile.

    Examples
    --------
    >>> found = find_cells(read_tile("field.png", mpp=0.25), marker="Ki67")  # doctest: +SKIP
    >>> found.cells.to_df("nucleus_mean").head()  # doctest: +SKIP
    """
    settings = settings or CellSettings()
    vectors = vectors or StainVectors()
    rgb = tile_rgb(tile)
    um, _ = choose_mpp(
        mpp if mpp is not None else tile.attrs.get(keys.MPP), None, where=tile.attrs.get("slide", "tile")
    )
    tile = tile.assign_attrs({keys.MPP: um})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        white = check_white(white) if white is not None else estimate_white(tile)
        white_is_credible(white)
        qc = _check_stain(tile, rgb, white, vectors, settings)
        tissue = tissue_mask(tile, white=white)
        qc["tissue_mm2"] = float(tissue.sum()) * um**2 * 1e-6
        rows, nuclei, cells = _all_blocks(rgb, tissue, um, white, vectors, settings, progress=progress)
        _check_sizes(rows, um)
    said = tuple(dict.fromkeys(str(one.message) for one in caught))
    for message in said:
        warnings.warn(message, stacklevel=2)
    origin = tile.attrs.get(keys.ORIGIN, (0, 0))
    table = cell_table(rows, mpp=um, origin=origin, marker=marker)
    return CellMap(table, nuclei, cells, tissue, white, vectors, qc, said)


def _check_stain(
    tile: xr.DataArray, rgb: NDArray[np.uint8], white: White, vectors: StainVectors, settings: CellSettings
) -> dict[str, Any]:
    """Refuse what is no immunostain; a fixed, evenly spread sample of pixels is judged."""
    step = max(1, int((rgb.shape[0] * rgb.shape[1] / _EVIDENCE_PIXELS) ** 0.5))
    evidence = evidence_of_colours(rgb[::step, ::step].reshape(-1, 3), white=white, vectors=vectors)
    if settings.check_stain and not evidence.scorable:
        raise NotImmunostainError(evidence.reason, where=tile.attrs.get("slide") or None)
    return {
        "stain": evidence.kind,
        "brown_share": evidence.brown_share,
        "pink_share": evidence.pink_share,
        "stained_share": evidence.stained_share,
    }


def _all_blocks(
    rgb: NDArray[np.uint8],
    tissue: NDArray[np.bool_],
    mpp: float,
    white: White,
    vectors: StainVectors,
    settings: CellSettings,
    *,
    progress: bool,
) -> tuple[Rows, Labels, Labels]:
    """Work through the blocks and number the cells in reading order of their nuclei."""
    height, width = rgb.shape[:2]
    factor = working_factor(mpp, settings)
    blocks = list(make_blocks(height, width, side=settings.block_px, halo=round(HALO_UM / mpp), step=factor))
    nuclei, cells = np.zeros((height, width), np.int32), np.zeros((height, width), np.int32)
    parts: list[Rows] = []
    found = 0
    for block in tqdm(blocks, desc="cells", unit="block", disable=not progress or len(blocks) < _SHOW_PROGRESS_FROM):
        if not tissue[block.window].any():
            continue
        part = _one_block(rgb[block.window], block, mpp, white, vectors, settings)
        if not part.rows.count:
            continue
        for whole, own in ((nuclei, part.nuclei), (cells, part.cells)):
            view = whole[block.window]
            view[own > 0] = own[own > 0] + found
        found += part.rows.count
        parts.append(part.rows)
    rows = join_rows(parts)
    rows, order = in_reading_order(rows, keep=_stands_out(rows.shape["nucleus_contrast_od"], settings))
    return rows, order[nuclei], order[cells]


def _stands_out(contrast: NDArray[np.float64], settings: CellSettings) -> NDArray[np.bool_]:
    """Which objects are nuclei by their contrast: the cut follows the slide's own, so pale stains are not lost."""
    clear = contrast[contrast >= settings.min_contrast]
    if clear.size == 0:
        return np.zeros(contrast.size, bool)
    return contrast >= max(settings.min_contrast, settings.least_of_median * float(np.median(clear)))


@dataclass(frozen=True)
class _Part:
    """Cells that one block owns; labels 1..n within its window."""

    rows: Rows
    nuclei: Labels
    cells: Labels


def _one_block(
    rgb: NDArray[np.uint8], block: Block, mpp: float, white: White, vectors: StainVectors, settings: CellSettings
) -> _Part:
    work = working_image(rgb, white=white, vectors=vectors, mpp=mpp, settings=settings)
    coarse, contrast = find_nuclei(work, settings=settings)
    bodies = expand(coarse, steps=max(1, round(settings.expansion_um / work.mpp)))
    nuclei, bodies = (_at_full_size(one, work.factor, rgb.shape) for one in (coarse, bodies))
    nuclei, bodies, owned = _keep_owned(nuclei, bodies, block)
    hematoxylin, dab = amounts(rgb, white=white, vectors=vectors)
    rows = measure_cells(
        hematoxylin, dab, nuclei=nuclei, cells=bodies, contrast=contrast[owned], mpp=mpp, settings=settings
    )
    return _Part(rows.shifted(x=block.window[1].start, y=block.window[0].start), nuclei, bodies)


def _keep_owned(nuclei: Labels, bodies: Labels, block: Block) -> tuple[Labels, Labels, list[int]]:
    """Renumber the cells whose centroid lies in the block's core, drop the others, and return the old numbers."""
    count = int(nuclei.max())
    middle = centroids(nuclei, count)
    top, left = block.window[0].start, block.window[1].start
    numbers = np.zeros(count + 1, np.int32)
    owned = [label for label in range(1, count + 1) if _owns(block, middle[label - 1], top, left)]
    numbers[owned] = np.arange(1, len(owned) + 1)
    return numbers[nuclei], numbers[bodies], owned


def _owns(block: Block, middle: NDArray[np.float64], top: int, left: int) -> bool:
    return bool(np.isfinite(middle).all()) and block.owns(middle[1] + top, middle[0] + left)


def _at_full_size(labels: Labels, factor: int, shape: tuple[int, ...]) -> Labels:
    return np.repeat(np.repeat(labels, factor, axis=0), factor, axis=1)[: shape[0], : shape[1]]


def _check_sizes(rows: Rows, mpp: float) -> None:
    """Warn when the nuclei are too large or too small for tissue: the sign of a wrong pixel size."""
    if rows.count < 30:
        return
    median = float(np.median(rows.nucleus_area)) * mpp**2
    if not 18.0 <= median <= 110.0:
        warnings.warn(
            f"the median nucleus measures {median:.0f} um2, unusual for tissue (18-110): is the pixel size of "
            f"{mpp:.4g} um/px right?",
            stacklevel=3,
        )
