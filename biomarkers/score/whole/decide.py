"""What is decided once for a slide, on a fixed sample of it: white, tissue, cuts, quality."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.config import Assay, Thresholds
from biomarkers.core.threads import SERIAL, ThreadPool
from biomarkers.io.reader import RGB
from biomarkers.io.slide import Slide
from biomarkers.pp import DabEvidence, StainVectors
from biomarkers.pp.area_cut import area_cut_od
from biomarkers.pp.background_light import block_pairs, check_background, doubt_about_glass, white_of_samples
from biomarkers.pp.evidence import evidence_of_colours
from biomarkers.pp.immunostain_check import Plausibility, look_at_patches
from biomarkers.pp.light import FieldLight, field_light
from biomarkers.pp.pilot_fields import pick_windows, sample_rows
from biomarkers.pp.pixel_size_check import doubt_about_scale
from biomarkers.pp.quality import Quality, QualityCounts, QualityMeter, artefact_fractions
from biomarkers.pp.tissue_map import TissueMap, map_tissue
from biomarkers.score.classes import Classes, classified
from biomarkers.score.own_cut import adaptive_thresholds
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.sensitivity import cuts_to_try, scaled
from biomarkers.score.setup import cell_settings
from biomarkers.score.whole.windows import Core, around, inside, read_window
from biomarkers.seg.find import NO_SCALE_DOUBTS, ScaleDoubts
from biomarkers.seg.pipeline import SegmentationConfig, grain_px, halo_px, least_contrast, unmix, window_rows
from biomarkers.seg.plugin import SegmenterPlugin
from biomarkers.seg.table import Rows, in_reading_order, join_rows

if TYPE_CHECKING:
    from biomarkers.pp import White

WINDOW_UM, WINDOWS = 256.0, 16
_JUDGED_ONE_IN = 2  # windows whose quality is measured


@dataclass(frozen=True)
class ScoringTask:
    """What a slide is scored by."""

    slide: str
    assay: Assay
    marker: str
    thresholds: Thresholds
    classes: Classes
    segmenter: SegmenterPlugin | None = None

    def cuts(self) -> dict[float, Thresholds]:
        """Return the cuts of the sensitivity curve by their 1+ edge; the one in force as it is."""
        own = self.thresholds.dab_od[0]
        tried = {cut: scaled(self.thresholds, to=cut) for cut in cuts_to_try(self.thresholds, None)}
        return {**tried, own: self.thresholds}


@dataclass(frozen=True)
class SlideCalibration:
    """The level of empty glass, what the colours say of the stains, where there is tissue; shares of ink and folds."""

    white: White
    vectors: StainVectors
    evidence: DabEvidence
    plausible: Plausibility
    dab_background_od: float
    scale: tuple[str, str]
    tissue: TissueMap
    solid: tuple[float, float]
    lit: FieldLight
    doubt: str | None = None

    @property
    def area_cut_od(self) -> float:
        """The amount of DAB from which a pixel counts as stained area."""
        return area_cut_od(self.dab_background_od)

    @property
    def refusal(self) -> str:
        """Why the slide is no H-DAB immunostain, in words; empty where it may be one."""
        return (self.plausible.reason or self.scale[0]) if self.evidence.scorable else self.evidence.reason


@dataclass(frozen=True)
class SlideParameters:
    """Everything that must be the same in every tile.

    ``task`` is what was asked for, with the cuts that hold on this slide; ``least_contrast`` is the optical density by
    which a nucleus must stand out.
    """

    task: ScoringTask
    plan: SegmentationConfig
    light: SlideCalibration
    least_contrast: float
    quality: Quality
    warnings: tuple[str, ...]
    scale: ScaleDoubts = NO_SCALE_DOUBTS


def look_at(
    slide: Slide, *, white: White | None, vectors: StainVectors | None, pool: ThreadPool = SERIAL
) -> SlideCalibration:
    """Estimate glass on patches spread over the slide, judge the stains, find tissue."""
    doubt = None

    def seen(patches: list[RGB]) -> tuple[list[RGB], NDArray[np.uint16] | None]:
        return patches, _pairs(patches) if white is None else None

    told = list(sample_rows(slide, seen, pool=pool))
    patches = [patch for row, _ in told for patch in row]
    colours = np.concatenate([patch[::2, ::2].reshape(-1, 3) for patch in patches])
    if white is None:
        pairs = np.concatenate([of_row for _, of_row in told if of_row is not None])
        white = white_of_samples(pairs)
        doubt = doubt_about_glass(pairs, white)
    evidence = evidence_of_colours(colours, white=white, vectors=vectors)
    first = look_at_patches(patches, white=white, mpp=slide.mpp, vectors=vectors)
    scale = doubt_about_scale(first.detail_um, mpp=slide.mpp)
    stains = vectors or StainVectors()
    solid: dict[int, tuple[tuple[float, float], int]] = {}

    def look(row: int, means: NDArray[np.float64], grain_um: float) -> None:
        solid[row] = artefact_fractions(means, white=white, vectors=stains, grain_um=grain_um), means.shape[0]

    tissue = map_tissue(slide, mpp=slide.mpp, white=white, also=look, pool=pool)
    shares, rows = zip(*(solid[row] for row in sorted(solid)), strict=True)
    pen, dark = np.average(np.array(shares), axis=0, weights=rows)
    return SlideCalibration(
        white,
        stains,
        evidence,
        first.plausible,
        first.background_od,
        scale,
        tissue,
        (float(pen), float(dark)),
        field_light(patches, across=len(told[0][0]), size=slide.size, white=white, mpp=slide.mpp),
        doubt,
    )


def _pairs(patches: list[RGB]) -> NDArray[np.uint16]:
    """Sum 2 x 2 pixels within each patch, (n, 3); patches of an even height are summed as one picture."""
    even = patches[0].shape[0] % 2 == 0
    return np.concatenate([block_pairs(one) for one in ([np.concatenate(patches)] if even else patches)])


@dataclass(frozen=True)
class Sample:
    """Windows of a slide that are being looked into; ``plan`` is how cells are found, in them and in all tiles."""

    task: ScoringTask
    light: SlideCalibration
    mpp: float
    plan: SegmentationConfig
    meter: QualityMeter
    windows: Iterator[tuple[Rows, QualityCounts | None]]


def analyse_pilot_fields(
    slide: Slide, task: ScoringTask, light: SlideCalibration, *, pool: ThreadPool = SERIAL
) -> Sample:
    """Begin to find the cells of up to 16 windows of 256 um that lie in tissue."""
    settings = cell_settings(task.assay, task.thresholds)
    plan = SegmentationConfig(
        mpp=slide.mpp, white=light.white, vectors=light.vectors, settings=settings, plugin=task.segmenter
    )
    grain = grain_px(plan)
    side = max(1, round(WINDOW_UM / slide.mpp / grain)) * grain
    windows = pick_windows(light.tissue, side=side, count=WINDOWS)
    meter = QualityMeter.of(light.white, light.vectors, slide.mpp)

    def look_into(number: int) -> tuple[Rows, QualityCounts | None]:
        rows, rgb = _look_into(slide, light.tissue, windows[number], plan)
        return rows, meter.counts(rgb) if number % _JUDGED_ONE_IN == 0 else None

    return Sample(task, light, slide.mpp, plan, meter, pool.imap(look_into, range(len(windows)), ahead=WINDOWS))


def decide(sample: Sample) -> SlideParameters:
    """Decide by the cells of the sample."""
    task, light, mpp, plan = sample.task, sample.light, sample.mpp, sample.plan
    found = list(sample.windows)
    rows, counts = join_rows([rows for rows, _ in found]), [some for _, some in found if some is not None]
    least = least_contrast(rows.contrast_od, plan)
    rows, _ = in_reading_order(rows, keep=rows.contrast_od >= least)
    cells: Any = PlainCells.of_rows(rows, mpp=mpp, marker=task.marker)
    cells, _ = classified(cells, classes=task.classes, mpp=mpp)
    quality = sample.meter.quality(counts, solid=light.solid)
    scale = ScaleDoubts.of(rows, mpp, detail=light.scale[1])
    doubts = [one for one in (light.doubt, check_background(light.white)) if one]
    doubts += [*scale.ruled_out, *scale.doubted, *light.lit.doubts(), *light.plausible.doubts]
    cuts = adaptive_thresholds(cells, assay=task.assay, thresholds=task.thresholds, marker=task.marker)
    task = replace(task, thresholds=cuts)
    return SlideParameters(task, plan, light, least, quality, (*doubts, *quality.messages()), scale)


def _look_into(slide: Slide, tissue: TissueMap, core: Core, plan: SegmentationConfig) -> tuple[Rows, RGB]:
    """Return the cells of a window and its pixels; surroundings are read for the former and left out of the latter."""
    block = around(core, slide.size, halo=halo_px(plan), step=grain_px(plan))
    rgb = read_window(slide, block.window)
    rows = window_rows(unmix(rgb, plan=plan), tissue.window(*block.window), block=block, plan=plan)
    return rows, rgb[inside(block)]
