"""``biomarkers merge``: partial outputs to one."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the result.")
def merge(folders: tuple[Path, ...], out: Path) -> None:
    """Join the outputs of several score runs, one slide each or many.

    \b
    biomarkers score a.svs --assay 22c3 --out parts/a
    biomarkers score b.svs --assay 22c3 --out parts/b
    biomarkers merge parts/a parts/b --out all

    The tables are those of one run over all the slides, byte for byte. Runs
    made with other settings or versions, and slides of the same name, are
    refused.
    """  # noqa: D301
    from biomarkers.core.words import plural
    from biomarkers.run.merge import merge_runs

    slides = merge_runs(folders, out=out)
    what = f"{plural(len(slides), 'slide')} of {plural(len(folders), 'run')}"
    click.echo(f"{what} joined in {out}/ (slides.csv, scores.csv)")
