"""One slide from file to scores: read, find cells, tell classes, call, score."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.core.collector import loads_when_first_called
from biomarkers.core.config import Assay, Thresholds
from biomarkers.io.annotations import Annotations, check_inside
from biomarkers.io.tile import PlainTile, read_pixels
from biomarkers.pheno.classify import CellClassifier
from biomarkers.score.anchor import check_pixel_size
from biomarkers.score.classes import Classes, analysed_masks, classified, status_of
from biomarkers.score.compute import WHOLE, compute_scores
from biomarkers.score.contradictions import contradictions, staining_pattern
from biomarkers.score.in_doubt import in_doubt
from biomarkers.score.own_cut import adaptive_thresholds
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.positivity import call_positivity
from biomarkers.score.sensitivity import scores_of_cells, sensitivity_curve, sensitivity_range
from biomarkers.score.setup import cell_settings, read_setup
from biomarkers.score.slide_score import NO_CELLS, SlideScore
from biomarkers.score.tally import CLASS_SOURCE, Counts, analysed, count_cells
from biomarkers.seg.table import join_rows

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from anndata import AnnData

    from biomarkers.pp import StainVectors
    from biomarkers.seg.plugin import SegmenterPlugin

White = tuple[float, float, float]
_UM2_PER_MM2 = 1e6


@loads_when_first_called
def score_slide(
    path: str | os.PathLike[str],
    *,
    assay: Assay | str,
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
    segmenter: SegmenterPlugin | str | None = None,
    scene: int | None = None,
) -> SlideScore:
    """Score one brightfield image.

    Parameters
    ----------
    path
        The image file.
    assay
        An assay, a shipped name, or the path of an assay file.
    mpp
        Pixel size in um/px; wins over what the file says.
    annotations
        QuPath annotations: regions, and cells to leave out.
    class_map
        What further classes of annotations mean, ``{"Artefact": "ignore"}``, or a TOML file that says so.
    classifier
        Tells cell classes; without it, annotated tissue gives them, and without both they stay unknown.
    assume_tumor
        Take every cell for a tumor cell (where no tissue was annotated). Immune scores stay not evaluable.
    white, vectors
        White level (R, G, B), estimated on this slide when None; stain vectors, Ruifrok's when None.
    stain
        A TOML file with either or both, shared by a batch.
    thresholds
        Cuts in place of the assay's, or a file made by :func:`biomarkers.score.write_anchor`.
    marker
        Name of the marker; the assay's when None.
    slide
        Name of the slide in all tables; the file's name without its suffix when None.
    scene
        Which image of a file with several (from 0).
    segmenter
        Another finder of nuclei, or the name of an installed one; see :mod:`biomarkers.seg.plugin`.

    Returns
    -------
    A result for every image that can be read: ``row["status"]`` is ``ok``, ``ok_with_warnings``, ``no_tissue``, or
    ``not_evaluable`` (an image without DAB, such as H&E); the latter two hold no cells.

    Raises
    ------
    SlideError
        The image cannot be read.
    UsageError
        No pixel size, or settings that contradict each other.
    DataError
        Annotations or classifier do not fit the image.

    Examples
    --------
    >>> import biomarkers as bm
    >>> folder = bm.sample_trial().folder
    >>> result = bm.score_slide(
    ...     folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif", assay="22c3", assume_tumor=True
    ... )
    >>> result.row["n_cells"] > 200, "tps" in set(result.scores["score"])
    (True, True)
    """
    setup = read_setup(
        assay=assay,
        annotations=annotations,
        class_map=class_map,
        classifier=classifier,
        assume_tumor=assume_tumor,
        white=white,
        vectors=vectors,
        stain=stain,
        thresholds=thresholds,
        marker=marker,
    )
    tile = read_pixels(path, mpp=mpp, scene=scene)
    if setup.classes.annotations is not None:
        check_inside(setup.classes.annotations, width=tile.sizes["x"], height=tile.sizes["y"])
    return score_tile(
        tile,
        assay=setup.assay,
        slide=Path(path).stem.removesuffix(".ome") if slide is None else slide,
        marker=setup.marker,
        thresholds=setup.thresholds,
        classes=setup.classes,
        white=setup.white,
        vectors=setup.vectors,
        segmenter=segmenter,
    )


@loads_when_first_called
def score_tile(
    tile: xr.DataArray | PlainTile,
    *,
    assay: Assay,
    slide: str,
    marker: str,
    thresholds: Thresholds,
    classes: Classes,
    white: White | None = None,
    vectors: StainVectors | None = None,
    segmenter: SegmenterPlugin | str | None = None,
) -> SlideScore:
    """Score a tile that was read already; see :func:`score_slide`."""
    from biomarkers.pp import StainVectors
    from biomarkers.seg.find import calibrate, segment_and_measure

    check_pixel_size(thresholds, mpp=float(tile.attrs[keys.MPP]))
    level, doubt = (white, None) if white is not None else _glass_of(tile)
    task = _Task(tile, assay, slide, marker, thresholds, classes)
    light = calibrate(tile, white=level, vectors=vectors)
    evidence, tissue = light.evidence, light.tissue
    if light.refusal:
        return _without_cells(task, keys.NOT_EVALUABLE, light.refusal, white=level, tissue_mm2=None)
    mpp = float(tile.attrs[keys.MPP])
    masks = analysed_masks(tissue, classes=classes, tile=tile)
    areas = {name: float(np.count_nonzero(mask)) * mpp * mpp / _UM2_PER_MM2 for name, mask in masks.items()}
    if not tissue.any():
        return _without_cells(task, keys.NO_TISSUE, "no tissue was found", white=level, tissue_mm2=0.0)
    settings = cell_settings(assay, thresholds)
    found = segment_and_measure(
        tile,
        light,
        vectors=vectors or StainVectors(),
        settings=settings,
        marker=marker,
        segmenter=segmenter,
        progress=True,
    )
    if found.refusal:
        return _without_cells(task, keys.NOT_EVALUABLE, found.refusal, white=found.white, tissue_mm2=areas[WHOLE])
    cells: Any = PlainCells.of_rows(found.rows, mpp=mpp, marker=marker, origin=found.origin)
    cells, notes = classified(cells, classes=classes, mpp=mpp)
    thresholds = adaptive_thresholds(cells, assay=assay, thresholds=thresholds, marker=marker)
    task = replace(task, thresholds=thresholds)
    cells = call_positivity(cells, assay=assay, thresholds=thresholds, marker=marker)
    stained = _stained(tile, white=found.white, vectors=found.vectors, cut=light.area_cut_od)
    sure = _all_scores(task, cells, masks=masks, areas=areas, stained=stained)
    scores = in_doubt(sure, scale=found.scale, light=found.light_doubts)
    curve = sensitivity_curve(
        cells,
        assay=assay,
        score=scores_of_cells(assay, first=_first_evaluable(sure)),
        thresholds=thresholds,
        marker=marker,
        tissue_mm2=areas["all"],
        tumor_mm2=_tumor_mm2(cells, areas),
        slide=slide,
    )
    curve = in_doubt(curve, scale=found.scale, light=found.light_doubts)
    counts = count_cells(cells, assay=assay, marker=marker)
    if not cells.n_obs:
        notes.append(NO_CELLS)
    notes += contradictions(
        counts,
        assay=assay,
        thresholds=thresholds,
        curve=curve,
        stained_mm2=float(np.count_nonzero(stained & masks[WHOLE])) * mpp * mpp / _UM2_PER_MM2,
        tissue_mm2=areas[WHOLE],
    )
    warned = [one for one in (doubt, *found.warnings, *notes) if one]
    lit = light.lit.qc()
    flags = {
        **{name: value for name, value in found.qc.items() if name not in (*keys.SLIDE_COLUMNS, *lit)},
        **_flags(task, cells, counts, curve, evidence.kind, found.white),
        keys.AREA_CUT_OD: light.area_cut_od,
        **lit,
    }
    return SlideScore(
        slide=slide,
        assay=assay,
        marker=marker,
        row=_row(task, cells, areas["all"], warned, flags),
        scores=scores,
        called=cells,
        sensitivity=curve,
        record={
            **_record(task, white=found.white, vectors=found.vectors, cells=cells, settings=settings.model_dump()),
            "segmenter": segmenter if isinstance(segmenter, str | None) else type(segmenter).__name__,
        },
        image=tile,
        nucleus_labels=found.nucleus_labels,
        cell_labels=found.cell_labels,
    )


def _glass_of(tile: xr.DataArray | PlainTile) -> tuple[White, str | None]:
    """Estimate the level of empty glass, and say so where the field can hardly hold any."""
    from biomarkers.io import tile_rgb
    from biomarkers.pp.background_light import block_pairs, doubt_about_glass, white_of_samples

    pairs = block_pairs(tile_rgb(tile))
    white = white_of_samples(pairs)
    return white, doubt_about_glass(pairs, white)


@dataclass(frozen=True)
class _Task:
    """What one slide is scored by."""

    tile: xr.DataArray | PlainTile
    assay: Assay
    slide: str
    marker: str
    thresholds: Thresholds
    classes: Classes


def _all_scores(
    task: _Task,
    cells: AnnData,
    *,
    masks: Mapping[str, np.ndarray],
    areas: Mapping[str, float],
    stained: np.ndarray,
) -> pd.DataFrame:
    """Score the whole, then each annotated tissue."""
    import pandas as pd

    area_of_pixel = float(task.tile.attrs[keys.MPP]) ** 2 / _UM2_PER_MM2
    frames = []
    for name, mask in masks.items():
        frames.append(
            compute_scores(
                cells,
                assay=task.assay,
                slide=task.slide,
                marker=task.marker,
                tissue_mm2=areas[name],
                tumor_mm2=_tumor_mm2(cells, areas) if name in (WHOLE, keys.TUMOR) else None,
                stained_mm2=float(np.count_nonzero(stained & mask)) * area_of_pixel,
                region=None if name == WHOLE else name,
            )
        )
    return pd.concat(frames, ignore_index=True)


def _first_evaluable(scores: pd.DataFrame) -> str:
    """Return the score whose curve is drawn: the assay's first that could be told (its first when none could)."""
    told = scores[(scores["region"] == WHOLE) & (scores["status"] == keys.OK)]
    return str((told if len(told) else scores)["score"].iloc[0])


def _tumor_mm2(cells: AnnData, areas: Mapping[str, float]) -> float | None:
    """Area of tumor with its stroma: the annotated tissue, or all analysed tissue that holds tumor cells."""
    annotated = [areas[name] for name in (keys.TUMOR, keys.STROMA) if name in areas]
    if keys.TUMOR in areas:
        return math.fsum(annotated)
    here = cells.obs[keys.CELL_CLASS].astype(str).to_numpy()[analysed(cells)] == keys.TUMOR
    return areas[WHOLE] if here.any() else None


def _stained(tile: xr.DataArray | PlainTile, *, white: White, vectors: StainVectors, cut: float) -> np.ndarray:
    from biomarkers.io import tile_rgb
    from biomarkers.pp.separate import dab_at_least

    return dab_at_least(tile_rgb(tile), cut, white=white, vectors=vectors)


def _row(
    task: _Task, cells: AnnData, tissue_mm2: float | None, warned: list[str], flags: Mapping[str, Any]
) -> dict[str, Any]:
    keep = analysed(cells)
    positive = cells.obs[keys.positive_column(task.marker)].to_numpy(dtype=bool) & keep
    n, n_positive = int(keep.sum()), int(positive.sum())
    warned = [*task.tile.attrs.get(keys.PROBLEMS, ()), *warned]  # what is odd about the file
    return {
        "slide": task.slide,
        "status": status_of(warned),
        "reason": "; ".join(warned),
        "mpp": float(task.tile.attrs[keys.MPP]),
        "mpp_source": str(task.tile.attrs.get(keys.MPP_SOURCE, "")),
        "tissue_mm2": tissue_mm2,
        "n_cells": n,
        "n_positive": n_positive,
        "n_negative": n - n_positive,
        "positive_fraction": n_positive / n if n else None,
        **flags,
        keys.PADDING_SHARE: task.tile.attrs.get(keys.PADDING_SHARE),
    }


def _flags(
    task: _Task, cells: AnnData, counts: Counts, curve: pd.DataFrame, stain: str, white: White
) -> dict[str, Any]:
    low, high = sensitivity_range(curve)
    return {
        "assay": task.assay.name,
        "marker": task.marker,
        "stain": stain,
        "cut_od": task.thresholds.dab_od[0],
        "staining_pattern": staining_pattern(counts),
        "classes_by": str(cells.uns[CLASS_SOURCE]["method"]),
        "n_excluded": int((~analysed(cells)).sum()),
        "white_r": float(white[0]),
        "white_g": float(white[1]),
        "white_b": float(white[2]),
        "sensitivity_score": str(curve["score"].iloc[0]),
        "sensitivity_low": None if math.isnan(low) else low,
        "sensitivity_high": None if math.isnan(high) else high,
    }


def _record(
    task: _Task, *, white: White, vectors: StainVectors | None, cells: AnnData, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what made the numbers of this slide, as plain JSON values."""
    return {
        "assay": task.assay.model_dump(mode="json"),
        "marker": task.marker,
        "thresholds": task.thresholds.model_dump(mode="json"),
        "white": list(white),
        "vectors": None
        if vectors is None
        else {"hematoxylin": list(vectors.hematoxylin), "dab": list(vectors.dab), "source": vectors.source},
        "classes": task.classes.record(),
        "cell_settings": dict(settings),
        "n_cells_found": int(cells.n_obs),
    }


def _without_cells(task: _Task, status: str, reason: str, *, white: White, tissue_mm2: float | None) -> SlideScore:
    """Return the result of an image that holds nothing to score: no cells, and every score with the reason."""
    cells: Any = _no_cells(task.marker)
    scores = compute_scores(
        cells, assay=task.assay, slide=task.slide, marker=task.marker, tissue_mm2=tissue_mm2, stained_mm2=None
    )
    scores = scores.assign(status=keys.NOT_EVALUABLE, reason=reason)
    scores[["value", "ci_low", "ci_high", "numerator", "denominator"]] = math.nan
    row = _row(task, cells, tissue_mm2, [reason], {"assay": task.assay.name, "marker": task.marker})
    empty = np.zeros((task.tile.sizes["y"], task.tile.sizes["x"]), dtype=np.int32)
    return SlideScore(
        slide=task.slide,
        assay=task.assay,
        marker=task.marker,
        row={**row, "status": status},
        scores=scores,
        called=cells,
        sensitivity=sensitivity_curve(cells, assay=task.assay, score=task.assay.scores[0], marker=task.marker),
        record=_record(task, white=white, vectors=None, cells=cells, settings={}),
        image=task.tile,
        nucleus_labels=empty,
        cell_labels=empty,
    )


def _no_cells(marker: str) -> PlainCells:
    cells = PlainCells.of_rows(join_rows([]), mpp=1.0, marker=marker)
    cells.obs[keys.od_column(marker)] = np.zeros(0)
    cells.obs[keys.positive_column(marker)] = np.zeros(0, dtype=bool)
    cells.obs[keys.bin_column(marker)] = np.zeros(0, dtype=np.int64)
    cells.obs[keys.staining_column(marker)] = np.zeros(0, dtype="<U9")
    cells.uns[CLASS_SOURCE] = {"method": "none", "classes": []}
    return cells
