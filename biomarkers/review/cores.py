"""A tissue microarray scored core by core, from the cells of a finished run; cores of a patient are pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import file_name, sha256, write_csv
from biomarkers.core.finished import numbers, read_output
from biomarkers.core.provenance import run_record, write_run_json
from biomarkers.io import annotations as drawn
from biomarkers.review.core_grid import Core, cores_on_grid
from biomarkers.review.run_cells import RunSlide, read_slide, records_of
from biomarkers.score.compute import score_frame, score_row
from biomarkers.score.plain_cells import CellColumns, PlainCells
from biomarkers.score.pool import pool_scores
from biomarkers.score.tally import class_names, count_cells, make_tally

if TYPE_CHECKING:
    import pandas as pd

GRID: Final = "grid"
_NO_AREA: Final = ("no tissue area", "no tumor area", "no map of stained pixels")
_AREA_NEEDED: Final = "the tissue area of single cores needs pixels"


@dataclass(frozen=True)
class ScoredCores:
    """``slides``: one row a core; ``scores``: its tidy scores; ``patients``: pooled, empty without a map."""

    slides: pd.DataFrame
    scores: pd.DataFrame
    patients: pd.DataFrame
    notes: tuple[str, ...]


def score_cores(
    run: str | Path, *, out: str | Path, cores: str | Path = GRID, core_map: str | Path | None = None
) -> ScoredCores:
    """Score a tissue microarray core by core; no pixel is read.

    Parameters
    ----------
    run
        An output folder of ``biomarkers score`` or ``rescore``, each slide an array.
    out
        The folder for ``slides.csv`` (one row a core, named ``<slide>/<core>``), ``scores.csv``, ``patients.csv`` and
        ``run.json``.
    cores
        ``grid``: found by where cells lie (:func:`biomarkers.review.core_grid.cores_on_grid`); or a folder with
        ``<slide>.geojson`` files that hold QuPath's ``tma_core`` objects, whose names and missing flags hold.
    core_map
        CSV with the columns core, patient (and slide, where several arrays have cores of one name).

    Raises
    ------
    UsageError
        The run, the cores or the map are absent, or ``out`` holds a run already.
    DataError
        Cores have no names or the same ones, no array is found, or the map names a core twice.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> import biomarkers as bm
    >>> name = "simulated_SIM-001_baseline_PD-L1"
    >>> tile = bm.sample_trial().folder / "tiles" / f"{name}.ome.tif"
    >>> run = bm.score_batch([tile], out="run", progress=False, assay="22c3", assume_tumor=True, workers=1)
    >>> ring = [[0, 0], [256, 0], [256, 512], [0, 512], [0, 0]]
    >>> core = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    >>> core["properties"] = {"objectType": "tma_core", "name": "A-1", "isMissing": False}
    >>> Path("cores").mkdir()
    >>> text = json.dumps({"type": "FeatureCollection", "features": [core]})
    >>> written = Path("cores", f"{name}.geojson").write_text(text)
    >>> bm.score_cores("run", out="scored", cores="cores").slides["slide"].tolist()
    ['simulated_SIM-001_baseline_PD-L1/A-1']
    """
    import pandas as pd

    source, target = Path(run), Path(out)
    if (target / "run.json").exists():
        raise UsageError("this folder holds a run already", where=target, hint="Choose another --out.")
    records = records_of(source)
    slides = read_output(source / "slides.csv", columns=("slide", "status", "reason", "mpp"))
    scores = read_output(source / "scores.csv", columns=keys.SCORE_COLUMNS)
    scores["value"] = numbers(scores, "value", where=source / "scores.csv")
    patients = {} if core_map is None else _read_map(Path(core_map))
    rows: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []
    for given in slides.to_dict("records"):
        row = {str(name): value for name, value in given.items()}
        name = str(row["slide"])
        own = scores[scores["slide"] == name]
        slide = read_slide(source, slide=name, row=row, scores=own, record=records.get(name, {}))
        for core in _cores_of(slide, cores):
            patient = patients.get((name, core.name), patients.get(("", core.name), ""))
            rows.append(_core_row(slide, core, patient, row))
            made += [] if core.missing else [{**one, "patient": patient} for one in _core_scores(slide, core)]
    found = score_frame(made).assign(patient=[one["patient"] for one in made])
    table = pd.DataFrame(rows)
    pooled, notes = _pooled(found)
    write_csv(table, target / "slides.csv")
    write_csv(found.drop(columns="patient"), target / "scores.csv")
    write_csv(pooled, target / "patients.csv")
    settings = {"run": sha256(source / "run.json"), "cores": GRID if str(cores) == GRID else "tma_core objects"}
    inputs = [source / "run.json", *([] if core_map is None else [Path(core_map)])]
    write_run_json(run_record("rescore", settings=settings, inputs=inputs), target)
    return ScoredCores(table, found, pooled, notes)


def _cores_of(slide: RunSlide, cores: str | Path) -> list[Core]:
    centres = np.column_stack([slide.cells.obs[name].to_numpy(np.float64) for name in (keys.X_UM, keys.Y_UM)])
    if str(cores) == GRID:
        return cores_on_grid(centres)
    path = Path(cores) / f"{file_name(slide.slide)}.geojson"
    if not path.is_file():
        raise UsageError("no cores of this slide", where=path, hint="Export the tma_core objects under this name.")
    return cores_of_objects(path, centres / slide.mpp)


def cores_of_objects(path: Path, xy_px: np.ndarray) -> list[Core]:
    """Read QuPath's ``tma_core`` objects and sort cells into them.

    Parameters
    ----------
    path
        GeoJSON file.
    xy_px
        Centres of the cells in full-resolution pixels, (n, 2).

    Raises
    ------
    DataError
        No such object, one without a name, or two of one name.
    """
    import shapely

    made: list[Core] = []
    for number, feature in enumerate(drawn._features(path), start=1):
        if drawn._object_type(feature) != "tma_core":
            continue
        own, where = drawn._properties(feature), f"{path.name}: object {number}"
        name = str(own.get("name") or "").strip()
        if not name or any(name == core.name for core in made):
            what = "two cores of one name" if name else "a core without a name"
            raise DataError(what, where=where, seen=name, hint="Name them in QuPath: TMA, relabel grid.")
        if own.get("isMissing") or own.get("missing"):
            made.append(Core(name, np.zeros(len(xy_px), dtype=bool), missing=True))
            continue
        area = drawn._geometries(feature, where)[0]
        inside = np.asarray(shapely.contains_xy(area, xy_px[:, 0], xy_px[:, 1]), dtype=bool)
        made.append(Core(name, inside, missing=not inside.any()))
    if not made:
        raise DataError("no tma_core object in the file", where=path.name, hint="Export all objects of the array.")
    return made


def _core_row(slide: RunSlide, core: Core, patient: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one core; one without tissue keeps its row."""
    keep = core.cells & ~slide.cells.obs[keys.EXCLUDED].to_numpy(bool)
    positive = int((slide.cells.obs[keys.positive_column(slide.marker)].to_numpy(bool) & keep).sum())
    n = int(keep.sum())
    said = [one for one in (str(row["reason"]), core.reason) if one]
    status = keys.NO_TISSUE if core.missing else keys.OK_WITH_WARNINGS if core.reason else str(row["status"])
    return {
        "slide": f"{slide.slide}/{core.name}",
        "status": status,
        "reason": "the core is missing" if core.missing else "; ".join(said),
        "mpp": slide.mpp,
        "mpp_source": row.get("mpp_source", ""),
        "tissue_mm2": None,
        "n_cells": n,
        "n_positive": positive,
        "n_negative": n - positive,
        "positive_fraction": positive / n if n else None,
        "assay": slide.assay.name,
        "marker": slide.marker,
        "core": core.name,
        "array": slide.slide,
        "patient": patient,
    }


def _core_scores(slide: RunSlide, core: Core) -> list[dict[str, Any]]:
    """Score one core by its own cells alone: a neighbouring core's tumour is near no immune cell of this one."""
    cells = _taken(slide.cells, core.cells)
    given: Any = cells
    counts = count_cells(given, assay=slide.assay, marker=slide.marker)
    tally = make_tally(counts, assay=slide.assay, marker=slide.marker, named=class_names(given))
    rows = [score_row(tally, name, slide=f"{slide.slide}/{core.name}") for name in slide.assay.scores]
    return [{**row, "reason": _AREA_NEEDED} if row["reason"] in _NO_AREA else row for row in rows]


def _taken(cells: PlainCells, which: np.ndarray) -> PlainCells:
    return PlainCells(
        X=cells.X[which],
        layers={name: values[which] for name, values in cells.layers.items()},
        obs=CellColumns({name: cells.obs[name].to_numpy()[which] for name in cells.obs.columns}),
        uns=dict(cells.uns),
        var_names=cells.var_names,
        n_obs=int(which.sum()),
    )


def _read_map(path: Path) -> dict[tuple[str, str], str]:
    """Read which patient each core is of: (slide or empty, core) -> patient."""
    table = read_output(path, columns=("core", "patient"))
    found: dict[tuple[str, str], str] = {}
    for number, row in enumerate(table.to_dict("records"), start=2):
        key = (str(row.get("slide", "")).strip(), str(row["core"]).strip())
        if not key[1] or key in found:
            what = "a core stands twice in the map" if key[1] else "a row without a core"
            raise DataError(what, where=f"{path} row {number}", seen=key[1])
        found[key] = str(row["patient"]).strip()
    return found


def _pooled(scores: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Sum the cores of each patient; cores of nobody are counted."""
    known = scores[scores["patient"] != ""]
    nobody = scores.loc[scores["patient"] == "", "slide"].nunique()
    notes = (f"{nobody} cores are of no patient in the map",) if nobody and len(known) else ()
    return pool_scores(known, by=["patient"]), notes
