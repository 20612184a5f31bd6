"""``biomarkers scores``: the table of scores."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the table to FILE instead."
)
def scores(csv_file: Path | None) -> None:
    """Show the table of scores: definition, unit, range, interval and source of each.

    \b
    biomarkers scores
    biomarkers scores --csv scores-defined.csv
    """  # noqa: D301
    from biomarkers.cli._tables import save, show
    from biomarkers.score import score_table

    table = score_table()
    if csv_file is not None:
        save(table, csv_file)
        return
    show(table, name="score", columns=("title", "unit", "range"), details=("definition", "interval", "source"))
    click.echo("\nAn interval is counting error alone. Research use only.")
