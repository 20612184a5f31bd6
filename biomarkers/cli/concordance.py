"""``biomarkers concordance``: do protein and mRNA of the same samples agree?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from biomarkers.expression import Concordance


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--one", required=True, help="First level: a column, or a biomarker of a cohort.")
@click.option("--two", required=True, help="Second level.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
@click.option("--patient", help="Column of the patient; each must stand once.")
@click.option("--timepoint", help="Keep this time point only (column timepoint).")
@click.option("--strata", help="Column of batch, site or tumor type: the correlation within each.")
@click.option("--order", multiple=True, help="Word of an ordered level, lowest first; repeat.")
@click.option(
    "--scale", default="auto", show_default=True, help="units: compared as given; z: standardised; auto: by the units."
)
@click.option("--seed", "rng", type=click.IntRange(0), default=0, show_default=True, help="Of the bootstrap.")
def concordance(table: Path, out: Path | None, **options: Any) -> None:
    """Measure how two levels of the same samples agree, such as PD-L1 and CD274.

    TABLE: a cohort that 'biomarkers cohort' wrote, or CSV, TSV, XLSX, Parquet
    with one row a sample.

    \b
    biomarkers concordance cohort.h5ad --one "PD-L1 tps" --two "CD274 log2_cpm" --timepoint baseline --out agree/
    biomarkers concordance table.csv --one IC --two CD274 --order IC0 --order IC1 --order IC2+

    Spearman and Kendall with intervals; Lin's concordance and Bland and
    Altman's limits, standardised where the units differ. With --out:
    concordance.csv, points.csv, two figures and run.json.
    """  # noqa: D301
    from biomarkers.expression import concordance as compare

    found = compare(_data(table, options), **options)
    click.echo(found.explain())
    if out is not None:
        _write(found, out, table)
        click.echo(f"Results: {out}/concordance.csv")


def _data(path: Path, options: dict[str, Any]) -> Any:
    if path.suffix.lower() == ".h5ad":
        from biomarkers.cohort.store import read_cohort

        return read_cohort(path)
    from biomarkers.cohort.tables import read_table

    words = [options[name] for name in ("patient", "timepoint", "strata") if options[name]]
    return read_table(path, text=words)


def _write(found: Concordance, out: Path, table: Path) -> None:
    from biomarkers.core.files import write_csv
    from biomarkers.core.provenance import run_record, write_run_json
    from biomarkers.plot.expression import plot_agreement, plot_differences
    from biomarkers.plot.style import save

    write_csv(found.table, out / "concordance.csv")
    write_csv(found.points, out / "points.csv")
    save(plot_agreement(found), out / "agreement.png")
    save(plot_differences(found), out / "differences.png")
    settings = {**found.settings, "warnings": list(found.warnings)}
    write_run_json(run_record("concordance", settings=settings, inputs=[table]), out)
