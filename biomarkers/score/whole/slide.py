"""``score_whole_slide``: a slide of any size to scores, in memory that does not grow with it."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.collector import loads_when_first_called
from biomarkers.core.config import Assay, Thresholds
from biomarkers.core.errors import SlideError
from biomarkers.core.memory import give_back_memory, keep_freed_memory
from biomarkers.core.result import Overview, Result
from biomarkers.core.threads import ThreadPool
from biomarkers.io.annotations import Annotations, check_inside
from biomarkers.io.slide import Slide, open_slide
from biomarkers.pheno.classify import CellClassifier
from biomarkers.score.anchor import check_pixel_size
from biomarkers.score.classes import analysed_at, status_of
from biomarkers.score.compute import WHOLE, score_frame, score_row
from biomarkers.score.contradictions import contradictions, staining_pattern
from biomarkers.score.in_doubt import in_doubt
from biomarkers.score.sensitivity import curve_frame, scores_of_cells, sensitivity_range
from biomarkers.score.setup import Setup, White, read_setup
from biomarkers.score.slide_score import NO_CELLS
from biomarkers.score.tally import Tally, add_counts, make_tally
from biomarkers.score.whole.call import Caller
from biomarkers.score.whole.decide import ScoringTask, SlideCalibration, SlideParameters, look_at
from biomarkers.score.whole.files import CellFile, DotPicture
from biomarkers.score.whole.stream import StripCache, stream_strips
from biomarkers.seg.plugin import SegmenterPlugin, load_segmenter

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from biomarkers.pp import StainVectors

TILE_PX = 1280  # larger ones look less around themselves; one takes some 90 MB a thread
WHOLE_FROM_PX = 25_000_000  # images of fewer pixels are held whole: then every overlay and outline can be drawn
_UM2_PER_MM2 = 1e6
_BAND_GRAINS = 512


@dataclass(frozen=True, repr=False)
class WholeSlideScore(Result):
    """The scores of a whole slide; its cells stand in a file.

    Attributes
    ----------
    row, scores, sensitivity, record
        As in :class:`biomarkers.score.SlideScore`.
    cells_file
        Parquet, one row a cell in reading order; None where nothing was found.
    picture
        The slide at no more than 2048 px with a dot for every cell, or None.
    """

    slide: str
    assay: Assay
    marker: str
    row: dict[str, Any]
    scores: pd.DataFrame
    sensitivity: pd.DataFrame
    record: dict[str, Any]
    cells_file: Path | None
    picture: Image | None = None

    @property
    def table(self) -> pd.DataFrame:
        """The same as ``scores``."""
        return self.scores

    def _overview(self) -> Overview:
        reason = f" ({self.row['reason']})" if self.row["reason"] else ""
        title = f"{self.slide}: {self.assay.title}, {self.row['status']}{reason}"
        return Overview(title, self.scores.drop(columns=["slide", "marker"]))

    def cells_table(self) -> pd.DataFrame:
        """Read the cells, one row each (all of them: mind their number)."""
        import pandas as pd

        return pd.DataFrame() if self.cells_file is None else pd.read_parquet(self.cells_file)


def is_whole(path: str | os.PathLike[str], *, scene: int | None = None) -> bool:
    """Whether an image has so many pixels that it is scored tile by tile.

    Raises
    ------
    SlideError, UsageError
        The file cannot be opened, or holds several images and ``scene`` was not given.
    """
    with open_slide(path, scene=scene) as opened:
        return opened.size[0] * opened.size[1] > WHOLE_FROM_PX


@loads_when_first_called
def score_whole_slide(
    path: str | os.PathLike[str],
    *,
    assay: Assay | str,
    cells_to: str | os.PathLike[str],
    mpp: float | None = None,
    annotations: Annotations | str | os.PathLike[str] | None = None,
    class_map: Mapping[str, str] | str | os.PathLike[str] | None = None,
    classifier: CellClassifier | str | os.PathLike[str] | None = None,
    assume_tumor: bool = False,
    white: White | None = None,
    vectors: StainVectors | None = None,
    stain: str | os.PathLike[str] | None = None,
    thresholds: Thresholds | str | os.PathLike[str] | None = None,
    marker: str | None = None,
    slide: str | None = None,
    scene: int | None = None,
    segmenter: SegmenterPlugin | str | None = None,
    tile_px: int | None = None,
    threads: int = 1,
    picture: bool = True,
    kept: StripCache | None = None,
) -> WholeSlideScore:
    """Score a whole slide tile by tile; results do not depend on ``tile_px`` or ``threads``.

    White, tissue, cuts and the staining pattern are decided once on a fixed sample (see docs/pixels.md). Cells are
    written as they are found; only their counts are held.

    Parameters
    ----------
    path, assay, mpp, annotations, class_map, classifier, assume_tumor, white, vectors, stain, thresholds, marker, slide
        As for :func:`biomarkers.score.score_slide`.
    cells_to
        The Parquet file for the cells. It is written even where none is found elsewhere than in ``row``.
    scene
        Which image of a file with several.
    segmenter
        As for :func:`biomarkers.score.score_slide`; with several threads it is asked from all of them.
    tile_px
        Side of a tile, level-0 px; 1280 when None.
    threads
        Tiles that are worked on at one time.
    picture
        Make the picture with a dot for every cell.
    kept
        Strips of cells that were found elsewhere (:mod:`biomarkers.score.whole.regions`).

    Raises
    ------
    SlideError, UsageError, DataError
        As for :func:`biomarkers.score.score_slide`; a tile that cannot be decoded fails the slide.

    Examples
    --------
    >>> import biomarkers as bm
    >>> path = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> found = bm.score_whole_slide(path, assay="22c3", cells_to="cells.parquet", assume_tumor=True)
    >>> found.row["n_cells"] > 200
    True
    """
    settings: dict[str, Any] = {
        "mpp": mpp,
        "scene": scene,
        "slide": slide,
        "segmenter": segmenter,
        "assay": assay,
        "annotations": annotations,
        "class_map": class_map,
        "classifier": classifier,
        "assume_tumor": assume_tumor,
        "white": white,
        "vectors": vectors,
        "stain": stain,
        "thresholds": thresholds,
        "marker": marker,
    }
    keep_freed_memory()
    try:
        with prepared(path, **settings) as what, ThreadPool(threads) as pool:
            return _score(
                *what,
                cells_to=Path(cells_to),
                tile_px=tile_px or TILE_PX,
                pool=pool,
                picture=picture,
                kept=kept,
            )
    finally:
        give_back_memory()


@contextlib.contextmanager
def prepared(
    path: str | os.PathLike[str],
    *,
    mpp: float | None = None,
    scene: int | None = None,
    slide: str | None = None,
    segmenter: SegmenterPlugin | str | None = None,
    **settings: Any,
) -> Iterator[tuple[Slide, ScoringTask, Setup]]:
    """Open a slide and read what it is scored by; arguments as for :func:`score_whole_slide`.

    Raises
    ------
    SlideError, UsageError, DataError
        The slide cannot be scored so; no pixel was read.
    """
    setup = read_setup(**settings)
    with open_slide(path, mpp=mpp, scene=scene) as opened:
        opened.check_usable()
        if opened.channels == ("grey",):
            message = "the image is grey: stains cannot be told apart without colour"
            raise SlideError(message, where=opened.path)
        check_pixel_size(setup.thresholds, mpp=opened.mpp)  # refused before any pixel is read
        if setup.classes.annotations is not None:
            check_inside(setup.classes.annotations, width=opened.size[0], height=opened.size[1])
        name = opened.path.stem.removesuffix(".ome") if slide is None else slide
        finder = load_segmenter(segmenter) if isinstance(segmenter, str) else segmenter
        task = ScoringTask(name, setup.assay, setup.marker, setup.thresholds, setup.classes, finder)
        yield opened.with_checked_levels().without_padding(), task, setup


def _score(
    slide: Slide,
    task: ScoringTask,
    setup: Setup,
    *,
    cells_to: Path,
    tile_px: int,
    pool: ThreadPool,
    picture: bool,
    kept: StripCache | None,
) -> WholeSlideScore:
    light = look_at(slide, white=setup.white, vectors=setup.vectors, pool=pool)
    if not light.tissue.any:
        return _without_cells(slide, task, light, keys.NO_TISSUE, "no tissue was found")
    if light.refusal:
        return _without_cells(slide, task, light, keys.NOT_EVALUABLE, light.refusal)
    decided, strips = stream_strips(slide, task, light, tile_px=tile_px, pool=pool, kept=kept)
    if decided.quality.refusal:
        return _without_cells(slide, task, light, keys.NOT_EVALUABLE, decided.quality.refusal)
    pale = pool.submit(functools.partial(DotPicture, slide, marker=task.marker), urgent=True) if picture else None
    task = decided.task
    areas = _areas_mm2(slide, task, light)
    dots = None if pale is None else pale()
    caller = Caller(task, decided)
    with CellFile(cells_to, slide=task.slide) as file:
        # bands go before tiles: each is the sooner written and let go of
        for called in pool.imap(caller.call, caller.bands(strips), ahead=1, urgent=True):
            cells = caller.add(called)
            file.add(cells)
            if dots is not None:
                dots.add(cells)
    stained_mm2 = {region: count * slide.mpp**2 / _UM2_PER_MM2 for region, count in caller.stained_px.items()}
    told = _Told(task, caller, areas, stained_mm2)
    sure = told.scores()
    of_light = light.lit.doubts()
    scores, curve = (in_doubt(rows, scale=decided.scale, light=of_light) for rows in (sure, told.curve(sure)))
    return WholeSlideScore(
        slide=task.slide,
        assay=task.assay,
        marker=task.marker,
        row=_row(slide, task, decided, caller, told, curve),
        scores=scores,
        sensitivity=curve,
        record=_record(task, light, decided, caller),
        cells_file=cells_to if caller.n_cells else None,
        picture=None if dots is None else dots.image(),
    )


class _Told:
    """Scores from counts and areas."""

    def __init__(
        self, task: ScoringTask, caller: Caller, areas: Mapping[str, float], stained_mm2: Mapping[str, float]
    ) -> None:
        self._task, self._caller, self.areas, self._stained = task, caller, areas, stained_mm2
        self._own = task.thresholds.dab_od[0]

    @property
    def stained_mm2(self) -> float:
        """Area of the analysed tissue that is stained."""
        return self._stained.get(WHOLE, 0.0)

    def tally(self, cut: float, name: str = WHOLE) -> Tally:
        region = None if name == WHOLE else name
        return make_tally(
            self._caller.counts(cut=cut, region=region),
            assay=self._task.assay,
            marker=self._task.marker,
            named=self._caller.named,
            tissue_mm2=self.areas[name],
            tumor_mm2=self._tumor_mm2() if name in (WHOLE, keys.TUMOR) else None,
            stained_mm2=self._stained.get(name, 0.0),
        )

    def scores(self) -> pd.DataFrame:
        rows = []
        for name in self.areas:
            counts = self.tally(self._own, name)
            rows += [score_row(counts, one, slide=self._task.slide, region=name) for one in self._task.assay.scores]
        return score_frame(rows)

    def curve(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Return the curves of the assay's scores, the first that could be told first (its first when none could)."""
        whole = scores[scores["region"] == WHOLE]
        told = whole[whole["status"] == keys.OK]
        first = str((told if len(told) else whole)["score"].iloc[0])
        names = scores_of_cells(self._task.assay, first=first)
        rows: list[dict[str, Any]] = []
        for cut in sorted(self._task.cuts()):
            counts, in_force = self.tally(cut), cut == self._own
            said = [score_row(counts, one, slide=self._task.slide) for one in names]
            rows += [{**row, "dab_od": cut, "in_force": in_force} for row in said]
        return curve_frame(rows, order=names)

    def _tumor_mm2(self) -> float | None:
        """Area of tumor with its stroma: the annotated tissue, or all analysed tissue that holds tumor cells."""
        if keys.TUMOR in self.areas:
            return math.fsum(self.areas[name] for name in (keys.TUMOR, keys.STROMA) if name in self.areas)
        here = sum(self._caller.counts(cut=self._own, region=None).of(keys.TUMOR))
        return self.areas[WHOLE] if here else None


def _areas_mm2(slide: Slide, task: ScoringTask, light: SlideCalibration) -> dict[str, float]:
    """Area of the analysed tissue and of each annotated one, at the grain of the tissue map when annotated."""
    unit = slide.mpp**2 / _UM2_PER_MM2
    tissue = light.tissue
    if task.classes.annotations is None:
        return {WHOLE: tissue.area_px() * unit}
    counts: dict[str, int] = {}
    for top in range(0, tissue.shape[0], _BAND_GRAINS):
        grains = tissue.grains(slice(top, min(top + _BAND_GRAINS, tissue.shape[0])), slice(0, tissue.shape[1]))
        masks = analysed_at(
            grains, classes=task.classes, origin=(0.0, float(top * tissue.step)), downsample=float(tissue.step)
        )
        for name, mask in masks.items():
            counts[name] = counts.get(name, 0) + int(np.count_nonzero(mask))
    return {name: count * tissue.step**2 * unit for name, count in counts.items()}


def _row(
    slide: Slide, task: ScoringTask, decided: SlideParameters, caller: Caller, told: _Told, curve: pd.DataFrame
) -> dict[str, Any]:
    counts = caller.counts(cut=task.thresholds.dab_od[0], region=None)
    bins = counts.of()
    low, high = sensitivity_range(curve)
    evidence, quality, white = decided.light.evidence, decided.quality, decided.light.white
    doubts = contradictions(
        counts,
        assay=task.assay,
        thresholds=task.thresholds,
        curve=curve,
        stained_mm2=told.stained_mm2,
        tissue_mm2=told.areas[WHOLE],
    )
    warned = [*decided.warnings, *caller.notes, *([] if caller.n_cells else [NO_CELLS]), *doubts]
    n, positive = sum(bins), sum(bins[1:])
    return {
        **_head(slide, task, status_of(warned), "; ".join(warned)),
        "tissue_mm2": told.areas[WHOLE],
        "n_cells": n,
        "n_positive": positive,
        "n_negative": n - positive,
        "positive_fraction": positive / n if n else None,
        "stain": evidence.kind,
        "brown_share": evidence.brown_share,
        "pink_share": evidence.pink_share,
        "stained_share": evidence.stained_share,
        **vars(quality),
        **quality.flags(),
        "assay": task.assay.name,
        "marker": task.marker,
        "cut_od": task.thresholds.dab_od[0],
        "staining_pattern": staining_pattern(counts),
        "classes_by": caller.class_method,
        "n_excluded": caller.n_excluded,
        "white_r": float(white[0]),
        "white_g": float(white[1]),
        "white_b": float(white[2]),
        "sensitivity_score": str(curve["score"].iloc[0]),
        "sensitivity_low": None if math.isnan(low) else low,
        "sensitivity_high": None if math.isnan(high) else high,
        keys.AREA_CUT_OD: decided.light.area_cut_od,
        **decided.light.lit.qc(),
        keys.PADDING_SHARE: slide.padding.share,
    }


def _head(slide: Slide, task: ScoringTask, status: str, reason: str) -> dict[str, Any]:
    told = [*slide.problems, *([reason] if reason else [])]  # what is odd about the file is never plainly ok
    status = keys.OK_WITH_WARNINGS if status == keys.OK and slide.problems else status
    head = {"slide": task.slide, "status": status, "reason": "; ".join(told)}
    return {**head, "mpp": slide.mpp, "mpp_source": slide.mpp_source}


def _record(
    task: ScoringTask, light: SlideCalibration, decided: SlideParameters | None, caller: Caller | None
) -> dict[str, Any]:
    """Return what made the numbers of this slide, as plain JSON values."""
    vectors = light.vectors
    return {
        "assay": task.assay.model_dump(mode="json"),
        "marker": task.marker,
        "thresholds": task.thresholds.model_dump(mode="json"),
        "white": list(light.white),
        "vectors": {"hematoxylin": list(vectors.hematoxylin), "dab": list(vectors.dab), "source": vectors.source},
        "classes": task.classes.record(),
        "segmenter": None if task.segmenter is None else type(task.segmenter).__name__,
        "cell_settings": {} if decided is None else decided.plan.settings.model_dump(),
        "least_contrast_od": None if decided is None else decided.least_contrast,
        "n_cells_found": 0 if caller is None else caller.n_cells,
        "streamed": True,
    }


def _without_cells(
    slide: Slide, task: ScoringTask, light: SlideCalibration, status: str, reason: str
) -> WholeSlideScore:
    """Return the result of a slide that holds nothing to score: every score with the reason."""
    area = light.tissue.area_px() * slide.mpp**2 / _UM2_PER_MM2
    nothing = make_tally(
        add_counts([]), assay=task.assay, marker=task.marker, named=frozenset(), tissue_mm2=area, stained_mm2=None
    )
    scores = score_frame([score_row(nothing, name, slide=task.slide) for name in task.assay.scores])
    scores = scores.assign(status=keys.NOT_EVALUABLE, reason=reason)
    scores[["value", "ci_low", "ci_high", "numerator", "denominator"]] = math.nan
    counts = {"tissue_mm2": area, "n_cells": 0, "n_positive": 0, "n_negative": 0, "positive_fraction": None}
    empty = curve_frame(
        [{**score_row(nothing, task.assay.scores[0], slide=task.slide), "dab_od": cut, "in_force": False}
         for cut in sorted(task.cuts())],
        order=task.assay.scores[:1],
    )  # fmt: skip
    return WholeSlideScore(
        slide=task.slide,
        assay=task.assay,
        marker=task.marker,
        row={
            **_head(slide, task, status, reason),
            **counts,
            "assay": task.assay.name,
            "marker": task.marker,
            keys.PADDING_SHARE: slide.padding.share,
        },
        scores=scores,
        sensitivity=empty,
        record=_record(task, light, None, None),
        cells_file=None,
    )
