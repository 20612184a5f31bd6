"""Tissue, tumour, stroma and margin of one multiplex image: as drawn, as mapped, or from the picture and its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.panel import Panel
from biomarkers.io.annotations import Annotations
from biomarkers.io.annotations_classes import EXCLUDING
from biomarkers.io.label_maps import LabelMaps
from biomarkers.pheno.annotations_apply import OUTSIDE, region_masks
from biomarkers.score.regions import TissueRegions, regions_from_cells, regions_from_masks
from biomarkers.score.tissue import tissue_in_picture

if TYPE_CHECKING:
    import xarray as xr
    from anndata import AnnData


def image_regions(
    tile: xr.DataArray,
    cells: AnnData,
    panel: Panel,
    *,
    labels: LabelMaps,
    annotations: Annotations | None,
    origin_um: tuple[float, float],
) -> TissueRegions:
    """Find tissue, tumour, stroma and margin: as drawn, by a tissue map, or from the picture and its cells."""
    mpp, shape, margin_um = float(tile.attrs[keys.MPP]), (tile.sizes["y"], tile.sizes["x"]), panel.margin_um
    kept, tumor = _drawn(tile, annotations)
    if kept is not None and tumor is not None:
        return regions_from_masks(kept, tumor, mpp=mpp, origin_um=origin_um, margin_um=margin_um, source="annotations")
    names = [name.casefold() for name in labels.tissue_names]
    if labels.tissue is not None and "tumor" in names:
        tissue = np.isin(labels.tissue, [names.index(one) for one in ("tumor", "stroma") if one in names])
        tissue = tissue if kept is None else tissue & kept
        tumor = labels.tissue == names.index("tumor")
        return regions_from_masks(tissue, tumor, mpp=mpp, origin_um=origin_um, margin_um=margin_um, source="tissue map")
    size = (shape[0] * mpp, shape[1] * mpp)
    seen = tissue_in_picture(tile, cells, labels=labels.cells if labels.nuclei is None else labels.nuclei)
    return regions_from_cells(
        cells, size_um=size, origin_um=origin_um, margin_um=margin_um, tissue=seen, kept=kept, mpp=mpp
    )


def _drawn(tile: xr.DataArray, annotations: Annotations | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Which pixels annotations leave in, and which they call tumour; None where they say nothing of it."""
    if annotations is None:
        return None, None
    x, y = tile.attrs[keys.ORIGIN]
    step, shape = float(tile.attrs.get(keys.DOWNSAMPLE, 1)), (tile.sizes["y"], tile.sizes["x"])
    masks = region_masks(annotations, shape=shape, origin=(float(x), float(y)), downsample=step)
    left_out: list[str] = [name for name in EXCLUDING if name in masks]
    if set(masks) - {*EXCLUDING, OUTSIDE}:
        left_out.append(OUTSIDE)
    kept = ~np.logical_or.reduce([masks[name] for name in left_out]) if left_out else np.ones(shape, bool)
    return kept, masks.get(keys.TUMOR)
