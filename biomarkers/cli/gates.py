"""``biomarkers gates``: one gate table for a batch."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--panel", type=click.Path(path_type=Path), required=True, help="The panel (TOML) of these runs.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The gate table (CSV).")
@click.option(
    "--per", type=click.Choice(("batch", "image")), default="batch", show_default=True, help="Cells together."
)
@click.option("--method", type=click.Choice(("valley", "mixture")), default="valley", show_default=True)
def gates(runs: tuple[Path, ...], panel: Path, out: Path, per: str, method: str) -> int:
    """Fit gates to the cells of finished runs.

    \b
    biomarkers score biopsies/ --panel panel.toml --out first/
    biomarkers gates first/ --panel panel.toml --out gates.csv
    biomarkers score biopsies/ --panel panel.toml --gates gates.csv --out scores/

    One gate a marker for all slides together, which is needed where a slide may
    hold no positive cell; slides must have been stained and scanned alike.
    Writes the table and a page of its histograms beside it (gates.html).
    Research use only.
    """  # noqa: D301
    from tabulate import tabulate

    from biomarkers.run.gate_tables import fit_run_gates

    table = fit_run_gates(runs, panel=panel, out=out, per=per, method=method)
    shown = table[["slide", "marker", "gate", "gate_low", "gate_high", "fraction"]].astype(object)
    rows = shown.where(shown.notna(), None).to_numpy().tolist()
    click.echo(tabulate(rows, headers=list(shown.columns), floatfmt=".4g", tablefmt="simple"))
    for row in table[table["flags"].ne("")].itertuples():
        click.echo(f"{row.marker} ({row.slide}): {row.flags}")
    click.echo(f"\nGates: {out} (look at {out.with_suffix('.html')})")
    return 0
