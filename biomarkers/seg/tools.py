"""The steps that finding and measuring cells is made of, twice: plain (the definition) and fast (what runs)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.grow import CellLabels, Labels

if TYPE_CHECKING:
    from biomarkers.seg.blocks import Block
    from biomarkers.seg.measure import Sums
    from biomarkers.seg.outline import Histograms
    from biomarkers.seg.outline_stain import OutlineStain
    from biomarkers.seg.pieces import Limits
    from biomarkers.seg.regions import BasinRegions, MergeRule
    from biomarkers.seg.settings import CellSettings
    from biomarkers.seg.table import Rows

Levels = NDArray[np.int16]
Mask = NDArray[np.bool_]

Amounts = tuple[Levels, Levels]  # hematoxylin and DAB


class _Filter(Protocol):
    def __call__(self, image: Levels, *, sigma_px: float) -> Levels: ...


class _Opened(Protocol):
    def __call__(self, image: Levels, *, half: int) -> Levels: ...


class _Octagon(Protocol):
    def __call__(self, image: NDArray, *, steps: int) -> NDArray: ...


class _LightSums(Protocol):
    def __call__(self, rgb: NDArray[np.uint8], *, factor: int) -> NDArray[np.int32]: ...


class _Means(Protocol):
    def __call__(self, image: Levels, *, factor: int) -> Levels: ...


class _Softened(Protocol):
    def __call__(self, hematoxylin: Levels, dab: Levels, compact: Levels, sheet: Levels, *, factor: int) -> Levels: ...


class _MasksOf(Protocol):
    def __call__(
        self, fine: Levels, coarse: Levels, soft: Levels, *, levels: tuple[int, int, int]
    ) -> tuple[Mask, Mask]: ...


class _Squares(Protocol):
    def __call__(self, mask: Mask, *, reach: int) -> Levels: ...


class _Surface(Protocol):
    def __call__(
        self, fine: Levels, coarse: Levels, soft: Levels, bend: Levels, *, weights: tuple[int, int]
    ) -> NDArray[np.int32]: ...


class _Hue(Protocol):
    def __call__(self, hematoxylin: Levels, dab: Levels, *, finer: int) -> Levels: ...


class _Waits(Protocol):
    def __call__(self, line: Levels, *, most: int) -> NDArray[np.uint8]: ...


class _GrowToMembranes(Protocol):
    def __call__(self, labels: Labels, wait: NDArray[np.uint8], *, steps: int, last: int) -> Labels: ...


class _Describe(Protocol):
    def __call__(
        self, labels: Labels, height: NDArray[np.int32], core: Mask, *, tops: NDArray[np.int32]
    ) -> BasinRegions: ...


class _Merge(Protocol):
    def __call__(self, regions: BasinRegions, *, rule: MergeRule) -> NDArray[np.int32]: ...


class _Expand(Protocol):
    def __call__(self, labels: Labels, *, steps: int) -> Labels: ...


class _Bodies(Protocol):
    def __call__(self, labels: Labels, *, steps: int) -> CellLabels: ...


class _Histograms(Protocol):
    def __call__(self, reach: Labels, objects: Labels, core: Mask, soft: Levels, *, count: int) -> Histograms: ...


class _Cuts(Protocol):
    def __call__(self, counts: Histograms, *, least_px: float) -> tuple[Levels, NDArray[np.int64]]: ...


class _Outlines(Protocol):
    def __call__(
        self, reach: Labels, soft: Levels, cuts: Levels, *, factor: int, limits: Limits
    ) -> tuple[Labels, NDArray[np.int32]]: ...


class _Sums(Protocol):
    def __call__(self, amounts: Amounts, *, bodies: CellLabels, count: int) -> Sums: ...


class _Ring(Protocol):
    def __call__(
        self,
        soft: Levels,
        amounts: Amounts,
        *,
        bodies: CellLabels,
        wanted: Mask,
        middle: NDArray[np.float64],
        highest: NDArray[np.int64],
        mpp: float,
        grown_px: int,
        settings: CellSettings,
        line: Levels | None = None,
    ) -> OutlineStain: ...


@dataclass(frozen=True)
class Tools:
    """One set of steps. Both sets give the same whole numbers; tests hold one to the other."""

    block_sums: _LightSums
    separated: Callable[[NDArray[np.uint8] | NDArray[np.int32], NDArray[np.int32]], Amounts]
    means: _Means
    total_stain: Callable[[Levels, Levels], Levels]
    nuclear_signal: Callable[[Levels, Levels, Levels, Levels], Levels]
    smoothed_nuclear_signal: _Softened
    smooth: _Filter
    negative_log: _Filter
    grey_opening: _Opened
    erode: _Octagon
    dilate: _Octagon
    threshold_masks: _MasksOf
    squared_edt: _Squares
    hue: _Hue
    hue_heights: Callable[[Levels, Levels, Levels], NDArray[np.int32]]
    waits: _Waits
    grow_to_membranes: _GrowToMembranes
    told_parts: Callable[[Labels, Labels], CellLabels]
    surface: _Surface
    basins: Callable[[NDArray[np.int32]], tuple[Labels, NDArray[np.int32]]]
    describe: _Describe
    merge: _Merge
    expand: _Expand
    bodies: _Bodies
    histograms: _Histograms
    cuts: _Cuts
    outlines: _Outlines
    sums: _Sums
    outline_stain: _Ring
    numbers: Callable[[Sums, OutlineStain, NDArray[np.int64]], Rows]
    owned: Callable[[NDArray[np.float64], Mask, Block], NDArray[np.intp]]
    relabel: Callable[[CellLabels, NDArray[np.int32]], tuple[Labels, Labels]]
    renumbered: Callable[[Labels, NDArray[np.int32]], Labels]


@cache
def plain() -> Tools:
    """Return the steps in numpy, scipy and scikit-image."""
    from biomarkers.seg import (
        basins,
        blocks,
        contrast,
        filters,
        grow,
        hue,
        measure,
        nuclei,
        outline,
        outline_stain,
        pieces,
    )
    from biomarkers.seg import regions as regions_

    return Tools(
        block_sums=contrast.block_sums,
        separated=contrast.separated,
        means=contrast.means,
        total_stain=contrast.total_stain,
        nuclear_signal=contrast.nuclear_signal,
        smoothed_nuclear_signal=contrast.smoothed_nuclear_signal,
        smooth=filters.smooth,
        negative_log=filters.negative_log,
        grey_opening=filters.grey_opening,
        erode=grow.erode,
        dilate=grow.dilate,
        threshold_masks=nuclei.threshold_masks,
        squared_edt=pieces.squared_edt,
        hue=hue.signal,
        hue_heights=hue.heights,
        waits=hue.waits,
        grow_to_membranes=hue.grow_to_membranes,
        told_parts=grow.told_parts,
        surface=basins.surface,
        basins=basins.basins,
        describe=regions_.describe,
        merge=regions_.merge,
        expand=grow.expand,
        bodies=grow.bodies,
        relabel=grow.relabel,
        renumbered=grow.renumbered,
        histograms=outline.histograms,
        cuts=outline.cuts,
        outlines=outline.outlines,
        sums=measure.sums,
        outline_stain=outline_stain.outline_stain,
        numbers=measure.numbers,
        owned=blocks.owned,
    )


@cache
def fast() -> Tools:
    """Return the steps as compiled kernels."""
    from biomarkers.core.memory import keep_some_freed_memory
    from biomarkers.core.notice import announce_compilation
    from biomarkers.pp.kernels import light
    from biomarkers.seg.kernels import (
        basins,
        contrast,
        distance,
        filters,
        hue,
        measure,
        numbers,
        octagon,
        outline,
        outline_stain,
        owned,
        pieces,
        regions,
        rings,
    )

    announce_compilation()
    keep_some_freed_memory()
    return Tools(
        block_sums=light.block_sums,
        separated=light.separated,
        means=contrast.means,
        total_stain=contrast.total_stain,
        nuclear_signal=contrast.nuclear_signal,
        smoothed_nuclear_signal=contrast.smoothed_nuclear_signal,
        smooth=filters.smooth,
        negative_log=filters.negative_log,
        grey_opening=filters.grey_opening,
        erode=octagon.erode,
        dilate=octagon.dilate,
        threshold_masks=contrast.threshold_masks,
        squared_edt=distance.squared_edt,
        hue=hue.signal,
        hue_heights=hue.heights,
        waits=hue.waits,
        grow_to_membranes=hue.grow_to_membranes,
        told_parts=rings.told_parts,
        surface=basins.surface,
        basins=basins.basins,
        describe=regions.describe,
        merge=regions.merge,
        expand=rings.expand,
        bodies=rings.bodies,
        relabel=rings.relabel,
        renumbered=rings.renumbered,
        histograms=outline.histograms,
        cuts=outline.cuts,
        outlines=pieces.outlines,
        sums=measure.sums,
        outline_stain=outline_stain.outline_stain,
        numbers=numbers.numbers,
        owned=owned.owned,
    )
