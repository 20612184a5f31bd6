"""``biomarkers review``: a page to look at scored slides."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def review(folder: Path) -> None:
    """Make a page that shows every scored slide with its overlay and scores.

    \b
    biomarkers score slides/ --assay 22c3 --out scores/
    biomarkers review scores/

    Writes review.html beside slides.csv; open it in a browser. Nothing leaves
    this machine. Failed slides stand there too, with their reasons.
    """  # noqa: D301
    from biomarkers.report import write_review

    click.echo(f"Open {write_review(folder)} in a browser.")
