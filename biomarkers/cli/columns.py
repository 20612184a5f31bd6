"""``biomarkers columns``: draft what a table's columns mean, or show the shipped profiles."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("table", required=False, type=click.Path(path_type=Path))
@click.option("--level", "levels", multiple=True, help="A level column; repeatable.  [default: found by their names]")
@click.option("--sheet", help="Worksheet of a workbook.  [default: the first]")
@click.option("--profile", help="Print a shipped profile, to be changed.")
@click.option("--profiles", "listed", is_flag=True, help="List the shipped profiles.")
def columns(table: Path | None, levels: tuple[str, ...], sheet: str | None, profile: str | None, listed: bool) -> None:
    """Draft what the columns of a table mean, for --columns of the other verbs.

    \b
    biomarkers columns table.csv > table.toml
    biomarkers columns --profiles
    biomarkers columns --profile adam_adtte > mine.toml
    """  # noqa: D301
    from importlib.resources import files

    from biomarkers.core.errors import UsageError, did_you_mean
    from biomarkers.io.columns import load_column_map, profile_names

    if listed:
        for name in profile_names():
            click.echo(f"{name}: {load_column_map(name).title}")
        return
    if profile is not None:
        if profile not in profile_names():
            hint = did_you_mean(profile, profile_names())
            raise UsageError("no such profile", seen=profile, allowed=profile_names(), hint=hint)
        click.echo((files("biomarkers") / "profiles" / f"{profile}.toml").read_text(encoding="utf-8"), nl=False)
        return
    if table is None:
        raise click.UsageError("name a table, or --profiles")
    from biomarkers.cohort.tables import read_table
    from biomarkers.io.columns.draft import draft

    click.echo(draft(read_table(table, sheet=sheet), levels=levels or None), nl=False)
