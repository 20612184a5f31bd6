"""The scores that a scene was planted with."""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.core.keys import LYMPHOCYTE, MACROPHAGE, TUMOR, bin_column
from biomarkers.simulate.scene import Scene


def scene_truth(scene: Scene, *, marker: str) -> dict[str, Any]:
    """Count the planted truth.

    Parameters
    ----------
    scene
        The scene.
    marker
        ``PD-L1`` or ``PD-1``.

    Returns
    -------
    ``tps`` (%), ``cps`` (capped at 100), ``h_score`` (0-300, over tumour cells for PD-L1 and lymphocytes for PD-1),
    ``positive_fraction`` (0-1, over the same cells), ``density_per_mm2`` (positive cells of the scored class per mm2 of
    tile), and the counts behind them: ``n_tumor, n_tumor_positive, n_immune_positive, n_scored, n_positive,
    n_lymphocytes, n_cells, area_mm2``. Scores without cells to score are NaN.

    Examples
    --------
    >>> import biomarkers as bm
    >>> scene = bm.simulate_scene(rng=0, size_px=256, tps=50)
    >>> truth = bm.scene_truth(scene, marker="PD-L1")
    >>> abs(truth["tps"] - 50) < 10
    True
    """
    kind = scene.cells["cell_class"].to_numpy()
    bins = scene.cells[bin_column(marker)].to_numpy()
    tumor, immune = kind == TUMOR, np.isin(kind, (LYMPHOCYTE, MACROPHAGE))
    scored = kind == LYMPHOCYTE if marker == "PD-1" else tumor
    n_tumor, n_scored = int(tumor.sum()), int(scored.sum())
    tumor_positive, immune_positive = int((tumor & (bins > 0)).sum()), int((immune & (bins > 0)).sum())
    positive = int((scored & (bins > 0)).sum())
    return {
        "tps": 100 * tumor_positive / n_tumor if n_tumor else np.nan,
        "cps": min(100.0, 100 * (tumor_positive + immune_positive) / n_tumor) if n_tumor else np.nan,
        "h_score": 100 * float(bins[scored].mean()) if n_scored else np.nan,
        "positive_fraction": positive / n_scored if n_scored else np.nan,
        "density_per_mm2": positive / scene.area_mm2,
        "n_tumor": n_tumor,
        "n_tumor_positive": tumor_positive,
        "n_immune_positive": immune_positive,
        "n_scored": n_scored,
        "n_positive": positive,
        "n_lymphocytes": int((kind == LYMPHOCYTE).sum()),
        "n_cells": len(kind),
        "area_mm2": scene.area_mm2,
    }
