"""``biomarkers express``: an expression matrix to levels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from biomarkers.cli._tables import contract_of, contract_options

if TYPE_CHECKING:
    from biomarkers.expression import Expression
    from biomarkers.io.columns import ColumnMap


@click.command()
@click.argument("matrix", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option(
    "--gene", "genes", multiple=True, help="A gene by any name; repeat.  [default: CD274 PDCD1 PDCD1LG2 CD8A]"
)
@click.option("--signature", "signatures", multiple=True, help="A signature's name; repeat.  [default: all]")
@click.option(
    "--scale",
    help="counts, cpm, tpm, linear, log2, log1p, log10, zscore, nanostring or microarray.  [default: found]",
)
@click.option(
    "--log-offset", type=float, help="What was added before logarithms were taken: log2(x + 0.001).  [default: found]"
)
@click.option("--layer", help="Layer of an h5ad, zarr or loom file: X, raw, or a layer's name.")
@click.option("--normalise", default="cpm", show_default=True, help="Of counts: cpm, tmm, or ratio (median of ratios).")
@click.option("--score-genes", is_flag=True, help="Signatures by scanpy's score_genes too.")
@click.option("--sample", multiple=True, help="obs column whose cells are pooled to one sample; repeat to join two.")
@click.option("--cell-type", help="obs column: the same for the cells of each type.")
@click.option("--min-cells", type=click.IntRange(1), default=10, show_default=True, help="Fewer: not evaluable.")
@click.option(
    "--min-expressing", type=click.IntRange(1), default=3, show_default=True,
    help="Fewer expressing cells: their mean is not evaluable.",
)  # fmt: skip
@click.option(
    "--samples", "sample_sheet", type=click.Path(path_type=Path), help="Table of the samples: sample, patient, ..."
)
@click.option("--patient", help="Column of the patient, in obs or the table of samples.")
@click.option("--timepoint", help="Column of the time point.")
@click.option("--batch", help="Column of the batch: levels within it, and where batches differ.")
@click.option("--group", help="Column that must not be confounded with the batch (response, arm, site).")
@contract_options
@click.option("--annotation", "annotations", multiple=True, help="Column of a text matrix that is no gene; repeat.")
def express(matrix: Path, out: Path, sample_sheet: Path | None, **options: Any) -> None:
    """Read PD-1, PD-L1 and signature levels from an expression matrix.

    MATRIX: h5ad, AnnData zarr, 10x h5 or mtx folder, loom; CSV, TSV, GCT,
    Parquet with genes in rows or columns; featureCounts; gene tables of
    Salmon, kallisto or RSEM (one file, or a folder of one a sample).

    \b
    biomarkers express counts.h5ad --out levels/
    biomarkers express tpm.tsv.gz --gene PD-L1 --gene CD8A --scale tpm --out levels/
    biomarkers express cells.h5ad --sample patient --cell-type type --out levels/
    biomarkers express counts.csv --samples sheet.csv --batch run --group response --out levels/

    Writes levels.csv (one row a sample and level), genes.csv (how each gene
    was found), batches.csv with --batch, and run.json. What the numbers are
    is found, said and recorded; logarithms are never taken twice.
    """  # noqa: D301
    from biomarkers.expression import express as run

    several = ("genes", "signatures", "sample")
    contract = contract_of(options.pop("map_file"), sheet=options.pop("sheet"))
    settings: dict[str, Any] = {name: (value or None) if name in several else value for name, value in options.items()}
    table = None if sample_sheet is None else _sheet(sample_sheet, contract)
    found = run(matrix, sheet=table, columns=contract, **settings)
    _write(found, out, [path for path in (matrix, sample_sheet) if path is not None])
    _show(found)
    click.echo(f"Results: {out}/levels.csv")


def _sheet(path: Path, contract: ColumnMap) -> Any:
    from biomarkers.cohort.tables import read_table

    table = read_table(path, sheet=contract.sheet)
    key = "sample" if "sample" in table else str(table.columns[0])
    ids = [name for name in (key, "patient", contract.patient, contract.timepoint) if name]
    return read_table(path, text=ids, sheet=contract.sheet).reset_index(drop=True)


def _write(found: Expression, out: Path, inputs: list[Path]) -> None:
    from biomarkers.core.files import write_csv
    from biomarkers.core.provenance import run_record, write_run_json

    write_csv(found.levels, out / "levels.csv")
    write_csv(found.genes, out / "genes.csv")
    if len(found.batches):
        write_csv(found.batches, out / "batches.csv")
    files = [file for path in inputs for file in _files(path)]
    settings = {**found.settings, "warnings": list(found.warnings)}
    write_run_json(run_record("express", settings=settings, inputs=files), out)


def _files(path: Path) -> list[Path]:
    """Return the files whose hashes are kept: of a zarr folder, which may have a file a chunk, its descriptions."""
    if path.is_file():
        return [path]
    from biomarkers.expression.zarr_store import DESCRIPTIONS, is_zarr

    if is_zarr(path):
        return sorted(file for name in DESCRIPTIONS for file in path.rglob(name))
    return sorted(file for pattern in ("*", "*/*") for file in path.glob(pattern) if file.is_file())


def _show(found: Expression) -> None:
    """Print the scale, one line a level, and what a reader must know."""
    from tabulate import tabulate

    click.echo(f"Scale: {found.scale} ({found.scale_reason})")
    main = found.levels[~found.levels["score"].str.contains(" in | within batch", regex=True)]
    rows = []
    for (marker, score), part in main.groupby(["marker", "score"], sort=False):
        values, lost = part["value"].dropna(), int(part["value"].isna().sum())
        edges = (values.min(), values.median(), values.max()) if len(values) else ("", "", "")
        rows.append([marker, score, len(values), lost, *edges])
    heads = ["marker", "score", "samples", "not evaluable", "lowest", "median", "highest"]
    click.echo(tabulate(rows, headers=heads, floatfmt=".2f"))
    for warning in found.warnings:
        click.echo(f"Note: {warning}")
