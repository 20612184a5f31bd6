"""Gates for a whole batch, from the cells of finished runs: fitted once, looked at, handed to the next run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import write_csv, write_text
from biomarkers.core.panel import load_panel
from biomarkers.pheno.gates import STEP, fit_gates, marker_compartments
from biomarkers.score.gate_page import gate_table_page

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from biomarkers.core.panel import Panel

_LAYERS = (keys.NUCLEUS_MEAN, keys.CYTOPLASM_MEAN, keys.MEMBRANE_MEAN, "membrane_upper")


def fit_run_gates(
    runs: Sequence[Path], *, panel: Path, out: Path, per: str = "batch", method: str = "valley"
) -> pd.DataFrame:
    """Fit gates to the cells of finished runs, and write the table and a page to look at.

    Parameters
    ----------
    runs
        Output folders of ``biomarkers score --panel`` or ``biomarkers cells``.
    panel
        TOML file: markers and the compartments they are read in.
    out
        The CSV; the page stands beside it (``.html``).
    per, method
        See :func:`~biomarkers.pheno.gates.fit_gates`.

    Returns
    -------
    The gate table.

    Raises
    ------
    UsageError
        A folder holds no cells, or two hold a slide of one name.
    DataError
        Cells lack a marker of the panel.
    """
    known = load_panel(panel)
    images: dict[str, AnnData] = {}
    for run in runs:
        files = sorted((run / "cells").glob("*.parquet"))
        if not files:
            raise UsageError("the folder holds no cells of a finished run", where=run, allowed="cells/*.parquet")
        for file in files:
            slide, cells = _read(file, known)
            if slide in images:
                raise UsageError("two runs hold a slide of one name", where=file, seen=slide)
            images[slide] = cells
    table = fit_gates(images, panel=known, per=per, method=method)
    write_csv(table, out)
    write_text(out.with_suffix(".html"), gate_table_page(images, table, panel=known.name))
    return table


def _read(file: Path, panel: Panel) -> tuple[str, AnnData]:
    import anndata as ad
    import pandas as pd
    import pyarrow.parquet as pq

    there = set(pq.read_schema(file).names)
    markers = list(marker_compartments(panel))
    for marker in markers:
        if f"{marker}_mean" not in there:
            seen = sorted(name.removesuffix("_mean") for name in there if f"{name.removesuffix('_mean')}_bin" in there)
            raise DataError(f"the cells have no marker {marker!r}", where=file, allowed=seen)
    layers = [layer for layer in _LAYERS if any(f"{marker}_{layer}" in there for marker in markers)]
    names = [name for layer in ("mean", *layers) for marker in markers if (name := f"{marker}_{layer}") in there]
    more = [name for name in (keys.X_UM, keys.Y_UM, "excluded") if name in there]
    frame = pd.read_parquet(file, columns=["slide", *more, *names])
    values = {
        layer: frame.reindex(columns=[f"{m}_{layer}" for m in markers]).to_numpy(np.float32)
        for layer in ("mean", *layers)
    }
    index = pd.Index([str(number) for number in range(len(frame))], dtype=str)
    cells = ad.AnnData(values["mean"], obs=frame[more].set_index(index), var=pd.DataFrame(index=markers))
    if keys.X_UM in more and keys.Y_UM in more:
        cells.obsm[keys.SPATIAL] = frame[[keys.X_UM, keys.Y_UM]].to_numpy()
    steps = frame.attrs.get("steps", {})
    if steps:
        cells.var[STEP] = [float(steps.get(marker, 0.0)) for marker in markers]
    for layer in layers:
        cells.layers[layer] = values[layer]
    return str(frame["slide"].iloc[0]), cells
