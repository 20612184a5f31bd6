"""``biomarkers export``: a finished run for other programs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--to", type=click.Choice(("csv", "qupath", "spatialdata")), required=True, help="For which program.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [default: RUN/export/TARGET]")
@click.option("--slide", "slides", multiple=True, help="Only this slide, repeatable.")
def export(run: Path, to: str, out: Path | None, slides: tuple[str, ...]) -> int:
    """Write the cells of a finished run for another program.

    \b
    biomarkers export scores/ --to csv
    biomarkers export scores/ --to qupath --out for_qupath/
    biomarkers export scores/ --to spatialdata --slide P1_baseline

    csv: one row a cell, for Excel or R. qupath: GeoJSON to drag onto the slide;
    classes changed there come back with 'biomarkers rescore'. spatialdata: one
    Zarr store a slide with cells, table and image, for spatialdata and napari.
    Tiles and whole slides alike. Research use only.
    """  # noqa: D301
    from biomarkers.review.export import export_run

    found = export_run(run, to=to, out=out, slides=slides or None)
    click.echo(str(found))
    if not found.files:
        return 3
    return 1 if found.failed else 0
