"""What verbs share: options with several values, and tables of definitions on a terminal or as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 100


class SeveralValues(click.Command):
    """A verb whose repeatable path options also take several values at once: ``--scores a/ b/``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give every value of such an option its own name before click reads them."""
        several = {
            name
            for option in self.params
            if isinstance(option, click.Option) and option.multiple and isinstance(option.type, click.Path)
            for name in option.opts
        }
        made: list[str] = []
        current, first = "", True
        for word in args:
            if word.startswith("-"):
                current, first = (word if word in several else ""), True
                made.append(word)
            else:
                made += [word] if first or not current else [current, word]
                first = False
        return super().parse_args(ctx, made)


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
