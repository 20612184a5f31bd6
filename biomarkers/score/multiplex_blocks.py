"""Multiplex images too large for memory: cleaned, segmented and measured block by block, shown at a coarser scale."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.io.channels import channel_shape, read_channels
from biomarkers.io.label_maps import LabelMaps, Map
from biomarkers.pp.fluorescence import Cleaned, clean_channels
from biomarkers.seg import channel_kernels
from biomarkers.seg.blocks import HALO_UM, Block, make_blocks
from biomarkers.seg.channels import measure_channels
from biomarkers.seg.dapi import nuclear_levels, segment_dapi

if TYPE_CHECKING:
    import xarray as xr
    from anndata import AnnData

    from biomarkers.core.panel import Panel

WHOLE_PIXELS = 300_000_000  # of all channels together: images up to this are read at once
BLOCK_PX = 2048
SHOWN_PX = 4096  # longest side of what is kept of the picture
_SAMPLES, _SAMPLE_PX = 8, 384  # so many squares along each side are read to find background and levels
_File = str | os.PathLike[str]


@dataclass(frozen=True)
class Measured:
    """Cells of a large image, measured at full resolution; and the image, cleaned and raw, and labels, coarser."""

    cells: AnnData
    cleaned: Cleaned
    labels: LabelMaps


def is_large(path: _File, *, panel: Panel, most: int = WHOLE_PIXELS) -> bool:
    """Tell whether an image has more pixels, over the panel's channels, than are read at once."""
    height, width = channel_shape(path)
    return height * width * sum(one.role != "ignore" for one in panel.channels.values()) > most


def measure_in_blocks(
    path: _File,
    *,
    panel: Panel,
    mpp: float | None = None,
    labels: LabelMaps | None = None,
    block_px: int = BLOCK_PX,
    shown_px: int = SHOWN_PX,
) -> Measured:
    """Clean, segment and measure an image in memory that does not grow with it.

    Background, autofluorescence, bleed-through and the levels of the nuclear dye are found once, on 8 x 8 squares
    spread over the image, so that every block is treated alike. Blocks overlap by 50 um; a cell belongs to the block
    that its nucleus's centroid lies in.

    Parameters
    ----------
    path, panel, mpp
        See :func:`~biomarkers.score.multiplex_slide.score_multiplex`.
    labels
        Nuclei or cells of the whole image that were made elsewhere.
    block_px
        Side of a block, px.
    shown_px
        The kept picture's longest side is at most this.

    Returns
    -------
    Measured. Tiles have attrs ``downsample``; their ``mpp`` is that of their own, coarser pixels.
    """
    height, width = channel_shape(path)
    sampled = _sampled(path, panel, mpp, (height, width))
    bleed = panel.bleed_through
    found = clean_channels(sampled, autofluorescence=panel.autofluorescence, bleed_through=bleed)
    levels = nuclear_levels(found.tile.sel(c=panel.nuclei).to_numpy())
    step = max(1, -(-max(height, width) // shown_px))
    um = float(sampled.attrs[keys.MPP])
    kept = _Kept(sampled, found, step=step, shape=(height, width))
    for block in make_blocks(height, width, side=block_px, halo=round(HALO_UM / um), step=step):
        raw = read_channels(path, panel=panel, mpp=mpp, region=_region(block.window))
        clean, _ = found.steps.apply(raw)
        if labels is None:
            maps = segment_dapi(clean, nuclei=panel.nuclei, nucleus_um=panel.nucleus_um, levels=levels)
        else:
            maps = _part(labels, block.window)
        kept.add(block, raw, clean, maps, number=labels is None)
    return kept.all()


class _Kept:
    """What is kept of the blocks that were looked at."""

    def __init__(self, sampled: xr.DataArray, found: Cleaned, *, step: int, shape: tuple[int, int]) -> None:
        self.found, self.step, self.sampled = found, step, sampled
        rows, columns = (-(-side // step) for side in shape)
        self.raw = np.zeros((len(sampled), rows, columns), sampled.dtype)
        self.clean = np.zeros((len(found.tile), rows, columns), np.float32)
        self.nuclei, self.cells = (np.zeros((rows, columns), np.int32) for _ in range(2))
        self.tissue: Map | None = None
        self.names: tuple[str, ...] = ()
        self.source = ""
        self.parts: list[AnnData] = []
        self.count = 0

    def add(self, block: Block, raw: xr.DataArray, clean: xr.DataArray, maps: LabelMaps, *, number: bool) -> None:
        """Measure one block, keep the cells that it owns, and its pixels at the coarse scale."""
        self._show(block, raw.to_numpy(), clean.to_numpy(), maps)
        if not any(one is not None and one.any() for one in (maps.nuclei, maps.cells)):
            return
        measured = measure_channels(clean, maps, raw=raw)
        middle = np.floor(measured.obsm[keys.SPATIAL] / float(raw.attrs[keys.MPP]) - 0.5 + 1e-6).astype(int)
        (rows, columns), labels = block.core, measured.obs["label"].to_numpy()
        own = (middle[:, 0] >= columns.start) & (middle[:, 0] < columns.stop)
        own &= (middle[:, 1] >= rows.start) & (middle[:, 1] < rows.stop)
        part = measured[own].copy()
        numbers = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
        numbers[labels[own]] = self.count + np.arange(1, part.n_obs + 1) if number else labels[own]
        part.obs["label"] = numbers[labels[own]]
        part.obs_names = [str(label) for label in part.obs["label"]]
        self.count += part.n_obs
        self.parts.append(part)
        at = self._coarse(block.window)
        for whole, one in ((self.cells, maps.cells), (self.nuclei, maps.nuclei), (self.cells, maps.nuclei)):
            if one is not None:
                shown = np.ascontiguousarray(one[:: self.step, :: self.step])
                channel_kernels.paste(shown, numbers_for(shown, numbers), whole[at])

    def _show(self, block: Block, raw: NDArray, clean: NDArray, maps: LabelMaps) -> None:
        at, step = self._coarse(block.core), self.step
        inner = tuple(
            slice(core.start - window.start, core.stop - window.start, step)
            for core, window in zip(block.core, block.window, strict=True)
        )
        self.raw[:, *at] = raw[:, *inner]
        self.clean[:, *at] = clean[:, *inner]
        self.source, self.names = maps.source, maps.tissue_names
        if maps.tissue is not None:
            self.tissue = np.zeros(self.cells.shape, np.int32) if self.tissue is None else self.tissue
            self.tissue[at] = maps.tissue[inner]

    def _coarse(self, window: tuple[slice, slice]) -> tuple[slice, slice]:
        rows, columns = (slice(side.start // self.step, -(-side.stop // self.step)) for side in window)
        return rows, columns

    def all(self) -> Measured:
        """Put the blocks' cells together."""
        import anndata as ad
        import pandas as pd

        if self.parts:
            cells = ad.concat(self.parts, join="inner", merge="same")
        else:
            nothing = LabelMaps(nuclei=np.zeros((1, 1), np.int32), cells=None)
            blank = self.found.tile[:, :1, :1]
            cells = measure_channels(blank, nothing, raw=self.sampled[:, :1, :1])
        unknown = [keys.UNKNOWN] * cells.n_obs
        cells.obs[keys.CELL_CLASS] = pd.Categorical(unknown, categories=list(keys.CELL_CLASSES))
        cells.obs[keys.REGION] = pd.Categorical([""] * cells.n_obs)
        labels = LabelMaps(
            nuclei=self.nuclei, cells=self.cells, tissue=self.tissue, tissue_names=self.names, source=self.source
        )
        clean, raw = self._tile(self.clean, self.found.tile), self._tile(self.raw, self.sampled)
        return Measured(cells, replace(self.found, tile=clean, raw=raw), labels)

    def _tile(self, pixels: NDArray, like: xr.DataArray) -> xr.DataArray:
        import xarray as xr

        attrs: dict[Any, Any] = {**like.attrs, keys.DOWNSAMPLE: self.step}
        attrs[keys.MPP] = float(like.attrs[keys.MPP]) * self.step
        return xr.DataArray(pixels, dims=keys.TILE_DIMS, coords={"c": like.coords["c"].to_numpy()}, attrs=attrs)


def numbers_for(labels: Map, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Lengthen a table of new numbers, with 0, to the highest label of a map."""
    short = int(labels.max(initial=0)) + 1 - len(numbers)
    return np.pad(numbers, (0, short)) if short > 0 else numbers


def _sampled(path: _File, panel: Panel, mpp: float | None, shape: tuple[int, int]) -> xr.DataArray:
    """Read squares spread over the image, side by side as one tile."""
    import xarray as xr

    def starts(side: int) -> list[int]:
        wide = min(_SAMPLE_PX, side)
        return sorted({int(at) for at in np.linspace(0, side - wide, min(_SAMPLES, max(1, side // wide)))})

    high, wide = (min(_SAMPLE_PX, side) for side in shape)
    rows = [
        [read_channels(path, panel=panel, mpp=mpp, region=(left, top, wide, high)) for left in starts(shape[1])]
        for top in starts(shape[0])
    ]
    whole = np.concatenate([np.concatenate([one.to_numpy() for one in row], axis=2) for row in rows], axis=1)
    first = rows[0][0]
    return xr.DataArray(whole, dims=keys.TILE_DIMS, coords={"c": first.coords["c"].to_numpy()}, attrs=first.attrs)


def _region(window: tuple[slice, slice]) -> tuple[int, int, int, int]:
    rows, columns = window
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _part(labels: LabelMaps, window: tuple[slice, slice]) -> LabelMaps:
    """Cut a window out of every map."""
    names = ("nuclei", "cells", "cytoplasm", "membrane", "tissue")
    maps: dict[str, Any] = {name: getattr(labels, name) for name in names}
    return replace(labels, **{name: one[window] for name, one in maps.items() if one is not None})
