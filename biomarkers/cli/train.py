"""``biomarkers train``: labelled cells to a cell classifier."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from biomarkers.pheno.classify import CellClassifier
    from biomarkers.pheno.classify_train import LabelledCells
    from biomarkers.run.plan import SlideTask


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("tiles", nargs=-1, required=True)
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    required=True,
    help="QuPath GeoJSON of the one tile, or a folder with <tile>.geojson for each.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The classifier, a .json file."
)
@click.option("--mpp", type=float, help="Pixel size in um/px; wins over what the files say.")
@click.option("--stain", type=click.Path(path_type=Path), help="White level and stain vectors (TOML) for all tiles.")
@click.option(
    "--groups",
    type=click.Path(path_type=Path),
    help="Table (CSV) with the columns slide and patient: whose tile each is.",
)
@click.option(
    "--patient-pattern",
    help="Regular expression whose first group is the patient in a tile's name, such as '^(P[0-9]+)_'.",
)
@click.option("--marker", help="Stained marker of the tiles; slides of another are refused then.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    tiles: tuple[str, ...], annotations: Path, out: Path, mpp: float | None, stain: Path | None, groups: Path | None,
    patient_pattern: str | None, marker: str | None, quiet: bool,
) -> int:  # fmt: skip
    """Train a cell classifier from cells that you labelled.

    TILES are image files, folders or globs. In QuPath, mark cells with points
    (one set of points a class) or draw areas that hold cells of one class
    only; classes are Tumor, Immune cells, Macrophage, Stroma and Other. Export
    as GeoJSON under the tile's name. Label every class in several patients: the
    accuracy that is printed comes from patients held out whole where they are
    known (a manifest's column patient, --groups, --patient-pattern), from tiles
    otherwise.

    \b
    biomarkers train tiles/*.png --annotations labels/ --patient-pattern '^(P[0-9]+)_' --out lung.json
    biomarkers score slides/ --assay 22c3 --classifier lung.json --out scores/

    Classes are told by nuclear shape, counterstain and neighbourhood, never by
    the marker. The file holds plain numbers (JSON). Research use only.
    """  # noqa: D301
    from tqdm import tqdm

    from biomarkers.core.errors import DataError, UsageError
    from biomarkers.pheno.classify_train import train_classifier
    from biomarkers.run.plan import plan_tasks

    if out.suffix.lower() != ".json":
        raise UsageError("a classifier is a .json file", where=out, seen=out.suffix)
    tasks = plan_tasks(tiles)
    drawn = {task.slide: _annotations_of(task, annotations, alone=len(tasks) == 1) for task in tasks}
    patients = _patients(tasks, groups, patient_pattern)
    items, refused = [], {}
    for task in tqdm(tasks, desc="cells", unit="tile", disable=quiet):
        try:
            items.append(_labelled(task, drawn[task.slide], mpp=mpp, stain=stain, patient=patients[task.slide]))
        except DataError as error:  # the other tiles teach what they can
            refused[task.slide] = str(error)
    for slide, why in refused.items():
        click.echo(f"left out: {slide}: {why}", err=True)
    if refused and not items:
        raise DataError("no tile can be learnt from", seen=next(iter(refused.values())))
    classifier = train_classifier(items, marker=marker)
    classifier.save(out)
    click.echo(summary(classifier))
    click.echo(f"written to {out}")
    return 1 if refused else 0


def summary(classifier: CellClassifier) -> str:
    """Return what the classifier learnt from, and how well it does on tiles it had not seen."""
    from tabulate import tabulate

    told = classifier.content.cross_validation
    rows = [
        [name, sum(told["confusion"][name].values()), f"{100 * told['recall'][name]:.1f} %"]
        + [told["confusion"][name][other] for other in told["confusion"]]
        for name in told["confusion"]
    ]
    head = ["class", "labelled", "found again", *(f"called {name}" for name in told["confusion"])]
    lines = [
        f"balanced accuracy {100 * told['balanced_accuracy']:.1f} % (mean of the classes' shares found again)",
        f"held out in turn: {told['held_out']} ({told['n_groups']})"
        + (f"; {told['caution']}" if told["caution"] else ""),
        "",
        tabulate(rows, headers=head, tablefmt="simple"),
        "",
        f"accuracy {100 * told['accuracy']:.1f} %; {told['n_cells']} labelled cells of {told['n_slides']} tiles",
        f"how sure it is and how often it is right differ by {100 * told['calibration_error']:.1f} points on average",
    ]
    lines += [
        f"{name} is rare (fewer than a tenth of the labels): look at its own share, {100 * told['recall'][name]:.1f} %"
        for name in told["rare"]
    ]
    return "\n".join(lines)


def _patients(tasks: Sequence[SlideTask], groups: Path | None, pattern: str | None) -> dict[str, str]:
    """Say whose tile each is: by the table, by its name, or by the manifest; empty where nothing tells."""
    from biomarkers.cohort.tables import read_table
    from biomarkers.core.errors import DataError, UsageError

    if groups is not None and pattern is not None:
        raise UsageError("--groups and --patient-pattern both name the patients: give one")
    slides = [task.slide for task in tasks]
    if groups is not None:
        table = read_table(groups, text=["slide", "patient"])
        absent = [name for name in ("slide", "patient") if name not in table]
        if absent:
            raise DataError("the table lacks a column", where=groups, seen=list(table.columns), allowed=absent)
        known = dict(zip(table["slide"].astype(str), table["patient"].fillna("").astype(str), strict=True))
        by_file = {task.slide: known.get(task.slide, known.get(task.file, "")) for task in tasks}
        lost = [slide for slide in slides if not by_file[slide].strip()]
        if lost:
            raise DataError("the table names no patient for a tile", where=groups, seen=lost[:5])
        return by_file
    if pattern is None:
        return {task.slide: task.patient or "" for task in tasks}
    try:
        shape = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--patient-pattern is no regular expression: {error}", seen=pattern) from error
    found = {slide: shape.search(slide) for slide in slides}
    lost = [slide for slide, match in found.items() if match is None]
    if lost or shape.groups < 1:
        allowed = "a pattern with one group, such as '^(P[0-9]+)_', that fits every tile's name"
        raise UsageError(
            "--patient-pattern does not tell every tile's patient", seen=lost[:5] or pattern, allowed=allowed
        )
    return {slide: str(match[1] or "") for slide, match in found.items() if match is not None}


def _annotations_of(task: SlideTask, given: Path, *, alone: bool) -> Path:
    from biomarkers.core.errors import UsageError

    if given.is_dir():
        for suffix in (".geojson", ".json"):
            for stem in (Path(task.file).stem, task.slide):
                if (given / f"{stem}{suffix}").is_file():
                    return given / f"{stem}{suffix}"
        raise UsageError("no annotations for a tile", where=given, allowed=f"{Path(task.file).stem}.geojson")
    if not alone:
        raise UsageError("one annotation file for several tiles", where=given, hint="Give a folder of <tile>.geojson.")
    return given


def _labelled(
    task: SlideTask, annotations: Path, *, mpp: float | None, stain: Path | None, patient: str
) -> LabelledCells:
    from biomarkers.io import read_tile
    from biomarkers.io.annotations import check_inside, read_annotations
    from biomarkers.pheno.annotations_apply import cell_labels, unknown_notes
    from biomarkers.pheno.classify_train import LabelledCells
    from biomarkers.pp import StainVectors, read_reference
    from biomarkers.seg.find import find_cells

    drawn = read_annotations(annotations)
    tile = read_tile(task.path, mpp=mpp if task.mpp is None else task.mpp)
    check_inside(drawn, width=tile.sizes["x"], height=tile.sizes["y"])
    shared = None if stain is None else read_reference(stain)
    found = find_cells(
        tile,
        white=None if shared is None else shared.white,
        vectors=None if shared is None else shared.vectors,
        progress=False,
    )
    labels = cell_labels(found.cells, drawn, mpp=float(tile.attrs["mpp"]))
    for note in unknown_notes(drawn, mpp=float(tile.attrs["mpp"])):
        click.echo(f"{task.slide}: {note}", err=True)
    vectors = StainVectors() if shared is None else shared.vectors
    return LabelledCells(
        task.slide, found.cells, labels, patient=patient, mpp=float(tile.attrs["mpp"]),
        hematoxylin_vector=vectors.hematoxylin,
    )  # fmt: skip
