"""A finished run for other programs: spreadsheets, QuPath, spatialdata and napari; tiles and whole slides alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers.core import keys
from biomarkers.core.errors import BiomarkersError, DataError, UsageError, did_you_mean
from biomarkers.core.files import atomic_path, file_name, write_csv
from biomarkers.core.finished import read_output
from biomarkers.core.words import plural

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

TARGETS: Final = ("csv", "qupath", "spatialdata")
SHEET_ROWS: Final = 1_000_000  # a spreadsheet takes 1,048,576
_CORNERS: Final = 8  # of a cell whose outline was not kept
_PICTURE_PX: Final = 4096  # longest side of the picture that goes along with cells in spatialdata
_PIXELS_WHOLE: Final = 25_000_000  # images up to here go along in full
_BLOCK: Final = 20_000


@dataclass(frozen=True)
class Exported:
    """What was written: ``files`` by slide, and ``failed`` slides with their reasons."""

    out: Path
    files: dict[str, list[Path]]
    failed: dict[str, str]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        count = sum(len(files) for files in self.files.values())
        text = f"{plural(len(self.files), 'slide')} in {plural(count, 'file')}: {self.out}/"
        return "\n".join([text, *self.notes, *(f"{slide}: {reason}" for slide, reason in self.failed.items())])


def export_run(
    run: str | Path, *, to: str, out: str | Path | None = None, slides: Sequence[str] | None = None
) -> Exported:
    """Write the cells of a finished run for another program.

    Parameters
    ----------
    run
        An output folder of ``biomarkers score``, ``rescore`` or ``cells``.
    to
        ``csv``: one row a cell, in parts of a million rows where a slide has more. ``qupath``: GeoJSON with the same
        identifiers as ``geojson/``, so that classes changed there come back as corrections; cells of whole slides are
        octagons of the cell's area. ``spatialdata``: a Zarr store a slide with the cells as circles, their table, and
        the image (of whole slides a picture of at most 4096 px), in full-resolution pixels; needs the extra
        ``spatialdata``.
    out
        The folder; ``RUN/export/<to>`` when None.
    slides
        Only these; all when None.

    Raises
    ------
    UsageError
        The folder holds no run, there is no such target or slide, or the library of a target is not installed.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> run = bm.score_batch([tile], out="run", progress=False, assay="22c3", assume_tumor=True, workers=1)
    >>> exported = bm.export_run("run", to="csv", out="exported")
    >>> from pathlib import Path
    >>> any(Path("exported").rglob("*.csv"))
    True
    """
    source = Path(run)
    if to not in TARGETS:
        raise UsageError("unknown target", seen=to, allowed=TARGETS, hint=did_you_mean(to, TARGETS))
    table = read_output(source / "slides.csv", columns=("slide", "mpp"))
    known = set(table["slide"])
    wanted = list(table["slide"]) if slides is None else list(slides)
    for slide in wanted:
        if slide not in known:
            raise UsageError("there is no such slide", where=source, seen=slide, hint=did_you_mean(slide, known))
    target = source / "export" / to if out is None else Path(out)
    write: Callable[[_Cells, Path], list[Path]] = {"csv": _csv, "qupath": _qupath, "spatialdata": _spatialdata}[to]
    if to == "spatialdata":
        _library()
    rows = {str(row["slide"]): row for row in table.to_dict("records")}
    files: dict[str, list[Path]] = {}
    failed: dict[str, str] = {}
    without = []
    for slide in wanted:
        path = source / "cells" / f"{file_name(slide)}.parquet"
        if not path.is_file():
            without.append(slide)
            continue
        try:
            files[slide] = write(_Cells(source, slide, path, rows[slide]), target)
        except (BiomarkersError, OSError, ValueError) as error:
            if isinstance(error, BiomarkersError) and error.exit_code == 3:
                raise
            failed[slide] = str(error)
    notes = (f"{plural(len(without), 'slide')} without cells: {', '.join(without[:5])}",) if without else ()
    return Exported(target, files, failed, notes)


@dataclass(frozen=True)
class _Cells:
    """One slide's table of cells, read when it is asked for."""

    run: Path
    slide: str
    path: Path
    row: dict[Any, Any]

    @property
    def stem(self) -> str:
        return file_name(self.slide)

    @property
    def mpp(self) -> float:
        try:
            found = float(self.row["mpp"])
        except ValueError:
            found = float("nan")
        if not found > 0:
            raise DataError("the slide has no pixel size, so its cells have no place in pixels", where=self.slide)
        return found

    def blocks(self) -> Iterator[pd.DataFrame]:
        """Yield the table piece by piece."""
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(self.path).iter_batches(batch_size=_BLOCK):
            yield batch.to_pandas()

    def whole(self) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet(self.path)


def _csv(cells: _Cells, out: Path) -> list[Path]:
    table = cells.whole()
    if len(table) <= SHEET_ROWS:
        path = out / f"{cells.stem}.csv"
        write_csv(table, path)
        return [path]
    made = []
    for part, start in enumerate(range(0, len(table), SHEET_ROWS), start=1):
        made.append(out / f"{cells.stem}.part{part}.csv")
        write_csv(table.iloc[start : start + SHEET_ROWS], made[-1])
    return made


def _qupath(cells: _Cells, out: Path) -> list[Path]:
    path, kept = out / f"{cells.stem}.geojson", cells.run / "geojson" / f"{cells.stem}.geojson"
    if kept.is_file():
        with atomic_path(path) as temporary:
            shutil.copyfile(kept, temporary)
        return [path]
    mpp = cells.mpp
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        comma = ""
        for block in cells.blocks():
            for feature in _features(block, slide=cells.slide, mpp=mpp):
                stream.write(f"{comma}\n{json.dumps(feature)}")
                comma = ","
        stream.write("\n]}\n")
    return [path]


def _features(table: pd.DataFrame, *, slide: str, mpp: float) -> Iterator[dict[str, Any]]:
    """Yield every cell as an octagon of its own area, with the classes and identifiers of the run's own files."""
    from biomarkers.score.outputs import cell_uuid, rounded

    marker = _called_marker(table)
    names, colours = _shown(table, marker)
    angle = 2 * np.pi * (np.arange(_CORNERS + 1) % _CORNERS) / _CORNERS
    radius = np.sqrt(table[keys.AREA_UM2].to_numpy() / (_CORNERS / 2 * np.sin(2 * np.pi / _CORNERS))) / mpp
    x, y = (table[name].to_numpy() / mpp for name in (keys.X_UM, keys.Y_UM))
    rings = np.stack([x[:, None] + radius[:, None] * np.cos(angle), y[:, None] + radius[:, None] * np.sin(angle)], -1)
    numbers = [name for name in table.columns if table[name].dtype.kind in "iuf" and name != "label"]
    values = rounded(table[numbers].to_numpy(dtype=np.float64))
    finite = np.isfinite(values)
    for at, cell in enumerate(table["cell"]):
        yield {
            "type": "Feature",
            "id": cell_uuid(slide, marker or "", str(cell)),
            "geometry": {"type": "Polygon", "coordinates": [np.round(rings[at], 2).tolist()]},
            "properties": {
                "objectType": "detection",
                "classification": {"name": names[at], "color": list(colours[at])},
                "measurements": {n: float(v) for n, v, ok in zip(numbers, values[at], finite[at], strict=True) if ok},
            },
        }


def _called_marker(table: pd.DataFrame) -> str | None:
    called = [str(name).removesuffix("_bin") for name in table.columns if str(name).endswith("_bin")]
    return called[0] if len(called) == 1 else None


def _shown(table: pd.DataFrame, marker: str | None) -> tuple[list[str], list[tuple[int, int, int]]]:
    """Return the class name and colour of every cell, as overlays show them; of a panel the class alone."""
    if marker is None:
        names = table[keys.CELL_CLASS].astype(str).str.capitalize().tolist()
        return names, [(120, 120, 120)] * len(names)
    from biomarkers.review.run_cells import plain_cells
    from biomarkers.score.palette import kinds

    found, index = kinds(plain_cells(table, marker=marker), marker=marker)
    chosen = [found[at] for at in index]
    return [kind.name for kind in chosen], [kind.colour for kind in chosen]


def cells_anndata(table: pd.DataFrame) -> AnnData:
    """Lay a table of cells out as an AnnData: obs = cells, var = markers, X = mean over the cell, layers the rest.

    Parameters
    ----------
    table
        A file of ``cells/``.
    """
    import anndata as ad
    import pandas as pd

    markers: list[str] = []
    for name in sorted((str(n).removesuffix("_mean") for n in table.columns if str(n).endswith("_mean")), key=len):
        if not any(name.startswith(f"{one}_") for one in markers):
            markers.append(name)
    measured = {str(n): m for n in table.columns for m in markers if str(n).startswith(f"{m}_")}
    calls = {f"{m}_{what}" for m in markers for what in ("positive", "bin", "od", "staining", "call", "gate")}
    layers = sorted(
        {n.removeprefix(f"{m}_") for n, m in measured.items() if n not in calls and table[n].dtype.kind in "fiu"}
    )
    kept = {f"{m}_{layer}" for m in markers for layer in layers}
    obs = table[[name for name in table.columns if name not in kept and name != "cell"]].copy()
    obs.index = pd.Index(table["cell"].astype(str), dtype=str, name=None)
    values = {la: table.reindex(columns=[f"{m}_{la}" for m in markers]).to_numpy(np.float32) for la in layers}
    cells = ad.AnnData(values.pop("mean"), obs=obs, var=pd.DataFrame(index=pd.Index(markers, dtype=str)))
    for layer, held in values.items():
        cells.layers[layer] = held
    cells.obsm[keys.SPATIAL] = table[[keys.X_UM, keys.Y_UM]].to_numpy()
    return cells


def _library() -> Any:
    try:
        import spatialdata
    except ImportError as error:
        hint = "Install the extra: pip install 'biomarkers[spatialdata]'; or export to csv or qupath."
        raise UsageError("spatialdata is not installed", hint=hint) from error
    return spatialdata


def _spatialdata(cells: _Cells, out: Path) -> list[Path]:
    from spatialdata.models import ShapesModel, TableModel
    from spatialdata.transformations import Identity

    spatialdata, mpp, table = _library(), cells.mpp, cells.whole()
    path = out / f"{cells.stem}.zarr"
    if path.exists():
        raise DataError("the store is there already", where=path, hint="Remove it, or choose another --out.")
    found = cells_anndata(table)
    number = np.arange(1, len(table) + 1)
    found.obs["element"] = "cells"
    found.obs["element"] = found.obs["element"].astype("category")
    found.obs["instance_id"] = number
    xy = found.obsm[keys.SPATIAL] / mpp
    radius = np.sqrt(table[keys.AREA_UM2].to_numpy() / np.pi) / mpp
    circles = ShapesModel.parse(xy, geometry=0, radius=radius, index=number, transformations={"global": Identity()})
    annotated = TableModel.parse(found, region="cells", region_key="element", instance_key="instance_id")
    images = _picture(cells)
    made = spatialdata.SpatialData(images=images, shapes={"cells": circles}, tables={"table": annotated})
    made.attrs["slide"], made.attrs["mpp"] = cells.slide, mpp
    out.mkdir(parents=True, exist_ok=True)
    unfinished = out / f".{cells.stem}.unfinished.zarr"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        made.write(unfinished)
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return [path]


def _picture(cells: _Cells) -> dict[str, Any]:
    """Return the slide's image, or a small one of a whole slide; nothing where the file is gone or is no RGB image."""
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Scale

    from biomarkers.io.slide import open_slide
    from biomarkers.pp.coarse_tissue import thumbnail
    from biomarkers.review.session import jobs_of

    job = jobs_of(cells.run).get(cells.slide)
    if job is None or not Path(job["path"]).exists():
        return {}
    with open_slide(job["path"], mpp=job["mpp"], scene=job.get("scene")) as slide:
        if slide.channels != ("R", "G", "B"):
            return {}
        width, height = slide.size
        if width * height <= _PIXELS_WHOLE:
            pixels, step = slide.read_region(0, 0, width, height), 1
        else:
            pixels, step = thumbnail(slide, longest=_PICTURE_PX)
    grows = {"global": Scale([float(step), float(step)], axes=("x", "y"))}
    image = Image2DModel.parse(
        np.ascontiguousarray(pixels.transpose(2, 0, 1)), dims=("c", "y", "x"), c_coords=["r", "g", "b"],
        transformations=grows,
    )  # fmt: skip
    return {"image": image}
