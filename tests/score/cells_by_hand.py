"""Cells written down by hand: what the scores' tests count."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd

from biomarkers.core import keys

LAYERS = (keys.NUCLEUS_MEAN, keys.CYTOPLASM_MEAN, keys.MEMBRANE_MEAN, keys.MEMBRANE_COMPLETENESS)


def make_cells(
    classes,
    membrane=0.0,
    *,
    cytoplasm=0.0,
    nucleus=0.0,
    completeness=1.0,
    x=None,
    y=None,
    area=150.0,
    marker="PD-L1",
):
    """One cell a class, with the given optical densities (numbers, or one value a cell)."""
    n = len(classes)

    def column(values):
        return np.broadcast_to(np.asarray(values, dtype=float), (n,)).reshape(n, 1)

    obs = pd.DataFrame(
        {
            keys.X_UM: np.arange(n, dtype=float) if x is None else x,
            keys.Y_UM: np.zeros(n) if y is None else y,
            keys.AREA_UM2: np.broadcast_to(float(area), (n,)) if np.isscalar(area) else area,
            keys.NUCLEUS_AREA_UM2: np.full(n, 60.0),
            keys.CELL_CLASS: list(classes),
        },
        index=[str(i) for i in range(n)],
    )
    whole = (column(membrane) + column(cytoplasm) + column(nucleus)) / 3
    cells = ad.AnnData(X=whole, obs=obs, var=pd.DataFrame(index=[marker]))
    for name, values in zip(LAYERS, (nucleus, cytoplasm, membrane, completeness), strict=True):
        cells.layers[name] = column(values).copy()
    return cells


def with_bins(classes, bins, *, marker="PD-L1", **more):
    """Cells that were called already: the given intensity bins."""
    cells = make_cells(classes, marker=marker, **more)
    cells.obs[keys.bin_column(marker)] = np.asarray(bins, dtype=int)
    cells.obs[keys.positive_column(marker)] = np.asarray(bins) > 0
    return cells
