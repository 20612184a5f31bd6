"""What verbs share: options with several values, the contract of a table, tables on a terminal or as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from biomarkers.io.columns import ColumnMap

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


def contract_options(command: Any) -> Any:
    """Give a verb that takes a table the options of its column contract: ``--columns`` and ``--sheet``."""
    command = click.option("--sheet", help="Worksheet of a workbook.  [default: the first]")(command)
    return click.option(
        "--columns",
        "map_file",
        metavar="FILE|PROFILE",
        help="What the columns mean: a TOML file ('biomarkers columns TABLE' drafts one), or a shipped profile "
        "(adam_adtte, cbioportal, ...).",
    )(command)


def contract_of(map_file: str | Path | None, *, sheet: str | None = None, rows: tuple[str, ...] = ()) -> ColumnMap:
    """Read ``--columns`` and lay ``--sheet`` and ``--where`` over it."""
    from biomarkers.io.columns import load_column_map

    found = load_column_map(map_file)
    return found.model_copy(update={"sheet": sheet or found.sheet, "rows": (*found.rows, *rows)})


def read_with(path: Path, contract: ColumnMap, *, text: list[str | None]) -> tuple[pd.DataFrame, ColumnMap, list[str]]:
    """Read a table through its contract: the table, the contract as it fits it, and what was done."""
    from biomarkers.cohort.source import table_of
    from biomarkers.cohort.tables import table_notes

    table, fitted, _ = table_of(path, columns=contract, text=[name for name in text if name])
    return table, fitted, table_notes(table)


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
