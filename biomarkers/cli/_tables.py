"""What verbs share: options with several values, rows chosen by ``--where``, tables on a terminal or as CSV."""

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


def only_rows(table: pd.DataFrame, conditions: tuple[str, ...], *, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Keep the rows that ``--where COLUMN=VALUE`` asks for, and say how many each condition left."""
    from biomarkers.cohort.tables import require_columns
    from biomarkers.core.errors import UsageError

    notes = []
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise UsageError("--where is not understood", seen=condition, allowed="COLUMN=VALUE")
        require_columns(table, [column], where=where)
        kept = table[table[column].astype(str) == value]
        if kept.empty:
            known = sorted({str(cell) for cell in table[column].dropna()})[:20]
            raise UsageError("no row has this value", where=f"{where} column {column!r}", seen=value, allowed=known)
        table = kept
        notes.append(f"only rows with {condition}: {len(table)}")
    return table, notes


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
    from biomarkers.core.files import write_csv

    write_csv(table, path)
    click.echo(f"{len(table)} rows written to {path}")
