"""``biomarkers train``: labelled cells to a cell classifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from biomarkers.cells.classify import CellClassifier
    from biomarkers.cells.classify_train import LabelledCells
    from biomarkers.run.plan import Task


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
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    tiles: tuple[str, ...], annotations: Path, out: Path, mpp: float | None, stain: Path | None, quiet: bool
) -> int:
    """Train a cell classifier from cells that you labelled.

    TILES are image files, folders or globs. In QuPath, mark cells with points
    (one set of points a class) or draw areas that hold cells of one class
    only; classes are Tumor, Immune cells, Macrophage, Stroma and Other. Export
    as GeoJSON under the tile's name. Label every class on several tiles: the
    accuracy that is printed comes from tiles held out whole.

    \b
    biomarkers train tiles/*.png --annotations labels/ --out lung.json
    biomarkers score slides/ --assay 22c3 --classifier lung.json --out scores/

    Classes are told by nuclear shape, counterstain and neighbourhood, never by
    the marker. The file holds plain numbers (JSON). Research use only.
    """  # noqa: D301
    from tqdm import tqdm

    from biomarkers.cells.classify_train import train_classifier
    from biomarkers.errors import UsageError
    from biomarkers.run.plan import plan_tasks

    if out.suffix.lower() != ".json":
        raise UsageError("a classifier is a .json file", where=out, seen=out.suffix)
    tasks = plan_tasks(tiles)
    drawn = {task.slide: _annotations_of(task, annotations, alone=len(tasks) == 1) for task in tasks}
    items = [
        _labelled(task, drawn[task.slide], mpp=mpp, stain=stain)
        for task in tqdm(tasks, desc="cells", unit="tile", disable=quiet)
    ]
    classifier = train_classifier(items)
    classifier.save(out)
    click.echo(summary(classifier))
    click.echo(f"written to {out}")
    return 0


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
    return "\n".join(
        [
            tabulate(rows, headers=head, tablefmt="simple"),
            "",
            f"{told['n_cells']} labelled cells of {told['n_slides']} tiles; held out in turn: {told['held_out']}",
            f"accuracy {100 * told['accuracy']:.1f} %, balanced over classes {100 * told['balanced_accuracy']:.1f} %",
        ]
    )


def _annotations_of(task: Task, given: Path, *, alone: bool) -> Path:
    from biomarkers.errors import UsageError

    if given.is_dir():
        for suffix in (".geojson", ".json"):
            for stem in (Path(task.file).stem, task.slide):
                if (given / f"{stem}{suffix}").is_file():
                    return given / f"{stem}{suffix}"
        raise UsageError("no annotations for a tile", where=given, allowed=f"{Path(task.file).stem}.geojson")
    if not alone:
        raise UsageError("one annotation file for several tiles", where=given, hint="Give a folder of <tile>.geojson.")
    return given


def _labelled(task: Task, annotations: Path, *, mpp: float | None, stain: Path | None) -> LabelledCells:
    from biomarkers.cells.annotations import check_inside, read_annotations
    from biomarkers.cells.annotations_apply import cell_labels
    from biomarkers.cells.classify_train import LabelledCells
    from biomarkers.cells.find import find_cells
    from biomarkers.slide import read_tile
    from biomarkers.stain import read_reference

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
    return LabelledCells(task.slide, found.cells, labels)
