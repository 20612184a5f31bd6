"""The steps that finding and measuring cells is made of, twice: plain (the definition) and fast (what runs)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels

if TYPE_CHECKING:
    from biomarkers.cells.measure import Totals
    from biomarkers.cells.outline_stain import OutlineStain
    from biomarkers.cells.settings import CellSettings

Levels = NDArray[np.int32]
Mask = NDArray[np.bool_]


class _Filter(Protocol):
    def __call__(self, image: Levels, *, sigma_px: float) -> Levels: ...


class _Octagon(Protocol):
    def __call__(self, image: Levels, *, steps: int) -> Levels: ...


class _Flood(Protocol):
    def __call__(self, seeds: Labels, *, height: Levels, mask: Mask) -> Labels: ...


class _Expand(Protocol):
    def __call__(self, labels: Labels, *, steps: int) -> Labels: ...


class _Distance(Protocol):
    def __call__(self, mask: Mask) -> Levels: ...


class _Seeds(Protocol):
    def __call__(self, distance: Levels, *, depth: int) -> Labels: ...


class _Solid(Protocol):
    def __call__(self, mask: Mask, *, hole_px: float) -> Mask: ...


class _Pieces(Protocol):
    def __call__(self, labels: Labels, *, pixel_um2: float, least_um2: float, most_um2: float) -> Labels: ...


class _Fill(Protocol):
    def __call__(self, labels: Labels) -> Labels: ...


class _Quantile(Protocol):
    def __call__(
        self, values: Levels, labels: Labels, *, numerator: int, denominator: int, size: int | None = None
    ) -> NDArray[np.int64]: ...


class _Skirt(Protocol):
    def __call__(self, labels: Labels, values: Levels, *, percent: int) -> Labels: ...


class _Fit(Protocol):
    def __call__(self, labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...


class _Parents(Protocol):
    def __call__(self, coarse: Labels, fine: Labels, area: NDArray[np.int64]) -> NDArray[np.int64]: ...


class _Sums(Protocol):
    def __call__(self, rgb: NDArray[np.uint8], *, factor: int) -> Levels: ...


class _Stains(Protocol):
    def __call__(self, light: NDArray[np.uint8] | Levels, tables: NDArray[np.float64]) -> tuple[Levels, Levels]: ...


class _Outline(Protocol):
    def __call__(
        self,
        soft: Levels,
        *,
        nuclei: Labels,
        cells: Labels,
        middle: NDArray[np.float64],
        mpp: float,
        settings: CellSettings,
    ) -> OutlineStain: ...


class _Totals(Protocol):
    def __call__(self, values: Levels, labels: Labels, count: int) -> Totals: ...


class _Counts(Protocol):
    def __call__(self, labels: Labels, count: int) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Tools:
    """One set of steps. Both sets give the same whole numbers; tests hold one to the other."""

    block_sums: _Sums
    separated: _Stains
    smooth: _Filter
    blobness: _Filter
    erode: _Octagon
    dilate: _Octagon
    flood: _Flood
    expand: _Expand
    close_labels: _Expand
    sixteenths: _Distance
    dome_seeds: _Seeds
    solid: _Solid
    largest_pieces: _Pieces
    fill_holes: _Fill
    quantile: _Quantile
    without_skirt: _Skirt
    ellipse_fit: _Fit
    parents: _Parents
    outline_stain: _Outline
    totals: _Totals
    label_moments: _Counts
    edge_pixels: _Counts


@cache
def plain() -> Tools:
    """Return the steps in numpy, scipy and scikit-image."""
    from biomarkers.cells import candidates, contrast, filters, grow, measure, outline_stain, pieces

    return Tools(
        block_sums=contrast.block_sums,
        separated=contrast.separated,
        smooth=filters.smooth,
        blobness=filters.blobness,
        erode=grow.erode,
        dilate=grow.dilate,
        flood=grow.flood,
        expand=grow.expand,
        close_labels=grow.close_labels,
        sixteenths=pieces.sixteenths,
        dome_seeds=pieces.dome_seeds,
        solid=pieces.solid,
        largest_pieces=pieces.largest_pieces,
        fill_holes=pieces.fill_holes,
        quantile=pieces.quantile,
        without_skirt=pieces.without_skirt,
        ellipse_fit=candidates.ellipse_fit,
        parents=candidates.parents,
        outline_stain=outline_stain.outline_stain,
        totals=measure.totals,
        label_moments=candidates.label_moments,
        edge_pixels=measure.edge_pixels,
    )


@cache
def fast() -> Tools:
    """Return the steps as compiled kernels."""
    from biomarkers.cells.kernels import (
        distance,
        ellipses,
        filters,
        light,
        octagon,
        outline,
        pieces,
        quantiles,
        rings,
        seeds,
        statistics,
    )
    from biomarkers.cells.kernels.notice import announce_compilation

    announce_compilation()
    return Tools(
        block_sums=light.block_sums,
        separated=light.separated,
        smooth=filters.smooth,
        blobness=filters.blobness,
        erode=octagon.erode,
        dilate=octagon.dilate,
        flood=rings.flood,
        expand=rings.expand,
        close_labels=rings.close_labels,
        sixteenths=distance.sixteenths,
        dome_seeds=seeds.dome_seeds,
        solid=pieces.solid,
        largest_pieces=pieces.largest_pieces,
        fill_holes=pieces.fill_holes,
        quantile=quantiles.quantile,
        without_skirt=quantiles.without_skirt,
        ellipse_fit=ellipses.ellipse_fit,
        parents=ellipses.parents,
        outline_stain=outline.outline_stain,
        totals=statistics.totals,
        label_moments=ellipses.label_moments,
        edge_pixels=statistics.edge_pixels,
    )
