"""``find_cells``: from a tile to measured cells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.core.collector import loads_when_first_called
from biomarkers.io.pixel_size import choose_mpp
from biomarkers.io.tile import PlainTile, tile_rgb
from biomarkers.pp.area_cut import area_cut_od
from biomarkers.pp.background_light import check_background, estimate_white
from biomarkers.pp.density import White, check_white
from biomarkers.pp.evidence import DabEvidence, NotImmunostainError, dab_evidence
from biomarkers.pp.immunostain_check import Plausibility, look_at_patches
from biomarkers.pp.light import FieldLight, field_light
from biomarkers.pp.pixel_size_check import doubt_about_scale
from biomarkers.pp.quality import measure_quality
from biomarkers.pp.squares import across_of, patches_of
from biomarkers.pp.tissue import tissue_mask
from biomarkers.pp.vectors import StainVectors
from biomarkers.seg.grow import Labels
from biomarkers.seg.pipeline import SegmentationConfig, find_rows
from biomarkers.seg.plugin import SegmenterPlugin, load_segmenter
from biomarkers.seg.settings import CellSettings
from biomarkers.seg.table import Rows, cell_table

if TYPE_CHECKING:
    import anndata as ad
    import xarray as xr

# median nuclear areas of tissues and of tumours lie within the first; outside it the pixel size is usually wrong (two
# cores of 39 real fields measure 115 and 117). Beyond the second no tissue's do: at half the pixel size a nucleus of
# 50 um2 measures 12, at 1.8 times it 160
_USUAL_NUCLEUS_UM2, _POSSIBLE_NUCLEUS_UM2 = (18.0, 110.0), (12.0, 160.0)
_ENOUGH_NUCLEI = 30


class ScaleDoubts(NamedTuple):
    """Why a pixel size cannot be right, and why it may not be, in words; empty where nothing speaks against it."""

    ruled_out: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Rows, mpp: float, *, detail: str) -> ScaleDoubts:
        """Judge by the size of nuclei; ``detail`` is what the size of detail says, or nothing."""
        by_nuclei = check_pixel_size(rows, mpp)
        also = (detail,) if detail else ()
        if by_nuclei is None:
            return cls((), also)
        low, high = _POSSIBLE_NUCLEUS_UM2
        possible = low <= _median_nucleus_um2(rows, mpp) <= high
        return cls((), (by_nuclei, *also)) if possible else cls((by_nuclei, *also), ())


NO_SCALE_DOUBTS = ScaleDoubts()


@dataclass(frozen=True)
class CellMap:
    """The cells of a tile, with everything that was decided on the way.

    Attributes
    ----------
    rows
        The measured cells as plain numbers; ``cells`` are the same ones with names.
    marker, mpp, origin
        What is stained with DAB, micrometres per pixel, and (x, y) of the tile's first pixel on the slide.
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
    refusal
        Why nothing of the tile can be scored (it is out of focus), in words; empty where it can.
    scale, light_doubts
        Those of the warnings that put the pixel size, or amounts of stain, in doubt.
    """

    rows: Rows = field(repr=False)
    marker: str
    mpp: float
    origin: tuple[int, int]
    nucleus_labels: Labels
    cell_labels: Labels
    tissue: NDArray[np.bool_]
    white: White
    vectors: StainVectors
    qc: Mapping[str, Any]
    warnings: tuple[str, ...]
    refusal: str = ""
    scale: ScaleDoubts = NO_SCALE_DOUBTS
    light_doubts: tuple[str, ...] = ()

    @cached_property
    def cells(self) -> ad.AnnData:
        """The cells, made into an AnnData when it is first asked for.

        obs = cells (``label``, ``x_um``, ``y_um``, ``area_um2``, ``nucleus_area_um2``, ``cell_class``, shape of the
        nucleus), var = the marker and ``hematoxylin``, X = mean optical density over the whole cell, layers =
        ``nucleus_mean``, ``cytoplasm_mean``, ``membrane_mean``, ``cell_max``, ``membrane_completeness``,
        ``membrane_stained_mean``, ``membrane_partial``; obsm ``spatial`` in um.
        """
        return cell_table(self.rows, mpp=self.mpp, origin=self.origin, marker=self.marker)


@dataclass(frozen=True)
class StainCalibration:
    """What the light of a tile says before cells are looked for: glass, stains, where there is tissue.

    ``scale`` says why the pixel size cannot be right, and why it is doubted; either may be empty.
    """

    white: White
    evidence: DabEvidence
    plausible: Plausibility
    dab_background_od: float
    scale: tuple[str, str]
    tissue: NDArray[np.bool_]
    lit: FieldLight

    @property
    def area_cut_od(self) -> float:
        """The amount of DAB from which a pixel counts as stained area."""
        return area_cut_od(self.dab_background_od)

    @property
    def refusal(self) -> str:
        """Why the tile is no H-DAB immunostain, in words; empty where it may be one."""
        return (self.plausible.reason or self.scale[0]) if self.evidence.scorable else self.evidence.reason


@loads_when_first_called
def find_cells(
    tile: xr.DataArray,
    *,
    mpp: float | None = None,
    white: White | None = None,
    vectors: StainVectors | None = None,
    settings: CellSettings | None = None,
    marker: str = "PD-L1",
    segmenter: SegmenterPlugin | str | None = None,
    progress: bool = True,
) -> CellMap:
    """Find the cells of a brightfield H-DAB tile and measure them.

    Parameters
    ----------
    tile
        RGB tile (c, y, x); see :func:`biomarkers.io.tile.read_tile`.
    mpp
        Micrometres per pixel; the tile's own when absent.
    white
        Level of empty glass (R, G, B); estimated from the tile when absent.
    vectors
        Stain vectors; those of Ruifrok and Johnston (2001) when absent.
    settings
        How nuclei and cells are found; see :class:`biomarkers.seg.settings.CellSettings`.
    marker
        Name of what is stained with DAB.
    segmenter
        Another finder of nuclei, or the name of an installed one; see :mod:`biomarkers.seg.plugin`.
    progress
        Show a progress bar when there are several blocks.

    Raises
    ------
    NotImmunostainError
        The image is no H-DAB immunostain: H&E, another chromogen, grey, noise, fluorescence, exchanged channels (unless
        ``settings.check_stain`` is False).
    UsageError
        The pixel size is unknown or out of range, or the tile is not an 8-bit RGB tile.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.read_tile(bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif")
    >>> found = bm.find_cells(tile, marker="PD-L1")
    >>> found.cells.n_obs > 200, "nucleus_mean" in found.cells.layers
    (True, True)
    """
    settings, vectors = settings or CellSettings(), vectors or StainVectors()
    tile_rgb(tile)  # refused before anything is estimated
    stated = mpp if mpp is not None else tile.attrs.get(keys.MPP)
    um, _ = choose_mpp(stated, None, where=tile.attrs.get("slide") or "tile")
    tile = tile.assign_attrs({keys.MPP: um})
    light = calibrate(tile, white=white, vectors=vectors)
    if settings.check_stain and light.refusal:
        raise NotImmunostainError(light.refusal, where=tile.attrs.get("slide") or None)
    return segment_and_measure(
        tile, light, vectors=vectors, settings=settings, marker=marker, segmenter=segmenter, progress=progress
    )


def calibrate(tile: xr.DataArray | PlainTile, *, white: White | None, vectors: StainVectors | None) -> StainCalibration:
    """Estimate glass (unless it is given), judge the stains and find tissue; ``tile`` knows its pixel size."""
    white = check_white(white) if white is not None else estimate_white(tile)
    evidence = dab_evidence(tile, white=white, vectors=vectors)
    rgb, mpp = tile_rgb(tile), float(tile.attrs[keys.MPP])
    patches = patches_of(rgb)
    lit = field_light(patches, across=across_of(rgb), size=(rgb.shape[1], rgb.shape[0]), white=white, mpp=mpp)
    look = look_at_patches(patches, white=white, mpp=mpp, vectors=vectors)
    scale = doubt_about_scale(look.detail_um, mpp=mpp)
    return StainCalibration(
        white, evidence, look.plausible, look.background_od, scale, tissue_mask(tile, white=white), lit
    )


def segment_and_measure(
    tile: xr.DataArray | PlainTile,
    light: StainCalibration,
    *,
    vectors: StainVectors,
    settings: CellSettings,
    marker: str,
    segmenter: SegmenterPlugin | str | None,
    progress: bool,
) -> CellMap:
    """Find the cells of a tile whose light was looked at; see :func:`find_cells`."""
    rgb, um, white, evidence = tile_rgb(tile), float(tile.attrs[keys.MPP]), light.white, light.evidence
    quality = measure_quality(tile, white=white, vectors=vectors)
    plugin = load_segmenter(segmenter) if isinstance(segmenter, str) else segmenter
    plan = SegmentationConfig(mpp=um, white=white, vectors=vectors, settings=settings, plugin=plugin)
    rows, nuclei, cells = find_rows(rgb, light.tissue, plan=plan, progress=progress)
    qc = {
        "stain": evidence.kind,
        "brown_share": evidence.brown_share,
        "pink_share": evidence.pink_share,
        "stained_share": evidence.stained_share,
        "tissue_mm2": np.count_nonzero(light.tissue) * um**2 * 1e-6,
        **vars(quality),
        **quality.flags(),
        **light.lit.qc(),
    }
    scale = ScaleDoubts.of(rows, um, detail=light.scale[1])
    of_white, of_light = check_background(white), light.lit.doubts()
    of_scale = (*scale.ruled_out, *scale.doubted)
    doubts = [*([of_white] if of_white else []), *of_scale, *of_light, *light.plausible.doubts]
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=3)
    return CellMap(
        rows=rows,
        marker=marker,
        mpp=um,
        origin=tile.attrs.get(keys.ORIGIN, (0, 0)),
        nucleus_labels=nuclei,
        cell_labels=cells,
        tissue=light.tissue,
        white=white,
        vectors=vectors,
        qc=qc,
        warnings=(*doubts, *quality.messages()),
        refusal=quality.refusal,
        scale=scale,
        light_doubts=of_light,
    )


def check_pixel_size(rows: Rows, mpp: float) -> str | None:
    """Say so when the nuclei are too large or too small for tissue: the sign of a wrong pixel size."""
    if rows.count < _ENOUGH_NUCLEI:
        return None
    median = _median_nucleus_um2(rows, mpp)
    low, high = _USUAL_NUCLEUS_UM2
    if low <= median <= high:
        return None
    size = "small" if median < low else "large"
    return (
        f"the median nucleus measures {median:.0f} um2, unusually {size} for tissue ({low:.0f}-{high:.0f}): "
        f"is the pixel size of {mpp:.4g} um/px right?"
    )


def _median_nucleus_um2(rows: Rows, mpp: float) -> float:
    return float(np.median(rows.nucleus_area)) * mpp**2
