"""Scores again with a pathologist's corrections, from the cells of a finished run: no pixel is read."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.files import atomic_path, file_name, sha256, write_csv
from biomarkers.core.finished import CORRECTIONS, numbers, read_output
from biomarkers.core.provenance import run_record, write_run_json
from biomarkers.review.apply import Applied, apply_corrections
from biomarkers.review.corrections import Corrections, read_corrections
from biomarkers.review.run_cells import RunSlide, read_slide, records_of
from biomarkers.score.compute import WHOLE, score_row
from biomarkers.score.plain_cells import PlainCells
from biomarkers.score.tally import Tally, class_names, count_cells, make_tally

if TYPE_CHECKING:
    import pandas as pd

MACHINE: Final = "machine"
CORRECTED: Final = "corrected"
APPLIED, UNCHANGED, REFUSED = "applied", "nothing to change", "refused"
CORRECTION_COLUMNS: Final = (
    "slide", "file", "status", "reason", "n_changed", "n_in_file", "n_matched", "n_foreign", "n_not_understood",
    "n_overridden", "n_regions", "cut_od", "authors", "decision", "signed_by",
)  # fmt: skip
_NUMBERS: Final = ("value", "ci_low", "ci_high", "numerator", "denominator")
_TUMOR_AREA_SCORES: Final = ("ic_percent", "icp_percent", "tap_like")
_NO_AREA: Final = ("no tissue area", "no tumor area", "no map of stained pixels")
_MOST_NAMED: Final = 5


@dataclass(frozen=True)
class Rescored:
    """The tables of a run that was scored again: ``slides``, ``scores``, and one row a file of corrections."""

    out: Path
    slides: pd.DataFrame
    scores: pd.DataFrame
    corrections: pd.DataFrame

    @property
    def n_refused(self) -> int:
        """Files of corrections that could not be applied."""
        return int((self.corrections["status"] == REFUSED).sum())

    def __str__(self) -> str:
        counts = self.corrections["status"].value_counts().to_dict()
        said = ", ".join(f"{count} {status}" for status, count in counts.items()) or "no file of corrections"
        changed = int(self.corrections["n_changed"].fillna(0).sum())
        return f"{len(self.slides)} slides; corrections: {said}; {changed} cells changed"

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.corrections.to_html(index=False)}"


def rescore(
    run: str | Path,
    *,
    out: str | Path,
    corrections: str | Path | None = None,
    classes: Mapping[str, str] | None = None,
) -> Rescored:
    """Score a finished run again with corrections of its cells, regions and cuts.

    Slides without corrections keep their rows. A slide whose file cannot be applied keeps its rows too, its reason says
    why, and all other slides are finished.

    Parameters
    ----------
    run
        An output folder of ``biomarkers score``.
    out
        The folder for ``slides.csv``, ``scores.csv``, ``corrections.csv``, ``cells/`` and ``run.json``.
    corrections
        Folder with one ``<slide>.geojson`` a slide (named like those in ``geojson/``), of ``biomarkers review`` or
        exported by QuPath; ``RUN/corrections`` when None.
    classes
        What further class names mean, ``{"Nest": "tumor"}``.

    Returns
    -------
    The tables. ``scores`` has ``keys.SCORE_COLUMNS``, then ``source`` (``machine`` or ``corrected``), ``n_corrected``
    (cells that differ from the run's) and ``machine_value`` ... ``machine_status``: what the run had said.

    Raises
    ------
    UsageError
        The run or the corrections are absent, or ``out`` is the run or holds a run already.
    DataError
        A table of the run was changed so that it cannot be read.

    Examples
    --------
    >>> import biomarkers as bm
    >>> tile = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> run = bm.score_batch([tile], out="run", progress=False, assay="22c3", assume_tumor=True, workers=1)
    >>> again = bm.rescore("run", out="again", corrections="run/geojson")  # as QuPath would give the file back
    >>> again.scores.columns[:4].tolist()
    ['slide', 'region', 'marker', 'score']
    """
    import pandas as pd

    source, target = Path(run), Path(out)
    records = records_of(source)
    _check_target(source, target)
    folder = source / CORRECTIONS if corrections is None else Path(corrections)
    files = _files(folder)
    slides = read_output(source / "slides.csv", columns=("slide", "status", "reason", "mpp"))
    scores = read_output(source / "scores.csv", columns=keys.SCORE_COLUMNS)
    for name in _NUMBERS:
        scores[name] = numbers(scores, name, where=source / "scores.csv")
    by_stem = {file_name(slide): slide for slide in slides["slide"]}
    told = [_foreign_file(path) for stem, path in files.items() if stem not in by_stem]
    new_scores, new_rows = [], []
    for given_row in slides.to_dict("records"):
        row: dict[str, Any] = {str(name): value for name, value in given_row.items()}
        slide, stem = str(row["slide"]), file_name(str(row["slide"]))
        own = scores[scores["slide"] == slide].reset_index(drop=True)
        given = files.get(stem)
        result = _Slide.unchanged(row, own)
        if given is not None:
            result = _corrected(source, row, own, records.get(slide, {}), given, classes)
            told.append(result.told)
        new_scores.append(result.scores)
        new_rows.append(result.row)
        _keep_files(source, target, stem, result)
    found = Rescored(
        target,
        pd.DataFrame(new_rows),
        pd.concat(new_scores, ignore_index=True),
        pd.DataFrame(told, columns=list(CORRECTION_COLUMNS)),
    )
    _write(found, source, records, files)
    return found


def _check_target(source: Path, target: Path) -> None:
    if target.resolve() == source.resolve():
        raise UsageError("the results would overwrite the run", where=target, hint="Choose another --out.")
    if (target / "run.json").exists():
        raise UsageError("this folder holds a run already", where=target, hint="Choose another --out.")


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        hint = "Correct slides with 'biomarkers review RUN --serve', or name a folder: --corrections."
        raise UsageError("there are no corrections", where=folder, hint=hint)
    found = {path.name.removesuffix(".geojson"): path for path in sorted(folder.glob("*.geojson"))}
    if not found:
        hint = "One <slide>.geojson a slide, named like those in geojson/."
        raise UsageError("the folder holds no file of corrections", where=folder, hint=hint)
    return found


def _foreign_file(path: Path) -> dict[str, Any]:
    return {"slide": "", "file": path.name, "status": REFUSED, "reason": "no slide of this run has this name"}


@dataclass(frozen=True)
class _Slide:
    """One slide of the new run."""

    row: dict[str, Any]
    scores: pd.DataFrame
    told: dict[str, Any]
    table: pd.DataFrame | None = None

    @classmethod
    def unchanged(cls, row: Mapping[str, Any], scores: pd.DataFrame, told: dict[str, Any] | None = None) -> _Slide:
        reason = "" if told is None or told["status"] != REFUSED else told["reason"]
        new = {**row, "source": MACHINE, "n_corrected": 0, "correction_reason": reason}
        return cls(new, _beside(scores, scores, source=MACHINE, n_corrected=0), told or {})


def _corrected(
    run: Path,
    row: dict[str, Any],
    scores: pd.DataFrame,
    record: dict[str, Any],
    path: Path,
    classes: Mapping[str, str] | None,
) -> _Slide:
    """Apply one file; whatever is wrong with it is told in its row."""
    start = {"slide": row["slide"], "file": path.name}
    try:
        asked = read_corrections(path, classes=classes)
        slide = read_slide(run, slide=str(row["slide"]), row=row, scores=scores, record=record)
        applied = apply_corrections(slide, asked, classes=classes)
    except (DataError, UsageError) as error:
        return _Slide.unchanged(row, scores, {**start, "status": REFUSED, "reason": str(error)})
    told = {**start, **_told(asked, applied)}
    if told["status"] == UNCHANGED:
        return _Slide.unchanged(row, scores, told)
    return _Slide(
        _new_row(row, slide, applied, asked, told),
        corrected_scores(slide, scores, applied),
        told,
        _new_table(slide, applied),
    )


def _told(asked: Corrections, applied: Applied) -> dict[str, Any]:
    notes = list(applied.notes)
    for name, what in (
        ("foreign", "corrected cells are none of this run's"),
        ("not_understood", "classes not understood"),
    ):
        given = getattr(applied, name)
        if given:
            more = f" and {len(given) - _MOST_NAMED} more" if len(given) > _MOST_NAMED else ""
            notes.append(f"{len(given)} {what}: {', '.join(given[:_MOST_NAMED])}{more}")
    something = applied.changed.any() or applied.thresholds_moved or applied.areas_changed
    last = {one.author: one for one in asked.signatures}
    return {
        **applied.counts,
        "status": APPLIED if something else UNCHANGED,
        "reason": "; ".join(notes),
        "cut_od": asked.cut_od if applied.thresholds_moved else None,
        "authors": ", ".join(asked.authors),
        "decision": next((one.decision for one in last.values()), ""),
        "signed_by": ", ".join(sorted(last)),
    }


def corrected_scores(slide: RunSlide, machine: pd.DataFrame, applied: Applied) -> pd.DataFrame:
    """Count the corrected cells, region by region, and lay the scores beside the run's."""
    import pandas as pd

    rows = []
    for region, part in machine.groupby("region", sort=False):
        areas = _areas(slide, machine, str(region), applied)
        now = _tally(slide, applied.cells, str(region), areas)
        own = _areas(slide, machine, str(region), None)
        if str(region) not in slide.kept:
            slide.kept[str(region)] = _tally(slide, slide.cells, str(region), own)
        before = slide.kept[str(region)]
        for given in part.to_dict("records"):
            name = str(given["score"])
            made = score_row(now, name, slide=slide.slide, region=str(region))
            again = score_row(before, name, slide=slide.slide, region=str(region))
            row: dict[Any, Any] = {**given, **made, "reason": _reason(made, again, given, applied)}
            rows.append(row)
    frame = pd.DataFrame(rows, columns=list(machine.columns))
    return _beside(frame, machine, source=CORRECTED, n_corrected=int(applied.changed.sum()))


def _reason(made: Mapping[Any, Any], again: Mapping[Any, Any], given: Mapping[Any, Any], applied: Applied) -> str:
    said = str(made["reason"] or "")
    if applied.areas_changed and said in _NO_AREA:
        return (
            "tissue was left out or taken in: its area needs pixels, score the slide with these regions (--annotations)"
        )
    both = made["status"] == keys.OK and given["status"] == keys.OK
    if both and not math.isclose(float(again["value"]), float(given["value"]), rel_tol=1e-9, abs_tol=1e-12):
        doubt = f"counted again without corrections it is {again['value']:.6g}, not the run's {given['value']:.6g}"
        said = f"{said}; {doubt}" if said else doubt
    return said


def _tally(slide: RunSlide, cells: PlainCells, region: str, areas: Mapping[str, float | None]) -> Tally:
    given: Any = cells
    counts = count_cells(given, assay=slide.assay, marker=slide.marker, region=None if region == WHOLE else region)
    named = class_names(given)
    return make_tally(counts, assay=slide.assay, marker=slide.marker, named=named, **areas)


def _areas(slide: RunSlide, machine: pd.DataFrame, region: str, applied: Applied | None) -> dict[str, float | None]:
    """Return the areas that the run's own scores rest on; None where corrections changed them."""
    if applied is not None and applied.areas_changed:
        return {"tissue_mm2": None, "tumor_mm2": None, "stained_mm2": None}
    here = machine[machine["region"] == region].set_index("score")

    def held(score: str, part: str) -> float | None:
        value = float(here[part].to_dict().get(score, math.nan))
        return None if math.isnan(value) else value

    tissue = next((area for one in ("density_per_mm2", "dab_area_percent") if (area := held(one, "denominator"))), None)
    tumor = next((area for one in _TUMOR_AREA_SCORES if (area := held(one, "denominator"))), None)
    annotated = (machine["region"] == keys.TUMOR).any()
    cells = slide.cells if applied is None else applied.cells
    if tumor is None and not annotated and region == WHOLE:
        here_now = (cells.obs[keys.CELL_CLASS].to_numpy() == keys.TUMOR) & ~cells.obs[keys.EXCLUDED].to_numpy(bool)
        tumor = tissue if here_now.any() else None
    return {"tissue_mm2": tissue, "tumor_mm2": tumor, "stained_mm2": held("dab_area_percent", "numerator")}


def _beside(scores: pd.DataFrame, machine: pd.DataFrame, *, source: str, n_corrected: int) -> pd.DataFrame:
    before = {f"machine_{name}": machine[name].to_numpy() for name in (*_NUMBERS, "status")}
    return scores.assign(source=source, n_corrected=n_corrected, **before)


def _new_row(
    row: Mapping[str, Any], slide: RunSlide, applied: Applied, asked: Corrections, told: Mapping[str, Any]
) -> dict[str, Any]:
    cells = applied.cells
    keep = ~cells.obs[keys.EXCLUDED].to_numpy(bool)
    positive = int((cells.obs[keys.positive_column(slide.marker)].to_numpy(bool) & keep).sum())
    n, n_corrected = int(keep.sum()), int(applied.changed.sum())
    who = f" by {told['authors']}" if told["authors"] else ""
    said = [str(row["reason"]), f"{n_corrected} cells corrected{who}"]
    made: dict[str, Any] = {
        "n_cells": n,
        "n_positive": positive,
        "n_negative": n - positive,
        "n_excluded": int((~keep).sum()),
    }
    made |= {"positive_fraction": positive / n if n else None}
    made |= {"sensitivity_low": None, "sensitivity_high": None}  # of the run's own cells
    if applied.areas_changed:
        made |= {"tissue_mm2": None}
    if applied.thresholds_moved:
        made |= {"cut_od": asked.cut_od}
    return {
        **row,
        **{name: value for name, value in made.items() if name in row},
        "reason": "; ".join(one for one in said if one),
        "source": CORRECTED,
        "n_corrected": n_corrected,
        "correction_reason": told["reason"],
    }


def _new_table(slide: RunSlide, applied: Applied) -> pd.DataFrame:
    """Return the run's table of cells with the corrected columns, and which cells were corrected."""
    names = [keys.CELL_CLASS, keys.EXCLUDED, keys.bin_column(slide.marker), keys.positive_column(slide.marker)]
    names += [f"{slide.marker}_od", f"{slide.marker}_staining"]
    there = {name: applied.cells.obs[name].to_numpy() for name in names if name in slide.table}
    return slide.table.assign(**there, corrected=applied.changed)


def _keep_files(source: Path, target: Path, stem: str, result: _Slide) -> None:
    """Write corrected cells; copy what a slide without corrections has."""
    if result.table is not None:
        with atomic_path(target / "cells" / f"{stem}.parquet") as path:
            result.table.to_parquet(path, index=False)
        return
    for folder in ("cells",):
        held = source / folder / f"{stem}.parquet"
        if held.is_file():
            with atomic_path(target / folder / held.name) as path:
                shutil.copyfile(held, path)


def _write(found: Rescored, source: Path, records: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    out = found.out
    write_csv(found.slides, out / "slides.csv")
    write_csv(found.scores, out / "scores.csv")
    write_csv(found.corrections, out / "corrections.csv")
    inputs = [source / "run.json", source / "scores.csv", *files.values()]
    record = run_record("rescore", settings={"run": sha256(source / "run.json")}, inputs=inputs)
    cut = dict(zip(found.corrections["slide"], found.corrections["cut_od"], strict=True))
    record["slides"] = {slide: _with_cut(one, cut.get(slide)) for slide, one in records.items()}
    made = [
        "slides.csv",
        "scores.csv",
        "corrections.csv",
        *(f"cells/{path.name}" for path in (out / "cells").glob("*.parquet")),
    ]
    record["outputs"] = {name: sha256(out / name) for name in sorted(made)}
    write_run_json(record, out)


def _with_cut(record: dict[str, Any], cut_od: Any) -> dict[str, Any]:
    """Return a slide's record with the cut that was moved, so that it can be corrected again."""
    from biomarkers.core.config import Thresholds, parse
    from biomarkers.score.sensitivity import scaled

    if cut_od is None or (isinstance(cut_od, float) and math.isnan(cut_od)):
        return record
    cuts = scaled(parse(Thresholds, record["thresholds"], where="run.json"), to=float(cut_od))
    return {**record, "thresholds": cuts.model_dump(mode="json")}


__all__ = ["CORRECTION_COLUMNS", "Rescored", "rescore"]
