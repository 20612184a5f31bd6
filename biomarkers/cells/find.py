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
from biomarkers.cells import measure
from biomarkers.cells.blocks import HALO_UM, Block, make_blocks
from biomarkers.cells.grow import Labels, expand
from biomarkers.cells.nuclei import find_nuclei, working_factor, working_image
from biomarkers.cells.settings import CellSettings
from biomarkers.cells.table import Rows, cell_table, in_reading_order, join_rows
from biomarkers.slide.pixelsize import choose_mpp
from biomarkers.slide.tile import tile_rgb
from biomarkers.slide.tissue import tissue_mask
from biomarkers.stain.density import White, check_white, optical_density
from biomarkers.stain.evidence import NotImmunostainError, evidence_of_colours
from biomarkers.stain.vectors import StainVectors
from biomarkers.stain.white import estimate_white, white_is_credible

if TYPE_CHECKING:
    import anndata as ad
    import xarray as xr

_MILLI = 1000.0
_DAB_SMOOTH_UM = 0.35
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
        ``cytoplasm_mean``, ``membrane_mean``, ``cell_max``, ``membrane_completeness``; obsm ``spatial`` in um.
    nucleus_labels, cell_labels
        int32 (height, width): row number + 1 of the cell that a pixel belongs to, 0 = none.
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
    return CellMap(table, nuclei, cells, white, vectors, qc, said)


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
    rows, order = in_reading_order(join_rows(parts))
    return rows, order[nuclei], order[cells]


@dataclass(frozen=True)
class _Part:
    """Cells that one block owns; labels 1..n within its window."""

    rows: Rows
    nuclei: Labels
    cells: Labels


def _one_block(
    rgb: NDArray[np.uint8], block: Block, mpp: float, white: White, vectors: StainVectors, settings: CellSettings
) -> _Part:
    work = working_image(rgb, white=white, mpp=mpp, settings=settings)
    coarse = find_nuclei(work, settings=settings)
    bodies = expand(coarse, steps=max(1, round(settings.expansion_um / work.mpp)))
    nuclei, bodies = (_at_full_size(one, work.factor, rgb.shape) for one in (coarse, bodies))
    nuclei, bodies, count = _keep_owned(nuclei, bodies, block)
    parts = measure.compartments(nuclei, bodies, mpp=mpp, settings=settings)
    density = optical_density(rgb, white=white) @ vectors.unmixing().astype(np.float32)
    rows = _measure(density, parts, nuclei, count, mpp, settings).shifted(
        x=block.window[1].start, y=block.window[0].start
    )
    return _Part(rows, nuclei, bodies)


def _keep_owned(nuclei: Labels, bodies: Labels, block: Block) -> tuple[Labels, Labels, int]:
    """Renumber the cells whose centroid lies in the block's core, and drop the others."""
    count = int(nuclei.max())
    middle = measure.centroids(nuclei, count)
    top, left = block.window[0].start, block.window[1].start
    numbers = np.zeros(count + 1, np.int32)
    owned = [label for label in range(1, count + 1) if _owns(block, middle[label - 1], top, left)]
    numbers[owned] = np.arange(1, len(owned) + 1)
    return numbers[nuclei], numbers[bodies], len(owned)


def _owns(block: Block, middle: NDArray[np.float64], top: int, left: int) -> bool:
    return bool(np.isfinite(middle).all()) and block.owns(middle[1] + top, middle[0] + left)


def _measure(
    density: NDArray[np.float32],
    parts: measure.Compartments,
    nuclei: Labels,
    count: int,
    mpp: float,
    settings: CellSettings,
) -> Rows:
    from biomarkers.cells.filters import smooth

    hematoxylin, dab = (np.rint(density[..., stain] * _MILLI).astype(np.int32) for stain in (0, 1))
    middle = measure.centroids(nuclei, count)
    soft = smooth(dab, sigma_px=_DAB_SMOOTH_UM / mpp)
    complete = measure.completeness(soft, parts, middle, least_od=settings.membrane_od)
    named = {
        keys.NUCLEUS_MEAN: nuclei,
        keys.CYTOPLASM_MEAN: parts.cytoplasm,
        keys.MEMBRANE_MEAN: parts.membrane,
    }
    layers = {
        name: np.stack([measure.means(stain, labels, count) for stain in (dab, hematoxylin)], axis=1)
        for name, labels in named.items()
    }
    layers[keys.CELL_MAX] = np.stack([measure.maxima(stain, parts.cell, count) for stain in (dab, hematoxylin)], axis=1)
    layers[keys.MEMBRANE_COMPLETENESS] = np.stack([complete, np.full(count, np.nan)], axis=1)
    mean = np.stack([measure.means(stain, parts.cell, count) for stain in (dab, hematoxylin)], axis=1)
    return Rows(
        middle=middle,
        area=np.bincount(parts.cell.ravel(), minlength=count + 1)[1 : count + 1],
        nucleus_area=np.bincount(nuclei.ravel(), minlength=count + 1)[1 : count + 1],
        mean=mean,
        layers=layers,
    )


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
