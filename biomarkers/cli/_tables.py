"""How verbs print a table of definitions: one block an entry on a terminal, or CSV for a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 100


def show(table: pd.DataFrame, *, name: str, columns: tuple[str, ...], details: tuple[str, ...]) -> None:
    """Print the short columns as a table, then the long texts of every entry below it, wrapped."""
    from tabulate import tabulate

    short = table[[name, *columns]]
    click.echo(
        tabulate(short.to_numpy().tolist(), headers=list(short.columns), tablefmt="simple", disable_numparse=True)
    )
    click.echo()
    for _, entry in table.iterrows():
        click.secho(str(entry[name]), bold=True)
        for detail in details:
            if str(entry[detail]):
                text = f"{detail}: {entry[detail]}"
                click.echo(click.wrap_text(text, width=_WIDTH, initial_indent="  ", subsequent_indent="    "))


def save(table: pd.DataFrame, path: Path) -> None:
    """Write the whole table as CSV and say so."""
    from biomarkers.files import write_csv

    write_csv(table, path)
    click.echo(f"{len(table)} rows written to {path}")
