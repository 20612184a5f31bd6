"""``biomarkers concordance``: do protein and mRNA of the same samples agree?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from biomarkers.cli._tables import contract_of, contract_options, read_with

if TYPE_CHECKING:
    from biomarkers.expression import Concordance
    from biomarkers.io.columns import ColumnMap


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
@click.option("--where", "only", multiple=True, metavar="COL=VALUE", help="Use only such rows of a table; repeatable.")
@contract_options
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

    contract = contract_of(options.pop("map_file"), sheet=options.pop("sheet"), rows=options.pop("only"))
    data, fitted = _data(table, options, contract)
    found = compare(data, columns=fitted, **options)
    click.echo(found.explain())
    if out is not None:
        _write(found, out, table, contract)
        click.echo(f"Results: {out}/concordance.csv")


def _data(path: Path, options: dict[str, Any], contract: ColumnMap) -> tuple[Any, ColumnMap]:
    if path.suffix.lower() == ".h5ad":
        from biomarkers.cohort.store import read_cohort

        return read_cohort(path), contract
    table, fitted, _ = read_with(path, contract, text=[options[name] for name in ("patient", "timepoint", "strata")])
    return table, fitted


def _write(found: Concordance, out: Path, table: Path, contract: ColumnMap) -> None:
    from biomarkers.core.files import write_csv
    from biomarkers.core.provenance import run_record, write_run_json
    from biomarkers.plot.expression import plot_agreement, plot_differences
    from biomarkers.plot.style import save

    write_csv(found.table, out / "concordance.csv")
    write_csv(found.points, out / "points.csv")
    save(plot_agreement(found), out / "agreement.png")
    save(plot_differences(found), out / "differences.png")
    meaning = contract.model_dump(exclude_defaults=True, mode="json")
    settings = {**found.settings, "columns": meaning, "warnings": list(found.warnings)}
    write_run_json(run_record("concordance", settings=settings, inputs=[table]), out)
