"""Cell tables of other programs as a finished score run: the same files, which a cohort joins alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import atomic_path, file_name, sha256, write_csv, write_text
from biomarkers.core.panel import load_panel
from biomarkers.core.provenance import run_record, write_run_json
from biomarkers.core.words import plural

_ROWS = 200_000  # cells that are written at once
_FEWEST_PLACED = 100  # cells that say how large an image is

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from biomarkers.core.panel import Panel


def score_tables(
    tables: Sequence[Path],
    *,
    panel: Path,
    out: Path,
    gates: Path | None = None,
    fit: bool = False,
    vendor: str | None = None,
    mpp: float | None = None,
    area_mm2: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Score imported cells, image by image, and write what ``biomarkers score`` writes.

    Parameters
    ----------
    tables
        Files of :func:`biomarkers.io.cell_tables.read.import_cells`; one may hold several images.
    panel
        TOML file with phenotypes, classes and scores.
    out
        The folder for ``slides.csv``, ``scores.csv``, ``gates.csv`` and ``.html``, ``cells/`` and ``run.json``.
    gates, fit
        A gate table; or fit one to all cells together. Otherwise the tables' own calls hold.
    vendor, mpp
        See :func:`~biomarkers.io.cell_tables.read.import_cells`.
    area_mm2
        Analysed area behind each image, by region (``all, tumor, stroma, margin``); densities are not evaluable
        without it.

    Returns
    -------
    One row an image (``keys.SLIDE_COLUMNS``, then ``assay``). Of several tables, one that cannot be used has a row with
    the status ``failed`` and the reason, and the others are scored.

    Raises
    ------
    UsageError
        A file is absent, or gates were given twice.
    DataError
        No table can be used, or two tables hold an image of one name.
    """
    import pandas as pd

    from biomarkers.pheno.gates import BATCH, fit_gates, read_gates
    from biomarkers.score.compute import score_frame
    from biomarkers.score.gate_page import gate_table_page

    if gates is not None and fit:
        raise UsageError("gates were given and are to be fitted: choose one", where=gates)
    known = load_panel(panel)
    failed: dict[str, DataError] = {}
    images = _images(tables, vendor=vendor, mpp=mpp, failed=failed)
    if fit:
        images = _with_markers(images, known, failed)
    _refuse_none(images, failed)
    table = read_gates(gates) if gates is not None else fit_gates(images, panel=known, per="batch") if fit else None
    rows, scores = [], []
    for slide, cells in sorted(images.items()):
        try:
            row, part = _scored(cells, known, table, slide=slide, area_mm2=area_mm2 or {}, out=out)
        except DataError as error:
            failed[slide] = error
            continue
        rows.append(row)
        scores.append(part)
    _refuse_none(rows, failed)
    rows += [
        {"slide": slide, "status": keys.FAILED, "reason": str(why), "assay": known.name}
        for slide, why in failed.items()
    ]
    slides = pd.DataFrame(rows)
    every = pd.concat(scores, ignore_index=True) if scores else score_frame([])
    write_csv(slides, out / "slides.csv")
    write_csv(every, out / "scores.csv")
    if table is not None:
        write_csv(table, out / "gates.csv")
        here = table[table["slide"].isin([BATCH, *images])]
        write_text(out / "gates.html", gate_table_page(images, here, panel=known.name))
    record = run_record(
        "cells", settings={"panel": known.model_dump(mode="json"), "area_mm2": dict(area_mm2 or {}), "mpp": mpp}
    )
    record["inputs"] = [{"name": path.name, "sha256": sha256(path)} for path in tables]
    write_run_json(record, out)
    return slides


def _refuse_none(done: Sized, failed: Mapping[str, DataError]) -> None:
    """Stop where nothing is left to be scored."""
    if failed and not len(done):
        raise next(iter(failed.values()))


def _with_markers(images: Mapping[str, AnnData], panel: Panel, failed: dict[str, DataError]) -> dict[str, AnnData]:
    """Leave out images that lack a level of a marker: they can have no part in the gates."""
    from biomarkers.pheno.gates import marker_compartments, refuse_absent

    kept = {}
    for slide, cells in images.items():
        try:
            for marker, compartment in marker_compartments(panel).items():
                refuse_absent(cells, marker=marker, compartment=compartment)
        except DataError as error:
            failed[slide] = error
        else:
            kept[slide] = cells
    return kept


def _images(
    tables: Sequence[Path], *, vendor: str | None, mpp: float | None, failed: dict[str, DataError]
) -> dict[str, AnnData]:
    from biomarkers.io.cell_tables.read import import_cells
    from biomarkers.pheno.phenotype import known_phenotypes

    images: dict[str, AnnData] = {}
    source: dict[str, Path] = {}
    for path in tables:
        try:
            cells = import_cells(path, vendor=vendor, mpp=mpp)
        except DataError as error:
            failed[path.name.split(".")[0]] = error
            continue
        names = cells.obs["slide"]
        there = sorted(str(name) for name in names.unique())
        for name in there:
            if name in images:
                raise DataError(
                    "two tables hold an image of one name", where=path, seen=f"{name}, also in {source[name]}"
                )
            part = cells if len(there) == 1 else cells[(names == name).to_numpy()].copy()
            images[name], source[name] = part, path
    # an image without a single Treg still knows that there are such cells
    named = sorted({name for cells in images.values() for name in known_phenotypes(cells)})
    for cells in images.values():
        cells.uns["imported"] = {**cells.uns["imported"], "phenotypes": named}
    return images


def _far_notes(cells: AnnData) -> list[str]:
    """Tell of cells that stand so far from all others that they cannot be of the image whose area is stated."""
    import numpy as np

    place = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=float)
    if len(place) < _FEWEST_PLACED:
        return []
    low, high = np.quantile(place, (0.01, 0.99), axis=0)
    wide = max(float((high - low).max()), 1.0)
    far = ((place < low - wide) | (place > high + wide)).any(axis=1)
    if not far.any():
        return []
    first = int(np.flatnonzero(far)[0])
    note = (
        f"{plural(int(far.sum()), 'cell')} counted that stand outside the image by its other cells (the first: cell "
        f"{cells.obs['cell_id'].iloc[first]} at x {place[first, 0]:g}, y {place[first, 1]:g} um): are they of it?"
    )
    return [note]


def _write_cells(cells: AnnData, path: Path, *, slide: str) -> None:
    """Write cells piece by piece: a table of a million needs no second million beside it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from biomarkers.score.outputs import cell_frame

    writer = None
    for start in range(0, max(cells.n_obs, 1), _ROWS):
        part = cells if cells.n_obs <= _ROWS else cells[start : start + _ROWS]
        table = pa.Table.from_pandas(cell_frame(part, slide=slide), preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table.cast(writer.schema))
    if writer is not None:
        writer.close()


def _scored(
    cells: AnnData, panel: Panel, gates: pd.DataFrame | None, *, slide: str, area_mm2: Mapping[str, float], out: Path
) -> tuple[dict[str, Any], pd.DataFrame]:
    from biomarkers.score.multiplex import panel_assay, positive_counts, score_multiplex_cells, slide_status
    from biomarkers.score.multiplex_slide import phenotyped
    from biomarkers.score.regions import density_notes

    called, notes = phenotyped(cells, panel=panel, gates=gates, slide=slide)
    scores, components = score_multiplex_cells(called, panel=panel, slide=slide, tissue_mm2=area_mm2)
    with atomic_path(out / "cells" / f"{file_name(slide)}.parquet") as path:
        called.obs = called.obs.drop(columns="slide")  # the frame says it itself
        _write_cells(called, path, slide=slide)
    marker = panel_assay(panel).marker
    positive, low, high = positive_counts(called, marker)
    reasons = scores["reason"][scores["status"] != keys.OK].unique()
    unscored = [] if (scores["status"] == keys.OK).any() else [str(one) for one in reasons if one]
    notes += _far_notes(called)
    notes += density_notes({"all": int(called.n_obs)}, {"all": area_mm2.get("all")})
    whole = components[components["region"] == "all"]
    row = {
        "slide": slide,
        "status": slide_status(scores, notes or unscored),
        "reason": "; ".join(notes or unscored),
        "mpp": None,
        "mpp_source": f"cell table ({called.uns['imported']['vendor']})",
        "tissue_mm2": area_mm2.get("all"),
        "n_cells": int(called.n_obs),
        "n_positive": positive,
        "n_negative": None if positive is None else int(called.n_obs) - positive,
        "positive_fraction": None if positive is None else positive / called.n_obs,
        "assay": panel.name,
        "marker": marker,
        "area_source": "stated" if area_mm2 else "",
        "positive_fraction_low": low,
        "positive_fraction_high": high,
        **{f"{one['component']} present": one["call"] for one in whole.to_dict("records")},
    }
    return row, scores
