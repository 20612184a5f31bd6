"""``biomarkers reliability``: how much of a level is the patient's own?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from biomarkers.relate.reliability import Reliability


@click.command()
@click.argument("table", type=click.Path(path_type=Path), required=False)
@click.option("--level", help="Column of the level.")
@click.option("--patient", default="patient", show_default=True, help="Column of the patient.")
@click.option("--replicate", "replicates", multiple=True, help="Column with a further measurement; repeatable.")
@click.option("--place", help="Column of the core, block or biopsy within the patient.")
@click.option("--reader", help="Column of who or what read.")
@click.option("--response", help="Column of groups within which patients vary.")
@click.option("--standard-error", help="Column of the level's standard error: how much of the error is counting.")
@click.option(
    "--scale",
    default="normal-scores",
    show_default=True,
    help="Where error is even: normal-scores, linear (log2 is taken), log2, percent or fraction (logit).",
)
@click.option("--one-reader", is_flag=True, help="One reader reads the whole cohort: their constant shift is no error.")
@click.option("--published", is_flag=True, help="Print the published values, with sources, and stop.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
def reliability(table: Path | None, out: Path | None, published: bool, **options: Any) -> None:
    """Estimate how reliable a level is, from patients measured more than once.

    TABLE: CSV, TSV, XLSX or Parquet with one row a measurement (several slides, cores, readers of a patient), or one
    row a patient with further measurements in columns named by --replicate.

    \b
    biomarkers reliability cores.csv --level TPS --patient ID --place core --reader reader --scale percent --out rel/
    biomarkers reliability table.csv --level CD274 --replicate CD274_second
    biomarkers reliability --published

    The last line printed is what 'biomarkers relate --reliability' takes. With --out: reliability.csv, components.csv,
    designs.csv, a figure and run.json.
    """  # noqa: D301
    if published:
        _published()
        return
    from biomarkers.cohort.tables import read_table
    from biomarkers.core.errors import UsageError
    from biomarkers.relate.reliability import reliability as ask

    if table is None or options["level"] is None:
        raise UsageError("no table or no level was named", allowed="TABLE --level COLUMN, or --published")
    words = [options[name] for name in ("patient", "place", "reader", "response") if options[name]]
    found = ask(read_table(table, text=words), where=table.name, **options)
    click.echo(found.explain())
    if out is not None:
        _write(found, out, table)
        click.echo(f"Results: {out}/reliability.csv")
    if found.option:
        click.echo(f"--reliability {found.option}")


def _published() -> None:
    import textwrap

    from biomarkers.relate.published import USABLE, published_reliability

    for row in published_reliability().to_dict("records"):
        cut = "" if row["cut"] != row["cut"] else f", at {row['cut']:g}%"
        use = "" if row["statistic"] == USABLE else " (at a cut-off: not a reliability of the level, to be read only)"
        text = (
            f"{row['name']}: {row['statistic']} {row['value']:g}{cut}; {row['marker']} {row['assay']}, {row['tissue']};"
        )
        text += f" {row['varied']} varied, {row['specimens']} specimens; {row['source']}{use}"
        click.echo(textwrap.fill(text, width=110, subsequent_indent="  "))


def _write(found: Reliability, out: Path, table: Path) -> None:
    import pandas as pd

    from biomarkers.core.files import write_csv
    from biomarkers.core.provenance import run_record, write_run_json
    from biomarkers.plot.relation_reliability import plot_components
    from biomarkers.plot.style import save

    e = found.estimate
    row = {"level": found.level, "reliability": e.value, "reliability_low": e.low, "reliability_high": e.high,
           "confidence": e.level, "patients": e.n, "scale": found.scale, "method": e.method,
           "largest_error": found.limits}  # fmt: skip
    write_csv(pd.DataFrame([row]), out / "reliability.csv")
    write_csv(found.components, out / "components.csv")
    write_csv(found.designs, out / "designs.csv")
    save(plot_components(found), out / "reliability.png")
    write_run_json(run_record("reliability", settings=dict(found.settings), inputs=[table]), out)
