"""``biomarkers assays``: the table of assays."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the table to FILE instead."
)
def assays(csv_file: Path | None) -> None:
    """Show the table of assays: marker, compartment, cuts, scores and the source of each.

    The cuts are DAB optical density (log10) against the slide's own white. To use other cuts, write an assay file of
    your own and give its path to --assay.

    \b
    biomarkers assays
    biomarkers assays --csv assays.csv
    """  # noqa: D301
    from biomarkers.cli._tables import save, show
    from biomarkers.score import assay_table

    table = assay_table()
    if csv_file is not None:
        save(table, csv_file)
        return
    show(
        table,
        name="assay",
        columns=("marker", "compartment", "scored_class", "cuts_od"),
        details=("title", "scores", "cutoffs", "thresholds", "reference", "note"),
    )
    click.echo("\nCuts are DAB optical density of 1+, 2+, 3+ against the slide's own white. Research use only.")
