"""``biomarkers express``: an expression matrix to levels."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("matrix", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option(
    "--gene", "genes", multiple=True, help="A gene by any name; repeat.  [default: CD274 PDCD1 PDCD1LG2 CD8A]"
)
@click.option("--signature", "signatures", multiple=True, help="A signature's name; repeat.  [default: all]")
@click.option("--scale", help="counts, cpm, tpm, linear, log2, log1p or zscore.  [default: found from the values]")
@click.option("--layer", help="Layer of an h5ad: X, raw, or a layer's name.")
@click.option("--sample", help="obs column whose cells are pooled to one sample (single cells).")
@click.option("--min-cells", type=int, default=10, show_default=True, help="Fewer pooled cells: not evaluable.")
def express(
    matrix: Path, out: Path, genes: tuple[str, ...], signatures: tuple[str, ...], scale: str | None, layer: str | None,
    sample: str | None, min_cells: int,
) -> None:  # fmt: skip
    """Read PD-1, PD-L1 and signature levels from an expression matrix.

    MATRIX: h5ad, or CSV, TSV, GCT, Parquet with genes in rows or columns.

    \b
    biomarkers express counts.h5ad --out levels/
    biomarkers express tpm.tsv.gz --gene PD-L1 --gene CD8A --scale tpm --out levels/
    biomarkers express cells.h5ad --sample patient --out levels/

    Writes levels.csv (one row a sample and level) and run.json. What the
    numbers are is found, said and recorded; logarithms are never taken twice.
    """  # noqa: D301
    from tabulate import tabulate

    from biomarkers.expression import express as run
    from biomarkers.files import write_csv
    from biomarkers.provenance import run_record, write_run_json

    found = run(
        matrix,
        genes=genes or None,
        signatures=signatures or None,
        scale=scale,
        layer=layer,
        sample=sample,
        min_cells=min_cells,
    )
    write_csv(found.levels, out / "levels.csv")
    write_run_json(run_record("express", settings=found.settings, inputs=[matrix]), out)
    click.echo(f"Scale: {found.scale} ({found.scale_reason})")
    summary = found.levels.groupby(["marker", "score"], sort=False)["value"].describe()[["count", "min", "50%", "max"]]
    rows = [[*name, int(row.iloc[0]), *row.iloc[1:]] for name, row in summary.iterrows()]  # type: ignore[misc]
    click.echo(tabulate(rows, headers=["marker", "score", "samples", "lowest", "median", "highest"], floatfmt=".2f"))
    for warning in found.warnings:
        click.echo(f"Note: {warning}")
    click.echo(f"Results: {out}/levels.csv")
